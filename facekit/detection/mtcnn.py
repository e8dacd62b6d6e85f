"""Find faces with the three-stage MTCNN cascade (Zhang et al., 2016).

Pyramid -> P-Net -> R-Net -> O-Net -> `Faces`. Images are HxWx3 RGB uint8; boxes are x1, y1, x2, y2
in pixels of the image given. The networks are defined in `networks.mtcnn` and served by
`inference`; cutting faces out for other networks lives in `images`.
"""

import functools
from dataclasses import dataclass

import cv2
import numpy as np

from facekit.detection.boxes import (
    apply_offsets,
    clip_boxes,
    make_square,
    sample_crops,
    suppress_non_maxima,
)
from facekit.detection.pictures import check_image
from facekit.faces import Faces
from facekit.inference import open_session, run_model

CELL = 12  # side of P-Net's window, pixels
STRIDE = 2  # of that window, from P-Net's one pooling layer
TILE = 512  # output cells per side that P-Net computes at once, to bound the memory needed
CROPS = 512  # candidates cut out at once, for the same reason
# Up to this size the pyramid is computed in floating point; above, memory matters more.
FINE_PIXELS = 16_000_000
# Pixels; three times the side of FER2013's pictures. MTCNN finds no more faces at larger sizes.
CROPPED_SIDE = 144


@dataclass(frozen=True)
class MTCNN:
    """The cascade and its options.

    Attributes:
        min_face_size: Side in pixels of the smallest face to find, 12 or more.
        scale_factor: Ratio between neighbouring levels of the pyramid, above 0 and below 1.
        thresholds: Face probability that a candidate must exceed in P-Net, R-Net and O-Net.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> len(MTCNN(min_face_size=40).detect(np.zeros((120, 160, 3), np.uint8)))
        0
    """

    min_face_size: float = 20
    scale_factor: float = 0.709  # halves the area from level to level
    thresholds: tuple[float, float, float] = (0.6, 0.7, 0.8)

    def __post_init__(self) -> None:
        if not self.min_face_size >= CELL:
            raise ValueError(
                f"`min_face_size` must be {CELL} pixels or more; got {self.min_face_size}."
            )
        if not 0 < self.scale_factor < 1:
            raise ValueError(
                f"`scale_factor` must be above 0 and below 1; got {self.scale_factor}."
            )
        if len(self.thresholds) != 3 or not all(
            0 <= threshold < 1 for threshold in self.thresholds
        ):
            raise ValueError(
                f"`thresholds` must be three numbers from 0 to below 1; got {self.thresholds}."
            )

    def compute_scales(self, size_hw: tuple[int, int]) -> list[float]:
        """Return the scales of the pyramid, largest first.

        Args:
            size_hw: Height and width of the image, pixels.

        Returns:
            Ratios of a level's size to the image's; the last level still holds one window.

        Example:
            >>> [round(scale, 3) for scale in MTCNN(min_face_size=24).compute_scales((50, 60))]
            [0.5, 0.354, 0.251]
        """
        scales, scale = [], CELL / self.min_face_size
        while min(size_hw) * scale >= CELL:
            scales.append(scale)
            scale *= self.scale_factor
        return scales

    def count_windows(self, size_hw: tuple[int, int]) -> int:
        """Return how many windows P-Net examines, on all levels together.

        Args:
            size_hw: Height and width of the image, pixels.

        Example:
            >>> MTCNN(min_face_size=12).count_windows((14, 12))
            2
        """
        sides = [[int(side * scale) for side in size_hw] for scale in self.compute_scales(size_hw)]
        # A last odd pixel still makes a cell.
        cells = [[(side - CELL + 1) // STRIDE + 1 for side in level] for level in sides]
        return sum(rows * columns for rows, columns in cells)

    def propose(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run the first stage: P-Net proposes candidates on all levels of the pyramid.

        Args:
            image: HxWx3 RGB uint8.

        Returns:
            Square boxes (candidates, 4) and scores (candidates,), best first.
        """
        scales = self.compute_scales(image.shape[:2])
        if image.shape[0] * image.shape[1] <= FINE_PIXELS:
            image = image.astype(np.float32)
        levels = [self.propose_at_scale(image, scale) for scale in scales]
        if not levels:
            return np.zeros((0, 4), np.float32), np.zeros(0, np.float32)
        boxes = np.concatenate([boxes for boxes, _ in levels])
        scores = np.concatenate([scores for _, scores in levels])
        kept = suppress_non_maxima(boxes, scores, 0.7)
        return make_square(boxes[kept]), scores[kept]

    def propose_at_scale(self, image: np.ndarray, scale: float) -> tuple[np.ndarray, np.ndarray]:
        """Run P-Net over one level of the pyramid.

        Args:
            image: HxWx3 RGB, uint8 or float32.
            scale: Of the level.

        Returns:
            Boxes (candidates, 4) in pixels of `image`, and scores (candidates,), best first.
        """
        level = make_level(image, scale)
        height, width = level.shape[:2]
        reach = TILE * STRIDE + CELL - STRIDE
        tiles = []
        for top in range(0, height - CELL + 1, TILE * STRIDE):
            for left in range(0, width - CELL + 1, TILE * STRIDE):
                probabilities, offsets = run_pnet(level[top : top + reach, left : left + reach])
                tile_boxes, tile_scores = read_maps(probabilities, offsets, self.thresholds[0])
                shifted = tile_boxes + np.array((left, top) * 2, np.float32)
                tiles.append((shifted / scale, tile_scores))
        boxes = np.concatenate([boxes for boxes, _ in tiles])
        scores = np.concatenate([scores for _, scores in tiles])
        kept = suppress_non_maxima(boxes, scores, 0.5)
        return boxes[kept], scores[kept]

    def refine(self, image: np.ndarray, boxes_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Run the second stage: R-Net drops most candidates and moves the rest.

        Args:
            image: HxWx3 RGB uint8.
            boxes_xyxy: (candidates, 4), of `propose`.

        Returns:
            Square boxes (candidates, 4) and scores (candidates,), best first.
        """
        probabilities, offsets = _run_on_crops("rnet", image, boxes_xyxy, 24)
        scores = probabilities[:, 1]
        passed = scores > self.thresholds[1]
        boxes, scores = apply_offsets(boxes_xyxy[passed], offsets[passed]), scores[passed]
        kept = suppress_non_maxima(boxes, scores, 0.7)
        return make_square(boxes[kept]), scores[kept]

    def decide(self, image: np.ndarray, boxes_xyxy: np.ndarray) -> Faces:
        """Run the third stage: O-Net decides, moves the boxes once more and places five landmarks.

        Args:
            image: HxWx3 RGB uint8.
            boxes_xyxy: (candidates, 4), of `refine`.

        Returns:
            The faces, best first; their boxes may leave the frame.
        """
        probabilities, offsets, fractions = _run_on_crops("onet", image, boxes_xyxy, 48)
        scores = probabilities[:, 1]
        passed = scores > self.thresholds[2]
        boxes, scores, fractions = boxes_xyxy[passed], scores[passed], fractions[passed]
        sizes = boxes[:, 2:] - boxes[:, :2] + 1
        # The network gives all x, then all y; points are (faces, 5, 2).
        points = fractions.reshape(-1, 2, 5).transpose(0, 2, 1)
        landmarks = points * sizes[:, None] + boxes[:, None, :2] - 1
        boxes = apply_offsets(boxes, offsets[passed])
        kept = suppress_non_maxima(boxes, scores, 0.7, "minimum")
        return Faces(boxes[kept], scores[kept], landmarks[kept])

    def trace(self, image: np.ndarray) -> tuple[np.ndarray, np.ndarray, Faces]:
        """Return the result of each stage.

        Args:
            image: As for `detect`.

        Returns:
            The candidates of P-Net and those of R-Net, each (candidates, 4) squares, best first;
            and the faces, as `detect` returns them.

        Raises:
            ValueError: As `detect`.
        """
        image = check_image(image)
        proposed, _ = self.propose(image)
        refined, _ = self.refine(image, proposed)
        faces = self.decide(image, refined)
        boxes = clip_boxes(faces.boxes_xyxy, image.shape[:2])
        return proposed, refined, Faces(boxes, faces.scores, faces.landmarks_xy)

    def detect(self, image: np.ndarray) -> Faces:
        """Find every face of an image.

        Args:
            image: HxWx3 RGB uint8, of any size.

        Returns:
            The faces, best first, with boxes clipped to the frame.

        Raises:
            ValueError: If `image` is not HxWx3 uint8, or has no pixels.
        """
        return self.trace(image)[2]


def make_level(image: np.ndarray, scale: float) -> np.ndarray:
    """Resize an image to one level of the pyramid.

    Args:
        image: HxW or HxWx3, uint8 or float32.
        scale: Of the level.

    Example:
        >>> make_level(np.zeros((40, 60, 3), np.uint8), 0.5).shape
        (20, 30, 3)
    """
    height, width = (int(side * scale) for side in image.shape[:2])
    return cv2.resize(
        image, (width, height), interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_LINEAR
    )


def run_pnet(level: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Run P-Net over a whole level: one cell for each window of `CELL` pixels, `STRIDE` apart.

    Args:
        level: HxWx3 of 0 to 255, at least `CELL` high and wide.

    Returns:
        Face probabilities (rows, columns), and offsets of the box's corners (rows, columns, 4) as
        fractions of the window's side.

    Example:
        >>> probabilities, offsets = run_pnet(np.zeros((12, 14, 3), np.uint8))
        >>> probabilities.shape, offsets.shape
        ((1, 2), (1, 2, 4))
    """
    session = open_session("pnet")
    normalised = (level[None].astype(np.float32) - 127.5) / 128
    probabilities, offsets = session.run(None, {session.get_inputs()[0].name: normalised})
    return probabilities[0, ..., 1], offsets[0]


def read_maps(
    probabilities: np.ndarray, offsets: np.ndarray, threshold: float
) -> tuple[np.ndarray, np.ndarray]:
    """Turn the maps of P-Net into boxes for the cells above a threshold.

    Args:
        probabilities: (rows, columns).
        offsets: (rows, columns, 4).
        threshold: Face probability that a cell must exceed.

    Returns:
        Boxes (candidates, 4) in pixels of the level, and scores (candidates,).

    Example:
        >>> boxes, scores = read_maps(np.array([[0.9, 0.1]]), np.zeros((1, 2, 4)), threshold=0.6)
        >>> boxes.tolist(), scores.tolist()
        ([[1.0, 1.0, 12.0, 12.0]], [0.9])
    """
    rows, columns = np.nonzero(probabilities > threshold)
    # The published code counts pixels from 1, and its thresholds fit that.
    corners = np.stack([columns, rows], axis=1) * STRIDE + 1
    windows = np.concatenate([corners, corners + CELL - 1], axis=1).astype(np.float32)
    return windows + offsets[rows, columns] * (CELL - 1), probabilities[rows, columns]


def locate_face(image: np.ndarray) -> Faces:
    """Find the one face of a picture that shows nothing else, as many datasets have them.

    The picture is resized to a common size and gets a grey margin, because MTCNN needs some
    surroundings of a face. If the usual thresholds find nothing, lower ones are tried; if these
    fail too, the box is the whole picture.

    Args:
        image: HxWx3 RGB uint8.

    Returns:
        Exactly one face. If none was found, its score is 0 and its landmarks are unknown (NaN).

    Raises:
        ValueError: If `image` is not HxWx3 uint8, or has no pixels.

    Example:
        >>> face = locate_face(np.zeros((48, 48, 3), np.uint8))
        >>> len(face), face.boxes_xyxy.tolist(), face.scores.tolist()
        (1, [[0.0, 0.0, 48.0, 48.0]], [0.0])
    """
    image = check_image(image)
    height, width = image.shape[:2]
    scale = CROPPED_SIDE / max(height, width)
    size = (max(round(width * scale), 1), max(round(height * scale), 1))
    resized = cv2.resize(
        image, size, interpolation=cv2.INTER_AREA if scale < 1 else cv2.INTER_CUBIC
    )
    margin = round(CROPPED_SIDE * 0.3)
    padded = cv2.copyMakeBorder(
        resized, margin, margin, margin, margin, cv2.BORDER_CONSTANT, value=(127, 127, 127)
    )
    for thresholds in ((0.6, 0.7, 0.8), (0.4, 0.4, 0.3)):
        found = MTCNN(min_face_size=CROPPED_SIDE * 0.4, thresholds=thresholds).detect(padded)
        if len(found):
            centres = (found.boxes_xyxy[:, :2] + found.boxes_xyxy[:, 2:]) / 2
            off_centre = np.abs(centres / padded.shape[1::-1] - 0.5).max(axis=1)
            face = found[int(np.argmax(found.scores - off_centre))]
            ratio = np.array([width, height]) / size
            boxes = clip_boxes((face.boxes_xyxy - margin) * np.tile(ratio, 2), (height, width))
            return Faces(
                boxes.astype(np.float32),
                face.scores,
                ((face.landmarks_xy - margin) * ratio).astype(np.float32),
            )
    whole = np.array([[0, 0, width, height]], np.float32)
    return Faces(whole, np.zeros(1, np.float32), np.full((1, 5, 2), np.nan, np.float32))


def _run_on_crops(
    name: str, image: np.ndarray, boxes_xyxy: np.ndarray, size: int
) -> list[np.ndarray]:
    """Run R-Net or O-Net over the crops of all boxes."""
    run = functools.partial(run_model, name)
    starts = range(0, max(len(boxes_xyxy), 1), CROPS)
    parts = [run(sample_crops(image, boxes_xyxy[start : start + CROPS], size)) for start in starts]
    return [np.concatenate(outputs) for outputs in zip(*parts, strict=True)]
