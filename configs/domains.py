"""Write what shipped models were trained on into their cards, from the data sets of their configurations.

    python configs/domains.py NAME ...

Weights stay as they are, bit for bit. New models get the entry from `atomlens train`.
"""

from __future__ import annotations

import sys
from pathlib import Path

from atomlens.data import load_qm9, make_split, read_dataset, training_domain
from atomlens.models import DOMAIN, read_model, save_model, with_card, zoo_path
from atomlens.training import read_config

HERE = Path(__file__).parent


def main() -> None:
    """Write the cards of the models that the command line names."""
    for name in sys.argv[1:]:
        config = read_config(HERE / f"{name}.toml")
        settings, model = config.data, read_model(zoo_path(name))
        dataset = load_qm9() if settings.set == "qm9" else read_dataset(HERE / settings.path)
        split = make_split(len(dataset), settings.n_train, settings.n_val, settings.n_test, settings.split_seed)
        domain = training_domain(dataset, split.train, model.cutoff)
        save_model(with_card(model, **{DOMAIN: domain.to_card()}), zoo_path(name))
        print(name, domain.to_card())


if __name__ == "__main__":
    main()
