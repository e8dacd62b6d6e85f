"""Cut faces out of pictures, upright by their landmarks, and turn them into network input.

Training and analysis share these functions, so a network sees the same preprocessing in both. Where
the faces are is found by `detection`.
"""

from __future__ import annotations

import cv2
import numpy as np

from facekit.faces import Faces

# Where the landmarks lie in a crop of side 1, in the order of `taxonomy.LANDMARKS`: about the mean
# over UTKFace and FER2013, made symmetric, so that the crops hold nearly all that these datasets'
# own crops show.
TEMPLATE_XY = np.array(
    [[0.32, 0.35], [0.68, 0.35], [0.5, 0.57], [0.34, 0.73], [0.66, 0.73]], np.float32
)


def convert_to_grey(image: np.ndarray) -> np.ndarray:
    """Return the luminance of a colour picture (ITU-R BT.601).

    Args:
        image: HxWx3 RGB uint8.

    Returns:
        HxW uint8.

    Example:
        >>> convert_to_grey(np.array([[[255, 0, 0], [0, 255, 0]]], np.uint8)).tolist()
        [[76, 150]]
    """
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def equalise_crops(crops: np.ndarray) -> np.ndarray:
    """Equalise the histogram of each crop, so that lighting and camera matter less.

    Some copies of FER2013 are equalised; a network that is trained on them needs such input.

    Args:
        crops: (faces, size, size, 1) uint8.

    Returns:
        uint8 array of the same shape.

    Example:
        >>> equalise_crops(np.array([[[[100], [120]], [[110], [130]]]], np.uint8)).ravel().tolist()
        [0, 170, 85, 255]
    """
    return np.stack([cv2.equalizeHist(crop)[..., None] for crop in crops]) if len(crops) else crops


def normalise(crops: np.ndarray) -> np.ndarray:
    """Turn crops into network input.

    Args:
        crops: Array of any shape, values from 0 to 255.

    Returns:
        float32 array of the same shape, values from -1 to 1.

    Example:
        >>> normalise(np.array([0, 255], np.uint8)).tolist()
        [-1.0, 1.0]
    """
    return crops.astype(np.float32) / 127.5 - 1


def estimate_similarity(source_xy: np.ndarray, target_xy: np.ndarray) -> np.ndarray:
    """Fit the rotation, uniform scale and shift that map points onto others (least squares).

    Args:
        source_xy: (points, 2).
        target_xy: (points, 2).

    Returns:
        (2, 3) matrix for `cv2.warpAffine`.

    Reference:
        Umeyama, 1991; in two dimensions and without reflection it is one division of complex
        numbers.

    Example:
        >>> points = np.array([[0, 0], [1, 0], [0, 1]])
        >>> estimate_similarity(points, 2 * points + 5)[:, 2].round(6).tolist()
        [5.0, 5.0]
    """
    source = source_xy.astype(np.float64) @ (1, 1j)
    target = target_xy.astype(np.float64) @ (1, 1j)
    spread = np.sum(np.abs(source - source.mean()) ** 2)
    turn = np.sum(np.conj(source - source.mean()) * (target - target.mean())) / max(spread, 1e-12)
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def round_box(box_xyxy: np.ndarray, size_hw: tuple[int, ...]) -> tuple[int, int, int, int]:
    """Return the whole pixels of a picture that a box touches, at least one.

    Args:
        box_xyxy: (4,) pixels; may reach beyond the picture.
        size_hw: Height and width of the picture.

    Returns:
        Left, top, right and bottom; right and bottom are the first beyond the part.

    Example:
        >>> round_box(np.array([-3, 1.5, 4.2, 6]), (5, 8))
        (0, 1, 5, 5)
    """
    height, width = size_hw
    left, top = np.clip(np.floor(box_xyxy[:2]), 0, (width - 1, height - 1)).astype(int).tolist()
    right, bottom = np.clip(np.ceil(box_xyxy[2:]), (left + 1, top + 1), (width, height))
    return left, top, int(right), int(bottom)


def shrink_image(image: np.ndarray, side: int) -> np.ndarray:
    """Return a picture whose longer side has at most `side` pixels; a smaller one stays as it is.

    Args:
        image: HxWx3 RGB uint8.
        side: Pixels.

    Example:
        >>> shrink_image(np.zeros((300, 600, 3), np.uint8), 100).shape
        (50, 100, 3)
    """
    height, width = image.shape[:2]
    scale = side / max(height, width)
    if scale >= 1:
        return image
    shares = max(scale, 1 / width), max(scale, 1 / height)  # at least one pixel remains
    return cv2.resize(image, None, fx=shares[0], fy=shares[1], interpolation=cv2.INTER_AREA)


def cut_crops(
    image: np.ndarray, faces: Faces, size: int, channels: int = 1, scale: float = 1.0
) -> np.ndarray:
    """Cut faces out of a picture, upright by their landmarks.

    Args:
        image: HxWx3 RGB uint8.
        faces: The faces to cut. A face without landmarks (NaN) is cut along its box.
        size: Side of the crops in pixels.
        channels: 1 for grey, 3 for RGB.
        scale: How much of the picture a crop shows: 1 is the face, 1.4 the head with its hair.

    Returns:
        (faces, size, size, channels) uint8. Outside the picture, its edge is repeated.

    Raises:
        ValueError: If `size` or `scale` is not positive, or `channels` is neither 1 nor 3.

    Example:
        >>> cut_crops(np.zeros((50, 50, 3), np.uint8), Faces.empty(), 48).shape
        (0, 48, 48, 1)
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 (grey) or 3 (RGB); got {channels}.")
    if size < 1:
        raise ValueError(f"`size` must be 1 pixel or more; got {size}.")
    if not scale > 0:
        raise ValueError(f"`scale` must be above 0; got {scale}.")
    target = ((TEMPLATE_XY - 0.5) / scale + 0.5) * size
    boxes = faces.boxes_xyxy[:, None]  # (faces, 1, 4)
    within_boxes = boxes[..., :2] + TEMPLATE_XY * (boxes[..., 2:] - boxes[..., :2])  # (faces, 5, 2)
    landmarks = np.where(np.isnan(faces.landmarks_xy), within_boxes, faces.landmarks_xy)
    crops = [_cut_crop(image, points, target, size, channels) for points in landmarks]
    return np.stack(crops) if crops else np.zeros((0, size, size, channels), np.uint8)


def _cut_crop(
    image: np.ndarray, points_xy: np.ndarray, target_xy: np.ndarray, size: int, channels: int
) -> np.ndarray:
    matrix = estimate_similarity(points_xy, target_xy)
    # Work on the part of the picture that the crop can show, a little larger, so that a large
    # picture takes no longer than a small one.
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * size @ inverse[:, :2].T + inverse[:, 2]
    around = np.concatenate([np.floor(corners.min(axis=0)) - 2, np.ceil(corners.max(axis=0)) + 2])
    left, top, right, bottom = round_box(around, image.shape[:2])
    part = np.ascontiguousarray(image[top:bottom, left:right])
    if channels == 1:
        part = convert_to_grey(part)
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    # Average before shrinking: the warp itself uses four pixels only, and would alias.
    shrink = min(int(1 / max(np.hypot(*matrix[0, :2]), 1e-6)), min(part.shape[:2]))
    if shrink > 1:
        small = cv2.resize(part, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        ratio = np.array(part.shape[1::-1]) / small.shape[1::-1]
        matrix[:, 2] += matrix[:, :2] @ (ratio / 2 - 0.5)
        matrix[:, :2] *= ratio
        part = small
    crop = cv2.warpAffine(
        part, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return crop.reshape(size, size, channels)
