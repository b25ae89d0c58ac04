"""Trajectories made on the spot: molecular dynamics with GFN2-xTB, resumable frame block by frame block."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import ase
import ase.units as u
import numpy as np
from ase.calculators.singlepoint import SinglePointCalculator
from ase.data import chemical_symbols
from ase.io import write
from ase.md.langevin import Langevin
from jaxtyping import Float, Int

from atomlens.data.dataset import Column, Dataset
from atomlens.data.electrons import electrons_of, electrons_text
from atomlens.data.storage import load_dataset, save_dataset
from atomlens.data.writing import keeping
from atomlens.folders import alone_in, atomic_file, claim, noted, reading
from atomlens.reference import Gfn2Calculator, ReferenceUnavailable
from atomlens.structures import InputError, geometry_note, read_structures

_BLOCK = 50  # frames that a kill may cost
# Smallest and largest settings; more steps would take longer than anyone waits.
_BOUNDS = {
    "frames": (1, 10**7),
    "temperature": (1.0, 10_000.0),
    "timestep": (1e-3, 5.0),
    "interval": (1, 10**6),
    "burn_in": (0, 10**9),
    "friction": (1e-9, 1e3),
    "charge": (-100, 100),
    "seed": (0, 2**31 - 1),
    "uhf": (0, 100),
}
# Å. Files keep so many digits; the same start read again differs by less.
_SAME_PLACE = 1e-4
_HOTTEST = 20.0  # times the wanted temperature: past this the molecule has flown apart


class TrajectoryError(RuntimeError):
    """A trajectory that cannot continue, reported in one line."""


@dataclass(frozen=True)
class XtbSettings:
    """How a trajectory is made.

    Attributes
    ----------
    frames
        Number of frames to keep.
    temperature
        In K, held by a Langevin thermostat.
    timestep
        In fs.
    interval
        Steps between two frames, so that they decorrelate.
    burn_in
        Steps before the first frame.
    friction
        Of the thermostat, 1/fs.
    charge
        Total charge in e; if None, that of the SMILES string or of the file, and 0 where it says none.
    seed
        Of velocities, thermostat and, for SMILES, of the first geometry.
    uhf
        Number of unpaired electrons; if None, that of the SMILES string or of the file (``uhf`` or ``multiplicity``),
        and 0 where it says none.
    """

    frames: int = 2_000
    temperature: float = 500.0
    timestep: float = 0.5
    interval: int = 40
    burn_in: int = 2_000
    friction: float = 0.01
    charge: int | None = None
    seed: int = 0
    uhf: int | None = None

    def __post_init__(self) -> None:
        for name, (low, high) in _BOUNDS.items():
            value = getattr(self, name)
            if value is None and name in ("charge", "uhf"):
                continue
            if not low <= value <= high:  # NaN lies nowhere
                shown = str(value)[:40]
                raise InputError(f"{name} is {shown}; give a number from {low:,} to {high:,}")


def make_xtb(
    source: str | Path,
    out: str | Path,
    settings: XtbSettings | None = None,
    *,
    progress: Callable[[int, int], None] = lambda done, total: None,
    report: Callable[[str], None] = lambda line: None,
) -> Dataset:
    """Run GFN2-xTB dynamics of a molecule and keep energies, forces, charges and bond orders.

    Frames are written to `out` in blocks; calling again with the same settings continues after the last whole
    block and gives the same trajectory as one call, bit for bit. The finished set is ``out/dataset``, which
    `atomlens.data.read_dataset` reads, and the same frames are in ``out/frames.xyz`` (extended XYZ, eV and eV/Å).

    Parameters
    ----------
    source
        SMILES string, or a file that ASE reads (its first structure).
    out
        Folder of the trajectory.
    settings
        How to run it.
    progress
        Receives frames done and frames wanted.
    report
        Called with the molecule, its charge and its unpaired electrons before the first step.

    Raises
    ------
    InputError
        If the molecule cannot be made, another charge is asked for than it has, GFN2-xTB is not defined for it
        (`ReferenceUnavailable`: tblite not installed, an element above radon, an odd number of electrons), `out` holds
        another trajectory, or it cannot be written.
    TrajectoryError
        If the electronic structure does not converge, or the molecule flies apart.
    """
    out, settings = Path(out), settings or XtbSettings()
    atoms = starting_structure(str(source), settings.seed)
    charge, uhf = electrons_of(str(source), atoms, settings.charge, settings.uhf)
    settings = replace(settings, charge=charge, uhf=uhf)
    is_file = geometry_note(atoms) is None
    atoms = ase.Atoms(atoms.numbers, atoms.positions)
    if not (out / "dataset").exists():
        try:
            Gfn2Calculator(settings.charge, settings.uhf or 0).check(atoms)
        except ReferenceUnavailable as error:
            also = "; atomlens data xtb has --charge and --uhf for both" if "unpaired" in str(error) else ""
            raise ReferenceUnavailable(f"{error}{also}") from error
    with alone_in(out):
        _claim(out, str(source), atoms, settings, is_file)
        report(f"{atoms.get_chemical_formula()}: {electrons_text(charge, uhf)}")
        if not (out / "dataset").exists():
            first, rng = _start(out, atoms, settings)
            for number in range(first, -(-settings.frames // _BLOCK)):
                _make_block(out, atoms, settings, number, rng, progress)
            with keeping(out):
                save_dataset(_collect(out, atoms, str(source), settings), out / "dataset")
        return _finished(out, settings)


def _finished(out: Path, settings: XtbSettings) -> Dataset:
    """The data set of a finished trajectory, which is written as extended XYZ, too, unless it has been."""
    dataset, path = load_dataset(out / "dataset"), out / "frames.xyz"
    if not path.exists():
        frames = []
        for k, (start, stop) in enumerate(pairwise(dataset.starts.tolist())):
            frame = ase.Atoms(dataset.numbers[start:stop], dataset.positions[start:stop])
            energy, forces = float(dataset.column("energy").values[k]), dataset.column("forces").values[start:stop]
            if settings.charge:  # bonds and references need both where the file is read again
                frame.info["charge"] = settings.charge
            if settings.uhf:
                frame.info["uhf"] = settings.uhf
            frame.calc = SinglePointCalculator(frame, energy=energy, forces=forces)
            frames.append(frame)
        with keeping(out), atomic_file(path) as part:
            write(part, frames, format="extxyz")
    return dataset


def starting_structure(source: str, seed: int) -> ase.Atoms:
    """First structure of a file, or the geometry of a SMILES string (`structure_from_smiles`).

    Raises
    ------
    InputError
        If it is neither, or periodic.
    """
    atoms = read_structures(source, "0", seed=seed)[0]
    if atoms.pbc.any():
        raise InputError(f"{source}: periodic structures are not supported here; give a molecule")
    return atoms


def _claim(out: Path, source: str, atoms: ase.Atoms, settings: XtbSettings, is_file: bool) -> None:
    wanted = {"source": source, "atoms": atoms.get_chemical_formula(), **asdict(settings)}
    start = {"numbers": atoms.numbers.tolist(), "positions": atoms.positions.tolist()}
    path = out / "trajectory.json"
    if "uhf" not in (before := noted(path)) and before and not settings.uhf:
        del wanted["uhf"]  # trajectories from before it could be asked for have none
    if not path.exists() and out.exists() and any(out.iterdir()):
        raise InputError(f"{out} is not empty and holds no trajectory; give another --out")
    try:
        found, changed = claim(path, wanted, start)
    except (OSError, ValueError) as error:
        raise InputError(f"{path}: cannot be read ({error}); give another --out") from error
    if changed:
        raise InputError(
            f"{out} holds a trajectory with {changed} = {found.get(changed)!r}, asked for {wanted[changed]!r}; "
            "give another --out"
        )
    if "numbers" in found:  # trajectories from before it was kept are taken as they are
        with reading(path, "give another --out"):
            _check_start(out, source, atoms, found, is_file)


def _check_start(out: Path, source: str, atoms: ase.Atoms, found: dict[str, Any], is_file: bool) -> None:
    """Blocks go on from the atoms of a folder; versions of RDKit embed the same SMILES string a little differently."""
    numbers, positions = np.array(found["numbers"]), np.array(found["positions"], dtype=np.float64)
    advice = "give back the file that it began with, or another --out"
    if not np.array_equal(numbers, atoms.numbers):
        raise InputError(
            f"{out} holds a trajectory of the atoms {_listed(numbers)}, {source} now has {_listed(atoms.numbers)}; "
            + advice
        )
    if positions.shape != atoms.positions.shape:
        raise ValueError(f"its positions are not those of {len(atoms)} atoms")
    if is_file and (moved := float(abs(positions - atoms.positions).max())) > _SAME_PLACE:
        raise InputError(
            f"{out} holds a trajectory from another geometry: in {source} atoms lie up to {moved:.2g} Å off; {advice}"
        )


def _listed(numbers: Int[np.ndarray, " N"]) -> str:
    symbols = [chemical_symbols[number] for number in numbers[:12]]
    return " ".join([*symbols, "..."] if len(numbers) > 12 else symbols)


def _start(out: Path, atoms: ase.Atoms, settings: XtbSettings) -> tuple[int, np.random.Generator]:
    rng = np.random.default_rng(settings.seed)
    done = 0
    while _block_path(out, done).exists():
        done += 1
    if done:
        path = _block_path(out, done - 1)
        with reading(path, "delete it, then the same command makes it again"), _opened_block(path) as block:
            for name in ("last_positions", "last_velocities"):
                if block[name].shape != (len(atoms), 3) or not np.isfinite(block[name]).all():
                    raise ValueError(f"its {name} are not those of {len(atoms)} atoms")
            atoms.set_positions(block["last_positions"])
            atoms.set_velocities(block["last_velocities"])
            rng.bit_generator.state = json.loads(str(block["rng"]))
    else:
        spread = np.sqrt(atoms.get_masses()[:, None] * u.kB * settings.temperature)
        atoms.set_momenta(spread * rng.standard_normal((len(atoms), 3)))
    return done, rng


def _make_block(
    out: Path,
    atoms: ase.Atoms,
    settings: XtbSettings,
    number: int,
    rng: np.random.Generator,
    progress: Callable[[int, int], None],
) -> None:
    wanted = min(_BLOCK, settings.frames - number * _BLOCK)
    # A calculator of its own for each block: it starts from its last density, which a resumed run has not.
    atoms.calc = Gfn2Calculator(settings.charge, settings.uhf or 0)
    dynamics = Langevin(
        atoms,
        settings.timestep * u.fs,
        temperature_K=settings.temperature,
        friction=settings.friction / u.fs,
        fixcm=False,
        rng=rng,
    )
    if number == 0:
        _run(dynamics, atoms, settings.burn_in, settings, 0)
    frames = []
    for k in range(wanted):
        _run(dynamics, atoms, settings.interval, settings, number * _BLOCK + k)
        frames.append(_frame(atoms))
        progress(number * _BLOCK + k + 1, settings.frames)
    block = {key: np.stack([frame[key] for frame in frames]) for key in frames[0]}
    block |= {"last_positions": atoms.positions, "last_velocities": atoms.get_velocities()}
    block["rng"] = np.array(json.dumps(rng.bit_generator.state))
    with keeping(out), atomic_file(_block_path(out, number)) as part, part.open("wb") as file:
        np.savez(file, **block)  # pyright: ignore[reportArgumentType]


def _run(dynamics: Langevin, atoms: ase.Atoms, steps: int, settings: XtbSettings, frame: int) -> None:
    try:
        dynamics.run(steps)
    except ReferenceUnavailable as error:
        raise TrajectoryError(f"before frame {frame}: {error.reason}; lower the time step") from error
    if not atoms.get_temperature() < _HOTTEST * settings.temperature:
        raise TrajectoryError(
            f"the molecule is at {atoms.get_temperature():.0f} K before frame {frame}, wanted "
            f"{settings.temperature:g} K; lower the time step"
        )


def _frame(atoms: ase.Atoms) -> dict[str, np.ndarray]:
    assert atoms.calc is not None
    results = atoms.calc.results
    return {
        "positions": atoms.positions - atoms.get_center_of_mass(),
        "energy": np.array(results["energy"]),
        "forces": np.array(results["forces"]),
        "charges": np.array(results["charges"]),
        "bond_orders": results["bond_orders"],
        "temperature": np.array(atoms.get_temperature()),
    }


def _collect(out: Path, atoms: ase.Atoms, source: str, settings: XtbSettings) -> Dataset:
    blocks = []
    for number in range(-(-settings.frames // _BLOCK)):
        path, wanted = _block_path(out, number), min(_BLOCK, settings.frames - number * _BLOCK)
        with reading(path, "delete it and all later ones, then the same command makes them again"):
            with _opened_block(path) as block:
                blocks.append({key: block[key] for key in block.files})
            _check_block(blocks[-1], wanted, len(atoms))
    data = {key: np.concatenate([b[key] for b in blocks]) for key in ("positions", "energy", "forces", "charges")}
    more = {key: np.concatenate([b[key] for b in blocks]) for key in ("bond_orders", "temperature")}
    n, frames = len(atoms), settings.frames
    time = correlation_time(data["energy"])
    return Dataset(
        name=f"xtb-{atoms.get_chemical_formula()}",
        source=f"GFN2-xTB (tblite) Langevin dynamics of {Path(source).name} at {settings.temperature:g} K",
        numbers=np.tile(atoms.numbers.astype(np.int64), frames),
        positions=data["positions"].reshape(-1, 3),
        cells=np.zeros((frames, 3, 3)),
        periodic=np.zeros((frames, 3), dtype=bool),
        starts=n * np.arange(frames + 1),
        columns=(
            Column("energy", "eV", data["energy"], meaning="total energy"),
            Column("forces", "eV/Å", data["forces"].reshape(-1, 3), True, "forces on the nuclei"),
            Column("charges", "e", data["charges"].reshape(-1), True, "Mulliken charges"),
            Column("bond_orders", "", more["bond_orders"], meaning="Wiberg bond orders, atoms by atoms"),
            Column("temperature", "K", more["temperature"], meaning="of the velocities"),
        ),
        notes=(
            electrons_text(settings.charge or 0, settings.uhf or 0),
            f"{settings.interval * settings.timestep:g} fs between frames after {settings.burn_in} steps of burn-in, "
            f"seed {settings.seed}",
            f"mean temperature {more['temperature'].mean():.0f} K; the energy decorrelates over {time:.1f} frames",
        ),
    )


@contextmanager
def _opened_block(path: Path) -> Iterator[Any]:
    """An archive of arrays whose file is closed again whatever is in it."""
    with path.open("rb") as file, np.load(file) as block:
        yield block


def _check_block(block: dict[str, np.ndarray], frames: int, n: int) -> None:
    shapes = {"energy": (), "temperature": (), "charges": (n,), "forces": (n, 3), "positions": (n, 3)}
    for name, shape in {**shapes, "bond_orders": (n, n)}.items():
        if block[name].shape != (frames, *shape) or not np.isfinite(block[name]).all():
            raise ValueError(f"its {name} are not those of {frames} frames of {n} atoms")


def correlation_time(x: Float[np.ndarray, " n"]) -> float:
    r"""Integrated autocorrelation time :math:`1 + 2 \sum_k \rho_k`, in frames, summed while :math:`\rho_k > 0.05`.

    Examples
    --------
    >>> correlation_time(np.array([1.0, -1.0] * 50))
    1.0
    """
    d = x - x.mean()
    total = 1.0
    for k in range(1, len(d) // 2):
        rho = float((d[:-k] * d[k:]).mean() / max((d * d).mean(), 1e-300))
        if rho < 0.05:
            break
        total += 2.0 * rho
    return total


def _block_path(out: Path, number: int) -> Path:
    return out / f"block-{number:05d}.npz"
