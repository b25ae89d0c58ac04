"""Water dimer: what is a hydrogen bond to a model?

Two water molecules attract each other by about 0.2 eV, a thousandth of their total energy. Does a model have this as
an interaction of the two molecules, and of which atoms?
"""

# %%
import ase.io
import numpy as np
from matplotlib import pyplot as plt
from tblite.ase import TBLite

import atomlens

MODEL = "zoo:xtb-water6-painn-long-range"

model = atomlens.load_model(MODEL)
dimer = ase.io.read("examples/water-dimer.xyz")
donor, acceptor = [0, 1, 2], [3, 4, 5]
ex = atomlens.explain(model, dimer)

# %% [markdown]
# First the number that chemists know: energy of the dimer minus energies of its two molecules. The model was trained
# on GFN2-xTB energies of clusters of six molecules and has never seen a dimer.


# %%
def binding(energy):
    """Interaction energy in eV, both molecules kept as they are in the dimer."""
    return energy(dimer) - energy(dimer[donor]) - energy(dimer[acceptor])


def gfn2(atoms):
    """Energy of GFN2-xTB, eV."""
    return TBLite(method="GFN2-xTB", verbosity=0).get_potential_energy(atoms)


print(f"GFN2-xTB            {binding(gfn2):+.3f} eV")
print(f"model               {binding(lambda atoms: model.predict(atoms).energy):+.3f} eV")

# %% [markdown]
# Now the same from the inside. All terms that contain atoms of both molecules make the interaction of two groups:

# %%
groups = ex.group_interactions([donor, acceptor])
print(f"terms between them  {groups.order(2).relevance[0]:+.3f} eV")

# %% [markdown]
# Both numbers need not be equal. A term belongs to *this* geometry, with the states of all atoms as they are in the
# dimer; the difference of energies also contains how each molecule changes when the other one is taken away.
#
# ## Which atoms?

# %%
terms = ex.interactions(max_order=2).order(2)
across = np.isin(terms.atoms[:, 0], donor) & np.isin(terms.atoms[:, 1], acceptor)
labels = ["O (donor)", "H (donor)", "H (bridge)", "O (acceptor)", "H (acceptor)", "H (acceptor)"]
strongest = np.argsort(-abs(terms.relevance) * across)[: across.sum()]
pairs = [f"{labels[a]} ··· {labels[b]}, {dimer.get_distance(a, b):.2f} Å" for a, b in terms.atoms[strongest]]
values = terms.relevance[strongest]

figure, axes = plt.subplots(figsize=(6.4, 3.2), layout="constrained", num="Pair terms between the two molecules")
axes.barh(pairs, values, color=np.where(values < 0, "#2166ac", "#d6730f"))
axes.bar_label(axes.containers[0], fmt="{:+.2f}", padding=3)
axes.invert_yaxis()
axes.margins(x=0.15)
axes.set_xlabel("term, eV")
axes.spines[["top", "right"]].set_visible(False)
assert set(terms.atoms[strongest[0]]) == {2, 3}

# %% [markdown]
# The bridging hydrogen and the oxygen that accepts it attract each other most. The two oxygen atoms repel each other
# almost as much, and the small remaining sum is the hydrogen bond: as in a picture of charges, where unlike ends of
# two molecules attract and like ends repel.
#
# ## Charges and dispersion

#
# This model has energies of charges and of dispersion besides its messages. Their share between the molecules:

# %%
for kind in ex.long_range_kinds:
    part = ex.long_range_terms(kind)
    between = (part.atoms[:, 0] < 3) & (part.atoms[:, 1] >= 3)
    print(f"{kind:>10} {part.relevance[between].sum():+.3f} eV")

# %% [markdown]
# On the command line, `--groups fragments` finds the molecules of a cluster by itself:
#
# ```bash
# atomlens explain zoo:xtb-water6-painn-long-range examples/water-dimer.xyz --groups fragments --out dimer
# ```
