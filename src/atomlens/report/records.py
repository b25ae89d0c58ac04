"""What the page receives about a frame: plain lists, bounded in size, ready for JSON."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from jaxtyping import Float

from atomlens.report.projection import aligned_rotation, viewing_rotation
from atomlens.structures import BOND_CLASSES, geometry_note, reading_notes
from atomlens.tables import RELATIONS, ExplainedFrame, Surroundings, order_totals, range_totals, relation_totals

# The strongest terms that one frame may put on the page; the tables hold all of them.
MAX_PAIRS = 4000
MAX_TRIPLES = 60
MAX_WALKS = 60
MAX_GROUPS = 60


@dataclass
class Orientation:
    """How the frames of a page are turned; later frames of the same atoms follow the first."""

    symbols: list[str] | None = None
    positions: Float[np.ndarray, "N 3"] | None = None

    def turn(self, frame: ExplainedFrame) -> Float[np.ndarray, "3 3"]:
        """Rotation for a frame."""
        symbols, positions = frame.surroundings.symbols, frame.atoms.positions
        if self.positions is not None and symbols == self.symbols and len(symbols) > 2:
            rotation = aligned_rotation(positions, self.positions)
        else:
            rotation = viewing_rotation(positions)
        self.symbols, self.positions = symbols, (positions - positions.mean(axis=0)) @ rotation.T
        return rotation


def frame_record(frame: ExplainedFrame, orientation: Orientation, max_pairs: int = MAX_PAIRS) -> dict[str, Any]:
    """Everything the page shows of a frame.

    Parameters
    ----------
    frame
        The frame.
    orientation
        Shared by all frames of the page.
    max_pairs
        How many pair terms, strongest first, may be listed.
    """
    around, atoms = frame.surroundings, frame.atoms
    rotation = orientation.turn(frame)
    turned = atoms.positions @ rotation.T
    middle = (turned.max(axis=0) + turned.min(axis=0)) / 2
    record: dict[str, Any] = {
        "index": frame.index,
        "name": frame.name,
        "formula": atoms.get_chemical_formula(),
        "geometry": geometry_note(atoms) or "",
        "notes": _notes(frame),
        "symbols": around.symbols,
        "positions": _rounded(turned - middle, 4),
        "bonds": _drawn_bonds(around),
        "molecules": int(around.molecule.max()) + 1,
        "prediction": frame.prediction,
        "constant": frame.constant,
        "residual": frame.residual,
        "remainder": float(frame.interactions.remainder),
        "longRange": [list(part) for part in frame.long_range],
        "orders": [asdict(total) for total in order_totals(frame)],
        "relations": [asdict(total) for total in relation_totals(frame)],
        "ranges": [asdict(total) for total in range_totals(frame, width=0.5 if _extent(frame) < 8.0 else 1.0)],
        "oneBody": _one_body(frame),
        "shares": {name: _digits(getattr(frame.shares, name)) for name in ("readout", "start", "passage")},
        "pairs": _pairs(frame, rotation, max_pairs),
        "triples": _triples(frame),
        "walks": _walks(frame),
        "groups": _groups(frame),
    }
    if frame.forces is not None:
        record["forces"] = _rounded(frame.forces.forces @ rotation.T, 5)
        record["pairForces"] = _rounded(frame.forces.matrix @ rotation.T, 5)
    if atoms.pbc.any():
        # Three edges from one corner; directions without periodicity have none to draw.
        edges = atoms.cell.array * atoms.pbc[:, None]
        record["cell"] = {"edges": _rounded(edges @ rotation.T, 4), "corner": _rounded(-middle, 4)}
    return record


def _drawn_bonds(around: Surroundings) -> list[list[float]]:
    """Atoms and orders of the bonds that do not go through a face of the cell: a line between the atoms is the bond."""
    bonds = around.bonds
    inside = around.beside(*bonds.pairs.T)
    return [
        [i, j, order] for (i, j), order in zip(bonds.pairs[inside].tolist(), bonds.orders[inside].tolist(), strict=True)
    ]


def _notes(frame: ExplainedFrame) -> str:
    """What a reader must know before the numbers, in one paragraph."""
    notes = list(reading_notes(frame.atoms))
    if frame.outside:
        notes.append(f"outside of what the model was trained on: {'; '.join(frame.outside)}")
    notes.extend(frame.warnings)
    later = [f"{note[:1].upper()}{note[1:]}" for note in notes[1:]]
    return f"Mind: {'. '.join([*notes[:1], *later])}." if notes else ""


def _extent(frame: ExplainedFrame) -> float:
    return float(np.ptp(frame.atoms.positions, axis=0).max())


def _one_body(frame: ExplainedFrame) -> list[float]:
    values = np.zeros(len(frame.atoms))
    singles = frame.interactions.order(1)
    values[singles.atoms[:, 0]] = singles.relevance
    return _digits(values)


def _pairs(frame: ExplainedFrame, rotation: Float[np.ndarray, "3 3"], limit: int) -> dict[str, Any] | None:
    if frame.interactions.max_order < 2:
        return None
    terms = frame.interactions.order(2)
    keep = np.argsort(-np.abs(terms.relevance), kind="stable")[:limit]
    (i, j), relevance = terms.atoms[keep].T, terms.relevance[keep]
    around = frame.surroundings
    vectors = around.vectors(i, j)
    left_out = np.abs(terms.relevance).sum() - np.abs(relevance).sum()
    result = {
        "i": i.tolist(),
        "j": j.tolist(),
        "r": _digits(relevance),
        "d": _rounded(np.linalg.norm(vectors, axis=1), 4),
        "bond": [BOND_CLASSES.index(name) for name in around.bond_classes(i, j)],
        "relation": around.relations(i, j).tolist(),
        "total": len(terms.relevance),
        "leftOut": float(max(left_out, 0.0)),
    }
    if not around.beside(i, j).all():
        result["v"] = _rounded(vectors @ rotation.T, 4)
    return result


def _triples(frame: ExplainedFrame) -> dict[str, Any] | None:
    if frame.interactions.max_order < 3:
        return None
    terms = frame.interactions.order(3)
    keep = np.argsort(-np.abs(terms.relevance), kind="stable")[:MAX_TRIPLES]
    a, b, c = terms.atoms[keep].T
    around = frame.surroundings
    sides = np.stack([around.distances(a, b), around.distances(a, c), around.distances(b, c)])
    relations = np.stack([around.relations(a, b), around.relations(a, c), around.relations(b, c)])
    return {
        "atoms": terms.atoms[keep].tolist(),
        "r": _digits(terms.relevance[keep]),
        "range": _rounded(sides.max(axis=0), 4),
        "span": relations.max(axis=0).tolist(),
        "total": len(terms.relevance),
    }


def _walks(frame: ExplainedFrame) -> dict[str, Any]:
    return {
        "atoms": frame.walks.atoms[:MAX_WALKS].tolist(),
        "r": _digits(frame.walks.relevance[:MAX_WALKS]),
        "kept": len(frame.walks.relevance),
    }


def _groups(frame: ExplainedFrame) -> dict[str, Any] | None:
    if frame.groups is None or frame.group_terms is None:
        return None
    n = len(frame.groups.names)
    shown = min(n, MAX_GROUPS)
    matrix = np.zeros((n, n))
    single = frame.group_terms.order(1)
    matrix[single.atoms[:, 0], single.atoms[:, 0]] = single.relevance
    if frame.group_terms.max_order >= 2:
        double = frame.group_terms.order(2)
        i, j = double.atoms.T
        matrix[i, j] = matrix[j, i] = double.relevance
    return {
        "names": list(frame.groups.names[:shown]),
        "members": [list(atoms) for atoms in frame.groups.members[:shown]],
        "matrix": [_digits(row) for row in matrix[:shown, :shown]],
        "remainder": float(frame.group_terms.remainder),
        "total": n,
    }


def vocabulary() -> dict[str, list[str]]:
    """Names that records refer to by number."""
    return {"relations": list(RELATIONS), "bonds": list(BOND_CLASSES)}


def _digits(values: np.ndarray) -> list[float]:
    # Six significant digits: more than any pixel, a third of the bytes.
    return [float(f"{value:.6g}") for value in np.asarray(values).tolist()]


def _rounded(values: np.ndarray, decimals: int) -> list:
    return np.round(values, decimals).tolist()
