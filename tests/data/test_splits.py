import numpy as np
import pytest

from atomlens.data.splits import make_group_split, make_split
from atomlens.structures import InputError

GROUPS = np.array([4, 4, -1, 9, 0, 0, 0, 2, 9, -1, 7])


def test_groups_stay_together_and_negative_ones_are_trained_on() -> None:
    for seed in range(20):
        split = make_group_split(GROUPS, 2, 1, 1, seed)
        parts = [set(GROUPS[part].tolist()) - {-1} for part in (split.train, split.val, split.test)]
        assert [len(part) for part in parts] == [2, 1, 1]
        assert sum(map(len, parts)) == len(set.union(*parts))
        assert {2, 9} <= set(split.train.tolist())
        for part, names in zip((split.train, split.val, split.test), parts, strict=True):
            assert set(part.tolist()) - {2, 9} == set(np.flatnonzero(np.isin(GROUPS, list(names))).tolist())


def test_groups_of_one_are_a_plain_split() -> None:
    one, other = make_group_split(np.arange(30), 10, 5, None, 3), make_split(30, 10, 5, None, 3)
    for name in ("train", "val", "test"):
        np.testing.assert_array_equal(getattr(one, name), getattr(other, name))


def test_too_few_groups() -> None:
    with pytest.raises(InputError, match="asks for 6 structures, the data set has 5"):
        make_group_split(GROUPS, 4, 1, 1, 0)
