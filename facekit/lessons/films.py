"""Read the film of a lesson into memory, with errors that name its parameter."""

from __future__ import annotations

import itertools
from pathlib import Path

import numpy as np

from facekit.images import shrink_image
from facekit.lessons.parameters import name_parameter, require_frames
from facekit.video import read_frames

LONGEST_SIDE = 640  # pixels; a camera's frames are as large, and larger ones fill the memory
MOST_FRAMES = 500  # 20 seconds; each frame is analysed several times, and kept in memory


def read_film(path: str | Path, at_least: int = 1, parameter: str = "source") -> np.ndarray:
    """Return the first frames of a film.

    Args:
        path: Video file.
        at_least: Number of frames that the lesson needs.
        parameter: Name of the lesson's parameter that chose the film.

    Returns:
        (frames, height, width, 3) RGB uint8; at most `MOST_FRAMES` frames, made smaller to
        `LONGEST_SIDE`.

    Raises:
        ParameterError: If the film cannot be read or is too short.

    Example:
        >>> import tempfile
        >>> from facekit.demo import make_film
        >>> path = Path(tempfile.mkdtemp(), "film.mp4")
        >>> _ = make_film(path, seconds=0.2)
        >>> read_film(path).shape
        (3, 360, 640, 3)
    """
    try:
        first = itertools.islice(read_frames(path), MOST_FRAMES)
        frames = [shrink_image(pixels, LONGEST_SIDE) for _, pixels in first]
    except (ValueError, OSError) as error:
        raise name_parameter(parameter, error) from None
    require_frames(len(frames), at_least, parameter)
    return np.stack(frames)
