"""Plot the inputs and the steps of `fusion`."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm

from facekit.plotting.style import (
    SERIES_COLOURS,
    prepare_axes,
)
from facekit.taxonomy import AGES_YEARS, LABELS

# The colour scale ends at this lift and at its inverse; more extreme lifts have the same colours.
LARGEST_LIFT = 4


def plot_lifts(lifts: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot how many times more often than by chance two labels occur together, as a heat map.

    The colour scale is logarithmic and centred at 1.

    Args:
        lifts: Of `fusion.FusionConstants`, with the labels as index and columns.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> lifts = pd.DataFrame([[0.5, 2.0]], ["0-2"], ["female", "male"])
        >>> [text.get_text() for text in plot_lifts(lifts, ax=Figure().subplots()).texts]
        ['0.50', '2.00']
    """
    ax = prepare_axes(ax, "Labels that occur together, as a multiple of chance")
    scale = LogNorm(1 / LARGEST_LIFT, LARGEST_LIFT, clip=True)
    ax.imshow(lifts, cmap="cividis", norm=scale, aspect="auto")
    for (row, column), lift in np.ndenumerate(lifts.to_numpy(float)):
        ax.text(
            column,
            row,
            f"{lift:.2f}",
            ha="center",
            va="center",
            color="white" if scale(lift) < 0.5 else "black",
            fontsize="small",
        )
    ax.set(
        yticks=range(len(lifts)),
        yticklabels=lifts.index,
        xticks=range(lifts.shape[1]),
        xticklabels=lifts.columns,
    )
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def plot_answers(
    attribute: str, answers: dict[str, np.ndarray], title: str = "", *, ax: Axes | None = None
) -> Axes:
    """Plot several probability distributions for one face: lines for age, bars for others.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        answers: For each name the probabilities, (classes,).
        title: Title of the plot; by default the attribute.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> answers = {"before": np.array([0.4, 0.6]), "after": np.array([0.2, 0.8])}
        >>> len(plot_answers("gender", answers, ax=Figure().subplots()).patches)
        4
    """
    ax = prepare_axes(ax, title or attribute)
    height = 0.8 / max(len(answers), 1)
    for index, ((name, answer), colour) in enumerate(
        zip(answers.items(), SERIES_COLOURS, strict=False)
    ):
        if attribute == "age":
            ax.plot(AGES_YEARS, answer, color=colour, label=name)
        else:
            ax.barh(
                np.arange(len(answer)) + (index + 0.5) * height - 0.4,
                answer,
                height,
                color=colour,
                label=name,
            )
    if attribute == "age":
        ax.set(xlabel="years", ylabel="probability")
    else:
        labels = LABELS[attribute]
        ax.set(
            yticks=range(len(labels)),
            yticklabels=labels,
            ylim=(len(labels) - 0.5, -0.5),
            xlabel="probability",
            xlim=(0, 1),
        )
        ax.tick_params(axis="y", length=0)
    if len(answers) > 1:
        ax.legend(frameon=False)
    return ax


def plot_confidence(parts: dict[str, float], *, ax: Axes | None = None) -> Axes:
    """Plot the contribution of each attribute to the confidence of one face, as a stacked bar.

    Args:
        parts: For each attribute its part, from `fusion.split_confidence`.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().subplots()
        >>> plot_confidence({"age": 0.25, "gender": 0.5}, ax=ax).get_title(loc="left")
        'confidence 0.75'
    """
    ax = prepare_axes(ax, f"confidence {sum(parts.values()):.2f}")
    end = 0.0
    for (name, part), colour in zip(parts.items(), SERIES_COLOURS, strict=False):
        ax.barh(0, part, left=end, color=colour, label=name)
        end += part
    ax.set(xlim=(0, 1), yticks=(), xlabel="contribution of each attribute")
    ax.spines["left"].set_visible(False)
    ax.legend(
        frameon=False, ncols=len(parts), loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0
    )
    return ax
