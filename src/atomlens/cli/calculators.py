"""What may stand for CALCULATOR on the command line: a model, GFN2-xTB, or any ASE calculator by import path."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomlens.folders import no_name_twice
from atomlens.structures import InputError

if TYPE_CHECKING:
    import ase

    from atomlens.potentials import AnyPotential
    from atomlens.reference import Response

GFN2 = "gfn2"
_STEP = 0.01

# From a structure and a function that receives the number of rows done and in all.
Responder = Callable[["ase.Atoms", Callable[[int, int], None]], "Response"]


def responder(
    name: str,
    kwargs: str | None,
    step: float | None,
    output: str | None = None,
    unit: str | None = None,
    trust: bool = False,
) -> tuple[str, Responder]:
    """What computes response couplings, and how, in words; `output` chooses among the properties of a model file.

    Raises
    ------
    InputError
        If `name` has no forces, or options do not apply to it.
    """
    from atomlens.potentials import is_import_path

    given = keyword_arguments(kwargs)
    is_model = Path(name).exists() or _is_named_model(name)
    imported = is_import_path(name)
    for option, value in (("--output", output), ("--unit", unit)):
        if value is not None and not is_model:
            raise InputError(f"{option} {value} is for model files; {name} is none")
    if name == GFN2:
        return _gfn2(given, step)
    if imported:
        return _ase(name, given, step, trust)
    for option, value in (("--kwargs", kwargs), ("--step", step)):
        if value is not None:
            raise InputError(f"{option} does not apply to a model, which is differentiated exactly")
    return _model(name, output, unit, trust)


def calculator_or_model(
    name: str, kwargs: str | None, output: str | None, unit: str | None, trust: bool
) -> AnyPotential:
    """A model, or the ASE calculator of an import path.

    Raises
    ------
    InputError
        If there is neither, or options do not apply.
    """
    from atomlens.potentials import is_import_path, load_calculator, load_model

    if is_import_path(name):
        for option, value in (("--output", output), ("--unit", unit)):
            if value is not None:
                raise InputError(f"{option} {value} is for model files; {name} is none")
        return load_calculator(name, keyword_arguments(kwargs), trust=trust)
    if kwargs is not None:
        raise InputError("--kwargs is for import paths, package.module:NAME")

    return load_model(name, output=output, energy_unit=unit, trust=trust)


def _is_named_model(name: str) -> bool:
    from atomlens.models import is_zoo_name
    from atomlens.potentials import shipped_with_a_library

    return is_zoo_name(name) or shipped_with_a_library(name) is not None


def keyword_arguments(text: str | None) -> dict[str, Any]:
    """Keyword arguments of an import path from the JSON object of ``--kwargs``.

    Raises
    ------
    InputError
        If it is no JSON object.

    Examples
    --------
    >>> keyword_arguments('{"method": "GFN2-xTB"}'), keyword_arguments(None)
    ({'method': 'GFN2-xTB'}, {})
    """
    try:
        found = json.loads(text or "{}", object_pairs_hook=no_name_twice)
    except (ValueError, RecursionError) as error:
        raise InputError(f"--kwargs {text!r} is not JSON ({error}); write for example '{{\"charge\": 1}}'") from error
    if not isinstance(found, dict):
        raise InputError(f"--kwargs {text!r} is not a JSON object; write for example '{{\"charge\": 1}}'")
    return found


def _gfn2(given: dict[str, Any], step: float | None) -> tuple[str, Responder]:
    from atomlens.reference import gfn2_response

    if step is not None:
        raise InputError("--step does not go with gfn2, whose step is 0.005 bohr")
    wrong = [
        f"{key}={value!r}" for key, value in given.items() if key not in ("charge", "uhf") or type(value) is not int
    ]
    if wrong:
        raise InputError(f"--kwargs: gfn2 takes whole numbers charge and uhf, got {', '.join(wrong)}")
    how = "GFN2-xTB, central differences of forces, step 0.005 bohr"
    return how, lambda atoms, progress: gfn2_response(atoms, **given, progress=progress)


def _model(name: str, output: str | None, unit: str | None, trust: bool) -> tuple[str, Responder]:
    from atomlens.potentials import load_model
    from atomlens.reference import model_response

    if not Path(name).exists() and not _is_named_model(name):
        raise InputError(
            f"{name}: no such file; give a model file, zoo:NAME, sevenn:NAME, gfn2, or package.module:Class"
        )
    model = load_model(name, output=output, energy_unit=unit, trust=trust)

    def respond(atoms: ase.Atoms, progress: Callable[[int, int], None]) -> Response:
        model.check_elements(atoms)
        return model_response(model, atoms)

    return "automatic differentiation", respond


def _ase(name: str, given: dict[str, Any], step: float | None, trust: bool) -> tuple[str, Responder]:
    from ase.calculators.calculator import PropertyNotImplementedError

    from atomlens.potentials import described, import_calculator
    from atomlens.reference import ReferenceUnavailable, forces_response

    calculator = import_calculator(name, given, trust=trust)
    h = _STEP if step is None else step

    def respond(atoms: ase.Atoms, progress: Callable[[int, int], None]) -> Response:
        work = atoms.copy()
        work.calc = calculator

        def forces(positions: Any) -> Any:
            work.positions = positions
            try:
                return work.get_forces()
            except PropertyNotImplementedError as error:
                raise InputError(f"{name} has no forces; response couplings are differences of forces") from error
            except Exception as error:  # someone else's code may raise anything
                raise ReferenceUnavailable(f"{name} failed ({described(error)})") from error

        return forces_response(forces, atoms.positions, h, progress=progress)

    return f"central differences of forces, step {h:g} Å", respond
