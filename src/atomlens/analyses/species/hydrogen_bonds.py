"""Hydrogen bonds among the pairs of explained structures, recognised by geometry."""

from __future__ import annotations

from collections.abc import Sequence

import ase
import polars as pl

# Baker and Hubbard, Prog. Biophys. Mol. Biol. 44, 97 (1984), in the form that MDTraj's `baker_hubbard` uses: distance
# of H and acceptor in Å, angle donor-H-acceptor in degrees. That fluorine counts too is our choice.
MAX_DISTANCE = 2.5
MIN_ANGLE = 120.0
ELEMENTS = ("N", "O", "F")
NOT_NEAR = ("1-4", "further", "other molecule")


def hydrogen_bond_mask(pairs: pl.DataFrame, structures: Sequence[ase.Atoms]) -> pl.Series:
    r"""Which pairs are the H···A of a hydrogen bond D-H···A.

    D and A are N, O or F; H···A is shorter than 2.5 Å; the angle at H is wider than 120°; H and A are three bonds
    or more apart.

    Parameters
    ----------
    pairs
        A pairs table that holds all bonded pairs of its frames.
    structures
        The structure of every frame number.

    Returns
    -------
    One boolean a row.
    """
    one, two = pl.col("element_1"), pl.col("element_2")
    hydrogen = pl.when(one == "H").then(pl.col("atom_1")).otherwise(pl.col("atom_2")).alias("hydrogen")
    partner = pl.when(one == "H").then(pl.col("atom_2")).otherwise(pl.col("atom_1")).alias("partner")
    polar = ((one == "H") & two.is_in(ELEMENTS)) | ((two == "H") & one.is_in(ELEMENTS))
    table = pairs.with_row_index("row").filter(polar).with_columns(hydrogen, partner)
    donors = table.filter(pl.col("relation") == "1-2").select("frame", "hydrogen", pl.col("partner").alias("donor"))
    near = table.filter((pl.col("distance") < MAX_DISTANCE) & pl.col("relation").is_in(NOT_NEAR))
    found = [
        row
        for row, frame, donor, h, acceptor in near.join(donors, on=["frame", "hydrogen"])
        .select("row", "frame", "donor", "hydrogen", "partner")
        .iter_rows()
        if structures[frame].get_angle(donor, h, acceptor, mic=bool(structures[frame].pbc.any())) > MIN_ANGLE
    ]
    return pl.select(pl.int_range(len(pairs), dtype=pl.UInt32).is_in(found)).to_series()
