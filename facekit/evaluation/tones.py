"""Measure how light the skin in a picture is, which is not how light somebody's skin is: lamp, camera and make-up are measured, too."""

from __future__ import annotations

import cv2
import numpy as np

CHEEKS_XY = (
    (0.30, 0.58),
    (0.70, 0.58),
)  # in a crop of side 1, beside the nose and below the eyes of `images.TEMPLATE_XY`
CHEEK_SIDE = 0.1


def measure_tones(crops: np.ndarray) -> np.ndarray:
    """Return the individual typology angle of each crop's cheeks, (crops,) float64 degrees: above
    55 for very light, below -30 for dark.

    Args:
        crops: (crops, side, side, 3) RGB uint8, aligned as by `images.cut_crops`.

    Reference: Chardon, Cretois, Hourseau, 1991, Skin colour typology and suntanning pathways.
    """
    if not len(crops):
        return np.zeros(0)
    side = crops.shape[1]
    half = max(round(CHEEK_SIDE * side / 2), 1)
    patches = [
        crops[
            :,
            int(y * side) - half : int(y * side) + half,
            int(x * side) - half : int(x * side) + half,
        ]
        for x, y in CHEEKS_XY
    ]
    pixels = np.concatenate(patches, axis=1).reshape(len(crops), -1, 3)  # (crops, pixels, 3)
    lab = cv2.cvtColor(
        np.median(pixels, axis=1).astype(np.float32)[:, None] / 255, cv2.COLOR_RGB2LAB
    )[:, 0]  # (crops, 3)
    return np.degrees(np.arctan2(lab[:, 0].astype(np.float64) - 50, lab[:, 2]))
