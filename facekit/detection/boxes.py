"""Arithmetic on boxes: overlap, non-maximum suppression, squares, crops. No network is run here.

Boxes are (boxes, 4) float arrays of x1, y1, x2, y2 in pixels; x2 and y2 lie outside by one pixel
less than the width suggests, as in MTCNN's published code.
"""

import numpy as np

NMS_BLOCK = (
    256  # boxes judged at once: small enough to lie close together, large enough to keep NumPy busy
)


def compute_overlaps(
    boxes_xyxy: np.ndarray, others_xyxy: np.ndarray, method: str = "union"
) -> np.ndarray:
    """Return how much each box overlaps each of the others.

    Args:
        boxes_xyxy: (boxes, 4).
        others_xyxy: (others, 4).
        method: `union` divides the common area by the united one (IoU), `minimum` by the smaller of
            the two boxes.

    Returns:
        (boxes, others), 0 to 1.

    Raises:
        ValueError: If `method` is neither.
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
    """Keep a box only if no better one overlaps it by more than `threshold`.

    This is the parallel form of non-maximum suppression, as in the `mtcnn` package: a better box
    counts even where it goes itself. Each box can then be judged alone, so that blocks of
    neighbours are compared with what lies around them and nothing more.

    Args:
        boxes_xyxy: (boxes, 4).
        scores: (boxes,).
        threshold: Overlap above which the lesser box goes.
        method: As in `compute_overlaps`.

    Returns:
        Indices of the kept boxes, best first.
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
    """Split boxes into blocks of at most `NMS_BLOCK` that lie close together: bands down the image, each cut across."""
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
    """Grow each box's shorter side around its centre until it is square."""
    centres = (boxes_xyxy[:, :2] + boxes_xyxy[:, 2:]) / 2
    half = (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).max(axis=1, keepdims=True) / 2
    return np.concatenate([centres - half, centres + half], axis=1)


def apply_offsets(boxes_xyxy: np.ndarray, offsets: np.ndarray) -> np.ndarray:
    """Move each corner by a network's offsets, (boxes, 4), which are fractions of the box's width and height."""
    sizes = boxes_xyxy[:, 2:] - boxes_xyxy[:, :2] + 1
    return boxes_xyxy + offsets * np.tile(sizes, 2)


def sample_crops(image: np.ndarray, boxes_xyxy: np.ndarray, size: int) -> np.ndarray:
    """Cut all boxes out of an image at one size, bilinearly, with zeros (mid grey) outside the
    frame.

    Args:
        image: HxWx3 uint8.
        boxes_xyxy: (boxes, 4); may reach beyond the frame.
        size: Side of the crops in pixels.

    Returns:
        (boxes, size, size, 3) float32, normalised to (value - 127.5) / 128.
    """
    height, width = image.shape[:2]
    steps = np.linspace(0, 1, size, dtype=np.float32)
    # As TensorFlow's crop_and_resize, on which the published thresholds were set: the first and
    # last samples lie on the box's edges, and a box as large as the image spans its pixel centres.
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
