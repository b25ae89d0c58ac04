from .claims import claim
from .files import atomic_file, atomic_folder, write_text
from .results import load_result, save_result, to_plain
from .resuming import nothing_left_in_vain, open_run
from .settings import build, read_toml
from .writing import MARK, PAGE, RunFolder

__all__ = [
    "MARK",
    "PAGE",
    "RunFolder",
    "atomic_file",
    "atomic_folder",
    "build",
    "claim",
    "load_result",
    "nothing_left_in_vain",
    "open_run",
    "read_toml",
    "save_result",
    "to_plain",
    "write_text",
]
