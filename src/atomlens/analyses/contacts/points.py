"""What a model says of benchmark dimers, point by point, next to what is known of them."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Callable, Sequence

import ase
import numpy as np
import polars as pl
from jaxtyping import Int
from scipy.spatial.distance import cdist, pdist

from atomlens.analyses.assemblies import knows_element, predictions
from atomlens.analyses.inputs import AnalysisInputs
from atomlens.interactions import Terms
from atomlens.potentials import AnyPotential
from atomlens.reference import DimerCurve, ReferenceUnavailable
from atomlens.surveys import Progress, no_progress

POINTS = {
    "curve": pl.Int64,
    "data_set": pl.String,
    "system": pl.String,
    "name": pl.String,
    "group": pl.String,
    "charge_1": pl.Int64,
    "charge_2": pl.Int64,
    "factor": pl.Float64,
    "gap": pl.Float64,
    "separation": pl.Float64,
    "benchmark": pl.Float64,
    "electrostatics": pl.Float64,
    "pair_terms": pl.Float64,
    "group_term": pl.Float64,
    "interaction": pl.Float64,
    "charges": pl.Float64,
    "gfn2": pl.Float64,
}
# Atoms of a molecule that moved so far within it (Å) make another geometry of it.
_RIGID = 1e-4


def known_curves(model: AnyPotential, curves: Sequence[DimerCurve]) -> tuple[list[DimerCurve], dict[str, int]]:
    """Curves of elements that the model knows; of the others, how many hold each element that it does not."""
    kept: list[DimerCurve] = []
    unknown: Counter[str] = Counter()
    found: dict[str, bool] = {}
    for curve in curves:
        symbols = sorted(set(curve.structures[0].get_chemical_symbols()))
        found |= {symbol: knows_element(model, symbol) for symbol in symbols if symbol not in found}
        strangers = [symbol for symbol in symbols if not found[symbol]]
        unknown.update(strangers)
        if not strangers:
            kept.append(curve)
    return kept, dict(unknown.most_common())


def dimer_points(
    inputs: AnalysisInputs,
    curves: Sequence[DimerCurve],
    energy: Callable[[ase.Atoms], float] | None = None,
    progress: Progress = no_progress,
) -> tuple[pl.DataFrame, str]:
    r"""One row per dimer and distance, energies in eV.

    ``benchmark`` is the interaction energy by CCSD(T), ``electrostatics`` that part of it by DFT-SAPT. Of the model:
    ``pair_terms`` :math:`\sum_{i \in A, j \in B} I(\{i, j\})`, ``group_term`` :math:`I(\{A, B\})` of the molecules
    as groups, ``interaction`` :math:`E_{AB} - E_A - E_B`, ``charges`` the Coulomb energy of learned charges across
    the molecules; of an ASE calculator there is the interaction alone. ``gfn2`` is :math:`E_{AB} - E_A - E_B` by
    `energy`. Null where there is none. ``gap`` is the smallest distance between the molecules, ``separation`` that
    of their centres of mass, in Å. Points at which an ASE calculator fails are left out.

    Returns
    -------
    The table (`POINTS`), and why `energy` failed somewhere ("" where it did not).
    """
    rows: list[tuple[object, ...]] = []
    reason = ""
    for number, curve in enumerate(curves):
        progress("benchmark dimers", number, len(curves))
        own = _interactions(lambda atoms: float(predictions(inputs.model, [atoms])[0]), curve)
        known: Sequence[float | None] = [None] * len(curve.factors)
        if energy is not None:
            try:
                known = _interactions(energy, curve)
            except ReferenceUnavailable as error:
                reason = str(error)
        static = curve.sapt.get("electrostatics")
        for k, atoms in enumerate(curve.structures):
            if not math.isfinite(own[k]):  # the calculator failed
                continue
            first, second = curve.monomers
            between = cdist(atoms.positions[first], atoms.positions[second])
            centres = [atoms[part].get_center_of_mass() for part in curve.monomers]
            parts = _parts(inputs, atoms, curve.monomers) if inputs.model.facts.has_terms else (None, None, None)
            rows.append(
                (
                    number,
                    curve.data_set,
                    curve.system,
                    curve.name,
                    curve.group,
                    *curve.charges,
                    float(curve.factors[k]),
                    float(between.min()),
                    float(np.linalg.norm(centres[1] - centres[0])),
                    float(curve.energies[k]),
                    None if static is None else float(static[k]),
                    *parts[:2],
                    own[k],
                    parts[2],
                    known[k],
                )
            )
    progress("benchmark dimers", len(curves), len(curves))
    return pl.DataFrame(rows, schema=POINTS, orient="row"), reason


def _parts(
    inputs: AnalysisInputs, atoms: ase.Atoms, monomers: tuple[Int[np.ndarray, " a"], Int[np.ndarray, " b"]]
) -> tuple[float, float, float | None]:
    """Pair terms across the molecules, their group term, and the energy of learned charges, if there are any."""
    explained, (first, second) = inputs.explained(atoms), monomers
    apart = np.zeros(len(atoms), dtype=bool)
    apart[second] = True
    groups = explained.group_interactions([first.tolist(), second.tolist()], max_order=2)
    charged = "coulomb" in explained.long_range_kinds
    return (
        _across(explained.interactions(max_order=2).order(2), apart),
        float(groups.order(2).relevance.sum()),
        _across(explained.long_range_terms("coulomb"), apart) if charged else None,
    )


def _across(terms: Terms, apart: np.ndarray) -> float:
    """Sum of the terms of two atoms of different molecules."""
    i, j = terms.atoms.T
    return float(terms.relevance[apart[i] != apart[j]].sum())


def _interactions(energy: Callable[[ase.Atoms], float], curve: DimerCurve) -> list[float]:
    """E(AB) - E(A) - E(B) along a curve; a molecule that does not change within is asked about once."""
    found = [energy(atoms) for atoms in curve.structures]
    for molecule in zip(*curve.alone, strict=True):
        shape, alone = None, 0.0
        for k, atoms in enumerate(molecule):
            now = pdist(atoms.positions)
            if shape is None or not np.allclose(now, shape, rtol=0.0, atol=_RIGID):
                shape, alone = now, energy(atoms)
            found[k] -= alone
    return found
