"""Any PyTorch model as a linear program of its atom states: recorded once, executed on any set of atoms."""

from atomlens.recording.checks import Checks, check_layers
from atomlens.recording.functions import under_rule
from atomlens.recording.layers import Layers
from atomlens.recording.linear import LinearMap, RecordedRows
from atomlens.recording.local import LocalRows
from atomlens.recording.record import OpenModel, Recording, open_model, record
from atomlens.recording.source import FurtherRows, RecordedModel, StructureInputs
from atomlens.recording.trace import UnknownOperatorError
from atomlens.recording.union import Union

__all__ = [
    "Checks",
    "FurtherRows",
    "Layers",
    "LinearMap",
    "LocalRows",
    "OpenModel",
    "RecordedModel",
    "RecordedRows",
    "Recording",
    "StructureInputs",
    "Union",
    "UnknownOperatorError",
    "check_layers",
    "open_model",
    "record",
    "under_rule",
]
