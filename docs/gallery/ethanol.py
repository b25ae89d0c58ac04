"""Ethanol: one prediction as a sum

What holds a molecule together in a neural-network potential? This is the shortest way to see it: load a model,
explain one molecule, look at the pair terms.
"""

# %%
import ase.io
import polars as pl

import atomlens

MODEL = "organic"

model = atomlens.load_model(MODEL)
ethanol = ase.io.read("examples/ethanol.xyz")
ex = atomlens.explain(model, ethanol)
print(ex)

# %% [markdown]
# The prediction is now a sum of terms of single atoms, pairs and triples. Nothing is left over: the residual is the
# rounding of double precision.

# %%
terms = ex.interactions(max_order=3)
parts = {f"order {n}": terms.order(n).relevance.sum() for n in (1, 2, 3)}
for name, value in {"constant": ex.constant, **parts, "larger": terms.remainder}.items():
    print(f"{name:>9} {value:12.4f} eV")
print(f"{'sum':>9} {ex.constant + sum(parts.values()) + terms.remainder:12.4f} eV")
print(f"{'predicted':>9} {ex.prediction:12.4f} eV")

# %% [markdown]
# ## Which pairs?
#
# Blue lines lower the energy, orange ones raise it; thick lines are strong. The model has no list of bonds, yet its
# strongest pairs are the bonds.

# %%
ex.plot.pairs().figure.set_label("Ethanol with its pair terms")

# %%
pairs = terms.to_frame().filter(pl.col("order") == 2)
for row in pairs.head(8).iter_rows(named=True):
    distance = ethanol.get_distance(row["atom_1"], row["atom_2"])
    print(f"{row['elements']}  {distance:.2f} Å  {row['relevance_eV']:+.2f} eV")
assert all(ethanol.get_distance(*row) < 1.6 for row in pairs.select("atom_1", "atom_2").head(8).iter_rows())

# %% [markdown]
# ## How far do they reach?

# %%
ex.plot.decay().figure.set_label("Strength of the pair terms against distance")

# %% [markdown]
# ## The same by functional groups

# %%
groups = {"CH3": [0, 3, 4, 5], "CH2": [1, 6, 7], "OH": [2, 8]}
between = ex.group_interactions(list(groups.values())).order(2)
names = list(groups)
for (a, b), value in zip(between.atoms, between.relevance, strict=True):
    print(f"{names[a]} and {names[b]}: {value:+.3f} eV")

# %% [markdown]
# The same as a page to click through, without Python:
#
# ```bash
# atomlens explain organic examples/ethanol.xyz --out ethanol
# ```
