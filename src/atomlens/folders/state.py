"""State of an unfinished run on disk: tensors in a safetensors file, everything else as JSON in its header.

Neither can name code, and neither can claim more than its file holds; reading one builds plain values and tensors.
"""

from __future__ import annotations

import json
import zlib
from pathlib import Path
from typing import Any

from atomlens.folders.files import atomic_file
from atomlens.structures import InputError

_FORMAT = "atomlens-state"


def save_state(path: Path, state: dict[str, Any]) -> None:
    """Write dictionaries, lists, tuples, text, numbers (infinite ones too), None, torch tensors and NumPy arrays.

    The file appears complete or not at all, and `load_state` reads back the same, bit for bit.

    Raises
    ------
    TypeError
        If the state holds anything else.
    """
    import safetensors.torch

    tensors: dict[str, Any] = {}
    text = json.dumps(_plain(state, tensors))
    metadata = {"format": _FORMAT, "state": text, "check": _checksum(text, tensors)}
    data = safetensors.torch.save(tensors, metadata=metadata)
    with atomic_file(path) as part:
        part.write_bytes(data)


def load_state(path: Path) -> dict[str, Any]:
    """Read what `save_state` wrote.

    Raises
    ------
    InputError
        If the file is damaged or is something else.
    """
    import safetensors

    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            if metadata.get("format") != _FORMAT:
                raise ValueError("no state of atomlens")
            # Copies, because the file is mapped into memory and will be replaced.
            tensors = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
        if metadata["check"] != _checksum(metadata["state"], tensors):
            raise ValueError("its checksum is another one")
        state = _restored(json.loads(metadata["state"]), tensors)
        if not isinstance(state, dict):
            raise ValueError(f"it holds a {type(state).__name__}")
        return state
    except (safetensors.SafetensorError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InputError(
            f"{path}: damaged, or not the state of a run ({error}); delete it to start again, or name another folder"
        ) from error


def _checksum(text: str, tensors: dict[str, Any]) -> str:
    """CRC-32 of everything: safetensors has none, and a number that was changed would go on without a word."""
    import torch

    check = zlib.crc32(text.encode())
    for name in sorted(tensors):
        data = tensors[name].reshape(-1).view(torch.uint8) if tensors[name].numel() else tensors[name].to(torch.uint8)
        check = zlib.crc32(data.numpy().tobytes(), zlib.crc32(name.encode(), check))
    return str(check)


def _plain(value: Any, tensors: dict[str, Any]) -> Any:
    """The value as JSON; what JSON lacks is a table of one key: tensor, array, tuple or dict."""
    import numpy as np
    import torch

    if isinstance(value, torch.Tensor | np.ndarray):
        kind = "tensor" if isinstance(value, torch.Tensor) else "array"
        tensor = value if isinstance(value, torch.Tensor) else torch.from_numpy(np.ascontiguousarray(value))
        name = str(len(tensors))
        tensors[name] = tensor.detach().cpu().contiguous().clone()
        return {kind: name}
    if isinstance(value, dict):
        return {"dict": [[key, _plain(entry, tensors)] for key, entry in value.items()]}
    if isinstance(value, tuple):
        return {"tuple": [_plain(entry, tensors) for entry in value]}
    if isinstance(value, list):
        return [_plain(entry, tensors) for entry in value]
    if isinstance(value, np.generic):
        return value.item()
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise TypeError(f"a {type(value).__name__} cannot be part of a state")


def _restored(value: Any, tensors: dict[str, Any]) -> Any:
    if isinstance(value, list):
        return [_restored(entry, tensors) for entry in value]
    if not isinstance(value, dict):
        return value
    ((kind, held),) = value.items()
    if kind == "tensor":
        return tensors[held]
    if kind == "array":
        return tensors[held].numpy()
    if kind == "tuple":
        return tuple(_restored(entry, tensors) for entry in held)
    if kind == "dict":
        return {key: _restored(entry, tensors) for key, entry in held}
    raise ValueError(f"it has an entry of kind {kind!r}")
