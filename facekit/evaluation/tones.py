"""Measure how light the skin in a picture is.

This is not the skin tone of a person: the lamp, the camera and make-up are measured too.
"""

from __future__ import annotations

import cv2
import numpy as np

# Positions in a crop of side 1: beside the nose and below the eyes of `images.TEMPLATE_XY`.
CHEEKS_XY = ((0.30, 0.58), (0.70, 0.58))
CHEEK_SIDE = 0.1  # side of the square that is measured, in sides of the crop


def measure_tones(crops: np.ndarray) -> np.ndarray:
    """Return the individual typology angle of the cheeks in each crop, (crops,) float64 degrees.

    The angle is above 55 for very light skin and below -30 for dark skin.

    Args:
        crops: (crops, side, side, 3) RGB uint8, aligned as by `images.cut_crops`.

    Reference: Chardon, Cretois, Hourseau, 1991, Skin colour typology and suntanning pathways.

    Example:
        >>> measure_tones(np.full((1, 64, 64, 3), (200, 160, 140), np.uint8)).round()
        array([50.])
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
    medians = np.median(pixels, axis=1).astype(np.float32)[:, None] / 255  # (crops, 1, 3)
    lab = cv2.cvtColor(medians, cv2.COLOR_RGB2LAB)[:, 0]  # (crops, 3)
    return np.degrees(np.arctan2(lab[:, 0].astype(np.float64) - 50, lab[:, 2]))
