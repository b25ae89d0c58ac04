"""From a configuration to data, split and a fresh model."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch
from ase.data import chemical_symbols
from jaxtyping import Int

from atomlens.data import (
    Dataset,
    GraphStore,
    Keys,
    Split,
    SplitOrigin,
    Units,
    digest,
    find_edges,
    load_origin,
    load_qm9,
    load_split,
    make_group_split,
    make_split,
    read_dataset,
    require_matching_forces,
)
from atomlens.models import Atomwise, OutputConfig, Potential, empty_potential, named_tensors
from atomlens.structures import InputError
from atomlens.training.config import DataSettings, TrainConfig
from atomlens.training.labels import check_labels, check_totals, used_columns
from atomlens.training.standardise import standardise

# With gradients and the optimiser's averages, 4 GB.
_MOST_PARAMETERS = 200_000_000
# Settings that make a split.
_SPLIT_SETTINGS = ("n_train", "n_val", "n_test", "split_seed", "groups")


@dataclass(frozen=True)
class TestSet:
    """Structures to test on: their name, the tensors they are in, and which of them."""

    name: str
    store: GraphStore
    indices: Int[np.ndarray, " M"]


@dataclass(frozen=True)
class Prepared:
    """Data, their division, their tensors, the model with its references, and what to test it on.

    `digest` names the data; `origin` is what to store with the split, None where the stored one stays as it is.
    """

    dataset: Dataset
    split: Split
    store: GraphStore
    model: Potential
    tests: tuple[TestSet, ...]
    digest: str
    origin: SplitOrigin | None


def prepare(
    config: TrainConfig,
    base: Path,
    out: Path,
    device: torch.device | str = "cpu",
    *,
    resumed: bool = False,
    given_split: bool = False,
) -> Prepared:
    """Read the data, split them (or read the run's split), and make the model with its references.

    Everything that the run will need is read and checked here, so that bad input is reported before hours of training.

    Parameters
    ----------
    config, base, out, device
        What to train on what, the folder that its paths start from, the folder of the run, and where to compute.
    resumed
        Whether the run has finished epochs, which belong to the split and the data that it was started with.
    given_split
        Whether the ``split.json`` in `out` is the user's.

    Raises
    ------
    InputError
        If data are unusable, or structures have elements that no training structure has.
    """
    settings = config.data
    dataset = read_source(config, base, settings.path, resumed=resumed)
    check_labels(dataset, settings)
    if not resumed:
        check_totals(dataset, config)
    if settings.forces and settings.check_forces:
        require_matching_forces(dataset)
    split_path = out / "split.json"
    known = digest(dataset, used_columns(settings))
    split, origin = _divided(dataset, settings, split_path, known, resumed=resumed, given=given_split)
    elements = dataset.subset(split.train).elements
    _check_elements(dataset, np.concatenate([split.val, split.test]), elements)
    model = make_model(config, dataset, split, elements)
    model.check_open(bool(dataset.periodic.any()))
    model.to(device=device)
    store = _store(config, dataset, model)
    tests = [TestSet("test", store, split.test)] if len(split.test) else []
    if settings.test_path:
        extra = read_source(config, base, settings.test_path, resumed=resumed)
        check_labels(extra, replace(settings, groups=""))
        _check_elements(extra, np.arange(len(extra)), elements)
        model.check_open(bool(extra.periodic.any()))
        name = _name_of(Path(settings.test_path), {found.name for found in tests})
        tests.append(TestSet(name, _store(config, extra, model), np.arange(len(extra))))
    return Prepared(dataset, split, store, model, tuple(tests), known, origin)


def _name_of(path: Path, taken: set[str]) -> str:
    """What errors of the structures in a file are called; those of the split are called "test"."""
    return next(name for name in (path.stem, path.name, "test_path") if name not in taken)


def _divided(
    dataset: Dataset, settings: DataSettings, path: Path, known: str, *, resumed: bool, given: bool
) -> tuple[Split, SplitOrigin | None]:
    """The run's split, and what to store with it; None where the stored one stays as it is.

    Finished epochs belong to the stored split, and a split that the user gave is taken as it is. One that an attempt
    without a finished epoch left behind is used only where this run would make the same.
    """
    made = {name: getattr(settings, name) for name in _SPLIT_SETTINGS}
    structures = digest(dataset, ())
    stored = load_origin(path) if path.exists() else None
    left_behind = not resumed and not given and stored is not None and stored.settings is not None
    if stored is None or (left_behind and stored != SplitOrigin(known, made, structures)):
        return _split(dataset, settings), SplitOrigin(known, made, structures)
    if stored.data and stored.data != known and not (given and stored.structures == structures):
        raise InputError(
            f"{path}: belongs to other data: structures, their order, or {', '.join(used_columns(settings))} have "
            "changed since it was made; restore the data, or give another --out"
        )
    split = load_split(path, len(dataset))
    _check_sizes(split, settings, path, tested=not resumed)
    return split, SplitOrigin(known, None, structures) if given else None


def _check_sizes(split: Split, settings: DataSettings, path: Path, *, tested: bool) -> None:
    """A split that was stored must be the one that is asked for; groups are counted otherwise."""
    found, asked = [len(split.train), len(split.val)], [settings.n_train, settings.n_val]
    if tested and settings.n_test is not None:
        found, asked = [*found, len(split.test)], [*asked, settings.n_test]
    if not settings.groups and found != asked:
        raise InputError(
            f"{path}: has {_listed(found)} structures, the configuration asks for {_listed(asked)}; "
            "give another --out, or delete the file"
        )


def _listed(sizes: list[int]) -> str:
    named = zip(sizes, ("training", "validation", "test"), strict=False)
    return ", ".join(f"{size} {name}" for size, name in named)


def _split(dataset: Dataset, settings: DataSettings) -> Split:
    sizes = settings.n_train, settings.n_val, settings.n_test
    if not settings.groups:
        return make_split(len(dataset), *sizes, settings.split_seed)
    column = dataset.column(settings.groups)
    if column.per_atom or column.values.ndim != 1 or not np.issubdtype(column.values.dtype, np.integer):
        raise InputError(f"{dataset.name}: {settings.groups} cannot group structures; name a property of whole numbers")
    return make_group_split(np.asarray(column.values), *sizes, settings.split_seed)


def _store(config: TrainConfig, dataset: Dataset, model: Potential) -> GraphStore:
    settings = config.data
    forces, charges = "forces" if settings.forces else None, settings.charges or None
    edges = find_edges(dataset, model.cutoff)
    return GraphStore(dataset, edges, settings.property, forces, model.dtype, model.device, charges)


def _check_elements(dataset: Dataset, structures: Int[np.ndarray, " M"], known: tuple[int, ...]) -> None:
    unknown = np.flatnonzero(~np.isin(dataset.numbers, known))
    owners = np.searchsorted(dataset.starts, unknown, side="right") - 1
    met = np.flatnonzero(np.isin(owners, structures))
    if len(met):
        symbol = chemical_symbols[int(dataset.numbers[unknown[met[0]]])]
        raise InputError(
            f"{dataset.name}: structure {int(owners[met[0]])} has {symbol}, which no training structure has; "
            "train on more structures, or leave such structures out"
        )


def read_source(config: TrainConfig, base: Path, path: str, *, resumed: bool = False) -> Dataset:
    """The data set that a configuration names.

    Units and entries that are given for a data-set folder are refused, unless they are meant for the file beside it;
    runs that were started when nobody looked go on.
    """
    settings = config.data
    if settings.set == "qm9":
        return load_qm9()
    files = [name for name in (settings.path, settings.test_path) if name and not (base / name).is_dir()]
    if (files or resumed) and (base / path).is_dir():
        return read_dataset(base / path)
    units = Units(settings.energy_unit, settings.length_unit, settings.force_unit)
    return read_dataset(base / path, units, Keys(settings.energy_key, settings.forces_key))


def make_model(config: TrainConfig, dataset: Dataset, split: Split, elements: tuple[int, ...]) -> Potential:
    """A model with fresh weights (by the configuration's seed), references and scale of the training set."""
    settings, readout = config.data, config.model.readout
    column = dataset.column(settings.property)
    extensive = readout == "sum"
    output = OutputConfig(settings.property, column.unit, extensive=extensive, has_forces=settings.forces)
    torch.manual_seed(config.seed)
    try:
        asked = config.model.model_config(output, elements)
        if (
            size := sum(tensor.numel() for tensor in named_tensors(empty_potential(asked)).values())
        ) > _MOST_PARAMETERS:
            raise InputError(f"model: it would have {size} parameters; up to {_MOST_PARAMETERS} can be trained")
        model = Potential(asked).cast(torch.float32)
    except InputError:
        raise
    except ValueError as error:  # what only the data tell, such as a property that is no energy
        raise InputError(f"model: {error}") from error
    standard = standardise(
        dataset,
        split.train,
        settings.property,
        "forces" if settings.forces else None,
        kind=config.model.references,
        extensive=extensive,
        centred=readout != "dipole" and config.model.centre,
    )
    if not config.model.centre:
        assert isinstance(model.readout, Atomwise)
        bias = model.readout.network.layers[-1].bias.requires_grad_(False)
        bias.zero_()
    model.atomrefs.copy_(torch.from_numpy(standard.references[: len(model.atomrefs)]))
    model.mean.fill_(standard.mean)
    model.scale.fill_(config.model.scale or standard.scale)
    return model
