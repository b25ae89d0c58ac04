"""All walks: ethanol and the tetrapeptide, against one masked pass for each walk and against the output itself.

The anchor knows one product rule, the published one (scalar): its walks are compared with ours under that rule. Ours
are timed under both; a masked pass under full would take longer than the anchor's, so that ratio is a lower bound.

Usage: python benchmarks/walks.py [--model FILE] [--repeats N] [--cpu-time] [--device cuda] [--single]
"""

from __future__ import annotations

import argparse
import warnings
from collections.abc import Callable
from functools import partial

import numpy as np
import torch

import atomlens
from anchor import MaskedWalks
from atomlens.chain import Gate, make_chain
from atomlens.models import UnseenElementWarning
from atomlens.recording import PRODUCT_RULES
from atomlens.relevance import all_walks
from systems import MODEL, molecule
from timing import once, paired, paired_ratio, use_cpu_time, use_device


def best_anchor(model: atomlens.Potential, graph: atomlens.AtomGraph, walks: np.ndarray) -> Callable[[], int]:
    """The anchor at the batch size that is fastest a walk; each call explains one batch and returns its size."""
    chosen = np.random.default_rng(0).integers(len(walks), size=256)
    candidates = []
    for size in (16, 64, 256):
        masked, sample = MaskedWalks(model, graph, size), walks[chosen[:size]].tolist()
        masked(sample)
        seconds = min(once(lambda: masked(sample)) for _ in range(3)) / size
        candidates.append((seconds, size, masked, sample))
    _, size, masked, sample = min(candidates, key=lambda c: c[0])
    return lambda: len(masked(sample)) and size


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--repeats", type=int, default=15)
    parser.add_argument("--cpu-time", action="store_true", help="on a busy machine, with OMP_NUM_THREADS=1")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--single", action="store_true", help="float32, on both sides")
    arguments = parser.parse_args()
    device, dtype = use_device(arguments.device), torch.float32 if arguments.single else torch.float64
    if arguments.cpu_time:
        use_cpu_time()
    warnings.simplefilter("ignore", UnseenElementWarning)  # speed does not depend on what a model saw
    model = atomlens.load_model(arguments.model, dtype=dtype).to(device)
    for name, must in (("ethanol", 1_000), ("ac_ala3_nhme", 100_000)):
        atoms = molecule(name)
        graph = model.graph(atoms)
        explained = {rule: atomlens.explain(model, atoms, product_rule=rule, dtype=dtype) for rule in PRODUCT_RULES}
        walks = explained["scalar"].walks()

        masked = MaskedWalks(model, graph, 16)
        chosen = np.random.default_rng(1).integers(len(walks.relevance), size=16)
        difference = np.abs(
            masked(walks.atoms[chosen].tolist()).cpu().numpy() - walks.relevance[chosen] / 0.0433641
        ).max()
        anchor = best_anchor(model, graph, walks.atoms)
        # From model and graph, as the anchor is given its graph too; and from the chain.
        works: dict[str, Callable[[], object]] = {}
        for rule in PRODUCT_RULES:
            works[f"{rule}: model and graph to walks"] = partial(from_model, model, graph, rule)
            works[f"{rule}: chain to walks"] = explained[rule].walks

        size = anchor()
        rounds = np.array([[once(work) for work in (anchor, *works.values())] for _ in range(arguments.repeats)])
        for_all = rounds[:, 0] / size * len(walks.relevance)  # extrapolated from one batch
        print(f"{name}: {len(walks.relevance)} walks, largest difference from the anchor {difference:.1e} kcal/mol")
        print(
            f"  anchor {np.median(rounds[:, 0]) / size * 1e3:.2f} ms a walk (batch {size}), "
            f"{np.median(for_all):,.0f} s for all (extrapolated)"
        )
        for column, what in enumerate(works, start=1):
            ratio = for_all / rounds[:, column]
            print(
                f"  {what} {np.median(rounds[:, column]) * 1e3:.1f} ms, "
                f"{len(walks.relevance) / np.median(rounds[:, column]):,.0f} walks a second: "
                f"median {np.median(ratio):,.0f}x, rounds {ratio.min():,.0f}-{ratio.max():,.0f}x"
                f"   (must be >= {must:,}x)"
            )
        for rule in PRODUCT_RULES:
            output_bound(rule, explained[rule], walks, arguments.repeats)


def from_model(model: atomlens.Potential, graph: atomlens.AtomGraph, product_rule: str) -> object:
    """All walks, chain included."""
    return all_walks(make_chain(model, graph, Gate(), product_rule))


def output_bound(rule: str, explanation: atomlens.Explanation, walks: atomlens.Walks, repeats: int) -> None:
    """Compare with writing the output once plus the matrix products at this machine's rates."""
    n, steps = walks.atoms.shape
    like, n_features = explanation.chain.embedding, explanation.chain.readout.shape[1]
    # Channels of a message, and F × F products that a half-walk passes through; states come as four times F.
    width, maps = n_features, 10
    if rule == "full":
        n_features //= 4
        width, maps = 5 * n_features, 26

    def write() -> None:
        torch.empty((n, steps), dtype=torch.int32).fill_(1)
        torch.empty(n, dtype=like.dtype).fill_(1.0)

    # Products of the join: every walk is one scalar product of a message's channels. Of the shape that occurs most.
    pairs = explanation.chain.pairs
    degree = max(1, round(float(pairs.degrees.double().mean())))
    left, right = (torch.randn(k, width).to(like) for k in (degree * (degree + 1), degree + 1))
    products = max(1, round(n / (len(left) * len(right))))
    rows = torch.randn(pairs.n_pairs + pairs.n_atoms, n_features).to(like)
    square = torch.randn(n_features, n_features).to(like)

    def multiply() -> None:
        for _ in range(products):
            left @ right.T
        for _ in range(maps):
            rows @ square

    writing, multiplying = paired([write, multiply], repeats)
    listing, bound, ratio = paired_ratio(explanation.walks, lambda: (write(), multiply()), repeats)
    print(
        f"  {rule}, bound: output {writing * 1e3:.2f} ms + products {multiplying * 1e3:.2f} ms; "
        f"walks take {ratio:.2f}x of it ({listing * 1e3:.1f} / {bound * 1e3:.1f} ms; must be <= 2x)"
    )


if __name__ == "__main__":
    main()
