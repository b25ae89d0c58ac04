"""Peptide: residues that talk to each other

In a large molecule pairs of atoms are too many to look at. Sums over residues say which parts matter to which.
"""

# %%
import numpy as np
import polars as pl
from matplotlib import pyplot as plt

import atomlens

MODEL = "zoo:xtb-alanine-painn"

model = atomlens.load_model(MODEL)
(peptide,) = atomlens.read_structures("examples/alanine.pdb")  # Ac-Ala-NHMe; the PDB file names its residues
ex = atomlens.explain(model, peptide)

numbers = peptide.arrays["residuenumbers"]
names = {int(n): str(name) for n, name in zip(numbers, peptide.arrays["residuenames"], strict=True)}
residues = [np.flatnonzero(numbers == n).tolist() for n in names]
print(dict(zip(names.values(), map(len, residues), strict=True)), "atoms")

# %% [markdown]
# Terms of groups add up to the prediction, as terms of atoms do:

# %%
groups = ex.group_interactions(residues, max_order=3)
matrix = np.zeros((3, 3))
for (a,), value in zip(groups.order(1).atoms, groups.order(1).relevance, strict=True):
    matrix[a, a] = value
for (a, b), value in zip(groups.order(2).atoms, groups.order(2).relevance, strict=True):
    matrix[a, b] = matrix[b, a] = value

figure, axes = plt.subplots(figsize=(4.6, 3.8), layout="constrained", num="Terms of residues and between them, eV")
limit = abs(matrix).max()
image = axes.imshow(matrix, cmap="PuOr_r", vmin=-limit, vmax=limit)
for (a, b), value in np.ndenumerate(matrix):
    axes.text(b, a, f"{value:+.3f}", ha="center", va="center", color="white" if abs(value) > 0.6 * limit else "black")
axes.set_xticks(range(3), names.values())
axes.set_yticks(range(3), names.values())
figure.colorbar(image, label="term, eV")
total = ex.constant + sum(groups.order(n).relevance.sum() for n in (1, 2, 3)) + groups.remainder
print(f"sum of everything {total:.4f} eV, prediction {ex.prediction:.4f} eV")

# %% [markdown]
# Neighbours in the chain are bonded through an amide, and their terms are large. The two ends, four bonds apart,
# hardly know of each other in this model.
#
# ## What joins two residues?

# %%
ends = ex.interactions(max_order=2).to_frame().filter(pl.col("order") == 2)
joint = ends.filter(pl.col("atom_1").is_in(residues[0]) & pl.col("atom_2").is_in(residues[1])).head(4)
for row in joint.iter_rows(named=True):
    print(
        f"{row['elements']}  {peptide.get_distance(row['atom_1'], row['atom_2']):.2f} Å  {row['relevance_eV']:+.3f} eV"
    )
assert joint["elements"][0] == "C-N"

# %% [markdown]
# The amide bond C–N comes first. On the command line the residues of a PDB file are groups by themselves:
#
# ```bash
# atomlens explain zoo:xtb-alanine-painn examples/alanine.pdb --groups residues --out peptide
# ```
