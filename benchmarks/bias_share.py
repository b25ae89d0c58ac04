"""How much of a prediction full walks leave unexplained, and pair terms with and without bias walks.

Usage: python benchmarks/bias_share.py [--model FILE]
"""

from __future__ import annotations

import argparse

import numpy as np

import atomlens
from systems import MODEL, molecule

KCAL = 23.060548  # kcal/mol in one eV


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--model", default=str(MODEL))
    arguments = parser.parse_args()
    model, atoms = atomlens.load_model(arguments.model), molecule("ethanol")
    for product_rule in ("scalar", "full"):
        explanation = atomlens.explain(model, atoms, product_rule=product_rule)
        network = explanation.prediction - explanation.constant
        full = float(explanation.walks().relevance.sum())
        print(f"ethanol, gate/{product_rule}: y - c = {network:.4f} eV, full walks {full:.4f} eV, ", end="")
        print(f"left {abs(network - full) / abs(network):.0%}; residual of everything {explanation.residual:.1e} eV")
        for walks in ("full", "all"):
            terms = explanation.interactions(3, walks=walks)
            sums = [float(np.abs(terms.order(n).relevance).sum()) * KCAL for n in (1, 2, 3)]
            pairs = terms.order(2)
            bonds = {
                f"{atoms.symbols[i]}-{atoms.symbols[j]}": round(float(value) * KCAL, 1)
                for (i, j), value in zip(pairs.atoms, pairs.relevance, strict=True)
                if atoms.get_distance(i, j) < 1.6
            }
            print(f"  {walks:4s} walks: sums of |terms| {', '.join(f'{s:.1f}' for s in sums)}; bonds {bonds} kcal/mol")


if __name__ == "__main__":
    main()
