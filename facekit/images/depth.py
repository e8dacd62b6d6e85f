"""Bring pictures of more than 8 bits per value to 8 bits.

Cameras and scanners store 10, 12 or 14 bits in files of 16, and programs store floating-point
values from 0 to 1 or from 0 to 255. The files do not say which value is white. It is estimated from
the type of the values and from a high percentile of them, never from the single brightest value:
one hot pixel, or one value that interpolation pushed to 1.001, must not make the rest black.
"""

from __future__ import annotations

import contextlib
from collections.abc import Iterator

import cv2
import numpy as np

BRIGHT_SHARE = 0.999  # of the values lie at or below the percentile that white is estimated from
MOST_VALUES = 1_000_000  # that the percentile is estimated from; more would only take time
INTEGER_WHITES = tuple(2**bits - 1 for bits in (8, 10, 12, 14, 16))
FLOAT_WHITES = (1, *INTEGER_WHITES)
OVERSHOOT = 1.25  # that interpolation and sharpening may add to floating-point values
# Below this share of a white from 8 bits on, floating-point values fit no usual range.
DARKEST_SHARE = 1 / 16
# Share of the brightest value from which on negative values are no mere ringing at an edge.
SIGNED_SHARE = 0.1


def scale_to_8_bits(values: np.ndarray) -> np.ndarray:
    """Bring values of any range to 0 to 255.

    White is the smallest of 255, 1023, 4095, 16383 and 65535 that holds nearly all values; above
    that, the next power of two. For floating-point values it may also be 1, or the bright
    percentile itself if no usual range fits (high dynamic range). If values are clearly negative,
    as in network input from -1 to 1, the range is taken to be symmetric around 0.

    Args:
        values: Array of any shape, integer or floating point. NaN counts as 0, infinity as white.

    Returns:
        uint8 array of the same shape.

    Example:
        >>> scale_to_8_bits(np.array([0, 2048, 4095], np.uint16)).tolist()
        [0, 128, 255]
        >>> scale_to_8_bits(np.array([0, 0.5, 1.0])).tolist()
        [0, 128, 255]
    """
    is_float = values.dtype.kind == "f"
    values = values.astype(np.float32)
    low, high = _measure_range(values)
    is_signed = low < -SIGNED_SHARE * max(high, 0) and low < 0
    white = _find_white(max(high, -low) if is_signed else high, is_float)
    with np.errstate(over="ignore"):  # of a value near the largest number, which becomes white
        scaled = (values / white + 1) * 127.5 if is_signed else values * (255 / white)
    scaled = np.nan_to_num(scaled, nan=127.5 if is_signed else 0, posinf=255, neginf=0)
    return np.clip(np.round(scaled), 0, 255).astype(np.uint8)


def _measure_range(values: np.ndarray) -> tuple[float, float]:
    """Return a low and a high percentile of the finite values; (0, 0) if there are none."""
    some = values.ravel()[:: max(values.size // MOST_VALUES, 1)]
    some = np.sort(some[np.isfinite(some)])
    if not len(some):
        return 0.0, 0.0
    rank = int(BRIGHT_SHARE * (len(some) - 1))
    return float(some[len(some) - 1 - rank]), float(some[rank])


def _find_white(high: float, is_float: bool) -> float:
    """Return the value that becomes 255 where nearly all values are at most `high`."""
    slack = OVERSHOOT if is_float else 1.0
    whites = FLOAT_WHITES if is_float else INTEGER_WHITES
    white = next((white for white in whites if high <= white * slack), 0)
    if not white:
        return float(2 ** int(np.ceil(np.log2(high + 1))) - 1) if not is_float else high
    if is_float and white > 1 and high < white * DARKEST_SHARE:
        return high
    return float(white)


def decode_deep_colours(content: bytes) -> np.ndarray | None:
    """Decode a colour picture of 16-bit or floating-point values, which Pillow cuts to 8 bits.

    Args:
        content: What the picture's file holds.

    Returns:
        HxWx3 RGB or HxWx4 RGBA, uint8, without its orientation applied; `None` if OpenCV cannot
        decode it or if the upper 8 bits of each value are the picture, so that Pillow is right.

    Example:
        >>> content = cv2.imencode(".png", np.full((4, 4, 3), 1023, np.uint16))[1].tobytes()
        >>> int(decode_deep_colours(content).max())
        255
    """
    values = None
    with silence_opencv(), contextlib.suppress(cv2.error):
        values = cv2.imdecode(np.frombuffer(content, np.uint8), cv2.IMREAD_UNCHANGED)
    if values is None or values.ndim != 3 or values.shape[2] not in (3, 4):
        return None
    if values.dtype == np.uint8:
        return None
    colours = cv2.cvtColor(values[..., :3], cv2.COLOR_BGR2RGB)
    if values.dtype == np.uint16 and _find_white(_measure_range(colours)[1], False) == 65535:
        return None
    scaled = scale_to_8_bits(colours)
    if values.shape[2] == 3:
        return scaled
    opaque = 65535 if values.dtype == np.uint16 else 1
    alpha = np.clip(values[..., 3:] * (255 / opaque), 0, 255).astype(np.uint8)
    return np.concatenate([scaled, alpha], axis=2)


@contextlib.contextmanager
def silence_opencv() -> Iterator[None]:
    """Keep OpenCV from writing to stderr, because facekit reports failures in its own words.

    Example:
        >>> with silence_opencv():
        ...     cv2.imread("no such file.jpg") is None
        True
    """
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)
