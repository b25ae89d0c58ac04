from .checks import Checks, check_layers
from .functions import under_rule
from .interfaces import RecordedRows
from .layers import Layers
from .linear import LinearMap
from .local import LocalRows
from .products import DEFAULT_PRODUCT_RULE, PRODUCT_RULES, check_product_rule
from .record import OpenModel, Recording, open_model, record
from .source import FurtherRows, RecordedModel, StructureInputs
from .trace import UnknownOperatorError
from .union import Union

__all__ = [
    "DEFAULT_PRODUCT_RULE",
    "PRODUCT_RULES",
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
    "check_product_rule",
    "open_model",
    "record",
    "under_rule",
]
