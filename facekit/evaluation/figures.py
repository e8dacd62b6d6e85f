"""Compute the figures of one attribute from a table of predictions, without images or networks.

A table of predictions has the columns `image`, `source`, `group`, `split`, `copied` (whether the
training split of the dataset holds the same photo), `label`, then `p_<class>` for each class of
`taxonomy.LABELS`. Tables are made by `training.export`; those of a protocol, by
`training.crossvalidation`, with a column `fold`. `predictions` reads tables of other models.

Only the test split is measured: the validation split chose the epoch, and the calibration split
fitted the temperatures.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pandas as pd

from facekit.evaluation.markdown import make_markdown
from facekit.evaluation.metrics import bootstrap_interval, compute_share_interval
from facekit.fusion import compute_mean_age, index_age_classes
from facekit.taxonomy import DEFAULT_AGE_SCHEME, LABELS, name_age_ranges

PROTOCOLS_FOLDER = "protocols"  # in the folder of a model; holds SOURCE-PROTOCOL.parquet
# Groups per image from which on images count as independent here. Held-out splits hold a few
# duplicates (UTKFace: 2,001 images in 1,907 groups); a bootstrap over groups moves the ends of
# their intervals by less than 0.002.
INDEPENDENT_FROM = 0.9
CELLS = ("images", "figure", "value", "95% interval")  # the header of `format_cells`


def get_probabilities(predictions: pd.DataFrame) -> np.ndarray:
    """Return the probabilities of a table of predictions, (images, classes) float64.

    Example:
        >>> get_probabilities(pd.DataFrame({"label": ["male"], "p_female": [0.25], "p_male": 0.75}))
        array([[0.25, 0.75]])
    """
    return predictions.filter(regex="^p_").to_numpy(np.float64)


def count_classes_apart(
    attribute: str, answer: np.ndarray, labels: np.ndarray, classes: Sequence[str] = ()
) -> np.ndarray:
    """Return the distance between predicted and true class, (images,) int; 0 is correct.

    For age the distance is counted in classes of the default scheme, for other attributes it is 0
    or 1.

    Args:
        attribute: A key of `taxonomy.LABELS`, or any other name if `classes` is given.
        answer: Probabilities, (images, classes).
        labels: True labels, (images,); for age, years.
        classes: The classes of a model whose attribute is not in `taxonomy.LABELS`.

    Example:
        >>> count_classes_apart("gender", np.array([[0.9, 0.1]]), np.array(["male"]))
        array([1])
    """
    if attribute == "age":
        predicted = index_age_classes(compute_mean_age(answer))
        return np.abs(predicted - index_age_classes(labels.astype(float)))
    names = np.array(classes or LABELS[attribute])
    return (names[answer.argmax(axis=1)] != labels).astype(int)


def find_right(attribute: str, answer: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return whether the predicted label is the true one, (images,) bool.

    For age, whether the predicted years lie in the true class of the default scheme.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        answer: Probabilities, (images, classes).
        labels: True labels, (images,); for age, years.

    Example:
        >>> find_right("gender", np.array([[0.9, 0.1]]), np.array(["female"]))
        array([ True])
    """
    return count_classes_apart(attribute, answer, labels) == 0


def measure_attribute(attribute: str, predictions: pd.DataFrame) -> list[dict]:
    """Return the figures of the test split of each source, with 95% intervals.

    The interval of a share is Wilson's where nearly each image is a group of its own, otherwise a
    bootstrap over groups (subjects, duplicates). That of the years is always a bootstrap over
    groups.

    Args:
        attribute: A key of `taxonomy.LABELS`, or any other name: then the classes are those of the
            table.
        predictions: A table of predictions. Rows of other splits are ignored.

    Returns:
        One dict per figure, with `source`, `split`, `count`, `figure`, `value` and `interval_95`.

    Example:
        >>> table = pd.DataFrame({"label": ["male"] * 4, "p_female": [0.2, 0.3, 0.4, 0.9]})
        >>> table = table.assign(p_male=1 - table["p_female"], source="mine", split="test")
        >>> (figure,) = measure_attribute("gender", table.assign(copied=False, group=range(4)))
        >>> figure["figure"], figure["value"], figure["interval_95"]
        ('accuracy', 0.75, [0.3006, 0.9544])
    """
    figures = []
    columns = predictions.filter(regex="^p_").columns
    classes = () if attribute in LABELS else [str(name).removeprefix("p_") for name in columns]
    for source, rows in predictions[predictions["split"] == "test"].groupby("source"):
        about = {"source": source, "split": "test", "count": len(rows)}
        labels, groups = rows["label"].to_numpy(), rows["group"].to_numpy()
        answer = get_probabilities(rows)
        apart = count_classes_apart(attribute, answer, labels, classes)
        if attribute == "age":
            errors = np.abs(compute_mean_age(answer) - labels.astype(float))
            interval = bootstrap_interval(errors, groups)
            name = "mean absolute error, years"
            figures.append(about | _make_figure(name, float(errors.mean()), interval))
            figures.append(about | _make_share("accuracy, 7 classes", apart == 0, groups))
            name = "accuracy, 7 classes, within one"
            figures.append(about | _make_share(name, apart <= 1, groups))
        else:
            figures.append(about | _make_share("accuracy", apart == 0, groups))
        own = ~rows["copied"].to_numpy(bool)
        if 0 < own.sum() < len(rows):
            without = _make_share("accuracy, without copies", apart[own] == 0, groups[own])
            figures.append(about | {"count": int(own.sum())} | without)
    return figures


def _make_figure(name: str, value: float, interval: tuple[float, float]) -> dict:
    ends = [round(end, 4) for end in interval]
    return {"figure": name, "value": round(value, 4), "interval_95": ends}


def _make_share(name: str, correct: np.ndarray, groups: np.ndarray) -> dict:
    low, high, _ = compute_share_interval(correct, groups, INDEPENDENT_FROM)
    return _make_figure(name, float(correct.mean()), (low, high))


def tabulate_age_errors(predictions: pd.DataFrame) -> pd.DataFrame:
    """Return the error in years in each class of the true age.

    Args:
        predictions: A table of predictions of age.

    Returns:
        Indexed by the classes of the default scheme that have images: `count`; `off`, the mean
        absolute error, with its 95% interval from `low` to `high` by a bootstrap over groups; and
        `bias`, the mean of predicted minus true years.

    Example:
        >>> ages = pd.DataFrame(np.eye(101)[[20, 40]], columns=[f"p_{year}" for year in range(101)])
        >>> ages = ages.assign(label=[25.0, 40.0], group=[1, 2])
        >>> tabulate_age_errors(ages)["bias"].to_dict()
        {'21-27': -5.0, '28-45': 0.0}
    """
    ages, groups = predictions["label"].to_numpy(np.float64), predictions["group"].to_numpy()
    errors = compute_mean_age(get_probabilities(predictions)) - ages
    classes, names = index_age_classes(ages), name_age_ranges()
    rows = {}
    for index in np.unique(classes):
        own = errors[classes == index]
        low, high = bootstrap_interval(np.abs(own), groups[classes == index])
        off = np.abs(own).mean()
        rows[names[index]] = (len(own), off, low, high, own.mean())
    columns = ["count", "off", "low", "high", "bias"]
    return pd.DataFrame.from_dict(rows, orient="index", columns=columns).astype({"count": int})


def tabulate_age_classes(
    predictions: pd.DataFrame, scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME
) -> pd.DataFrame:
    """Return the confusion matrix of age classes in any scheme.

    The predicted years are the same in every scheme; only the class borders move.

    Args:
        predictions: A table of predictions of age.
        scheme: As for `taxonomy.find_first_years`.

    Returns:
        Counts, one row per true class and one column per predicted class, both named as
        `taxonomy.name_age_ranges` does.

    Example:
        >>> ages = pd.DataFrame(np.eye(101)[[20, 40]], columns=[f"p_{year}" for year in range(101)])
        >>> ages = ages.assign(label=[25.0, 40.0], group=[1, 2])
        >>> tabulate_age_classes(ages, (0, 18, 30)).to_numpy().tolist()
        [[0, 0, 0], [0, 1, 0], [0, 0, 1]]
    """
    names = name_age_ranges(scheme)
    counts = np.zeros((len(names), len(names)), int)
    predicted = index_age_classes(compute_mean_age(get_probabilities(predictions)), scheme)
    true = index_age_classes(predictions["label"].to_numpy(np.float64), scheme)
    np.add.at(counts, (true, predicted), 1)
    return pd.DataFrame(counts, names, names)


def measure_classes(counts: pd.DataFrame) -> dict[str, float]:
    """Return the accuracies of a confusion matrix whose classes have an order.

    Args:
        counts: One row per true class, one column per predicted class, square.

    Returns:
        `right`, the accuracy; `within_one`, the share that is correct or one class off; and
        `by_guessing`, the accuracy of always predicting the most frequent class.

    Raises:
        ValueError: If the matrix counts no faces.

    Example:
        >>> measure_classes(pd.DataFrame([[3, 1], [0, 0]]))
        {'right': 0.75, 'within_one': 1.0, 'by_guessing': 1.0}
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


def format_cells(figure: dict) -> tuple[str, str, str, str]:
    """Return the cells of a figure for a table under the header `CELLS`.

    Args:
        figure: One figure from `measure_attribute`.

    Example:
        >>> format_cells(
        ...     {"count": 10, "figure": "accuracy", "value": 0.8, "interval_95": [0.49, 0.94]}
        ... )
        ('10', 'accuracy', '80.0%', '49.0% to 94.0%')
    """
    form = "{:.2f}".format if "years" in figure["figure"] else "{:.1%}".format
    low, high = map(form, figure["interval_95"])
    return str(figure["count"]), figure["figure"], form(figure["value"]), f"{low} to {high}"


def tabulate_figures(figures: list[dict]) -> str:
    """Return figures as a Markdown table.

    Args:
        figures: From `measure_attribute`.

    Example:
        >>> figure = {"figure": "accuracy", "value": 0.8, "interval_95": [0.49, 0.94]}
        >>> print(tabulate_figures([figure | {"source": "mine", "split": "test", "count": 10}]))
        | data      | images   | figure   | value   | 95% interval   |
        |:----------|:---------|:---------|:--------|:---------------|
        | mine test | 10       | accuracy | 80.0%   | 49.0% to 94.0% |
    """
    rows = [(f"{figure['source']} {figure['split']}", *format_cells(figure)) for figure in figures]
    return make_markdown(rows, ("data", *CELLS))
