"""What is loaded is not searched for garbage; afterwards Python collects as before."""

from __future__ import annotations

import gc
import subprocess
import sys

from atomlens.cli.loading import loading

# In a process of its own, which has no torch: the exit code says whether objects were set aside, and collection is on.
_SCRIPT = """
import gc
from atomlens.cli.loading import loading
try:
    with loading():
        assert not gc.isenabled()
        import fractions
        raise KeyError("a failed import")
except KeyError:
    pass
assert gc.isenabled() and gc.get_freeze_count() > 1000
"""


def test_loading_sets_aside_what_it_brings_and_collects_again_even_after_an_error() -> None:
    done = subprocess.run([sys.executable, "-c", _SCRIPT], capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr


def test_loading_does_nothing_where_torch_is_there() -> None:
    import torch  # noqa: F401

    before = gc.get_freeze_count()
    with loading():
        assert gc.isenabled()
    assert gc.get_freeze_count() == before
