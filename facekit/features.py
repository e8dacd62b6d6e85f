"""Hand-made features of faces, from before networks learned them: HOG, LBP and Haar wavelets.

Crops are (faces, side, side, 1) uint8 as `images` cuts them; each function returns one row of
numbers per face, for a classifier to train on. The module needs scikit-image and PyWavelets (`pip
install "facekit[notebooks]"`).
"""

from __future__ import annotations

import cv2
import numpy as np
import pywt
from skimage.feature import hog, local_binary_pattern

CELL = 8  # pixels per side of the squares with one histogram each; about an eye in a crop of 64
DIRECTIONS = 8  # bins for the direction of edges
NEIGHBOURS = 8  # around each pixel, at a distance of one
# Uniform patterns by their count of brighter neighbours (0 to 8), and all others in one class.
PATTERNS = NEIGHBOURS + 2
THUMBNAIL_SIDE = 12  # pixels; shows a face's colours and only the coarsest of its shape
WAVELET_LEVELS = 4  # halvings; the two finest are left out, because they hold mostly noise


def compute_hog(crops: np.ndarray) -> np.ndarray:
    """Return histograms of oriented gradients: per cell, the strength of edges by direction.

    Args:
        crops: (faces, side, side, 1) uint8.

    Returns:
        (faces, features) float32, normalised over blocks of two by two cells.

    Reference:
        Dalal and Triggs, 2005.

    Example:
        >>> compute_hog(np.zeros((2, 64, 64, 1), np.uint8)).shape
        (2, 1568)
    """
    rows = [hog(crop[..., 0], DIRECTIONS, (CELL, CELL), (2, 2)) for crop in crops]
    return np.array(rows, np.float32).reshape(len(crops), -1 if rows else 0)


def compute_lbp(crops: np.ndarray) -> np.ndarray:
    """Return histograms of local binary patterns.

    A pattern says which neighbours of a pixel are brighter than it. Each cell has one histogram.

    Args:
        crops: (faces, side, side, 1) uint8; the side is a multiple of `CELL`.

    Returns:
        (faces, features) float32; per cell, `PATTERNS` shares that sum to 1.

    Reference:
        Ojala, Pietikäinen and Mäenpää, 2002; for faces Ahonen, Hadid and Pietikäinen, 2006.

    Example:
        >>> compute_lbp(np.zeros((2, 64, 64, 1), np.uint8)).shape
        (2, 640)
    """
    rows = []
    for crop in crops:
        patterns = local_binary_pattern(crop[..., 0], NEIGHBOURS, 1, "uniform").astype(int)
        cells = (
            patterns.reshape(crop.shape[0] // CELL, CELL, crop.shape[1] // CELL, CELL)
            .swapaxes(1, 2)
            .reshape(-1, CELL * CELL)
        )
        rows.append((cells[..., None] == np.arange(PATTERNS)).mean(axis=1).ravel())
    return np.array(rows, np.float32).reshape(len(crops), -1 if rows else 0)


def compute_wavelets(crops: np.ndarray) -> np.ndarray:
    """Return the coarse coefficients of a Haar wavelet transform.

    They are the means of squares, and differences between the halves of squares.

    Args:
        crops: (faces, side, side, 1) uint8.

    Returns:
        (faces, features) float32.

    Reference:
        Mallat, 1989.

    Example:
        >>> compute_wavelets(np.zeros((2, 64, 64, 1), np.uint8)).shape
        (2, 256)
    """
    means, *details = pywt.wavedec2(crops[..., 0] / 255, "haar", level=WAVELET_LEVELS, axes=(1, 2))
    kept = [means, *(band for level in details[:2] for band in level)]
    return np.concatenate(
        [band.reshape(len(crops), np.prod(band.shape[1:], dtype=int)) for band in kept], axis=1
    ).astype(np.float32)


def compute_thumbnails(crops: np.ndarray, side: int = THUMBNAIL_SIDE) -> np.ndarray:
    """Return the values of small versions of the crops, which keep colours but hardly any shape.

    Args:
        crops: (faces, side, side, channels) uint8, grey or colour.
        side: Of the small versions, pixels.

    Returns:
        (faces, features) float32 from 0 to 1.

    Example:
        >>> compute_thumbnails(np.zeros((2, 64, 64, 3), np.uint8)).shape
        (2, 432)
    """
    rows = [
        cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).ravel() / 255 for crop in crops
    ]
    return np.array(rows, np.float32).reshape(len(crops), -1 if rows else 0)
