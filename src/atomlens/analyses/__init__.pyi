from .decay import DecayResult
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
from .inputs import Material, Settings, untrained_model
from .many_body import WATER, ManyBodyResult
from .questions import QUESTIONS, Question, chosen_questions
from .species import SpeciesResult
from .statistics import Rows, molecule_effect, rank_correlation
from .verdict import Control, Effect, Finding, Outcome, Verdict, cannot_tell, conclude, decide

__all__ = [
    "ANALYSIS_SCHEMA",
    "NOT_ASKED",
    "PAIR_POTENTIALS",
    "QUESTIONS",
    "WATER",
    "AnalysedRun",
    "Control",
    "DecayResult",
    "Effect",
    "ExtensivityResult",
    "FaithfulnessResult",
    "Finding",
    "ManyBodyResult",
    "Material",
    "Outcome",
    "Question",
    "Rows",
    "Settings",
    "SpeciesResult",
    "Verdict",
    "cannot_tell",
    "chosen_questions",
    "claims_of",
    "common_deviations",
    "conclude",
    "decide",
    "deviation_score",
    "finding_lines",
    "is_analysis",
    "molecule_effect",
    "questions_of",
    "rank_correlation",
    "read_run",
    "untrained_model",
]
