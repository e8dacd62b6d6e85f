"""Find faces with YuNet, a small one-stage detector (Wu, Peng and Yu, 2023).

One network sees the whole picture. On three grids, with cells of 8, 16 and 32 pixels, it predicts
for each cell whether a face is centred there, its box and its five landmarks. MTCNN's cascade
needs three networks and a pyramid of many levels; YuNet finds faces of about 10 to 300 pixels at
once, so that few levels are enough. Images are HxWx3 RGB uint8; boxes are x1, y1, x2, y2 in pixels.

The weights are those of OpenCV's model zoo; `models/yunet/README.md` names their source.

Reference: Wu, Peng, Yu: YuNet: A Tiny Millisecond-level Face Detector, Machine Intelligence
Research 20, 2023. https://doi.org/10.1007/s11633-023-1423-y
"""

from __future__ import annotations

from dataclasses import dataclass

import cv2
import numpy as np

from facekit.detection.boxes import clip_boxes, suppress_non_maxima
from facekit.detection.mtcnn import make_level
from facekit.detection.pictures import check_image
from facekit.faces import Faces
from facekit.inference import open_session

STRIDES = (8, 16, 32)  # sides of the cells of the three grids, pixels
SIZES = (10, 300)  # pixels; faces of these sizes are found at once, as its authors state
# Pixels. The smallest face has at least this size on the first level, because the network misses
# many smaller ones.
RELIABLE_SIZE = 30
LEVEL_RATIO = 1 / 3  # between levels; neighbouring levels find many of the same sizes
# In a larger picture the smallest face that is found is larger, so that memory is bounded.
LARGEST_PIXELS = 6_000_000
SAME_FACE = 0.3  # of two boxes that overlap by more, the worse one is dropped; OpenCV's default


@dataclass(frozen=True)
class YuNet:
    """The detector and its options.

    Attributes:
        min_face_size: Side in pixels of the smallest face to find, 10 or more.
        threshold: Score that a face must exceed, from 0 to below 1.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> len(YuNet(min_face_size=40).detect(np.zeros((120, 160, 3), np.uint8)))
        0
    """

    min_face_size: float = 20
    threshold: float = 0.6

    def __post_init__(self) -> None:
        if not self.min_face_size >= SIZES[0]:
            raise ValueError(
                f"`min_face_size` must be {SIZES[0]} pixels or more; got {self.min_face_size}."
            )
        if not 0 <= self.threshold < 1:
            raise ValueError(f"`threshold` must be from 0 to below 1; got {self.threshold}.")

    def compute_scales(self, size_hw: tuple[int, int]) -> list[float]:
        """Return the scales of the levels, largest first.

        Args:
            size_hw: Height and width of the image, pixels.

        Example:
            >>> YuNet().compute_scales((200, 300)), len(YuNet().compute_scales((800, 1200)))
            ([1.0], 2)
        """
        height, width = size_hw
        scale = min(
            1.0, RELIABLE_SIZE / self.min_face_size, (LARGEST_PIXELS / (height * width)) ** 0.5
        )
        scales = [max(scale, 1 / min(size_hw))]  # at least one pixel remains
        while min(size_hw) * scales[-1] > SIZES[1]:
            scales.append(scales[-1] * LEVEL_RATIO)
        return scales

    def detect(self, image: np.ndarray) -> Faces:
        """Find every face of an image.

        Args:
            image: HxWx3 RGB uint8, of any size.

        Returns:
            The faces, best first, with boxes clipped to the frame. Scores are the geometric mean of
            two probabilities: of a face, and of its centre.

        Raises:
            ModelError: If the model is missing or damaged.
            ValueError: If `image` is not HxWx3 uint8, or has no pixels.
        """
        image = check_image(image)
        parts = []
        for scale in self.compute_scales(image.shape[:2]):
            boxes, scores, landmarks = run_yunet(make_level(image, scale), self.threshold)
            parts.append((boxes / scale, scores, landmarks / scale))
        boxes, scores, landmarks = (np.concatenate(each) for each in zip(*parts, strict=True))
        large = (boxes[:, 2:] - boxes[:, :2]).max(axis=1) >= self.min_face_size
        boxes, scores, landmarks = boxes[large], scores[large], landmarks[large]
        kept = suppress_non_maxima(boxes, scores, SAME_FACE)
        return Faces(clip_boxes(boxes[kept], image.shape[:2]), scores[kept], landmarks[kept])


def run_yunet(level: np.ndarray, threshold: float) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Run the network over one level, and return the faces of all cells above a threshold.

    Args:
        level: HxWx3 RGB uint8.
        threshold: Score that a cell must exceed.

    Returns:
        Boxes (candidates, 4), scores (candidates,) and landmarks (candidates, 5, 2), float32, in
        pixels of the level.

    Example:
        >>> [array.shape for array in run_yunet(np.zeros((40, 60, 3), np.uint8), threshold=0.5)]
        [(0, 4), (0,), (0, 5, 2)]
    """
    below, beside = (-side % STRIDES[-1] for side in level.shape[:2])
    padded = cv2.copyMakeBorder(level, 0, below, 0, beside, cv2.BORDER_CONSTANT, value=(0, 0, 0))
    # The network takes blue, green, red as they are: (1, 3, height, width)
    inputs = padded[:, :, ::-1].transpose(2, 0, 1)[None].astype(np.float32)
    names = [f"{part}_{stride}" for stride in STRIDES for part in ("cls", "obj", "bbox", "kps")]
    maps = open_session("yunet").run(names, {"input": inputs})
    grids = []
    for index, stride in enumerate(STRIDES):
        faces, centres, offsets, points = (each[0] for each in maps[4 * index : 4 * index + 4])
        grids.append(read_grid(faces, centres, offsets, points, stride, padded.shape[1]))
    boxes, scores, landmarks = (np.concatenate(each) for each in zip(*grids, strict=True))
    passed = scores > threshold
    return boxes[passed], scores[passed], landmarks[passed]


def read_grid(
    faces: np.ndarray,
    centres: np.ndarray,
    boxes: np.ndarray,
    points: np.ndarray,
    stride: int,
    width: int,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Turn the network's maps of one grid into one face per cell.

    Args:
        faces: (cells, 1) probability of a face.
        centres: (cells, 1) probability that the face's centre is in the cell.
        boxes: (cells, 4) offset of the centre from the cell's corner, x and y, in cells; logarithm
            of width and height in cells.
        points: (cells, 10) offsets of the landmarks from the cell's corner, in cells.
        stride: Side of a cell, pixels.
        width: Of the level, pixels.

    Returns:
        As `run_yunet`, of all cells.

    Example:
        >>> one = np.ones((2, 1), np.float32)
        >>> boxes, scores, _ = read_grid(one, one / 4, np.zeros((2, 4)), np.zeros((2, 10)), 8, 16)
        >>> boxes.tolist(), scores.tolist()
        ([[-4.0, -4.0, 4.0, 4.0], [4.0, -4.0, 12.0, 4.0]], [0.5, 0.5])
    """
    rows, columns = np.divmod(np.arange(len(faces)), width // stride)
    corners = np.stack([columns, rows], axis=1)  # (cells, 2)
    middles, halves = (boxes[:, :2] + corners) * stride, np.exp(boxes[:, 2:]) * stride / 2
    scores = np.sqrt(np.clip(faces[:, 0], 0, 1) * np.clip(centres[:, 0], 0, 1))
    landmarks = (points.reshape(-1, 5, 2) + corners[:, None]) * stride
    return (
        np.concatenate([middles - halves, middles + halves], axis=1).astype(np.float32),
        scores.astype(np.float32),
        landmarks.astype(np.float32),
    )
