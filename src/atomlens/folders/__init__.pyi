from .claims import claim, noted
from .files import atomic_file, atomic_folder, write_text
from .locks import alone_in
from .ownership import MARKER, below, is_ours, mark, remove_ours
from .results import load_result, save_result, to_plain
from .resuming import RUN_FILES, open_run, remove_if_empty, resumes, started_settings
from .settings import build, read_toml
from .state import load_state, save_state
from .stored import no_name_twice, read_json, reading, whole
from .writing import MARK, PAGE, RunFolder, read_summary

__all__ = [
    "MARK",
    "MARKER",
    "PAGE",
    "RUN_FILES",
    "RunFolder",
    "alone_in",
    "atomic_file",
    "atomic_folder",
    "below",
    "build",
    "claim",
    "is_ours",
    "load_result",
    "load_state",
    "mark",
    "no_name_twice",
    "noted",
    "open_run",
    "read_json",
    "read_summary",
    "read_toml",
    "reading",
    "remove_if_empty",
    "remove_ours",
    "resumes",
    "save_result",
    "save_state",
    "started_settings",
    "to_plain",
    "whole",
    "write_text",
]
