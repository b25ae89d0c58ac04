"""Models beside each other: PaiNN and SchNet

Two models that predict nearly the same energy need not agree on what holds the molecule together. Any model that
atomlens opens can join: SevenNet, MACE, NequIP and graph-pes too.
"""

# %%
import ase.io
import numpy as np
from matplotlib import pyplot as plt

import atomlens

MODELS = {"PaiNN": "zoo:rmd17-ethanol-painn", "SchNet": "zoo:rmd17-ethanol-schnet"}

# %% [markdown]
# To add one of another library, install the library and put a line here; everything below stays as it is:
#
# ```py
# MODELS["SevenNet"] = "sevenn:7net-0"  # weights come with the package sevenn
# MODELS["MACE"] = "my.model"  # and trust=True in load_model, because a MACE file runs code
# ```
#
# ([Which libraries](../howto/foreign-models.md), [what came out for SevenNet](../public-potentials.md).)

# %%
ethanol = ase.io.read("examples/ethanol.xyz")
explained = {name: atomlens.explain(atomlens.load_model(model), ethanol) for name, model in MODELS.items()}

figure, axes = plt.subplots(1, len(explained), figsize=(10, 4.6), layout="constrained", num="Pair terms of ethanol")
for (name, ex), place in zip(explained.items(), axes, strict=True):
    ex.plot.pairs(place)
    place.set_title(f"{name}: {ex.prediction:.3f} eV")

# %% [markdown]
# ## Do they agree?
#
# Terms of the same pairs, one model against the other:

# %%
matrices = {}
for name, ex in explained.items():
    pairs = ex.interactions(max_order=2).order(2)
    matrices[name] = np.zeros((len(ethanol), len(ethanol)))
    matrices[name][tuple(pairs.atoms.T)] = pairs.relevance

every = np.triu_indices(len(ethanol), k=1)
(first, x), (second, y) = [(name, matrix[every]) for name, matrix in list(matrices.items())[:2]]
bonded = ethanol.get_all_distances()[every] < 1.6
print(f"predictions differ by {1000 * abs(explained[first].prediction - explained[second].prediction):.0f} meV")
print(f"pair terms differ by {1000 * abs(x - y).mean():.0f} meV on average; correlation {np.corrcoef(x, y)[0, 1]:.2f}")
assert abs(explained[first].prediction - explained[second].prediction) < 0.05 < abs(x - y).mean()
assert np.corrcoef(x, y)[0, 1] > 0.8
print(f"  bonds alone: correlation {np.corrcoef(x[bonded], y[bonded])[0, 1]:.2f}")
print(f"  all others:  correlation {np.corrcoef(x[~bonded], y[~bonded])[0, 1]:.2f}")

# %%
figure, axes = plt.subplots(figsize=(4.6, 4.2), layout="constrained", num=f"Pair terms of {first} and {second}")
axes.axline((0, 0), slope=1, color="0.8", zorder=0)
axes.plot(x[bonded], y[bonded], "o", color="#1b2733", label="bonds")
axes.plot(x[~bonded], y[~bonded], "o", color="#d6730f", label="other pairs")
axes.set_xlabel(f"{first}, eV")
axes.set_ylabel(f"{second}, eV")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# The energies are almost equal, the pair terms are not: many sums have the same total. On which pairs are strong both
# models agree.
#
# As pages and tables, on the command line:
#
# ```bash
# atomlens explain zoo:rmd17-ethanol-painn examples/ethanol.xyz --out painn
# atomlens explain zoo:rmd17-ethanol-schnet examples/ethanol.xyz --out schnet
# atomlens compare painn schnet --out both
# ```
