"""Draw boxes into a picture, lay out the levels of an image pyramid, and compare detectors."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.patches import Rectangle

from facekit.plotting.style import (
    MARKED_COLOUR,
    SERIES_COLOURS,
)

DODGE = 0.12  # between the marks of two detectors, in groups


def plot_boxes(
    image: np.ndarray,
    boxes_xyxy: np.ndarray,
    labels: Sequence[str] = (),
    landmarks_xy: np.ndarray | None = None,
    colour: str | Sequence[str] = MARKED_COLOUR,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Draw boxes into a picture.

    Args:
        image: HxWx3 RGB uint8, or HxW grey.
        boxes_xyxy: Boxes in pixels of the picture, (boxes, 4).
        labels: One label per box, or none.
        landmarks_xy: Points in pixels, (boxes, points, 2), drawn as dots; NaN where unknown.
        colour: One colour for all boxes, or one per box.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> image, boxes = np.zeros((9, 9, 3), np.uint8), np.array([[1, 2, 5, 6]])
        >>> len(plot_boxes(image, boxes, ax=Figure().subplots()).patches)
        1
    """
    height, width = image.shape[:2]
    ax = ax or plt.subplots(figsize=(5.5, 5.5 * height / width), layout="constrained")[1]
    ax.imshow(image, cmap="gray", vmin=0, vmax=255)
    ax.set(xlim=(-0.5, width - 0.5), ylim=(height - 0.5, -0.5))
    ax.axis("off")
    colours = [colour] * len(boxes_xyxy) if isinstance(colour, str) else colour
    for index, ((left, top, right, bottom), each) in enumerate(
        zip(boxes_xyxy, colours, strict=True)
    ):
        ax.add_patch(
            Rectangle(
                (left, top), right - left, bottom - top, fill=False, linewidth=1.8, edgecolor=each
            )
        )
        if labels:
            box = {"facecolor": "white", "edgecolor": "none", "alpha": 0.85, "pad": 1.5}
            ax.text(
                left,
                top,
                labels[index],
                color="black",
                fontsize=9,
                va="bottom",
                clip_on=True,
                bbox=box,
            )
        if landmarks_xy is not None:
            ax.plot(
                *landmarks_xy[index].T,
                "o",
                markersize=4,
                color=each,
                markeredgecolor="white",
                markeredgewidth=0.6,
            )
    return ax


def plot_levels(
    levels: Sequence[np.ndarray], titles: Sequence[str] = (), *, ax: Axes | None = None
) -> Axes:
    """Lay out pictures or maps of several sizes beside each other, at the same scale.

    Args:
        levels: Pictures, (height, width, 3) uint8, or maps of probabilities, (height, width). Maps
            get a colour bar.
        titles: One title per level, drawn below it, or none.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> levels = [np.zeros((6, 8, 3), np.uint8), np.zeros((3, 4, 3), np.uint8)]
        >>> len(plot_levels(levels, ax=Figure().subplots()).images)
        2
    """
    gap = max((level.shape[1] for level in levels), default=0) / 12
    width, height = (
        sum(level.shape[1] + gap for level in levels),
        max((level.shape[0] for level in levels), default=0),
    )
    ax = (
        ax
        or plt.subplots(
            figsize=(11, min(1 + 11 * height / max(width, 1), 6)), layout="constrained"
        )[1]
    )
    ax.set(aspect="equal")
    ax.axis("off")
    left, mapped = 0.0, None
    for index, level in enumerate(levels):
        rows, columns = level.shape[:2]
        drawn = ax.imshow(
            level,
            cmap="cividis",
            vmin=0,
            vmax=1,
            extent=(left, left + columns, rows, 0),
            interpolation="nearest",
        )
        mapped = drawn if level.ndim == 2 else mapped
        if titles:
            ax.text(
                left + columns / 2,
                rows + gap / 4,
                titles[index],
                ha="center",
                va="top",
                fontsize=10,
            )
        left += columns + gap
    ax.set(xlim=(0, max(left - gap, 1)), ylim=(max(height + gap, 1), 0))
    if mapped is not None:
        ax.figure.colorbar(mapped, ax=ax, label="probability", shrink=0.8)
    return ax


def plot_recall(
    tables: Mapping[str, pd.DataFrame], title: str = "", *, ax: Axes | None = None
) -> Axes:
    """Plot the recall of detectors in groups of faces, with intervals.

    Args:
        tables: By the name of each detector, from `evaluation.crowds.tabulate_recall`, all with the
            same groups.
        title: What the groups are, such as "height of the face, pixels".
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> figures = {"recall": [0.5], "low": [0.4], "high": [0.7], "count": [9]}
        >>> table = pd.DataFrame(figures, index=["20 and more"])
        >>> plot_recall({"mtcnn": table}, ax=Figure().subplots()).get_ylabel()
        'recall'
    """
    ax = ax or plt.subplots(figsize=(6.5, 4), layout="constrained")[1]
    for index, (name, table) in enumerate(tables.items()):
        places = np.arange(len(table)) + DODGE * (index - (len(tables) - 1) / 2)
        reach = np.abs(table[["low", "high"]].to_numpy().T - table["recall"].to_numpy())
        ax.errorbar(
            places,
            table["recall"],
            reach,
            fmt="o",
            capsize=3,
            color=SERIES_COLOURS[index % len(SERIES_COLOURS)],
            label=name,
        )
    if tables:
        first = next(iter(tables.values()))
        names = [f"{group}\n{count} faces" for group, count in first["count"].items()]
        ax.set_xticks(range(len(first)), names)
        ax.legend(frameon=False)
    ax.set(xlabel=title, ylabel="recall", ylim=(0, 1.02))
    return ax


def plot_precision(curves: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Plot the precision-recall curves of detectors. Each ends at the detector's threshold.

    Args:
        curves: By the name of each detector, from `evaluation.crowds.trace_precision`.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> curve = pd.DataFrame({"recall": [0.5, 1.0], "precision": [1.0, 0.7]})
        >>> len(plot_precision({"mtcnn": curve}, ax=Figure().subplots()).lines)
        1
    """
    ax = ax or plt.subplots(figsize=(5, 4), layout="constrained")[1]
    for index, (name, curve) in enumerate(curves.items()):
        colour = SERIES_COLOURS[index % len(SERIES_COLOURS)]
        ax.plot(curve["recall"], curve["precision"], color=colour, label=name)
    if curves:
        ax.legend(frameon=False)
    ax.set(xlabel="recall", ylabel="precision", xlim=(0, 1.02), ylim=(0, 1.02))
    return ax
