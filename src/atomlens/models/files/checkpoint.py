"""atomlens model files: safetensors with the model's whole definition in the header.

The header's metadata hold ``format`` ("atomlens-model"), ``format_version`` and ``config``, the JSON of
`ModelConfig.to_dict`: architecture, readout, property and unit, elements and data card. Every tensor is stored
in its own dtype, those of shared layers once.
"""

from __future__ import annotations

import json
from pathlib import Path

import safetensors
import safetensors.torch
from torch import Tensor

from atomlens.folders import atomic_file
from atomlens.models.config import ModelConfig
from atomlens.models.files.weights import build_potential, empty_potential, named_tensors
from atomlens.models.potential import Potential
from atomlens.structures import InputError

FORMAT = "atomlens-model"
FORMAT_VERSION = 1
# Letters of a model definition with its data card; those of shipped models have a few thousand.
_LONGEST = 2**20


def save_model(model: Potential, path: str | Path) -> None:
    """Write a model to one file that `load_model` reads back bit for bit.

    The same model gives the same bytes. The file appears complete or not at all: it is written beside `path`
    under another name and then renamed; a failure leaves what was there before.

    Parameters
    ----------
    model
        Model to save; it is not changed.
    path
        File to write, by custom ``*.safetensors``. An existing file is replaced.

    Raises
    ------
    InputError
        If the model's tensors are not those of its configuration, its data card is not plain JSON, or the file
        cannot be written.
    """
    tensors = {name: tensor.detach().cpu().contiguous().clone() for name, tensor in named_tensors(model).items()}
    expected = named_tensors(empty_potential(model.config))
    if odd := sorted(set(expected) ^ set(tensors)):
        raise InputError(f"the model and its configuration disagree about the tensor {odd[0]}; it cannot be saved")
    for name, tensor in tensors.items():
        if tensor.shape != expected[name].shape:
            raise InputError(
                f"the tensor {name} has shape {tuple(tensor.shape)}, the model's configuration asks for "
                f"{tuple(expected[name].shape)}; it cannot be saved"
            )
    metadata = {
        "format": FORMAT,
        "format_version": str(FORMAT_VERSION),
        "config": _config_to_json(model.config),
    }
    write_atomically(path, _sorted_header(safetensors.torch.save(tensors, metadata=metadata)))


def read_model(path: str | Path) -> Potential:
    """Read a file that `save_model` wrote, every tensor in the dtype it was saved in.

    Raises
    ------
    InputError
        If the file is damaged, is somebody else's safetensors file, or was written by a newer version.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            config = _config_of(metadata)
            # Copies, because the file is mapped into memory and may change after it was read.
            tensors: dict[str, Tensor] = {name: file.get_tensor(name).clone() for name in file.keys()}  # noqa: SIM118
    except safetensors.SafetensorError as error:
        raise InputError(f"damaged safetensors file ({error}); fetch or write it again") from error
    return build_potential(config, tensors)


def read_config(path: str | Path) -> ModelConfig:
    """Only the configuration and data card of a file that `save_model` wrote, without its tensors.

    Raises
    ------
    InputError
        As `read_model`.
    """
    try:
        with safetensors.safe_open(path, framework="pt") as file:
            return _config_of(file.metadata() or {})
    except safetensors.SafetensorError as error:
        raise InputError(f"{path}: damaged safetensors file ({error}); fetch or write it again") from error


def write_atomically(path: str | Path, data: bytes) -> None:
    """Write `data` to `path` so that nobody ever sees a part of it.

    Raises
    ------
    InputError
        If the system refuses, for instance because the folder does not exist.
    """
    try:
        with atomic_file(Path(path)) as part:
            part.write_bytes(data)
    except OSError as error:
        raise InputError(f"{path}: cannot be written ({error.strerror}); give a file in an existing folder") from error


def _config_to_json(config: ModelConfig) -> str:
    data = config.to_dict()
    try:
        text = json.dumps(data, allow_nan=False)
        same = ModelConfig.from_dict(json.loads(text)) == config
    except (TypeError, ValueError) as error:
        raise InputError(f"the model's configuration cannot be written as JSON ({error})") from error
    if not same:
        raise InputError("the model's data card changes when written as JSON; use text keys, lists and plain numbers")
    return text


def _config_of(metadata: dict[str, str]) -> ModelConfig:
    if metadata.get("format") != FORMAT:
        raise InputError(
            "a safetensors file, but not one of atomlens: its header does not define a model; "
            "give a file written by save_model"
        )
    version = metadata.get("format_version", "")
    if not version.isdecimal() or len(version) > 9:
        raise InputError(f"format version {version!r} in the header is no number; the file is damaged")
    if int(version) > FORMAT_VERSION:
        raise InputError(f"format version {version}; this atomlens reads up to {FORMAT_VERSION}, update atomlens")
    text = metadata.get("config", "")
    if len(text) > _LONGEST:
        raise InputError(f"the header's model definition has {len(text)} letters, at most {_LONGEST} are read")
    try:
        data = json.loads(text)
        if not isinstance(data, dict):
            raise ValueError(f"a {type(data).__name__}, not a table")
        return ModelConfig.from_dict(data)
    except (ValueError, TypeError, OverflowError, RecursionError) as error:
        raise InputError(f"the header's model definition cannot be read ({error})") from error


def _sorted_header(data: bytes) -> bytes:
    # safetensors writes the metadata in an arbitrary order that changes from run to run.
    size = int.from_bytes(data[:8], "little")
    header = json.loads(data[8 : 8 + size])
    header["__metadata__"] = dict(sorted(header["__metadata__"].items()))
    text = json.dumps(header, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    return len(text).to_bytes(8, "little") + text + data[8 + size :]
