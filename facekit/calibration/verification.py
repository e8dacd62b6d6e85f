"""Measure embedding models on people whom they did not learn, and fit their thresholds.

Each model embeds the faces of LFW as `embedding.embed` does. The registry gets the accuracy over
ten folds and the thresholds that `embedding.verify` applies. Distances of the pairs are stored, so
that tables and curves can be drawn again without the photos; embeddings are not, because they are
biometric data.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from facekit.datasets.adapters import read_dataset
from facekit.embedding import TASK, embed
from facekit.evaluation.verification import (
    average_folds,
    find_accept_thresholds,
    make_pairs,
    measure_folds,
    measure_pairs,
)
from facekit.files import replace_file
from facekit.registry import load_index, save_entry

SOURCE = "lfw"
PAIRS_FILE = Path("embedding", "pairs.parquet")  # in the folder of models
DIGITS = 4  # of stored figures


def embed_people(
    paths: Sequence[str | Path], model: str | None = None, progress: bool = False
) -> np.ndarray:
    """Return an embedding for each photo of one face, (photos, dimensions).

    Args:
        paths: The photos.
        model: Name of a model; the default one if omitted.
        progress: Whether to show a progress bar.

    Example:
        >>> embed_people([]).shape
        (0, 128)
    """
    shown = tqdm(paths, f"embedding with {model}", disable=None if progress else True)
    vectors = [embed(path, model=model, cropped=True).vectors for path in shown]
    return np.concatenate([embed([], model=model).vectors, *vectors])


def measure_embedder(vectors: np.ndarray, people: Sequence, pairs: pd.DataFrame) -> dict:
    """Return the figures of one model, plain values for the registry.

    Args:
        vectors: (photos, dimensions).
        people: The person of each photo.
        pairs: Of `make_pairs`.

    Returns:
        `figures`, with accuracy and its 95% interval; `thresholds` and `true_accept_rates`, each by
        false-accept rate.

    Example:
        >>> people = [f"p{index // 2}" for index in range(80)]
        >>> vectors = np.repeat(np.eye(40), 2, axis=0)
        >>> measure_embedder(vectors, people, make_pairs(people, count=2))["figures"][0]["value"]
        1.0
    """
    folds = measure_folds(measure_pairs(vectors, pairs), pairs)
    value, low, high = (round(each, DIGITS) for each in average_folds(folds["accuracy"].tolist()))
    accepted = find_accept_thresholds(vectors, people)
    names = [f"{rate:g}" for rate in accepted["false_accept_rate"]]
    figure = {
        "source": SOURCE, "protocol": "ten folds of people", "figure": "accuracy",
        "count": len(pairs), "people": len(set(people)), "value": value, "low": low, "high": high,
    }  # fmt: skip
    return {
        "figures": [figure],
        **{
            key: dict(zip(names, accepted[column].round(DIGITS).tolist(), strict=True))
            for key, column in (
                ("thresholds", "threshold"),
                ("true_accept_rates", "true_accept_rate"),
            )
        },
    }


def fit_verification(
    data_dir: Path, models_dir: Path, seed: int = 0, progress: bool = True
) -> pd.DataFrame:
    """Measure all embedding models of the registry in use, and store figures and thresholds.

    Args:
        data_dir: Folder of the datasets; LFW must be among them.
        models_dir: Folder of the registry; `FACEKIT_MODELS` must name it unless it is the shipped
            one.
        seed: Seed of folds and pairs.
        progress: Whether to show progress bars.

    Returns:
        One row per pair: `fold`, `same`, and the distance for each model, under its name.

    Raises:
        FileNotFoundError: If LFW is not there.
        OSError: If a file cannot be written.

    Example:
        >>> fit_verification(Path("data/raw"), Path("models"))  # doctest: +SKIP
    """
    manifest = read_dataset(SOURCE, data_dir, seed)
    people = manifest["subject"].tolist()
    pairs = make_pairs(people, seed)
    table = pairs[["fold", "same"]].copy()
    index = load_index(models_dir)
    for entry in [each for each in index.models.values() if TASK in each.tasks]:
        vectors = embed_people(manifest["path"].tolist(), entry.name, progress)
        table[entry.name] = measure_pairs(vectors, pairs).astype(np.float32)
        metrics = {"seed": seed, **measure_embedder(vectors, people, pairs)}
        tasks = {**entry.tasks, TASK: replace(entry.tasks[TASK], metrics=metrics)}
        save_entry(replace(entry, tasks=tasks), models_dir)
    with replace_file(models_dir / PAIRS_FILE) as temporary:
        table.to_parquet(temporary, index=False, compression="zstd")
    return table


def tabulate_verification(models_dir: Path) -> pd.DataFrame:
    """Return the stored figures of the embedding models, one row per model.

    Args:
        models_dir: Folder of the registry.

    Returns:
        `model`, `pairs`, `accuracy`, `low`, `high`, and for each false-accept rate the share of
        accepted pairs of one person (`accepted at 1%`) and the threshold.

    Example:
        >>> from facekit.registry import get_models_dir
        >>> list(tabulate_verification(get_models_dir()))[:3]
        ['model', 'pairs', 'accuracy']
    """
    rows = []
    for entry in load_index(models_dir).models.values():
        metrics = entry.tasks[TASK].metrics if TASK in entry.tasks else {}
        for figure in metrics.get("figures", ()):
            row = {
                "model": entry.name, "pairs": figure["count"], "accuracy": figure["value"],
                "low": figure["low"], "high": figure["high"],
            }  # fmt: skip
            for rate, share in metrics["true_accept_rates"].items():
                row[f"accepted at {float(rate):g}"] = share
                row[f"threshold at {float(rate):g}"] = metrics["thresholds"][rate]
            rows.append(row)
    return pd.DataFrame(rows)
