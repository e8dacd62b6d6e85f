"""Compute an attribute's figures from its stored predictions: a table of labels and probabilities,
without images or networks.

A table of predictions has the columns `image`, `source`, `group`, `split`, `copied` (whether the
dataset's own training split holds the same photo), `label`, then `p_<class>` for each class of
`taxonomy.LABELS`. Tables are made by `training.export`; those of a protocol, by
`training.crossvalidation`, with a column `fold`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from facekit.evaluation.metrics import bootstrap_interval, compute_wilson_interval
from facekit.fusion import index_age_classes
from facekit.taxonomy import AGES_YEARS, DEFAULT_AGE_SCHEME, LABELS, name_age_ranges

PROTOCOLS_FOLDER = "protocols"  # below a model's, holds a table SOURCE-PROTOCOL.parquet each
CROWDED = 0.9  # groups an image below which images are no longer counted as independent


def get_probabilities(predictions: pd.DataFrame) -> np.ndarray:
    """Return the probabilities of a table of predictions, (images, classes)."""
    return predictions.filter(regex="^p_").to_numpy(np.float64)


def count_classes_apart(
    attribute: str, answer: np.ndarray, labels: np.ndarray, classes: Sequence[str] = ()
) -> np.ndarray:
    """Return how far each answer is from the truth, (images,) int: 0 is right; for age in classes,
    for other attributes 0 or 1.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        answer: Probabilities, (images, classes).
        labels: (images,) names, or years.
        classes: Of another model, whose attribute is none of `taxonomy.LABELS`.
    """
    if attribute == "age":
        return np.abs(
            index_age_classes(answer @ np.array(AGES_YEARS))
            - index_age_classes(labels.astype(float))
        )
    return (np.array(classes or LABELS[attribute])[answer.argmax(axis=1)] != labels).astype(int)


def find_right(attribute: str, answer: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return whether each answer's label, or for age its class, is the true one, (images,) bool."""
    return count_classes_apart(attribute, answer, labels) == 0


def measure_attribute(attribute: str, predictions: pd.DataFrame) -> list[dict]:
    """Return the figures of each source's test split, with 95% intervals.

    An interval is Wilson's where nearly each image is a group of its own, otherwise drawn by
    bootstrap over groups (subjects, duplicates), as is that of years.

    Args:
        attribute: A key of `taxonomy.LABELS`, or any other name: then the classes are those of the
            table.
        predictions: A table of predictions; rows of other splits are left out.

    Returns:
        One dict a figure, with `source`, `split`, `count`, `figure`, `value` and `interval_95`.
    """
    figures = []
    classes = (
        ()
        if attribute in LABELS
        else [name.removeprefix("p_") for name in predictions.filter(regex="^p_")]
    )
    for source, rows in predictions[predictions["split"] == "test"].groupby("source"):
        about = {"source": source, "split": "test", "count": len(rows)}
        answer, labels, groups = (
            get_probabilities(rows),
            rows["label"].to_numpy(),
            rows["group"].to_numpy(),
        )
        apart = count_classes_apart(attribute, answer, labels, classes)
        if attribute == "age":
            off = np.abs(answer @ np.array(AGES_YEARS) - labels.astype(float))
            figures.append(
                about
                | _make_figure(
                    "mean absolute error, years", float(off.mean()), bootstrap_interval(off, groups)
                )
            )
            figures.append(about | _make_share("accuracy, 7 classes", apart == 0, groups))
            figures.append(
                about | _make_share("accuracy, 7 classes, within one", apart <= 1, groups)
            )
        else:
            figures.append(about | _make_share("accuracy", apart == 0, groups))
        if 0 < (own := ~rows["copied"].to_numpy(bool)).sum() < len(rows):
            figures.append(
                about
                | {"count": int(own.sum())}
                | _make_share("accuracy, without copies", apart[own] == 0, groups[own])
            )
    return figures


def _make_figure(name: str, value: float, interval: tuple[float, float]) -> dict:
    return {
        "figure": name,
        "value": round(value, 4),
        "interval_95": [round(end, 4) for end in interval],
    }


def _make_share(name: str, right: np.ndarray, groups: np.ndarray) -> dict:
    share, count = float(right.mean()), len(right)
    if len(np.unique(groups)) < CROWDED * count:
        if 0 < share < 1:
            return _make_figure(name, share, bootstrap_interval(right, groups))
        count = len(
            np.unique(groups)
        )  # all right, or all wrong, is sure only as far as there are groups
    return _make_figure(name, share, compute_wilson_interval(round(share * count), count))


def tabulate_age_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return how many years answers are off in each class of the true age.

    Args:
        predictions: A table of predictions of age.

    Returns:
        Indexed by the names of the default scheme's classes, those without images left out:
        `count`; `off`, the mean absolute error, with its 95% interval from `low` to `high`, drawn
        by bootstrap over groups; and `bias`, the mean of the told years minus the true ones.
    """
    ages, groups = predictions["label"].to_numpy(np.float64), predictions["group"].to_numpy()
    errors, classes, names = (
        get_probabilities(predictions) @ np.array(AGES_YEARS) - ages,
        index_age_classes(ages),
        name_age_ranges(),
    )
    rows = {}
    for index in np.unique(classes):
        own, among = errors[classes == index], groups[classes == index]
        low, high = bootstrap_interval(np.abs(own), among)
        rows[names[index]] = {
            "count": len(own),
            "off": np.abs(own).mean(),
            "low": low,
            "high": high,
            "bias": own.mean(),
        }
    table = pd.DataFrame.from_dict(
        rows, orient="index", columns=["count", "off", "low", "high", "bias"]
    )
    return table.astype({"count": int})


def tabulate_age_classes(
    predictions: pd.DataFrame, scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME
) -> pd.DataFrame:
    """Return how many faces of each class of the true age were told as which class; the years told
    are the same in any scheme.

    Args:
        predictions: A table of predictions of age.
        scheme: As for `taxonomy.find_first_years`.

    Returns:
        Counts, rows by the true class and columns by the one told, both named as
        `taxonomy.name_age_ranges` does.
    """
    names = name_age_ranges(scheme)
    counts = np.zeros((len(names), len(names)), int)
    told = index_age_classes(get_probabilities(predictions) @ np.array(AGES_YEARS), scheme)
    np.add.at(
        counts, (index_age_classes(predictions["label"].to_numpy(np.float64), scheme), told), 1
    )
    return pd.DataFrame(counts, names, names)


def measure_classes(counts: pd.DataFrame) -> dict[str, float]:
    """Return the shares that a square table of counts, true by told, holds.

    Returns:
        `right`; `within_one`, right or off by one class; and `by_guessing`, as often as who tells
        the commonest class always is right.

    Raises:
        ValueError: If it counts nothing.
    """
    table = counts.to_numpy()
    if not table.sum():
        raise ValueError("`counts` must count at least one face; got none.")
    within_one = sum(np.trace(table, offset) for offset in (-1, 0, 1))
    shares = {
        "right": np.trace(table),
        "within_one": within_one,
        "by_guessing": table.sum(axis=1).max(),
    }
    return {name: float(count / table.sum()) for name, count in shares.items()}


def format_figure(figure: dict) -> str:
    """Return a figure's cells for a Markdown table: images, figure, value and interval."""
    form = "{:.2f}".format if "years" in figure["figure"] else "{:.1%}".format
    low, high = map(form, figure["interval_95"])
    return f"{figure['count']} | {figure['figure']} | {form(figure['value'])} | {low} to {high}"


def tabulate_figures(figures: list[dict]) -> str:
    """Return figures as a Markdown table."""
    lines = ["| data | images | figure | value | 95% interval |", "|---|---|---|---|---|"]
    return "\n".join(
        (*lines, *(f"| {row['source']} {row['split']} | {format_figure(row)} |" for row in figures))
    )
