from .claims import Claim, judge_claim
from .contacts import ContactsResult, curve_ranks, far_ionic
from .decay import CUTOFF_ZONE, NEAREST, DecayRange, DecayResult
from .deviation import common_deviations, deviation_score
from .extensivity import ExtensivityResult
from .faithfulness import PAIR_POTENTIALS, FaithfulnessResult
from .findings import (
    ANALYSIS_SCHEMA,
    NOT_ASKED,
    AnalysedRun,
    claims_of,
    finding_lines,
    is_analysis,
    questions_of,
    read_run,
)
from .force_check import ForceCheck, check_forces
from .inputs import N_UNTRAINED, AnalysisInputs, Settings, untrained_model, untrained_models
from .many_body import WATER, ManyBodyResult
from .questions import QUESTIONS, Question, chosen_questions
from .smoothness import (
    DEVIATION,
    HIGH,
    SmoothnessResult,
    Wall,
    compare_wall,
    missing_energies,
    scan_deviation,
    scan_walls,
)
from .species import MIN_CLASSES, MIN_COMMON, SpeciesResult
from .statistics import MIN_MOLECULES, Rows, molecule_effect, rank_correlation, share_effect
from .three_bodies import ThreeBodiesResult
from .verdict import (
    Control,
    Effect,
    Finding,
    Outcome,
    Verdict,
    cannot_tell,
    conclude,
    decide,
    minus_signs,
    not_applicable,
    without_question,
)

__all__ = [
    "ANALYSIS_SCHEMA",
    "CUTOFF_ZONE",
    "DEVIATION",
    "HIGH",
    "MIN_CLASSES",
    "MIN_COMMON",
    "MIN_MOLECULES",
    "NEAREST",
    "NOT_ASKED",
    "N_UNTRAINED",
    "PAIR_POTENTIALS",
    "QUESTIONS",
    "WATER",
    "AnalysedRun",
    "AnalysisInputs",
    "Claim",
    "ContactsResult",
    "Control",
    "DecayRange",
    "DecayResult",
    "Effect",
    "ExtensivityResult",
    "FaithfulnessResult",
    "Finding",
    "ForceCheck",
    "ManyBodyResult",
    "Outcome",
    "Question",
    "Rows",
    "Settings",
    "SmoothnessResult",
    "SpeciesResult",
    "ThreeBodiesResult",
    "Verdict",
    "Wall",
    "cannot_tell",
    "check_forces",
    "chosen_questions",
    "claims_of",
    "common_deviations",
    "compare_wall",
    "conclude",
    "curve_ranks",
    "decide",
    "deviation_score",
    "far_ionic",
    "finding_lines",
    "is_analysis",
    "judge_claim",
    "minus_signs",
    "missing_energies",
    "molecule_effect",
    "not_applicable",
    "questions_of",
    "rank_correlation",
    "read_run",
    "scan_deviation",
    "scan_walls",
    "share_effect",
    "untrained_model",
    "untrained_models",
    "without_question",
]
