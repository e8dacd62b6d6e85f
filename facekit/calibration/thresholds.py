"""Fit the probability from which a label is shown; below it, views show "not sure".

A rule for all faces together would depend on the mix of easy and hard faces: where 94% of all
labels are right, it shows every label, also those of infants, of which a third are wrong. So the
least sure label that is shown must be right often enough, too. This holds for any mix of faces on
which probabilities are as well calibrated. `fusion` applies the thresholds.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pandas as pd

from facekit.evaluation.figures import find_right
from facekit.evaluation.metrics import compute_wilson_interval
from facekit.fusion import (
    NEVER,
    FusionConstants,
    index_age_classes,
    measure_certainty,
)
from facekit.taxonomy import name_age_ranges

SHARE_RIGHT = 0.9  # of shown labels, and of detections that count as faces
ONE_SIDED = 1.645  # standard deviations below which a normal variable stays in 5% of cases
DIGITS = 4  # of stored thresholds


def fit_threshold(probabilities: np.ndarray, right: np.ndarray) -> float:
    """Return the least probability from which labels are right often enough to be shown.

    Two shares must be at least `SHARE_RIGHT`: that of right labels at the threshold itself, by
    isotonic regression of `right` on the probability; and that of all labels from the threshold on,
    by the lower end of its one-sided 95% interval (Wilson), so that a few lucky faces do not count.

    Args:
        probabilities: Of the predicted labels, (faces,), calibrated.
        right: Whether each label is right, (faces,) bool.

    Returns:
        The threshold, rounded up to four decimals; `fusion.NEVER` if there is none.

    Raises:
        ModuleNotFoundError: If SciPy is not installed; the extras `train` and `notebooks` have it.

    Reference: Geifman, El-Yaniv, 2017, "Selective Classification for Deep Neural Networks", for
        thresholds with a guaranteed risk; Zadrozny, Elkan, 2002, "Transforming Classifier Scores
        into Accurate Multiclass Probability Estimates", for the isotonic regression.

    Example:
        >>> probabilities = np.linspace(0.5, 1, 501)
        >>> fit_threshold(probabilities, np.arange(501) > 200)  # right from 0.7 on
        0.701
        >>> fit_threshold(probabilities[:5], np.ones(5, bool))  # too few faces to know
        2.0
    """
    from scipy.optimize import isotonic_regression  # in the extras `train` and `notebooks` only

    if not len(probabilities):
        return NEVER
    levels, faces = np.unique(probabilities, return_inverse=True)
    counts = np.bincount(faces)
    hits = np.bincount(faces, weights=right)
    at_level = isotonic_regression(hits / counts, weights=counts).x
    count_from, hits_from = np.cumsum(counts[::-1])[::-1], np.cumsum(hits[::-1])[::-1]
    for level in np.flatnonzero(at_level >= SHARE_RIGHT):
        low, _ = compute_wilson_interval(int(hits_from[level]), int(count_from[level]), ONE_SIDED)
        if low >= SHARE_RIGHT:
            return math.ceil(round(float(levels[level]) * 10**DIGITS, 6)) / 10**DIGITS
    return NEVER


def fit_thresholds(
    served: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray]
) -> dict[str, float]:
    """Return each attribute's threshold.

    For age the label is the class of the rounded age, in the default scheme.

    Args:
        served: Each attribute's probabilities as served, (faces, classes), for calibration faces.
        labels: Each attribute's true labels, (faces,).

    Example:
        >>> answer = np.stack([np.linspace(0, 1, 400), np.linspace(1, 0, 400)], axis=1)
        >>> labels = np.where(np.arange(400) < 200, "male", "female")  # the label is always right
        >>> fit_thresholds({"gender": answer}, {"gender": labels})
        {'gender': 0.5013}
    """
    return {
        name: fit_threshold(measure_certainty(name, answer), find_right(name, answer, labels[name]))
        for name, answer in served.items()
    }


def tabulate_shown(
    served: Mapping[str, np.ndarray], labels: Mapping[str, np.ndarray], constants: FusionConstants
) -> pd.DataFrame:
    """Return how many labels are shown, and how many of these are right.

    Args:
        served: As for `fit_thresholds`, for other faces.
        labels: As for `fit_thresholds`, for the same faces.
        constants: Their thresholds are used.

    Returns:
        One row per attribute, in order, with `attribute`, `threshold`, `faces`, `shown`, the share
        of faces whose label is shown, and `right`, the share of these that is right; NaN if none is
        shown.

    Example:
        >>> constants = FusionConstants({}, {}, {}, {}, strength=0, thresholds={"gender": 0.8})
        >>> answer = np.array([[0.9, 0.1], [0.3, 0.7]])
        >>> tabulate_shown({"gender": answer}, {"gender": np.array(["female"] * 2)}, constants)
          attribute  threshold  faces  shown  right
        0    gender        0.8      2    0.5    1.0
    """
    rows = []
    for name, answer in served.items():
        threshold = constants.thresholds[name]
        is_shown = measure_certainty(name, answer) >= threshold
        right = find_right(name, answer, labels[name])[is_shown]
        rows.append(
            (
                name,
                threshold,
                len(answer),
                is_shown.mean() if len(answer) else np.nan,
                right.mean() if len(right) else np.nan,
            )
        )
    return pd.DataFrame(rows, columns=["attribute", "threshold", "faces", "shown", "right"])


def tabulate_shown_by_age(
    answer: np.ndarray, labels: np.ndarray, ages_years: np.ndarray, constants: FusionConstants
) -> pd.DataFrame:
    """Return for each class of the true age how many genders are shown and right.

    Args:
        answer: Probabilities of gender as served, (faces, 2).
        labels: True genders, (faces,).
        ages_years: True ages, (faces,); NaN where unknown.
        constants: Their thresholds are used.

    Returns:
        As `tabulate_shown`, with `age` in place of `attribute` and `threshold`, for the classes
        that have faces.

    Example:
        >>> constants = FusionConstants({}, {}, {}, {}, strength=0, thresholds={"gender": 0.8})
        >>> answer, labels = np.array([[0.6, 0.4], [0.1, 0.9]]), np.array(["female", "male"])
        >>> tabulate_shown_by_age(answer, labels, np.array([1.0, 30.0]), constants)
             age  faces  shown  right
        0    0-2      1    0.0    NaN
        1  28-45      1    1.0    1.0
    """
    known = ~np.isnan(ages_years)
    classes = index_age_classes(np.where(known, ages_years, 0))
    tables = []
    for index, name in enumerate(name_age_ranges()):
        own = known & (classes == index)
        if own.any():
            table = tabulate_shown({"gender": answer[own]}, {"gender": labels[own]}, constants)
            tables.append(table.assign(age=name)[["age", "faces", "shown", "right"]])
    empty = pd.DataFrame(columns=["age", "faces", "shown", "right"])
    return pd.concat(tables, ignore_index=True) if tables else empty
