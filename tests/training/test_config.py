from pathlib import Path

import pytest

from atomlens.structures import InputError
from atomlens.training import read_config

GOOD = """
name = "x"
[data]
path = "a.xyz"
n_train = 10
n_val = 5
[model]
architecture = "schnet"
[fit]
lr = 1
"""


def write(tmp_path: Path, text: str) -> Path:
    path = tmp_path / "run.toml"
    path.write_text(text)
    return path


def test_good_configuration(tmp_path: Path) -> None:
    config = read_config(write(tmp_path, GOOD))
    assert config.fit.lr == 1.0
    assert config.model.architecture == "schnet"
    assert config.data.n_test is None


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("lr = 1", "learning_rate = 1", r"unknown setting 'fit.learning_rate'"),
        ("lr = 1", "epoch = 1", r"unknown setting 'fit.epoch'; did you mean 'epochs'\?"),
        ("[fit]", "[fitt]", r"unknown setting 'fitt'; did you mean 'fit'\?"),
        ("n_train = 10", "n_trian = 10", r"unknown setting 'data.n_trian'; did you mean 'n_train'\?"),
        ('"schnet"', '"shnet"', r"'model.architecture' is 'shnet'; did you mean 'schnet'\?"),
        ("lr = 1", 'lr = "1e-3"', r"setting 'fit.lr' is '1e-3'; it must be of type float"),
        ("n_train = 10", "n_train = true", r"'data.n_train' is True; it must be of type int"),
        ("lr = 1", "lr = -1", r"lr = -1.0; it must be positive"),
        ("lr = 1", "ema_decay = 1.0", r"ema_decay = 1.0"),
        ("lr = 1", "stop_patience = -1", r"stop_patience = -1; it must be at least 0"),
        ("lr = 1", "force_weight = 1\nstop_force_mae = 0", r"stop_force_mae = 0.0; it must be positive"),
        ("lr = 1", "stop_force_mae = 0.04", r"stop_force_mae = 0.04; .* needs a force_weight above 0"),
        ("lr = 1", "weight_decay = -0.1", r"weight_decay = -0.1; it must be at least 0"),
        ("lr = 1", "energy_weight = 0", r"energy_weight and force_weight are both 0"),
        ("lr = 1", "threads = 100_000_000", r"threads = 100000000; up to 1024 can be used"),
        ("lr = 1", "epochs = 1" + "0" * 5000, r"not a TOML file \(Exceeds the limit"),
        ("lr = 1", "lr = 1e999", r"'fit.lr' is inf; it must be a finite number"),
        ("lr = 1", "batch_size = 99999999999999999999", r"whole numbers go up to 2\^63"),
        ("[model]", "[model]\nn_layers = 1000000", r"n_layers = 1000000; give 1 to 1000"),
        ("[model]", "[model]\nn_features = 10000000", r"n_features = 10000000; give 1 to 16384"),
        ("[model]", "[model]\nn_rbf = 9000000", r"n_rbf = 9000000; give 1 to 10000"),
        ('name = "x"', "", r"setting 'name' is missing"),
        ("n_train = 10", "", r"n_train = 0"),
        ('path = "a.xyz"', "", r"needs a path"),
        ("n_train = 10", "n_train = 10\nforces = true", r"fit.force_weight is 0"),
        ("lr = 1", "force_weight = 0.9", r"fit.force_weight = 0.9, but data.forces is false"),
        ("lr = 1", "force_weight = 1\nstop_force_mae = 0.04", r"fit.force_weight = 1, but data.forces is false"),
        ("lr = 1", "charge_weight = 10", r"data.charges = '', but fit.charge_weight = 10; give both"),
        ("n_train = 10", 'n_train = 10\ncharges = "q"', r"data.charges = 'q', but fit.charge_weight = 0; give both"),
        ("lr = 1", "lr = ", r"not a TOML file"),
        ("[data]", '[data]\nset = "qm9"', r"set = 'qm9' takes no path"),
        ('path = "a.xyz"', 'set = "qm9"\nenergy_unit = "eV"', r"energy_unit = 'eV', but set = 'qm9' has its own units"),
        ("n_train = 10", "n_train = 10\nsplit_seed = -1", r"split_seed = -1; it must be at least 0"),
        ("n_train = 10", "n_train = 10\nn_test = -1", r"n_test = -1; give 0 or more, or leave it out"),
        ("[model]", "[model]\ntotal_charge = 1.0", r"total_charge = 1.0 needs a model with charges: long_range ="),
        ("[model]", '[model]\nlong_range = "coulom"', r"'model.long_range' is 'coulom'; did you mean 'coulomb'\?"),
        (
            "[model]",
            '[model]\nlongrange = "coulomb"',
            r"unknown setting 'model.longrange'; did you mean 'long_range'\?",
        ),
        ("[model]", '[model]\nlong_range = "coulomb"\nreadout = "mean"', r"needs readout = 'sum', received 'mean'"),
        (
            "[model]",
            "[model]\ncentre = false",
            r"references = 'none' or 'free_atoms', received 'fit'",
        ),
        ("[model]", '[model]\nradial = "inverse"', r"did you mean 'inverse_powers'\?"),
        ("[fit]\nlr = 1", "fit = 3", r"must be a table \[fit\]|not a TOML file|unknown setting"),
    ],
)
def test_bad_settings_are_told_in_one_line(tmp_path: Path, old: str, new: str, message: str) -> None:
    assert old in GOOD
    with pytest.raises(InputError, match=message) as failure:
        read_config(write(tmp_path, GOOD.replace(old, new)))
    assert "run.toml" in str(failure.value)
    assert "\n" not in str(failure.value)


def test_a_byte_order_mark_is_no_setting(tmp_path: Path) -> None:
    path = write(tmp_path, GOOD)
    path.write_bytes(b"\xef\xbb\xbf" + path.read_bytes().replace(b"\n", b"\r\n"))
    assert read_config(path) == read_config(write(tmp_path, GOOD))


def test_missing_file(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        read_config(tmp_path / "none.toml")


@pytest.mark.parametrize("path", sorted((Path(__file__).parents[2] / "configs").glob("*.toml")), ids=lambda p: p.stem)
def test_shipped_configurations_are_valid(path: Path) -> None:
    assert read_config(path).name == path.stem


def test_charges_need_a_model_that_has_some(tmp_path: Path) -> None:
    text = GOOD.replace("n_train = 10", 'n_train = 10\ncharges = "q"').replace("lr = 1", "charge_weight = 1")
    with pytest.raises(InputError, match="'q' needs a model with charges: long_range = 'coulomb' or"):
        read_config(write(tmp_path, text))
    charged = text.replace("[model]", '[model]\nlong_range = "coulomb+dispersion"')
    assert read_config(write(tmp_path, charged)).fit.charge_weight == 1
