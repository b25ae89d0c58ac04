"""Named sets of atoms: fragments, residues, or sets that a user wrote down."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ase
import numpy as np
from jaxtyping import Int

from atomlens.folders import no_name_twice
from atomlens.structures import BondTable, InputError, check_regular, fragments

# The name of the group of all atoms that a user's file does not mention: with it the groups cover the structure.
REST = "other atoms"
# Bytes of a table of groups.
_LARGEST = 2**28


@dataclass(frozen=True)
class AtomGroups:
    """Disjoint sets of atoms that together cover a structure.

    Attributes
    ----------
    names
        One name a group.
    members
        Atom indices of every group, counted from 0.
    """

    names: tuple[str, ...]
    members: tuple[tuple[int, ...], ...]

    def of_atoms(self, n_atoms: int) -> Int[np.ndarray, " N"]:
        """Index of the group that each atom belongs to."""
        group = np.zeros(n_atoms, dtype=np.int64)
        for number, atoms in enumerate(self.members):
            group[list(atoms)] = number
        return group


def fragment_groups(atoms: ase.Atoms, bonds: BondTable | None = None) -> AtomGroups:
    """One group for every covalently connected fragment, named by its formula and a running number."""
    members = tuple(tuple(fragment) for fragment in fragments(atoms, bonds))
    formulas = [ase.Atoms(atoms.numbers[list(fragment)]).get_chemical_formula() for fragment in members]
    return AtomGroups(_numbered(formulas), members)


def residue_groups(atoms: ase.Atoms) -> AtomGroups:
    """One group for every residue that the structure file names (PDB and alike).

    Raises
    ------
    InputError
        If the structure carries no residue numbers.
    """
    if "residuenumbers" not in atoms.arrays:
        raise InputError(
            "groups 'residues': the structure file carries no residues; give a PDB file, "
            "or a JSON file of name -> atom indices"
        )
    numbers = atoms.arrays["residuenumbers"]
    blank = np.full(len(atoms), "")
    kinds = atoms.arrays.get("residuenames", blank)
    chains = atoms.arrays.get("chainids", blank)
    found: dict[tuple[str, str, int], list[int]] = {}
    for k, key in enumerate(zip(chains, kinds, numbers, strict=True)):
        chain, kind, number = key
        found.setdefault((str(chain).strip(), str(kind).strip(), int(number)), []).append(k)
    several = len({chain for chain, _, _ in found}) > 1
    names = [f"{kind}{number}" + (f":{chain}" if several else "") for chain, kind, number in found]
    return AtomGroups(_numbered(names, only_repeated=True), tuple(map(tuple, found.values())))


def read_groups(path: str | Path) -> dict[str, list[int]]:
    """Read a JSON file of group name -> list of atom indices, counted from 0.

    Raises
    ------
    InputError
        If the file is missing or is not such a table, a group is empty, or an atom is in two groups.
    """
    path = Path(path)
    try:
        check_regular(path)
        if (size := path.stat().st_size) > _LARGEST:
            raise ValueError(f"has {size} bytes")
        data: Any = json.loads(path.read_text(encoding="utf-8-sig"), object_pairs_hook=no_name_twice)
    except FileNotFoundError as error:
        raise InputError(f"groups {str(path)!r}: no such file; give fragments, residues, or a JSON file") from error
    except OSError as error:
        raise InputError(f"groups {str(path)!r}: cannot be read ({error.strerror})") from error
    except InputError:
        raise
    except (ValueError, RecursionError) as error:
        raise InputError(f"groups {str(path)!r}: not a JSON file ({_first_line(error)})") from error
    if not isinstance(data, dict) or not data:
        raise InputError(f'groups {str(path)!r}: write one table of names, like {{"methyl": [0, 3, 4, 5]}}')
    owner: dict[int, str] = {}
    for name, indices in data.items():
        if not isinstance(indices, list) or not all(type(k) is int for k in indices):
            raise InputError(f"groups {str(path)!r}: group {name!r} is not a list of atom indices")
        if not indices:
            raise InputError(f"groups {str(path)!r}: group {name!r} is empty; list its atoms or leave it out")
        for k in indices:
            if k in owner:
                raise InputError(f"groups {str(path)!r}: atom {k} is in {owner[k]!r} and in {name!r}; give it once")
            owner[k] = name
    return data


def named_groups(named: dict[str, list[int]], n_atoms: int) -> AtomGroups:
    """Groups of one structure from a user's table; atoms that it leaves out form a last group.

    Raises
    ------
    InputError
        If an index lies outside the structure.
    """
    for name, indices in named.items():
        for k in indices:
            if not 0 <= k < n_atoms:
                raise InputError(
                    f"group {name!r} names atom {k}, but the structure has {n_atoms} atoms (0 to {n_atoms - 1})"
                )
    rest = sorted(set(range(n_atoms)) - {k for indices in named.values() for k in indices})
    names, members = list(named), [tuple(indices) for indices in named.values()]
    if rest:
        names, members = [*names, REST], [*members, tuple(rest)]
    return AtomGroups(tuple(names), tuple(members))


def _numbered(names: list[str], only_repeated: bool = False) -> tuple[str, ...]:
    seen: dict[str, int] = {}
    result = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        alone = names.count(name) == 1
        plain = alone or (only_repeated and seen[name] == 1)
        result.append(name if plain else f"{name} #{seen[name]}")
    return tuple(result)


def _first_line(error: Exception) -> str:
    return (str(error).splitlines() or [type(error).__name__])[0]
