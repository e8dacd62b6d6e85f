"""Join things into groups by pairs that belong together: connected components of a graph.

Written with NumPy alone, because an installation without extras has no SciPy.
"""

from __future__ import annotations

import numpy as np


def join_pairs(count: int, left: np.ndarray, right: np.ndarray) -> np.ndarray:
    """Return the number of each thing's group, where pairs belong together and joins chain.

    Args:
        count: Number of things, which are numbered from 0.
        left: (pairs,) int, one end of each pair.
        right: (pairs,) int, the other end.

    Returns:
        (count,) int: equal numbers for things of one group, from 0 in the order of each group's
        first thing. A thing without a pair is a group of its own.

    Example:
        >>> join_pairs(5, np.array([0, 4]), np.array([2, 2])).tolist()
        [0, 1, 0, 2, 0]
    """
    labels = np.arange(count)  # of each thing the smallest member of its group known so far
    while True:
        lower = np.minimum(labels[left], labels[right])
        joined = labels.copy()
        np.minimum.at(joined, labels[left], lower)
        np.minimum.at(joined, labels[right], lower)
        while not np.array_equal(followed := joined[joined], joined):
            joined = followed
        if np.array_equal(joined, labels):
            return np.unique(labels, return_inverse=True)[1]
        labels = joined
