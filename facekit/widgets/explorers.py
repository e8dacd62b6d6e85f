"""Sliders over what other modules compute: the detector's cascade, a decision's threshold, classes
of age, changes of training crops.

Each explorer is one function call, which its docstring names, and one plot, at whatever the sliders
say. Those over fusion are in `fusion`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import asdict

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from ipywidgets import GridBox, Layout, interactive
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facekit.detection import MTCNN
from facekit.evaluation.figures import measure_classes, tabulate_age_classes
from facekit.evaluation.metrics import tabulate_thresholds
from facekit.lessons import require_training, show
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
from facekit.taxonomy import AGE_SCHEMES, DEFAULT_AGE_SCHEME
from facekit.widgets.controls import Choice, Control, Field, Slider

COLUMN_WIDTH = "340px"  # of a slider with its name, at the least
MOST_BOXES = 300  # drawn a stage: more are a blot, and take seconds
LEAST_PNET = (
    0.2  # threshold; below it candidates come by the thousand, and the answer takes minutes
)
MOST_CLASSES = 20  # of age: more cannot be read
THRESHOLDS = np.round(np.linspace(0, 1, 101), 2)
# How far each slider of augmentation goes; twice the default's and a little more, where there is no
# natural end.
FURTHEST = {
    "rotation_degrees": 45, "shift": 0.3, "zoom": 0.5, "brightness": 0.5, "contrast": 0.9, "gamma": 2, "tint": 0.5, "grey": 1,
    "blur": 1, "noise": 0.3, "jpeg": 8, "hidden": 1,
}  # fmt: skip


def explore(
    draw: Callable[..., tuple[Figure | Axes | None, str]], **controls: Control
) -> interactive:
    """Return controls in as many columns as there is room for, with a figure of their values below
    them, and a sentence below that.

    Args:
        draw: Called with the controls' values by name; returns the figure, if there is one, and
            what is to be seen in it.
        **controls: By the names of its arguments.
    """

    def draw_and_tell(**values) -> None:
        figure, told = draw(**values)
        if figure:
            show(figure, told)
        print(told)  # JupyterLab 4.6 shows no text in place of a picture

    widget = interactive(draw_and_tell, **controls)
    columns = f"repeat(auto-fit, minmax(min({COLUMN_WIDTH}, 100%), 1fr))"
    grid = GridBox(
        widget.kwargs_widgets, layout=Layout(grid_template_columns=columns, grid_gap="0 24px")
    )
    widget.children = (grid, widget.out)
    return widget


def explore_cascade(image: np.ndarray, min_face_size: float = 40) -> interactive:
    """Return sliders over MTCNN's options, with what each of its stages leaves of a picture, as
    `MTCNN.trace` tells it.

    Args:
        image: HxWx3 RGB uint8.
        min_face_size: To start with, pixels.
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
            ax.set_title(f"{name} leaves {len(boxes):,}{drawn}", loc="left", fontweight="bold")
        counts = ", ".join(f"{name} leaves {len(boxes):,}" for name, boxes in stages.items())
        return figure, f"Of {cascade.count_windows(image.shape[:2]):,} windows {counts}. {cascade}"

    slow = {"continuous_update": False}
    sizes = Slider(
        value=min_face_size,
        min=12,
        max=max(200, min_face_size),
        step=1,
        description="smallest face",
        **slow,
    )
    stages = zip(("P-Net", "R-Net", "O-Net"), MTCNN().thresholds, (LEAST_PNET, 0, 0), strict=True)
    pnet, rnet, onet = (
        Slider(value=value, min=least, max=0.99, description=f"{name} threshold", **slow)
        for name, value, least in stages
    )
    return explore(draw, min_face_size=sizes, pnet=pnet, rnet=rnet, onet=onet)


def explore_threshold(
    predictions: pd.DataFrame, label: str = "", threshold: float = 0.5
) -> interactive:
    """Return a slider over the probability from which on a label is told, with the mistakes made,
    as `tabulate_thresholds` counts them.

    Args:
        predictions: A table of predictions (see `evaluation.figures`) of any attribute but age.
        label: To start with; the first class by default.
        threshold: To start with.
    """
    labels = [name.removeprefix("p_") for name in predictions if name.startswith("p_")]

    def draw(label: str, threshold: float) -> tuple[Figure, str]:
        probabilities, is_positive = (
            predictions[f"p_{label}"].to_numpy(),
            (predictions["label"] == label).to_numpy(),
        )
        threshold = round(threshold, 2)
        table = tabulate_thresholds(probabilities, is_positive, THRESHOLDS)
        figure, axes = plt.subplots(1, 2, figsize=(11, 3.4), layout="constrained")
        plot_separation(probabilities, is_positive, label, threshold, ax=axes[0])
        plot_thresholds(table, threshold, ax=axes[1])
        at = table.loc[threshold]
        told = f"From {threshold:.2f} on, {at['true_positives'] + at['false_positives']:,.0f} faces are told as {label}"
        wrong = f"{at['false_positives']:,.0f} of them are false alarms, and {at['false_negatives']:,.0f} others are missed"
        return figure, f"{told}; {wrong}."

    choice = Choice(options=labels, value=label or labels[0], description="label")
    return explore(draw, label=choice, threshold=Slider(value=threshold, description="threshold"))


def explore_age_classes(predictions: pd.DataFrame, scheme: str = DEFAULT_AGE_SCHEME) -> interactive:
    """Return a choice of age ranges, with what is right in them, as `tabulate_age_classes` counts
    it; the years told stay the same.

    Args:
        predictions: A table of predictions (see `evaluation.figures`) of age.
        scheme: Key of `taxonomy.AGE_SCHEMES`, to start with.
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
        told = f"{len(counts)} classes: {shares['right']:.0%} right, {shares['within_one']:.0%} within one class"
        ax.set_title(told, loc="left", fontweight="bold")
        ax.set(xlabel="told, years", ylabel="true, years")
        return (
            ax,
            f"{told}; who always guesses the commonest is right on {shares['by_guessing']:.0%}.",
        )

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
            f"The first year of each class, please, such as {_write_years('stages')}; got {text}."
        ) from None
    if not 2 <= len(years) <= MOST_CLASSES:
        raise ValueError(f"From 2 to {MOST_CLASSES} classes, please; got {len(years)}.")
    return years


def explore_augmentation(crop: np.ndarray, count: int = 11, **bounds: float) -> interactive:
    """Return sliders over how far training changes a face, with some such changes, as
    `preview_augmentation` makes them.

    Args:
        crop: (side, side, channels) uint8, of `images.cut_crops`; `side` is a multiple of 8.
        count: How many changes are shown beside the crop as it is.
        **bounds: Fields of `training.augmentation.Augmentation`, to start with.

    Raises:
        MissingPackageError: If TensorFlow is not installed.
    """
    require_training("Augmentation runs as it does in training")
    from facekit.training.augmentation import Augmentation, preview_augmentation

    def draw(seed: float, **bounds: float) -> tuple[Axes, str]:
        changed = preview_augmentation(crop, Augmentation(**bounds), count, int(seed))
        ax = plot_pictures(np.concatenate([crop[None], changed]), ["as it is", *[""] * count])
        return ax, f"A face as it is, and {count} times as training sees it."

    sliders = {
        name: Slider(
            value=value,
            max=max(furthest, value),
            step=1 if furthest > 10 else 0.01,
            description=name.replace("_", " "),
        )
        for (name, value), furthest in zip(
            asdict(Augmentation(**bounds)).items(), FURTHEST.values(), strict=True
        )
    }
    return explore(draw, **sliders, seed=Slider(max=99, step=1, description="seed"))
