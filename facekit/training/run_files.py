"""Write the files of a training while it runs: history, weights of the losses, best weights."""

from __future__ import annotations

import csv
import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np

from facekit.files import replace_file

STEPS_PER_ROW = 10  # of `weights.csv`


def save_weights(model: keras.Model, path: Path) -> None:
    """Write the weights whole or not at all."""
    with replace_file(path) as temporary:
        weights = temporary.with_suffix(".weights.h5")  # Keras wants this ending
        try:
            model.save_weights(weights)
            weights.replace(temporary)
        finally:
            weights.unlink(missing_ok=True)


def load_weights(model: keras.Model, path: Path) -> None:
    """Load weights of any stage of a training; the state of the optimizer need not fit."""
    with warnings.catch_warnings():
        # The weights may be of an earlier stage, whose optimizer knew fewer of them.
        warnings.filterwarnings("ignore", "Skipping variable loading for optimizer", UserWarning)
        model.load_weights(path)


class WeightFile(keras.callbacks.Callback):
    """Write the weights of the losses over the steps, and let them change after each epoch.

    Args:
        path: A csv file with one row per ten steps: `epoch` and `step`, both from 0, and
            `weight_TASK` for each task, as it is after this step. A shorter run has no such file.
        resumed: Whether earlier rows of `path` belong to this run.

    Example:
        >>> from facekit.networks.attributes import add_heads
        >>> import tempfile
        >>> network = keras.Model(x := keras.Input((2,)), add_heads(x, ("gender", "ethnicity")))
        >>> from facekit.training.loss_weighting import MultiTaskModel
        >>> file = WeightFile(Path(tempfile.mkdtemp(), "weights.csv"), resumed=False)
        >>> file.set_model(MultiTaskModel(network, "fixed"))
        >>> file.on_epoch_begin(0)
        >>> for batch in range(10):
        ...     file.on_train_batch_end(batch)
        >>> file.rows
        [{'epoch': 0, 'step': 9, 'weight_gender': 1.0, 'weight_ethnicity': 1.0}]
    """

    def __init__(self, path: Path, resumed: bool):
        super().__init__()
        self.path, self.epoch = path, 0
        self.rows = _read_rows(path) if resumed and path.exists() else []

    def on_epoch_begin(self, epoch: int, logs: dict | None = None) -> None:
        """Forget the rows of an interrupted run after its last whole epoch."""
        self.epoch = epoch
        self.rows = [row for row in self.rows if int(row["epoch"]) < epoch]

    def on_train_batch_end(self, batch: int, logs: dict | None = None) -> None:
        """Add a row after each tenth step of the run."""
        step = self.epoch * (self.params or {}).get("steps", 0) + batch
        if (step + 1) % STEPS_PER_ROW == 0:
            weights = self.model.weighting.weights
            named = {f"weight_{name}": weight for name, weight in weights.items()}
            self.rows.append({"epoch": self.epoch, "step": step, **named})

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Write the file, and change the weights if they change from epoch to epoch."""
        self.model.weighting.on_epoch_end()
        if self.rows:
            _write_rows(self.path, self.rows)


class RunFiles(keras.callbacks.Callback):
    """Write the history and the best weights after each epoch, each file whole or not at all.

    Args:
        history: A csv file with one row per epoch.
        best: The weights of the epoch with the least validation loss.
        resumed: Whether earlier rows of `history` belong to this run.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> files = RunFiles(folder / "history.csv", folder / "best.weights.h5", resumed=False)
        >>> files.set_model(keras.Sequential([keras.Input((2,)), keras.layers.Dense(1)]))
        >>> files.on_epoch_end(0, {"val_loss": 0.5})
        >>> files.least
        0.5
    """

    def __init__(self, history: Path, best: Path, resumed: bool):
        super().__init__()
        self.history_file, self.best_file = history, best
        self.rows = _read_rows(history) if resumed and history.exists() else []
        # Only a better epoch may replace the weights of an earlier one.
        self.least = min((float(row["val_loss"]) for row in self.rows), default=np.inf)

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Add a row, and save the weights if the validation loss is the least so far."""
        logs = logs or {}
        names = sorted(logs)
        self.rows.append({"epoch": epoch, **{name: float(logs[name]) for name in names}})
        _write_rows(self.history_file, self.rows)
        # Not `>=`: a loss of NaN never counts as better.
        if logs["val_loss"] < self.least or not self.best_file.exists():
            self.least = min(self.least, logs["val_loss"])
            save_weights(self.model, self.best_file)


def _read_rows(history: Path) -> list[dict[str, Any]]:
    with history.open(newline="", encoding="utf-8") as file:
        return list(csv.DictReader(file))


def _write_rows(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write a csv file whole or not at all; the last row gives the columns."""
    with (
        replace_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        writer = csv.DictWriter(file, list(rows[-1]))
        writer.writeheader()
        writer.writerows(rows)
