"""Which entries of a file are its energies and forces: always of one level of theory."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from atomlens.structures import InputError

# Names that hold no level of theory: the only energies of most files.
_PLAIN_ENERGIES = ("energy", "energies", "e", "totenergy", "total_energy", "toten", "potential_energy", "free_energy")
_PLAIN_FORCES = ("forces", "force", "f")
_ENERGY_WORD = re.compile(r"energy|energies", re.IGNORECASE)
_FORCE_WORD = re.compile(r"forces?", re.IGNORECASE)
# Energies that are not the total energy of a structure, and numbers about energies.
_OTHER = re.compile(
    r"kin|weight|sigma|std|var|err|unc|mae|rmse|delta|diff|form|bind|hull|atom|inter|zero|zpe|zpve|nuc|rep|disp|corr|"
    r"coul|vdw|grad|config|max|min|norm|magn|fix|rank|unit|ref_?shift|baseline",
    re.IGNORECASE,
)
# Levels that say of themselves that they are the reference come before the plain names, which models write too.
_REFERENCES = ("ref", "dft", "qm", "reference", "target", "label")
# ... and names of models come last.
_MODELS = ("mace", "schnet", "painn", "nequip", "allegro", "gap", "ace", "nnp", "ml", "mlip", "pred", "predicted", "ff")


@dataclass(frozen=True)
class Keys:
    """Names of a file's entries; None: found by `choose_keys`.

    Attributes
    ----------
    energy, forces
        Entries of energies and of forces.
    """

    energy: str | None = None
    forces: str | None = None


@dataclass(frozen=True)
class ChosenKeys:
    """Entries that are read, and those of other levels of theory that are not.

    Attributes
    ----------
    energy, forces
        Entries of energies and of forces; no forces where None.
    others
        What else could have been read.
    """

    energy: str
    forces: str | None
    others: tuple[str, ...] = ()

    def __str__(self) -> str:
        """The note of the data set."""
        used = f"energies from {self.energy!r}, " + (f"forces from {self.forces!r}" if self.forces else "no forces")
        return used + (f"; not read: {', '.join(self.others)}" if self.others else "")


def is_energy(name: str, value: Any) -> bool:
    """Whether an entry of a structure may be its total energy: one number, by a name that says so."""
    if name.lower() not in _PLAIN_ENERGIES and (not _ENERGY_WORD.search(name) or _OTHER.search(name)):
        return False
    try:
        number = np.asarray(value)
        return number.size == 1 and number.dtype.kind in "fiu"
    except (TypeError, ValueError):
        return False


def are_forces(name: str, value: Any, n_atoms: int) -> bool:
    """Whether an entry may be the forces on a structure's atoms: three numbers per atom, by a name that says so."""
    if name.lower() not in _PLAIN_FORCES and (not _FORCE_WORD.search(name) or _OTHER.search(name)):
        return False
    try:
        numbers = np.asarray(value)
        return numbers.size == 3 * n_atoms and numbers.dtype.kind in "fiu"
    except (TypeError, ValueError):
        return False


def no_forces(name: str, value: Any, n_atoms: int) -> bool:
    """Whether an entry is called forces and has a row per atom, but not three numbers in each."""
    if not _FORCE_WORD.search(name) or _OTHER.search(name):
        return False
    numbers = np.asarray(value)
    return numbers.ndim > 0 and len(numbers) == n_atoms and n_atoms > 1 and not are_forces(name, value, n_atoms)


def level_of(name: str) -> str:
    """Level of theory that a name holds, in lower case; empty for plain names.

    Examples
    --------
    >>> level_of("REF_energy"), level_of("dft_forces"), level_of("energy_U0"), level_of("E")
    ('ref', 'dft', 'u0', '')
    """
    lower = name.lower()
    if lower in _PLAIN_ENERGIES or lower in _PLAIN_FORCES:
        return ""
    rest = (_FORCE_WORD if _FORCE_WORD.search(lower) else _ENERGY_WORD).sub("", lower)
    return re.sub(r"[^a-z0-9]+", "_", rest).strip("_")


def choose_keys(
    energies: Mapping[str, int], forces: Mapping[str, int], n_frames: int, n_forced: int, given: Keys, name: str
) -> ChosenKeys:
    """Energies that all frames have, and forces of the same level of theory.

    Where several levels are complete, a reference (REF, DFT) comes before plain names, and those before the names of
    models; what was not chosen is noted.

    Parameters
    ----------
    energies, forces
        Entries that may be energies and forces, and how many frames have each.
    n_frames, n_forced
        How many frames there are, and how many of them need forces (isolated atoms do not).
    given
        Entries that the caller named.
    name
        Of the file, for errors.

    Raises
    ------
    InputError
        If no entry serves, forces are of another level than all energies, or several levels are equally likely.
    """
    if given.energy is not None:
        energy = given.energy
        if energies.get(energy, 0) < n_frames:
            have = energies.get(energy, 0)
            raise InputError(
                f"{name}: {have or 'none'} of {n_frames} frames {'has' if have == 1 else 'have'} one number under "
                f"{energy!r}; energies are under {_listed(energies) or 'no known name'}"
            )
    else:
        energy = _likeliest(energies, forces, n_frames, n_forced, given, name)
    force = given.forces
    if force is None:
        partners = [key for key in forces if level_of(key) == level_of(energy)]
        force = max(partners, key=lambda key: forces[key], default=None)
        if force is None and forces and given.energy is None:
            raise InputError(
                f"{name}: energies ({energy}) and forces ({_listed(forces)}) have names of different levels of theory; "
                f"say which belong together with --energy-key and --forces-key (energy_key, forces_key)"
            )
    elif force not in forces:
        raise InputError(
            f"{name}: no frame has three numbers per atom under {force!r}; forces are under "
            f"{_listed(forces) or 'no known name'}"
        )
    others = [key for key in (*energies, *forces) if key not in (energy, force) and key.lower() != "free_energy"]
    return ChosenKeys(energy, force, tuple(others))


def _likeliest(
    energies: Mapping[str, int], forces: Mapping[str, int], n_frames: int, n_forced: int, given: Keys, name: str
) -> str:
    complete = [key for key in energies if energies[key] == n_frames]
    if not complete:
        told = "; ".join(f"{key} in {count} of {n_frames} frames" for key, count in energies.items())
        raise InputError(
            f"{name}: frames have energies of different names ({told}), which may be of different levels of theory; "
            "give all of them one, or leave the others out"
        )
    levels: dict[str, list[str]] = {}
    for key in complete:
        levels.setdefault(level_of(key), []).append(key)
    wanted = {level_of(given.forces)} if given.forces else {level_of(key) for key in forces if forces[key] >= n_forced}
    wanted = wanted or {level_of(key) for key in forces}  # incomplete: reported by whoever looks for the missing ones
    if paired := [level for level in levels if level in wanted]:
        levels = {level: levels[level] for level in paired}
    ranked = sorted(levels, key=_rank)
    if len(ranked) > 1 and _rank(ranked[0]) == _rank(ranked[1]):
        raise InputError(
            f"{name}: energies of several levels of theory ({_listed(levels[r][0] for r in ranked)}); name one with "
            "--energy-key (energy_key)"
        )
    found = levels[ranked[0]]
    # Electronic smearing: ASE's free_energy belongs to the forces as well, but energy is what data sets hold.
    return min(found, key=lambda key: (key.lower() == "free_energy", complete.index(key)))


def _rank(level: str) -> float:
    words = level.split("_")
    if any(word in _REFERENCES for word in words):
        return _REFERENCES.index(next(word for word in words if word in _REFERENCES)) / 10
    if level in ("", "u0"):
        return 1.0 + 0.5 * (level == "")
    if any(word in _MODELS for word in words):
        return 3.0
    return 2.0


def _listed(names: Iterable[str]) -> str:
    return ", ".join(names)


def count_keys(frames: Iterable[Mapping[str, Any]]) -> Counter[str]:
    """How many frames have each entry."""
    return Counter(key for frame in frames for key in frame)
