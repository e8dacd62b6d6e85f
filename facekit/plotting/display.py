"""Show figures in a notebook, each with a text alternative for screen readers."""

from __future__ import annotations

import html
import io

import matplotlib.pyplot as plt
import PIL.Image
from matplotlib.axes import Axes
from matplotlib.figure import Figure

DPI = 80  # of figures in notebooks: sharp enough to project, small enough to store


def show(figure: Figure | Axes, alt: str, caption: str = "") -> None:
    """Show a figure once in a notebook, with a text alternative for readers who cannot see it.

    Args:
        figure: The figure, or axes in it. It is closed afterwards.
        alt: What the figure shows, in one sentence.
        caption: Text below the figure, such as "Figure 1. Accuracy by age."

    Example:
        >>> _, ax = plt.subplots()
        >>> show(ax, "Empty axes")  # doctest: +SKIP
    """
    from IPython.display import HTML, Image, display

    picture = encode_figure(figure)
    plt.close(_get_figure(figure))
    display(Image(picture, alt=alt))
    if caption:
        display(HTML(f'<p class="caption">{html.escape(caption)}</p>'))


def encode_figure(figure: Figure | Axes) -> bytes:
    """Return a figure as a PNG file, small enough to store in a notebook.

    Args:
        figure: The figure, or axes in it. It stays open.

    Example:
        >>> encode_figure(Figure(figsize=(1, 1)))[1:4]
        b'PNG'
    """
    file = io.BytesIO()
    _get_figure(figure).savefig(file, dpi=DPI, bbox_inches="tight", metadata={"Software": None})
    # A palette makes the picture three times smaller, without a visible loss on plots and photos.
    small = io.BytesIO()
    PIL.Image.open(file).convert("RGB").quantize(256).save(small, "PNG", optimize=True)
    return small.getvalue()


def _get_figure(figure: Figure | Axes) -> Figure:
    shown = figure if isinstance(figure, Figure) else figure.get_figure(root=True)
    assert isinstance(shown, Figure)  # axes stay in one until they are removed
    return shown
