"""Clusters of molecules, of the set or built of its molecules: terms of molecules beside what removal gives."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from itertools import combinations

import ase
import ase.build
import numpy as np
import polars as pl
from scipy.spatial.distance import cdist

from atomlens.analyses.assemblies import cluster_of, joined, lone_molecules, predictions
from atomlens.analyses.inputs import AnalysisInputs, seed_column, untrained_models
from atomlens.analyses.statistics import MIN_MOLECULES
from atomlens.interactions import explain
from atomlens.potentials import AnyModel, AnyPotential, CalculatorModel
from atomlens.reference import ManyBodyExpansion, ReferenceUnavailable, gfn2_energy, many_body_expansion
from atomlens.structures import InputError, fragments
from atomlens.surveys import Progress, no_progress

OF_THE_SET, BUILT, WATER = "frames of the set", "built of molecules of the set", "water"
# Three molecules are the fewest with a term of three; two to six keep all sets of them few.
_SIZE = 3
_SIZES = (2, 6)
_MAX_ATOMS = 100
# Contact in sums of van der Waals radii: hydrogen bonds are shorter than one, and so are repulsive contacts.
_TIGHTNESS = (0.8, 1.1)
# Untrained models are asked about so many clusters.
N_UNTRAINED_CLUSTERS = 12


@dataclass(frozen=True)
class Cluster:
    """Molecules in contact: the structure, the atoms of each molecule, and where it is from."""

    atoms: ase.Atoms
    molecules: tuple[tuple[int, ...], ...]
    family: str


def find_clusters(inputs: AnalysisInputs, n_clusters: int, rng: np.random.Generator) -> list[Cluster]:
    """Clusters among the structures; where an interval needs more, clusters built of three of their molecules.

    Every molecule is in one cluster where there are enough of them. Where the model knows hydrogen and oxygen, half as
    many clusters of three water molecules come on top.
    """
    found = _of_the_set(inputs, n_clusters, rng)
    if len(found) < MIN_MOLECULES:
        found += _built(inputs, n_clusters, rng)
    elements = inputs.model.facts.elements
    if found and (elements is None or {1, 8} <= set(elements)):
        water = ase.build.molecule("H2O")
        found += [_cluster([water] * _SIZE, WATER, rng) for _ in range(n_clusters // 2)]
    return found


def cluster_terms(inputs: AnalysisInputs, clusters: list[Cluster], progress: Progress = no_progress) -> pl.DataFrame:
    """One row per pair or triple of molecules in a cluster.

    Columns: ``cluster``, ``family``, ``order``, ``molecules`` ("0-2"), ``gap`` (smallest distance between two molecules
    in Å, for three molecules the largest of the three), ``term`` (of the molecules as groups, where the model has
    terms), ``removal`` (many-body expansion of the model itself), and of the first clusters ``untrained_term`` and
    ``untrained_removal`` of several untrained models (`seed_column`), null elsewhere. Clusters at which an ASE
    calculator fails are left out.
    """
    untrained = untrained_models(inputs.model, inputs.settings.seed)
    rows = []
    for number, cluster in enumerate(clusters):
        progress("clusters", number, len(clusters))
        columns = {"removal": _by_order(_expansion(_energy_of(inputs.model), cluster))}
        if not all(math.isfinite(energy) for energy in columns["removal"].values()):  # the calculator failed
            continue
        if not isinstance(inputs.model, CalculatorModel):
            columns["term"] = _group_terms(inputs, inputs.model, cluster)
        for seed, fresh in enumerate(untrained if number < N_UNTRAINED_CLUSTERS else ()):
            columns[seed_column("untrained_term", seed)] = _group_terms(inputs, fresh, cluster)
            removal = _by_order(_expansion(_energy_of(fresh), cluster))
            columns[seed_column("untrained_removal", seed)] = removal
        gaps = _gaps(cluster)
        for members in columns["removal"]:
            row: dict[str, float | str] = {
                "cluster": number,
                "family": cluster.family,
                "order": len(members),
                "molecules": "-".join(map(str, members)),
                "gap": max(gaps[pair] for pair in combinations(members, 2)),
            }
            rows.append(row | {name: values.get(members, 0.0) for name, values in columns.items()})
    return pl.DataFrame(rows, infer_schema_length=None)


def reference_terms(clusters: list[Cluster], progress: Progress = no_progress) -> tuple[pl.DataFrame, str]:
    """Many-body energies of GFN2-xTB in eV (``cluster``, ``molecules``, ``xtb``), and why some are missing."""
    rows, reason = [], ""
    for number, cluster in enumerate(clusters):
        progress("GFN2 energies of clusters", number, len(clusters))
        try:
            terms = _by_order(_expansion(gfn2_energy, cluster))
        except (ReferenceUnavailable, InputError) as error:
            reason = str(error)
            continue
        rows += [{"cluster": number, "molecules": "-".join(map(str, m)), "xtb": e} for m, e in terms.items()]
    schema = {"cluster": pl.Int64, "molecules": pl.String, "xtb": pl.Float64}
    return pl.DataFrame(rows, schema=schema), reason


def _of_the_set(inputs: AnalysisInputs, n_clusters: int, rng: np.random.Generator) -> list[Cluster]:
    # Molecules that see each other have a pair term: no other structure need be searched for molecules.
    across = inputs.tables["pairs"].filter(pl.col("relation") == "other molecule")["frame"].unique().sort()
    found: list[Cluster] = []
    for frame in rng.permutation(across.to_numpy()).tolist():
        atoms = inputs.structures[frame]
        if len(atoms) > _MAX_ATOMS or atoms.pbc.any():
            continue
        parts = fragments(atoms)
        if _SIZES[0] <= len(parts) <= _SIZES[1]:
            found.append(Cluster(atoms, tuple(map(tuple, parts)), OF_THE_SET))
        if len(found) == n_clusters:
            break
    return found


def _built(inputs: AnalysisInputs, n_clusters: int, rng: np.random.Generator) -> list[Cluster]:
    frames = rng.permutation(inputs.tables["frames"]["frame"].to_numpy()).tolist()
    lone: list[int] = []
    for frame in frames:
        if len(inputs.structures[frame]) <= _MAX_ATOMS // _SIZE:
            lone += lone_molecules(inputs.model, inputs.structures, [frame])
        if len(lone) == _SIZE * n_clusters:
            break
    if not lone:
        return []
    wanted = np.resize(np.array(lone), _SIZE * n_clusters).reshape(n_clusters, _SIZE)
    return [_cluster([inputs.structures[k] for k in chosen], BUILT, rng) for chosen in wanted.tolist()]


def _cluster(molecules: list[ase.Atoms], family: str, rng: np.random.Generator) -> Cluster:
    placed = cluster_of(molecules, float(rng.uniform(*_TIGHTNESS)), rng)
    ends = np.cumsum([len(molecule) for molecule in placed])
    parts = tuple(tuple(range(end - len(molecule), end)) for end, molecule in zip(ends.tolist(), placed, strict=True))
    return Cluster(joined(placed), parts, family)


def _group_terms(inputs: AnalysisInputs, model: AnyModel, cluster: Cluster) -> dict[tuple[int, ...], float]:
    settings = inputs.settings
    ex = explain(model, cluster.atoms, rule=settings.rule, product_rule=settings.product_rule)
    highest = min(3, len(cluster.molecules))
    terms = ex.group_interactions([list(part) for part in cluster.molecules], max_order=highest)
    return {
        tuple(members): value
        for order in range(2, highest + 1)
        for members, value in zip(terms.order(order).atoms.tolist(), terms.order(order).relevance.tolist(), strict=True)
    }


def _energy_of(model: AnyPotential) -> Callable[[ase.Atoms], float]:
    return lambda atoms: float(predictions(model, [atoms])[0])


def _expansion(energy: Callable[[ase.Atoms], float], cluster: Cluster) -> ManyBodyExpansion:
    return many_body_expansion(energy, cluster.atoms, cluster.molecules)


def _by_order(expansion: ManyBodyExpansion) -> dict[tuple[int, ...], float]:
    return {
        tuple(members): value
        for terms in expansion.orders[1:]
        for members, value in zip(terms.molecules.tolist(), terms.energy.tolist(), strict=True)
    }


def _gaps(cluster: Cluster) -> dict[tuple[int, int], float]:
    places = [cluster.atoms.positions[list(part)] for part in cluster.molecules]
    return {(i, j): float(cdist(places[i], places[j]).min()) for i, j in combinations(range(len(places)), 2)}
