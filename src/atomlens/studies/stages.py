"""What the stages of a model were made from: a note in its folder, so that no stage goes on from something else."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Mapping
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any

from atomlens.folders import MARK, noted, remove_ours, to_plain, write_text
from atomlens.structures import InputError
from atomlens.studies.grid import Member
from atomlens.studies.plan import StudyConfig, settings_of

NOTE, ROW = "stages.json", "row.json"
# Stages that are made again when their section of the study changes: their folders, and which settings are files.
_STAGES = {"analysis": ("analysis", ("path", "s66x8")), "simulation": ("md", ("path", "reference"))}


def settle_stages(
    out: Path,
    config: StudyConfig,
    members: tuple[Member, ...],
    started: Mapping[str, Any],
    home: Path,
    report: Callable[[str], None] = lambda line: None,
) -> None:
    """Keep trainings whose data are the same; take away analyses and simulations of other settings or structures.

    Folders of versions up to 0.2 do not say what they were made from: their data are taken to be the same, and their
    settings are those that the study was started with.

    Parameters
    ----------
    out
        Folder of the study.
    config, members
        The study and its models.
    started
        `settings_of` the run in `out` when it was started; empty for a new one.
    home
        Folder that paths of the study start from.
    report
        Called with what will be made again.

    Raises
    ------
    InputError
        If a model was trained on other data, or the study is finished and would lose results.
    """
    digest = cache(file_digest)
    sections = to_plain(settings_of(config))
    wanted: dict[str, Any] = {}
    for name, (_, keys) in _STAGES.items():
        files = {key: digest(home / sections[name][key]) for key in keys if sections[name][key]}
        wanted[name] = {"settings": sections[name], "files": files}
    notes = {member.name: _note(out, member, started) for member in members}
    data: dict[str, dict[str, str]] = {}
    for member in members:
        paths = {key: member.config["data"].get(key) for key in ("path", "test_path")}
        data[member.name] = {key: digest(Path(path)) for key, path in paths.items() if path}
        _check_data(out, member, notes[member.name], data[member.name])
    for name, (place, _) in _STAGES.items():
        changed = {one: what for one in notes if (what := _changed(notes[one].get(name), wanted[name]))}
        made = [one for one in changed if (out / "models" / one / place).exists()]
        if not made:
            continue
        what = changed[made[0]]
        if (out / MARK).exists():
            raise InputError(
                f"--out {out}: holds a finished study with another {name} ({what}); name another folder, or delete its "
                f"{MARK} to keep the trainings and make what depends on this again"
            )
        report(f"{name}: {what}; made again for {len(made)} of {len(members)} models, trainings are kept")
        for one in made:
            _remove(out / "models" / one, place)
    for member in members:
        folder = out / "models" / member.name
        if (note := {"data": data[member.name], **wanted}) != notes[member.name]:
            folder.mkdir(parents=True, exist_ok=True)
            write_text(folder / NOTE, json.dumps(note, indent=1) + "\n")


def file_digest(path: Path) -> str:
    """SHA-256 of a file, or of the files of a folder and their names; empty where there is none.

    Examples
    --------
    >>> file_digest(Path("no such file"))
    ''
    """
    if not path.exists():
        return ""
    found = hashlib.sha256()
    files = [path] if path.is_file() else sorted(p for p in path.rglob("*") if p.is_file() and p.name[0] != ".")
    for file in files:
        if file != path:
            found.update(f"{file.relative_to(path)}\0{file.stat().st_size}\0".encode())
        with file.open("rb") as content:
            while block := content.read(2**20):
                found.update(block)
    return found.hexdigest()


def _note(out: Path, member: Member, started: Mapping[str, Any]) -> dict[str, Any]:
    before = noted(out / "models" / member.name / NOTE)
    return before or {name: {"settings": started[name]} for name in _STAGES if name in started}


def _check_data(out: Path, member: Member, note: dict[str, Any], data: dict[str, str]) -> None:
    before = note.get("data")
    if not isinstance(before, dict) or not (out / "models" / member.name / "train").exists():
        return
    for key, digest in data.items():
        if before.get(key, digest) != digest:
            path = member.config["data"][key]
            raise InputError(
                f"--out {out}: {member.name} was trained on other data: {path} has changed since; restore it, name "
                "another folder, or add --overwrite"
            )


def _changed(before: Any, wanted: dict[str, Any]) -> str:
    """What differs between a stage that was made and what is asked for; empty where nothing does."""
    if not isinstance(before, dict):
        return ""
    settings, files = (before.get(part) for part in ("settings", "files"))
    if isinstance(settings, dict):
        for key in {**wanted["settings"], **settings}:
            old, new = settings.get(key), wanted["settings"].get(key)
            if old != new:
                return f"{key} was {old!r} and is {new!r}"
    if isinstance(files, dict):
        for key, digest in wanted["files"].items():
            if files.get(key, digest) != digest:
                return f"{wanted['settings'][key]} has changed"
    return ""


def _remove(model: Path, place: str) -> None:
    (model / ROW).unlink(missing_ok=True)  # first: a kill on the way leaves a row to be made, not an outdated one
    remove_ours(model / place)
    if (model / place / MARK).exists():
        raise InputError(f"{model / place}: made with other settings; delete this folder, then repeat the command")
    with suppress(OSError):  # somebody else keeps something there
        (model / place).rmdir()
