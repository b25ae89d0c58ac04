"""Logs of a run: a CSV file and TensorBoard."""

from __future__ import annotations

import csv
from pathlib import Path

from atomlens.folders import atomic_file
from atomlens.structures import InputError, install_command
from atomlens.training.loop import EpochResult, Fit


class RunLogs:
    """``metrics.csv`` and TensorBoard; rebuilt from the history of a resumed run, so no epoch is there twice."""

    def __init__(self, out: Path, fit: Fit) -> None:
        try:
            from torch.utils.tensorboard.writer import SummaryWriter
        except ModuleNotFoundError as error:
            raise InputError(f"training needs the package tensorboard; run: {install_command('train')}") from error
        self.path = out / "metrics.csv"
        if fit.history:
            with atomic_file(self.path) as part:
                _write_rows(part, fit.history)
        else:
            self.path.unlink(missing_ok=True)
        self.board = SummaryWriter(str(out / "tensorboard"), purge_step=fit.epoch + 1)

    def add(self, result: EpochResult) -> None:
        """Log one epoch."""
        row = result.row()
        new = not self.path.exists()
        with self.path.open("a", newline="") as file:
            writer = csv.DictWriter(file, list(row))
            if new:
                writer.writeheader()
            writer.writerow(row)
        for name, value in row.items():
            self.board.add_scalar(name, value, result.epoch)

    def close(self) -> None:
        """Write what TensorBoard still holds back."""
        self.board.close()


def _write_rows(path: Path, rows: list[dict[str, float]]) -> None:
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
