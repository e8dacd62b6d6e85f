"""Read an age distribution: its mean, the classes of ages, the interval of ages that fit it."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from facekit.faces import round_ages
from facekit.taxonomy import (
    AGE_SCHEMES,
    AGES_YEARS,
    DEFAULT_AGE_SCHEME,
    LABELS,
    find_first_years,
)

# Of an age distribution, between which four true ages in five should lie.
AGE_QUANTILES = (0.1, 0.9)
AGE_LEVELS = (AGE_QUANTILES,) * len(AGE_SCHEMES[DEFAULT_AGE_SCHEME])  # without calibration
ROUNDING = 1e-6  # years by which a mean may fall short of a whole year


def index_age_classes(
    ages_years: np.ndarray, scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME
) -> np.ndarray:
    """Return the index of each age's class in a scheme, (ages,) int.

    Args:
        ages_years: (ages,), 0 or more. Fractions are rounded down: 2.9 is in the class 0-2.
        scheme: A key of `taxonomy.AGE_SCHEMES`, or the first years of your own classes.

    Example:
        >>> index_age_classes(np.array([0, 2.9, 3, 70]))
        array([0, 0, 1, 6])
    """
    return np.searchsorted(find_first_years(scheme), np.floor(ages_years), side="right") - 1


def compute_mean_age(answer: np.ndarray) -> np.ndarray:
    """Return the mean of age distributions in years.

    Args:
        answer: Probabilities of each year, (..., 101).

    Returns:
        (...) float64.

    Example:
        >>> answer = np.zeros((1, 101))
        >>> answer[0, [20, 30]] = 0.5
        >>> compute_mean_age(answer)
        array([25.])
    """
    return np.asarray(answer) @ np.array(AGES_YEARS, np.float64)


def predict_age_classes(
    answer: np.ndarray, scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME
) -> np.ndarray:
    """Return the index of the age class of each face's rounded mean age, (faces,) int.

    Args:
        answer: Probabilities of each year, (faces, 101).
        scheme: As for `index_age_classes`.

    Example:
        >>> predict_age_classes(np.eye(101)[[2, 30]] * 0.9 + np.eye(101)[8] * 0.1)
        array([1, 4])
    """
    return index_age_classes(round_ages(compute_mean_age(answer)), scheme)


def find_age_interval(
    answer: np.ndarray, age_levels: Sequence[tuple[float, float]] = AGE_LEVELS
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of ages that fit an age distribution, widened to hold the mean.

    A year belongs to the interval if the cumulative distribution, at the end of the year, reaches
    the lower level of the year's age class, and at its start is below the upper level; the
    interval goes from the first such year to the last. With levels fitted for each class, the
    interval holds as many true ages among children as among adults (label-conditional conformal
    prediction).

    Args:
        answer: Probabilities of each year, (faces, 101), calibrated and correlated.
        age_levels: As in `FusionConstants`.

    Returns:
        Lowest and highest age, (faces,) each, years. Both ends are ages in completed years: an
        upper end of 40 includes everybody who is 40.

    Reference: Vovk, Gammerman, Shafer, 2005, "Algorithmic Learning in a Random World", chapter 4.

    Example:
        >>> answer = np.zeros((1, 101))
        >>> answer[0, [10, 20, 30, 40]] = 0.05, 0.45, 0.45, 0.05
        >>> low, high = find_age_interval(answer)
        >>> low.tolist(), high.tolist()
        ([20.0], [30.0])
    """
    mean, years = compute_mean_age(answer), np.array(AGES_YEARS)
    upto = np.cumsum(answer, axis=1)
    lower, upper = np.asarray(age_levels, np.float64)[index_age_classes(years)].T
    fits = (upto >= lower) & (upto - answer < upper)
    fits |= ~fits.any(axis=1, keepdims=True) & (years == np.floor(mean)[:, None])
    first, last = fits.argmax(axis=1), AGES_YEARS[-1] - fits[:, ::-1].argmax(axis=1)
    # The lower end is a whole year, so that it takes in the age 25 beside a mean of 25.7.
    low = np.minimum(first, np.floor(mean + ROUNDING))
    return np.minimum(low, mean), np.maximum(last, mean)


def count_coarse(attribute: str) -> int:
    """Return the number of an attribute's labels; ages are grouped in classes.

    Example:
        >>> count_coarse("age"), count_coarse("gender")
        (7, 2)
    """
    return len(AGE_SCHEMES[DEFAULT_AGE_SCHEME]) if attribute == "age" else len(LABELS[attribute])


def make_coarse(
    attribute: str, answer: np.ndarray, scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME
) -> np.ndarray:
    """Sum the years of an age distribution to classes; leave other attributes as they are.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        answer: Its probabilities, (faces, classes).
        scheme: As for `index_age_classes`.

    Example:
        >>> make_coarse("age", np.full((1, 101), 1 / 101)).shape
        (1, 7)
    """
    if attribute != "age":
        return answer
    return np.add.reduceat(answer, find_first_years(scheme), axis=1)
