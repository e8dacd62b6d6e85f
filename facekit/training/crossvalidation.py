"""Measure a task under a protocol: train once per fold and keep the predictions for test faces.

Protocols that leak run in the same way as those that do not, so that two figures differ by the
protocol alone.
"""

from __future__ import annotations

import json
import warnings
from dataclasses import asdict
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from facekit.datasets.adapters import read_dataset
from facekit.datasets.catalogue import resolve_name
from facekit.datasets.protocols import FOLDED, FOLDS, find_copied, split_by_protocol
from facekit.evaluation.figures import PROTOCOLS_FOLDER
from facekit.files import replace_file, write_text
from facekit.images import normalise
from facekit.registry import get_models_dir
from facekit.training.augmentation import Augmentation, augment
from facekit.training.course import Course, begin_network, choose_network, make_course
from facekit.training.data import cut_faces, find_rows
from facekit.training.export import tabulate_predictions
from facekit.training.loop import LabelledCrops, TrainingConfig, train_model
from facekit.training.tasks import TASKS, Task

SETTINGS = "settings.json"  # in a run's folder, so that folds of other settings are not mixed in
CHANGED_BATCH = 256  # crops changed at once


def cross_validate(
    task: Task,
    network_name: str,
    source: str,
    protocol: str,
    data_dir: Path,
    run: Path,
    config: TrainingConfig,
    start_from: Path | None,
    photos: int | None,
) -> pd.DataFrame:
    """Train one network per fold of a protocol and return all predictions for test faces.

    Args:
        task: The attribute.
        network_name: One of `course.NETWORKS`.
        source: Name of the dataset.
        protocol: Key of `protocols.PROTOCOLS`.
        data_dir: Folder that holds the datasets under their usual names.
        run: Folder of the run, with a folder for each fold. A finished fold is not trained again.
        config: The settings of each training.
        start_from: A trained `.keras` model to start from, which must not have seen this dataset.
        photos: Number of photos to use, drawn at random with the seed; all by default.

    Returns:
        A table of predictions with a column `fold`, as `evaluation.figures` reads it.

    Raises:
        FileNotFoundError: If the dataset or the model to start from does not exist.
        ValueError: If the dataset does not fit the task, the protocol or `photos`, if a fold has
            no validation faces, or if `run` holds folds that were trained in another way.

    Example:
        >>> cross_validate(...)  # see tests/training/test_crossvalidation.py  # doctest: +SKIP
    """
    course = choose_network(make_course(task, sources=(source,)), network_name)
    official = protocol == "official"  # the dataset's own split, which reading completes
    whole = read_dataset(source, data_dir, config.seed, protocol if official else None)
    labelled = whole[whole[task.name].notna()]
    if not official:
        labelled = labelled.assign(split=None)
    if labelled.empty:
        raise ValueError(f"`source` must label {task.name}; {source} does not.")
    labelled = _draw_photos(labelled, photos, config.seed).reset_index(drop=True)
    _check_settings(
        run / SETTINGS,
        {
            "course": course.describe(), "protocol": protocol, "photos": photos,
            "start_from": str(start_from) if start_from else None, **asdict(config),
        },
    )  # fmt: skip
    all_crops, _ = cut_faces(course, whole, data_dir, resolve_name(source))
    tables = []
    for fold in range(FOLDS) if protocol in FOLDED else (None,):
        place = run / f"fold{fold or 0}"
        if (done := place / "predictions.parquet").exists():
            tables.append(pd.read_parquet(done))
            continue
        manifest = (
            labelled if official else split_by_protocol(labelled, protocol, config.seed, fold)
        )
        crops = all_crops[find_rows(manifest, whole)]
        if protocol == "augment_then_split":
            crops = _change_copies(crops, course.augmentation, config.seed)
        table = _train_fold(course, manifest, crops, config, place, start_from)
        tables.append(table.assign(fold=fold or 0))
        with replace_file(done) as temporary:
            tables[-1].to_parquet(temporary, index=False)
    return pd.concat(tables, ignore_index=True)


def _draw_photos(manifest: pd.DataFrame, photos: int | None, seed: int) -> pd.DataFrame:
    """Return the rows of some photos, each with all its faces."""
    if photos is None:
        return manifest
    paths = manifest["path"].drop_duplicates()
    if photos > len(paths):
        raise ValueError(
            f"`photos` must be at most {len(paths)}, the photos there are; got {photos}."
        )
    drawn = paths.sample(photos, random_state=seed)
    return drawn.to_frame().merge(manifest, on="path")[list(manifest)]


def _check_settings(path: Path, settings: dict[str, Any]) -> None:
    settings = json.loads(json.dumps(settings))  # as a file gives them back
    if path.exists() and (earlier := json.loads(path.read_text(encoding="utf-8"))) != settings:
        differing = sorted(
            name for name in earlier.keys() | settings.keys()
            if earlier.get(name) != settings.get(name)
        )  # fmt: skip
        raise ValueError(
            f"{path.parent}: holds folds with other settings ({', '.join(differing)}). Choose "
            "another folder with --run, or remove this one."
        )
    write_text(path, json.dumps(settings, indent=1) + "\n")


def _train_fold(
    course: Course,
    manifest: pd.DataFrame,
    crops: np.ndarray,
    config: TrainingConfig,
    place: Path,
    start_from: Path | None,
) -> pd.DataFrame:
    """Train on one split and return the predictions for its test faces."""
    (task,) = course.tasks
    keras.utils.set_random_seed(config.seed)
    network = begin_network(course, (start_from,) if start_from else ())
    data = LabelledCrops(crops, {task.name: task.encode(manifest)}, np.ones(len(crops), np.float32))
    train, validation, test = (
        (manifest["split"] == name).to_numpy() for name in ("train", "validation", "test")
    )
    train_model(network, course, data.select(train), data.select(validation), config, place)
    answers = network.predict(normalise(crops[test]), verbose=0)[task.name]
    tested = manifest.assign(copied=find_copied(manifest))[test]
    return tabulate_predictions(task, tested, answers)


def _change_copies(crops: np.ndarray, bounds: Augmentation, seed: int) -> np.ndarray:
    """Augment each crop once, as people do who augment a dataset before they split it."""
    parts = []
    for start in range(0, len(crops), CHANGED_BATCH):
        batch = tf.constant(normalise(crops[start : start + CHANGED_BATCH]))
        parts.append(augment(batch, tf.constant([seed, start]), bounds).numpy())
    return np.clip(np.round((np.concatenate(parts) + 1) * 127.5), 0, 255).astype(np.uint8)


def run_protocol(
    task_name: str,
    network_name: str,
    source: str,
    protocol: str,
    data_dir: Path,
    models_dir: Path | None,
    run: Path,
    start_from: Path | None,
    photos: int | None,
    **options: Any,
) -> Path:
    """Cross-validate a task and keep the predictions beside the task's model.

    Args:
        task_name: Key of `tasks.TASKS`.
        network_name: As for `cross_validate`, like the arguments not listed here.
        source: Name of the dataset.
        protocol: Key of `protocols.PROTOCOLS`.
        data_dir: Folder that holds the datasets.
        models_dir: Folder of the registry. By default it is the one in use, but if that has such
            a table already, a warning says so and the folder of the run gets the new one.
        run: Folder of the run.
        start_from: A model to start from.
        photos: Number of photos to use.
        **options: Fields of `TrainingConfig`.

    Returns:
        The file of the predictions, named after dataset and protocol.

    Example:
        >>> run_protocol(...)  # see tests/training/test_crossvalidation.py  # doctest: +SKIP
    """
    name = Path(resolve_name(source)).stem
    place = Path(task_name, PROTOCOLS_FOLDER, f"{name}-{protocol}.parquet")
    if models_dir is None and (get_models_dir() / place).exists():
        warnings.warn(
            f"{get_models_dir() / place} exists and is kept; the new predictions go to "
            f"{run / place}. Name a folder with --models to replace it.",
            stacklevel=2,
        )
        models_dir = run
    path = (models_dir or get_models_dir()) / place
    config = TrainingConfig(**options)
    keras.mixed_precision.set_dtype_policy(config.precision)
    table = cross_validate(
        TASKS[task_name], network_name, source, protocol, data_dir, run, config, start_from, photos
    )
    with replace_file(path) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")
    return path
