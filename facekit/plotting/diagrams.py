"""Draw how things are built: steps of a method, blocks of a network, pictures in splits.

One unit of a diagram of steps or blocks is one inch of its axes, so that text can be fitted into
boxes. It is fitted to the axes as they are at the time of the call.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import matplotlib.pyplot as plt
import numpy as np
from matplotlib.axes import Axes
from matplotlib.font_manager import FontProperties
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle
from matplotlib.textpath import TextPath

from facekit.plotting.style import PLAIN_COLOUR, SPLIT_COLOURS, prepare_axes

# === Text ===
POINTS = 72  # per inch
LINE, BASELINE = 1.25, 0.97  # height of a line and where its letters stand, in font sizes
SAFETY = 1.05  # some renderers draw text wider than its outlines are
NOTE = 0.85  # size of small text, in sizes of a name
SIZES = tuple(np.arange(11, 4.5, -0.5))  # points of a name, tried from the largest to the smallest
WIDTH = 11  # inches of the widest diagram on new axes: a page or a slide

# === Steps, in inches ===
BOX_WIDTH, ARROW, GAP, PADDING = 2.0, 0.32, 0.16, 0.08
BOX_COLOUR = "#F2F2F2"  # black text is readable on it, in grey print as well

# === Blocks of a network, in inches ===
COLUMN, TITLE = 1.15, 0.3
TALLEST = 1.8  # the largest resolution
VARIABLE = 0.9  # a resolution that the input decides
THINNEST = 0.06  # one pixel, or one channel
SHARE = 0.68  # width of the widest block, in columns
# Layers that keep the shape. Where they would make a block of their own, they join the block
# before: an activation is drawn with its convolution.
JOINING = (
    "Activation",
    "BatchNormalization",
    "Dropout",
    "LeakyReLU",
    "PReLU",
    "Permute",
    "ReLU",
)

# === Pictures in splits ===
SQUARE = 0.3  # inches, at most
ROW = 0.24  # inches from row to row, at least: the height of a protocol's name
NAMES = 1.5  # inches for the names of protocols, on new axes
GROUP_GAP, ROW_GAP = 0.4, 0.5  # in squares


def plot_flow(
    steps: Sequence[tuple[str, str] | list[tuple[str, str]]], *, ax: Axes | None = None
) -> Axes:
    """Draw the steps of a method as boxes from left to right, with arrows between them.

    If two neighbouring columns have the same number of boxes, each box is joined to the one beside
    it; otherwise to all boxes of the next column.

    Args:
        steps: One `(name, note)` per column, or a list of them for boxes above each other. A note
            may be empty. Long text is wrapped; a newline starts a new line.
        ax: Axes to draw on; new axes, 11 inches wide or less, by default.

    Raises:
        ValueError: If the text does not fit into the axes at a readable size.

    Example:
        >>> steps = [("photo", ""), [("age", "101 years"), ("gender", "2 labels")]]
        >>> [text.get_text() for text in plot_flow(steps).texts]
        ['photo', 'age', '101 years', 'gender', '2 labels']
    """
    columns = [step if isinstance(step, list) else [step] for step in steps]
    count, rows = max(len(columns), 1), max(map(len, columns), default=1)
    width, height = (
        _measure(ax) if ax else (min(WIDTH, count * (BOX_WIDTH + ARROW) - ARROW), np.inf)
    )
    box_width = min((width - ARROW * (count - 1)) / count, BOX_WIDTH)
    for size in SIZES:
        wrapped = [
            [_wrap_box(box, size, box_width - 2 * PADDING) for box in each] for each in columns
        ]
        texts = [[text for text in each if text is not None] for each in wrapped]
        heights = [
            max(map(_count_lines, each), default=1) * size * LINE / POINTS + 2 * PADDING
            for each in texts
        ]
        across, down = box_width + ARROW, max(heights, default=0.3) + GAP
        if texts == wrapped and rows * down - GAP <= height:
            break
    else:
        raise ValueError(
            f"`steps` must fit into {width:.1f} x {height:.1f} inches at {SIZES[-1]:g} points or "
            "more; use larger axes, fewer boxes or shorter words."
        )
    if ax is None:
        height = rows * down - GAP
        ax = _make_axes(width + 0.05, height + 0.05)
    _set_inches(ax)
    middles: list[np.ndarray] = []
    for index, (column, box_height) in enumerate(zip(texts, heights, strict=True)):
        left = (index - count / 2) * across + ARROW / 2
        middles.append(_spread(len(column), down))
        for text, middle in zip(column, middles[-1], strict=True):
            ax.add_patch(
                FancyBboxPatch(
                    (left, middle - box_height / 2),
                    box_width,
                    box_height,
                    boxstyle="round,pad=0,rounding_size=0.05",
                    facecolor=BOX_COLOUR,
                    edgecolor="black",
                    clip_on=False,
                )
            )
            top = middle + _count_lines(text) * size * LINE / POINTS / 2
            _write(ax, text, left + box_width / 2, top, size)
        for before in middles[index - 1] if index else ():
            for after in middles[index]:
                if len(middles[index - 1]) != len(column) or before == after:
                    _draw_arrow(ax, (left - ARROW, before), (left, after))
    return ax


def plot_architecture(network: Any, *, ax: Axes | None = None) -> Axes:
    """Draw a network as blocks from left to right.

    Above each block stand its name and its number of parameters, below it the shape of its output.
    Its height follows the resolution, its width the square root of the channels. Sides that the
    input decides are h and w, and their blocks all have the same height.

    Args:
        network: A Keras model. Layers belong to one block if the parts of their names before the
            first underscore are equal: `stage1a_conv` and `stage1a_norm` are in `stage1a`. A layer
            with an automatic name, such as `max_pooling2d_1`, is a block of its own, but
            activations and the like join the block before. Several outputs are drawn above each
            other.
        ax: Axes to draw on; new axes, 11 inches wide or less, by default.

    Example:
        >>> from facekit.networks.attributes import build_attribute_cnn
        >>> network = build_attribute_cnn(["gender"], channels=1, widths=(4, 4), blocks=1)
        >>> [text.get_text() for text in plot_architecture(network).texts][2:5]
        ['stem', '52', '32 x 32 x 4']
    """
    blocks = _group_layers(network)
    heads = [block for block in blocks if block.is_head]
    columns = [[block] for block in blocks if not block.is_head] + ([heads] if heads else [])
    width, height = _measure(ax) if ax else (min(WIDTH, COLUMN * len(columns)), np.inf)
    column_width = width / max(len(columns), 1)
    for size in SIZES[2:]:
        if all(block.measure(size) <= 0.95 * column_width for block in blocks):
            break
    line = size * LINE / POINTS
    # There are two lines of text above a block and one below it; half a line parts the heads.
    around = 4.4 * line
    scale = float(np.clip((height - around) / TALLEST, 0.2, 1))
    largest = max((block.side or 0 for block in blocks), default=0)
    widest = max((block.channels for block in blocks), default=1)
    tallest_head = max((block.compute_height(largest) * scale for block in heads), default=0)
    pitch = tallest_head + 3.6 * line
    # Arrows to the heads turn beside the texts.
    knee = max((block.measure(size) for block in heads), default=0) / 2
    if ax is None:
        height = max(TALLEST, pitch * (len(heads) - 1) + tallest_head) + around
        ax = _make_axes(width, height + TITLE, TITLE)
    _set_inches(ax)
    end = end_of_text = -width / 2  # of the block before
    for index, column in enumerate(columns):
        centre = (index + 0.5) * column_width - width / 2
        for block, middle in zip(
            column, _spread(len(column), min(pitch, height / len(column))), strict=True
        ):
            tall = block.compute_height(largest) * scale
            wide = max(SHARE * column_width * (block.channels / widest) ** 0.5, THINNEST)
            corner = (centre - wide / 2, middle - tall / 2)
            ax.add_patch(Rectangle(corner, wide, tall, facecolor=PLAIN_COLOUR, edgecolor="black"))
            if block.is_head:
                turns = [end, max(end, end_of_text), centre - knee]
                ax.plot(turns, [0, 0, middle], "k-", linewidth=1, clip_on=False)
                _draw_arrow(ax, (centre - knee, middle), (corner[0], middle))
            elif index:
                _draw_arrow(ax, (end, 0), (corner[0], 0))
            count = [f"{block.parameters:,}"] if block.parameters else []
            top = middle + tall / 2 + (1.1 + len(count)) * line
            _write(ax, ([block.name], count), centre, top, size)
            _write(ax, ([], [block.output]), centre, corner[1] - 0.15 * line, size)
        end, end_of_text = centre + wide / 2, centre + block.measure(size) / 2
    total = sum(block.parameters for block in blocks)
    ax.set_title(f"{network.name}: {total:,} parameters", loc="left", fontweight="bold")
    ax.set_title("above: parameters; below: output", loc="right", fontsize="small")
    return ax


def plot_splits(
    splits: Mapping[str, Sequence[str]], groups: Sequence, *, ax: Axes | None = None
) -> Axes:
    """Draw each picture as a square in the colour of its split, one row per protocol.

    Args:
        splits: By protocol, the split of each picture: a key of `SPLIT_COLOURS`.
        groups: The group of each picture, such as its subject, in the same order. A gap separates
            neighbouring pictures of different groups.
        ax: Axes to draw on; new axes, 11 inches wide or less, by default.

    Raises:
        ValueError: If a split is unknown, or a protocol has another number of pictures.

    Example:
        >>> splits = {"random": ["train", "test"], "by subject": ["train", "train"]}
        >>> len(plot_splits(splits, groups=["Ann", "Ann"]).patches)
        4
    """
    for protocol, names in splits.items():
        if len(names) != len(groups):
            raise ValueError(
                f"`splits` must have one split per picture ({len(groups)}); {protocol!r} has "
                f"{len(names)}."
            )
        unknown = sorted(set(names) - set(SPLIT_COLOURS))
        if unknown:
            raise ValueError(
                f"`splits` must be of {', '.join(SPLIT_COLOURS)}; {protocol!r} has {unknown}."
            )
    labels = np.asarray(groups)
    gaps = np.cumsum(np.concatenate([[False], labels[1:] != labels[:-1]])[: len(labels)])
    lefts = np.arange(len(labels)) + GROUP_GAP * gaps
    across = max(lefts[-1] + 1 if len(lefts) else 0, 1)
    width = _measure(ax)[0] if ax else WIDTH - NAMES
    square = min(SQUARE, width / across)  # inches
    pitch = max(1 + ROW_GAP, ROW / square)  # from row to row, in squares
    tops = np.arange(len(splits)) * pitch
    down = max(len(splits), 1) * pitch
    if ax is None:
        size = (max(across * square + NAMES, 6), down * square + 1)  # 1: title and legend
        ax = plt.subplots(figsize=size, layout="constrained")[1]
    prepare_axes(ax, "The split of each picture (a gap separates groups)")
    for split, colour in SPLIT_COLOURS.items():
        label = split
        for top, names in zip(tops, splits.values(), strict=True):
            for left in lefts[np.asarray(names) == split]:
                ax.add_patch(
                    Rectangle((left, top), 1, 1, facecolor=colour, edgecolor="white", label=label)
                )
                label = "_nolegend_"  # one entry per split
    ax.set(xlim=(-0.2, max(across, width / SQUARE) + 0.2), ylim=(down, -0.2))
    ax.set(aspect="equal", anchor="W", xticks=[], yticks=tops + 0.5, yticklabels=list(splits))
    ax.spines[:].set_visible(False)
    ax.tick_params(length=0)
    if ax.patches:
        ax.legend(frameon=False, loc="upper left", bbox_to_anchor=(0, 0), ncols=6, borderpad=0)
    return ax


@dataclass(frozen=True)
class _Block:
    """A group of layers, with the shape of its last output (no batch; `None`: the input's)."""

    name: str
    shape: tuple[int | None, ...]
    parameters: int
    is_head: bool = False

    @property
    def side(self) -> int | None:
        return self.shape[0] if len(self.shape) > 1 else 1

    @property
    def channels(self) -> int:
        return (self.shape or (1,))[-1] or 1

    @property
    def output(self) -> str:
        sides = ("h", "w", "d")
        return " x ".join(
            str(length or letter) for length, letter in zip(self.shape, sides, strict=False)
        )

    def measure(self, size: float) -> float:
        """Return the width of the text, in inches."""
        lines = (f"{self.parameters:,}", self.output)
        return max(
            _measure_text(self.name, size, bold=True),
            *(_measure_text(line, NOTE * size) for line in lines),
        )

    def compute_height(self, largest: int) -> float:
        if self.side is None:
            return VARIABLE
        return max(TALLEST * self.side / max(largest, 1), THINNEST)


def _group_layers(network: Any) -> list[_Block]:
    outputs = network.outputs if len(network.outputs) > 1 else []
    groups: dict[str, list] = {}
    for layer in network.layers:
        kind = type(layer).__name__
        automatic = re.sub(r"_\d+$", "", layer.name).replace("_", "") == kind.lower()
        key = layer.name if automatic else layer.name.partition("_")[0]
        if key not in groups and groups and kind in JOINING:
            key = list(groups)[-1]
        groups.setdefault(key, []).append(layer)
    blocks = []
    for key, layers in groups.items():
        name = re.sub(r"(2d)?(_\d+)?$", "", key).replace("_", " ") if "_" in key else key
        shape = tuple(layers[-1].output.shape[1:])
        parameters = sum(layer.count_params() for layer in layers)
        is_head = any(layers[-1].output is output for output in outputs)
        blocks.append(_Block(name, shape, parameters, is_head))
    return blocks


def _make_axes(width: float, height: float, title: float = 0) -> Axes:
    figure = plt.figure(figsize=(width, height))
    return figure.add_axes((0, 0, 1, 1 - title / height))


def _measure(ax: Axes) -> tuple[float, float]:
    """Return the width and the height of axes, in inches."""
    figure = ax.get_figure(root=True)
    assert figure is not None  # axes stay in one until they are removed
    return ax.bbox.width / figure.dpi, ax.bbox.height / figure.dpi


def _set_inches(ax: Axes) -> None:
    """Make one unit one inch, with the origin in the middle."""
    width, height = _measure(ax)
    ax.set(xlim=(-width / 2, width / 2), ylim=(-height / 2, height / 2))
    ax.axis("off")


def _spread(count: int, pitch: float) -> np.ndarray:
    """Return places around 0, from the upper one to the lower one."""
    return ((count - 1) / 2 - np.arange(count)) * pitch


@functools.cache
def _measure_text(text: str, size: float, bold: bool = False) -> float:
    """Return the width of one line of text, in inches."""
    if not text.strip():
        return len(text) * 0.3 * size / POINTS
    outline = TextPath((0, 0), text, size, prop=FontProperties(weight="bold" if bold else "normal"))
    return outline.get_extents().width * SAFETY / POINTS


def _wrap_box(
    box: tuple[str, str], size: float, width: float
) -> tuple[list[str], list[str]] | None:
    """Return the lines of a name and of its note, or `None` if a word is too wide."""
    name, note = box
    parts = []
    for text, points, bold in ((name, size, True), (note, NOTE * size, False)):
        lines: list[str] = []
        for paragraph in text.split("\n") if text else ():
            line = ""
            for word in paragraph.split():
                longer = f"{line} {word}".strip()
                if line and _measure_text(longer, points, bold) > width:
                    lines.append(line)
                    longer = word
                line = longer
            lines.append(line)
        if any(_measure_text(line, points, bold) > width for line in lines):
            return None
        parts.append(lines)
    return parts[0], parts[1]


def _count_lines(text: tuple[list[str], list[str]]) -> float:
    """Return the height of a name and its note, in lines of the name."""
    return len(text[0]) + NOTE * len(text[1])


def _write(ax: Axes, text: tuple[list[str], list[str]], x: float, top: float, size: float) -> None:
    """Write a bold name and a note below it, line by line from the top."""
    for lines, points, weight in ((text[0], size, "bold"), (text[1], NOTE * size, "normal")):
        for line in lines:
            y = top - BASELINE * points / POINTS
            ax.text(x, y, line, fontsize=points, weight=weight, ha="center", va="baseline")
            top -= LINE * points / POINTS


def _draw_arrow(ax: Axes, start: tuple[float, float], end: tuple[float, float]) -> None:
    ax.add_patch(
        FancyArrowPatch(
            start,
            end,
            arrowstyle="-|>",
            color="black",
            shrinkA=0,
            shrinkB=0,
            mutation_scale=9,
            clip_on=False,
        )
    )
