"""Place faces in a photo and paste them, so that no edge of their own picture is seen.

A face is known by its five landmarks. Its box follows from them alone, whatever detector found
them, and is as tight as the boxes of WIDER FACE. `crowds` composes whole datasets.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field

import cv2
import numpy as np

from facekit.detection.boxes import compute_overlaps
from facekit.images import TEMPLATE_XY, estimate_similarity, round_box

# Left, top, right and bottom of a face whose landmarks lie as in `TEMPLATE_XY`: about the median of
# WIDER FACE's boxes around the landmarks that two detectors found on 138 and 181 upright faces of
# 50 pixels and more, made symmetric.
FACE_BOX = (0.11, -0.05, 0.89, 1.01)
# Width and height of the pasted ellipse, in widths and heights of the face: with its hair, or, if
# its own picture ends before, a little more than the face.
HEAD, LEAST_HEAD = (1.5, 1.45), (1.1, 1.1)
FADE = 0.3  # share of the ellipse's radius over which it fades out
EDGE = 0.1  # share of the source's shorter side over which its edges fade out
HEIGHTS = (24, 160)  # pixels
LARGEST_SHARE = 0.6  # of the photo's shorter side that a face may have as its height
LARGEST_SCALE = 1.5  # of a pasted face to its source; more would show as blur
ROLL_DEGREES, LARGEST_ROLL = 15, 45  # spread and bound
LIGHTS = (0.45, 1.15)  # dusk to bright
LARGEST_SHADE = 0.5  # brightness that changes over the height of a face
COVERS = (0.05, 0.35)  # share of the smaller box that a neighbour's box covers
TRIES = 60  # places that are tried for a face, the first half of them beside another face


@dataclass(frozen=True, eq=False)
class Cutout:
    """A face to paste.

    Attributes:
        row: Its row of a manifest.
        pixels: HxWx3 RGB uint8, with hair and background.
        landmarks_xy: (5, 2) in pixels, in the order of `taxonomy.LANDMARKS`.

    Example:
        >>> round(Cutout(0, np.zeros((9, 9, 3), np.uint8), TEMPLATE_XY * 9).height, 2)
        9.54
    """

    row: int
    pixels: np.ndarray
    landmarks_xy: np.ndarray

    @property
    def height(self) -> float:
        """Height of the face in pixels."""
        return float(np.hypot(*self._fit()[:, 0])) * (FACE_BOX[3] - FACE_BOX[1])

    @property
    def head(self) -> tuple[float, float]:
        """Width and height of the ellipse to paste, in widths and heights of the face."""
        matrix = self._fit()
        left, top, right, bottom = FACE_BOX
        centre = matrix[:, :2] @ ((left + right) / 2, (top + bottom) / 2) + matrix[:, 2]
        room = np.minimum(centre, np.array(self.pixels.shape[1::-1]) - centre)
        sides = np.hypot(*matrix[:, 0]) * np.array([right - left, bottom - top])
        across, down = np.clip(2 * room / sides, LEAST_HEAD, HEAD).tolist()
        return across, down

    def _fit(self) -> np.ndarray:
        """Return the (2, 3) matrix from the template of landmarks to pixels."""
        return estimate_similarity(TEMPLATE_XY, self.landmarks_xy)


@dataclass(frozen=True, eq=False)
class Place:
    """Where and how a face is pasted.

    Attributes:
        cutout: The face.
        centre_xy: Of the face's box before it is turned, pixels of the photo.
        height: Of the face before it is turned, pixels.
        roll: Degrees, clockwise.
        light: Brightness.
        shade: (2,) How much brighter it is towards the right and downwards, per height.

    Example:
        >>> cutout = Cutout(0, np.zeros((9, 9, 3), np.uint8), TEMPLATE_XY * 9)
        >>> Place(cutout, np.array([50, 40]), height=20, roll=0).box_xyxy.round(1).tolist()
        [42.6, 30.0, 57.4, 50.0]
    """

    cutout: Cutout
    centre_xy: np.ndarray
    height: float
    roll: float
    light: float = 1.0
    shade: np.ndarray = field(default_factory=lambda: np.zeros(2))

    @property
    def landmarks_xy(self) -> np.ndarray:
        """Where the landmarks of the template lie in the photo, (5, 2)."""
        left, top, right, bottom = FACE_BOX
        upright = TEMPLATE_XY - ((left + right) / 2, (top + bottom) / 2)
        cos, sin = np.cos(np.radians(self.roll)), np.sin(np.radians(self.roll))
        turned = upright @ np.array([[cos, sin], [-sin, cos]])
        return turned * self.height / (bottom - top) + self.centre_xy

    @property
    def box_xyxy(self) -> np.ndarray:
        """The tight box, (4,): that of the turned ellipse which fills the face's upright box."""
        return self.bound((1, 1))

    def bound(self, size: tuple[float, float]) -> np.ndarray:
        """Return the box, (4,), of a turned ellipse; its size is in widths and heights of faces."""
        across, down = self._find_radii(size)
        cos, sin = np.cos(np.radians(self.roll)), np.sin(np.radians(self.roll))
        reach = np.hypot((across * cos, across * sin), (down * sin, down * cos))
        return np.concatenate([self.centre_xy - reach, self.centre_xy + reach])

    def measure_radius(self, points_xy: np.ndarray, size: tuple[float, float]) -> np.ndarray:
        """Return how far points are from the centre, 1 on the turned ellipse of a size.

        Args:
            points_xy: (..., 2) pixels.
            size: Width and height of the ellipse, in widths and heights of the face.
        """
        x, y = np.moveaxis(points_xy - self.centre_xy, -1, 0)
        across, down = self._find_radii(size)
        cos, sin = np.cos(np.radians(self.roll)), np.sin(np.radians(self.roll))
        return np.hypot((x * cos + y * sin) / across, (y * cos - x * sin) / down)

    def _find_radii(self, size: tuple[float, float]) -> tuple[float, float]:
        left, top, right, bottom = FACE_BOX
        ratio = (right - left) / (bottom - top)
        return self.height * ratio * size[0] / 2, self.height * size[1] / 2


def place_faces(
    cutouts: Sequence[Cutout],
    size_hw: tuple[int, int],
    crowding: float,
    random: np.random.Generator,
) -> list[Place]:
    """Choose a place, size, roll and light for each face.

    Args:
        cutouts: The faces.
        size_hw: Height and width of the photo.
        crowding: Share of the faces that overlap with another one, if there is a place.
        random: Chooses.

    Returns:
        The places, smallest face first. A face for which no place is found is left out.

    Example:
        >>> cutout = Cutout(0, np.zeros((100, 100, 3), np.uint8), TEMPLATE_XY * 100)
        >>> len(place_faces([cutout] * 3, (400, 400), 0.0, np.random.default_rng(0)))
        3
    """
    placed: list[Place] = []
    for cutout in cutouts:
        highest = min(HEIGHTS[1], LARGEST_SCALE * cutout.height, LARGEST_SHARE * min(size_hw))
        height = np.exp(random.uniform(np.log(min(HEIGHTS[0], highest)), np.log(highest)))
        roll = float(np.clip(random.normal(0, ROLL_DEGREES), -LARGEST_ROLL, LARGEST_ROLL))
        light, angle = random.uniform(*LIGHTS), random.uniform(0, 2 * np.pi)
        shade = random.uniform(0, LARGEST_SHADE) * np.array([np.cos(angle), np.sin(angle)])
        is_beside = bool(placed) and random.random() < crowding
        for attempt in range(TRIES):
            beside = is_beside and attempt < TRIES // 2
            centre = _choose_centre(placed if beside else [], height, size_hw, random)
            place = Place(cutout, centre, float(height), roll, light, shade)
            if _is_free(place, placed, size_hw, beside):
                placed.append(place)
                break
    return sorted(placed, key=lambda place: place.height)


def _choose_centre(
    placed: Sequence[Place],
    height: float,
    size_hw: tuple[int, int],
    random: np.random.Generator,
) -> np.ndarray:
    """Return a place beside one of the faces, or anywhere if there are none."""
    if not placed:
        return random.uniform((0, 0), size_hw[::-1])
    neighbour = placed[int(random.integers(len(placed)))]
    angle, distance = random.uniform(0, 2 * np.pi), random.uniform(0.3, 0.5)
    return neighbour.centre_xy + distance * (height + neighbour.height) * np.array(
        [np.cos(angle), np.sin(angle)]
    )


def _is_free(place: Place, placed: Sequence[Place], size_hw: tuple[int, int], beside: bool) -> bool:
    """Return whether a face is within the photo, and covers as much of others as it may."""
    box = place.box_xyxy
    if (box[:2] < 0).any() or (box[2:] > np.array(size_hw[::-1]) - 1).any():
        return False
    if not placed:
        return True
    size = (1.0, 1.0) if beside else HEAD
    others = np.array([other.bound(size) for other in placed])
    covers = compute_overlaps(place.bound(size)[None], others, "minimum")[0]
    return bool(COVERS[0] <= covers.max() <= COVERS[1] if beside else covers.max() == 0)


def paste_faces(behind: np.ndarray, places: Sequence[Place]) -> tuple[np.ndarray, np.ndarray]:
    """Paste faces into a picture, each over those before it.

    Args:
        behind: HxWx3 RGB uint8.
        places: The faces, farthest first.

    Returns:
        HxWx3 RGB uint8; and the share of each face that no later one hides, (faces,).

    Example:
        >>> cutout = Cutout(0, np.full((90, 90, 3), 250, np.uint8), TEMPLATE_XY * 90)
        >>> place = Place(cutout, np.array([60, 50]), height=40, roll=0)
        >>> photo, visible = paste_faces(np.zeros((100, 120, 3), np.uint8), [place, place])
        >>> photo[50, 60].tolist(), photo[50, 5].tolist(), visible.tolist()
        ([250, 250, 250], [0, 0, 0], [0.0, 1.0])
    """
    canvas = behind.astype(np.float32)
    owners = np.full(canvas.shape[:2], -1)
    regions = []
    for index, place in enumerate(places):
        head = place.cutout.head
        left, top, right, bottom = round_box(place.bound(head), canvas.shape[:2])
        part = slice(top, bottom), slice(left, right)
        points = np.stack(np.meshgrid(np.arange(left, right), np.arange(top, bottom)), axis=-1)
        picture, inside = _warp(place, (left, top), (right - left, bottom - top))
        share = np.clip((1 - place.measure_radius(points, head)) / FADE, 0, 1)
        alpha = share**2 * (3 - 2 * share) * inside  # smooth at both ends
        shade = (points - place.centre_xy) / place.height @ place.shade
        lit = picture * (place.light * (1 + shade))[..., None]
        canvas[part] += alpha[..., None] * (lit.clip(0, 255) - canvas[part])
        face = place.measure_radius(points, (1, 1)) <= 1
        owners[part][face | (alpha > 0.5)] = index
        regions.append((part, face))
    visible = [
        float((owners[part][face] == index).mean()) for index, (part, face) in enumerate(regions)
    ]
    return canvas.round().astype(np.uint8), np.array(visible)


def _warp(
    place: Place, corner_xy: tuple[int, int], size_wh: tuple[int, int]
) -> tuple[np.ndarray, np.ndarray]:
    """Return a part of the photo with nothing but the face's picture, and how much it is inside."""
    pixels, landmarks = place.cutout.pixels, place.cutout.landmarks_xy
    scale = place.height / place.cutout.height
    if scale < 1:  # the mean of pixels, so that a small face has no false edges
        sides = [max(round(side * scale), 1) for side in pixels.shape[1::-1]]
        landmarks = landmarks * (np.array(sides) / pixels.shape[1::-1])
        pixels = cv2.resize(pixels, sides, interpolation=cv2.INTER_AREA)
    matrix = estimate_similarity(landmarks, place.landmarks_xy - corner_xy)
    rows, columns = (
        np.minimum(np.arange(side) + 0.5, side - 0.5 - np.arange(side)) for side in pixels.shape[:2]
    )
    fade = np.clip(np.minimum.outer(rows, columns) / (EDGE * min(pixels.shape[:2])), 0, 1)
    picture = cv2.warpAffine(pixels, matrix, size_wh, borderMode=cv2.BORDER_REPLICATE)
    return picture, cv2.warpAffine(fade.astype(np.float32), matrix, size_wh)
