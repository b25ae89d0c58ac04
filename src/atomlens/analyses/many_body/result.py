"""What the question of many-body character is answered from: strengths by order and range, clusters of molecules."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import polars as pl

from atomlens.analyses.inputs import AnalysisInputs, by_seed
from atomlens.analyses.many_body.clusters import cluster_terms, find_clusters, reference_terms
from atomlens.analyses.shares import molecule_strengths, range_shares
from atomlens.reference import Kind, composition
from atomlens.surveys import Progress, no_progress


@dataclass(frozen=True)
class ManyBodyResult:
    """What was measured.

    Attributes
    ----------
    property, unit
        What the model predicts.
    kind, reason
        How that property composes (`atomlens.reference.properties`), and why.
    molecules, untrained
        Strengths and mean ranges by order, one row per molecule (`molecule_strengths`); untrained models by ``seed``.
    ranges
        Strength by order and range (`range_shares`).
    terms
        One row per pair or triple of molecules in a cluster (`cluster_terms`), with ``xtb`` in eV where GFN2 gave it.
    terms_missing, reference_missing
        Why there are no clusters, or no GFN2 energies.
    is_energy
        Whether the property is the energy of a geometry, which GFN2 can be asked for.
    seed
        Of the controls.
    has_terms
        Whether the model has terms; of one without, what removals say is compared with GFN2.
    """

    property: str
    unit: str
    kind: str
    reason: str
    molecules: pl.DataFrame
    untrained: pl.DataFrame
    ranges: pl.DataFrame
    terms: pl.DataFrame
    terms_missing: str
    reference_missing: str
    seed: int
    is_energy: bool = True
    has_terms: bool = True


def compute(inputs: AnalysisInputs, *, progress: Progress = no_progress, n_clusters: int = 30) -> ManyBodyResult:
    """Collect strengths by order and range, and expand clusters over their molecules.

    Parameters
    ----------
    inputs
        Model, structures and tables.
    progress
        Called with what is being done.
    n_clusters
        How many clusters to expand; half as many of water come on top.
    """
    known = composition(inputs.property, inputs.model.facts.has_forces)
    terms, missing, unreferenced = pl.DataFrame(), "", ""
    if known.kind is not Kind.SUM:
        missing = f"a many-body expansion means nothing where parts do not add ({inputs.property}): {known.reason}"
    else:
        clusters = find_clusters(inputs, n_clusters, np.random.default_rng(inputs.settings.seed))
        if clusters:
            terms = cluster_terms(inputs, clusters, progress)
        else:
            missing = "no structure of the set is a cluster, or a single molecule to build one of"
        if clusters and not len(terms):
            missing = f"{inputs.model.facts.name} fails at every cluster"
        if len(terms) and known.is_energy:
            found, unreferenced = reference_terms(clusters, progress)
            terms = terms.join(found, on=("cluster", "molecules"), how="left", maintain_order="left")
        elif len(terms):
            unreferenced = f"{inputs.property} is no energy of a geometry, which GFN2 could be asked for"
    has_terms = inputs.model.facts.has_terms
    return ManyBodyResult(
        property=inputs.property,
        unit=inputs.unit,
        kind=known.kind.value,
        reason=known.reason,
        molecules=molecule_strengths(inputs.tables, inputs.unit) if has_terms else pl.DataFrame(),
        untrained=by_seed([molecule_strengths(tables, inputs.unit) for tables in inputs.untrained]),
        ranges=range_shares(inputs.tables, inputs.unit) if has_terms else pl.DataFrame(),
        terms=terms,
        terms_missing=missing,
        reference_missing=unreferenced,
        seed=inputs.settings.seed,
        is_energy=known.is_energy,
        has_terms=has_terms,
    )
