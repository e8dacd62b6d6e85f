"""Measure detectors: recall by group, precision by height, and the number of faces.

All functions take the tables that `matching.match_faces` returns.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from facekit.evaluation.crowds.matching import HEIGHTS, name_bins
from facekit.evaluation.metrics import bootstrap_interval, tabulate_groups


def tabulate_recall(faces: pd.DataFrame, by: str, edges: Sequence[float] = ()) -> pd.DataFrame:
    """Return the recall in each group of faces, with its interval.

    Args:
        faces: From `match_faces`.
        by: A column, such as `height`, `crowd`, `pose` or `occlusion`.
        edges: For a column of numbers, the bins, see `name_bins`.

    Returns:
        Indexed by group: `count` (faces), `recall`, `low`, `high` and `interval`, the method of the
        interval. Groups without a face are left out; bins and categories are in their order, other
        groups sorted.

    Raises:
        ValueError: If there is no such column.

    Example:
        >>> faces = pd.DataFrame({"image": ["a", "a", "b"], "ignored": False})
        >>> faces = faces.assign(height=[15, 30, 50], found=[False, True, True])
        >>> tabulate_recall(faces, "height", (10, 20, 40))[["count", "recall"]]
                     count  recall
        10 to 20         1     0.0
        20 to 40         1     1.0
        40 and more      1     1.0
    """
    if by not in faces:
        raise ValueError(
            f"`by` must be a column; got {by!r}. There are {', '.join(map(str, faces))}."
        )
    counted = faces[~faces["ignored"]]
    groups = name_bins(counted[by], edges) if len(edges) else counted[by]
    known = groups.notna()
    ordered = isinstance(groups.dtype, pd.CategoricalDtype)
    order = groups.cat.categories if ordered else sorted(groups[known].unique())
    groups = groups[known].astype(object)
    table = tabulate_groups(
        counted.loc[known, "found"].to_numpy(bool),
        groups.to_numpy(),
        counted.loc[known, "image"].to_numpy(),
    ).rename(columns={"share": "recall"})
    return table.loc[[name for name in order if name in table.index]]


def trace_precision(faces: pd.DataFrame, boxes: pd.DataFrame) -> pd.DataFrame:
    """Return the precision-recall curve.

    Args:
        faces: From `match_faces`.
        boxes: From `match_faces`.

    Returns:
        One row per box that counts, best first: its `score`, and `recall` and `precision` of all
        boxes down to it.

    Example:
        >>> faces = pd.DataFrame({"ignored": [False, False, True]})
        >>> boxes = pd.DataFrame({"score": [0.5, 0.9], "face": [1, -1], "ignored": False})
        >>> trace_precision(faces, boxes)
           score  recall  precision
        0    0.9     0.0        0.0
        1    0.5     0.5        0.5
    """
    counted = boxes[~boxes["ignored"]].sort_values("score", ascending=False, kind="stable")
    hits = (counted["face"] >= 0).to_numpy().cumsum()
    total = max(int((~faces["ignored"]).sum()), 1)
    return pd.DataFrame(
        {
            "score": counted["score"].to_numpy(float),
            "recall": hits / total,
            "precision": hits / np.arange(1, len(hits) + 1),
        }
    )


def compute_average_precision(scores: np.ndarray, hits: np.ndarray, count: int) -> float:
    """Return the area under the precision-recall curve, with precision made monotonic.

    A detector that returns no box below a threshold cannot have more than its recall.

    Args:
        scores: (boxes,).
        hits: Whether each box found a face of its own, (boxes,) bool.
        count: Number of faces, above 0.

    Returns:
        0 to 1.

    Example:
        >>> compute_average_precision(np.array([0.9, 0.8]), np.array([False, True]), count=2)
        0.25
    """
    found = np.cumsum(hits[np.argsort(-scores, kind="stable")])
    precision = found / np.arange(1, len(found) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(found, prepend=0)  # 1 where a box found a face
    return float((envelope * steps).sum()) / count


def tabulate_precision(
    faces: pd.DataFrame, boxes: pd.DataFrame, edges: Sequence[float] = HEIGHTS
) -> pd.DataFrame:
    """Return recall, precision and average precision by height of the face, and of all.

    A box that is on a face counts in the bin of the face, another one in the bin of its own height.

    Args:
        faces: From `match_faces`.
        boxes: From `match_faces`.
        edges: First height of each bin, pixels.

    Returns:
        Indexed by bin, `all` last: `faces`, `boxes`, `recall`, `precision`, `average_precision`,
        and the ends of its interval, `low` and `high`. A figure over nothing is NaN.

    Example:
        >>> faces = pd.DataFrame({"image": ["a", "b"], "height": [25, 50], "ignored": False})
        >>> boxes = pd.DataFrame({"image": "a", "height": [25, 90], "score": [0.9, 0.8]})
        >>> boxes = boxes.assign(face=[0, -1], ignored=False)
        >>> table = tabulate_precision(faces, boxes, (20, 40))
        >>> table[["faces", "boxes", "recall", "precision", "average_precision"]]
                     faces  boxes  recall  precision  average_precision
        20 to 40         1      1     1.0        1.0                1.0
        40 and more      1      1     0.0        0.0                0.0
        all              2      2     0.5        0.5                0.5
    """
    faces, boxes = faces[~faces["ignored"]], boxes[~boxes["ignored"]]
    face_bins, box_bins = name_bins(faces["height"], edges), name_bins(boxes["height"], edges)
    rows = {
        name: _measure_precision(faces[face_bins == name], boxes[box_bins == name])
        for name in face_bins.cat.categories
    }
    return pd.DataFrame.from_dict(rows | {"all": _measure_precision(faces, boxes)}, orient="index")


def _measure_precision(faces: pd.DataFrame, boxes: pd.DataFrame) -> dict[str, float]:
    hits = (boxes["face"] >= 0).to_numpy()
    # One row per box, then one per face: score, hit, face. A draw of photos keeps both together.
    values = np.zeros((len(boxes) + len(faces), 3))
    values[: len(boxes), 0], values[: len(boxes), 1] = boxes["score"], hits
    values[len(boxes) :, 2] = 1
    photos = np.concatenate([boxes["image"].to_numpy(object), faces["image"].to_numpy(object)])

    def average(rows: np.ndarray) -> float:
        own, count = rows[rows[:, 2] == 0], int(rows[:, 2].sum())
        return compute_average_precision(own[:, 0], own[:, 1] > 0, count) if count else np.nan

    interval = (np.nan, np.nan)
    if len(faces):
        interval = bootstrap_interval(values, photos.astype(str), average)
    return {
        "faces": len(faces),
        "boxes": len(boxes),
        "recall": hits.sum() / len(faces) if len(faces) else np.nan,
        "precision": hits.mean() if len(boxes) else np.nan,
        "average_precision": average(values),
        "low": interval[0],
        "high": interval[1],
    }


def tabulate_counts(
    faces: pd.DataFrame, boxes: pd.DataFrame, photos: Sequence[str] = ()
) -> pd.DataFrame:
    """Return how well the number of boxes gives the number of faces in a photo.

    Args:
        faces: From `match_faces`.
        boxes: From `match_faces`.
        photos: Names of all photos, so that those without any face count, too; by default those of
            the tables.

    Returns:
        Indexed by figure: `mean absolute error` and `bias` (boxes less faces) in faces, and `mean
        relative error`, the absolute error over the number of faces, of photos with a face; each
        with `count` (photos), `value`, `low` and `high`.

    Raises:
        ValueError: If there are no photos.

    Example:
        >>> faces = pd.DataFrame({"image": ["a", "a", "b"], "ignored": False})
        >>> boxes = pd.DataFrame({"image": ["a", "c"], "ignored": False})
        >>> tabulate_counts(faces, boxes)[["count", "value"]]
                             count     value
        mean absolute error      3  1.000000
        mean relative error      2  0.750000
        bias                     3 -0.333333
    """
    names = pd.unique(np.array([*photos, *faces["image"], *boxes["image"]], object))
    if not len(names):
        raise ValueError("`photos` must name at least one photo, if there is no face and no box.")
    count, true = (
        table.loc[~table["ignored"], "image"].value_counts().reindex(names, fill_value=0).to_numpy()
        for table in (boxes, faces)
    )
    difference, shown = count - true, true > 0
    rows = {}
    for name, errors in (
        ("mean absolute error", np.abs(difference)),
        ("mean relative error", np.abs(difference[shown]) / true[shown]),
        ("bias", difference),
    ):
        low, high, value = np.nan, np.nan, np.nan
        if len(errors):
            low, high = bootstrap_interval(errors, np.arange(len(errors)))
            value = errors.mean()
        rows[name] = {"count": len(errors), "value": value, "low": low, "high": high}
    return pd.DataFrame.from_dict(rows, orient="index")
