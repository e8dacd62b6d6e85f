"""Find faces with a cascade of boosted classifiers over sums of pixels (Viola and Jones, 2001).

A window of 24x24 pixels slides over every level of a pyramid. Each stage of the cascade adds up
votes, each on one pattern of light and dark, and rejects the window if the sum is too small. Most
windows are rejected after a few sums. This is the classical baseline, to learn from and to compare
`mtcnn` with. Images are HxWx3 RGB uint8; boxes are x1, y1, x2, y2 in pixels.

The cascade is the one for frontal faces that OpenCV trained and scikit-image ships (`pip install
"facekit[demo]"`). Its patterns are local binary patterns over blocks (Liao and others, 2007): is
the middle of three by three blocks darker than each block around it? Viola and Jones compared two
to four blocks; everything else follows them.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass
from xml.etree import ElementTree

import cv2
import numpy as np
from skimage.data import lbp_frontal_face_cascade_filename

from facekit.components import join_pairs
from facekit.detection.boxes import compute_overlaps, suppress_non_maxima
from facekit.detection.mtcnn import make_level
from facekit.faces import Faces
from facekit.images import convert_to_grey

WINDOW = 24  # pixels per side; the cascade was trained on windows of this size
# Pixels between windows on levels of more than half the image's size, as in OpenCV; 1 below.
STEP = 2
WINDOWS = 16_384  # judged at once: few enough for the processor's cache, however large the image
BOXES = 1024  # compared with all others at once, for the same reason
SAME_FACE = 0.4  # two windows that overlap by more than this show one face
# Of three by three blocks, the eight around the middle, from the upper left: the bits of a pattern.
CLOCKWISE = (0, 1, 2, 5, 8, 7, 6, 3)


@dataclass(frozen=True, eq=False)
class Stage:
    """One stage of the cascade: a vote on several patterns.

    Attributes:
        blocks: (votes, 4) x, y, width and height of the first of three by three blocks, in pixels
            of the window.
        weights: (votes, 256) weight of each possible pattern.
        threshold: The smallest sum with which a window passes the stage.

    Example:
        >>> Stage(np.array([[0, 0, 3, 3]]), np.zeros((1, 256)), threshold=0.5).threshold
        0.5
    """

    blocks: np.ndarray
    weights: np.ndarray
    threshold: float


@functools.cache
def load_stages() -> tuple[Stage, ...]:
    """Read the cascade that scikit-image ships.

    Example:
        >>> load_stages()[0].weights.shape[1]
        256
    """
    cascade = ElementTree.parse(lbp_frontal_face_cascade_filename()).getroot()
    blocks = _read_numbers(cascade, "rect").astype(int)  # (blocks, 4)
    stages = []
    for stage in cascade.iterfind("cascade/stages/_"):
        # 0, -1, block and 8 words of 32 bits: (votes, 11)
        nodes = _read_numbers(stage, "internalNodes").astype(np.int64)
        leaves = _read_numbers(stage, "leafValues")  # (votes, 2)
        # One bit per pattern: (votes, 256)
        against = (nodes[:, 3:, None] >> np.arange(32) & 1).reshape(len(nodes), 256)
        weights = np.where(against, leaves[:, :1], leaves[:, 1:])
        threshold = float(_read_numbers(stage, "stageThreshold")[0, 0])
        stages.append(Stage(blocks[nodes[:, 2]], weights, threshold))
    return tuple(stages)


def _read_numbers(element: ElementTree.Element, name: str) -> np.ndarray:
    """Return the numbers in all elements of a name, one row per element."""
    texts = [found.text or "" for found in element.iter(name)]
    return np.array([[float(number) for number in text.split()] for text in texts])


def read_patterns(integral: np.ndarray, corners_xy: np.ndarray, block: np.ndarray) -> np.ndarray:
    """Return the pattern that each window shows.

    A pattern has one bit per outer block: 1 if it is at least as bright as the block in the middle.

    Args:
        integral: (height + 1, width + 1) sums of all pixels above and to the left, of
            `cv2.integral`.
        corners_xy: (windows, 2) int, upper left corners.
        block: (4,) x, y, width, height of the first block within the window.

    Returns:
        (windows,) uint8.

    Example:
        >>> integral = cv2.integral(np.full((24, 24), 9, np.uint8))
        >>> read_patterns(integral, np.array([[0, 0]]), np.array([0, 0, 3, 3]))
        array([255], dtype=uint8)
    """
    # One index into the flat array is several times quicker than a row and a column.
    width = integral.shape[1]
    places = corners_xy[:, 1] * width + corners_xy[:, 0]
    x, y = block[0] + block[2] * np.arange(4), block[1] + block[3] * np.arange(4)
    # Sixteen numbers give the nine sums: (4, 4, windows)
    known = integral.ravel()[(y[:, None] * width + x)[..., None] + places]
    sums = known[1:, 1:] - known[1:, :-1] - known[:-1, 1:] + known[:-1, :-1]
    return np.packbits(sums.reshape(9, -1)[list(CLOCKWISE)] >= sums[1, 1], axis=0)[0]


def count_stages(level: np.ndarray, step: int = STEP) -> np.ndarray:
    """Return how many stages each window of a grey picture passes.

    Args:
        level: HxW uint8.
        step: Pixels between windows.

    Returns:
        (rows, columns) int; a window that passes all stages shows a face.

    Example:
        >>> count_stages(np.zeros((30, 28), np.uint8)).shape
        (4, 3)
    """
    rows, columns = (max((side - WINDOW) // step + 1, 0) for side in level.shape)
    integral = cv2.integral(level) if level.size else np.zeros((1, 1), np.int32)
    passed = np.zeros(rows * columns, int)
    for start in range(0, len(passed), WINDOWS):
        # Windows that no stage has rejected yet.
        left = np.arange(start, min(start + WINDOWS, len(passed)))
        for stage in load_stages():
            corners = np.stack([left % columns, left // columns], axis=1) * step
            votes = zip(stage.blocks, stage.weights, strict=True)
            sums = np.zeros(len(left))
            for block, weights in votes:
                sums += weights[read_patterns(integral, corners, block)]
            left = left[sums >= stage.threshold]
            passed[left] += 1
    return passed.reshape(rows, columns)


def detect_faces_classically(
    image: np.ndarray, min_face_size: float = 24, scale_factor: float = 0.9, support: int = 3
) -> Faces:
    """Find upright frontal faces.

    Args:
        image: HxWx3 RGB uint8.
        min_face_size: Side in pixels of the smallest face to find, 24 or more.
        scale_factor: Ratio between neighbouring levels of the pyramid, above 0 and below 1.
        support: How many overlapping windows must agree on a face.

    Returns:
        The faces, best first, without landmarks (NaN). Scores grow with the number of windows that
        agree; they are not probabilities.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> len(detect_faces_classically(np.zeros((40, 40, 3), np.uint8)))
        0
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
    """Return the mean box of each group of overlapping windows, and the sizes of the groups."""
    count = len(boxes_xyxy)
    pairs = [np.zeros((2, 0), int)]
    for start in range(0, count, BOXES):
        rows, columns = np.nonzero(
            compute_overlaps(boxes_xyxy[start : start + BOXES], boxes_xyxy) > SAME_FACE
        )
        pairs.append(np.stack([rows + start, columns]))
    rows, columns = np.concatenate(pairs, axis=1)
    group = join_pairs(count, rows, columns)
    supports = np.bincount(group)
    sums = np.stack([np.bincount(group, side) for side in boxes_xyxy.T], axis=1)
    return sums / supports[:, None], supports
