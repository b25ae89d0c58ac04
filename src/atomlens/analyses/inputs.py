"""What every analysis starts from: a model, structures, and the tables of their explained predictions."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import overload

import ase
import polars as pl
import torch

from atomlens.interactions import Explanation, explain
from atomlens.models import Potential
from atomlens.potentials import AnyModel, AnyPotential, CalculatorModel, OpenedModel
from atomlens.recording import DEFAULT_PRODUCT_RULE


@dataclass(frozen=True)
class Settings:
    """How predictions are explained, where chance comes from, and what is known beside the structures.

    Attributes
    ----------
    rule, product_rule
        How predictions are explained.
    seed
        Of controls, intervals and drawn pairs.
    trained_range
        Largest distance in Å between atoms of one training structure; the largest in the structures if None.
    distances
        Range of pair distances in Å over which decay is judged, for models that are compared; the model's own if None.
    s66x8
        COMP6's file of S66x8, to compare with its curves; None if there is none.
    dimers
        Archives or folders of NCIAtlas, to compare contacts with.
    scans
        Folder of bond scans with energies and forces, to compare with; GFN2-xTB's own if None.
    """

    rule: str = "gate"
    product_rule: str = DEFAULT_PRODUCT_RULE
    seed: int = 0
    trained_range: float | None = None
    distances: tuple[float, float] | None = None
    s66x8: Path | None = None
    dimers: tuple[Path, ...] = ()
    scans: Path | None = None


@dataclass(frozen=True)
class AnalysisInputs:
    """Input of every analysis.

    Attributes
    ----------
    model
        The model in question; an ASE calculator has no terms, and its tables no relevance.
    structures
        What it is asked about, counted by the tables' ``frame`` column: of many structures, those that are judged.
    tables
        ``frames``, ``atoms``, ``pairs`` and, if computed, ``triples`` of these structures (`atomlens.tables.COLUMNS`).
    untrained
        The same tables for `untrained_models`, each over some of the structures: a null control needs no more.
    unit
        Unit of the prediction, and of the tables' relevance column.
    settings
        Rules and seed.
    """

    model: AnyPotential
    structures: Sequence[ase.Atoms]
    tables: dict[str, pl.DataFrame]
    untrained: Sequence[dict[str, pl.DataFrame]] = ()
    unit: str = "eV"
    settings: Settings = field(default_factory=Settings)

    @property
    def relevance(self) -> str:
        """Name of the relevance column."""
        return f"relevance_{self.unit}"

    @property
    def property(self) -> str:
        """What the model predicts."""
        return self.model.facts.quantity

    def explained(self, atoms: ase.Atoms) -> Explanation:
        """A structure explained by the model, under the rules of the settings."""
        if isinstance(self.model, CalculatorModel):
            raise TypeError("an ASE calculator has no terms")
        return explain(self.model, atoms, rule=self.settings.rule, product_rule=self.settings.product_rule)

    def untrained_level(self, level: str) -> list[pl.DataFrame]:
        """Tables of one level ("pairs"), one for each untrained model that has it."""
        return [tables[level] for tables in self.untrained if level in tables]


# One seed is no control: another may score anything. Of so many, the 95 % quantile is near the largest.
N_UNTRAINED = 10


def untrained_models(model: AnyPotential, seed: int = 0, n: int = N_UNTRAINED) -> list[AnyModel]:
    """Several untrained models, of seeds counted from one; none of an ASE calculator, which has no weights to draw."""
    if isinstance(model, CalculatorModel):
        return []
    return [untrained_model(model, seed + k) for k in range(n)]


def seed_column(source: str, seed: int) -> str:
    """Column of one of several untrained models: the first has the plain name, which is drawn."""
    return source if seed == 0 else f"{source}/{seed}"


def seed_columns(table: pl.DataFrame, source: str) -> list[str]:
    """Columns of all untrained models of a source."""
    return [name for name in table.columns if name == source or name.startswith(f"{source}/")]


def by_seed(tables: Sequence[pl.DataFrame]) -> pl.DataFrame:
    """Tables of several untrained models as one, with their number in the column ``seed``; empty for none."""
    parts = [table.with_columns(pl.lit(k).alias("seed")) for k, table in enumerate(tables)]
    return pl.concat(parts) if parts else pl.DataFrame()


@overload
def untrained_model(model: Potential, seed: int = 0) -> Potential: ...
@overload
def untrained_model(model: AnyModel, seed: int = 0) -> AnyModel: ...
def untrained_model(model: AnyModel, seed: int = 0) -> AnyModel:
    """A model of the same configuration, references and scale with freshly drawn weights: a null control.

    Parameters
    ----------
    model
        The model whose shape is taken.
    seed
        Of the weights; the global random state is left as it was.
    """
    if isinstance(model, OpenedModel):
        return model.untrained(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        fresh = Potential(model.config)
    state = fresh.state_dict()
    learned = {name for name, _ in model.named_parameters()}
    kept = {name: value for name, value in model.state_dict().items() if name not in learned}
    fresh.load_state_dict({**state, **kept})
    return fresh.to(device=model.device, dtype=model.dtype).eval()
