"""What lessons need around the lesson: the remedy for a missing package, faces to train on, figures that a screen reader can tell."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import io
import logging
import os
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

    from facekit.datasets.synthetic import Bias
    from facekit.training.tasks import Task

KERAS_REMARKS = (  # of Keras 3.15, on its own dealings with NumPy 2
    ("In the future `np.object` will be defined", FutureWarning),
    ("__array__ implementation doesn't accept a copy keyword", DeprecationWarning),
)
DPI = 80  # of figures in lessons: sharp enough to project, small enough to keep


class MissingPackageError(ImportError):
    """A package that a lesson needs; notebooks show the sentence alone, without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def require_training(what: str = "This lesson trains a network") -> None:
    """Stop a lesson that trains where TensorFlow is not installed, and keep TensorFlow's own
    remarks out of the others.

    Args:
        what: Needs it; how the sentence begins.

    Raises:
        MissingPackageError: With the remedy.
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingPackageError(
            f"{what}, which needs TensorFlow: run `make lab` in a clone of facekit, or open the lesson on Colab and "
            "run `%pip install 'facekit[train]'` first. Lessons 00, 02, 03 and 07 to 11 run without it."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _mute_errors():  # what TensorFlow tells of the machine before that is heeded
        importlib.import_module("keras")
    logging.getLogger("tensorflow").setLevel(
        logging.ERROR
    )  # it warns of what several small networks cost
    for message, category in KERAS_REMARKS:
        warnings.filterwarnings("ignore", message, category)


@contextlib.contextmanager
def _mute_errors() -> Iterator[None]:
    """Throw away what is written to the error stream, by C++ as well as by Python."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)


def load_faces(
    task: Task,
    dataset: str,
    data_dir: str | Path,
    count: int,
    seed: int = 0,
    bias: Bias | None = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return faces for a lesson to train on: drawn on the spot, or drawn by lot from a dataset.

    Args:
        task: What is to be learned; it tells the form of the crops.
        dataset: `synthetic`, another name of `datasets.adapters`, or the path of a manifest,
            `.parquet`.
        data_dir: Holds the datasets under their usual names, and keeps the crops that are cut.
        count: Of the faces, in all splits together; 0 for all that a dataset has.
        seed: Of the faces.
        bias: How unfair the faces to train on are; not at all by default. Of a dataset's faces the
            rare group is thinned out alone: what is behind them cannot be changed.

    Returns:
        The manifest, its splits `train`, `validation` and `test`, with all traits in columns where
        the faces are drawn; and the crops, (faces, 64, 64, channels) uint8.

    Raises:
        FileNotFoundError: If the dataset is not there.
        ValueError: If it does not label what the task learns.
    """
    from facekit.datasets.crops import CROP_SIDE
    from facekit.datasets.synthetic import FAIR, sample_splits, tabulate_traits
    from facekit.datasets.synthetic.drawing import draw_crops
    from facekit.images import equalise_crops

    if dataset != "synthetic":
        from facekit.training.course import make_course
        from facekit.training.data import DataChoice, load_data

        own = Path(dataset) if dataset.endswith(".parquet") else None
        manifest, crops, _ = load_data(
            make_course(task), DataChoice(Path(data_dir), (dataset,), own), seed
        )
        used = manifest[manifest["split"].isin(("train", "validation", "test"))]
        used = used.sample(min(count, len(used)) if count else len(used), random_state=seed)
        if bias:
            used = used[(used["split"] != "train") | bias.keep(used, seed)]
        return used.reset_index(drop=True), crops[used.index]
    faces, splits = sample_splits(count, seed, bias or FAIR)
    manifest, crops = (
        tabulate_traits(faces).assign(split=splits),
        draw_crops(faces, CROP_SIDE, task.channels),
    )
    manifest.insert(0, "path", [f"{number:06d}.png" for number in range(count)])  # names, not files
    return manifest, equalise_crops(crops) if task.equalise else crops


def show(figure: Figure | Axes, alt: str) -> None:
    """Show a figure once in a notebook, with a text in its place for those who cannot see it.

    Args:
        figure: It, or axes in it.
        alt: What is to be seen, in a sentence.
    """
    import matplotlib.pyplot as plt
    import PIL.Image
    from IPython.display import Image, display

    figure = figure if hasattr(figure, "savefig") else figure.figure
    file = io.BytesIO()
    figure.savefig(file, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    plt.close(figure)
    # A palette makes a third of the size, and on plots and small photos nobody sees it.
    small = io.BytesIO()
    PIL.Image.open(file).convert("RGB").quantize(256).save(small, "PNG", optimize=True)
    display(Image(small.getvalue(), alt=alt))
