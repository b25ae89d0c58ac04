"""Scientific questions, one file each: ``compute(material)`` (expensive, stored), ``judge(result)`` (cheap)."""

from atomlens.analyses.material import Material, Settings, untrained_model
from atomlens.analyses.statistics import Rows, molecule_effect, rank_correlation
from atomlens.analyses.storage import load_result, save_result
from atomlens.analyses.verdict import Control, Effect, Finding, Outcome, Verdict, cannot_tell, conclude, decide
from atomlens.tables.shards import Progress, no_progress

__all__ = [
    "Control",
    "Effect",
    "Finding",
    "Material",
    "Outcome",
    "Progress",
    "Rows",
    "Settings",
    "Verdict",
    "cannot_tell",
    "conclude",
    "decide",
    "load_result",
    "molecule_effect",
    "no_progress",
    "rank_correlation",
    "save_result",
    "untrained_model",
]
