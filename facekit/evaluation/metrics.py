"""Figures and how sure they are. Each takes plain arrays, so that stored predictions serve as well as fresh ones."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

RESAMPLES = 2000  # bootstrap draws; the interval's ends then move by about a hundredth of its width


def compute_wilson_interval(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson score interval of a share, 95% by default.

    Raises:
        ValueError: If there is nothing to count, or more right than there are.

    Reference: Wilson, 1927.
    """
    if not 0 <= right <= count or count == 0:
        raise ValueError(f"`right` must be from 0 to `count`, which must be above 0; got {right} of {count}.")
    share = right / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    return max(0.0, float(centre - half)), min(1.0, float(centre + half))


def bootstrap_interval(values: np.ndarray, groups: np.ndarray, statistic: Callable = np.mean, seed: int = 0) -> tuple[float, float]:
    """Return the 95% percentile interval of a statistic, drawing whole groups (subjects, duplicates) with replacement.

    Args:
        values: (images,) one value an image.
        groups: (images,) group of each.
        statistic: Array to number.
        seed: Of the draws.
    """
    _, members = np.unique(groups, return_inverse=True)
    order = np.argsort(members, kind="stable")
    parts = np.split(np.asarray(values)[order], np.flatnonzero(np.diff(members[order])) + 1)
    generator = np.random.default_rng(seed)
    draws = [
        statistic(np.concatenate([parts[index] for index in generator.integers(len(parts), size=len(parts))])) for _ in range(RESAMPLES)
    ]
    return float(np.percentile(draws, 2.5)), float(np.percentile(draws, 97.5))
