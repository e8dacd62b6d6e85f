"""Plot what other modules computed, Axes in and Axes out; and put an audit's plots on one page.

Nothing here computes, shows or touches `rcParams`. Colours are Okabe and Ito's, as those of
`drawing`, which colour-blind readers can tell apart; heat maps use cividis, made for them. Counts
come from `datasets.audit`, histories from `training.loop`.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.patches import Rectangle

from facekit.datasets.audit import NO_SPLIT, Audit
from facekit.taxonomy import AGES_YEARS, LABELS

SPLIT_COLOURS = {
    "train": "#0072B2",
    "validation": "#E69F00",
    "test": "#009E73",
    "excluded": "#999999",
    NO_SPLIT: "#56B4E9",
}
PLAIN_COLOUR, MARKED_COLOUR, QUIET_COLOUR = "#0072B2", "#D55E00", "#666666"
SERIES_COLOURS = (
    PLAIN_COLOUR,
    MARKED_COLOUR,
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
)  # for curves in turn
LARGEST_LIFT = 4  # of the scale of colours: beyond it, and below its inverse, they stay as they are
FINDINGS_WIDTH = 1.7  # of the axis of shares: room for words beside a full bar
PAGE_INCHES = (
    15,
    10.5,
)  # three plots beside each other, readable on a screen and on a sheet across


def plot_findings(findings: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot findings as bars of their shares, each with its counts, details and remedy; leaks are
    marked.

    Args:
        findings: Of `audit.Audit`.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, "What the audit found, and what to do")
    rows = np.arange(len(findings))
    colours = np.where(findings["finding"].str.contains("leaks"), MARKED_COLOUR, PLAIN_COLOUR)
    ax.barh(rows, findings["share"].fillna(0), 0.55, color=colours)
    for row, told in zip(rows, findings.to_dict("records"), strict=True):
        counts = "" if pd.isna(told["count"]) else f"{told['count']:,} of {told['total']:,}"
        share = 0 if pd.isna(told["share"]) else told["share"]
        text = "   ".join(filter(None, (counts, told["detail"])))
        ax.annotate(
            text, (share, row), (5, 0), textcoords="offset points", va="center", fontsize="small"
        )
        if share > 0:
            ax.text(
                FINDINGS_WIDTH,
                row,
                told["remedy"],
                ha="right",
                va="center",
                color=QUIET_COLOUR,
                fontsize="small",
                style="italic",
            )
    ax.set(yticks=rows, yticklabels=findings["finding"], ylim=(len(rows) - 0.4, -0.6))
    ax.set(
        xticks=(0, 0.25, 0.5, 0.75, 1),
        xticklabels=("0%", "25%", "50%", "75%", "100%"),
        xlim=(0, FINDINGS_WIDTH),
    )
    ax.tick_params(axis="y", length=0)
    return ax


def plot_ages(age_counts: pd.Series, *, ax: Axes | None = None) -> Axes:
    """Plot faces by year of age, with the years marked on which guessed ages heap.

    Args:
        age_counts: Of `audit.Audit`, indexed by year.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, "Faces by year of age")
    for label, colour, years in (
        ("other years", PLAIN_COLOUR, age_counts[age_counts.index % 5 != 0]),
        ("years ending in 0 or 5", MARKED_COLOUR, age_counts[age_counts.index % 5 == 0]),
    ):
        ax.bar(years.index, years, 0.8, color=colour, label=label)
    ax.set(xlabel="age, years", ylabel="faces")
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend(frameon=False, loc="upper right")
    return ax


def plot_subgroups(cell_counts: pd.Series, *, ax: Axes | None = None) -> Axes:
    """Plot faces by subgroup as a heat map, its colours on a logarithmic scale; empty subgroups
    stay white.

    Args:
        cell_counts: Of `audit.Audit`: the first level of the index makes the rows, the others the
            columns.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, f"Faces by {' x '.join(cell_counts.index.names)}")
    levels = list(range(1, cell_counts.index.nlevels))
    table = cell_counts.unstack(levels) if levels else cell_counts.to_frame("faces")
    if table.empty:
        return ax
    scale = LogNorm(1, max(table.to_numpy().max(), 2))
    ax.imshow(table.where(table > 0), cmap="cividis", norm=scale, aspect="auto")
    for (row, column), count in np.ndenumerate(table.to_numpy()):
        colour = "white" if count and scale(count) < 0.5 else "black"
        ax.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize="small")
    columns = ["\n".join(np.atleast_1d(column)) for column in table.columns]
    ax.set(
        yticks=range(len(table)),
        yticklabels=table.index,
        xticks=range(len(columns)),
        xticklabels=columns,
    )
    ax.set_xticks(np.arange(len(columns)) - 0.5, minor=True)
    ax.set_yticks(np.arange(len(table)) - 0.5, minor=True)
    ax.grid(which="minor", color="white", linewidth=1.5)
    ax.tick_params(which="both", length=0)
    ax.tick_params(axis="x", labelsize="small")
    ax.spines[:].set_visible(False)
    return ax


def plot_labels(label_counts: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot faces by label as bars, stacked by split.

    Args:
        label_counts: Of `audit.Audit`, indexed by attribute and label, one column a split.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, "Faces by label and split")
    attributes = label_counts.index.get_level_values(0)
    rows = (
        np.arange(len(label_counts)) + pd.factorize(attributes)[0] * 0.8
    )  # a gap between attributes
    ends = np.zeros(len(label_counts))
    for split, counts in label_counts.items():
        ax.barh(rows, counts, 0.75, left=ends, color=SPLIT_COLOURS[split], label=split)
        ends = ends + counts.to_numpy()
    for row, end in zip(rows, ends, strict=True):
        ax.annotate(
            f"{end:,.0f}",
            (end, row),
            (4, 0),
            textcoords="offset points",
            va="center",
            color=QUIET_COLOUR,
            fontsize="small",
        )
    ax.set(yticks=rows, yticklabels=label_counts.index.get_level_values(-1), xlabel="faces")
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    if label_counts.shape[1]:
        ax.legend(
            frameon=False,
            loc="upper center",
            bbox_to_anchor=(0.5, -0.1),
            ncols=len(SPLIT_COLOURS),
            columnspacing=1,
        )
    return ax


def plot_history(history: pd.DataFrame, metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Plot a training's course, with the epoch marked whose weights were kept.

    Args:
        history: A run's `history.csv`, or what `evaluation.papers.load_history` makes of it.
        metric: A column of it, such as `loss` or `accuracy`; `val_` and its name is that of
            validation.
        ax: Where to; new Axes by default.

    Raises:
        ValueError: If there is no such column.
    """
    if metric not in history or f"val_{metric}" not in history:
        raise ValueError(
            f"`metric` must be one of {', '.join(name for name in history if f'val_{name}' in history)}; got {metric!r}."
        )
    ax = _prepare(ax, metric.replace("_", " "))
    for split, column in (("train", metric), ("validation", f"val_{metric}")):
        ax.plot(history["epoch"] + 1, history[column], color=SPLIT_COLOURS[split], label=split)
    kept = history.loc[
        history["kept"].idxmax() if "kept" in history else history["val_loss"].idxmin()
    ]
    ax.plot(kept["epoch"] + 1, kept[f"val_{metric}"], "o", color=MARKED_COLOUR, label="kept")
    ax.set(xlabel="epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)
    return ax


def plot_confusion(shares: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot a confusion matrix as a heat map: what became of the faces of each label.

    Args:
        shares: Rows are the true labels, columns those told; each row sums to 1.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, "What each label was told as")
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
    ax.set(xlabel="told", ylabel="true", xticks=range(shares.shape[1]), yticks=range(len(shares)))
    ax.set_xticklabels(shares.columns, rotation=40, ha="right", rotation_mode="anchor")
    ax.set_yticklabels(shares.index)
    ax.tick_params(length=0)
    ax.spines[:].set_visible(False)
    return ax


def _compare(ax: Axes | None, table: pd.DataFrame) -> tuple[int, str, list[pd.Series]]:
    """Return how many tables are drawn on the Axes already, the colour of the next, and the lengths of its intervals' two halves."""
    drawn = len(ax.containers) if ax else 0
    colour = list(SPLIT_COLOURS.values())[drawn % len(SPLIT_COLOURS)]
    return drawn, colour, [table["share"] - table["low"], table["high"] - table["share"]]


def plot_calibration(
    table: pd.DataFrame, label: str = "answers", *, ax: Axes | None = None
) -> Axes:
    """Plot how often answers are right against the probability that they were told with; honest
    ones lie on the diagonal.

    Args:
        table: Of `metrics.tabulate_calibration`.
        label: For the legend; plots on the same Axes take colours in turn.
        ax: Where to; new Axes by default.
    """
    drawn, colour, spread = _compare(ax, table)
    ax = _prepare(ax, "Calibration")
    if not drawn:
        ax.plot([0, 1], [0, 1], "--", color=QUIET_COLOUR, label="honest")
    ax.errorbar(
        table["probability"], table["share"], spread, fmt="o-", capsize=3, color=colour, label=label
    )
    ax.set(xlabel="probability told", ylabel="share right", ylim=(0, 1.03))
    ax.legend(frameon=False)
    return ax


def plot_groups(table: pd.DataFrame, label: str = "answers", *, ax: Axes | None = None) -> Axes:
    """Plot the share of right answers in each group with its interval; several tables on the same
    Axes stand below each other.

    Args:
        table: Of `metrics.tabulate_groups`.
        label: For the legend; plots on the same Axes take colours in turn.
        ax: Where to; new Axes by default.
    """
    drawn, colour, spread = _compare(ax, table)
    ax = _prepare(ax, "Right, by group")
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
        xlabel="share right, with the 95% interval",
    )
    ax.set_ylim(len(rows) - 0.4, -0.6)
    ax.grid(axis="x", alpha=0.4)
    ax.legend(frameon=False)
    return ax


def plot_pictures(
    pictures: np.ndarray,
    titles: Sequence[str] = (),
    columns: int = 6,
    inches: float = 1.6,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Lay pictures of one size out in rows, each with a title below.

    Args:
        pictures: (pictures, height, width, channels) uint8, grey or RGB.
        titles: One a picture, or none.
        columns: Pictures a row, at most.
        inches: Width of a picture, where axes are made.
        ax: To draw on; made where there is none.
    """
    count, height, width, channels = pictures.shape
    columns = max(min(columns, count), 1)
    lines = max((title.count("\n") + 1 for title in titles), default=0)
    rows, gap, line = max(-(-count // columns), 1), width // 16, height * lines // 6
    cell_height, cell_width = height + line + gap, width + gap
    if ax is None:
        ax = plt.subplots(
            figsize=(inches * columns, inches * rows * cell_height / cell_width),
            layout="constrained",
        )[1]
    ax.set(xlim=(0, columns * cell_width), ylim=(rows * cell_height, 0), aspect="equal")
    ax.axis("off")
    if not count:
        ax.text(cell_width / 2, cell_height / 2, "none", ha="center", va="center")
    for index, picture in enumerate(pictures):
        left, top = index % columns * cell_width, index // columns * cell_height
        shown = picture[..., 0] if channels == 1 else picture
        ax.imshow(
            shown, cmap="gray", vmin=0, vmax=255, extent=(left, left + width, top + height, top)
        )
        if titles:
            ax.text(
                left + width / 2,
                top + height + height / 48,
                titles[index],
                ha="center",
                va="top",
                fontsize=9,
            )
    return ax


def plot_lifts(lifts: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot how many times more often than by chance labels meet as a heat map; its colours are a
    logarithmic scale about 1.

    Args:
        lifts: Of `fusion.FusionConstants`, with the labels as index and columns.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, "How often labels meet, as a multiple of chance")
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


def plot_age_errors(table: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot how many years answers are off in each class of the true age, with intervals, and which
    way they lean.

    Args:
        table: Of `figures.tabulate_age_errors`.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, "Error by age")
    places = np.arange(len(table))
    spread = [table["off"] - table["low"], table["high"] - table["off"]]
    ax.bar(places, table["bias"], 0.6, color="#56B4E9", label="mean of told minus true")
    ax.errorbar(
        places,
        table["off"],
        spread,
        fmt="o",
        capsize=4,
        color=MARKED_COLOUR,
        label="mean absolute error, with the 95% interval",
    )
    ax.axhline(0, color=QUIET_COLOUR, linewidth=1)
    ax.set(xticks=places, xticklabels=table.index, xlabel="true age, years", ylabel="years")
    ax.grid(axis="y", alpha=0.4)
    ax.legend(frameon=False, loc="upper left")
    return ax


def plot_roc(
    curves: dict[str, tuple[np.ndarray, np.ndarray]], title: str = "ROC", *, ax: Axes | None = None
) -> Axes:
    """Plot receiver operating characteristics, and the diagonal of one who guesses.

    Args:
        curves: For each name its false positive rates and its true positive rates.
        title: Of the plot.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, title)
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


def plot_answers(
    attribute: str, answers: dict[str, np.ndarray], title: str = "", *, ax: Axes | None = None
) -> Axes:
    """Plot answers to one face beside each other: lines over the years for age, bars for other
    attributes.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        answers: For each name the probabilities, (classes,).
        title: Of the plot; the attribute by default.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, title or attribute)
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
    """Plot what each attribute adds to one face's confidence, one after the other up to the whole.

    Args:
        parts: For each attribute its part, as `fusion.split_confidence` tells it.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, f"confidence {sum(parts.values()):.2f}")
    end = 0.0
    for (name, part), colour in zip(parts.items(), SERIES_COLOURS, strict=False):
        ax.barh(0, part, left=end, color=colour, label=name)
        end += part
    ax.set(xlim=(0, 1), yticks=(), xlabel="what each attribute adds")
    ax.spines["left"].set_visible(False)
    ax.legend(
        frameon=False, ncols=len(parts), loc="lower right", bbox_to_anchor=(1, 1), borderaxespad=0
    )
    return ax


def plot_separation(
    probabilities: np.ndarray,
    is_positive: np.ndarray,
    label: str,
    threshold: float | None = None,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Plot how well a label's probability parts the faces that have it from all others, as two
    histograms.

    Args:
        probabilities: (images,) of the label, 0 to 1.
        is_positive: (images,) bool, whether it is the true one.
        label: Its name.
        threshold: From which on it is told, marked by a line; none by default.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, f"How sure of {label}")
    bins = np.linspace(0, 1, 41)
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
        ylabel="faces, on a logarithmic scale",
        xlim=(0, 1),
        yscale="log",
    )
    ax.legend(frameon=False)
    return ax


def plot_thresholds(
    table: pd.DataFrame, threshold: float | None = None, *, ax: Axes | None = None
) -> Axes:
    """Plot what a decision's shares become while its threshold moves.

    Args:
        table: Of `metrics.tabulate_thresholds`.
        threshold: One of the table's, at which each share is written; none by default.
        ax: Where to; new Axes by default.
    """
    ax = _prepare(ax, "What a threshold does")
    shares = ("accuracy", "precision", "recall", "false_positive_rate")
    for name, colour, style in zip(
        shares,
        ("black", *SERIES_COLOURS[2:0:-1], SERIES_COLOURS[0]),
        ("-", "--", "-.", ":"),
        strict=True,
    ):
        told = (
            ""
            if threshold is None or np.isnan(table.loc[threshold, name])
            else f" {table.loc[threshold, name]:.1%}"
        )
        ax.plot(
            table.index,
            table[name],
            style,
            color=colour,
            linewidth=2,
            label=f"{name.replace('_', ' ')}{told}",
        )
        if told:
            ax.plot(threshold, table.loc[threshold, name], "o", color=colour)
    if threshold is not None:
        ax.axvline(threshold, color="black", linewidth=1, zorder=0)
    ax.set(xlabel="threshold", ylabel="share", xlim=(0, 1), ylim=(0, 1.03))
    ax.legend(frameon=False, loc="center left", bbox_to_anchor=(1, 0.5))
    return ax


def plot_levels(
    levels: Sequence[np.ndarray], titles: Sequence[str] = (), *, ax: Axes | None = None
) -> Axes:
    """Lay pictures or maps of several sizes out beside each other, all at the same scale, each with
    a title below.

    Args:
        levels: (height, width, 3) uint8 pictures, or (height, width) probabilities, which get a bar
            of their colours.
        titles: One a level, or none.
        ax: To draw on; made where there is none.
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
        image: HxWx3 uint8, or HxW grey.
        boxes_xyxy: (boxes, 4) pixels of the picture.
        labels: One a box, or none.
        landmarks_xy: (boxes, points, 2) pixels, drawn as dots; NaN where unknown.
        colour: Of all boxes, or one each.
        ax: To draw on; made where there is none.
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


def save_audit_page(audit: Audit, path: Path, title: str = "") -> None:
    """Put an audit's plots on one page: the findings, and those of labels and ages that the dataset
    has.

    Args:
        audit: Of `audit.audit_manifest`.
        path: Where to; the ending names the form, such as `.png`, `.svg` or `.pdf`.
        title: Of the page.
    """
    figure = Figure(PAGE_INCHES, layout="constrained")
    figure.suptitle(title, fontsize="x-large", fontweight="bold")
    above, below = figure.subfigures(2, 1, hspace=0.04)
    plot_findings(audit.findings, ax=above.subplots())
    panels = [(plot_labels, audit.label_counts)]
    if len(audit.age_counts):
        panels.append((plot_ages, audit.age_counts))
    if audit.cell_counts.index.nlevels > 1:
        panels.append((plot_subgroups, audit.cell_counts))
    for ax, (plot, data) in zip(
        below.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        plot(data, ax=ax)
    figure.savefig(path, dpi=120)


def _prepare(ax: Axes | None, title: str) -> Axes:
    ax = ax or plt.subplots(layout="constrained")[1]
    ax.set_title(title, loc="left", fontweight="bold")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
