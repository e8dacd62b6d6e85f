"""Describe faces by hand-made numbers, as was done before networks learned them: HOG, LBP and Haar
wavelets.

Crops are (faces, side, side, 1) uint8 as `images` cuts them; each function returns one row of
numbers a face, for a classifier to learn from. They want scikit-image and PyWavelets (`pip install
"facekit[notebooks]"`).
"""

from __future__ import annotations

import cv2
import numpy as np
import pywt
from skimage.feature import hog, local_binary_pattern

CELL = 8  # pixels a side of the squares whose histograms are taken: about an eye, in a crop of 64
DIRECTIONS = 8  # of edges told apart
NEIGHBOURS = 8  # pixels around each, at a distance of one
PATTERNS = (
    NEIGHBOURS + 2
)  # that are told apart: uniform ones by their count of brighter neighbours, and all others together
THUMBNAIL_SIDE = (
    12  # pixels: a face's colours, and hardly more of its form than eyes, hair and mouth
)
WAVELET_LEVELS = 4  # halvings; the finest two are left out, for they hold noise and little else


def compute_hog(crops: np.ndarray) -> np.ndarray:
    """Return histograms of oriented gradients: in each cell, how strong edges are in each
    direction.

    Args:
        crops: (faces, side, side, 1) uint8.

    Returns:
        (faces, features) float32, normalised over blocks of two by two cells.

    Reference: Dalal and Triggs, 2005.
    """
    rows = [hog(crop[..., 0], DIRECTIONS, (CELL, CELL), (2, 2)) for crop in crops]
    return np.array(rows, np.float32).reshape(len(crops), -1 if rows else 0)


def compute_lbp(crops: np.ndarray) -> np.ndarray:
    """Return histograms of local binary patterns: in each cell, how often which neighbours are
    brighter than their middle.

    Args:
        crops: (faces, side, side, 1) uint8; the side is a multiple of `CELL`.

    Returns:
        (faces, features) float32, a histogram of `PATTERNS` a cell that sums to 1.

    Reference: Ojala, Pietikäinen and Mäenpää, 2002; for faces Ahonen, Hadid and Pietikäinen, 2006.
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
    """Return the coarse coefficients of a Haar wavelet transform: means of squares, and differences
    between halves of squares.

    Args:
        crops: (faces, side, side, 1) uint8.

    Returns:
        (faces, features) float32.

    Reference: Mallat, 1989.
    """
    means, *details = pywt.wavedec2(crops[..., 0] / 255, "haar", level=WAVELET_LEVELS, axes=(1, 2))
    kept = [means, *(band for level in details[:2] for band in level)]
    return np.concatenate(
        [band.reshape(len(crops), np.prod(band.shape[1:], dtype=int)) for band in kept], axis=1
    ).astype(np.float32)


def compute_thumbnails(crops: np.ndarray, side: int = THUMBNAIL_SIDE) -> np.ndarray:
    """Return the values of small versions of the crops: what is left when form is all but taken
    away.

    Args:
        crops: (faces, side, side, channels) uint8, grey or colour.
        side: Of the small versions, pixels.

    Returns:
        (faces, features) float32 from 0 to 1.
    """
    rows = [
        cv2.resize(crop, (side, side), interpolation=cv2.INTER_AREA).ravel() / 255 for crop in crops
    ]
    return np.array(rows, np.float32).reshape(len(crops), -1 if rows else 0)
