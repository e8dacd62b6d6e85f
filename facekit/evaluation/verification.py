"""Measure how well embeddings tell whether two photos show one person, after LFW's protocol.

People are split into ten folds. The threshold of the distance is chosen on nine folds and tested on
the tenth, so no person of a tested pair chose the threshold. Images here are rows of a table with
their person; distances come from `embedding`.

Reference: Huang et al., 2007, Labeled Faces in the Wild, UMass Amherst technical report 07-49.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from facekit.embedding import compute_distances

FOLDS = 10
PAIRS = 300  # of one person, and as many of two people, in each fold
FALSE_ACCEPT_RATES = (0.01, 0.001)
# Of Student's distribution with nine degrees of freedom: half the width of a 95% interval of the
# mean of ten folds, in standard errors.
T_NINE = 2.262


def make_folds(people: Sequence, seed: int = 0, folds: int = FOLDS) -> np.ndarray:
    """Return a fold for each image, (images,) int; all images of a person are in one fold.

    Args:
        people: The person of each image.
        seed: Seed of the drawing.
        folds: Number of folds.

    Example:
        >>> folds = make_folds(["a", "b", "a"], folds=2)
        >>> bool(folds[0] == folds[2])
        True
    """
    names, members = np.unique(np.asarray(people), return_inverse=True)
    place = np.empty(len(names), int)
    place[np.random.default_rng(seed).permutation(len(names))] = np.arange(len(names)) % folds
    return place[members]


def make_pairs(people: Sequence, seed: int = 0, count: int = PAIRS) -> pd.DataFrame:
    """Draw pairs of images: as many of one person as of two people, in each fold.

    Args:
        people: The person of each image.
        seed: Seed of folds and pairs.
        count: Pairs of one person in each fold, at most; a pair is drawn once.

    Returns:
        One row per pair: `fold`, `first` and `second` (positions of the images), `same`.

    Raises:
        ValueError: If a fold has no two images of one person, or no two people.

    Example:
        >>> people = [f"p{index // 2}" for index in range(80)]
        >>> make_pairs(people, count=2).groupby("same").size().tolist()
        [20, 20]
    """
    _, members = np.unique(np.asarray(people), return_inverse=True)
    folds = make_folds(people, seed)
    generator = np.random.default_rng(seed)
    parts = []
    for fold in range(FOLDS):
        images = np.flatnonzero(folds == fold)
        first, second = (images[index] for index in np.triu_indices(len(images), 1))
        same = members[first] == members[second]
        drawn_count = min(count, int(same.sum()))
        if not drawn_count or same.all():
            raise ValueError(
                f"`people` must have two images of one person, and two people, in each of {FOLDS} "
                f"folds; fold {fold} has not. Give more people."
            )
        for alike in (True, False):
            rows = generator.choice(np.flatnonzero(same == alike), drawn_count, replace=False)
            parts.append(
                pd.DataFrame(
                    {"fold": fold, "first": first[rows], "second": second[rows], "same": alike}
                )
            )
    return pd.concat(parts, ignore_index=True)


def measure_pairs(vectors: np.ndarray, pairs: pd.DataFrame) -> np.ndarray:
    """Return the Euclidean distance of each pair, (pairs,).

    Args:
        vectors: (images, dimensions).
        pairs: Of `make_pairs`.

    Example:
        >>> pairs = pd.DataFrame({"first": [0], "second": [1]})
        >>> measure_pairs(np.array([[0.0, 0.0], [3.0, 4.0]]), pairs)
        array([5.])
    """
    return np.linalg.norm(vectors[pairs["first"]] - vectors[pairs["second"]], axis=1)


def choose_threshold(distances: np.ndarray, same: np.ndarray) -> float:
    """Return the distance up to which pairs count as one person such that most pairs are correct.

    Args:
        distances: (pairs,).
        same: Whether each pair shows one person, (pairs,) bool.

    Example:
        >>> choose_threshold(np.array([0.2, 0.4, 0.9, 0.6]), np.array([True, True, False, False]))
        0.5
    """
    order = np.argsort(distances, kind="stable")
    ranked, alike = np.asarray(distances)[order], np.asarray(same, bool)[order]
    # Correct pairs if the first 0, 1, 2, ... pairs count as one person.
    correct = np.concatenate([[0], np.cumsum(np.where(alike, 1, -1))]) + (~alike).sum()
    best = int(correct.argmax())
    below = ranked[best - 1] if best else ranked[0]
    above = ranked[best] if best < len(ranked) else ranked[-1]
    return float((below + above) / 2)


def measure_folds(distances: np.ndarray, pairs: pd.DataFrame) -> pd.DataFrame:
    """Return threshold and accuracy of each fold; the threshold comes from the other folds.

    Args:
        distances: (pairs,).
        pairs: Of `make_pairs`.

    Returns:
        One row per fold: `fold`, `threshold`, `accuracy`, `pairs`.

    Example:
        >>> pairs = make_pairs([f"p{index // 2}" for index in range(80)], count=2)
        >>> measure_folds(1.0 - pairs["same"].to_numpy(), pairs)["accuracy"].tolist()[:2]
        [1.0, 1.0]
    """
    same, folds = pairs["same"].to_numpy(), pairs["fold"].to_numpy()
    rows = []
    for fold in np.unique(folds):
        tested = folds == fold
        threshold = choose_threshold(distances[~tested], same[~tested])
        correct = (distances[tested] <= threshold) == same[tested]
        rows.append((fold, threshold, correct.mean(), tested.sum()))
    return pd.DataFrame(rows, columns=["fold", "threshold", "accuracy", "pairs"])


def average_folds(accuracies: Sequence[float]) -> tuple[float, float, float]:
    """Return the mean of ten folds' accuracies and its 95% interval.

    The interval is the mean plus and minus 2.26 standard errors over the folds (Student's
    distribution), which is how results on LFW are compared.

    Raises:
        ValueError: If there are not ten accuracies.

    Example:
        >>> mean, low, high = average_folds([0.9, 1.0] * 5)
        >>> print(f"{mean:.3f} ({low:.3f} to {high:.3f})")
        0.950 (0.912 to 0.988)
    """
    values = np.asarray(accuracies, np.float64)
    if values.shape != (FOLDS,):
        raise ValueError(
            f"`accuracies` must hold {FOLDS} numbers, one per fold; got {values.size}."
        )
    half = T_NINE * values.std(ddof=1) / np.sqrt(FOLDS)
    return float(values.mean()), float(values.mean() - half), float(min(values.mean() + half, 1))


def compute_roc(distances: np.ndarray, same: np.ndarray) -> pd.DataFrame:
    """Return the rates of the ROC curve at each threshold, the smallest distance first.

    Args:
        distances: (pairs,).
        same: (pairs,) bool.

    Returns:
        `threshold`, `false_accept_rate` (share of pairs of two people that count as one) and
        `true_accept_rate` (share of pairs of one person that do).

    Raises:
        ValueError: If all pairs, or none, show one person.

    Example:
        >>> compute_roc(np.array([0.2, 0.9]), np.array([True, False])).values.tolist()
        [[0.0, 0.0, 0.0], [0.2, 0.0, 1.0], [0.9, 1.0, 1.0]]
    """
    order = np.argsort(distances, kind="stable")
    ranked, alike = np.asarray(distances)[order], np.asarray(same, bool)[order]
    if alike.all() or not alike.any():
        raise ValueError("`same` must hold pairs of one person and pairs of two people.")
    last = np.append(np.diff(ranked) > 0, True)  # equal distances are one threshold
    accepted = np.stack([np.cumsum(~alike) / (~alike).sum(), np.cumsum(alike) / alike.sum()])
    rates = np.concatenate([np.zeros((2, 1)), accepted[:, last]], axis=1)
    return pd.DataFrame(
        {
            "threshold": np.concatenate([[0], ranked[last]]),
            "false_accept_rate": rates[0],
            "true_accept_rate": rates[1],
        }
    )


def find_accept_thresholds(
    vectors: np.ndarray, people: Sequence, rates: Sequence[float] = FALSE_ACCEPT_RATES
) -> pd.DataFrame:
    """Return the thresholds at given false-accept rates, over all pairs of images.

    Six thousand pairs hold three false accepts at a rate of 0.1%; all pairs hold thousands.

    Args:
        vectors: (images, dimensions).
        people: The person of each image.
        rates: Shares of pairs of two people that count as one person.

    Returns:
        One row per rate: `false_accept_rate`, `threshold`, `true_accept_rate`.

    Example:
        >>> vectors = np.array([[0.0], [0.1], [5.0], [6.0]])
        >>> find_accept_thresholds(vectors, ["a", "a", "b", "c"], [0.2]).round(2).values.tolist()
        [[0.2, 4.9, 1.0]]
    """
    distances = compute_distances(vectors, vectors)
    _, members = np.unique(np.asarray(people), return_inverse=True)
    first, second = np.triu_indices(len(members), 1)
    same = members[first] == members[second]
    values = distances[first, second]
    between, within = np.sort(values[~same]), values[same]
    rows = []
    for rate in rates:
        # The largest distance at which no more than this share of the pairs is accepted.
        accepted = int(rate * len(between))
        threshold = np.nextafter(between[min(accepted, len(between) - 1)], 0)
        rows.append((rate, float(threshold), float((within <= threshold).mean())))
    return pd.DataFrame(rows, columns=["false_accept_rate", "threshold", "true_accept_rate"])
