"""NaN and infinity in a data set are found, with the property and the structure they are in."""

from dataclasses import replace

import numpy as np
import pytest

from atomlens import InputError
from atomlens.data import Column, Dataset, require_finite


def pairs() -> Dataset:
    columns = (
        Column("energy", "eV", np.zeros(3)),
        Column("charges", "e", np.zeros(6), per_atom=True),
        Column("frequencies", "cm^-1", np.full((3, 4), np.nan), meaning="harmonic frequencies, padded with NaN"),
        Column("smiles", "", np.array([b"O"] * 3)),
    )
    starts, open_ones = np.array([0, 2, 4, 6]), np.zeros((3, 3), dtype=bool)
    return Dataset(
        "pairs", "test", np.ones(6, dtype=int), np.zeros((6, 3)), np.zeros((3, 3, 3)), open_ones, starts, columns
    )


def test_padding_and_text_are_no_mistakes() -> None:
    require_finite(pairs())
    with pytest.raises(InputError, match=r"frequencies of structure 0 \(from 0\): nan is no finite number"):
        require_finite(pairs(), ["frequencies"])


@pytest.mark.parametrize(("name", "row"), [("energy", 1), ("charges", 3), ("positions", 3), ("cells", 1)])
def test_property_and_structure_are_named(name: str, row: int) -> None:
    dataset = pairs()
    if name in ("positions", "cells"):
        values = getattr(dataset, name)
        values[row] = -np.inf
        bad = replace(dataset, **{name: values})
    else:
        dataset.column(name).values[row] = -np.inf
        bad = dataset
    message = rf"pairs: {name} of structure 1 \(from 0\): -inf is no finite number; correct it, or remove"
    with pytest.raises(InputError, match=message):
        require_finite(bad)
    if name not in ("positions", "cells"):
        require_finite(bad, [other for other in ("energy", "charges") if other != name])
