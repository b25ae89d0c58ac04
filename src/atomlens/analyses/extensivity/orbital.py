r"""Atomic shares of a predicted HOMO energy against the orbital itself: where GFN2-xTB puts its electron.

With p the population of the orbital on each atom and q = |s| / Σ|s| the shares of the prediction: overlap
:math:`\sum_i \min(p_i, q_i)` from 0 to 1, and the rank correlation of p and q within the molecule.
"""

from __future__ import annotations

import ase
import numpy as np
import polars as pl
import torch
from jaxtyping import Float

from atomlens.analyses.inputs import AnalysisInputs, Settings, seed_column, untrained_models
from atomlens.analyses.shares import participation_ratios
from atomlens.analyses.statistics import rank_correlation
from atomlens.interactions import explain
from atomlens.models import Atomwise, Potential
from atomlens.potentials import AnyModel, AnyPotential
from atomlens.reference import Kind, ReferenceUnavailable, composition, gfn2
from atomlens.surveys import Progress, evenly_spread, no_progress

# Fewer atoms than this have no ranking to speak of.
_MIN_RANKED = 4


def orbital_overlaps(
    inputs: AnalysisInputs, n_molecules: int, rng: np.random.Generator, progress: Progress = no_progress
) -> tuple[pl.DataFrame, str]:
    """One row per molecule, and why rows are missing.

    Columns: ``frame``, ``n_atoms``, ``orbital_participation``, ``overlap``, and rank correlations with the orbital:
    ``rank`` (all atoms), ``rank_heavy`` (without hydrogen), each of the shares, of shares ``_shuffled`` within the
    molecule, of those of untrained models (``_untrained``, `seed_column`), and of the ``_element``'s mean share alone;
    ``rank_weight`` with the same three for the weights of a softmax readout, where there is one: ``_untrained`` are the
    weights of `untrained_models`.

    Parameters
    ----------
    inputs
        Model, structures and tables.
    n_molecules
        So many frames are asked, spread evenly over all: sets are often sorted by size.
    rng
        Of the shuffled control.
    progress
        Called after every molecule.
    """
    if composition(inputs.property).kind is not Kind.LARGER:
        return pl.DataFrame(), f"{inputs.property} is no energy of an occupied orbital"
    column = f"readout_{inputs.unit}"
    atoms = inputs.tables["atoms"]
    by_element = dict(atoms.group_by("element").agg(pl.col(column).abs().mean()).iter_rows())
    explained = inputs.tables["frames"]["frame"].to_list()
    frames = [explained[place] for place in evenly_spread(len(explained), n_molecules)]
    untrained = untrained_models(inputs.model, inputs.settings.seed)
    chosen = atoms.filter(pl.col("frame").is_in(frames))
    shares = {key[0]: part for key, part in chosen.partition_by("frame", as_dict=True, maintain_order=True).items()}
    rows, reason = [], ""
    for number, frame in enumerate(frames):
        progress("orbitals", number, len(frames))
        structure, mine = inputs.structures[frame], shares[frame]
        try:
            population = _population(structure)
        except ReferenceUnavailable as error:
            reason = str(error)
            continue
        given = mine[column].abs().to_numpy()
        views = {
            "": given,
            "_shuffled": rng.permutation(given),
            "_element": np.array([by_element[symbol] for symbol in mine["element"]]),
        }
        for seed, fresh in enumerate(untrained):
            views[seed_column("_untrained", seed)] = _shares(fresh, structure, inputs.settings)
        row: dict[str, float] = {
            "frame": frame,
            "n_atoms": len(structure),
            "orbital_participation": float(participation_ratios(population, np.zeros(len(given), int), 1)[0]),
            "overlap": float(np.minimum(population, given / max(given.sum(), 1e-300)).sum()),
        }
        row |= _ranks(structure, population, views)
        if (weights := readout_weights(inputs.model, structure)) is not None:
            views |= {"": weights, "_shuffled": rng.permutation(weights)}
            for seed, fresh in enumerate(untrained):
                views[seed_column("_untrained", seed)] = readout_weights(fresh, structure)
            row |= {f"rank_weight{k}": v for k, v in _correlations(population, views).items()}
        rows.append(row)
    if not rows:
        return pl.DataFrame(), reason or "no structure could be explained"
    return pl.DataFrame(rows, infer_schema_length=None), ""


def _shares(model: AnyModel, atoms: ase.Atoms, settings: Settings) -> Float[np.ndarray, " N"]:
    """Absolute shares of the atoms; the tables of the untrained model hold the first structures only."""
    return np.abs(explain(model, atoms, rule=settings.rule, product_rule=settings.product_rule).atom_shares().readout)


def readout_weights(model: AnyPotential, atoms: ase.Atoms) -> Float[np.ndarray, " N"] | None:
    """Weights that a softmax readout gives to the atoms of a structure; None for any other readout."""
    if not isinstance(model, Potential):
        return None
    if not isinstance(model.readout, Atomwise) or model.readout.attention is None:
        return None
    graph = model.graph(atoms)
    with torch.no_grad():
        return model.readout.weights(model.representation(graph), graph).cpu().numpy().astype(np.float64)


def _population(atoms: ase.Atoms) -> Float[np.ndarray, " N"]:
    orbitals = gfn2(atoms).orbitals
    population = None if orbitals is None else orbitals.homo_population()
    if population is None:
        raise ReferenceUnavailable("the structure has no electrons")
    # Mulliken shares may be slightly negative, which no share of an electron is.
    positive = np.maximum(population, 0.0)
    return positive / positive.sum()


def _ranks(
    atoms: ase.Atoms, population: Float[np.ndarray, " N"], views: dict[str, Float[np.ndarray, " N"] | None]
) -> dict[str, float]:
    heavy = atoms.numbers > 1
    inner = {key: None if values is None else values[heavy] for key, values in views.items()}
    return {f"rank{k}": v for k, v in _correlations(population, views).items()} | {
        f"rank_heavy{k}": v for k, v in _correlations(population[heavy], inner).items()
    }


def _correlations(
    population: Float[np.ndarray, " N"], views: dict[str, Float[np.ndarray, " N"] | None]
) -> dict[str, float]:
    enough = len(population) >= _MIN_RANKED
    return {
        key: rank_correlation(values, population) if enough and values is not None else float("nan")
        for key, values in views.items()
    }
