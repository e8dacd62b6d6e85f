"""Give lessons faces to learn from: drawn faces, or a sample of a dataset.

What a reader of a dataset leaves out is printed as a note, because a warning in a notebook shows
the absolute path of the code.
"""

from __future__ import annotations

import contextlib
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

from facekit.datasets.crops import CROP_SIDE, name_cache, prepare_crops
from facekit.images import equalise_crops
from facekit.lessons.parameters import ParameterError, name_parameter

if TYPE_CHECKING:
    from facekit.datasets.synthetic import Bias
    from facekit.training.tasks import Task

SPLITS = ("train", "validation", "test")  # that lessons use
# Faces that are split for each face that a sample needs: some come into other splits.
SPARE = 2


def read_dataset(name: str, data_dir: str | Path, seed: int = 0) -> pd.DataFrame:
    """Read the manifest of a dataset, with errors that name the parameter `dataset` of a lesson.

    Args:
        name: A dataset of `datasets.catalogue`, or a path of a `.csv` or `.parquet` table.
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
        with _print_warnings(data_dir):
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
        dataset: `synthetic`, a dataset of `datasets.catalogue`, or the path of a `.parquet`
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
    return load_crops(
        task.name, dataset, data_dir, count, seed,
        channels=task.channels, equalise=task.equalise, bias=bias, parameter=parameter,
    )  # fmt: skip


def load_crops(
    attribute: str,
    dataset: str,
    data_dir: str | Path,
    count: int,
    seed: int = 0,
    *,
    side: int = CROP_SIDE,
    channels: int = 1,
    equalise: bool = False,
    bias: Bias | None = None,
    parameter: str = "dataset",
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return faces for a lesson, as `load_faces` does, with crops of any form.

    A sample is drawn before faces are compared, split and cut, so the time depends on its size and
    not on the size of the dataset. Its crops are kept in a file of their own.

    Args:
        attribute: The attribute that the lesson learns; only faces with this label are returned.
        dataset: As for `load_faces`.
        data_dir: As for `load_faces`.
        count: As for `load_faces`.
        seed: As for `load_faces`.
        side: Side of the crops, pixels.
        channels: 1 for grey, 3 for RGB.
        equalise: Whether the histograms of grey crops are equalised.
        bias: As for `load_faces`.
        parameter: As for `load_faces`.

    Returns:
        The manifest and the crops, (faces, side, side, channels) uint8, as `load_faces`.

    Raises:
        ParameterError: As `load_faces`.

    Example:
        >>> manifest, crops = load_crops("gender", "synthetic", "", count=4, side=48, channels=3)
        >>> crops.shape, set(manifest["gender"]) <= {"female", "male"}
        ((4, 48, 48, 3), True)
    """
    if dataset == "synthetic":
        manifest, crops = _draw_faces(count, seed, side, channels, bias)
        return manifest, equalise_crops(crops) if equalise else crops
    name = Path(dataset).stem + (f"-{attribute}-{count}-{seed}" if count else "")
    try:
        with _print_warnings(data_dir):
            manifest = _read_sample(attribute, str(dataset), Path(data_dir), count, seed)
            require_labels(manifest, attribute, parameter=parameter)
            if bias:
                kept = (manifest["split"] != "train") | bias.keep(manifest, seed)
                manifest = manifest[kept].reset_index(drop=True)
                require_labels(manifest, attribute, parameter=parameter)
            cache = name_cache(Path(data_dir), name, side, channels)
            crops, _ = prepare_crops(manifest, cache, side, channels)
    except ParameterError:
        raise
    except (ValueError, OSError) as error:
        raise name_parameter(parameter, error) from None
    return manifest, equalise_crops(crops) if equalise else crops


def _read_sample(
    attribute: str, dataset: str, data_dir: Path, count: int, seed: int
) -> pd.DataFrame:
    """Return at most `count` labelled faces of the splits of lessons; all for a count of 0."""
    from facekit.datasets import adapters

    manifest = adapters.read_unsplit(dataset, data_dir)
    manifest = manifest[manifest[attribute].notna()].reset_index(drop=True)
    if count:
        spare = min(SPARE * count, len(manifest))
        manifest = manifest.sample(spare, random_state=seed).reset_index(drop=True)
    if len(manifest):
        manifest = adapters.split_dataset(dataset, manifest, seed)
    manifest = manifest[manifest["split"].isin(SPLITS)]
    return manifest[: count or len(manifest)].reset_index(drop=True)


def _draw_faces(
    count: int, seed: int, side: int, channels: int, bias: Bias | None
) -> tuple[pd.DataFrame, np.ndarray]:
    from facekit.datasets.synthetic import FAIR, sample_splits, tabulate_traits
    from facekit.datasets.synthetic.drawing import draw_crops

    faces, splits = sample_splits(count, seed, bias or FAIR)
    manifest = tabulate_traits(faces).assign(split=splits)
    manifest.insert(0, "path", [f"{number:06d}.png" for number in range(count)])  # names, not files
    return manifest, draw_crops(faces, side, channels)


@contextlib.contextmanager
def _print_warnings(data_dir: str | Path) -> Iterator[None]:
    """Print the warnings of readers as notes, with paths that begin below the folder of data."""
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always", UserWarning)
        yield
    for each in caught:
        if each.category is UserWarning:
            print("Note:", str(each.message).replace(f"{Path(data_dir)}{os.sep}", ""))
        else:
            warnings.warn_explicit(each.message, each.category, each.filename, each.lineno)
