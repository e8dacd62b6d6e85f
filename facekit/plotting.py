"""Plot what other modules computed, Axes in and Axes out; and put an audit's plots on one page.

Nothing here computes, shows or touches `rcParams`. Colours are Okabe and Ito's, as those of `drawing`, which colour-blind readers can
tell apart; heat maps use cividis, made for them. Counts come from `datasets.audit`, histories from `training.loop`.
"""

from __future__ import annotations

from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure

from facekit.datasets.audit import NO_SPLIT, Audit

SPLIT_COLOURS = {"train": "#0072B2", "validation": "#E69F00", "test": "#009E73", "excluded": "#999999", NO_SPLIT: "#56B4E9"}
PLAIN_COLOUR, MARKED_COLOUR, QUIET_COLOUR = "#0072B2", "#D55E00", "#666666"
FINDINGS_WIDTH = 1.7  # of the axis of shares: room for words beside a full bar
PAGE_INCHES = (15, 10.5)  # three plots beside each other, readable on a screen and on a sheet across


def plot_findings(findings: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot findings as bars of their shares, each with its counts, details and remedy; leaks are marked.

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
        ax.annotate(text, (share, row), (5, 0), textcoords="offset points", va="center", fontsize="small")
        if share > 0:
            ax.text(FINDINGS_WIDTH, row, told["remedy"], ha="right", va="center", color=QUIET_COLOUR, fontsize="small", style="italic")
    ax.set(yticks=rows, yticklabels=findings["finding"], ylim=(len(rows) - 0.4, -0.6))
    ax.set(xticks=(0, 0.25, 0.5, 0.75, 1), xticklabels=("0%", "25%", "50%", "75%", "100%"), xlim=(0, FINDINGS_WIDTH))
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
    """Plot faces by subgroup as a heat map, its colours on a logarithmic scale; empty subgroups stay white.

    Args:
        cell_counts: Of `audit.Audit`: the first level of the index makes the rows, the others the columns.
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
        colour = "white" if 0 < scale(max(count, 1)) < 0.5 else "black"
        ax.text(column, row, f"{count:,}", ha="center", va="center", color=colour, fontsize="small")
    columns = ["\n".join(np.atleast_1d(column)) for column in table.columns]
    ax.set(yticks=range(len(table)), yticklabels=table.index, xticks=range(len(columns)), xticklabels=columns)
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
    rows = np.arange(len(label_counts)) + pd.factorize(attributes)[0] * 0.8  # a gap between attributes
    ends = np.zeros(len(label_counts))
    for split, counts in label_counts.items():
        ax.barh(rows, counts, 0.75, left=ends, color=SPLIT_COLOURS[split], label=split)
        ends = ends + counts.to_numpy()
    for row, end in zip(rows, ends, strict=True):
        ax.annotate(f"{end:,.0f}", (end, row), (4, 0), textcoords="offset points", va="center", color=QUIET_COLOUR, fontsize="small")
    ax.set(yticks=rows, yticklabels=label_counts.index.get_level_values(-1), xlabel="faces")
    ax.margins(x=0.12)
    ax.xaxis.set_major_formatter("{x:,.0f}")
    ax.tick_params(axis="y", length=0)
    ax.invert_yaxis()
    if label_counts.shape[1]:
        ax.legend(frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.1), ncols=len(SPLIT_COLOURS), columnspacing=1)
    return ax


def plot_history(history: pd.DataFrame, metric: str = "loss", *, ax: Axes | None = None) -> Axes:
    """Plot a training's course, with the epoch marked whose weights were kept.

    Args:
        history: A run's `history.csv`.
        metric: A column of it, such as `loss` or `accuracy`; `val_` and its name is that of validation.
        ax: Where to; new Axes by default.

    Raises:
        ValueError: If there is no such column.
    """
    if metric not in history or f"val_{metric}" not in history:
        raise ValueError(f"`metric` must be one of {', '.join(name for name in history if f'val_{name}' in history)}; got {metric!r}.")
    ax = _prepare(ax, metric.replace("_", " "))
    for split, column in (("train", metric), ("validation", f"val_{metric}")):
        ax.plot(history["epoch"] + 1, history[column], color=SPLIT_COLOURS[split], label=split)
    kept = history.loc[history["val_loss"].idxmin()]
    ax.plot(kept["epoch"] + 1, kept[f"val_{metric}"], "o", color=MARKED_COLOUR, label="kept")
    ax.set(xlabel="epoch")
    ax.xaxis.get_major_locator().set_params(integer=True)
    ax.legend(frameon=False)
    return ax


def save_audit_page(audit: Audit, path: Path, title: str = "") -> None:
    """Put an audit's plots on one page: the findings, and those of labels and ages that the dataset has.

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
    for ax, (plot, data) in zip(below.subplots(1, len(panels), squeeze=False)[0], panels, strict=True):
        plot(data, ax=ax)
    figure.savefig(path, dpi=120)


def _prepare(ax: Axes | None, title: str) -> Axes:
    ax = ax or plt.subplots(layout="constrained")[1]
    ax.set_title(title, loc="left", fontweight="bold")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
