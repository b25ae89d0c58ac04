"""What the question of extensivity is answered from: molecules moved apart, strengths and shares of all structures."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from atomlens.analyses.extensivity.orbital import orbital_overlaps
from atomlens.analyses.extensivity.separated_pairs import scan_pairs
from atomlens.analyses.inputs import AnalysisInputs, by_seed
from atomlens.analyses.shares import molecule_strengths, participation_ratios, range_shares
from atomlens.reference import composition
from atomlens.surveys import Progress, no_progress


@dataclass(frozen=True)
class ExtensivityResult:
    """What was measured.

    Attributes
    ----------
    property, unit
        What the model predicts.
    kind, reason
        How that property composes (`atomlens.reference.properties`), and why.
    readout
        How the model turns atoms into its prediction: sum, avg, softmax, dipole or polarizability.
    extensive_output
        Whether the model adds its mean and references an atom, or once.
    cutoff
        Of the model, in Å.
    long_range
        Whether it has energies of all pairs besides, at any distance.
    dimers, scan
        Two molecules moved apart (`atomlens.analyses.extensivity.separated_pairs.Scans`).
    same_formula
        Whether pairs are of one formula.
    molecules, untrained
        One row per molecule: strengths by order (`molecule_strengths`), ``participation`` of its atomic shares, and
        ``shuffled``: the same for shares shuffled over all atoms of the set. ``untrained`` has those of untrained
        models, by ``seed``.
    ranges
        Strength by order and range.
    orbitals
        One row per molecule (`atomlens.analyses.extensivity.orbital`); empty where none was computed.
    orbitals_missing
        Why there are none.
    has_terms
        Whether the model has terms and shares; without them, `molecules` and `ranges` are empty.
    seed
        Of the controls.
    """

    property: str
    unit: str
    kind: str
    reason: str
    readout: str
    extensive_output: bool
    cutoff: float
    long_range: bool
    dimers: pl.DataFrame
    scan: pl.DataFrame
    same_formula: bool
    molecules: pl.DataFrame
    untrained: pl.DataFrame
    ranges: pl.DataFrame
    orbitals: pl.DataFrame
    orbitals_missing: str
    seed: int
    has_terms: bool = True


def compute(
    inputs: AnalysisInputs, *, progress: Progress = no_progress, n_dimers: int = 30, n_orbitals: int = 100
) -> ExtensivityResult:
    """Move molecules apart, and collect strengths and participation ratios of all structures.

    Parameters
    ----------
    inputs
        Model, structures and tables.
    progress
        Called with what is being done.
    n_dimers
        How many pairs of molecules to move apart.
    n_orbitals
        For a HOMO: of how many molecules to compute the orbital.
    """
    facts = inputs.model.facts
    known = composition(inputs.property, facts.has_forces)
    rng = np.random.default_rng(inputs.settings.seed)
    scans = scan_pairs(inputs, n_dimers, rng=rng, progress=progress)
    orbitals, missing = pl.DataFrame(), "an ASE calculator has no shares of atoms"
    if facts.has_terms:
        orbitals, missing = orbital_overlaps(inputs, n_orbitals, rng, progress)
    return ExtensivityResult(
        property=inputs.property,
        unit=inputs.unit,
        kind=known.kind.value,
        reason=known.reason,
        readout=facts.readout,
        extensive_output=facts.extensive,
        cutoff=facts.cutoff,
        long_range=facts.long_range != "none",
        dimers=scans.dimers,
        scan=scans.scan,
        same_formula=scans.same_formula,
        molecules=_molecules(inputs.tables, inputs.unit, rng) if facts.has_terms else pl.DataFrame(),
        untrained=by_seed([_molecules(tables, inputs.unit, rng) for tables in inputs.untrained]),
        ranges=range_shares(inputs.tables, inputs.unit) if facts.has_terms else pl.DataFrame(),
        orbitals=orbitals,
        orbitals_missing=missing,
        seed=inputs.settings.seed,
        has_terms=facts.has_terms,
    )


def _molecules(tables: dict[str, pl.DataFrame], unit: str, rng: np.random.Generator) -> pl.DataFrame:
    table = molecule_strengths(tables, unit)
    place = pl.DataFrame({"frame": table["frame"], "place": np.arange(len(table))})
    atoms = tables["atoms"].join(place, on="frame", how="inner", maintain_order="left")
    shares, owner = atoms[f"readout_{unit}"].to_numpy(), atoms["place"].to_numpy()
    return table.with_columns(
        pl.Series("participation", participation_ratios(shares, owner, len(table))),
        pl.Series("shuffled", participation_ratios(rng.permutation(shares), owner, len(table))),
    )
