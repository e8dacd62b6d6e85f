"""Plot how well embeddings verify people, as `evaluation.verification` measures it."""

from __future__ import annotations

from collections.abc import Mapping

import pandas as pd
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, PercentFormatter

from facekit.plotting.style import QUIET_COLOUR, SERIES_COLOURS, prepare_axes

MARKED_RATES = (0.01, 0.001)  # false accept rates, as in the table of verification
LEAST_RATE = 1e-4  # left end of the axis: the curve of some thousand pairs says nothing below it
REFERENCE_STYLES = ("--", ":", "-.")


def plot_verification(
    history: pd.DataFrame,
    references: Mapping[str, float] | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Plot the accuracy of verification over the steps of a training, with its 95% interval.

    Args:
        history: The `verification.csv` of a run: `step`, `accuracy`, `low`, `high`. Where it has a
            column `run`, each run is a line of its own.
        references: Accuracies of other models by name, such as a distilled one. Each is a
            horizontal line.
        ax: Axes to draw on; new axes by default.

    Raises:
        ValueError: If a column is missing.

    Example:
        >>> from matplotlib.figure import Figure
        >>> columns = ["step", "accuracy", "low", "high"]
        >>> history = pd.DataFrame([[0, 0.6, 0.5, 0.7], [100, 0.8, 0.7, 0.9]], columns=columns)
        >>> ax = plot_verification(history, {"student": 0.97}, ax=Figure().subplots())
        >>> [line.get_label() for line in ax.lines]
        ['accuracy', 'student, 97.0%']
    """
    if missing := [name for name in ("step", "accuracy", "low", "high") if name not in history]:
        raise ValueError(
            f"`history` must have columns step, accuracy, low and high; {', '.join(missing)} "
            "missing. `training.triplet.train_triplets` writes them."
        )
    ax = prepare_axes(ax, "Verification of people who were not learned")
    runs = history.groupby("run", sort=False) if "run" in history else [("accuracy", history)]
    for number, (name, part) in enumerate(runs):
        colour = SERIES_COLOURS[number % len(SERIES_COLOURS)]
        ax.fill_between(
            part["step"], part["low"], part["high"], color=colour, alpha=0.15, linewidth=0
        )
        ax.plot(part["step"], part["accuracy"], "o-", color=colour, markersize=3, label=str(name))
    for number, (name, accuracy) in enumerate((references or {}).items()):
        style = REFERENCE_STYLES[number % len(REFERENCE_STYLES)]
        ax.axhline(accuracy, color=QUIET_COLOUR, linestyle=style, label=f"{name}, {accuracy:.1%}")
    ax.set(xlabel="training step", ylabel="accuracy over ten folds, with its 95% interval")
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(axis="y", alpha=0.4)
    if ax.get_legend_handles_labels()[0]:
        ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_accept_rates(curves: Mapping[str, pd.DataFrame], *, ax: Axes | None = None) -> Axes:
    """Plot the true accept rate against the false accept rate, on a logarithmic axis.

    These are the shares of pairs of one person, and of pairs of two people, that count as one
    person. Verification is used where false accepts are rare, which a linear axis does not show.
    Points mark false accept rates of 1% and 0.1%: the best true accept rate that does not exceed
    them.

    Args:
        curves: For each model its table of `evaluation.verification.compute_roc`.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> rates = {"false_accept_rate": [0, 0, 1], "true_accept_rate": [0, 0.9, 1]}
        >>> ax = plot_accept_rates({"student": pd.DataFrame(rates)}, ax=Figure().subplots())
        >>> [line.get_label() for line in ax.lines if not line.get_label().startswith("_")]
        ['student (90.0% at 1%, 90.0% at 0.1%)']
    """
    ax = prepare_axes(ax, "Pairs accepted as one person")
    for number, (name, roc) in enumerate(curves.items()):
        colour = SERIES_COLOURS[number % len(SERIES_COLOURS)]
        # The curve starts at the left end of the axis with what it accepts there.
        false_rates = roc["false_accept_rate"].clip(lower=LEAST_RATE)
        marks = [
            roc["true_accept_rate"][roc["false_accept_rate"] <= rate].max() for rate in MARKED_RATES
        ]
        shown = ", ".join(
            f"{mark:.1%} at {100 * rate:g}%" for mark, rate in zip(marks, MARKED_RATES, strict=True)
        )
        ax.step(
            false_rates,
            roc["true_accept_rate"],
            where="post",
            color=colour,
            label=f"{name} ({shown})",
        )
        ax.plot(MARKED_RATES, marks, "o", color=colour, label=f"_{name}")
    for rate in MARKED_RATES:
        ax.axvline(rate, color=QUIET_COLOUR, linestyle=":", linewidth=1, zorder=0)
    ax.set(
        xscale="log",
        xlim=(LEAST_RATE, 1),
        ylim=(0, 1.01),
        xlabel="false accept rate",
        ylabel="true accept rate",
    )
    ax.xaxis.set_major_formatter(FuncFormatter(lambda rate, _: f"{100 * rate:g}%"))
    ax.yaxis.set_major_formatter(PercentFormatter(1, decimals=0))
    ax.grid(alpha=0.3)
    if curves:
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, -0.15))
    return ax
