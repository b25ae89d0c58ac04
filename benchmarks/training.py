"""A training step, and energy with forces of one molecule, against SchNetPack's own modules with the same weights.

Both run in this process, in turn; their losses, gradients, energies and forces are compared first, so that the
same thing is timed. benchmarks/README.md says how to make an environment that has both.

Usage: python benchmarks/training.py [--model FILE] [--repeats N] [--threads N] [--part step|forces] [--device cuda]
"""

from __future__ import annotations

import argparse
import copy
import statistics
import sys
import tempfile
import typing
import warnings
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.utils.data.dataloader as dataloader

import atomlens
from atomlens.data import Batch, GraphStore, find_edges, load_qm9
from atomlens.models import Potential, UnseenElementWarning
from atomlens.structures import AtomGraph
from systems import MODEL, molecule
from timing import once, use_device

CUTOFF = 5.0
FEATURES, LAYERS = 64, 3
BATCH_SIZE, N_BATCHES = 64, 8


def schnetpack() -> Any:
    """SchNetPack, or leave with one line where it is not there."""
    # SchNetPack 2.1.1 imports a name from there that torch 2.13 moved.
    T_co = typing.TypeVar("T_co", covariant=True)
    dataloader.T_co = T_co  # pyright: ignore[reportAttributeAccessIssue]
    try:
        import schnetpack.atomistic
        import schnetpack.model
        import schnetpack.nn
        import schnetpack.representation
    except ImportError as error:
        print(
            f"SchNetPack cannot be imported here ({error}); benchmarks/README.md says how to make its environment",
            file=sys.stderr,
        )
        sys.exit(2)
    return schnetpack


def their_model(spk: Any, architecture: str) -> Any:
    """A fresh SchNetPack model of an energy."""
    make = {"schnet": spk.representation.SchNet, "painn": spk.representation.PaiNN}[architecture]
    basis = spk.nn.GaussianRBF(n_rbf=20, cutoff=CUTOFF)
    return spk.model.NeuralNetworkPotential(
        make(FEATURES, LAYERS, basis, spk.nn.CosineCutoff(CUTOFF)),
        input_modules=[spk.atomistic.PairwiseDistances()],
        output_modules=[spk.atomistic.Atomwise(FEATURES, output_key="energy")],
    )


def our_model(theirs: Any, device: torch.device) -> Potential:
    """The same model with the same weights, by way of a file."""
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "model"
        torch.save(theirs, path)
        return atomlens.load_model(path, energy_unit="eV").cast(torch.float32).to(device).requires_grad_()


def their_inputs(graph: AtomGraph) -> dict[str, torch.Tensor]:
    """The tensors that SchNetPack's models take."""
    return {
        "_atomic_numbers": graph.numbers,
        "_positions": graph.positions,
        "_cell": graph.cells,
        "_idx_i": graph.target,
        "_idx_j": graph.source,
        "_offsets": graph.offsets,
        "_idx_m": graph.batch,
        "_n_atoms": graph.sizes,
        "_idx": torch.arange(graph.n_graphs, device=graph.numbers.device),
    }


def batches(device: torch.device) -> list[Batch]:
    """Batches of QM9 molecules, drawn at random, with a target of about unit size."""
    data = load_qm9()
    chosen = data.subset(np.random.default_rng(0).choice(len(data), BATCH_SIZE * N_BATCHES, replace=False))
    store = GraphStore(chosen, find_edges(chosen, CUTOFF), "Cv", None, device=device)
    return list(store.batches(np.arange(len(chosen)), BATCH_SIZE))


class Steps:
    """Training steps of one model over the batches, one batch after the other."""

    def __init__(
        self,
        model: Any,
        works: list[tuple[Any, torch.Tensor]],
        output: Callable[[Any], torch.Tensor],
        *,
        fused: bool = False,
    ) -> None:
        self.model = copy.deepcopy(model)
        self.optimizer = torch.optim.AdamW(self.model.parameters(), lr=1e-4, fused=fused)
        self.works, self.output, self.done = works, output, 0

    def loss(self, k: int) -> torch.Tensor:
        """Mean square error of batch k."""
        inputs, target = self.works[k]
        y = self.output(self.model(dict(inputs) if isinstance(inputs, dict) else inputs))
        return (y - target).square().mean()

    def __call__(self) -> None:
        """Step on the next batch."""
        loss = self.loss(self.done % len(self.works))
        self.optimizer.zero_grad()
        loss.backward()
        self.optimizer.step()
        self.done += 1


def check_equal(name: str, ours: torch.Tensor, theirs: torch.Tensor) -> None:
    """Stop if two results are not equal to single precision."""
    if not torch.allclose(ours, theirs.to(ours.dtype), rtol=1e-4, atol=1e-4 * float(theirs.abs().max())):
        sys.exit(f"{name} differ: {float((ours - theirs).abs().max()):.3g}")


def compare(name: str, ours: Callable[[], object], theirs: Callable[[], object], repeats: int, must: float) -> None:
    """Time two works in turn and print a line of the table."""
    for _ in range(3):
        ours(), theirs()
    rounds = [(once(ours), once(theirs)) for _ in range(repeats)]
    a, b = (1e3 * statistics.median(column) for column in zip(*rounds, strict=True))
    ratio = statistics.median(x / y for x, y in rounds)
    print(f"{name:42s} {a:10.2f} ms {b:10.2f} ms {ratio:8.2f} {must:8.1f}", flush=True)


def steps(spk: Any, repeats: int, device: torch.device) -> None:
    """One training step of SchNet and PaiNN."""
    data = batches(device)
    edges = statistics.mean(batch.graph.n_edges for batch in data)
    print(f"batches of {BATCH_SIZE} QM9 molecules, {edges:.0f} edges on average, F = {FEATURES}, T = {LAYERS}")
    for architecture in ("schnet", "painn"):
        torch.manual_seed(0)
        theirs = their_model(spk, architecture).to(device)
        target = [batch.target.float() / 30 for batch in data]
        inputs = [their_inputs(batch.graph) for batch in data]
        a = Steps(
            our_model(theirs, device), list(zip([b.graph for b in data], target, strict=True)), lambda y: y, fused=True
        )
        b = Steps(theirs, list(zip(inputs, target, strict=True)), lambda result: result["energy"])
        found = []
        for step in (a, b):
            loss = step.loss(0)
            embedding = step.model.representation.embedding.weight
            found.append((loss.detach(), *torch.autograd.grad(loss, [embedding])))
        check_equal(f"{architecture}: losses", found[0][0], found[1][0])
        check_equal(f"{architecture}: gradients", found[0][1], found[1][1])
        compare(f"training step, {architecture}", a, b, repeats, 0.6)


def forces(path: str, repeats: int, device: torch.device) -> None:
    """Energy and forces of single molecules by a trained PaiNN, neighbours given."""
    for dtype in (torch.float32, torch.float64):
        theirs = torch.load(path, weights_only=False, map_location="cpu").to(device, dtype).eval().requires_grad_(False)
        ours = atomlens.load_model(path, dtype=dtype).to(device)
        torch.set_default_dtype(dtype)  # SchNetPack makes some zeros in the default type
        for name in ("aspirin", "ac_ala3_nhme"):
            graph = ours.graph(molecule(name))
            inputs = their_inputs(graph)

            def work(inputs: dict[str, torch.Tensor] = inputs, theirs: Any = theirs) -> dict[str, torch.Tensor]:
                return theirs({key: value.detach() for key, value in inputs.items()})

            energy, force = ours.energy_and_forces(graph)
            result = work()
            check_equal("energies", energy, result["energy"].detach())
            check_equal("forces", force, result["forces"].detach())
            label = f"energy + forces, {graph.n_atoms} atoms, {graph.n_edges} edges, {str(dtype)[6:]}"
            compare(label, lambda graph=graph: ours.energy_and_forces(graph), work, 4 * repeats, 0.5)
        torch.set_default_dtype(torch.float32)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--model", default=str(MODEL), help="SchNetPack file of the PaiNN for energy and forces")
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--part", choices=["step", "forces"])
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = use_device(arguments.device)
    warnings.simplefilter("ignore", UnseenElementWarning)  # speed does not depend on what a model saw
    spk = schnetpack()
    torch.set_num_threads(arguments.threads)
    print(f"{arguments.threads} threads, medians of {arguments.repeats} rounds\n")
    print(f"{'':42s} {'atomlens':>13s} {'SchNetPack':>13s} {'ratio':>8s} {'must <=':>8s}")
    if arguments.part != "forces":
        steps(spk, arguments.repeats, device)
    if arguments.part != "step":
        forces(arguments.model, arguments.repeats, device)


if __name__ == "__main__":
    main()
