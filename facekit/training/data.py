"""Load what a course learns from: the manifests of its datasets and the crops of their faces.

Reading and splitting datasets is left to `datasets.adapters`, cutting faces to `datasets.crops`.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.adapters import read_dataset
from facekit.datasets.catalogue import resolve_name
from facekit.datasets.crops import name_cache, prepare_crops
from facekit.datasets.manifest import BOX, load_manifest
from facekit.images import equalise_crops
from facekit.training.course import Course, make_course
from facekit.training.tasks import Task

FACE = ("path", *BOX)  # columns that say which face a row of a manifest is
SPLITS_NOTE = "splits"  # key of a loaded manifest's `attrs`: how each dataset was split


@dataclass(frozen=True)
class DataChoice:
    """Where the data of a training come from.

    Attributes:
        folder: Folder that holds the datasets under their usual names, and the crops cut from them.
        sources: Names of datasets; those of the course if empty.
        manifest: A manifest of your own, used instead of datasets.

    Example:
        >>> DataChoice(Path("data/raw"), sources=("fer2013",)).manifest is None
        True
    """

    folder: Path
    sources: tuple[str, ...] = ()
    manifest: Path | None = None


def load_data(
    course: Course | Sequence[Task], data: DataChoice, seed: int
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the faces that a course learns from and is measured on.

    Rows without any label of the course are left out; the course says whether rows that lack some
    labels are.

    Args:
        course: Says the labels, the datasets and the form of the crops. Tasks stand for the course
            of `make_course`.
        data: Where the data are.
        seed: Seed of the splits.

    Returns:
        The manifest, with protocol and seed of each dataset in `attrs["splits"]`; crops
        (faces, side, side, channels) uint8; detection scores (faces,), 0 where no face was found.

    Raises:
        FileNotFoundError: If a dataset or the manifest does not exist.
        ValueError: If a task of the course has no labels in these data.

    Example:
        >>> import tempfile
        >>> from facekit.datasets.synthetic import make_synthetic
        >>> from facekit.training.tasks import TASKS
        >>> folder = Path(tempfile.mkdtemp())
        >>> manifest = make_synthetic(folder / "synthetic", count=12, size=48)
        >>> data = DataChoice(folder, sources=("synthetic",))
        >>> manifest, crops, scores = load_data([TASKS["gender"]], data, seed=0)
        >>> crops.shape
        (12, 64, 64, 1)
    """
    course = course if isinstance(course, Course) else make_course(*course)
    if data.manifest:
        manifests = {data.manifest.stem: load_manifest(data.manifest)}
    else:
        sources = map(resolve_name, data.sources or course.sources)
        manifests = {name: read_dataset(name, data.folder, seed) for name in sources}
    cut = [cut_faces(course, each, data.folder, name) for name, each in manifests.items()]
    crops, scores = (np.concatenate(parts) for parts in zip(*cut, strict=True))
    manifest = pd.concat(manifests.values(), ignore_index=True)
    labelled = manifest[list(course.task_names)].notna()
    whole = labelled.all(axis=1) if course.missing_labels == "drop" else labelled.any(axis=1)
    usable = whole.to_numpy()
    if missing := [name for name in course.task_names if not (usable & labelled[name]).any()]:
        raise ValueError(
            f"`sources` must label {', '.join(missing)}; no face of {', '.join(manifests)} does "
            + ("together with all other labels of the course." if usable.any() else "so.")
        )
    manifest = manifest[usable].reset_index(drop=True)
    manifest.attrs = {SPLITS_NOTE: {name: dict(each.attrs) for name, each in manifests.items()}}
    return manifest, crops[usable], scores[usable]


def cut_faces(
    course: Course, manifest: pd.DataFrame, folder: Path, name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the crops of a manifest in the form that a course takes, and the detection scores.

    Args:
        course: Says the form.
        manifest: The faces.
        folder: Folder of the data, which keeps the crops.
        name: Name of the dataset, for the file that keeps its crops.

    Returns:
        Crops (faces, side, side, channels) uint8; scores (faces,).

    Example:
        >>> import tempfile
        >>> from facekit.datasets.synthetic import make_synthetic
        >>> from facekit.training.course import COURSES
        >>> folder = Path(tempfile.mkdtemp())
        >>> manifest = make_synthetic(folder / "synthetic", count=4, size=48)
        >>> crops, scores = cut_faces(COURSES["gender"], manifest, folder, "synthetic")
        >>> crops.shape, scores.shape
        ((4, 64, 64, 1), (4,))
    """
    form = course.side, course.channels, course.scale
    crops, scores = prepare_crops(manifest, name_cache(folder, name, *form), *form)
    return equalise_crops(crops) if course.equalise else crops, scores


def find_rows(manifest: pd.DataFrame, whole: pd.DataFrame) -> np.ndarray:
    """Return for each row of a manifest the row of another manifest that shows the same face.

    A photo may show several faces, so a face is known by its image and its box.

    Args:
        manifest: Rows taken from `whole`, in any order and number.
        whole: The manifest to search.

    Returns:
        (rows,) int positions in `whole`.

    Example:
        >>> boxes = {"y1": 0.0, "x2": 9.0, "y2": 9.0}
        >>> whole = pd.DataFrame({"path": ["a.jpg", "a.jpg"], "x1": [0.0, 5.0], **boxes})
        >>> find_rows(whole.iloc[[1, 1, 0]], whole)
        array([1, 1, 0])
    """
    faces = whole[list(FACE)].assign(row=range(len(whole))).drop_duplicates(list(FACE))
    return manifest[list(FACE)].merge(faces, how="left", on=list(FACE))["row"].to_numpy(int)


def check_splits(
    manifest: pd.DataFrame, tasks: Sequence[Task], splits: Sequence[str] = ("train", "validation")
) -> None:
    """Check that every split that a training needs has labels for every task.

    Args:
        manifest: A manifest with splits.
        tasks: What is learned.
        splits: The splits that are needed.

    Raises:
        ValueError: If a split has no face with a label of a task.

    Example:
        >>> from facekit.training.tasks import TASKS
        >>> alone = pd.DataFrame({"split": ["train"], "gender": ["male"]})
        >>> check_splits(alone, [TASKS["gender"]])
        Traceback (most recent call last):
        ValueError: The validation split must hold faces labelled with gender; it holds none of ...
    """
    for split in splits:
        rows = manifest[manifest["split"] == split]
        if missing := [task.name for task in tasks if not rows[task.name].notna().any()]:
            counts = ", ".join(
                f"{count} {name}" for name, count in manifest["split"].value_counts().items()
            )
            raise ValueError(
                f"The {split} split must hold faces labelled with {', '.join(missing)}; it holds "
                f"none of {len(manifest)} ({counts}). Copies of a photo and photos of one person "
                "stay in one split, so few groups leave splits empty: add images, or give a "
                "manifest with a `split` of your own."
            )
