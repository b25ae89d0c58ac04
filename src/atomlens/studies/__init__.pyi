from .correlation import Association, associations
from .grid import Member
from .page import sentence
from .plan import StudyConfig, read_study
from .run import StudyRun, run_study

__all__ = [
    "Association",
    "Member",
    "StudyConfig",
    "StudyRun",
    "associations",
    "read_study",
    "run_study",
    "sentence",
]
