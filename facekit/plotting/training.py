"""Plot the history of a training run, as `training.loop` writes it."""

from __future__ import annotations

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from facekit.plotting.style import (
    MARKED_COLOUR,
    SPLIT_COLOURS,
    prepare_axes,
)


def plot_history(history: pd.DataFrame, metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Plot a metric of a training run by epoch, with the epoch marked whose weights were kept.

    Args:
        history: The `history.csv` of a run, or from `evaluation.papers.load_history`.
        metric: A column of `history`, such as `loss` or `accuracy`. There must also be a column of
            the validation split, with the prefix `val_`.
        ax: Axes to draw on; new axes by default.

    Raises:
        ValueError: If there is no such column.

    Example:
        >>> from matplotlib.figure import Figure
        >>> history = pd.DataFrame({"epoch": [0, 1], "loss": [2, 1], "val_loss": [2, 1.5]})
        >>> [line.get_label() for line in plot_history(history, ax=Figure().subplots()).lines]
        ['train', 'validation', 'kept']
    """
    if metric not in history or f"val_{metric}" not in history:
        known = [str(name) for name in history if f"val_{name}" in history]
        raise ValueError(f"`metric` must be one of {', '.join(known)}; got {metric!r}.")
    ax = prepare_axes(ax, metric.replace("_", " "))
    for split, column in (("train", metric), ("validation", f"val_{metric}")):
        ax.plot(history["epoch"] + 1, history[column], color=SPLIT_COLOURS[split], label=split)
    kept = history.iloc[
        int(history["kept"].argmax() if "kept" in history else history["val_loss"].argmin())
    ]
    ax.plot(kept["epoch"] + 1, kept[f"val_{metric}"], "o", color=MARKED_COLOUR, label="kept")
    ax.set(xlabel="epoch")
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=(1, 2, 5, 10), integer=True))
    ax.legend(frameon=False)
    return ax
