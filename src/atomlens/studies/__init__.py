"""Studies: a grid of models trained, analysed, scored, simulated, and put into one table."""

from atomlens.studies.correlation import Association, associations
from atomlens.studies.plan import Member, StudyConfig, read_study
from atomlens.studies.run import StudyRun, run_study

__all__ = ["Association", "Member", "StudyConfig", "StudyRun", "associations", "read_study", "run_study"]
