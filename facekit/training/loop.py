"""Fit a network: compile, callbacks, fit, return. The loop knows no attribute.

What differs between attributes comes in a `Course`. A run has one folder with `config.json`,
`history.csv` and `best.weights.h5`, and with several tasks `weights.csv`, the weights of their
losses over the steps; while it runs, also a backup after each epoch, from which an interrupted run
can resume. `export` turns a run into a served model.
"""

from __future__ import annotations

import functools
import json
import shutil
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from facekit.files import write_text
from facekit.training.augmentation import Augmentation, augment, mix
from facekit.training.course import Course, make_course
from facekit.training.loss_weighting import (
    LEARNED_NAME,
    LabelledMean,
    MultiTaskModel,
    measure_labelled,
)
from facekit.training.run_files import RunFiles, WeightFile, load_weights, save_weights
from facekit.training.tasks import Task
from facekit.training.transfer import Stage, open_layers, plan_stages

VALIDATION_BATCH = 256
WARMUP = 0.1  # share of all steps over which the learning rate rises
# The served weights are a running mean over training steps, which reaches back over this share of
# all steps.
AVERAGING = 0.05
# From changed crops and targets to what the network learns from.
Finish = Callable[[tf.Tensor, dict[str, tf.Tensor]], tuple[tf.Tensor, dict[str, tf.Tensor]]]
BACKUP = "backup"  # folder in a run's folder, there only until the run has finished
# Share of the epochs that a search for loss weights gives to each of its trainings: the ten of
# three tasks take as long as one more training.
SEARCH_SHARE = 0.1


@dataclass(frozen=True)
class TrainingConfig:
    """Settings of a training.

    Attributes:
        seed: Seed of the weights, of the order of the images and of their augmentation.
        epochs: Passes over the training images, at most.
        batch_size: Images in a step.
        learning_rate: The highest one, reached after a tenth of all steps; it then falls along
            half a cosine to 0.
        weight_decay: Weight decay of AdamW.
        patience: Training stops after this number of epochs without a better validation loss.
        balance: Power of a class's rarity by which its images count more: with 0 all images count
            the same, with 1 all classes do.
        teacher_share: Share of a teacher's prediction in the target; the rest is the label.
        precision: Keras' dtype policy; `mixed_bfloat16` halves the time on processors that
            support it.

    Example:
        >>> TrainingConfig(epochs=3).batch_size
        64
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
    """Crops with their targets.

    Attributes:
        crops: (images, side, side, channels) uint8; they are normalised batch by batch, so that a
            large dataset fits in memory.
        targets: For each task target distributions, (images, classes) float32; NaN rows have no
            label.
        weights: How much each image counts, (images,) float32, or such an array for each task.

    Raises:
        ValueError: If an array has another number of images.

    Example:
        >>> crops = np.zeros((2, 8, 8, 1), np.uint8)
        >>> data = LabelledCrops(crops, {"gender": np.eye(2)}, np.ones(2))
        >>> len(data.select(np.array([True, False])).crops)
        1
    """

    crops: np.ndarray
    targets: dict[str, np.ndarray]
    weights: np.ndarray | dict[str, np.ndarray]

    def __post_init__(self) -> None:
        weights = self.weights if isinstance(self.weights, dict) else {"weights": self.weights}
        for arrays in (self.targets, weights):
            for name, values in arrays.items():
                if len(self.crops) != len(values):
                    raise ValueError(
                        f"`{name}` must have one row per crop ({len(self.crops)}); "
                        f"got {len(values)}."
                    )

    def select(self, rows: np.ndarray) -> LabelledCrops:
        """Return the images of a mask, (images,) bool."""

        def take(arrays):
            if isinstance(arrays, dict):
                return {name: values[rows] for name, values in arrays.items()}
            return arrays[rows]

        return LabelledCrops(take(self.crops), take(self.targets), take(self.weights))

    def batch(self, size: int) -> tf.data.Dataset:
        """Return batches of normalised crops, targets and weights, in order."""
        return tf.data.Dataset.range(len(self.crops)).batch(size).map(self.make_gather())

    def make_gather(self) -> Callable:
        """Return a function for `tf.data` from row numbers to the batch of these rows."""
        tensors = tf.nest.map_structure(tf.constant, (self.crops, self.targets, self.weights))

        def gather(rows):
            crops, targets, weights = tf.nest.map_structure(
                lambda values: tf.gather(values, rows), tensors
            )
            return tf.cast(crops, tf.float32) / 127.5 - 1, targets, weights  # as `images.normalise`

        return gather


def make_training_batches(
    data: LabelledCrops, config: TrainingConfig, bounds: Augmentation, finish: Finish | None = None
) -> tf.data.Dataset:
    """Return shuffled, augmented batches of one epoch; each epoch shuffles and augments anew.

    Args:
        data: The training images.
        config: Says the seed and the batch size. Images that do not fill a batch are left out of
            this epoch.
        bounds: How far crops are changed.
        finish: Turns the changed crops and their targets into what the network learns from.

    Example:
        >>> make_training_batches(...)  # see notebooks/10_emotion.ipynb  # doctest: +SKIP
    """
    gather = data.make_gather()

    def make_batch(rows, seed):
        crops, targets, weights = gather(rows)
        batch = augment(crops, tf.stack([seed, 0]), bounds), targets, weights
        batch = mix(batch, tf.stack([seed, 1]), bounds.mixed) if bounds.mixed else batch
        return (*finish(*batch[:2]), batch[2]) if finish else batch

    order = tf.data.Dataset.range(len(data.crops)).shuffle(len(data.crops), seed=config.seed)
    seeds = tf.data.Dataset.random(seed=config.seed, rerandomize_each_iteration=True)
    batches = tf.data.Dataset.zip(order.batch(config.batch_size, drop_remainder=True), seeds)
    return batches.map(make_batch, num_parallel_calls=2).prefetch(4)


def train_model(
    model: keras.Model,
    course: Course | Sequence[Task],
    train: LabelledCrops,
    validation: LabelledCrops,
    config: TrainingConfig,
    run: Path,
    quiet: bool = False,
    notes: Mapping[str, Any] | None = None,
    finish: Finish | None = None,
) -> keras.Model:
    """Fit a network and leave it with the weights of its best epoch on the validation split.

    Args:
        model: A new model under the dtype policy of `config`, with an output for each task. A
            model of several tasks is a `loss_weighting.MultiTaskModel`; the weighting `search`
            finds the weights of the losses first, and leaves the table of all tries in `run`.
        course: Says the tasks, the augmentation and the transfer. Tasks stand for the course of
            `make_course`.
        train: The images to learn from.
        validation: The images that choose the epoch. They must share no group with `train`, and
            their figures are too good to report.
        config: The settings.
        run: Folder of the run. If it holds a backup of an interrupted run, training resumes, in
            the stage of its transfer that was interrupted.
        quiet: Whether to print nothing; the history is written all the same.
        notes: Further entries of `config.json`, plain values.
        finish: As for `make_training_batches`, such as a teacher that sees the changed crops.

    Returns:
        The model.

    Raises:
        ValueError: If `train` or `validation` is empty, or if `run` holds a backup of a run with
            other settings.
        OSError: If a file of the run cannot be written.

    Example:
        >>> train_model(...)  # see notebooks/10_emotion.ipynb  # doctest: +SKIP
    """
    for name, data, use in (
        ("train", train, "to learn from"),
        ("validation", validation, "to choose the epoch by"),
    ):
        if not len(data.crops):
            raise ValueError(
                f"`{name}` must hold faces {use}; got none. Add images: photos of one group stay "
                "in one split, so ten groups or more are needed."
            )
    course = course if isinstance(course, Course) else make_course(*course)
    config = replace(config, batch_size=min(config.batch_size, len(train.crops)))
    steps = len(train.crops) // config.batch_size
    best, history = run / "best.weights.h5", run / "history.csv"
    resumed = (run / BACKUP).exists()
    notes = dict(notes or {})
    files: list[keras.callbacks.Callback] = [RunFiles(history, best, resumed)]
    if isinstance(model, MultiTaskModel):
        try_weights = functools.partial(
            _try_weights, model, course, train, validation, config, quiet
        )
        notes |= model.weighting.prepare(try_weights, run, resumed)
        files.append(WeightFile(run / "weights.csv", resumed))
    _save_config(course, config, run / "config.json", resumed, notes)
    if not resumed:
        best.unlink(missing_ok=True)
    batches = make_training_batches(train, config, course.augmentation, finish)
    stages = plan_stages(course.transfer, config.epochs)
    begun = [stage for stage in stages[1:] if _name_start(run, stage).exists()]
    for stage in stages[stages.index(begun[-1]) :] if begun else stages:
        start = _name_start(run, stage)
        if start.exists():
            load_weights(model, start)
        elif stage is not stages[0]:
            save_weights(model, start)
        open_layers(model, course.task_names, stage.open_parts)
        model.compile(
            _make_optimizer(config, steps * stage.epochs),
            loss={task.name: task.loss for task in course.tasks},
            metrics=_make_metrics(course),
        )
        model._initial_epoch = 0  # a restored backup of an earlier stage leaves its epoch there
        last = stage is stages[-1]
        model.fit(
            batches,
            validation_data=validation.batch(VALIDATION_BATCH),
            initial_epoch=stage.first_epoch,
            epochs=stage.end_epoch,
            callbacks=[
                *files[1:],
                # Before the averaged weights are swapped.
                keras.callbacks.BackupAndRestore(start.parent, delete_checkpoint=False),
                keras.callbacks.SwapEMAWeights(swap_on_epoch=True),
                files[0],
                *([keras.callbacks.EarlyStopping("val_loss", patience=config.patience)] * last),
            ],
            shuffle=False,  # the batches are shuffled already
            verbose=0 if quiet else 2,
        )
    open_layers(model, course.task_names)
    load_weights(model, best)
    shutil.rmtree(run / BACKUP)
    return model


def _name_start(run: Path, stage: Stage) -> Path:
    """Return the file of the weights that a later stage starts from, beside the stage's backup."""
    own = f"epoch-{stage.first_epoch}" if stage.first_epoch else ""
    return run / BACKUP / own / "start.weights.h5"


def _try_weights(
    model: MultiTaskModel,
    course: Course,
    train: LabelledCrops,
    validation: LabelledCrops,
    config: TrainingConfig,
    quiet: bool,
    weights: dict[str, float],
    run: Path,
) -> dict[str, float]:
    """Train briefly with fixed loss weights, and leave the network as it was.

    Returns:
        Each task's loss on the validation split as a share of that of the best constant guess,
        which answers the mean target of the training images; NaN for a task without a label.
    """
    state = [np.asarray(variable) for variable in model.variables]
    trial = MultiTaskModel(model, "fixed", weights)
    short = replace(config, epochs=max(1, round(SEARCH_SHARE * config.epochs)))
    train_model(trial, course, train, validation, short, run, quiet)
    figures = trial.evaluate(validation.batch(VALIDATION_BATCH), verbose=0, return_dict=True)
    for variable, values in zip(model.variables, state, strict=True):
        variable.assign(values)
    relative = {}
    for task in course.tasks:
        targets = validation.targets[task.name]
        guess = np.nanmean(train.targets[task.name], axis=0)
        losses, labelled = measure_labelled(task.loss, targets, np.tile(guess, (len(targets), 1)))
        known = np.asarray(labelled, bool)
        of_guess = np.asarray(losses)[known].mean() if known.any() else np.nan
        relative[task.name] = float(figures[f"{task.name}_loss"] / of_guess)
    return relative


def _save_config(
    course: Course, config: TrainingConfig, path: Path, resumed: bool, notes: Mapping[str, Any]
) -> None:
    settings = asdict(config) | {
        "tasks": list(course.task_names),
        "course": course.describe(),
        **notes,
    }
    settings = json.loads(json.dumps(settings))  # as a file gives them back
    if resumed and path.exists():
        earlier = json.loads(path.read_text(encoding="utf-8"))
        differing = sorted(
            name for name in earlier.keys() | settings.keys()
            if earlier.get(name) != settings.get(name)
        )  # fmt: skip
        if differing:
            raise ValueError(
                f"{path.parent}: holds an interrupted run with other settings "
                f"({', '.join(differing)}). Resume it with its own settings, which config.json "
                "lists, or choose another folder."
            )
    write_text(path, json.dumps(settings, indent=1) + "\n")


def _make_optimizer(config: TrainingConfig, whole: int) -> keras.optimizers.Optimizer:
    """Return AdamW with warm-up, cosine decay and averaged weights, for a number of steps."""
    rate = keras.optimizers.schedules.CosineDecay(
        initial_learning_rate=config.learning_rate / 100,
        warmup_target=config.learning_rate,
        warmup_steps=round(WARMUP * whole),
        decay_steps=whole - round(WARMUP * whole),
    )
    optimizer = keras.optimizers.AdamW(
        rate,
        weight_decay=config.weight_decay,
        use_ema=True,
        ema_momentum=1 - 1 / max(AVERAGING * whole, 1),
        global_clipnorm=5.0,
    )
    # The weights of the losses are no weights of the network.
    optimizer.exclude_from_weight_decay(var_names=[LEARNED_NAME])
    return optimizer


def _make_metrics(course: Course) -> dict[str, list]:
    """Return each task's metric, and its loss if there are several tasks."""
    return {
        task.name: [
            LabelledMean(task.metric, task.metric.__name__),
            # The history's own `loss` is the one of all tasks together.
            *([LabelledMean(task.loss, "loss")] if len(course.tasks) > 1 else ()),
        ]
        for task in course.tasks
    }
