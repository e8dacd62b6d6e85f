"""Fit the temperature that calibrates an attribute's probabilities (Guo et al., 2017)."""

from __future__ import annotations

import math
import warnings

import numpy as np
import pandas as pd

from facekit.evaluation.figures import get_probabilities
from facekit.fusion import AGE_QUANTILES, calibrate, find_age_interval
from facekit.taxonomy import AGES_YEARS, LABELS

TEMPERATURES = (0.05, 20.0)  # bounds of the search: far beyond what trained networks need
STEPS = 60  # at which the coverage of ages is tried before its crossing is narrowed down
TOLERANCE = 1e-4  # of the logarithm of the temperature


def fit_temperature(attribute: str, predictions: pd.DataFrame) -> float:
    """Return the temperature that fits an attribute's labels best.

    For labels it is the temperature of least negative log-likelihood. For age it is the one at
    which four true ages in five lie between the 10% and the 90% quantile of the predicted
    distribution.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        predictions: A table of predictions, for faces that the network was not trained on.

    Returns:
        From 0.05 to 20. If the search stops at one of these ends, a warning says so.

    Raises:
        ValueError: If the table is empty or has a label that the attribute does not know.
        ModuleNotFoundError: If SciPy is not installed; the extras `train` and `notebooks` have it.

    Example:
        >>> labels = ["female", "female", "female", "male"]
        >>> table = pd.DataFrame({"label": labels, "p_female": 0.9, "p_male": 0.1})
        >>> round(fit_temperature("gender", table), 2)  # softens 90% to the 75% that are right
        2.0
    """
    if predictions.empty:
        raise ValueError("`predictions` must have at least one row; got none.")
    probabilities = get_probabilities(predictions)
    if attribute == "age":
        ages = predictions["label"].to_numpy(np.float64)
        temperature = _search_coverage(probabilities, ages)
    else:
        temperature = _search_likelihood(
            probabilities, index_labels(attribute, predictions["label"])
        )
    for end in TEMPERATURES:
        if abs(math.log(temperature / end)) < 10 * TOLERANCE:
            warnings.warn(
                f"The temperature of {attribute} stopped at the end of its search, {end}: the "
                "predictions are hardly related to their labels, or all of them are right.",
                UserWarning,
                stacklevel=2,
            )
            return end
    return temperature


def index_labels(attribute: str, labels: pd.Series) -> np.ndarray:
    """Return the class index of each label, (faces,) int; ages above 100 count as 100.

    Raises:
        ValueError: If a label is not one of the attribute's.

    Example:
        >>> index_labels("gender", pd.Series(["male", "female"]))
        array([1, 0])
    """
    if attribute == "age":
        return np.minimum(labels.to_numpy(np.float64), AGES_YEARS[-1]).astype(int)
    known = {str(label): index for index, label in enumerate(LABELS[attribute])}
    unknown = sorted({str(label) for label in labels} - known.keys())
    if unknown:
        raise ValueError(
            f"`label` must be one of {', '.join(known)} for {attribute}; got {', '.join(unknown)}."
        )
    return labels.map(known).to_numpy(int)


def _search_likelihood(probabilities: np.ndarray, classes: np.ndarray) -> float:
    from scipy.optimize import minimize_scalar  # in the extras `train` and `notebooks` only

    faces = np.arange(len(classes))

    def measure_loss(logarithm: float) -> float:
        answer = calibrate(probabilities, math.exp(logarithm))[faces, classes]
        return float(-np.log(np.maximum(answer, np.finfo(float).tiny)).mean())

    # The loss is convex in 1 / temperature, so that it has one minimum.
    bounds = tuple(math.log(end) for end in TEMPERATURES)
    found = minimize_scalar(
        measure_loss, bounds=bounds, method="bounded", options={"xatol": TOLERANCE}
    )
    # A bounded search comes near an end without reaching it.
    return math.exp(min((*bounds, found.x), key=measure_loss))


def _search_coverage(probabilities: np.ndarray, ages_years: np.ndarray) -> float:
    """Find the least temperature at which the share of ages in the interval reaches the aim."""
    aim = AGE_QUANTILES[1] - AGE_QUANTILES[0]

    def reaches(logarithm: float) -> bool:
        interval = find_age_interval(calibrate(probabilities, math.exp(logarithm)))
        return bool(cover_ages(interval, ages_years).mean() >= aim)

    least, greatest = (math.log(end) for end in TEMPERATURES)
    steps = np.linspace(least, greatest, STEPS)
    first = next((place for place, step in enumerate(steps) if reaches(step)), len(steps) - 1)
    if first in (0, len(steps) - 1):
        return math.exp(steps[first])
    low, high = steps[first - 1], steps[first]
    while high - low > TOLERANCE:
        middle = (low + high) / 2
        low, high = (low, middle) if reaches(middle) else (middle, high)
    return math.exp(high)


def cover_ages(interval: tuple[np.ndarray, np.ndarray], ages_years: np.ndarray) -> np.ndarray:
    """Return whether each true age lies in its interval, (faces,) bool.

    Ages are whole years, fractions are rounded down, and ages above 100 count as 100.

    Example:
        >>> cover_ages((np.array([20.0, 20.0]), np.array([30.0, 30.0])), np.array([30.5, 31.0]))
        array([ True, False])
    """
    low, high = interval
    whole = np.floor(np.minimum(ages_years, AGES_YEARS[-1]))
    return (whole >= np.floor(low)) & (whole <= high)
