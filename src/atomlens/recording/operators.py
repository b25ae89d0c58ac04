"""The operators that a signal may meet, and what kind of rule each falls under."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum
from typing import Any


class Kind(Enum):
    """How an operator is made linear in its signals."""

    LINEAR = "as it is; constants that are added become offsets"
    PRODUCT = "each of its signals carries a share, the others frozen"
    QUOTIENT = "the denominator frozen"
    ELEMENTWISE = "the gain of the rule"
    POWER = "y^p as (y^(p-1)) frozen times y"
    NORM = "the direction frozen"
    LAYER_NORM = "the scale frozen"
    FROZEN = "its value frozen: weights of attention, inverse roots, masks"
    UNLINKED = "its value frozen under every rule, the derivative's too"


@dataclass(frozen=True)
class Operator:
    """One operator.

    Attributes
    ----------
    kind
        What kind of rule it falls under.
    factors
        Positions of the factors, of products and quotients.
    added
        Positions of arguments that are added, written or chosen: constants there are offsets. Of linear operators all
        tensors that are not indices.
    index
        Positions of arguments that number rows.
    """

    kind: Kind
    factors: tuple[int, ...] = ()
    added: tuple[int, ...] = (0,)
    index: tuple[int, ...] = ()


def name_of(op: Any) -> str:
    """Name without the overload, such as ``aten.mul``."""
    return str(op.overloadpacket)


def _each(names: str, operator: Operator) -> dict[str, Operator]:
    return {f"aten.{name}": operator for name in names.split()}


# New tensors whose values no signal decides.
FACTORIES: frozenset[str] = frozenset(
    f"aten.{name}"
    for name in [
        "zeros_like",
        "ones_like",
        "empty_like",
        "full_like",
        "new_zeros",
        "new_ones",
        "new_empty",
        "new_full",
        "rand_like",
        "randn_like",
        "new_empty_strided",
        "sym_size",
        "size",
        "sym_numel",
        "is_nonzero_size",
    ]
)

# What takes only shape or type from its second tensor: its values are those of the first alone.
LIKE_ANOTHER: frozenset[str] = frozenset(f"aten.{name}" for name in ["expand_as", "view_as", "reshape_as", "type_as"])

OPERATORS: dict[str, Operator] = {
    **_each(
        "view reshape _unsafe_view _reshape_alias view_as flatten unflatten permute transpose swapaxes t numpy_T mT "
        "movedim squeeze unsqueeze expand expand_as alias clone contiguous lift_fresh to _to_copy type_as neg sum mean "
        "narrow slice select diagonal flip roll repeat tile tril triu real positive sum_to_size "
        "split split_with_sizes chunk unbind tensor_split unsafe_split",
        Operator(Kind.LINEAR),
    ),
    **_each("cat stack concat concatenate hstack vstack dstack column_stack", Operator(Kind.LINEAR)),
    **_each("add sub subtract rsub", Operator(Kind.LINEAR, added=(0, 1))),
    **_each("copy fill", Operator(Kind.LINEAR, added=(1,))),
    **_each("zero", Operator(Kind.UNLINKED)),
    **_each("index_select", Operator(Kind.LINEAR, index=(2,))),
    **_each("gather", Operator(Kind.LINEAR, index=(2,))),
    **_each("index", Operator(Kind.LINEAR, index=(1,))),
    **_each("embedding", Operator(Kind.LINEAR, index=(1,))),
    **_each("index_add scatter_add", Operator(Kind.LINEAR, added=(0, 3), index=(2,))),
    **_each("scatter_reduce", Operator(Kind.LINEAR, added=(0, 3), index=(2,))),
    **_each("scatter index_copy", Operator(Kind.LINEAR, added=(0, 3), index=(2,))),
    **_each("index_put _unsafe_index_put", Operator(Kind.LINEAR, added=(0, 2), index=(1,))),
    **_each("slice_scatter select_scatter", Operator(Kind.LINEAR, added=(0, 1))),
    **_each("where", Operator(Kind.LINEAR, added=(1, 2))),
    **_each("masked_fill", Operator(Kind.LINEAR, added=(0, 2))),
    **_each("mul multiply bmm mm matmul mv dot vdot inner outer ger kron", Operator(Kind.PRODUCT, (0, 1), ())),
    **_each("linalg_cross cross tensordot linalg_vecdot linalg_matmul", Operator(Kind.PRODUCT, (0, 1), ())),
    **_each("linear", Operator(Kind.PRODUCT, (0, 1), (2,))),
    **_each("addmm baddbmm addbmm addmv addr addcmul", Operator(Kind.PRODUCT, (1, 2), (0,))),
    **_each("einsum", Operator(Kind.PRODUCT, (1,), ())),
    **_each("div divide true_divide", Operator(Kind.QUOTIENT, (0, 1), ())),
    **_each(
        "silu relu relu6 gelu tanh sigmoid softplus elu celu selu leaky_relu mish exp expm1 hardtanh hardswish "
        "hardsigmoid log_sigmoid erf sin cos sinh tan atan arctan asinh abs log1p clamp clamp_min clamp_max",
        Operator(Kind.ELEMENTWISE),
    ),
    **_each("pow sqrt square", Operator(Kind.POWER)),
    **_each("linalg_vector_norm linalg_norm norm frobenius_norm", Operator(Kind.NORM)),
    **_each("layer_norm", Operator(Kind.LAYER_NORM)),
    **_each("softmax _softmax rsqrt reciprocal", Operator(Kind.FROZEN)),
    **_each(
        "gt lt ge le eq ne sign sgn isnan isinf isfinite logical_and logical_or logical_not", Operator(Kind.UNLINKED)
    ),
    **_each("detach", Operator(Kind.UNLINKED)),
}
