"""`load_model`: a model from a file of any known kind, recognised by its content, or from the zoo."""

from __future__ import annotations

import os
from dataclasses import replace
from pathlib import Path

import torch

from atomlens.models import ENERGY_UNITS, Potential, is_zoo_name, read_model, with_card, zoo_path
from atomlens.potentials.imported import is_import_path
from atomlens.potentials.opened import AnyModel
from atomlens.potentials.registry import foreign_architecture, open_foreign, shipped_with_a_library
from atomlens.potentials.schnetpack import LEGACY_START, check_energy_unit, convert, open_legacy, open_zip, read_pickle
from atomlens.structures import InputError, Precision, as_dtype, check_regular

# Models of this field have megabytes; a file is read into memory as a whole.
_LARGEST = 2**32
_DAMAGE = (ArithmeticError, ValueError, TypeError, LookupError, AttributeError, RuntimeError, RecursionError)
_KINDS = (
    "give an atomlens model, a SchNetPack whole-model file (best_model), a file of MACE, SevenNet, NequIP or graph-pes "
    "(with --trust), zoo:NAME or sevenn:NAME"
)


def load_model(
    path: str | Path,
    *,
    dtype: Precision | None = torch.float64,
    energy_unit: str | None = None,
    output: str | None = None,
    trust: bool = False,
) -> AnyModel:
    """Load a model of any kind that can be opened, ready for predictions and explanations.

    The content of a file decides what it is, not its name. Nothing in a file is executed unless `trust` is set.

    Parameters
    ----------
    path
        Our own models: a file of `save_model`; a whole-model file of SchNetPack 2.0 to 2.2, with its ``config.yaml``
        beside it if there is one; ``zoo:NAME`` for a model that ships with atomlens (`zoo_names`). Models of other
        libraries, which must be installed: a file of MACE, SevenNet, NequIP or graph-pes; ``sevenn:7net-0`` and the
        like for weights that ship with a library.
    dtype, energy_unit, output
        As for `load_potential`. Models of other libraries are always opened in float64.
    trust
        That you know where a file comes from: opening a pickled model of another library runs code that it holds.
        Weights that ship inside an installed library are trusted as that library is.

    Returns
    -------
    A `Potential`, or an `OpenedModel` of another library.

    Raises
    ------
    InputError
        If there is no such model, it cannot be read, or it is not trusted.
    TypeError
        If `path` is neither text nor a path.
    ValueError
        If `dtype` is not known.
    """
    if not isinstance(path, str | Path):
        raise TypeError(f"load_model received {type(path).__name__}; give the path of a file, or zoo:NAME")
    dtype = None if dtype is None else as_dtype(dtype)
    if is_import_path(str(path)):
        raise InputError(
            f"{path}: an ASE calculator has energies and forces, and nothing of a model to look into; atomlens "
            "analyze, check and response take it"
        )
    library = shipped_with_a_library(str(path))
    if library is None and not is_zoo_name(str(path)):
        if os.path.exists(path):
            check_regular(Path(path))
        try:
            library = foreign_architecture(Path(path))
        except (OSError, ValueError):  # reported below, in the words for files
            library = None
    if library is None:
        return load_potential(path, dtype=dtype, energy_unit=energy_unit, output=output)
    if dtype not in (None, torch.float64):
        raise InputError(f"{path}: models of other libraries are explained in float64; leave out --dtype {dtype}")
    if output is not None:
        raise InputError(f"{path}: {output!r}: of models of other libraries the energy is explained; leave it out")
    return open_foreign(library, path, trust=trust, energy_unit=energy_unit)


def load_potential(
    path: str | Path,
    *,
    dtype: Precision | None = torch.float64,
    energy_unit: str | None = None,
    output: str | None = None,
) -> Potential:
    """Load one of our own networks, from our own file, SchNetPack's, or the zoo. Nothing in a file is executed.

    Parameters
    ----------
    path
        A file of `save_model`; a whole-model file of SchNetPack 2.0 to 2.2, with its ``config.yaml`` beside it if
        there is one; or ``zoo:NAME`` for a model that ships with atomlens (`zoo_names`).
    dtype
        Type that the network's weights are turned to (scale, mean and references stay in float64); None to keep
        what the file has.
    energy_unit
        Unit of the energy of a SchNetPack file, which does not hold it itself (``kcal/mol``, ``Hartree``, ...).
        Not needed with a ``config.yaml``, and asked for where neither says it. ``config.card["unit_source"]`` says
        which it was.
    output
        Which property, if a SchNetPack file predicts several.

    Returns
    -------
    The model in evaluation mode, with parameters that ask for no gradients.

    Raises
    ------
    InputError
        If there is no such file, or no model that can be read in it.
    ValueError
        If `dtype` is not known.
    """
    dtype = None if dtype is None else as_dtype(dtype)
    file = zoo_path(path) if isinstance(path, str) and is_zoo_name(path) else Path(path)
    try:
        check_energy_unit(energy_unit)
        model = _read(file, energy_unit, output)
    except InputError as error:
        if file.suffix == ".ckpt" and file.is_file():
            raise InputError(
                f"{path}: a checkpoint of training, not a model ({error}); package one of NequIP with "
                f"nequip-package build {path} NAME.nequip.zip, and of SchNetPack give best_model"
            ) from error
        raise InputError(f"{path}: {error}") from error
    except _DAMAGE as error:  # what a forged number or name makes of the code that reads it
        raise InputError(f"{path}: damaged, it cannot be read ({_first_line(error)})") from error
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
        read_pickle(data)  # so that a name which does not belong is reported
        raise InputError(f"a bare pickle, not a file that torch.save wrote; {_KINDS}")
    if data[8:9] == b"{":
        raise InputError("damaged safetensors file (its header is longer than the file); fetch or write it again")
    raise InputError(f"not a model file; {_KINDS}")


def _own(model: Potential, energy_unit: str | None, output: str | None) -> Potential:
    told = model.config.output
    if output not in (None, told.property):
        raise InputError(f"predicts {told.property}; output={output!r} is not among them")
    if model.config.card.get("unit_source") == "assumed eV":  # converted by an early version that did not ask
        if energy_unit is None:
            raise InputError(
                f"the unit of its {told.property} is not known, eV was assumed by a converter; say it with --unit "
                "(energy_unit= in Python), or convert it again from its run's folder with config.yaml"
            )
        model.config = replace(model.config, output=replace(told, unit=energy_unit))
        return with_card(model, unit_source="given")
    if energy_unit is not None and ENERGY_UNITS[energy_unit] != ENERGY_UNITS.get(told.unit):
        raise InputError(f"its header gives {told.property} in {told.unit}, energy_unit says {energy_unit}")
    return model if "unit_source" in model.config.card else with_card(model, unit_source="file header")


def _bytes_of(file: Path) -> bytes:
    try:
        if file.is_dir():
            raise InputError(f"a folder; {_KINDS}")
        if file.exists():
            check_regular(file)
        if file.stat().st_size > _LARGEST:
            raise InputError(f"has {file.stat().st_size} bytes, far more than a model; {_KINDS}")
        data = file.read_bytes()
    except InputError:
        raise
    except FileNotFoundError as error:
        raise InputError(f"no such file; {_KINDS}") from error
    except (OSError, ValueError) as error:  # ValueError: a path with a zero byte
        raise InputError(f"cannot be read ({getattr(error, 'strerror', None) or error})") from error
    if not data:
        raise InputError(f"empty; {_KINDS}")
    return data


def _first_line(error: Exception) -> str:
    return f"{type(error).__name__}: {error}".splitlines()[0][:200]
