"""Interaction terms of the tetrapeptide against one energy and force call of the same model, same precision.

Usage: python benchmarks/interactions.py [--model FILE] [--repeats N] [--cpu-time] [--device cuda]
"""

from __future__ import annotations

import argparse
import warnings
from functools import partial
from itertools import product

import torch

import atomlens
from atomlens.models import UnseenElementWarning
from atomlens.recording import PRODUCT_RULES
from systems import MODEL, molecule
from timing import paired_ratio, use_cpu_time, use_device


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--repeats", type=int, default=25)
    parser.add_argument("--cpu-time", action="store_true", help="on a busy machine, with OMP_NUM_THREADS=1")
    parser.add_argument("--device", default="cpu")
    arguments = parser.parse_args()
    device = use_device(arguments.device)
    warnings.simplefilter("ignore", UnseenElementWarning)  # speed does not depend on what a model saw
    if arguments.cpu_time:
        use_cpu_time()
    atoms = molecule("ac_ala3_nhme")
    for dtype, product_rule in product((torch.float64, torch.float32), PRODUCT_RULES):
        model = atomlens.load_model(arguments.model, dtype=dtype).to(device)
        graph = model.graph(atoms)
        explain = partial(atomlens.explain, model, atoms, product_rule=product_rule, dtype=dtype)
        explanation = explain()
        for order, must in ((2, 1), (3, 5)):
            name = f"{str(dtype)[6:]}, {product_rule}, order {order}"
            a, b, ratio = paired_ratio(
                partial(explanation.interactions, order), partial(model.energy_and_forces, graph), arguments.repeats
            )
            print(f"{name}: {a * 1e3:.1f} ms, energy+forces {b * 1e3:.1f} ms, ratio {ratio:.2f} (must be <= {must})")
            a, b, ratio = paired_ratio(
                lambda order=order, explain=explain: explain().interactions(order),
                partial(model.energy_and_forces, graph),
                arguments.repeats,
            )
            print(f"{name}, chain and neighbours included: {a * 1e3:.1f} ms, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
