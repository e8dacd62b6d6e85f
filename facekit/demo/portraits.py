"""Sample photos that come with scikit-image and matplotlib, and a group picture made of them."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from PIL import Image

from facekit.images import read_image

MONTAGE_SIZE = (1200, 800)  # pixels
# Left, top and width of each portrait in the montage, and its rotation in degrees, similar to a
# photo of a group.
MONTAGE_PLACES = (
    (40, 90, 330, 6),
    (430, 40, 250, 0),
    (760, 120, 380, -7),
    (330, 430, 300, -4),
    (720, 470, 240, 9),
    (90, 520, 180, 0),
)


def load_portraits() -> dict[str, np.ndarray]:
    """Return scikit-image's astronaut, matplotlib's Grace Hopper, and a montage of both.

    Returns:
        HxWx3 RGB uint8 by file name.

    Raises:
        ModuleNotFoundError: If scikit-image or matplotlib is not installed (`pip install
            "facekit[demo]"`).

    Example:
        >>> list(load_portraits())
        ['astronaut.png', 'grace_hopper.jpg', 'group.jpg']
    """
    from matplotlib import get_data_path
    from skimage import data

    astronaut = data.astronaut()  # Eileen Collins; NASA, public domain
    # Grace Hopper; US Navy, public domain
    hopper = read_image(Path(get_data_path(), "sample_data", "grace_hopper.jpg"))
    return {
        "astronaut.png": astronaut,
        "grace_hopper.jpg": hopper,
        "group.jpg": make_montage([astronaut[:300, 60:390], hopper]),
    }


def make_montage(portraits: Sequence[np.ndarray]) -> np.ndarray:
    """Place portraits, in turn, at several sizes and angles on a grey background.

    Args:
        portraits: One or more pictures, HxWx3 RGB uint8.

    Returns:
        800x1200x3 RGB uint8.

    Example:
        >>> make_montage([np.zeros((40, 30, 3), np.uint8)]).shape
        (800, 1200, 3)
    """
    ground = Image.new("RGB", MONTAGE_SIZE, (120, 125, 130))
    for index, (left, top, width, turn) in enumerate(MONTAGE_PLACES):
        portrait = Image.fromarray(portraits[index % len(portraits)])
        portrait = portrait.resize(
            (width, round(width * portrait.height / portrait.width)), Image.Resampling.LANCZOS
        )
        turned = portrait.convert("RGBA").rotate(turn, Image.Resampling.BICUBIC, expand=True)
        ground.paste(turned, (left, top), turned)
    return np.array(ground)
