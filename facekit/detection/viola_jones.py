"""Find faces as it was done before networks: a cascade of boosted votes over sums of pixels (Viola
and Jones, 2001).

A window of 24x24 pixels looks at every place of every level of a pyramid. Stage after stage counts
votes, each on one pattern of light and dark, and drops the window as soon as one stage has too few;
nearly all windows go after a few sums. It is here as the classical baseline to `mtcnn`, to learn
from and to compare with. Images are HxWx3 RGB uint8; boxes are x1, y1, x2, y2 in pixels.

The cascade is the one for frontal faces that OpenCV trained and scikit-image ships (`pip install
"facekit[demo]"`). Its patterns are those of Liao and others (2007): is the middle of three by three
blocks darker than each block around it? Viola and Jones compared two to four blocks; the rest is
theirs.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from xml.etree import ElementTree

import cv2
import numpy as np
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from skimage.data import lbp_frontal_face_cascade_filename

from facekit.detection.boxes import compute_overlaps, suppress_non_maxima
from facekit.detection.mtcnn import make_level
from facekit.faces import Faces
from facekit.images import convert_to_grey

WINDOW = 24  # pixels a side, on which the cascade was trained
STEP = (
    2  # pixels between windows on levels of more than half the image's size, as in OpenCV; 1 below
)
WINDOWS = 16_384  # judged at once: few enough for the processor's cache, however large the image
BOXES = 1024  # compared with all others at once, likewise
SAME_FACE = 0.4  # overlap above which two windows are held to show one face
CLOCKWISE = (
    0,
    1,
    2,
    5,
    8,
    7,
    6,
    3,
)  # of three by three blocks, the eight around the middle from the upper left on: a pattern's bits


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage of the cascade: a vote on several patterns.

    Attributes:
        blocks: (votes, 4) x, y, width, height of the first of three by three blocks, pixels of the
            window.
        weights: (votes, 256) what each of the patterns that there may be counts.
        threshold: The least sum with which a window goes on to the next stage.
    """

    blocks: np.ndarray
    weights: np.ndarray
    threshold: float


@functools.cache
def load_stages() -> tuple[Stage, ...]:
    """Read the cascade that scikit-image ships."""
    cascade = ElementTree.parse(lbp_frontal_face_cascade_filename()).getroot().find("cascade")
    blocks = np.array([block.text.split() for block in cascade.iter("rect")], int)
    stages = []
    for stage in cascade.find("stages"):
        nodes = np.array(
            [node.text.split() for node in stage.iter("internalNodes")], np.int64
        )  # (votes, 11): 0, -1, block, 8 words
        leaves = np.array(
            [leaf.text.split() for leaf in stage.iter("leafValues")], float
        )  # (votes, 2)
        against = (nodes[:, 3:, None] >> np.arange(32) & 1).reshape(
            len(nodes), 256
        )  # a bit a pattern
        weights = np.where(against, leaves[:, :1], leaves[:, 1:])
        stages.append(Stage(blocks[nodes[:, 2]], weights, float(stage.find("stageThreshold").text)))
    return tuple(stages)


def read_patterns(integral: np.ndarray, corners_xy: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return the pattern that each window shows: a bit for each of eight blocks that is no darker
    than the one in their middle.

    Args:
        integral: (height + 1, width + 1) sums of all pixels above and to the left, as of
            `cv2.integral`.
        corners_xy: (windows, 2) int, upper left corners.
        block: (4,) x, y, width, height of the first block within the window.

    Returns:
        (windows,) uint8.
    """
    width = integral.shape[
        1
    ]  # places are counted along the rows, which is several times quicker than by row and column
    places = corners_xy[:, 1] * width + corners_xy[:, 0]
    x, y = block[0] + block[2] * np.arange(4), block[1] + block[3] * np.arange(4)
    known = integral.ravel()[
        (y[:, None] * width + x)[..., None] + places
    ]  # (4, 4, windows): sixteen numbers give the nine sums
    sums = known[1:, 1:] - known[1:, :-1] - known[:-1, 1:] + known[:-1, :-1]
    return np.packbits(sums.reshape(9, -1)[list(CLOCKWISE)] >= sums[1, 1], axis=0)[0]


def count_stages(level: np.ndarray, step: int = STEP) -> np.ndarray:
    """Return how many stages each window of a grey picture passes.

    Args:
        level: HxW uint8.
        step: Pixels between windows.

    Returns:
        (rows, columns) int; the number of all stages means a face.
    """
    rows, columns = (max((side - WINDOW) // step + 1, 0) for side in level.shape)
    integral = cv2.integral(level) if level.size else np.zeros((1, 1), np.int32)
    passed = np.zeros(rows * columns, int)
    for start in range(0, len(passed), WINDOWS):
        left = np.arange(
            start, min(start + WINDOWS, len(passed))
        )  # windows that no stage has dropped yet
        for stage in load_stages():
            corners = np.stack([left % columns, left // columns], axis=1) * step
            votes = zip(stage.blocks, stage.weights, strict=True)
            left = left[
                sum(weights[read_patterns(integral, corners, block)] for block, weights in votes)
                >= stage.threshold
            ]
            passed[left] += 1
    return passed.reshape(rows, columns)


def detect_faces_classically(
    image: np.ndarray, min_face_size: float = 24, scale_factor: float = 0.9, support: int = 3
) -> Faces:
    """Find upright frontal faces.

    Args:
        image: HxWx3 RGB uint8.
        min_face_size: Side in pixels of the smallest face looked for, 24 or more.
        scale_factor: Ratio between neighbouring levels of the pyramid, above 0 and below 1.
        support: How many windows about a place must agree.

    Returns:
        The faces, best first, without landmarks (NaN). Scores rise with the windows that agree, and
        are no probabilities.

    Raises:
        ValueError: If an option is out of its range.
    """
    if not min_face_size >= WINDOW:
        raise ValueError(f"`min_face_size` must be {WINDOW} pixels or more; got {min_face_size}.")
    if not 0 < scale_factor < 1:
        raise ValueError(f"`scale_factor` must be above 0 and below 1; got {scale_factor}.")
    grey, scale, found = convert_to_grey(image), WINDOW / min_face_size, [np.zeros((0, 4))]
    while min(grey.shape) * scale >= WINDOW:
        step = STEP if scale > 0.5 else 1
        rows, columns = np.nonzero(
            count_stages(make_level(grey, scale), step) == len(load_stages())
        )
        corners = np.stack([columns, rows], axis=1) * step
        found.append(np.concatenate([corners, corners + WINDOW - 1], axis=1) / scale)
        scale *= scale_factor
    boxes, supports = _join_windows(np.concatenate(found))
    boxes, scores = boxes[supports >= support], supports[supports >= support]
    scores = scores / (scores + support)
    kept = suppress_non_maxima(boxes, scores, SAME_FACE, "minimum")
    return Faces(
        boxes[kept].astype(np.float32),
        scores[kept].astype(np.float32),
        np.full((len(kept), 5, 2), np.nan, np.float32),
    )


def _join_windows(boxes_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return the mean box of each group of overlapping windows, and how many they are."""
    count = len(boxes_xyxy)
    pairs = [np.zeros((2, 0), int)]
    for start in range(0, count, BOXES):
        rows, columns = np.nonzero(
            compute_overlaps(boxes_xyxy[start : start + BOXES], boxes_xyxy) > SAME_FACE
        )
        pairs.append(np.stack([rows + start, columns]))
    rows, columns = np.concatenate(pairs, axis=1)
    groups, group = connected_components(
        coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(count, count))
    )
    supports = np.bincount(group, minlength=groups)
    sums = np.stack([np.bincount(group, side, minlength=groups) for side in boxes_xyxy.T], axis=1)
    return sums / np.maximum(supports, 1)[:, None], supports
