"""QM9: 130,831 small organic molecules with their DFT properties, parsed once from the qm9pack package."""

from __future__ import annotations

import contextlib
import hashlib
import importlib.metadata
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import polars as pl
from ase.data import atomic_numbers
from ase.units import Hartree
from jaxtyping import Float, Int

from atomlens.data.dataset import Column, Dataset
from atomlens.data.storage import cache_folder, load_dataset, save_dataset
from atomlens.structures import InputError, install_command

SOURCE = "QM9 (Ramakrishnan et al., Sci. Data 1, 140022, 2014), B3LYP/6-31G(2df,p), as packed in qm9pack {version}"
_PARTS = ("qm9_part1.csv", "qm9_part2.csv", "qm9_part3.csv")
_POLARIZABILITY = "qm9_polarizability.csv"
_FILES = (*_PARTS, _POLARIZABILITY)
_LAYOUT = 1  # raise it when the columns change, so that old caches are not read
_TENSOR = ("xx", "xy", "xz", "xy", "yy", "yz", "xz", "yz", "zz")
_FREQUENCIES = 81  # 3 * 29 - 6: the most that a molecule of QM9 has

# Name here, column in the files, unit here, factor to it, meaning.
_SCALARS: tuple[tuple[str, str, str, float, str], ...] = (
    ("rotA", "RotA_GHz", "GHz", 1.0, "rotational constant A"),
    ("rotB", "RotB_GHz", "GHz", 1.0, "rotational constant B"),
    ("rotC", "RotC_GHz", "GHz", 1.0, "rotational constant C"),
    ("dipole", "Dipole_debye", "D", 1.0, "magnitude of the dipole moment"),
    ("alpha", "Polarizability_bohr3", "a0^3", 1.0, "isotropic polarizability"),
    ("HOMO", "HOMO_au", "eV", Hartree, "energy of the highest occupied orbital"),
    ("LUMO", "LUMO_au", "eV", Hartree, "energy of the lowest unoccupied orbital"),
    ("gap", "HOMO_LUMO_gap_au", "eV", Hartree, "difference of LUMO and HOMO energies"),
    ("R2", "R2_bohr2", "a0^2", 1.0, "electronic spatial extent"),
    ("ZPVE", "ZPVE_au", "eV", Hartree, "harmonic zero-point vibrational energy"),
    ("U0", "InternalEnergy_0K_au", "eV", Hartree, "internal energy at 0 K, zero point included"),
    ("U", "InternalEnergy_298K_au", "eV", Hartree, "internal energy at 298.15 K"),
    ("H", "Enthalphy_298K_au", "eV", Hartree, "enthalpy at 298.15 K"),
    ("G", "GibbsFreeEnergy_298K_au", "eV", Hartree, "Gibbs free energy at 298.15 K"),
    ("Cv", "Heatcapacity_Cv_cal_mol_K", "cal/mol/K", 1.0, "heat capacity at constant volume"),
)

# Thermochemical energies of free atoms at the level of QM9 in Hartree: atomref.txt of the data set's publication.
_FREE_ATOMS: dict[str, dict[str, float]] = {
    "U0": {"H": -0.500273, "C": -37.846772, "N": -54.583861, "O": -75.064579, "F": -99.718730},
    "U": {"H": -0.498857, "C": -37.845355, "N": -54.582445, "O": -75.063163, "F": -99.717314},
    "H": {"H": -0.497912, "C": -37.844411, "N": -54.581501, "O": -75.062219, "F": -99.716370},
    "G": {"H": -0.510927, "C": -37.861317, "N": -54.598897, "O": -75.079532, "F": -99.733544},
}


def load_qm9(folder: Path | None = None, report: Callable[[str], None] = lambda line: None) -> Dataset:
    """All of QM9, memory-mapped; the first call parses it, which takes about a minute.

    Columns: the properties of the publication (energies in eV, the rest in its units), ``charges`` (Mulliken, e),
    ``frequencies`` (cm^-1, padded with NaN), ``polarizability`` (3, 3), ``index``, ``smiles``, ``inchi``.
    ``U0``, ``U``, ``H`` and ``G`` are total energies; ``U0_atomization`` and its like are what is left after the
    energies of the free atoms are taken off.

    Parameters
    ----------
    folder
        Folder of qm9pack's CSV files; found in the installed package where None.
    report
        Receives a line about what takes long.

    Raises
    ------
    InputError
        If qm9pack is not installed, or its files are truncated.
    """
    version = "files"
    if folder is None:
        folder, version = _installed()
    key = hashlib.sha256(str([(name, _file(folder, name).stat().st_size) for name in _FILES]).encode()).hexdigest()[:8]
    cache = cache_folder() / f"qm9-{_LAYOUT}-{version}-{key}"
    if not cache.exists():
        report(f"QM9: parsing {folder} once into {cache}")
        dataset = parse_qm9(folder, version)
        with contextlib.suppress(InputError):  # another process was first: its cache is as good
            save_dataset(dataset, cache)
    return load_dataset(cache)


def parse_qm9(folder: Path, version: str = "files") -> Dataset:
    """Parse qm9pack's CSV files.

    Numbers there may be written ``0.``, ``1.5E-6`` or, as in the original publication, ``1.5*^-6``.

    Raises
    ------
    InputError
        If a file is missing or truncated.
    """
    try:
        parts = [pl.read_csv(_file(folder, name), infer_schema=False) for name in _PARTS]
        alpha = pl.read_csv(_file(folder, _POLARIZABILITY), infer_schema=False)
        table = pl.concat(parts).join(alpha, on="XYZ_file", how="left", maintain_order="left")
    except pl.exceptions.PolarsError as error:
        raise InputError(f"{folder}: not qm9pack's CSV files, or truncated ones ({error}); install it again") from error
    sizes = _numbers(table, "N_atoms").astype(np.int64)
    atoms = int(sizes.sum())
    symbols = "".join(table["Elements"].str.replace_all(r"[\[\]',]", "").to_list())
    if len(symbols) != atoms:
        raise InputError(f"{folder}: {len(symbols)} element symbols for {atoms} atoms; the files are truncated")
    codes = np.frombuffer(symbols.encode(), dtype=np.uint8)
    numbers = np.zeros(256, dtype=np.int64)
    numbers[[ord(s) for s in "HCNOF"]] = [atomic_numbers[s] for s in "HCNOF"]
    starts = np.concatenate([[0], np.cumsum(sizes)])
    tensor = np.stack([_numbers(table, f"A_{axes}") for axes in _TENSOR], axis=1).reshape(-1, 3, 3)
    columns = [Column(name, unit, _numbers(table, column) * f, False, text) for name, column, unit, f, text in _SCALARS]
    columns = [_with_free_atoms(column) for column in columns]
    columns += [_atomisation(column, numbers[codes], starts) for column in columns if column.free_atoms]
    columns += [
        Column("polarizability", "a0^3", tensor, meaning="polarizability tensor"),
        Column("frequencies", "cm^-1", _frequencies(table, sizes), meaning="harmonic frequencies, padded with NaN"),
        Column("charges", "e", _lists(table, "Mulliken_pop", sizes)[0], per_atom=True, meaning="Mulliken charges"),
        Column("index", "", _numbers(table, "Index").astype(np.int64), meaning="number in the publication"),
        Column("smiles", "", table["SMILES"].to_numpy().astype("S"), meaning="SMILES"),
        Column("inchi", "", table["InChi"].to_numpy().astype("S"), meaning="InChI"),
    ]
    return Dataset(
        name="qm9",
        source=SOURCE.format(version=version),
        numbers=numbers[codes],
        positions=_lists(table, "XYZ_Ang", 3 * sizes)[0].reshape(-1, 3),
        cells=np.zeros((len(table), 3, 3)),
        periodic=np.zeros((len(table), 3), dtype=bool),
        starts=starts,
        columns=tuple(columns),
        notes=(
            "energies converted from Hartree to eV",
            "the 3,054 molecules that fail the publication's consistency check are left out",
            "334 molecules list their frequencies twice; the first list is kept",
        ),
    )


def _installed() -> tuple[Path, str]:
    # Found through its metadata: importing qm9pack needs pkg_resources, which current setuptools lacks.
    try:
        package = importlib.metadata.distribution("qm9pack")
    except importlib.metadata.PackageNotFoundError as error:
        raise InputError(f"QM9 comes with the package qm9pack; run: {install_command('qm9')}") from error
    return Path(str(package.locate_file("qm9pack/data"))), package.version


def _file(folder: Path, name: str) -> Path:
    if not (folder / name).is_file():
        raise InputError(f"{folder}: {name} is missing; run: pip install --force-reinstall qm9pack")
    return folder / name


def _parse(text: str) -> Float[np.ndarray, " n"]:
    try:
        return np.array(text.replace("*^", "E").split(","), dtype=np.float64)
    except ValueError as error:
        raise InputError(f"QM9: {error}; the files are truncated, install qm9pack again") from error


def _numbers(table: pl.DataFrame, name: str) -> Float[np.ndarray, " S"]:
    if name not in table.columns or table[name].null_count():
        raise InputError(f"QM9: column {name} is missing or has gaps; the files are truncated, install qm9pack again")
    return _parse(",".join(table[name].to_list()))


def _lists(
    table: pl.DataFrame, name: str, lengths: Int[np.ndarray, " S"] | None
) -> tuple[Float[np.ndarray, " n"], Int[np.ndarray, " S"]]:
    text = table[name].str.replace_all(r"[\[\]]", "")
    found = text.str.count_matches(",").cast(pl.Int64).to_numpy() + 1
    if lengths is not None and (wrong := np.flatnonzero(found != lengths)).size:
        k = int(wrong[0])
        raise InputError(f"QM9: molecule {k} has {found[k]} numbers in {name}, expected {lengths[k]}; files truncated")
    return _parse(",".join(text.to_list())), found


def _frequencies(table: pl.DataFrame, sizes: Int[np.ndarray, " S"]) -> Float[np.ndarray, "S K"]:
    values, found = _lists(table, "Harmonic_Freq_cmi", None)
    expected = 3 * sizes - 6  # one more for a linear molecule, twice as many where the list is there twice
    kept = np.where(found == 2 * expected, expected, found)
    wrong = np.flatnonzero((kept != expected) & (kept != expected + 1))
    if wrong.size:
        raise InputError(f"QM9: molecule {wrong[0]} has {found[wrong[0]]} frequencies; the files are truncated")
    within = np.arange(len(values)) - np.repeat(np.cumsum(found) - found, found)
    padded = np.full((len(found), _FREQUENCIES), np.nan, dtype=np.float32)
    padded[np.arange(_FREQUENCIES) < kept[:, None]] = values[within < np.repeat(kept, found)]
    return padded


def _with_free_atoms(column: Column) -> Column:
    atoms = _FREE_ATOMS.get(column.name, {})
    return replace(column, free_atoms=tuple((atomic_numbers[s], e * Hartree) for s, e in atoms.items()))


def _atomisation(column: Column, numbers: Int[np.ndarray, " A"], starts: Int[np.ndarray, " S1"]) -> Column:
    free = np.zeros(10)
    free[[z for z, _ in column.free_atoms]] = [e for _, e in column.free_atoms]
    values = column.values - np.add.reduceat(free[numbers], starts[:-1])
    return Column(f"{column.name}_atomization", column.unit, values, meaning=f"{column.meaning}, less free atoms")
