"""What to type where a library is missing that comes with an extra of this package."""

from __future__ import annotations

import re
import shlex
from importlib.metadata import PackageNotFoundError, requires

_EXTRA = re.compile(r"""extra\s*==\s*["']([\w-]+)["']""")


def install_command(*extras: str) -> str:
    """A command that installs the libraries of some extras, whether this package came from a clone or an index.

    Examples
    --------
    >>> install_command("qm9")
    "pip install 'qm9pack>=1.0.3'"
    """
    found = list(dict.fromkeys(library for extra in extras for library in _libraries(extra)))
    return (
        f"pip install {shlex.join(found)}"
        if found
        else f"pip install -e '.[{','.join(extras)}]' in a clone of atomlens"
    )


def _libraries(extra: str) -> list[str]:
    try:
        listed = requires("atomlens") or []
    except PackageNotFoundError:
        return []
    found: list[str] = []
    for entry in listed:
        requirement, _, marker = entry.partition(";")
        if extra not in _EXTRA.findall(marker):
            continue
        nested = re.fullmatch(r"atomlens\[([\w,-]+)\]", requirement.strip())
        if nested is not None:
            found += [library for name in nested[1].split(",") for library in _libraries(name)]
        else:
            found.append(requirement.strip())
    return found
