"""Crystal: chains of polyethylene

Structures may be periodic. Here a model that knows only small molecules looks at a polymer crystal: what it says
inside a chain is chemistry that it has learned, and what it says between chains is not.
"""

# %%
import ase
import numpy as np

import atomlens
from atomlens.models import outside

MODEL = "zoo:qm9-bonding-painn"

# %% [markdown]
# The orthorhombic cell of polyethylene (C. W. Bunn, Trans. Faraday Soc. 35, 482 (1939)): two chains, each of two CH2.
# It is repeated so that no atom sees two images of another one within the cutoff of 5 Å.

# %%
unit = np.array([[0.038, 0.065, 0.25], [0.186, 0.060, 0.25], [0.011, 0.277, 0.25]])
chain = np.concatenate([unit, unit * [-1, -1, 1] + [0, 0, 0.5]])
other = chain * [-1, 1, 1] + [0.5, 0.5, 0]
cell = ase.Atoms("CHHCHH" * 2, scaled_positions=np.concatenate([chain, other]), cell=[7.40, 4.93, 2.534], pbc=True)
crystal = cell * (2, 3, 4)
chains = [
    [12 * 4 * k + 12 * n + 6 * second + i for n in range(4) for i in range(6)] for k in range(6) for second in (0, 1)
]
print(crystal.get_chemical_formula(), "in", len(chains), "chains")

# %%
model = atomlens.load_model(MODEL)
ex = atomlens.explain(model, crystal)
terms = ex.interactions(max_order=2).order(2)
print(len(terms.relevance), "pairs within the cutoff")

# %% [markdown]
# ## Inside a chain
#
# Bonds of the crystal beside those of hexane, which is of the kind that the model was trained on:


# %%
def bond_terms(explained, pairs):
    """Mean term of bonded pairs, by element: their distance is below 1.7 Å, or 1.2 Å with hydrogen."""
    atoms = explained.atoms
    found = {"C-C": [], "C-H": []}
    for (a, b), value in zip(pairs.atoms, pairs.relevance, strict=True):
        kind = "-".join(sorted(atoms.get_chemical_symbols()[k] for k in (a, b)))
        if kind in found and atoms.get_distance(a, b, mic=True) < (1.7 if kind == "C-C" else 1.2):
            found[kind].append(value)
    return {kind: np.mean(values) for kind, values in found.items()}


(hexane,) = atomlens.read_structures("CCCCCC")
of_hexane = atomlens.explain(model, hexane)
found = {}
for name, explained, pairs in [
    ("polyethylene", ex, terms),
    ("hexane", of_hexane, of_hexane.interactions(max_order=2).order(2)),
]:
    found[name] = bond_terms(explained, pairs)
    print(f"{name:<13}", ", ".join(f"{kind} {value:+.3f} eV" for kind, value in found[name].items()))
assert all(abs(found["polyethylene"][kind] / found["hexane"][kind] - 1) < 0.2 for kind in ("C-C", "C-H"))

# %% [markdown]
# ## Between chains

# %%
of_chain = np.empty(len(crystal), int)
for number, members in enumerate(chains):
    of_chain[members] = number
across = of_chain[terms.atoms[:, 0]] != of_chain[terms.atoms[:, 1]]
print(f"pairs of two chains: {terms.relevance[across].sum() / (len(crystal) / 3):+.3f} eV per CH2")

assert terms.relevance[across].sum() / (len(crystal) / 3) < found["polyethylene"]["C-H"] < 0

ex.plot.decay().figure.set_label("Strength of the pair terms against distance in the crystal")

# %% [markdown]
# Inside a chain the crystal looks like hexane. Between chains the model adds more than one of its C–H bonds per CH2,
# which no dispersion does: it has learned bonds from thousands of molecules, and has never seen two molecules beside
# each other. Its terms do not say so. Its card does: whatever a structure has and the training data had not is listed,
# on terminal and page too.

# %%
for sentence in outside(model.facts, crystal):
    print("-", sentence)
