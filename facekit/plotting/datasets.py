"""Plot what a dataset contains and what its audit found. Counts come from `datasets.audit`."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.colors import LogNorm
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator, MultipleLocator

from facekit.datasets.audit import Audit
from facekit.files import replace_file
from facekit.plotting.style import (
    MARKED_COLOUR,
    PLAIN_COLOUR,
    QUIET_COLOUR,
    SPLIT_COLOURS,
    prepare_axes,
)

AGE_TICKS = 10  # years from tick to tick
FINDINGS_WIDTH = 1.7  # width of the axis of shares: leaves room for words beside a full bar
PAGE_INCHES = (15, 10.5)  # three plots beside each other, readable on a screen and on a wide sheet


def plot_findings(findings: pd.DataFrame, *, ax: Axes | None = None) -> Axes:
    """Plot the findings of an audit as bars of their shares, with counts, details and remedies.

    Leaks have a colour of their own.

    Args:
        findings: The findings of an `audit.Audit`.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> row = {"finding": "duplicates", "count": 1, "total": 4, "share": 0.25}
        >>> findings = pd.DataFrame([row | {"detail": "", "remedy": "group them"}])
        >>> plot_findings(findings, ax=Figure().subplots()).texts[0].get_text()
        '1 of 4'
    """
    ax = prepare_axes(ax, "What the audit found, and what to do")
    rows = np.arange(len(findings))
    colours = np.where(findings["finding"].str.contains("leaks"), MARKED_COLOUR, PLAIN_COLOUR)
    ax.barh(rows, findings["share"].fillna(0), 0.55, color=colours)
    for row, finding in enumerate(findings.to_dict("records")):
        counts = (
            "" if pd.isna(finding["count"]) else f"{finding['count']:,} of {finding['total']:,}"
        )
        share = 0 if pd.isna(finding["share"]) else finding["share"]
        text = "   ".join(filter(None, (counts, finding["detail"])))
        ax.annotate(
            text, (share, row), (5, 0), textcoords="offset points", va="center", fontsize="small"
        )
        if share > 0:
            ax.text(
                FINDINGS_WIDTH,
                row,
                finding["remedy"],
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
    """Plot the number of faces by year of age; years ending in 0 or 5 have their own colour.

    Guessed ages are often rounded to such years.

    Args:
        age_counts: The counts of an `audit.Audit`, indexed by year.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> len(plot_ages(pd.Series({20: 3, 21: 1}), ax=Figure().subplots()).patches)
        2
    """
    ax = prepare_axes(ax, "Faces by year of age")
    for label, colour, years in (
        ("other years", PLAIN_COLOUR, age_counts[age_counts.index % 5 != 0]),
        ("years ending in 0 or 5", MARKED_COLOUR, age_counts[age_counts.index % 5 == 0]),
    ):
        ax.bar(years.index, years, 0.8, color=colour, label=label)
    ax.set(xlabel="age, years", ylabel="faces")
    ax.xaxis.set_major_locator(MultipleLocator(AGE_TICKS))
    # Counts are whole, so no tick may stand at 2.5.
    ax.yaxis.set_major_locator(MaxNLocator("auto", steps=(1, 2, 5, 10), integer=True))
    ax.yaxis.set_major_formatter("{x:,.0f}")
    ax.legend(frameon=False, loc="upper right")
    return ax


def plot_subgroups(cell_counts: pd.Series, *, ax: Axes | None = None) -> Axes:
    """Plot the number of faces by subgroup as a heat map with a logarithmic colour scale.

    Empty subgroups stay white.

    Args:
        cell_counts: The counts of an `audit.Audit`. The first level of the index makes the rows,
            the other levels make the columns.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> index = pd.MultiIndex.from_product([["0-2"], ["female", "male"]])
        >>> ax = plot_subgroups(pd.Series([3, 0], index), ax=Figure().subplots())
        >>> [text.get_text() for text in ax.texts]
        ['3', '0']
    """
    ax = prepare_axes(ax, f"Faces by {' x '.join(map(str, cell_counts.index.names))}")
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
    """Plot the number of faces by label as bars, stacked by split.

    Args:
        label_counts: The counts of an `audit.Audit`, indexed by attribute and label, with one
            column per split.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> index = pd.MultiIndex.from_product([["gender"], ["female", "male"]])
        >>> counts = pd.DataFrame({"train": [3, 1], "test": [1, 1]}, index)
        >>> [text.get_text() for text in plot_labels(counts, ax=Figure().subplots()).texts]
        ['4', '2']
    """
    ax = prepare_axes(ax, "Faces by label and split")
    attributes = label_counts.index.get_level_values(0)
    # A gap of 0.8 between attributes.
    rows = np.arange(len(label_counts)) + pd.factorize(attributes)[0] * 0.8
    ends = np.zeros(len(label_counts))
    for split, counts in label_counts.items():
        ax.barh(rows, counts, 0.75, left=ends, color=SPLIT_COLOURS[str(split)], label=split)
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
            ncols=label_counts.shape[1],
            columnspacing=1,
        )
    return ax


def save_audit_page(audit: Audit, path: Path, title: str = "") -> None:
    """Save all plots of an audit on one page.

    Plots of labels, ages and subgroups are left out if the dataset has none.

    Args:
        audit: From `audit.audit_manifest`.
        path: The file to write. Its ending chooses the format, such as `.png`, `.svg` or `.pdf`.
        title: Title of the page.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If Matplotlib does not know the ending.

    Example:
        >>> save_audit_page(...)  # see tests/plotting/test_datasets.py  # doctest: +SKIP
    """
    figure = Figure(PAGE_INCHES, layout="constrained")
    figure.suptitle(title, fontsize="x-large", fontweight="bold")
    above, below = np.asarray(figure.subfigures(2, 1, hspace=0.04))
    plot_findings(audit.findings, ax=above.subplots())
    panels: list[tuple[Callable, pd.DataFrame | pd.Series]] = [(plot_labels, audit.label_counts)]
    if len(audit.age_counts):
        panels.append((plot_ages, audit.age_counts))
    if audit.cell_counts.index.nlevels > 1:
        panels.append((plot_subgroups, audit.cell_counts))
    for ax, (plot, data) in zip(
        below.subplots(1, len(panels), squeeze=False)[0], panels, strict=True
    ):
        plot(data, ax=ax)
    with replace_file(path) as temporary:
        figure.savefig(temporary, dpi=120)
