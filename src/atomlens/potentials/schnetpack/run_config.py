"""The ``config.yaml`` of a training run, read as a tree of text: small, without references, or refused.

Every scalar is text. Nothing is counted, dated or constructed, so that no spelling of a number, and no tag, does
anything; a file whose aliases would grow beyond what a configuration holds is refused before it is built.
"""

from __future__ import annotations

import stat
from pathlib import Path
from typing import Any

import yaml

from atomlens.structures import InputError

# A configuration is a few kilobytes and a few hundred entries; more is something else.
_MAX_BYTES, _MAX_ENTRIES = 2**20, 20_000
_MAX_DEPTH = 100
_STANDARD = "tag:yaml.org,2002:"
_PLAIN = ("str", "int", "float", "bool", "null", "map", "seq")


def read_run_config(path: Path) -> dict[str, Any] | None:
    """The configuration in a file; None where there is no file.

    Raises
    ------
    InputError
        If there is one that cannot be read: it would have said in which unit the model predicts.
    """
    try:
        status = path.stat() if not path.is_symlink() else path.resolve(strict=True).stat()
        if not stat.S_ISREG(status.st_mode):
            raise ValueError("it is no file")
        if status.st_size > _MAX_BYTES:
            raise ValueError(f"it has {status.st_size} bytes, at most {_MAX_BYTES} are read")
        text = path.read_text(encoding="utf-8-sig")
        _check_size(text)
        config = yaml.load(text, Loader=yaml.BaseLoader)
        if not isinstance(config, dict):
            raise ValueError("it holds no table of settings")
        return config
    except FileNotFoundError:
        if path.is_symlink():
            raise _refusal("it is a link that leads nowhere") from None
        return None
    except yaml.YAMLError as error:
        raise _refusal(_yaml_reason(error)) from error
    except (OSError, ValueError, TypeError, RecursionError, RuntimeError) as error:
        reason = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise _refusal(reason) from error


def _check_size(text: str) -> None:
    """Count entries with every alias written out, in the order of the file, without building any."""
    sizes: dict[str, int] = {}
    open_nodes: list[tuple[str | None, int]] = []  # anchors of the collections around, and entries seen before each
    total = 0
    for event in yaml.parse(text, Loader=yaml.BaseLoader):
        if (tag := getattr(event, "tag", None)) is not None and tag.removeprefix(_STANDARD) not in _PLAIN:
            raise ValueError(f"it uses the tag {tag}, which no configuration of SchNetPack has")
        if isinstance(event, yaml.AliasEvent):
            total += sizes.get(event.anchor, 1)
        elif isinstance(event, yaml.ScalarEvent):
            total += 1
            if event.anchor:
                sizes[event.anchor] = 1
        elif isinstance(event, yaml.CollectionStartEvent):
            open_nodes.append((event.anchor, total))
            if len(open_nodes) > _MAX_DEPTH:  # reading takes the square of the depth
                raise ValueError(f"it is nested more than {_MAX_DEPTH} deep")
            total += 1
            if event.anchor:  # an alias inside its own anchor would never end
                sizes[event.anchor] = _MAX_ENTRIES
        elif isinstance(event, yaml.CollectionEndEvent):
            anchor, before = open_nodes.pop()
            if anchor:
                sizes[anchor] = total - before
        if total > _MAX_ENTRIES:
            raise ValueError(f"it has more than {_MAX_ENTRIES} entries, aliases written out")


def _yaml_reason(error: yaml.YAMLError) -> str:
    mark = getattr(error, "problem_mark", None)
    where = f" in line {mark.line + 1}" if mark is not None else ""
    problem = getattr(error, "problem", None) or str(error).strip().splitlines()[0]
    return f"{problem}{where}"


def _refusal(reason: str) -> InputError:
    return InputError(
        f"config.yaml beside it, which says in which unit the model predicts, cannot be read ({reason}); mend it, or "
        "move it away and say the unit with --unit (energy_unit= in Python)"
    )
