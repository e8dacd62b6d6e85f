"""Fit a network: compile, callbacks, fit, return. The loop knows no attribute: what differs comes in a `Task`.

A run lives in one folder: `config.json`, `history.csv`, `best.weights.h5`, and while it runs a backup an epoch to resume from.
Turning a run into a served model is left to `export`.
"""

from __future__ import annotations

import csv
import json
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from facekit.training.augmentation import Augmentation, augment
from facekit.training.tasks import Task

BACKUP = "backup"  # folder in a run's, there only while the run is not finished


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        seed: Of the weights, the order of the images and their changes.
        epochs, batch_size: As everywhere.
        learning_rate: At the top, after `warmup_epochs`; from there it falls along half a cosine to 0.
        weight_decay: Of AdamW.
        averaging: Share of the running mean of the weights that stays at each step; the mean is what is kept.
        precision: Keras' dtype policy; `mixed_bfloat16` halves the time on processors that have it in hardware.
    """

    seed: int = 0
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 2e-3
    warmup_epochs: int = 2
    weight_decay: float = 0.02
    averaging: float = 0.998
    precision: str = "float32"


@dataclass(frozen=True, eq=False)
class LabelledCrops:
    """Network input (images, side, side, 1) float32 and labels (images,) float32."""

    crops: np.ndarray
    labels: np.ndarray

    def __post_init__(self) -> None:
        if len(self.crops) != len(self.labels):
            raise ValueError(f"`labels` must hold one a crop ({len(self.crops)}); got {len(self.labels)}.")


def make_training_batches(data: LabelledCrops, config: TrainingConfig, bounds: Augmentation) -> tf.data.Dataset:
    """Return shuffled, augmented batches of one epoch; each epoch shuffles and augments anew."""
    images = tf.data.Dataset.from_tensor_slices((data.crops, data.labels))
    images = images.shuffle(len(data.crops), seed=config.seed).batch(config.batch_size, drop_remainder=True)
    seeds = tf.data.Dataset.random(seed=config.seed, rerandomize_each_iteration=True)
    return (
        tf.data.Dataset.zip(images, seeds)
        .map(lambda batch, seed: (augment(batch[0], tf.stack([seed, 0]), bounds), batch[1]), num_parallel_calls=2)
        .prefetch(4)
    )


def train_model(
    model: keras.Model, task: Task, train: LabelledCrops, validation: LabelledCrops, config: TrainingConfig, run: Path
) -> keras.Model:
    """Fit a network and leave it with the weights of its best epoch on the validation split.

    Args:
        model: As built, under the dtype policy of `config`.
        task: Loss, metric and augmentation.
        train: What is learned from.
        validation: What chooses the epoch, and so is not fit to report; shares no group with `train`.
        config: How.
        run: Folder of the run. A backup in it, left by a run that was stopped, is gone on from.

    Returns:
        The model.

    Raises:
        ValueError: If `train` does not fill one batch.
    """
    steps = len(train.crops) // config.batch_size
    if not steps:
        raise ValueError(f"`train` must fill a batch of {config.batch_size}; got {len(train.crops)} crops. Make `batch_size` smaller.")
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(json.dumps(asdict(config) | {"task": task.name}, indent=1) + "\n")
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 100,
        warmup_target=config.learning_rate,
        warmup_steps=config.warmup_epochs * steps,
        decay_steps=max(config.epochs - config.warmup_epochs, 1) * steps,
    )
    optimizer = keras.optimizers.AdamW(
        rate, weight_decay=config.weight_decay, use_ema=True, ema_momentum=config.averaging, global_clipnorm=5.0
    )
    model.compile(optimizer, loss=task.loss, metrics=[task.metric])
    best, backup, history = run / "best.weights.h5", run / BACKUP, run / "history.csv"
    resumed = backup.exists()
    if not resumed:
        best.unlink(missing_ok=True)
    callbacks = [
        keras.callbacks.BackupAndRestore(backup),  # before the averaged weights are swapped in
        keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
        keras.callbacks.ModelCheckpoint(
            best,
            monitor="val_loss",
            save_best_only=True,
            save_weights_only=True,
            initial_value_threshold=_find_least_loss(history) if resumed else None,
        ),
        keras.callbacks.CSVLogger(history, append=resumed),
    ]
    model.fit(
        make_training_batches(train, config, task.augmentation),
        validation_data=(validation.crops, validation.labels),
        epochs=config.epochs,
        callbacks=callbacks,
        shuffle=False,  # the batches come shuffled
        verbose=2,
    )
    model.load_weights(best)
    return model


def _find_least_loss(history: Path) -> float | None:
    """Return the least validation loss of a run so far; only what is better may replace its weights."""
    with history.open(newline="") as file:
        return min((float(row["val_loss"]) for row in csv.DictReader(file)), default=None)
