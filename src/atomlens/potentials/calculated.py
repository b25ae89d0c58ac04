"""Any ASE calculator behind the door of models: energy and forces, and nothing of how they come about."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import ase
import numpy as np
from ase.calculators.calculator import Calculator, all_changes

from atomlens.models import ModelFacts, Prediction
from atomlens.potentials.guarded import CalculatorFailed, Guarded
from atomlens.potentials.imported import import_calculator
from atomlens.structures import InputError

# Images of what is put into a box are at least so far apart, in Å.
ROOM = 10.0


@dataclass(frozen=True)
class CalculatorOrigin:
    """How a calculator was made, so that another process can make it in the same way.

    Attributes
    ----------
    name
        Its import path.
    arguments
        Keyword arguments.
    box
        Edge in Å of the cubic cell that open structures are put into; None for none.
    trust
        Whether the user vouches for the module.
    """

    name: str
    arguments: Mapping[str, Any] = field(default_factory=dict)
    box: float | None = None
    trust: bool = False


class CalculatorModel:
    """An ASE calculator as a model: it predicts energies and forces, and has no terms, walks or weights to look into.

    Parameters
    ----------
    calculator
        The calculator; energies in eV and forces in eV/Å, as in all of ASE.
    origin
        How it was made.

    Attributes
    ----------
    failures
        How often `energy` had none, by reason.
    """

    def __init__(self, calculator: Calculator, origin: CalculatorOrigin) -> None:
        self.origin = origin
        self._calculator = Guarded(calculator if origin.box is None else Boxed(calculator, origin.box), origin.name)
        self.failures: Counter[str] = Counter()
        card: dict[str, Any] = {"opened": "an ASE calculator by import path, which runs its code"}
        if origin.arguments:
            card["arguments"] = dict(origin.arguments)
        if origin.box is not None:
            card["box"] = f"open structures are put into a cubic periodic cell of {origin.box:g} Å"
        self._facts = ModelFacts(
            architecture=origin.name.rpartition(":")[2],
            # Nothing is known of how far it sees.
            cutoff=math.inf,
            readout="unknown",
            long_range="unknown",
            has_products=False,
            has_walks=False,
            has_terms=False,
            card=card,
        )

    @property
    def facts(self) -> ModelFacts:
        """The model in a few words."""
        return self._facts

    def calculator(self) -> Calculator:
        """The calculator, in its box if it has one; its failures are `CalculatorFailed`."""
        return self._calculator

    def check_elements(self, atoms: ase.Atoms) -> None:
        """Nothing to check: a calculator does not say which elements it knows, it fails."""

    def predict(self, atoms: ase.Atoms) -> Prediction:
        """Energy in eV and forces in eV/Å of one structure.

        Raises
        ------
        CalculatorFailed
            If the calculator fails, or gives a number that is not finite.
        """
        work = atoms.copy()
        work.calc = self._calculator
        forces = work.get_forces(apply_constraint=False)
        return Prediction(self.facts.quantity, np.asarray(work.get_potential_energy()), "eV", forces)

    def energy(self, atoms: ase.Atoms) -> float:
        """Energy in eV of one structure; NaN, and counted, where the calculator has none."""
        work = atoms.copy()
        work.calc = self._calculator
        try:
            return work.get_potential_energy()
        except CalculatorFailed as error:
            self.failures[str(error)] += 1
            return math.nan

    def __reduce__(self) -> tuple[Any, ...]:
        """Calculators hold files, models and processes: another process makes its own."""
        origin = self.origin
        return load_calculator, (origin.name, dict(origin.arguments), origin.box, origin.trust)

    def __repr__(self) -> str:
        return f"CalculatorModel({self.origin.name})"


class Boxed(Calculator):
    """A calculator that needs a cell, for open structures: each is put into the middle of a cubic periodic cell.

    Structures with a cell of their own keep it.

    Parameters
    ----------
    calculator
        The calculator.
    edge
        Edge of the cell in Å.

    Raises
    ------
    InputError
        From every calculation, if images of the structure would come nearer than 10 Å to each other.
    """

    implemented_properties = ["energy", "free_energy", "forces"]  # noqa: RUF012

    def __init__(self, calculator: Calculator, edge: float) -> None:
        super().__init__()
        self.inner, self.edge = calculator, edge

    def calculate(
        self,
        atoms: ase.Atoms | None = None,
        properties: Sequence[str] = ("energy",),
        system_changes: Sequence[str] = tuple(all_changes),
    ) -> None:
        """Fill ``results`` with energy and forces."""
        super().calculate(atoms, list(properties), list(system_changes))
        assert self.atoms is not None
        placed = self.atoms.copy()
        if not placed.pbc.any():
            if (least := float(np.ptp(placed.positions, axis=0).max()) + ROOM) > self.edge:
                raise InputError(
                    f"--box {self.edge:g}: {placed.get_chemical_formula()} needs a box of {math.ceil(least)} Å or "
                    f"more, so that its images are {ROOM:g} Å apart"
                )
            placed.set_cell(np.full(3, self.edge))
            placed.pbc = True
            middle = 0.5 * (placed.positions.min(axis=0) + placed.positions.max(axis=0))
            placed.positions += 0.5 * self.edge - middle
        placed.calc = self.inner
        energy = placed.get_potential_energy()
        self.results = {"energy": energy, "free_energy": energy, "forces": placed.get_forces()}


def load_calculator(
    name: str, arguments: Mapping[str, Any] | None = None, box: float | None = None, trust: bool = False
) -> CalculatorModel:
    """An ASE calculator by import path, as a model.

    Parameters
    ----------
    name
        ``package.module:NAME``.
    arguments
        Keyword arguments of the class or function.
    box
        Edge in Å of a cubic periodic cell for open structures, for calculators that need a cell.
    trust
        That you know what the module does; not needed for modules of installed packages.

    Raises
    ------
    InputError
        As `import_calculator`, or if the box is no length.

    Examples
    --------
    >>> model = load_calculator("ase.calculators.emt:EMT")
    >>> model.facts.architecture, model.facts.has_terms
    ('EMT', False)
    """
    if box is not None and not 0 < box < math.inf:
        raise InputError(f"the box is {box:g} Å; give a length above 0")
    arguments = dict(arguments or {})
    calculator = import_calculator(name, arguments, trust=trust)
    return CalculatorModel(calculator, CalculatorOrigin(name, arguments, box, trust))
