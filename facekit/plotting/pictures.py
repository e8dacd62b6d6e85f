"""Lay out pictures of one size in rows."""

from __future__ import annotations

from collections.abc import Sequence

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes


def plot_pictures(
    pictures: np.ndarray,
    titles: Sequence[str] = (),
    columns: int = 6,
    inches: float = 1.6,
    *,
    ax: Axes | None = None,
) -> Axes:
    """Lay out pictures of one size in rows, each with a title below.

    Args:
        pictures: (pictures, height, width, channels) uint8, grey or RGB.
        titles: One title per picture, or none.
        columns: The largest number of pictures in a row.
        inches: Width of a picture on new axes.
        ax: Axes to draw on; new axes by default.

    Example:
        >>> from matplotlib.figure import Figure
        >>> ax = Figure().subplots()
        >>> len(plot_pictures(np.zeros((5, 8, 8, 1), np.uint8), columns=3, ax=ax).images)
        5
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
