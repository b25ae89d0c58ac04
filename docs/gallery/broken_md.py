"""Why did the dynamics of this model break?

A model with a small test error may still tear a molecule apart as soon as it moves. This one has a mean error of 31
meV on relaxed molecules of QM9, and was never trained on forces. What gives way, and could it have been known before?
"""

# %%
import json
from pathlib import Path

import ase.io
import polars as pl
from matplotlib import pyplot as plt

# %% [markdown]
# ## Run it
#
# Four replicas of ethanol, a tenth of a picosecond at 500 K:

# %% language="bash"
# atomlens md zoo:qm9-u0-painn examples/ethanol.xyz --replicas 4 --time 0.1 --interval 2 --out md

# %%
run = json.loads(Path("md/summary.json").read_text())
print("outcome:", run["verdict"]["outcome"])
for time, share in zip(run["survival"]["times"], run["survival"]["alive"], strict=True):
    print(f"{1000 * time:4.0f} fs: {share:.0%} of the replicas whole")

# %% [markdown]
# ## What gave way?
#
# `failure.parquet` follows every bond of the replica that broke first, over the frames before the break: its length,
# its term, and how stiffly the model and GFN2-xTB hold the two atoms (the response coupling: change of one atom's
# force as the other one moves).

# %%
bond = pl.read_parquet("md/failure.parquet").filter(pl.col("gave_way"))
symbols = ase.io.read("examples/ethanol.xyz").get_chemical_symbols()
a, b = bond["atom_1"][0], bond["atom_2"][0]
print(f"{symbols[a]}{a}-{symbols[b]}{b}: from {bond['distance'][0]:.2f} to {bond['distance'][-1]:.2f} Å")

figure, axes = plt.subplots(figsize=(5.6, 3.6), layout="constrained", num="Stiffness of the bond that gave way")
axes.plot(bond["distance"], bond["reference_coupling"], "o-", color="#1b2733", label="GFN2-xTB")
axes.plot(bond["distance"], bond["model_coupling"], "o-", color="#d6730f", label="model")
axes.set_yscale("log")
axes.invert_xaxis()
axes.set_xlabel(f"distance of {symbols[a]}{a} and {symbols[b]}{b}, Å (time runs to the right)")
axes.set_ylabel("response coupling, eV/Å²")
axes.legend(frameon=False)
axes.spines[["top", "right"]].set_visible(False)
assert bond["distance"][-1] < bond["distance"][0] < 1.0
assert bond["model_coupling"].max() < 0.1 * bond["reference_coupling"].min()

# %% [markdown]
# The hydrogen runs *into* the carbon. In GFN2-xTB the bond becomes stiffer the shorter it is, as any bond does; in
# this model it stays soft: there is no wall. Molecules at rest, which is all that QM9 has, cannot teach one.
#
# ## Could it have been known before?
#
# `atomlens check` asks without dynamics. It relaxes the molecule on the model's own energy, stretches and compresses
# every bond, and pushes pairs of atoms together:

# %% language="bash"
# atomlens check zoo:qm9-u0-painn examples/ethanol.xyz --out check

# %%
check = json.loads(Path("check/summary.json").read_text())
for finding in check["verdict"]["findings"]:
    print(finding["sentence"])

# %% [markdown]
# The model fails before anything moves. The same two commands for `zoo:rmd17-ethanol-painn`, which was trained on
# moving molecules and their forces, [find walls of several eV](../howto/check.md#what-came-out-for-ethanol).
