"""Match the boxes of a detector to the faces of a ground truth, and sort faces into bins."""

from __future__ import annotations

import itertools
from collections.abc import Sequence

import numpy as np
import pandas as pd

from facekit.datasets.manifest import BOX
from facekit.detection.boxes import compute_overlaps
from facekit.faces import Faces

LEAST_OVERLAP = 0.5  # intersection over union at which a box is on a face, as WIDER FACE scores
HEIGHTS = (10, 20, 40, 80, 160)  # pixels; each bin has faces up to twice as high as its first
CROWDS = (1, 4, 11, 31)  # faces in a photo: a few, a group, a crowd, a large crowd


def tabulate_boxes(image: str, faces: Faces) -> pd.DataFrame:
    """Return what a detector found in one photo as a table of boxes.

    Args:
        image: Name of the photo, as in the table of faces.
        faces: What a detector returned.

    Example:
        >>> tabulate_boxes("a.jpg", Faces.empty()).columns.tolist()
        ['image', 'x1', 'y1', 'x2', 'y2', 'score']
    """
    table = pd.DataFrame(faces.boxes_xyxy, columns=list(BOX)).assign(score=faces.scores)
    table.insert(0, "image", image)
    return table


def match_faces(
    faces: pd.DataFrame, boxes: pd.DataFrame, least_overlap: float = LEAST_OVERLAP
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Match boxes to faces: in each photo the best box first, to the free face it overlaps most.

    Args:
        faces: The ground truth.
        boxes: What a detector found.
        least_overlap: Intersection over union from which on a box is on a face.

    Returns:
        The faces with `height` in pixels, `crowd` (how many faces of the photo count), `found`, and
        `box`, the row of the box, -1 without one. The boxes with `face`, the row of the face, -1
        without one; `ignored`, for boxes on ignored faces alone; and `height`, that of the face, or
        its own without one. Rows are numbered from 0 in the order of the tables.

    Raises:
        ValueError: If `least_overlap` is not above 0 and at most 1.

    Example:
        >>> names = ["image", *BOX]
        >>> faces = pd.DataFrame([["a", 0, 0, 10, 10], ["a", 50, 0, 60, 20]], columns=names)
        >>> boxes = pd.DataFrame([["a", 0, 0, 10, 9, 0.8]], columns=[*names, "score"])
        >>> faces, boxes = match_faces(faces, boxes)
        >>> faces["found"].tolist(), boxes["face"].tolist(), boxes["height"].tolist()
        ([True, False], [0], [10.0])
    """
    if not 0 < least_overlap <= 1:
        raise ValueError(f"`least_overlap` must be above 0 and at most 1; got {least_overlap}.")
    faces, boxes = faces.reset_index(drop=True), boxes.reset_index(drop=True)
    ignored = np.zeros(len(faces), bool)
    if "ignored" in faces:
        ignored = faces["ignored"].to_numpy(bool)
    face_of, on_ignored = np.full(len(boxes), -1), np.zeros(len(boxes), bool)
    rows_of_faces = faces.groupby("image").indices
    for image, indices in boxes.groupby("image").indices.items():
        rows, others = np.asarray(indices), np.asarray(rows_of_faces.get(image, np.zeros(0, int)))
        overlaps = compute_overlaps(
            boxes.loc[rows, list(BOX)].to_numpy(float), faces.loc[others, list(BOX)].to_numpy(float)
        )
        skipped = ignored[others]
        free = ~skipped
        scores = boxes.loc[rows, "score"].to_numpy(float)
        for index in np.argsort(-scores, kind="stable"):
            candidates = np.where(free, overlaps[index], 0)
            if candidates.max(initial=0) >= least_overlap:
                free[candidates.argmax()] = False
                face_of[rows[index]] = others[candidates.argmax()]
            else:
                on_ignored[rows[index]] = (overlaps[index][skipped] >= least_overlap).any()
    on_face, box_of = face_of >= 0, np.full(len(faces), -1)
    box_of[face_of[on_face]] = np.flatnonzero(on_face)
    heights = (faces["y2"] - faces["y1"]).to_numpy(float)
    own = (boxes["y2"] - boxes["y1"]).to_numpy(float)
    own = np.where(on_face, heights[face_of] if len(heights) else own, own)
    crowd = pd.Series(~ignored).groupby(faces["image"]).transform("sum").to_numpy(int)
    return (
        faces.assign(ignored=ignored, height=heights, crowd=crowd, found=box_of >= 0, box=box_of),
        boxes.assign(face=face_of, ignored=on_ignored, height=own),
    )


def name_bins(values: pd.Series, edges: Sequence[float]) -> pd.Series:
    """Return the bin of each value, by name; values below the first edge have none.

    Args:
        values: Numbers.
        edges: The first value of each bin, rising; the last bin has no end.

    Example:
        >>> name_bins(pd.Series([19, 20, 300]), (20, 40)).astype(object).tolist()
        [nan, '20 to 40', '40 and more']
    """
    names = [f"{low:g} to {high:g}" for low, high in itertools.pairwise(edges)]
    names.append(f"{edges[-1]:g} and more")
    return pd.cut(values, [*edges, np.inf], right=False, labels=names)
