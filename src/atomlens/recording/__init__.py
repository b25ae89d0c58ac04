"""Any PyTorch model as a linear program of its atom states: recorded once, executed on any set of atoms."""

from atomlens.recording.functions import under_rule
from atomlens.recording.source import FurtherRows, RecordedModel, StructureInputs
from atomlens.recording.trace import UnknownOperatorError

__all__ = ["FurtherRows", "RecordedModel", "StructureInputs", "UnknownOperatorError", "under_rule"]
