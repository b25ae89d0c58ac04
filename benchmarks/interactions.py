"""Interaction terms of the tetrapeptide against one energy and force call of the same model, same precision.

Usage: python benchmarks/interactions.py [--model FILE] [--repeats N]
"""

from __future__ import annotations

import argparse
import warnings

import torch

import atomlens
from atomlens.models import UnseenElementWarning
from systems import MODEL, molecule
from timing import paired_ratio


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--repeats", type=int, default=25)
    arguments = parser.parse_args()
    warnings.simplefilter("ignore", UnseenElementWarning)  # speed does not depend on what a model saw
    atoms = molecule("ac_ala3_nhme")
    for dtype in (torch.float64, torch.float32):
        model = atomlens.load_model(arguments.model, dtype=dtype)
        graph = model.graph(atoms)
        explanation = atomlens.explain(model, atoms, dtype=dtype)
        for order, must in ((2, 1), (3, 5)):
            a, b, ratio = paired_ratio(
                lambda order=order: explanation.interactions(order),
                lambda: model.energy_and_forces(graph),
                arguments.repeats,
            )
            print(
                f"{str(dtype)[6:]} order {order}: {a * 1e3:.1f} ms, energy+forces {b * 1e3:.1f} ms, "
                f"ratio {ratio:.2f} (must be <= {must})"
            )
            a, b, ratio = paired_ratio(
                lambda order=order: atomlens.explain(model, atoms, dtype=dtype).interactions(order),
                lambda: model.energy_and_forces(graph),
                arguments.repeats,
            )
            print(f"{str(dtype)[6:]} order {order}, chain and neighbours included: {a * 1e3:.1f} ms, ratio {ratio:.2f}")


if __name__ == "__main__":
    main()
