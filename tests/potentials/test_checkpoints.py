"""What is said of a checkpoint that is no model."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch

from atomlens import InputError, load_model


def test_a_checkpoint_of_training_says_how_it_becomes_a_model(tmp_path: Path) -> None:
    torch.save({"state": torch.zeros(3, dtype=torch.uint8), "when": Path()}, tmp_path / "best.ckpt")
    with pytest.raises(InputError, match=r"nequip-package build .*best.ckpt NAME.nequip.zip"):
        load_model(tmp_path / "best.ckpt", trust=True)
