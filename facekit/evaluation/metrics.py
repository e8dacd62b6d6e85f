"""Compute metrics and their 95% confidence intervals from plain arrays.

Stored predictions and fresh ones serve alike. Images that belong together (one person, duplicates,
frames of one video) are not independent. Wherever a function takes `groups` or `clusters`, these
images are drawn together: a bootstrap over groups. Wilson's interval, which assumes independent
images, is used only where each image is a group of its own.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

# Bootstrap draws. The ends of an interval then vary by about a hundredth of its width.
RESAMPLES = 2000
WILSON = "Wilson"
BY_GROUP = "bootstrap over groups"
WILSON_BY_GROUP = "Wilson over groups"  # where every bootstrap draw would be the same


def compute_wilson_interval(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson score interval of a proportion, 95% by default.

    Args:
        right: Number of correct images.
        count: Number of independent images.
        z: Half width in standard deviations of a normal distribution; 1.96 gives 95%.

    Raises:
        ValueError: If `count` is 0, or `right` is not from 0 to `count`.

    Reference: Wilson, 1927, Probable Inference, the Law of Succession, and Statistical Inference.

    Example:
        >>> low, high = compute_wilson_interval(8, 10)
        >>> print(f"{low:.2f} to {high:.2f}")
        0.49 to 0.94
    """
    if not 0 <= right <= count or count == 0:
        raise ValueError(
            f"`right` must be from 0 to `count`, which must be above 0; got {right} of {count}."
        )
    share = right / count
    centre = (share + z**2 / (2 * count)) / (1 + z**2 / count)
    half = z / (1 + z**2 / count) * np.sqrt(share * (1 - share) / count + z**2 / (4 * count**2))
    # At 0% and 100%, rounding must not leave the share itself outside.
    return max(0.0, min(share, float(centre - half))), min(1.0, max(share, float(centre + half)))


def bootstrap_interval(
    values: np.ndarray, groups: np.ndarray, statistic: Callable = np.mean, seed: int = 0
) -> tuple[float, float]:
    """Return the 95% percentile interval of a statistic by a bootstrap over groups.

    Whole groups (subjects, duplicates) are drawn with replacement.

    Args:
        values: One value per image, (images,).
        groups: The group of each image, (images,).
        statistic: Function of an array that returns a number.
        seed: Seed of the draws.

    Raises:
        ValueError: If there are no values, or not as many groups as values.

    Reference: Field and Welsh, 2007, Bootstrapping clustered data.

    Example:
        >>> low, high = bootstrap_interval(np.array([1.0, 5.0]), np.array(["a", "b"]))
        >>> print(low, high)
        1.0 5.0
    """
    values, groups = np.asarray(values), np.asarray(groups)
    if not len(values) or len(values) != len(groups):
        raise ValueError(
            "`values` and `groups` must hold one entry per image, at least one; "
            f"got {len(values)} and {len(groups)}."
        )
    _, members = np.unique(groups, return_inverse=True)
    count = int(members.max()) + 1
    generator = np.random.default_rng(seed)
    draws = np.empty(RESAMPLES)
    if statistic is np.mean:  # needs the sum and size of each group only, which is much faster
        sums = np.bincount(members, values.astype(np.float64))
        sizes = np.bincount(members)
        for index in range(RESAMPLES):
            drawn = generator.integers(count, size=count)
            draws[index] = sums[drawn].sum() / sizes[drawn].sum()
    else:
        order = np.argsort(members, kind="stable")
        parts = np.split(values[order], np.flatnonzero(np.diff(members[order])) + 1)
        for index in range(RESAMPLES):
            drawn = generator.integers(count, size=count)
            draws[index] = statistic(np.concatenate([parts[part] for part in drawn]))
    return float(np.percentile(draws, 2.5)), float(np.percentile(draws, 97.5))


def compute_share_interval(
    correct: np.ndarray, groups: np.ndarray, independent_from: float = 1.0
) -> tuple[float, float, str]:
    """Return the 95% interval of the share of correct images, and the name of its method.

    Wilson's interval is used where each image is a group of its own, and a bootstrap over groups
    where groups hold several images. Where all images are correct, or none, every bootstrap draw is
    the same; then Wilson's interval of as many images as there are groups is returned.

    Args:
        correct: Whether each image is correct, (images,) bool.
        groups: The group of each image, (images,).
        independent_from: Groups per image from which on images count as independent. Below 1, a few
            duplicates are ignored.

    Returns:
        Low end, high end, and `WILSON`, `BY_GROUP` or `WILSON_BY_GROUP`.

    Raises:
        ValueError: If there are no images.

    Example:
        >>> low, high, method = compute_share_interval(np.array([True, False] * 5), np.arange(10))
        >>> print(f"{low:.2f} to {high:.2f}, {method}")
        0.24 to 0.76, Wilson
        >>> compute_share_interval(np.array([True, False] * 5), np.array([0, 1] * 5))
        (0.0, 1.0, 'bootstrap over groups')
    """
    correct = np.asarray(correct, bool)
    count, different = len(correct), len(pd.unique(np.asarray(groups)))
    if count and different >= independent_from * count:
        return *compute_wilson_interval(int(correct.sum()), count), WILSON
    if 0 < correct.sum() < count:
        return *bootstrap_interval(correct, groups), BY_GROUP
    return *compute_wilson_interval(different * bool(correct.any()), different), WILSON_BY_GROUP


def tabulate_groups(
    right: np.ndarray, groups: np.ndarray, clusters: np.ndarray | None = None
) -> pd.DataFrame:
    """Return the share of correct images in each group, with its 95% interval.

    Args:
        right: Whether each image is correct, (images,) bool.
        groups: The group that each image is counted in, such as its true label, (images,).
        clusters: Equal for images that belong together, such as those of one person, (images,). By
            default all images are independent.

    Returns:
        Indexed by group in sorted order: `count`, `share`, `low` and `high`. With `clusters` also
        `interval`, the method of each interval, as `compute_share_interval` names it.

    Raises:
        ValueError: If the arrays do not have the same length.

    Example:
        >>> right = np.array([True, True, False, True])
        >>> ages = np.array(["old", "new", "old", "old"])
        >>> tabulate_groups(right, ages, clusters=np.array([1, 2, 1, 3])).round(2)
             count  share   low  high               interval
        new      1   1.00  0.21   1.0                 Wilson
        old      3   0.67  0.50   1.0  bootstrap over groups
    """
    right, groups = np.asarray(right, bool), np.asarray(groups)
    alone = np.arange(len(right)) if clusters is None else np.asarray(clusters)
    if not len(right) == len(groups) == len(alone):
        raise ValueError(
            "`right`, `groups` and `clusters` must hold one entry per image; "
            f"got {len(right)}, {len(groups)} and {len(alone)}."
        )
    rows = pd.DataFrame({"right": right, "cluster": alone}).groupby(groups)
    table = pd.DataFrame({"count": rows.size(), "share": rows["right"].mean().astype("float64")})
    intervals = [
        compute_share_interval(own["right"].to_numpy(), own["cluster"].to_numpy())
        for _, own in rows
    ]
    ends = pd.DataFrame(intervals, table.index, ["low", "high", "interval"])
    ends = ends.astype({"low": "float64", "high": "float64"})
    return table.join(ends if clusters is not None else ends[["low", "high"]])


def tabulate_thresholds(
    probabilities: np.ndarray, is_positive: np.ndarray, thresholds: Sequence[float]
) -> pd.DataFrame:
    """Return one-vs-rest counts and rates at each threshold.

    A label is predicted where its probability is at least the threshold.

    Args:
        probabilities: Probability of the label, (images,), 0 to 1.
        is_positive: Whether the label is the true one, (images,) bool.
        thresholds: Probabilities.

    Returns:
        Indexed by threshold: the counts `true_positives`, `false_positives`, `false_negatives` and
        `true_negatives`, and the rates `accuracy`, `precision`, `recall` and
        `false_positive_rate`. A rate over no images is NaN.

    Example:
        >>> table = tabulate_thresholds(np.array([0.2, 0.9]), np.array([False, True]), [0.5])
        >>> table[["precision", "recall"]]
                   precision  recall
        threshold
        0.5              1.0     1.0
    """
    is_positive = np.asarray(is_positive, bool)
    # (thresholds, images)
    predicted = np.asarray(probabilities) >= np.asarray(thresholds, float)[:, None]
    hits, alarms = (predicted & is_positive).sum(axis=1), (predicted & ~is_positive).sum(axis=1)
    table = pd.DataFrame(
        {"true_positives": hits, "false_positives": alarms},
        pd.Index(np.asarray(thresholds, float), name="threshold"),
    )
    table["false_negatives"] = is_positive.sum() - hits
    table["true_negatives"] = (~is_positive).sum() - alarms
    rates = {
        "accuracy": (hits + table["true_negatives"], is_positive.size),
        "precision": (hits, hits + alarms),
        "recall": (hits, is_positive.sum()),
        "false_positive_rate": (alarms, (~is_positive).sum()),
    }
    return table.assign(
        **{
            name: part / np.where(np.equal(whole, 0), np.nan, whole)
            for name, (part, whole) in rates.items()
        }
    )


def tabulate_calibration(
    probabilities: np.ndarray,
    right: np.ndarray,
    bins: int = 10,
    clusters: np.ndarray | None = None,
) -> pd.DataFrame:
    """Return the share of correct predictions in bins of their probability (reliability diagram).

    A model is calibrated if, among predictions with a probability of 70%, 70% are correct.

    Args:
        probabilities: Probability of each predicted label, (images,), 0 to 1.
        right: Whether each predicted label is the true one, (images,) bool.
        bins: Number of bins of equal count. Equal probabilities stand in the same bin, so that some
            bins may be larger and others missing.
        clusters: As for `tabulate_groups`.

    Returns:
        As `tabulate_groups`, indexed by the number of the bin, from 0; and `probability`, the mean
        probability in each bin.

    Example:
        >>> probabilities, right = np.array([0.6, 0.7, 0.9, 0.95]), np.array([0, 1, 1, 1])
        >>> tabulate_calibration(probabilities, right, bins=2)["share"].tolist()
        [0.5, 1.0]
    """
    given = pd.Series(np.asarray(probabilities, float))
    below = given.rank(method="min").to_numpy() - 1  # how many probabilities are lower
    members = (below * bins // max(len(given), 1)).astype(int)
    means = given.groupby(members).mean()
    return tabulate_groups(right, members, clusters).assign(probability=means)


def compute_calibration_error(
    probabilities: np.ndarray, right: np.ndarray, bins: int = 10
) -> float:
    """Return the expected calibration error, 0 to 1.

    It is the distance between the mean probability and the share of correct predictions in a bin,
    averaged over all predictions. Bins of equal count give each bin the same weight.

    Args:
        probabilities: As for `tabulate_calibration`.
        right: As for `tabulate_calibration`.
        bins: As for `tabulate_calibration`.

    Reference: Naeini, Cooper and Hauskrecht, 2015, Obtaining Well Calibrated Probabilities Using
        Bayesian Binning.

    Example:
        >>> round(compute_calibration_error(np.array([0.9, 0.9]), np.array([True, False])), 2)
        0.4
    """
    table = tabulate_calibration(probabilities, right, bins)
    distances = (table["share"] - table["probability"]).abs()
    return float((table["count"] * distances).sum() / table["count"].sum())
