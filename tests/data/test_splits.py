from pathlib import Path

import numpy as np
import pytest

from atomlens.data.splits import SplitOrigin, load_origin, load_split, make_group_split, make_split, save_split
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
    with pytest.raises(InputError, match="asks for 6 groups, the data set has 5"):
        make_group_split(GROUPS, 4, 1, 1, 0)


@pytest.mark.parametrize(
    ("n_test", "seed", "message"),
    [(-1, 0, r"a split with -1 test structures; give 0 or more"), (1, -1, r"a split by the seed -1; give 0 or more")],
)
def test_negative_numbers(n_test: int, seed: int, message: str) -> None:
    with pytest.raises(InputError, match=message):
        make_split(10, 2, 2, n_test, seed)


def test_a_stored_split_says_what_it_was_made_for(tmp_path: Path) -> None:
    split, path = make_split(10, 6, 2, None, seed=0), tmp_path / "split.json"
    save_split(split, path)
    assert load_origin(path) == SplitOrigin()
    origin = SplitOrigin("abc", {"n_train": 6, "n_test": None, "groups": ""})
    save_split(split, path, origin)
    assert load_origin(path) == origin
    assert load_split(path, 10).test.tolist() == split.test.tolist()
    path.write_text('{"data": 3}')
    with pytest.raises(InputError, match="not a split"):
        load_origin(path)
