"""Sliders over functions of other modules: the cascade, a threshold, age classes, augmentation.

Each explorer calls one function, named in its docstring, with the values of its sliders, and plots
the result. Its first figure is also stored as a picture, for pages without a kernel (`stills`).
Explorers of `facekit.fusion` are in `widgets.fusion`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ipywidgets import GridBox, Layout, interactive
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facekit.detection import MTCNN
from facekit.evaluation.figures import measure_classes, tabulate_age_classes
from facekit.evaluation.metrics import tabulate_thresholds
from facekit.plotting import (
    MARKED_COLOUR,
    PLAIN_COLOUR,
    SERIES_COLOURS,
    plot_boxes,
    plot_confusion,
    plot_pictures,
    plot_separation,
    plot_thresholds,
)
from facekit.plotting.display import encode_figure, show
from facekit.taxonomy import AGE_SCHEMES, DEFAULT_AGE_SCHEME
from facekit.training.backend import require_training
from facekit.widgets.controls import Choice, Control, Field, Slider
from facekit.widgets.stills import add_still

WITHOUT_KERNEL = "Run this cell to get the sliders."  # what a page without pictures shows
COLUMN_WIDTH = "340px"  # the least width of a slider with its name
MOST_BOXES = 300  # drawn per stage: more cannot be distinguished, and take seconds
# Lower thresholds of P-Net let thousands of candidates pass, and detection takes minutes.
LEAST_PNET = 0.2
MOST_CLASSES = 20  # of age: more cannot be read
THRESHOLDS = np.round(np.linspace(0, 1, 101), 2)
# Greatest value of each slider of augmentation: a little more than twice the default, where the
# value has no natural end.
# Without `mixed`, which needs a second face.
FURTHEST = {
    "rotation_degrees": 45, "shift": 0.3, "zoom": 0.5, "brightness": 0.5, "contrast": 0.9,
    "gamma": 2, "tint": 0.5, "grey": 1, "blur": 1, "noise": 0.3, "jpeg": 8, "hidden": 1,
}  # fmt: skip


class Explorer(interactive):
    """Controls with a figure and a sentence; in a page without a kernel, the first figure.

    Attributes:
        still: The first figure as a PNG file, and its sentence; `None` before the first figure.

    Example:
        >>> Explorer(lambda size: None, size=Slider(value=0.5))  # doctest: +SKIP
    """

    still: tuple[bytes, str] | None = None

    def _repr_mimebundle_(self, **kwargs) -> Any:
        output = super()._repr_mimebundle_(**kwargs)
        if not self.still:
            return output
        return add_still({**output, "text/plain": WITHOUT_KERNEL}, *self.still)


def explore(draw: Callable[..., tuple[Figure | Axes | None, str]], **controls: Control) -> Explorer:
    """Return controls in columns, with a figure of their values and a sentence below them.

    Args:
        draw: Function that takes the controls' values by name. It returns a figure, or `None` if
            the values allow none, and a sentence that describes it.
        **controls: The controls, by the names of the function's arguments.

    Example:
        >>> draw = lambda size: (None, f"Size {size:g}")
        >>> explore(draw, size=Slider(value=0.5))  # doctest: +SKIP
    """
    stills: list[tuple[bytes, str]] = []

    def draw_and_describe(**values) -> None:
        figure, sentence = draw(**values)
        if figure and not stills:
            stills.append((encode_figure(figure), sentence))
        if figure:
            show(figure, sentence)
        print(sentence)  # JupyterLab 4.6 does not show the text alternative of a picture

    widget = Explorer(draw_and_describe, **controls)  # draws the first figure
    widget.still = stills[0] if stills else None
    columns = f"repeat(auto-fit, minmax(min({COLUMN_WIDTH}, 100%), 1fr))"
    grid = GridBox(
        widget.kwargs_widgets, layout=Layout(grid_template_columns=columns, grid_gap="0 24px")
    )
    widget.children = (grid, widget.out)
    return widget


def explore_cascade(image: np.ndarray, min_face_size: float = 40) -> interactive:
    """Return sliders over MTCNN's options, with the candidates that each stage keeps.

    The candidates come from `MTCNN.trace`.

    Args:
        image: HxWx3 RGB uint8.
        min_face_size: First value of the smallest face size, in pixels.

    Example:
        >>> explore_cascade(facekit.read_image("party.jpg"))  # doctest: +SKIP
    """

    def draw(min_face_size: float, pnet: float, rnet: float, onet: float) -> tuple[Figure, str]:
        cascade = MTCNN(round(min_face_size), thresholds=(pnet, rnet, onet))
        proposed, refined, faces = cascade.trace(image)
        stages = {"P-Net": proposed, "R-Net": refined, "O-Net": faces.boxes_xyxy}
        figure, axes = plt.subplots(
            1, 3, figsize=(11, 11 / 3 * image.shape[0] / image.shape[1] + 0.5), layout="constrained"
        )
        for ax, (name, boxes), colour in zip(
            axes, stages.items(), (SERIES_COLOURS[3], MARKED_COLOUR, PLAIN_COLOUR), strict=True
        ):
            landmarks = faces.landmarks_xy if name == "O-Net" else None
            plot_boxes(image, boxes[:MOST_BOXES], landmarks_xy=landmarks, colour=colour, ax=ax)
            drawn = f" ({MOST_BOXES} drawn)" if len(boxes) > MOST_BOXES else ""
            ax.set_title(f"{name} keeps {len(boxes):,}{drawn}", loc="left", fontweight="bold")
        counts = ", ".join(f"{name} keeps {len(boxes):,}" for name, boxes in stages.items())
        windows = cascade.count_windows((image.shape[0], image.shape[1]))
        return figure, f"Of {windows:,} windows {counts}. {cascade}"

    sizes = Slider(
        value=min_face_size,
        min=12,
        max=max(200, min_face_size),
        step=1,
        description="smallest face",
        continuous_update=False,
    )
    stages = zip(("P-Net", "R-Net", "O-Net"), MTCNN().thresholds, (LEAST_PNET, 0, 0), strict=True)
    pnet, rnet, onet = (
        Slider(
            value=value,
            min=least,
            max=0.99,
            description=f"{name} threshold",
            continuous_update=False,
        )
        for name, value, least in stages
    )
    return explore(draw, min_face_size=sizes, pnet=pnet, rnet=rnet, onet=onet)


def explore_threshold(
    predictions: pd.DataFrame, label: str = "", threshold: float = 0.5
) -> interactive:
    """Return a slider over the decision threshold of a label, with the mistakes that it makes.

    The mistakes come from `tabulate_thresholds`.

    Args:
        predictions: A table of predictions (see `evaluation.figures`) of any attribute except age.
        label: First value of the label; by default the first class.
        threshold: First value of the threshold.

    Example:
        >>> table = pd.DataFrame({"label": ["cat", "dog"], "p_cat": [0.9, 0.2], "p_dog": [0.1, 1]})
        >>> explore_threshold(table, "cat")  # doctest: +SKIP
    """
    names = map(str, predictions.columns)
    labels = [name.removeprefix("p_") for name in names if name.startswith("p_")]

    def draw(label: str, threshold: float) -> tuple[Figure, str]:
        probabilities = predictions[f"p_{label}"].to_numpy()
        is_positive = (predictions["label"] == label).to_numpy()
        threshold = round(threshold, 2)
        table = tabulate_thresholds(probabilities, is_positive, THRESHOLDS.tolist())
        figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
        plot_separation(probabilities, is_positive, label, threshold, ax=axes[0])
        plot_thresholds(table, threshold, ax=axes[1])
        at = table.loc[threshold]
        positives = at["true_positives"] + at["false_positives"]
        return figure, (
            f"At threshold {threshold:.2f}, {positives:,.0f} faces are predicted as {label}; "
            f"{at['false_positives']:,.0f} of them are false positives, and "
            f"{at['false_negatives']:,.0f} other faces are false negatives."
        )

    choice = Choice(options=labels, value=label or labels[0], description="label")
    return explore(draw, label=choice, threshold=Slider(value=threshold, description="threshold"))


def explore_age_classes(predictions: pd.DataFrame, scheme: str = DEFAULT_AGE_SCHEME) -> interactive:
    """Return a choice of age ranges, with the accuracy in these classes.

    The accuracy comes from `tabulate_age_classes`. The predicted years stay the same.

    Args:
        predictions: A table of predictions (see `evaluation.figures`) of age.
        scheme: First value of the scheme, a key of `taxonomy.AGE_SCHEMES`.

    Example:
        >>> table = pd.read_parquet("models/age/predictions.parquet")  # doctest: +SKIP
        >>> explore_age_classes(table)  # doctest: +SKIP
    """

    def draw(scheme: str, first_years: str) -> tuple[Axes | None, str]:
        try:
            counts = tabulate_age_classes(predictions, _read_years(first_years))
        except ValueError as error:
            return None, str(error)
        shares = measure_classes(counts)
        figure = plt.figure(figsize=(6.4, 5), layout="constrained")
        ax = plot_confusion(
            counts.div(counts.sum(axis=1).clip(lower=1), axis=0), ax=figure.subplots()
        )
        accuracy = (
            f"{len(counts)} classes: accuracy {shares['right']:.0%}, "
            f"{shares['within_one']:.0%} within one class"
        )
        ax.set_title(accuracy, loc="left", fontweight="bold")
        ax.set(xlabel="predicted, years", ylabel="true, years")
        return ax, f"{accuracy}; always the most frequent class: {shares['by_guessing']:.0%}."

    years = Field(value=_write_years(scheme), description="first years", continuous_update=False)
    schemes = Choice(options=list(AGE_SCHEMES), value=scheme, description="ranges")
    schemes.observe(lambda change: years.set_trait("value", _write_years(change["new"])), "value")
    return explore(draw, scheme=schemes, first_years=years)


def _write_years(scheme: str) -> str:
    return ", ".join(map(str, AGE_SCHEMES[scheme]))


def _read_years(text: str) -> tuple[int, ...]:
    try:
        years = tuple(int(part) for part in text.replace(",", " ").split())
    except ValueError:
        raise ValueError(
            "`first years` must be the first year of each class, such as "
            f"{_write_years('stages')}; got {text}."
        ) from None
    if not 2 <= len(years) <= MOST_CLASSES:
        raise ValueError(f"`first years` must give 2 to {MOST_CLASSES} classes; got {len(years)}.")
    return years


def explore_augmentation(crop: np.ndarray, count: int = 11, **bounds: float) -> interactive:
    """Return sliders over the strength of augmentation, with examples of one changed face.

    The examples come from `preview_augmentation`.

    Args:
        crop: (side, side, channels) uint8, from `images.cut_crops`; `side` is a multiple of 8.
        count: Number of changed faces that are shown beside the original.
        **bounds: First values of fields of `training.augmentation.Augmentation`.

    Raises:
        MissingPackageError: If TensorFlow is not installed.

    Example:
        >>> crop = np.zeros((64, 64, 1), np.uint8)
        >>> explore_augmentation(crop, blur=0.0)  # doctest: +SKIP
    """
    require_training("Augmentation runs as it does in training")
    from facekit.training.augmentation import Augmentation, preview_augmentation

    def draw(seed: float, **bounds: float) -> tuple[Axes, str]:
        changed = preview_augmentation(crop, Augmentation(**bounds), count, int(seed))
        ax = plot_pictures(np.concatenate([crop[None], changed]), ["original", *[""] * count])
        return ax, f"A face and {count} augmented versions of it, as the network sees in training."

    values = asdict(Augmentation(**bounds))
    sliders = {
        name: Slider(
            value=values[name],
            max=max(furthest, values[name]),
            step=1 if furthest > 10 else 0.01,
            description=name.replace("_", " "),
        )
        for name, furthest in FURTHEST.items()
    }
    return explore(draw, **sliders, seed=Slider(max=99, step=1, description="seed"))
