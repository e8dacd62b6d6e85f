"""Smooth outlines, and a canvas to paint them on.

Outlines are (points, 2), x to the right of the face's midline and y down from the picture's top, in
units of the picture's side.
"""

from __future__ import annotations

import functools

import cv2
import numpy as np

LIDS = np.linspace(-1, 1, 15)  # along an eye or a mouth, from corner to corner
STEPS = np.linspace(0, 1, 7)[:-1, None] ** np.arange(4)  # (6, 4): powers along one piece of a curve
CATMULL_ROM = STEPS @ np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
CIRCLE = np.stack([np.cos(np.arange(24) * np.pi / 12), np.sin(np.arange(24) * np.pi / 12)], axis=1)
MIRROR, DOWN = np.array((-1.0, 1.0)), np.array((0.0, 1.0))
CENTRE = np.array((0.5, 0.0))  # of the picture, where the midline lies


def make_curve(*points_xy, closed: bool = False) -> np.ndarray:
    """Return a smooth line through points, (samples, 2): a Catmull-Rom spline.

    Example:
        >>> make_curve((0, 0), (1, 1)).shape
        (7, 2)
    """
    points = np.array(points_xy, float)
    padded = np.concatenate(
        [points[-1:], points, points[:2]] if closed else [points[:1], points, points[-1:]]
    )
    pieces = padded[np.arange(len(padded) - 3)[:, None] + np.arange(4)]  # (pieces, 4, 2)
    line = (CATMULL_ROM @ pieces).reshape(-1, 2)
    return line if closed else np.concatenate([line, points[-1:]])


def make_ellipse(x: float, y: float, width: float, height: float) -> np.ndarray:
    """Return the outline of an ellipse about a point, (24, 2).

    Example:
        >>> make_ellipse(0, 0.5, 0.2, 0.1)[0].tolist()
        [0.2, 0.5]
    """
    return CIRCLE * (width, height) + np.array((x, y))


def _find_normals(line_xy: np.ndarray) -> np.ndarray:
    """Return unit vectors across a line, (samples, 2)."""
    ends = np.concatenate([line_xy[:1], line_xy, line_xy[-1:]])
    along = ends[2:] - ends[:-2]
    return along[:, ::-1] * MIRROR / np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)


@functools.lru_cache
def _taper(count: int, power: float) -> np.ndarray:
    return np.sin(np.linspace(0.08, np.pi - 0.08, count))[:, None] ** power


def make_ribbon(line_xy: np.ndarray, width: float | np.ndarray, taper: float = 0.6) -> np.ndarray:
    """Return the outline of a stroke along a line.

    It is thinner towards its ends, the more so the larger `taper` is.

    Example:
        >>> make_ribbon(make_curve((0, 0), (1, 1)), width=0.1).shape
        (14, 2)
    """
    aside = _find_normals(line_xy) * (_taper(len(line_xy), taper) * width / 2)
    return np.concatenate([line_xy + aside, (line_xy - aside)[::-1]])


def ruffle(outline_xy: np.ndarray, texture: str) -> np.ndarray:
    """Give an outline the bumps of wavy or coily hair.

    Example:
        >>> ruffle(make_ellipse(0, 0.5, 0.2, 0.1), "wavy").shape
        (108, 2)
    """
    if texture == "straight":
        return outline_xy
    depth, bumps = (0.010, 9) if texture == "wavy" else (0.014, 24)
    places = np.linspace(0, len(outline_xy) - 1, 12 * bumps)
    finer = np.stack(
        [np.interp(places, range(len(outline_xy)), axis) for axis in outline_xy.T], axis=1
    )
    return finer - _find_normals(finer) * depth * (
        np.abs(np.sin(np.linspace(0, bumps * np.pi, len(finer))))[:, None] - 0.4
    )


class Canvas:
    """Two layers: sharp paint, and over it a glaze that is blurred later.

    Attributes:
        side: In pixels.
        paint: (side, side, 4) uint8 RGBA, premultiplied.
        glaze: (side, side, 4) uint8 factors; 255 leaves the paint as it is.

    Example:
        >>> canvas = Canvas(16)
        >>> canvas.fill(make_ellipse(0, 0.5, 0.2, 0.2), (255, 0, 0))
        >>> canvas.paint[8, 8].tolist()
        [255, 0, 0, 255]
    """

    def __init__(self, side: int) -> None:
        self.side = side
        self.paint = np.zeros((side, side, 4), np.uint8)
        self.glaze = np.full((side, side, 4), 255, np.uint8)

    def _draw(self, layer: np.ndarray, outline_xy: np.ndarray, colour: tuple) -> None:
        pixels = (outline_xy + CENTRE) * (16 * self.side) - 7.5  # in sixteenths
        cv2.fillPoly(layer, [pixels.astype(np.int32)], colour, cv2.LINE_AA, shift=4)

    def fill(self, outline_xy: np.ndarray, colour) -> None:
        """Paint a shape, RGB; the glaze stays."""
        self._draw(self.paint, outline_xy, (*map(float, colour), 255))

    def cover(self, outline_xy: np.ndarray, colour) -> None:
        """Fill a shape and remove the glaze below it."""
        self._draw(self.glaze, outline_xy, (255, 255, 255, 255))
        self.fill(outline_xy, colour)

    def tint(self, outline_xy: np.ndarray, strength: float, colour=(120, 70, 64)) -> None:
        """Darken a shape softly towards a colour."""
        strength = min(strength, 1)
        self._draw(
            self.glaze,
            outline_xy,
            (*(255 - strength * (255 - float(value)) for value in colour), 255),
        )

    def crease(self, strength: float, width: float, *points_xy) -> None:
        """Darken a line on either side of the face, unless it is too faint.

        A line that starts left of the midline is drawn once, across the face.
        """
        if strength > 0.04:
            outline = make_ribbon(make_curve(*points_xy), width)
            self.tint(outline, strength)
            if points_xy[0][0] > 0:
                self.tint(outline * MIRROR, strength)


def mirror(points_xy: list) -> list:
    """Return the points of one half, from the middle outwards, and back those of the other half.

    Example:
        >>> mirror([(1, 2), (3, 4)])
        [(1, 2), (3, 4), (-3, 4), (-1, 2)]
    """
    return [*points_xy, *[(-x, y) for x, y in points_xy[::-1]]]
