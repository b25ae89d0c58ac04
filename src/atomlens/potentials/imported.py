"""ASE calculators by import path, ``package.module:NAME``. Naming one runs its code, so it must be trusted."""

from __future__ import annotations

import importlib
import importlib.machinery
import json
import re
import site
import sys
import sysconfig
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ase.calculators.calculator import Calculator

from atomlens.models import ZOO
from atomlens.potentials.registry import shipped_with_a_library
from atomlens.structures import InputError

_IMPORT_PATH = re.compile(r"[A-Za-z_]\w*(\.[A-Za-z_]\w*)*:[A-Za-z_]\w*")
_OWN = "atomlens"


def is_import_path(name: str) -> bool:
    """Whether a name is package.module:NAME and no model.

    Examples
    --------
    >>> is_import_path("ase.calculators.emt:EMT"), is_import_path("zoo:qm9-u0-painn"), is_import_path("a.xyz")
    (True, False, False)
    """
    named = name.startswith(ZOO) or shipped_with_a_library(name) is not None
    return not named and _IMPORT_PATH.fullmatch(name) is not None and not Path(name).exists()


def import_calculator(name: str, arguments: Mapping[str, Any] | None = None, *, trust: bool = False) -> Calculator:
    """The calculator that an import path names: a class or function that is called, or an object that is there.

    Parameters
    ----------
    name
        ``package.module:NAME``. Modules of the current folder can be named, too.
    arguments
        Keyword arguments of the class or function.
    trust
        That you know what the module does. Not needed for modules of installed packages, which are as trusted as they
        are.

    Raises
    ------
    InputError
        If the module is not trusted or cannot be imported, the call fails, or it gives no calculator with forces.
    """
    module, _, attribute = name.partition(":")
    given = dict(arguments or {})
    require_trusted_module(module, trust)
    if not is_installed(module) and "" not in sys.path:
        sys.path.insert(0, "")  # the console script does not look into the current folder; `python -m` does
    try:
        found: Any = getattr(importlib.import_module(module), attribute)
    except ModuleNotFoundError as error:
        raise InputError(f"{name}: cannot be imported ({error}); install it, or run where it lies") from error
    except AttributeError as error:
        raise InputError(f"{name}: {module} has no {attribute}") from error
    except Exception as error:  # someone else's code may raise anything
        raise InputError(f"{name}: importing {module} failed ({described(error)})") from error
    if callable(found):
        try:
            found = found(**given)
        except Exception as error:
            raise InputError(f"{name}({json.dumps(given)}) failed ({described(error)}); see --kwargs") from error
    elif given:
        raise InputError(f"--kwargs: {name} is an object that is there already, and takes no arguments")
    if not callable(getattr(found, "get_property", None)):
        raise InputError(f"{name} gives a {type(found).__name__}, which is no ASE calculator")
    if "forces" not in getattr(found, "implemented_properties", ("forces",)):
        raise InputError(f"{name} has no forces, which are needed here")
    return found


def require_trusted_module(module: str, trust: bool) -> None:
    """Refuse to import a module from outside of the installed packages unless the user vouches for it.

    Raises
    ------
    InputError
        If the module is not of an installed package and `trust` is not set.
    """
    if trust or is_installed(module):
        return
    places = _places(module)
    if not places:
        return  # there is nothing to run; the import says what is missing
    raise InputError(
        f"{module}: lies in {places[0]}, outside of the installed packages, and naming it runs its code; make sure "
        "where it comes from, then pass --trust"
    )


def is_installed(module: str) -> bool:
    """Whether a module is of Python, of this package, or of one that is installed. Nothing is imported."""
    top = module.partition(".")[0]
    if top == _OWN or top in sys.builtin_module_names:
        return True
    places = _places(module)
    return bool(places) and all(any(place.is_relative_to(home) for home in _homes()) for place in places)


def _places(module: str) -> list[Path]:
    """Where the top-level package of a module would be imported from, the current folder first."""
    top = module.partition(".")[0]
    here = [str(Path.cwd())] if "" not in sys.path else []
    for path in ([*sys.path], here):  # what is installed comes first, as it does for the console script
        spec = importlib.machinery.PathFinder.find_spec(top, path)
        if spec is None:
            continue
        found = list(spec.submodule_search_locations or ()) or [spec.origin or ""]
        return [Path(place).resolve() for place in found]
    return []


def _homes() -> list[Path]:
    paths = sysconfig.get_paths()
    names = [paths[key] for key in ("purelib", "platlib", "stdlib", "platstdlib")]
    return [Path(name).resolve() for name in (*names, *site.getsitepackages(), site.getusersitepackages())]


def described(error: Exception) -> str:
    """An exception of someone else's code in one line.

    >>> described(RuntimeError("no licence"))
    'RuntimeError: no licence'
    """
    text = " ".join(str(error).split())
    return f"{type(error).__name__}: {text}" if text else type(error).__name__
