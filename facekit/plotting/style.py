"""The colours of all plots, and axes to draw on.

Colours are those of Okabe and Ito, as in `drawing`, which colour-blind readers can distinguish.
Heat maps use cividis, which is made for them.
"""

from __future__ import annotations

import matplotlib.pyplot as plt
from matplotlib.axes import Axes

from facekit.datasets.audit import NO_SPLIT

SPLIT_COLOURS = {
    "train": "#0072B2",
    "validation": "#E69F00",
    "calibration": "#CC79A7",
    "test": "#009E73",
    "excluded": "#999999",
    NO_SPLIT: "#56B4E9",
}
PLAIN_COLOUR, MARKED_COLOUR, QUIET_COLOUR = "#0072B2", "#D55E00", "#666666"
# Colours of curves, in turn.
SERIES_COLOURS = (
    PLAIN_COLOUR,
    MARKED_COLOUR,
    "#009E73",
    "#E69F00",
    "#CC79A7",
    "#56B4E9",
    "#000000",
)
SHADE_COLOUR = "#56B4E9"  # of bars behind points


def prepare_axes(ax: Axes | None, title: str) -> Axes:
    """Return axes with a title at the left and without a frame; new axes by default.

    Args:
        ax: Axes to draw on.
        title: Title of the plot.

    Example:
        >>> prepare_axes(None, "Faces").get_title(loc="left")
        'Faces'
    """
    ax = ax or plt.subplots(layout="constrained")[1]
    ax.set_title(title, loc="left", fontweight="bold")
    ax.spines[["top", "right"]].set_visible(False)
    return ax
