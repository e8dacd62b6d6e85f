"""Encode pixels as JPEG or PNG, and put files into web pages as data URIs.

This is the one place where facekit encodes pictures. Writing the bytes to a file is left to
`files`.
"""

from __future__ import annotations

import base64
import io

import cv2
import numpy as np
from PIL import Image

JPEG_QUALITY = 90
JPEG_SIDE = 65_500  # pixels; the format holds no more


def encode_jpeg(pixels: np.ndarray, quality: int = JPEG_QUALITY) -> bytes:
    """Encode a picture as JPEG.

    Args:
        pixels: HxWx3 RGB or HxW grey, uint8, at most 65,500 pixels high and wide.
        quality: 1 to 100; a higher quality makes a larger file.

    Returns:
        What a `.jpg` file holds.

    Raises:
        ValueError: If the pixels or the quality are out of range.

    Example:
        >>> encode_jpeg(np.zeros((8, 8, 3), np.uint8))[:3].hex()
        'ffd8ff'
    """
    pixels = _check_pixels(pixels)
    if not 1 <= quality <= 100:
        raise ValueError(f"`quality` must be 1 to 100; got {quality}.")
    if max(pixels.shape[:2]) > JPEG_SIDE:
        raise ValueError(
            f"`pixels` must be at most {JPEG_SIDE} high and wide for JPEG; "
            f"got {pixels.shape[0]} x {pixels.shape[1]}. Encode them as PNG."
        )
    # OpenCV, because live views encode each frame and Pillow takes longer.
    ordered = pixels if pixels.ndim == 2 else cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR)
    return cv2.imencode(".jpg", ordered, [cv2.IMWRITE_JPEG_QUALITY, quality])[1].tobytes()


def encode_png(pixels: np.ndarray) -> bytes:
    """Encode a picture as PNG, without loss.

    Args:
        pixels: HxWx3 RGB or HxW grey, uint8.

    Returns:
        What a `.png` file holds.

    Raises:
        ValueError: If the pixels are of another form.

    Example:
        >>> encode_png(np.zeros((8, 8, 3), np.uint8))[1:4]
        b'PNG'
    """
    file = io.BytesIO()
    Image.fromarray(_check_pixels(pixels)).save(file, "PNG")  # smaller files than OpenCV's
    return file.getvalue()


def make_data_uri(content: bytes, mime: str) -> str:
    """Return a file as a data URI, which a web page can hold in place of a link to the file.

    Args:
        content: What the file holds.
        mime: Its type, such as `"image/jpeg"`.

    Example:
        >>> make_data_uri(b"abc", "text/plain")
        'data:text/plain;base64,YWJj'
    """
    return f"data:{mime};base64,{base64.b64encode(content).decode('ascii')}"


def _check_pixels(pixels: np.ndarray) -> np.ndarray:
    pixels = np.asarray(pixels)
    is_grey, is_colour = pixels.ndim == 2, pixels.ndim == 3 and pixels.shape[2] == 3
    if pixels.dtype != np.uint8 or not (is_grey or is_colour) or pixels.size == 0:
        raise ValueError(
            "`pixels` must be HxWx3 RGB or HxW grey, uint8; "
            f"got {pixels.dtype} of shape {pixels.shape}."
        )
    return pixels
