"""Set-up of all tests: annotations checked, explicit seeds, and the shared real files where they are at hand."""

from __future__ import annotations

import inspect
import os
import sys
from collections.abc import Iterator
from typing import TYPE_CHECKING

import ase
import ase.io
import pytest
import torch
from hypothesis import HealthCheck, settings
from jaxtyping import install_import_hook

import shape_checks
from places import SHARED

if TYPE_CHECKING:
    from atomlens import Potential

# Every worker, and every process that a test starts, imports nearly all there is. Compiling it again each time, with
# assertions rewritten and annotations hooked, would take twenty seconds a worker.
sys.dont_write_bytecode = False
os.environ.pop("PYTHONDONTWRITEBYTECODE", None)

# From here on every function and dataclass of the package checks the shapes and types that its annotations name.
# What was imported before would go unchecked, so nothing above imports it (`test_house` looks).
shape_checks.sample()
install_import_hook("atomlens", "shape_checks.check")


# The same examples in every run; no deadline, since speed is measured in benchmarks/ and not here.
settings.register_profile(
    "atomlens", derandomize=True, deadline=None, database=None, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("atomlens")

# One thread, since the tensors are small. Fixtures of a module are made before those of a test: what they compute must
# be computed alike.
torch.set_num_threads(1)


@pytest.fixture(autouse=True)
def _shapes(request: pytest.FixtureRequest) -> None:
    """The first call of every function is checked in each test, whatever ran before."""
    function = getattr(request.node, "originalname", None) or request.node.name
    shape_checks.begin_test(f"{request.node.path}::{function}")


@pytest.fixture(autouse=True)
def _seed() -> Iterator[None]:
    """The same random numbers in every test, whichever ran before."""
    before = torch.get_rng_state()
    # `torch.manual_seed` writes down the whole stack for a GPU that may be used later: milliseconds a test.
    torch.default_generator.manual_seed(0)
    if torch.cuda.is_initialized():
        torch.cuda.manual_seed_all(0)
    yield
    torch.set_rng_state(before)
    torch.set_num_threads(1)


@pytest.fixture
def few_assemblies(monkeypatch: pytest.MonkeyPatch) -> None:
    """Few dimers, clusters and untrained models in analyses, for tests that look at what is made of the answers."""
    from atomlens.analyses import inputs
    from atomlens.analyses.decay import question as decay
    from atomlens.analyses.many_body import result as many_body

    make, find = decay.make_dimers, many_body.find_clusters
    monkeypatch.setattr(decay, "make_dimers", lambda structures, n, seed=0: make(structures, min(n, 3), seed))
    monkeypatch.setattr(many_body, "find_clusters", lambda inputs, n, rng: find(inputs, min(n, 2), rng))
    monkeypatch.setattr(inspect.unwrap(inputs.untrained_models), "__defaults__", (0, 3))


@pytest.fixture(scope="module")
def rough_pictures() -> Iterator[None]:
    """Pictures without a layout, which takes half of their time, for modules that do not look at them.

    Figures of the questions are laid out in the tests of these.
    """
    from matplotlib.layout_engine import ConstrainedLayoutEngine

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(ConstrainedLayoutEngine, "execute", lambda *_: None)
        yield


@pytest.fixture(scope="session")
def ethanol_painn() -> Potential:
    """PaiNN that SchNetPack's authors trained on rMD17 ethanol, in float64."""
    from atomlens import load_model

    path = SHARED / "testdata" / "schnetpack_rmd17_ethanol_painn" / "best_model"
    if not path.exists():
        pytest.skip("needs SchNetPack's ethanol model beside the repository (shared/testdata)")
    return load_model(path)


@pytest.fixture(scope="session")
def ethanol_frames() -> list[ase.Atoms]:
    """100 frames of rMD17 ethanol, spread over the test trajectory."""
    path = SHARED / "data" / "rmd17_ethanol" / "test_MD.xyz"
    if not path.exists():
        pytest.skip("needs the rMD17 ethanol frames beside the repository (shared/data)")
    return ase.io.read(path, index="::10")
