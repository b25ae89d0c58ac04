"""Pair terms of water boxes up to 10,000 atoms: time, exponent, peak memory.

Each size runs in a process of its own, so that peak memory is its own.

Usage: python benchmarks/scaling.py [--model FILE] [--product-rule full|scalar]
"""

from __future__ import annotations

import argparse
import json
import resource
import subprocess
import sys
import time
import warnings

import numpy as np

from systems import MODEL, water_box


def one(model_file: str, n_side: int, product_rule: str) -> None:
    import atomlens
    from atomlens.models import UnseenElementWarning

    warnings.simplefilter("ignore", UnseenElementWarning)  # speed does not depend on what a model saw
    model = atomlens.load_model(model_file)
    atoms = water_box(n_side)
    atomlens.explain(model, water_box(2), product_rule=product_rule).interactions(2)
    start = time.perf_counter()
    explanation = atomlens.explain(model, atoms, product_rule=product_rule)
    made = time.perf_counter()
    terms = explanation.interactions(2)
    done = time.perf_counter()
    print(
        json.dumps(
            {
                "atoms": len(atoms),
                "pairs": len(terms.order(2).relevance),
                "chain": made - start,
                "terms": done - made,
                "memory": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e6,
                "residual": explanation.residual / max(1.0, abs(explanation.prediction - explanation.constant)),
            }
        )
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(MODEL))
    parser.add_argument("--product-rule", choices=["full", "scalar"], default="full")
    parser.add_argument("--one", type=int, default=None, help=argparse.SUPPRESS)
    arguments = parser.parse_args()
    if arguments.one:
        one(arguments.model, arguments.one, arguments.product_rule)
        return
    rows = []
    for n_side in (4, 7, 11, 15):
        command = [sys.executable, __file__, "--model", arguments.model, "--product-rule", arguments.product_rule]
        command += ["--one", str(n_side)]
        rows.append(json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout))
        row = rows[-1]
        print(
            f"{row['atoms']:6d} atoms {row['pairs']:7d} pairs: chain {row['chain']:.2f} s + terms {row['terms']:.2f} s"
            f", peak {row['memory']:.2f} GB, relative residual {row['residual']:.1e}",
            flush=True,
        )
    size = np.log([row["atoms"] for row in rows])
    for part in ("terms", "chain"):
        exponent = np.polyfit(size, np.log([row[part] for row in rows]), 1)[0]
        print(f"{part}: time ~ N^{exponent:.2f} (must be <= 1.1)")
    print(f"peak memory {max(row['memory'] for row in rows):.2f} GB (must be < 2)")


if __name__ == "__main__":
    main()
