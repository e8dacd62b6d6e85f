"""Fit a network: compile, callbacks, fit, return. The loop knows no attribute: what differs comes
in a `Task`.

A run lives in one folder: `config.json`, `history.csv`, `best.weights.h5`, and while it runs a
    backup an epoch to resume from.
Turning a run into a served model is left to `export`.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path

import keras
import numpy as np
import tensorflow as tf

from facekit.training.augmentation import Augmentation, augment
from facekit.training.tasks import Task

VALIDATION_BATCH = 256
WARMUP = 0.1  # share of all steps over which the learning rate rises
# share of all steps that the running mean of the weights reaches back; the mean is what is kept
AVERAGING = 0.05
BACKUP = "backup"  # folder in a run's, there only while the run is not finished


@dataclass(frozen=True)
class TrainingConfig:
    """How a network is trained.

    Attributes:
        seed: Of the weights, the order of the images and their changes.
        epochs, batch_size: As everywhere.
        learning_rate: At the top, a tenth of the way; from there it falls along half a cosine to 0.
        weight_decay: Of AdamW.
        patience: Epochs without a better validation loss after which training stops.
        balance: Power of a class's rarity by which its images count more: 0 not at all, 1 so that
            all classes count alike.
        teacher_share: Of a teacher's answer in what is learned; the rest is the label.
        precision: Keras' dtype policy; `mixed_bfloat16` halves the time on processors that have it
            in hardware.
    """

    seed: int = 0
    epochs: int = 30
    batch_size: int = 64
    learning_rate: float = 2e-3
    weight_decay: float = 0.02
    patience: int = 8
    balance: float = 0.0
    teacher_share: float = 0.7
    precision: str = "float32"


@dataclass(frozen=True, eq=False)
class LabelledCrops:
    """What is learned from.

    Attributes:
        crops: (images, side, side, channels) uint8; a batch at a time is normalised, so that a
            large dataset fits in memory.
        targets: For each attribute what the network is to answer, (images, classes) float32.
        weights: How much each image counts, (images,) float32.
    """

    crops: np.ndarray
    targets: dict[str, np.ndarray]
    weights: np.ndarray

    def __post_init__(self) -> None:
        for name, values in {**self.targets, "weights": self.weights}.items():
            if len(self.crops) != len(values):
                raise ValueError(
                    f"`{name}` must hold one a crop ({len(self.crops)}); got {len(values)}."
                )

    def select(self, rows: np.ndarray) -> LabelledCrops:
        """Return the rows of a mask, (images,) bool."""
        return LabelledCrops(
            self.crops[rows],
            {name: values[rows] for name, values in self.targets.items()},
            self.weights[rows],
        )

    def batch(self, size: int) -> tf.data.Dataset:
        """Return all crops, normalised, with their targets and weights, in order."""
        return tf.data.Dataset.range(len(self.crops)).batch(size).map(self.make_gather())

    def make_gather(self) -> Callable:
        """Return a function of row numbers, for `tf.data`, to the batch they make."""
        tensors = tf.nest.map_structure(tf.constant, (self.crops, self.targets, self.weights))

        def gather(rows):
            crops, targets, weights = tf.nest.map_structure(
                lambda values: tf.gather(values, rows), tensors
            )
            return tf.cast(crops, tf.float32) / 127.5 - 1, targets, weights  # as `images.normalise`

        return gather


def make_training_batches(
    data: LabelledCrops, config: TrainingConfig, bounds: Augmentation
) -> tf.data.Dataset:
    """Return shuffled, augmented batches of one epoch; each epoch shuffles and augments anew."""
    gather = data.make_gather()

    def make_batch(rows, seed):
        crops, targets, weights = gather(rows)
        return augment(crops, tf.stack([seed, 0]), bounds), targets, weights

    order = tf.data.Dataset.range(len(data.crops)).shuffle(len(data.crops), seed=config.seed)
    seeds = tf.data.Dataset.random(seed=config.seed, rerandomize_each_iteration=True)
    batches = tf.data.Dataset.zip(order.batch(config.batch_size, drop_remainder=True), seeds)
    return batches.map(make_batch, num_parallel_calls=2).prefetch(4)


def train_model(
    model: keras.Model, tasks: Sequence[Task], train: LabelledCrops, validation: LabelledCrops, config: TrainingConfig, run: Path,
    quiet: bool = False,
) -> keras.Model:  # fmt: skip
    """Fit a network and leave it with the weights of its best epoch on the validation split.

    Args:
        model: As built, under the dtype policy of `config`, with an output named after each task.
        tasks: Loss and metric of each; the first one's augmentation.
        train: What is learned from.
        validation: What chooses the epoch, and so is not fit to report; shares no group with
            `train`.
        config: How.
        run: Folder of the run. A backup in it, left by a run that was stopped, is gone on from.
        quiet: Whether to print nothing; the history is written all the same.

    Returns:
        The model.

    Raises:
        ValueError: If `train` is empty.
    """
    if not len(train.crops):
        raise ValueError(
            "`train` must hold faces to learn from; got none. Add images, or another source."
        )
    config = replace(config, batch_size=min(config.batch_size, len(train.crops)))
    steps = len(train.crops) // config.batch_size
    run.mkdir(parents=True, exist_ok=True)
    (run / "config.json").write_text(
        json.dumps(asdict(config) | {"tasks": [task.name for task in tasks]}, indent=1) + "\n"
    )
    whole = steps * config.epochs
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 100,
        warmup_target=config.learning_rate,
        warmup_steps=round(WARMUP * whole),
        decay_steps=whole - round(WARMUP * whole),
    )
    momentum = 1 - 1 / max(AVERAGING * whole, 1)
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=config.weight_decay,
        use_ema=True,
        ema_momentum=momentum,
        global_clipnorm=5.0,
    )
    optimizer.exclude_from_weight_decay(
        var_names=["log_variance"]
    )  # of `balance`, which are no weights of the network
    metrics = {task.name: [task.metric] for task in tasks}
    if len(tasks) > 1:  # beside the loss of all together
        for task in tasks:
            metrics[task.name].append(keras.metrics.MeanMetricWrapper(task.loss, "loss"))
    model.compile(optimizer, loss={task.name: task.loss for task in tasks}, metrics=metrics)
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
        keras.callbacks.EarlyStopping("val_loss", patience=config.patience),
    ]
    model.fit(
        make_training_batches(train, config, tasks[0].augmentation),
        validation_data=validation.batch(VALIDATION_BATCH),
        epochs=config.epochs,
        callbacks=callbacks,
        shuffle=False,  # the batches come shuffled
        verbose=0 if quiet else 2,
    )
    model.load_weights(best)
    return model


def _find_least_loss(history: Path) -> float | None:
    """Return the least validation loss of a run so far; only what is better may replace its weights."""
    with history.open(newline="") as file:
        return min((float(row["val_loss"]) for row in csv.DictReader(file)), default=None)
