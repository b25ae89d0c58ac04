r"""Constants that meet a signal one after the other, made one: :math:`(x \otimes f)\,C = x\,(f C)`.

Tensor products of e3nn multiply a state x with spherical harmonics f first and contract with coefficients C after. On
the rows of many sets x ⊗ f costs much time and memory. f and C are the same in all sets: f C is made once.
"""

from __future__ import annotations

from dataclasses import replace
from math import prod
from string import ascii_letters

import torch
from torch import Tensor

from atomlens.recording.operations import argument
from atomlens.recording.trace import Const, Node, Ref, Trace


def contract_constants(trace: Trace) -> None:
    """Let every contraction of an outer product with a constant read the signal itself; numbers of nodes stay.

    Only ``tensordot`` after ``einsum`` of a signal and a constant is rewritten, where f C is not larger than x ⊗ f.
    What nobody reads any more keeps its shape and loses its numbers.
    """
    for number, node in enumerate(trace.nodes):
        if node.name == "aten.tensordot" and isinstance(node.args[0], Ref) and isinstance(node.args[1], Const):
            found = _contracted(trace, node, trace.nodes[node.args[0].node])
            if found is not None:
                trace.nodes[number] = found
    read = {parent for node in trace.nodes for parent in node.parents()}
    for number, node in enumerate(trace.nodes):
        if node.op is not None and number not in read and number != trace.result:
            node.value = node.value.to("meta")


def _contracted(trace: Trace, node: Node, outer: Node) -> Node | None:
    if outer.name != "aten.einsum" or len(outer.args[1]) != 2 or "." in outer.args[0]:
        return None
    inputs, arrow, product = outer.args[0].replace(" ", "").partition("->")
    by_kind = {
        type(factor): (factor, letters) for factor, letters in zip(outer.args[1], inputs.split(","), strict=True)
    }
    if not arrow or set(by_kind) != {Ref, Const}:
        return None
    (signal, x), (constant, f) = by_kind[Ref], by_kind[Const]
    f_values, c_values = trace.constants[constant.number], trace.constants[node.args[1].number]
    kept_letters, fresh = list(product), iter(sorted(set(ascii_letters) - set(inputs)))
    c = [next(fresh) for _ in c_values.shape]
    for of_product, of_constant in zip(argument(node, 2), argument(node, 3), strict=True):
        c[of_constant] = product[of_product]
        kept_letters.remove(product[of_product])
    result = "".join(kept_letters + [letter for letter in c if letter not in product])
    both = "".join(letter for letter in dict.fromkeys([*f, *c]) if letter in x or letter in result)
    joined = torch.einsum(f"{f},{''.join(c)}->{both}", f_values, c_values)
    if _size(joined) > _size(outer.value):
        return None
    trace.constants.append(joined)
    args = (f"{x},{both}->{result}", [signal, Const(len(trace.constants) - 1)])
    return replace(outer, args=args, value=node.value, _parents=None, _name=None)


def _size(value: Tensor) -> int:
    """Number of entries; dimensions without any count as one, so that the choice is the same without edges."""
    return prod(max(1, n) for n in value.shape)
