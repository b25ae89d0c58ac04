"""Any PyTorch model as a linear program of its atom states: recorded once, executed on any set of atoms."""

from atomlens.recording.source import FurtherRows, RecordedModel, StructureInputs

__all__ = ["FurtherRows", "RecordedModel", "StructureInputs"]
