"""Figures and how sure they are. Each takes plain arrays, so that stored predictions serve as well as fresh ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence

import numpy as np
import pandas as pd

RESAMPLES = 2000  # bootstrap draws; the interval's ends then move by about a hundredth of its width


def compute_wilson_interval(right: int, count: int, z: float = 1.96) -> tuple[float, float]:
    """Return the Wilson score interval of a share, 95% by default.

    Raises:
        ValueError: If there is nothing to count, or more right than there are.

    Reference: Wilson, 1927.
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
    """Return the 95% percentile interval of a statistic, drawing whole groups (subjects,
    duplicates) with replacement.

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
        statistic(
            np.concatenate(
                [parts[index] for index in generator.integers(len(parts), size=len(parts))]
            )
        )
        for _ in range(RESAMPLES)
    ]
    return float(np.percentile(draws, 2.5)), float(np.percentile(draws, 97.5))


def tabulate_groups(right: np.ndarray, groups: np.ndarray) -> pd.DataFrame:
    """Return how often answers are right in each group, with Wilson's interval.

    Args:
        right: (images,) bool.
        groups: (images,) name of each one's group.

    Returns:
        Indexed by group, in their order: `count`, `share`, `low` and `high`.
    """
    counts = pd.Series(np.asarray(right)).groupby(np.asarray(groups)).agg(["sum", "size"])
    intervals = [compute_wilson_interval(*row) for row in counts.itertuples(index=False)]
    table = pd.DataFrame(intervals, counts.index, ["low", "high"])
    return table.assign(count=counts["size"], share=counts["sum"] / counts["size"])[
        ["count", "share", "low", "high"]
    ]


def tabulate_thresholds(
    probabilities: np.ndarray, is_positive: np.ndarray, thresholds: Sequence[float]
) -> pd.DataFrame:
    """Return what becomes of a decision between a label and all others when the label is told from
    a threshold on.

    Args:
        probabilities: (images,) of the label, 0 to 1.
        is_positive: (images,) bool, whether it is the true one.
        thresholds: Probabilities from which on it is told.

    Returns:
        Indexed by threshold: the counts `true_positives`, `false_positives`, `false_negatives` and
            `true_negatives`; and `accuracy`,
        `precision` (of those told, the share that is right), `recall` (of those that are, the share
        told) and `false_positive_rate` (of the others, the share told all the same). A share of
        none is NaN.
    """
    is_positive = np.asarray(is_positive, bool)
    told = (
        np.asarray(probabilities) >= np.asarray(thresholds, float)[:, None]
    )  # (thresholds, images)
    hits, alarms = (told & is_positive).sum(axis=1), (told & ~is_positive).sum(axis=1)
    table = pd.DataFrame(
        {"true_positives": hits, "false_positives": alarms},
        pd.Index(thresholds, name="threshold", dtype="float64"),
    )
    table["false_negatives"] = is_positive.sum() - hits
    table["true_negatives"] = (~is_positive).sum() - alarms
    shares = {
        "accuracy": (hits + table["true_negatives"], is_positive.size),
        "precision": (hits, hits + alarms),
        "recall": (hits, is_positive.sum()),
        "false_positive_rate": (alarms, (~is_positive).sum()),
    }
    return table.assign(
        **{
            name: part / np.where(np.equal(whole, 0), np.nan, whole)
            for name, (part, whole) in shares.items()
        }
    )


def tabulate_calibration(
    probabilities: np.ndarray, right: np.ndarray, bins: int = 10
) -> pd.DataFrame:
    """Return how often answers of about the same probability are right: of those told at 70%, seven
    in ten should be.

    Args:
        probabilities: (images,) of each answer told, 0 to 1.
        right: (images,) bool.
        bins: Of equal width.

    Returns:
        As `tabulate_groups`, indexed by the bin's number, without empty ones; and `probability`,
        the mean of each.
    """
    members = np.clip((np.asarray(probabilities) * bins).astype(int), 0, bins - 1)
    return tabulate_groups(right, members).assign(
        probability=pd.Series(probabilities).groupby(members).mean()
    )


def compute_calibration_error(
    probabilities: np.ndarray, right: np.ndarray, bins: int = 10
) -> float:
    """Return the expected calibration error: the gap between a bin's mean probability and its share
    right, averaged over all answers.

    Args:
        probabilities: As for `tabulate_calibration`.
        right: Likewise.
        bins: Likewise.

    Reference: Naeini, Cooper and Hauskrecht, 2015, Obtaining Well Calibrated Probabilities Using
        Bayesian Binning.
    """
    table = tabulate_calibration(probabilities, right, bins)
    return float(
        (table["count"] * (table["share"] - table["probability"]).abs()).sum()
        / table["count"].sum()
    )
