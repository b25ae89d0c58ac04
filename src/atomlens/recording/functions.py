"""Any function of atom states under a rule, with torch's automatic differentiation as its interface."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from atomlens.recording.interfaces import LinearRule, RecordedRows
from atomlens.recording.linear import LinearMap
from atomlens.recording.recorder import trace_call


def under_rule(rule: LinearRule, function: Callable[..., Tensor], *signals: Tensor) -> Tensor:
    r"""Value of a function whose derivative by its signals is the linear map of a rule.

    The function runs once and is recorded; nothing of it is changed.

    Parameters
    ----------
    rule
        How to freeze non-linear parts. Under ``gradient`` this is the function itself.
    function
        From the signals to one tensor.
    signals
        What carries relevance; everything else that the function needs it brings along, as constants.

    Raises
    ------
    InputError
        If a signal reaches an operator that has no rule.
    """
    with torch.enable_grad():
        if rule.product_share == 1.0:
            return function(*signals)
        copies = [signal.detach().clone() for signal in signals]
        trace = trace_call(lambda: function(*copies), signals=copies)
        if trace.result is None:
            return trace.value + sum(0.0 * signal.sum() for signal in signals)
        given = dict(zip(trace.starts, signals, strict=True))
        (image,) = LinearMap(trace, rule).run(given, [trace.result], RecordedRows(trace))
        if not image.requires_grad:
            image = image + sum(0.0 * signal.sum() for signal in signals)
        return image + (trace.value - image).detach()
