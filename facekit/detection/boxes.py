"""Arithmetic on boxes: overlap, non-maximum suppression, squares, crops. No network runs here.

Boxes are (boxes, 4) float arrays of x1, y1, x2, y2 in pixels. As in MTCNN's published code, a box
includes the pixels at x2 and y2, so its sides are x2 - x1 + 1 and y2 - y1 + 1 pixels long.
"""

import numpy as np

# Boxes judged at once: few enough to lie close together, enough to make NumPy's overhead small.
NMS_BLOCK = 256


def compute_overlaps(
    boxes_xyxy: np.ndarray, others_xyxy: np.ndarray, method: str = "union"
) -> np.ndarray:
    """Return how much each box overlaps each of the others.

    Args:
        boxes_xyxy: (boxes, 4).
        others_xyxy: (others, 4).
        method: `union` divides the intersection by the union (IoU), `minimum` divides it by the
            smaller of the two boxes.

    Returns:
        (boxes, others), 0 to 1.

    Raises:
        ValueError: If `method` is neither.

    Example:
        >>> compute_overlaps(np.array([[0, 0, 4, 4]]), np.array([[0, 0, 4, 2], [9, 9, 10, 10]]))
        array([[0.5, 0. ]])
    """
    if method not in ("union", "minimum"):
        raise ValueError(f"`method` must be 'union' or 'minimum'; got {method!r}.")
    corner = np.maximum(boxes_xyxy[:, None, :2], others_xyxy[None, :, :2])
    opposite = np.minimum(boxes_xyxy[:, None, 2:], others_xyxy[None, :, 2:])
    common = np.clip(opposite - corner, 0, None).prod(axis=2)
    areas = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)[:, None]
    other_areas = (others_xyxy[:, 2:] - others_xyxy[:, :2]).prod(axis=1)[None, :]
    whole = areas + other_areas - common if method == "union" else np.minimum(areas, other_areas)
    return common / np.maximum(whole, np.finfo(np.float32).tiny)


def suppress_non_maxima(
    boxes_xyxy: np.ndarray, scores: np.ndarray, threshold: float, method: str = "union"
) -> np.ndarray:
    """Keep a box only if no box with a higher score overlaps it by more than `threshold`.

    This is the parallel form of non-maximum suppression, as in the `mtcnn` package: a better box
    suppresses others even if it is suppressed itself. Each box can then be judged alone, so blocks
    of neighbouring boxes are compared only with the boxes around them.

    Args:
        boxes_xyxy: (boxes, 4).
        scores: (boxes,).
        threshold: Overlap above which the box with the lower score is dropped.
        method: As in `compute_overlaps`.

    Returns:
        Indices of the kept boxes, best first.

    Example:
        >>> boxes = np.array([[0, 0, 9, 9], [1, 0, 10, 9], [20, 0, 29, 9]])
        >>> suppress_non_maxima(boxes, np.array([0.8, 0.9, 0.7]), 0.5).tolist()
        [1, 2]
    """
    order = np.argsort(-scores, kind="stable")
    boxes = boxes_xyxy[order]  # from here on the index is the rank
    kept = np.ones(len(boxes), bool)
    for block in _group_neighbours(boxes):
        reach = np.concatenate([boxes[block, :2].min(axis=0), boxes[block, 2:].max(axis=0)])
        near = np.flatnonzero(
            (boxes[:, :2] <= reach[2:]).all(axis=1) & (boxes[:, 2:] >= reach[:2]).all(axis=1)
        )
        overlaps = compute_overlaps(boxes[near], boxes[block], method)
        kept[block] = ~((overlaps > threshold) & (near[:, None] < block)).any(axis=0)
    return order[kept]


def _group_neighbours(boxes_xyxy: np.ndarray) -> list[np.ndarray]:
    """Split boxes into blocks of at most `NMS_BLOCK` that lie close together.

    The image is divided into horizontal bands, and each band from left to right.
    """
    count = len(boxes_xyxy)
    if count == 0:
        return []
    bands = np.array_split(
        np.argsort(boxes_xyxy[:, 1], kind="stable"), int(np.ceil((count / NMS_BLOCK) ** 0.5))
    )
    across = [band[np.argsort(boxes_xyxy[band, 0], kind="stable")] for band in bands]
    return [
        band[start : start + NMS_BLOCK]
        for band in across
        for start in range(0, len(band), NMS_BLOCK)
    ]


def make_square(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Grow the shorter side of each box around its centre until the box is square.

    Args:
        boxes_xyxy: (boxes, 4).

    Returns:
        (boxes, 4).

    Example:
        >>> make_square(np.array([[0, 0, 4, 8]])).tolist()
        [[-2.0, 0.0, 6.0, 8.0]]
    """
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    half = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def clip_boxes(boxes_xyxy: np.ndarray, size_hw: tuple[int, ...]) -> np.ndarray:
    """Clip boxes to the pixels of an image.

    Args:
        boxes_xyxy: (boxes, 4).
        size_hw: Height and width of the image.

    Returns:
        (boxes, 4).

    Example:
        >>> clip_boxes(np.array([[-2, 1, 9, 9]], np.float32), (6, 8)).tolist()
        [[0.0, 1.0, 7.0, 5.0]]
    """
    height, width = size_hw
    return np.clip(boxes_xyxy, 0, np.array([width, height, width, height], np.float32) - 1)


def apply_offsets(boxes_xyxy: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Move the corners of boxes by a network's offsets.

    Args:
        boxes_xyxy: (boxes, 4).
        offsets: (boxes, 4), fractions of the box's width and height.

    Returns:
        (boxes, 4).

    Example:
        >>> apply_offsets(np.array([[0, 0, 9, 9]]), np.array([[0.1, 0, -0.1, 0]])).tolist()
        [[1.0, 0.0, 8.0, 9.0]]
    """
    sizes = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2] + 1
    return boxes_xyxy + offsets * np.tile(sizes, 2)


def sample_crops(image: np.ndarray, boxes_xyxy: np.ndarray, size: int) -> np.ndarray:
    """Cut all boxes out of an image at one size, with bilinear interpolation.

    Outside the image, crops are 0, which is mid grey.

    Args:
        image: HxWx3 uint8.
        boxes_xyxy: (boxes, 4); may reach beyond the frame.
        size: Side of the crops in pixels.

    Returns:
        (boxes, size, size, 3) float32, normalised to (value - 127.5) / 128.

    Example:
        >>> crops = sample_crops(np.full((9, 9, 3), 255, np.uint8), np.array([[0, 0, 8, 8]]), 4)
        >>> crops.shape, float(crops.max())
        ((1, 4, 4, 3), 0.99609375)
    """
    height, width = image.shape[:2]
    steps = np.linspace(0, 1, size, dtype=np.float32)
    # As in TensorFlow's crop_and_resize, with which the published thresholds were chosen: the first
    # and last samples lie on the box's edges, and a box as large as the image spans its pixel
    # centres.
    x = (boxes_xyxy[:, :1] + (boxes_xyxy[:, 2:3] - boxes_xyxy[:, :1]) * steps) * (
        (width - 1) / width
    )  # (boxes, size)
    y = (boxes_xyxy[:, 1:2] + (boxes_xyxy[:, 3:4] - boxes_xyxy[:, 1:2]) * steps) * (
        (height - 1) / height
    )
    inside = ((y >= 0) & (y <= height - 1))[:, :, None] & ((x >= 0) & (x <= width - 1))[:, None, :]
    left = np.clip(np.floor(x), 0, max(width - 2, 0)).astype(np.intp)
    top = np.clip(np.floor(y), 0, max(height - 2, 0)).astype(np.intp)
    right, bottom = np.minimum(left + 1, width - 1), np.minimum(top + 1, height - 1)
    along = (x - left)[:, None, :, None].astype(np.float32)
    down = (y - top)[:, :, None, None].astype(np.float32)

    def pick(rows, columns):  # (boxes, size, size, 3)
        return image[rows[:, :, None], columns[:, None, :]].astype(np.float32)

    upper = pick(top, left) * (1 - along) + pick(top, right) * along
    lower = pick(bottom, left) * (1 - along) + pick(bottom, right) * along
    crops = (upper * (1 - down) + lower * down - 127.5) / 128
    return crops * inside[..., None]
