"""Plot the history of a training run and its loss weights, as `training.loop` writes them."""

from __future__ import annotations

import itertools

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import MaxNLocator

from facekit.plotting.style import (
    MARKED_COLOUR,
    QUIET_COLOUR,
    SERIES_COLOURS,
    SPLIT_COLOURS,
    prepare_axes,
)

WEIGHT = "weight_"  # prefix of the columns with the loss weight of a task


def plot_history(history: pd.DataFrame, metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Plot a metric of a training run by epoch, with the epoch marked whose weights were kept.

    Where the history has a column `run`, each run is a line of its own, with its name at its start.

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
    runs = list(history.groupby("run", sort=False)) if "run" in history else [("", history)]
    for split, column in (("train", metric), ("validation", f"val_{metric}")):
        for place, (_, part) in enumerate(runs):
            label = "_" if place else split  # matplotlib leaves names with `_` out of the legend
            ax.plot(part["epoch"] + 1, part[column], color=SPLIT_COLOURS[split], label=label)
    named: dict[float, list[str]] = {}
    for name, part in runs if len(runs) > 1 else ():
        named.setdefault(part["epoch"].min() + 1, []).append(str(name))
    for start, names in named.items():
        ax.axvline(start - 0.5, color=QUIET_COLOUR, linestyle=":", linewidth=1)
        ax.annotate(
            " " + " and ".join(names),
            (start - 0.5, 1),
            xycoords=("data", "axes fraction"),
            va="top",
            fontsize="small",
            color=QUIET_COLOUR,
        )
    kept = history.iloc[
        int(history["kept"].argmax() if "kept" in history else history["val_loss"].argmin())
    ]
    ax.plot(kept["epoch"] + 1, kept[f"val_{metric}"], "o", color=MARKED_COLOUR, label="kept")
    ax.set(xlabel="epoch")
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=(1, 2, 5, 10), integer=True))
    ax.legend(frameon=False)
    return ax


def plot_loss_weights(history: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot the weight of each task's loss over a training, one line per task.

    Args:
        history: The `history.csv` of a run with several tasks, or its `weights.csv`, which has a
            column `step`. The weights are in columns `weight_TASK`.
        ax: Axes to draw on; new axes by default.

    Raises:
        ValueError: If there is no such column, or no column `epoch` or `step`.

    Example:
        >>> from matplotlib.figure import Figure
        >>> history = pd.DataFrame({"epoch": [0, 1], "weight_age": [1, 2], "weight_gender": [1, 0]})
        >>> [line.get_label() for line in plot_loss_weights(history, ax=Figure().subplots()).lines]
        ['age', 'gender']
    """
    columns = [str(name) for name in history if str(name).startswith(WEIGHT)]
    time = next((name for name in ("step", "epoch") if name in history), None)
    if not columns or time is None:
        raise ValueError(
            f"`history` must have columns {WEIGHT}TASK, and epoch or step; "
            f"got {', '.join(map(str, history)) or 'none'}. A run with several tasks writes them."
        )
    ax = prepare_axes(ax, "loss weights")
    for column, colour in zip(columns, itertools.cycle(SERIES_COLOURS), strict=False):
        ax.plot(history[time] + 1, history[column], color=colour, label=column[len(WEIGHT) :])
    ax.set(xlabel=time, ylabel="weight", ylim=(0, None))
    ax.xaxis.set_major_locator(MaxNLocator("auto", steps=(1, 2, 5, 10), integer=True))
    ax.legend(frameon=False)
    return ax
