"""Light a drawn face, and turn it, as if the flat painting had depth."""

from __future__ import annotations

from types import SimpleNamespace

import cv2
import numpy as np

from facekit.datasets.synthetic.proportions import measure_face
from facekit.datasets.synthetic.shapes import CENTRE
from facekit.datasets.synthetic.traits import FaceTraits

GRID = 64  # cells per side for smooth things: light and pose
UNIT_LIGHT = 160  # leaves a colour as it is, so that 8 bits have room for brighter
CELLS_X = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID - 0.5
CELLS_Y = CELLS_X + 0.5
PIVOT_XY = np.array((0.0, 0.55))  # the head turns about this point


def _raise_bells(*bells: tuple[float, float, float, float, float]) -> np.ndarray:
    """Return a sum of bumps on the grid, each of x, y, width, height and amount.

    Bumps beside the midline get a mirror image.
    """
    both_sides = np.array([*bells, *((-x, *rest) for x, *rest in bells if x)])
    x, y, widths, heights, amounts = both_sides.T[..., None]  # (bells, 1) each
    across, down = (
        np.exp(-(((CELLS_X - x) / widths) ** 2)),
        np.exp(-(((CELLS_Y - y) / heights) ** 2)),
    )
    return (amounts * down).T @ across


def light_face(face: SimpleNamespace, traits: FaceTraits) -> np.ndarray:
    """Return the reflected light, (GRID, GRID, 4) uint8 with alpha.

    It is Lambert's law over a relief of the face.

    Example:
        >>> traits = FaceTraits(30, "female", "asian")
        >>> light_face(measure_face(traits), traits).shape
        (64, 64, 4)
    """
    eye_x, eye_y, nose_y, mouth_y, old, child = (
        face.eye_x,
        face.eye_y,
        face.nose_y,
        face.mouth_y,
        face.old,
        face.child,
    )
    across, down = CELLS_X / (face.width + 0.05), (CELLS_Y - (face.top_y + face.chin_y) / 2) / 0.50
    relief = 0.24 * np.sqrt(np.maximum(1 - across**2 - down[:, None] ** 2, 0.02)) + _raise_bells(
        # bridge and tip
        (0, (eye_y + nose_y) / 2, 0.030, 0.10, 0.040 - 0.02 * child),
        (0, nose_y - 0.018, 0.040, 0.034, 0.050),
        # wings, sockets
        (face.nose, nose_y - 0.008, 0.024, 0.022, 0.018),
        (eye_x - 0.01, eye_y + 0.002, 0.085, 0.050, -0.034),
        # eyeballs, brow ridge
        (eye_x, eye_y, 0.050, 0.036, 0.014),
        (0.13, face.brow_y + 0.01, 0.10, 0.024, 0.012 * face.male),
        # cheeks
        (0.18, nose_y - 0.02, 0.075, 0.065, 0.020 + 0.012 * face.units[6] + 0.010 * child),
        (0.20, nose_y + 0.10, 0.06, 0.06, -0.022 * old),
        (0, mouth_y, 0.13, 0.06, 0.020),
        (0, mouth_y + 0.062, 0.07, 0.018, -0.012),
        (0, face.chin_y - 0.06, 0.075, 0.045, 0.022),
    )
    slope_y, slope_x = np.gradient(relief, 1 / GRID)
    turn = np.radians(traits.light_degrees - traits.roll_degrees)
    facing = 0.78 - 0.62 * (slope_x * np.sin(turn) - slope_y * np.cos(turn))
    facing = (facing / np.sqrt(1 + slope_x**2 + slope_y**2)).clip(0)
    shine = 0.25 * traits.light_strength * facing**14
    lit = (1 + (0.25 + 0.75 * traits.light_strength) * (facing - 0.80)).clip(0.12)
    flush = _raise_bells((0.18, nose_y, 0.07, 0.05, 0.07 + 0.04 * child))[..., None] * (
        0.3,
        -0.7,
        -0.6,
    )
    colour = (
        lit[..., None] ** (0.85, 1.08, 1.15) + shine[..., None] + flush
    )  # shadows on skin are red
    return np.dstack(
        [(colour * UNIT_LIGHT).clip(0, 255), np.full((GRID, GRID), UNIT_LIGHT)]
    ).astype(np.uint8)


def _find_depth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how far points of the head are nearer to the viewer than its edge."""
    skull = 0.21 * np.maximum(1 - (x / 0.40) ** 2 - ((y - 0.52) / 0.52) ** 2, 0)
    return skull + 0.03 * np.exp(-((x / 0.06) ** 2) - ((y - 0.56) / 0.07) ** 2)


def _read_pose(traits: FaceTraits) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotation of the roll (2, 2), and how far a point moves for its depth (2,)."""
    roll = np.radians(traits.roll_degrees)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return turn, np.sin(np.radians((traits.yaw_degrees, traits.pitch_degrees)))


def turn_face(paint: np.ndarray, traits: FaceTraits) -> np.ndarray:
    """Turn the painting as if it lay on a head.

    Example:
        >>> traits = FaceTraits(30, "female", "asian", yaw_degrees=20)
        >>> turn_face(np.zeros((48, 48, 4), np.uint8), traits).shape
        (48, 48, 4)
    """
    turn, shift = _read_pose(traits)
    upright = (
        np.stack(np.meshgrid(CELLS_X, CELLS_Y), axis=-1) - PIVOT_XY
    ) @ turn + PIVOT_XY  # a rotation's inverse is its transpose
    source = upright - _find_depth(upright[..., 0], upright[..., 1])[..., None] * shift + CENTRE
    side = len(paint)
    places = cv2.resize((source * side - 0.5).astype(np.float32), (side, side))
    return cv2.remap(
        paint, places[..., 0], places[..., 1], cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )


def place_landmarks(traits: FaceTraits, size: int) -> np.ndarray:
    """Return the landmarks of a drawn face in pixels.

    Args:
        traits: Of the face.
        size: Side of the picture, pixels.

    Returns:
        (5, 2) float32, in the order of `taxonomy.LANDMARKS`.

    Example:
        >>> place_landmarks(FaceTraits(30, "female", "asian"), size=96).shape
        (5, 2)
    """
    face = measure_face(traits)
    points = np.array(
        [
            (-face.eye_x, face.eye_y),
            (face.eye_x, face.eye_y),
            (0, face.nose_y - 0.01),
            (-face.corner_x, face.corner_y),
            (face.corner_x, face.corner_y),
        ]
    )
    turn, shift = _read_pose(traits)
    moved = points
    for _ in range(8):  # `turn_face` maps a target point to its source; this inverts it
        moved = points + _find_depth(*moved.T)[:, None] * shift
    return (((moved - PIVOT_XY) @ turn.T + PIVOT_XY + CENTRE) * size - 0.5).astype(np.float32)
