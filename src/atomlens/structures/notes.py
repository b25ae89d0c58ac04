"""What must be known of a structure's origin travels with it, in `ase.Atoms.info`, to terminal, page and summary."""

from __future__ import annotations

import json

import ase

# Texts and not objects, so that every format which ASE writes can keep them.
GEOMETRY = "atomlens_geometry"
NOTES = "atomlens_notes"


def geometry_note(atoms: ase.Atoms) -> str | None:
    """How the geometry was made, in one sentence, if `structure_from_smiles` made it; None for that of a file."""
    note = atoms.info.get(GEOMETRY)
    return note if isinstance(note, str) else None


def add_note(atoms: ase.Atoms, note: str) -> None:
    """Remember what the reader of a file decided, or could not know."""
    notes = reading_notes(atoms)
    if note not in notes:
        atoms.info[NOTES] = json.dumps([*notes, note], ensure_ascii=False)


def reading_notes(atoms: ase.Atoms) -> tuple[str, ...]:
    """What the reader of a file decided, or could not know, sentence by sentence; empty where all was clear.

    Examples
    --------
    >>> atoms = ase.Atoms("He")
    >>> add_note(atoms, "1 atom has occupancy 0.5 and counts as whole")
    >>> reading_notes(atoms)
    ('1 atom has occupancy 0.5 and counts as whole',)
    """
    try:
        notes = json.loads(atoms.info.get(NOTES, "[]"))
    except (RecursionError, TypeError, ValueError):  # a file may hold anything under that name
        return ()
    return tuple(note for note in notes if isinstance(note, str)) if isinstance(notes, list) else ()
