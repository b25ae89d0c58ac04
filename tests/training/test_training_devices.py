"""Training stays on the model's device: on a pretend one everywhere, on CUDA where there is a GPU."""

from __future__ import annotations

import json
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import torch

from atomlens.data import GraphStore, find_edges, make_split, read_dataset
from atomlens.models import ModelConfig, Potential, ReadoutConfig, RepresentationConfig
from atomlens.training import FitSettings, train
from atomlens.training.loop import EpochResult, Fit
from elsewhere import PretendDevice, is_elsewhere

needs_cuda = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a GPU that CUDA can use")


@pytest.mark.parametrize("architecture", ["schnet", "painn", "so3net"])
def test_an_epoch_makes_no_tensor_on_another_device(
    make_config: Callable[..., Path], tmp_path: Path, architecture: str
) -> None:
    make_config()
    dataset = read_dataset(tmp_path / "springs.npz")
    split = make_split(len(dataset), 20, 10, None, 0)

    def epoch() -> tuple[EpochResult, Fit]:
        torch.manual_seed(0)
        config = ModelConfig(RepresentationConfig(architecture, n_features=8, n_layers=2), ReadoutConfig(widths=(8, 1)))
        model = Potential(config).cast(torch.float64)
        device = torch.device("cpu")
        model.to(device=device)
        fit = Fit(model, FitSettings(epochs=1, batch_size=8), 0)
        store = GraphStore(dataset, find_edges(dataset, 5.0), "energy", "forces", torch.float64, device)
        return fit.run_epoch(store, split), fit

    def away() -> tuple[EpochResult, Fit]:
        with PretendDevice():
            return epoch()

    with ThreadPoolExecutor(1) as pool:
        found, fit = pool.submit(away).result()
    assert all(is_elsewhere(weight) for weight in fit.average.weights)
    assert found == epoch()[0]


@needs_cuda
def test_cuda_learns_and_goes_on_where_the_processor_stopped(make_config: Callable[..., Path], tmp_path: Path) -> None:
    path = make_config()
    whole = train(path, tmp_path / "cuda", report=lambda line: None, device="cuda")
    train(path, tmp_path / "both", report=lambda line: None, max_hours=0.0)
    both = train(path, tmp_path / "both", report=lambda line: None, resume=True, device="cuda")
    for run in (whole, both):
        assert json.loads(run.card_path.read_text())["epochs"] > 1
    assert both.test["test"].mae == pytest.approx(whole.test["test"].mae, rel=0.05)
