"""Measure what a protocol makes of a task: train once a fold, and keep what each network says of
the faces it did not see.

The protocols that leak are run like those that do not, so that the two figures differ by the
protocol alone.
"""

from __future__ import annotations

from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf

from facekit.datasets.adapters import read_dataset
from facekit.datasets.protocols import FOLDED, FOLDS, split_by_protocol
from facekit.evaluation.figures import PROTOCOLS_FOLDER
from facekit.images import normalise
from facekit.training.augmentation import Augmentation, augment
from facekit.training.course import DataChoice, begin_network, build_network, cut_faces
from facekit.training.export import tabulate_predictions
from facekit.training.loop import LabelledCrops, TrainingConfig, train_model
from facekit.training.tasks import TASKS, Task


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
    """Train under a protocol, a network a fold, and return all predictions for test faces.

    Args:
        task: The attribute.
        network_name: As for `command.build_network`.
        source: Name of the dataset.
        protocol: Key of `protocols.PROTOCOLS`.
        data_dir: Holds the datasets under their usual names.
        run: Folder of the run; each fold gets one in it, and a fold that is done is not done again.
        config: How each network is trained.
        start_from: A trained `.keras` model to start from, which must not have seen this dataset.
        photos: How many photos to take, drawn by the seed; all of them by default.

    Returns:
        A table of predictions with a column `fold`, as `evaluation.figures` reads it.
    """
    whole = read_dataset(source, data_dir, config.seed)
    _, _, side, channels = build_network(network_name, [task]).input_shape
    all_crops, _ = cut_faces(whole, DataChoice(data_dir), source, side, channels, task.equalise)
    positions = pd.Series(range(len(whole)), index=whole["path"])
    whole = whole[whole[task.name].notna()].assign(split=None)
    whole = (whole.sample(photos, random_state=config.seed) if photos else whole).reset_index(
        drop=True
    )
    tables = []
    for fold in range(FOLDS) if protocol in FOLDED else (None,):
        place = run / f"fold{fold or 0}"
        if (done := place / "predictions.parquet").exists():
            tables.append(pd.read_parquet(done))
            continue
        manifest = split_by_protocol(whole, protocol, config.seed, fold)
        crops = all_crops[positions[manifest["path"]]]
        if protocol == "augment_then_split":
            crops = _change_copies(crops, task.augmentation, config.seed)
        keras.utils.set_random_seed(config.seed)
        network = begin_network(network_name, [task], start_from)
        labelled = LabelledCrops(
            crops, {task.name: task.encode(manifest)}, np.ones(len(crops), np.float32)
        )
        train, validation, test = (
            (manifest["split"] == name).to_numpy() for name in ("train", "validation", "test")
        )
        train_model(
            network, [task], labelled.select(train), labelled.select(validation), config, place
        )
        answers = network.predict(normalise(crops[test]), verbose=0)[task.name]
        tables.append(
            tabulate_predictions(task, manifest[test].assign(copied=False), answers).assign(
                fold=fold or 0
            )
        )
        tables[-1].to_parquet(done, index=False)
    return pd.concat(tables, ignore_index=True)


def _change_copies(crops: np.ndarray, bounds: Augmentation, seed: int) -> np.ndarray:
    """Change each crop once and for all, as those do who augment a dataset before they split it."""
    parts = [
        augment(
            tf.constant(normalise(crops[start : start + 256])), tf.constant([seed, start]), bounds
        ).numpy()
        for start in range(0, len(crops), 256)
    ]
    return np.clip(np.round((np.concatenate(parts) + 1) * 127.5), 0, 255).astype(np.uint8)


def run_protocol(
    task_name: str, network_name: str, source: str, protocol: str, data_dir: Path, models_dir: Path, run: Path, start_from: Path | None,
    photos: int | None, **options,
) -> Path:  # fmt: skip
    """Cross-validate, and keep the predictions beside the task's model.

    Returns:
        The table's file, whose name tells the dataset and the protocol.
    """
    config = TrainingConfig(**options)
    keras.mixed_precision.set_dtype_policy(config.precision)
    table = cross_validate(
        TASKS[task_name], network_name, source, protocol, data_dir, run, config, start_from, photos
    )
    path = models_dir / task_name / PROTOCOLS_FOLDER / f"{source}-{protocol}.parquet"
    path.parent.mkdir(parents=True, exist_ok=True)
    table.to_parquet(path, index=False, compression="zstd")
    return path
