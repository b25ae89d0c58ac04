"""`load_model`: a model from a file of any known kind, told by its content, or from the zoo."""

from __future__ import annotations

from pathlib import Path

import torch

from atomlens.models import ENERGY_UNITS, ZOO, Potential, read_model, with_card, zoo_path
from atomlens.potentials.schnetpack import LEGACY_START, check_energy_unit, convert, open_legacy, open_zip, read_pickle
from atomlens.structures import InputError

_KINDS = "give an atomlens model, a SchNetPack whole-model file (best_model), or zoo:NAME"


def load_model(
    path: str | Path,
    *,
    dtype: torch.dtype | None = torch.float64,
    energy_unit: str | None = None,
    output: str | None = None,
) -> Potential:
    """Load a model, ready for predictions and explanations.

    What a file is, its content tells, not its name. Nothing in a file is ever executed.

    Parameters
    ----------
    path
        A file of `save_model`; a whole-model file of SchNetPack 2.0 to 2.2, with its ``config.yaml`` beside it if
        there is one; or ``zoo:NAME`` for a model that comes with atomlens (`zoo_names`).
    dtype
        Type that the network's weights are turned to (scale, mean and references stay in float64); None to keep
        what the file has.
    energy_unit
        Unit of the energy of a SchNetPack file, which does not hold it itself (``kcal/mol``, ``Hartree``, ...).
        Not needed with a ``config.yaml``; eV where neither tells. ``config.card["unit_source"]`` says which.
    output
        Which property, if a SchNetPack file predicts several.

    Returns
    -------
    The model in evaluation mode, with parameters that ask for no gradients.

    Raises
    ------
    InputError
        If there is no such file, or no model that can be read in it.
    """
    from_zoo = isinstance(path, str) and path.startswith(ZOO)
    file = zoo_path(str(path)) if from_zoo else Path(path)
    try:
        check_energy_unit(energy_unit)
        model = _read(file, energy_unit, output)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    model.eval().requires_grad_(False)
    return model if dtype is None else model.cast(dtype)


def _read(file: Path, energy_unit: str | None, output: str | None) -> Potential:
    data = _bytes_of(file)
    # Safetensors begin with the length of their header, whose bytes may look like the start of anything.
    if data[8:9] == b"{" and int.from_bytes(data[:8], "little") <= len(data):
        return _own(read_model(file), energy_unit, output)
    if data.startswith(b"PK"):
        return convert(open_zip(data), file, energy_unit=energy_unit, output=output)
    if data.startswith(LEGACY_START):
        return convert(open_legacy(data), file, energy_unit=energy_unit, output=output)
    if data[:1] == b"\x80":
        read_pickle(data)  # so that a name which does not belong is told
        raise InputError(f"a bare pickle, not a file that torch.save wrote; {_KINDS}")
    if data[8:9] == b"{":
        raise InputError("damaged safetensors file (its header is longer than the file); fetch or write it again")
    raise InputError(f"not a model file; {_KINDS}")


def _own(model: Potential, energy_unit: str | None, output: str | None) -> Potential:
    told = model.config.output
    if output not in (None, told.property):
        raise InputError(f"predicts {told.property}; output={output!r} is not among them")
    if energy_unit is not None and ENERGY_UNITS[energy_unit] != ENERGY_UNITS.get(told.unit):
        raise InputError(f"its header gives {told.property} in {told.unit}, energy_unit says {energy_unit}")
    # A unit that was only assumed when the model was converted stays marked as such.
    return model if "unit_source" in model.config.card else with_card(model, unit_source="file header")


def _bytes_of(file: Path) -> bytes:
    try:
        if file.is_dir():
            raise InputError(f"a folder; {_KINDS}")
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"no such file; {_KINDS}") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not data:
        raise InputError(f"empty; {_KINDS}")
    return data
