"""Make the stored numbers of `test_regression` again, after a change that is meant to change them:

    python tests/interactions/make_regression.py

and say in the commit which numbers moved and why. The cases are small models whose weights follow a formula, so
that they are the same on every machine, and the PaiNN of SchNetPack's authors where its file is at hand.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

import torch

sys.path.insert(0, str(Path(__file__).parents[1]))

import atomlens
from samples import FORMS, branched, small_model

STORED = Path(__file__).with_name("regression.json")
SHARED = Path(__file__).parents[3] / "shared" / "testdata"
PUBLISHED = SHARED / "schnetpack_rmd17_ethanol_painn" / "best_model"


def formula_model(architecture: str) -> atomlens.Potential:
    """Weights sin(k) of their running number k, scaled by the number of inputs."""
    model, k = small_model(architecture), 0
    with torch.no_grad():
        for parameter in model.parameters():
            numbers = torch.arange(k, k + parameter.numel(), dtype=torch.float64)
            parameter.copy_((torch.sin(numbers) * 2 / max(parameter.shape[-1], 2) ** 0.5).reshape(parameter.shape))
            k += parameter.numel()
    return model


def cases() -> dict[str, atomlens.Explanation]:
    """Explanations by name; those of the published model only where its file is."""
    made = {
        f"{architecture}/{product_rule}/{rule}": atomlens.explain(
            formula_model(architecture), branched(), rule, product_rule
        )
        for architecture, product_rule in FORMS
        for rule in ("gate", "gamma")
    }
    if PUBLISHED.exists():
        model = atomlens.load_model(PUBLISHED)
        (atoms,) = atomlens.read_structures(SHARED / "ethanol.xyz")
        for product_rule in ("scalar", "full"):
            made[f"ethanol/{product_rule}/gate"] = atomlens.explain(model, atoms, "gate", product_rule)
    return made


def numbers(ex: atomlens.Explanation) -> dict[str, list[float]]:
    """What is stored of an explanation, in eV."""
    terms = ex.interactions(3)
    strongest = terms.order(3).relevance
    return {
        "prediction, constant": [ex.prediction, ex.constant],
        "atoms": terms.order(1).relevance.tolist(),
        "pairs": terms.order(2).relevance.tolist(),
        "sum of |triples|, remainder": [float(abs(strongest).sum()), terms.remainder],
        "strongest full walks": ex.top_walks(3).relevance.tolist(),
        "bias walks by entry": [float(w.relevance.sum()) for w in ex.bias_walks()],
    }


if __name__ == "__main__":
    STORED.write_text(json.dumps({name: numbers(ex) for name, ex in cases().items()}, indent=1) + "\n")
