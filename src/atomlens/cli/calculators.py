"""What may stand for CALCULATOR on the command line: a model, GFN2-xTB, or any ASE calculator by import path."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

from atomlens.folders import no_name_twice
from atomlens.structures import InputError

if TYPE_CHECKING:
    import ase

    from atomlens.potentials import AnyPotential
    from atomlens.reference import Response

GFN2 = "gfn2"

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
    if name == GFN2:
        _refuse({"--output": output, "--unit": unit}, f"for models; {name} is none")
        return _gfn2(keyword_arguments(kwargs), step)
    if not (Path(name).exists() or _is_named_model(name) or _is_calculator(name)):
        raise InputError(
            f"{name}: no such file; give a model file, zoo:NAME, sevenn:NAME, gfn2, or package.module:Class"
        )
    if not _is_calculator(name):
        _refuse({"--step": step}, f"for ASE calculators by import path, package.module:NAME; {name} is none")
    model = open_model(name, kwargs, None, output, unit, trust)
    return _of_model(model, step)


def open_model(
    name: str,
    kwargs: str | None,
    box: float | None,
    output: str | None,
    unit: str | None,
    trust: bool,
    of_models: Mapping[str, object] | None = None,
) -> AnyPotential:
    """A model, or the ASE calculator of an import path.

    Parameters
    ----------
    name, kwargs, box, output, unit, trust
        As on the command line.
    of_models
        Further options that mean something for models only, with their values; a value of None is not given.

    Raises
    ------
    InputError
        If there is neither, or options do not apply.
    """
    from atomlens.potentials import load_calculator, load_model

    if _is_calculator(name):
        _refuse(
            {"--output": output, "--unit": unit} | dict(of_models or {}), f"for models; {name} is an ASE calculator"
        )
        return load_calculator(name, keyword_arguments(kwargs), box, trust)
    given = {"--kwargs": kwargs, "--box": box}
    _refuse(given, f"for ASE calculators by import path, package.module:NAME; {name} is none")
    return load_model(name, output=output, energy_unit=unit, trust=trust)


def _refuse(options: Mapping[str, object], why: str) -> None:
    """Refuse options that are given and mean nothing here."""
    for option, value in options.items():
        if value is not None:
            raise InputError(f"{option} {value} is {why}")


def _is_calculator(name: str) -> bool:
    from atomlens.potentials import is_import_path

    return is_import_path(name)


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

    def respond(atoms: ase.Atoms, progress: Callable[[int, int], None]) -> Response:
        return gfn2_response(atoms, **given, progress=progress)

    return how, respond


def _of_model(model: AnyPotential, step: float | None) -> tuple[str, Responder]:
    from atomlens.potentials import CalculatorFailed, CalculatorModel
    from atomlens.reference import RESPONSE_STEP, ReferenceUnavailable, model_response

    step = RESPONSE_STEP if step is None else step

    def respond(atoms: ase.Atoms, progress: Callable[[int, int], None]) -> Response:
        model.check_elements(atoms)
        try:
            return model_response(model, atoms, step=step, progress=progress)
        except CalculatorFailed as error:  # at other structures it may do better
            raise ReferenceUnavailable(str(error)) from error

    calculated = isinstance(model, CalculatorModel)
    return f"central differences of forces, step {step:g} Å" if calculated else "automatic differentiation", respond
