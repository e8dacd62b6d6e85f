"""Analyse one uploaded picture, and keep only what a page shows of it."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from facekit.analysis import Analysis
from facekit.images import (
    ImageError,
    cut_crops,
    decode_image,
    encode_jpeg,
    encode_png,
    shrink_image,
)
from facekit.pipeline import FaceAnalyzer
from facekit.registry import ModelError

VIEW_SIDE = 1280  # pixels; the longer side of a picture sent to the page is at most this
CROP_SIDE = 224  # pixels; side of the crop of a face
VIEW_QUALITY, CROP_QUALITY = 85, 88  # of JPEG: crops are shown enlarged, and explained


@dataclass(frozen=True, eq=False)
class Picture:
    """One uploaded picture and its analysis.

    Attributes:
        name: Name of the file, made unique if several files share it.
        type: MIME type, as the browser guesses it.
        size: Size of the file in bytes.
        last_modified: Seconds since 1970.
        analysis: The analysis without its pixels; `None` if the picture could not be read.
        error: Why the picture could not be read, or "".
        size_hw: Height and width of the picture in pixels.
        preview: JPEG of the whole picture, at most `VIEW_SIDE` pixels long. The page marks the
            faces itself, so that text stays readable at any width.
        crops: JPEG of each face, upright, `CROP_SIDE` pixels wide.

    Example:
        >>> Picture("a.jpg", error="a.jpg: has no pixels (0 x 4).").analysis is None
        True
    """

    name: str
    type: str = ""
    size: int = 0
    last_modified: float = 0.0
    analysis: Analysis | None = None
    error: str = ""
    size_hw: tuple[int, int] = (0, 0)
    preview: bytes = field(default=b"", repr=False)
    crops: tuple[bytes, ...] = field(default=(), repr=False)


def analyze_picture(content: bytes, name: str, analyzer: FaceAnalyzer) -> Picture:
    """Analyse a picture that is in memory.

    Args:
        content: Content of the file.
        name: Name of the file.
        analyzer: The analyzer to use.

    Returns:
        The picture. If it cannot be read, its `error` says why.

    Example:
        >>> import numpy as np
        >>> content = encode_png(np.zeros((40, 60, 3), np.uint8))
        >>> picture = analyze_picture(content, "black.png", FaceAnalyzer())
        >>> picture.size_hw, len(picture.analysis)
        ((40, 60), 0)
    """
    try:
        pixels = decode_image(content, name)
        analysis = replace(analyzer.analyze(pixels), image=name)
    except (ImageError, ModelError, MemoryError) as error:
        reason = str(error) or f"{name}: is too large for this machine's memory; make it smaller."
        return Picture(name, error=reason)
    crops = cut_crops(pixels, analysis.faces, CROP_SIDE, 3)
    return Picture(
        name,
        analysis=replace(analysis, pixels=None),
        size_hw=(pixels.shape[0], pixels.shape[1]),
        preview=encode_jpeg(shrink_image(pixels, VIEW_SIDE), VIEW_QUALITY),
        crops=tuple(encode_jpeg(crop, CROP_QUALITY) for crop in crops),
    )


def draw_picture(content: bytes, analysis: Analysis) -> bytes:
    """Return a picture with its faces annotated, as PNG of the picture's own size.

    Args:
        content: Content of the picture's file.
        analysis: The analysis of the picture.

    Raises:
        ImageError: If the picture cannot be read.

    Example:
        >>> import numpy as np
        >>> content = encode_png(np.zeros((40, 60, 3), np.uint8))
        >>> picture = analyze_picture(content, "black.png", FaceAnalyzer())
        >>> draw_picture(content, picture.analysis)[1:4]
        b'PNG'
    """
    pixels = decode_image(content, analysis.image)
    return encode_png(replace(analysis, pixels=pixels).draw())
