"""Plot figures of predictions, as `evaluation.metrics` and `evaluation.figures` compute them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from matplotlib.axes import Axes

from facekit.plotting.style import (
    MARKED_COLOUR,
    QUIET_COLOUR,
    SERIES_COLOURS,
    SHADE_COLOUR,
    prepare_axes,
)


def plot_confusion(shares: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot a confusion matrix as a heat map.

    Args:
        shares: One row per true label, one column per predicted label; each row sums to 1.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> shares = pd.DataFrame([[0.9, 0.1], [0.25, 0.75]], ["no", "yes"], ["no", "yes"])
        >>> [text.get_text() for text in plot_confusion(shares, ax=Figure().subplots()).texts]
        ['90%', '10%', '25%', '75%']
    """
    ax = prepare_axes(ax, "Confusion matrix")
    ax.imshow(shares, cmap="cividis", vmin=0, vmax=1)
    for (row, column), share in np.ndenumerate(shares.to_numpy(float)):
        ax.text(
            column,
            row,
            f"{share:.0%}",
            ha="center",
            va="center",
            color="white" if share < 0.5 else "black",
            fontsize="small",
        )
    ax.set(
        xlabel="predicted", ylabel="true", xticks=range(shares.shape[1]), yticks=range(len(shares))
    )
    ax.set_xticklabels(shares.columns, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticklabels(shares.index)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _compare(ax: Axes | None, table: pd.DataFrame) -> tuple[int, str, list[pd.Series]]:
    """Return how many tables the axes show, the next colour, and the lengths of error bars."""
    drawn = len(ax.containers) if ax else 0
    colour = SERIES_COLOURS[drawn % len(SERIES_COLOURS)]
    return drawn, colour, [table["share"] - table["low"], table["high"] - table["share"]]


def plot_calibration(
    table: pd.DataFrame, label: str = "predictions", *, ax: Axes | None = None
) -> Axes:
    """Plot the share of correct predictions against their probability (reliability diagram).

    A calibrated model lies on the diagonal.

    Args:
        table: From `metrics.tabulate_calibration`.
        label: Name in the legend. Further tables on the same axes get the next colour.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> columns = ["share", "low", "high", "probability"]
        >>> table = pd.DataFrame([[0.5, 0.2, 0.8, 0.6]], ["women"], columns)
        >>> plot_calibration(table, ax=Figure().subplots()).get_title(loc="left")
        'Calibration'
    """
    drawn, colour, spread = _compare(ax, table)
    ax = prepare_axes(ax, "Calibration")
    if not drawn:
        ax.plot([0, 1], [0, 1], "--", color=QUIET_COLOUR, label="calibrated")
    ax.errorbar(
        table["probability"], table["share"], spread, fmt="o-", capsize=3, color=colour, label=label
    )
    ax.set(xlabel="predicted probability", ylabel="share correct", ylim=(0, 1.03))
    ax.legend(frameon=False)
    return ax


def plot_groups(table: pd.DataFrame, label: str = "predictions", *, ax: Axes | None = None) -> Axes:
    """Plot the share of correct predictions in each group with its 95% interval.

    Further tables on the same axes are drawn a little lower, in the next colour.

    Args:
        table: From `metrics.tabulate_groups`.
        label: Name in the legend.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> columns = ["share", "low", "high", "probability"]
        >>> table = pd.DataFrame([[0.5, 0.2, 0.8, 0.6]], ["women"], columns)
        >>> plot_groups(table, ax=Figure().subplots()).get_title(loc="left")
        'Accuracy by group'
    """
    drawn, colour, spread = _compare(ax, table)
    ax = prepare_axes(ax, "Accuracy by group")
    rows = np.arange(len(table))
    ax.errorbar(
        table["share"],
        rows + 0.18 * drawn,
        xerr=spread,
        fmt="o",
        capsize=3,
        color=colour,
        label=label,
    )
    ax.set(
        yticks=rows,
        yticklabels=table.index,
        xlim=(0, 1.03),
        xlabel="share correct, with its 95% interval",
    )
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="x", alpha=0.4)
    ax.legend(frameon=False)
    return ax


def plot_age_errors(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot the mean absolute error with its 95% interval, and the bias, by class of the true age.

    Args:
        table: From `figures.tabulate_age_errors`.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> columns = ["off", "low", "high", "bias"]
        >>> table = pd.DataFrame([[2.0, 1.0, 3.0, -1.0]], ["0-2"], columns)
        >>> len(plot_age_errors(table, ax=Figure().subplots()).patches)
        1
    """
    ax = prepare_axes(ax, "Error by age")
    places = np.arange(len(table))
    spread = [table["off"] - table["low"], table["high"] - table["off"]]
    ax.bar(
        places, table["bias"], 0.6, color=SHADE_COLOUR, label="bias: mean of predicted minus true"
    )
    ax.errorbar(
        places,
        table["off"],
        spread,
        fmt="o",
        capsize=4,
        color=MARKED_COLOUR,
        label="mean absolute error, with its 95% interval",
    )
    ax.axhline(0, color=QUIET_COLOUR, linewidth=1)
    ax.set(xticks=places, xticklabels=table.index, xlabel="true age, years", ylabel="years")
    ax.grid(axis="y", alpha=0.4)
    ax.set_ylim(top=1.3 * ax.get_ylim()[1])  # room for the legend
    ax.legend(frameon=False, loc="upper left")
    return ax


def plot_roc(
    curves: dict[str, tuple[np.ndarray, np.ndarray]], title: str = "ROC", *, ax: Axes | None = None
) -> Axes:
    """Plot receiver operating characteristics (ROC), and the diagonal of random predictions.

    Args:
        curves: For each name its false positive rates and its true positive rates, (points,) each.
        title: Title of the plot.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> curve = (np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
        >>> len(plot_roc({"gender": curve}, ax=Figure().subplots()).lines)
        2
    """
    ax = prepare_axes(ax, title)
    ax.plot((0, 1), (0, 1), "--", color=QUIET_COLOUR, linewidth=1)
    for (name, (false_rates, true_rates)), colour in zip(
        curves.items(), SERIES_COLOURS, strict=False
    ):
        ax.plot(false_rates, true_rates, color=colour, label=name)
    ax.set(
        xlabel="false positive rate",
        ylabel="true positive rate",
        xlim=(-0.01, 1.01),
        ylim=(-0.01, 1.01),
        aspect="equal",
    )
    if curves:
        ax.legend(frameon=False, loc="lower right")
    return ax


def plot_separation(
    probabilities: np.ndarray,
    is_positive: np.ndarray,
    label: str,
    threshold: float | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Plot how well the probability of a label separates its faces from others, as two histograms.

    Args:
        probabilities: Probability of the label, (images,), 0 to 1.
        is_positive: Whether the label is the true one, (images,) bool.
        label: Name of the label.
        threshold: Probability from which on the label is predicted, drawn as a line; by default no
            line.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> probabilities, is_positive = np.array([0.1, 0.9]), np.array([False, True])
        >>> ax = plot_separation(probabilities, is_positive, "male", ax=Figure().subplots())
        >>> ax.get_xlabel()
        'probability of male'
    """
    ax = prepare_axes(ax, f"Separation of {label}")
    bins = np.linspace(0, 1, 41).tolist()
    ax.hist(
        probabilities[~is_positive], bins, color=SERIES_COLOURS[0], alpha=0.7, label=f"not {label}"
    )
    ax.hist(
        probabilities[is_positive],
        bins,
        histtype="step",
        linewidth=2,
        color=SERIES_COLOURS[1],
        label=label,
    )
    if threshold is not None:
        ax.axvline(threshold, color="black", linewidth=1.5)
    ax.set(
        xlabel=f"probability of {label}",
        ylabel="faces, logarithmic scale",
        xlim=(0, 1),
        yscale="log",
    )
    ax.legend(frameon=False)
    return ax


def plot_thresholds(
    table: pd.DataFrame, threshold: float | None = None, *, ax: Axes | None = None
) -> Axes:
    """Plot accuracy, precision, recall and false positive rate against the threshold.

    Args:
        table: From `metrics.tabulate_thresholds`.
        threshold: A threshold of the table; its rates are written into the legend. By default none.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> from facekit.evaluation.metrics import tabulate_thresholds
        >>> table = tabulate_thresholds(np.array([0.1, 0.9]), np.array([False, True]), (0.0, 0.5))
        >>> len(plot_thresholds(table, ax=Figure().subplots()).lines)
        4
    """
    ax = prepare_axes(ax, "Rates at each threshold")
    shares = ("accuracy", "precision", "recall", "false_positive_rate")
    for name, colour, style in zip(
        shares,
        ("black", *SERIES_COLOURS[2:0:-1], SERIES_COLOURS[0]),
        ("-", "--", "-.", ":"),
        strict=True,
    ):
        rate = np.nan if threshold is None else float(table[name].loc[threshold])
        shown = "" if np.isnan(rate) else f" {rate:.1%}"
        ax.plot(
            table.index,
            table[name],
            style,
            color=colour,
            linewidth=2,
            label=f"{name.replace('_', ' ')}{shown}",
        )
        if threshold is not None and shown:
            ax.plot(threshold, rate, "o", color=colour)
    if threshold is not None:
        ax.axvline(threshold, color="black", linewidth=1, zorder=0)
    ax.set(xlabel="threshold", ylabel="share", xlim=(0, 1), ylim=(0, 1.03))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax
