"""NCIAtlas: curves of molecular dimers with CCSD(T)/CBS interaction energies, and their parts by DFT-SAPT.

Řezáč, J. Chem. Theory Comput. 16, 2355 (2020): HB375x10 and IHB100x10, hydrogen bonds of neutral and ionic molecules;
Řezáč, Phys. Chem. Chem. Phys. 24, 14780 (2022): D442x10, dispersion. Masumian, Boese, J. Chem. Theory Comput. (2023),
doi 10.1021/acs.jctc.3c00801: the parts. Get the archives from https://github.com/Honza-R/NCIAtlas (CC-BY).

An archive, or the folder that it unpacks to, holds ``geometries/SYSTEM_FFF.xyz``, whose second line names charges,
monomers, distance and energy. The parts are a file of their own, ``NAME_dft-sapt_pbe0.txt``.
"""

from __future__ import annotations

import math
import re
import zipfile
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import ase
import numpy as np
from ase.units import kcal, mol
from jaxtyping import Float, Int

from atomlens.structures import InputError, check_regular

# Parts by DFT-SAPT in the order of the columns, as they are called here.
SAPT_PARTS = ("electrostatics", "exchange", "induction", "delta_hf", "dispersion", "total")
_HEADER = ["System", "Elst", "Exch", "Ind", "deltaHF", "Disp", "Total"]
_SAPT = "_dft-sapt_pbe0.txt"
_KEYS = ("charge", "charge_a", "charge_b", "selection_a", "selection_b", "scaling", "benchmark_Eint", "benchmark_unit")
_GEOMETRY = re.compile(r"(?:([^/]+)/)?geometries/([^/]+)_(\d{3})\.xyz")
_NAMES = "_system_names.txt"
_KCAL = kcal / mol
# Bytes that a file of the set may have, and how many geometries; the largest set has 4,420 of a kilobyte.
_LARGEST, _MOST = 2**24, 100_000


@dataclass(frozen=True)
class DimerCurve:
    """One dimer at several distances, near to far.

    Attributes
    ----------
    data_set
        Name of the set: ``NCIA_HB375x10``.
    system, name, group
        Number of the dimer in its set, names of its molecules (empty where the set has none), and kind of contact.
    monomers
        Atoms of each molecule.
    charges
        Charge of each molecule in e.
    factors
        Distances in units of that at equilibrium.
    structures
        Both molecules at these distances; ``info["charge"]`` is their charge.
    energies
        Interaction energies, CCSD(T)/CBS, in eV.
    sapt
        Parts of the interaction energy by DFT-SAPT in eV, by name (`SAPT_PARTS`); empty without their file.
    """

    data_set: str
    system: str
    name: str
    group: str
    monomers: tuple[Int[np.ndarray, " A"], Int[np.ndarray, " B"]]
    charges: tuple[int, int]
    factors: Float[np.ndarray, " f"]
    structures: tuple[ase.Atoms, ...]
    energies: Float[np.ndarray, " f"]
    sapt: dict[str, Float[np.ndarray, " f"]]

    @property
    def alone(self) -> list[tuple[ase.Atoms, ase.Atoms]]:
        """Each molecule without the other, at every distance."""
        found = []
        for atoms in self.structures:
            parts = [atoms[part] for part in self.monomers]
            for part, charge in zip(parts, self.charges, strict=True):
                part.info = {"charge": charge}
            found.append((parts[0], parts[1]))
        return found


def sapt_file(path: str | Path) -> Path:
    """Where the DFT-SAPT parts of a set are looked for: next to its archive or folder."""
    path = Path(path)
    name = path.stem if path.suffix.lower() == ".zip" else path.name
    return path.with_name(name + _SAPT)


def read_nciatlas(path: str | Path) -> list[DimerCurve]:
    """All curves of a set, in the order of its files.

    Parameters
    ----------
    path
        The archive of a set (``NCIA_HB375x10.zip``), or the folder that it unpacks to. Parts by DFT-SAPT are read from
        `sapt_file` where that is there.

    Raises
    ------
    InputError
        If there is no such file, or it is not laid out as NCIAtlas is.
    """
    path = Path(path)
    with _files(path) as (names, read):
        geometries = {name: match for name in names if (match := _GEOMETRY.fullmatch(name))}
        if not geometries:
            raise InputError(f"{path}: not laid out as NCIAtlas is: it holds no geometries/SYSTEM_FFF.xyz")
        if len(geometries) > _MOST:
            raise InputError(f"{path}: holds {len(geometries)} geometries; a set of NCIAtlas has some thousand")
        data_set = next(iter(geometries.values()))[1] or path.name
        titles = _titles(next((read(name) for name in names if name.endswith(_NAMES)), b""))
        parts = _sapt(sapt_file(path))
        systems: dict[str, list[_Point]] = {}
        for name in sorted(geometries, key=_natural):
            match = geometries[name]
            point = _point(read(name), f"{path}, {name}")
            systems.setdefault(match[2], []).append(point)
            point.sapt = parts.get(f"{match[2]}_{match[3]}")
            point.title = titles.get(f"{match[2]}_{match[3]}", "")
    return [_curve(data_set, system, points, path) for system, points in systems.items()]


@contextmanager
def _files(path: Path) -> Iterator[tuple[list[str], Callable[[str], bytes]]]:
    """Names of the files of an archive or a folder, and how to read one."""
    asked = "give an archive of NCIAtlas (NCIA_HB375x10.zip) or the folder that it unpacks to"
    if not path.exists():
        raise InputError(f"{path}: no such file; {asked}")
    check_regular(path)
    if path.is_dir():
        names = [str(found.relative_to(path)) for found in sorted(path.glob("*.txt"))]
        names += [str(found.relative_to(path)) for found in sorted(path.glob("geometries/*.xyz"))]
        yield names, lambda name: _read(path / name)
        return
    try:
        archive = zipfile.ZipFile(path)
    except (OSError, zipfile.BadZipFile) as error:
        raise InputError(f"{path}: not laid out as NCIAtlas is: no zip archive; {asked}") from error

    def unpacked(name: str) -> bytes:
        try:
            with archive.open(name) as file:
                return _bounded(file.read(_LARGEST + 1), f"{path}, {name}")
        except (OSError, zipfile.BadZipFile, NotImplementedError, RuntimeError, EOFError, zlib.error) as error:
            raise InputError(f"{path}, {name}: cannot be unpacked ({error}); damaged or truncated?") from error

    with archive:
        yield archive.namelist(), unpacked


def _read(path: Path) -> bytes:
    try:
        check_regular(path)
        with path.open("rb") as file:
            return _bounded(file.read(_LARGEST + 1), str(path))
    except OSError as error:
        raise InputError(f"{path}: cannot be read ({error.strerror or error})") from error


def _bounded(data: bytes, where: str) -> bytes:
    if len(data) > _LARGEST:
        raise InputError(f"{where}: holds more than {_LARGEST // 2**20} MiB, unlike any file of NCIAtlas")
    return data


@dataclass
class _Point:
    atoms: ase.Atoms
    keys: dict[str, str]
    monomers: tuple[Int[np.ndarray, " A"], Int[np.ndarray, " B"]]
    charges: tuple[int, int]
    factor: float
    energy: float
    sapt: tuple[float, ...] | None = None
    title: str = ""


def _point(data: bytes, where: str) -> _Point:
    """One geometry with what its second line says."""
    comment, atoms = _structure(data.decode("latin-1").split("\n"), where)
    keys = dict(word.split("=", 1) for word in comment.split() if "=" in word)
    if lacking := [key for key in _KEYS if key not in keys]:
        raise InputError(f"{where}: not laid out as NCIAtlas is: its second line lacks {', '.join(lacking)}")
    if keys["benchmark_unit"] != "kcal/mol":
        raise InputError(f"{where}: the unit of its energy is {keys['benchmark_unit']!r}; expected kcal/mol")
    try:
        total, first, second = (int(keys[key]) for key in _KEYS[:3])
        factor, energy = float(keys["scaling"]), float(keys["benchmark_Eint"])
        parts = (_selected(keys["selection_a"]), _selected(keys["selection_b"]))
    except ValueError as error:
        raise InputError(f"{where}: its second line cannot be read ({error})") from error
    if sorted(np.concatenate(parts).tolist()) != list(range(len(atoms))):
        raise InputError(
            f"{where}: selection_a {keys['selection_a']} and selection_b {keys['selection_b']} do not divide its "
            f"{len(atoms)} atoms"
        )
    if first + second != total or not (math.isfinite(energy) and math.isfinite(factor) and factor > 0):
        raise InputError(f"{where}: charges that do not add, or a distance or energy that is none, in its second line")
    atoms.info["charge"] = total
    return _Point(atoms, keys, parts, (first, second), factor, energy * _KCAL)


def _structure(lines: list[str], where: str) -> tuple[str, ase.Atoms]:
    """Second line and structure of a plain xyz file, thousands of which ASE's reader would take a minute for."""
    try:
        rows = [line.split() for line in lines[2:] if line.strip()]
        if int(lines[0]) != len(rows):
            raise InputError(f"{where}: has {len(rows)} atoms, and says {lines[0].strip()[:20]}; truncated?")
        if any(len(row) != 4 for row in rows):
            raise InputError(f"{where}: its rows are not a symbol and three coordinates each")
        positions = np.array([[float(word) for word in row[1:]] for row in rows])
        if not np.isfinite(positions).all():
            raise InputError(f"{where}: has coordinates that are no numbers")
        return lines[1], ase.Atoms([row[0] for row in rows], positions)
    except (ValueError, IndexError, KeyError) as error:
        raise InputError(f"{where}: no xyz file ({error})") from error


def _selected(text: str) -> Int[np.ndarray, " A"]:
    """Atoms named from one, as ``1-8`` or ``5``, parts divided by commas.

    Examples
    --------
    >>> _selected("1-3,7").tolist()
    [0, 1, 2, 6]
    """
    found: list[int] = []
    for part in text.split(","):
        first, _, last = part.partition("-")
        low, high = int(first), int(last or first)
        if not 1 <= low <= high <= low + _MOST:
            raise ValueError(f"atoms {text!r}")
        found += range(low - 1, high)
    return np.array(found, dtype=np.int64)


def _curve(data_set: str, system: str, points: list[_Point], path: Path) -> DimerCurve:
    points = sorted(points, key=lambda point: point.factor)
    first = points[0]
    for point in points:
        same = (point.atoms.numbers.tolist(), point.charges, *(part.tolist() for part in point.monomers))
        if same != (first.atoms.numbers.tolist(), first.charges, *(part.tolist() for part in first.monomers)):
            raise InputError(f"{path}: geometries of dimer {system} differ in their atoms, molecules or charges")
    if len({point.factor for point in points}) < len(points):
        raise InputError(f"{path}: dimer {system} has two geometries of one distance")
    parts: dict[str, Float[np.ndarray, " f"]] = {}
    known = [point.sapt for point in points if point.sapt is not None]
    if len(known) == len(points):
        parts = dict(zip(SAPT_PARTS, np.array(known).T, strict=True))
    return DimerCurve(
        data_set=data_set,
        system=system,
        name=first.title,
        group=first.keys.get("group", ""),
        monomers=first.monomers,
        charges=first.charges,
        factors=np.array([point.factor for point in points]),
        structures=tuple(point.atoms for point in points),
        energies=np.array([point.energy for point in points]),
        sapt=parts,
    )


def _sapt(path: Path) -> dict[str, tuple[float, ...]]:
    """Parts in eV by ``SYSTEM_FFF``; none where there is no such file."""
    if not path.exists():
        return {}
    lines = [line.split() for line in _read(path).decode("latin-1").split("\n") if line.strip() and line[0] != "#"]
    if not lines or lines[0] != _HEADER:
        raise InputError(f"{path}: not laid out as NCIAtlas is: expected columns {' '.join(_HEADER)}")
    found = {}
    for words in lines[1:]:
        try:
            values = tuple(_KCAL * float(word) for word in words[1:])
        except ValueError as error:
            raise InputError(f"{path}: {' '.join(words)[:60]!r} is no row of numbers") from error
        if len(values) != len(SAPT_PARTS) or not all(map(math.isfinite, values)):
            raise InputError(f"{path}: {' '.join(words)[:60]!r} is no row of {len(SAPT_PARTS)} energies")
        found[words[0]] = values
    return found


def _titles(data: bytes) -> dict[str, str]:
    """Names of the dimers by ``SYSTEM_FFF``."""
    lines = [line.partition("\t") for line in data.decode("utf-8", "replace").split("\n") if line[:1] != "#"]
    return {key: title.strip() for key, _, title in lines if title}


def _natural(name: str) -> list[tuple[int, str]]:
    """Numbers in a name in their order: 2 before 10."""
    return [(int(word), "") if word.isdigit() else (-1, word) for word in re.split(r"(\d+)", name)]
