"""Give lessons faces to learn from: drawn faces, or a sample of a dataset."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from facekit.lessons.parameters import ParameterError, name_parameter

if TYPE_CHECKING:
    from facekit.datasets.synthetic import Bias
    from facekit.training.tasks import Task

SPLITS = ("train", "validation", "test")  # that lessons use


def read_dataset(name: str, data_dir: str | Path, seed: int = 0) -> pd.DataFrame:
    """Read the manifest of a dataset, with errors that name the parameter `dataset` of a lesson.

    Args:
        name: A dataset of `datasets.adapters`, or a path of a `.csv` or `.parquet` table.
        data_dir: Folder that holds the datasets under their usual names.
        seed: Seed of the splits.

    Returns:
        The manifest, one row per image.

    Raises:
        ParameterError: If the dataset is missing, unknown or cannot be read.

    Example:
        >>> read_dataset("utkface", "data/raw")  # doctest: +SKIP
    """
    from facekit.datasets import adapters

    try:
        return adapters.read_dataset(name, Path(data_dir), seed)
    except (ValueError, OSError) as error:
        raise name_parameter("dataset", error) from None


def require_labels(
    manifest: pd.DataFrame,
    column: str,
    splits: tuple[str, ...] = SPLITS,
    parameter: str = "dataset",
) -> None:
    """Stop a lesson whose dataset has too few labelled faces to learn from.

    Args:
        manifest: The faces of the lesson, with the columns `split` and `column`.
        column: The column with the labels that the lesson learns.
        splits: The splits that the lesson uses, the training split first. Without any, only the
            labels of all faces are checked.
        parameter: Name of the parameter that chose the dataset.

    Raises:
        ParameterError: If a split has no labelled faces, or the training faces have fewer than two
            labels or lack a label of the other splits.

    Example:
        >>> table = pd.DataFrame({"split": ["train", "train"], "gender": ["female", "male"]})
        >>> require_labels(table, "gender", ("train",))
    """
    labelled = manifest[manifest[column].notna()]
    remedy = "Choose another dataset or a larger `count`."
    counts = labelled["split"].value_counts()
    empty = [split for split in splits if not counts.get(split)]
    if empty:
        raise ParameterError(
            f"`{parameter}` gives no faces with {column} in the split {' and '.join(empty)}. "
            f"{remedy}"
        )
    learned = labelled[labelled["split"] == splits[0]] if splits else labelled
    known = set(learned[column])
    if len(known) < 2:
        raise ParameterError(
            f"`{parameter}` must give faces with two or more labels of {column} to learn from; "
            f"it gives {len(known)}. {remedy}"
        )
    unknown = set(labelled[column]) - known if column != "age" else set()
    if unknown:
        raise ParameterError(
            f"`{parameter}` gives no training faces with {column} "
            f"{' and '.join(sorted(map(str, unknown)))}. {remedy}"
        )


def load_faces(
    task: Task,
    dataset: str,
    data_dir: str | Path,
    count: int,
    seed: int = 0,
    bias: Bias | None = None,
    parameter: str = "dataset",
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return faces for a lesson to train on: drawn on the spot, or a random sample of a dataset.

    Args:
        task: The task to learn. It determines the form of the crops.
        dataset: `synthetic`, a dataset of `datasets.adapters`, or the path of a `.parquet`
            manifest.
        data_dir: Folder that holds the datasets under their usual names, and the cache of crops.
        count: Number of faces in all splits together; 0 for all faces of a dataset.
        seed: Seed of the faces and of the sample.
        bias: Bias of the training split; none by default. In a dataset, only the rare group is
            thinned out, because the backgrounds of photos cannot be changed.
        parameter: Name of the lesson's parameter that chose the dataset, for errors.

    Returns:
        The manifest, with the splits `train`, `validation` and `test`, and for drawn faces with all
        traits as columns; and the crops, (faces, 64, 64, channels) uint8.

    Raises:
        ParameterError: If the dataset is missing, unknown, or lacks labels of the task.

    Example:
        >>> from types import SimpleNamespace
        >>> task = SimpleNamespace(name="emotion", channels=1, equalise=True)
        >>> manifest, crops = load_faces(task, "synthetic", "", count=4)
        >>> crops.shape
        (4, 64, 64, 1)
    """
    if dataset == "synthetic":
        return _draw_faces(task, count, seed, bias)
    from facekit.training.data import DataChoice, load_data

    own = Path(dataset) if str(dataset).endswith(".parquet") else None
    choice = DataChoice(Path(data_dir), (str(dataset),), own)
    try:
        manifest, crops, _ = load_data([task], choice, seed)
    except (ValueError, OSError) as error:
        raise name_parameter(parameter, error) from None
    used = manifest[manifest["split"].isin(SPLITS)]
    used = used.sample(min(count, len(used)) if count else len(used), random_state=seed)
    if bias:
        used = used[(used["split"] != "train") | bias.keep(used, seed)]
    if task.name in used:
        require_labels(used, task.name, parameter=parameter)
    return used.reset_index(drop=True), crops[used.index]


def _draw_faces(
    task: Task, count: int, seed: int, bias: Bias | None
) -> tuple[pd.DataFrame, np.ndarray]:
    from facekit.datasets.crops import CROP_SIDE
    from facekit.datasets.synthetic import FAIR, sample_splits, tabulate_traits
    from facekit.datasets.synthetic.drawing import draw_crops
    from facekit.images import equalise_crops

    faces, splits = sample_splits(count, seed, bias or FAIR)
    manifest = tabulate_traits(faces).assign(split=splits)
    crops = draw_crops(faces, CROP_SIDE, task.channels)
    manifest.insert(0, "path", [f"{number:06d}.png" for number in range(count)])  # names, not files
    return manifest, equalise_crops(crops) if task.equalise else crops
