"""Fit the levels of the age interval, and measure how often the interval holds the true age.

Levels are fitted for each class of the true age (label-conditional conformal prediction; Vovk,
Gammerman, Shafer, 2005), because one pair of levels for all serves adults at the cost of children
and of the old. The interval itself is computed by `fusion.find_age_interval`.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from facekit.calibration.temperatures import cover_ages, index_labels
from facekit.evaluation.metrics import bootstrap_interval
from facekit.fusion import AGE_LEVELS, AGE_QUANTILES, find_age_interval, index_age_classes
from facekit.taxonomy import name_age_ranges

DIGITS = 4  # of stored levels


def fit_age_levels(answer: np.ndarray, ages_years: np.ndarray) -> tuple[tuple[float, float], ...]:
    """Return the levels at which the interval leaves out one true age in ten at either end.

    On faces drawn like these, the interval then holds at least four true ages in five of each age
    class. A class with too few faces to fit its own levels gets those of all faces together.

    Args:
        answer: Probabilities of each year, (faces, 101), as served: calibrated and correlated.
        ages_years: True ages, (faces,).

    Returns:
        For each age class of the default scheme its lower and upper level.

    Raises:
        ValueError: If there are no faces.

    Example:
        >>> generator = np.random.default_rng(0)
        >>> ages = generator.integers(0, 100, 500)
        >>> bells = np.exp(-0.5 * ((np.arange(101) - ages[:, None] + 2) / 4) ** 2)
        >>> levels = fit_age_levels(bells / bells.sum(axis=1, keepdims=True), ages)
        >>> len(levels)
        7
    """
    if not len(ages_years):
        raise ValueError("`ages_years` must hold at least one age; got none.")
    years = index_labels("age", pd.Series(ages_years))
    faces = np.arange(len(years))
    upto = np.cumsum(answer, axis=1)[faces, years]
    before = upto - answer[faces, years]
    classes = index_age_classes(years)
    pooled = _fit_levels(upto, before) or AGE_QUANTILES
    return tuple(
        _fit_levels(upto[classes == index], before[classes == index]) or pooled
        for index in range(len(AGE_LEVELS))
    )


def _fit_levels(upto: np.ndarray, before: np.ndarray) -> tuple[float, float] | None:
    """Return conformal levels, rounded outwards, or `None` for too few faces."""
    rank = int(AGE_QUANTILES[0] * (len(upto) + 1))
    if rank == 0:
        return None
    scale = 10**DIGITS
    low, high = np.sort(upto)[rank - 1], np.sort(before)[-rank]
    return float(np.floor(low * scale) / scale), float(
        min(np.floor(high * scale) + 1, scale) / scale
    )


def tabulate_coverage(
    answer: np.ndarray, predictions: pd.DataFrame, age_levels=AGE_LEVELS
) -> pd.DataFrame:
    """Return how often the age interval holds the true age, for each class of the true age.

    Args:
        answer: Probabilities of each year, (faces, 101), as served: calibrated and correlated.
        predictions: The table that they come from, for its labels and groups.
        age_levels: As in `fusion.FusionConstants`.

    Returns:
        Indexed by age class, and `all` at the end: `count`; `inside`, the share of true ages in
        the interval, with its 95% confidence interval from `low` to `high`, by bootstrap over
        groups; `years`, the mean width of the interval. Classes without faces are left out.

    Example:
        >>> table = pd.DataFrame({"label": [30, 40], "group": [0, 1]})
        >>> coverage = tabulate_coverage(np.eye(101)[[30, 90]], table)  # 40 is predicted as 90
        >>> coverage.loc["all", ["count", "inside"]].tolist()
        [2.0, 0.5]
    """
    ages, groups = predictions["label"].to_numpy(np.float64), predictions["group"].to_numpy()
    interval = find_age_interval(answer, age_levels)
    inside, widths = cover_ages(interval, ages), interval[1] - interval[0]
    classes, rows = index_age_classes(ages), {}
    for index, name in enumerate((*name_age_ranges(), "all")):
        own = classes == index if index < len(AGE_LEVELS) else np.ones(len(ages), bool)
        if own.any():
            low, high = bootstrap_interval(inside[own], groups[own])
            rows[name] = {
                "count": int(own.sum()),
                "inside": inside[own].mean(),
                "low": low,
                "high": high,
                "years": widths[own].mean(),
            }
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["count", "inside", "low", "high", "years"]
    )
    return table.astype({"count": int})
