"""Compute the figures of one attribute from a table of predictions, without images or networks.

A table of predictions has the columns `image`, `source`, `group`, `split`, `copied` (whether the
training split of the dataset holds the same photo), `label`, then `p_<class>` for each class of
`taxonomy.LABELS`. A table of gender may have a column `age`, years. Tables are made by
`training.export`; those of a protocol, by `training.crossvalidation`, with a column `fold`.
`predictions` reads tables of other models, `manifests` predicts the faces of any dataset.

Only the test split is measured: the validation split chose the epoch, and the calibration split
fitted the temperatures.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.evaluation.markdown import make_markdown
from facekit.evaluation.metrics import bootstrap_interval, compute_share_interval
from facekit.fusion import compute_mean_age, index_age_classes, predict_age_classes
from facekit.taxonomy import (
    AGE_BANDS,
    DEFAULT_AGE_SCHEME,
    LABELS,
    find_first_years,
    name_age_ranges,
)

PROTOCOLS_FOLDER = "protocols"  # in the folder of a model; holds SOURCE-PROTOCOL.parquet
# Groups per image from which on images count as independent here. Held-out splits hold a few
# duplicates (UTKFace: 2,001 images in 1,907 groups); a bootstrap over groups moves the ends of
# their intervals by less than 0.002.
INDEPENDENT_FROM = 0.9
# Gender is also measured on people of these ages, in years, and up: that of infants can hardly be
# seen.
GENDER_FROM = (3, 10, 13)
DIGITS = 6  # of stored figures: so many that a rounded figure is rounded once only
CELLS = ("images", "figure", "value", "95% interval")  # the header of `format_cells`


def get_probabilities(predictions: pd.DataFrame) -> np.ndarray:
    """Return the probabilities of a table of predictions, (images, classes) float64.

    Example:
        >>> get_probabilities(pd.DataFrame({"label": ["male"], "p_female": [0.25], "p_male": 0.75}))
        array([[0.25, 0.75]])
    """
    return predictions.filter(regex="^p_").to_numpy(np.float64)


def tabulate_answers(
    attribute: str, manifest: pd.DataFrame, probabilities: np.ndarray
) -> pd.DataFrame:
    """Return the table of predictions for the faces of a manifest.

    Args:
        attribute: The attribute that was predicted, a key of `taxonomy.LABELS`.
        manifest: The faces, with a column `copied`.
        probabilities: (faces, classes).

    Returns:
        One row per face: its image, source, group, split, whether it is a copy, its label, for
        gender the age if one is known, and a probability for each class, with five digits.

    Example:
        >>> faces = pd.DataFrame({
        ...     "path": ["a.jpg"], "source": "mine", "group": 1, "split": "test", "copied": False,
        ...     "gender": "male", "age": 30.0,
        ... })
        >>> table = tabulate_answers("gender", faces, np.array([[0.25, 0.75]]))
        >>> list(table.columns[-4:])
        ['label', 'age', 'p_female', 'p_male']
    """
    names = [f"p_{label}" for label in LABELS[attribute]]
    table = pd.DataFrame(
        probabilities.astype(np.float32).round(5), columns=names, index=manifest.index
    )
    about = manifest[["source", "group", "split", "copied"]].assign(label=manifest[attribute])
    about.insert(0, "image", manifest["path"].map(lambda path: Path(path).name))
    if attribute == "gender" and "age" in manifest and manifest["age"].notna().any():
        about["age"] = manifest["age"]
    return about.join(table).reset_index(drop=True)


def count_classes_apart(
    attribute: str,
    answer: np.ndarray,
    labels: np.ndarray,
    classes: Sequence[str] = (),
    scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME,
) -> np.ndarray:
    """Return the distance between predicted and true class, (images,) int; 0 is correct.

    For age the distance is counted in classes of a scheme, for other attributes it is 0 or 1.

    Args:
        attribute: A key of `taxonomy.LABELS`, or any other name if `classes` is given.
        answer: Probabilities, (images, classes).
        labels: True labels, (images,); for age, years.
        classes: The classes of a model whose attribute is not in `taxonomy.LABELS`.
        scheme: Of the age classes, as for `taxonomy.find_first_years`.

    Example:
        >>> count_classes_apart("gender", np.array([[0.9, 0.1]]), np.array(["male"]))
        array([1])
    """
    if attribute == "age":
        predicted = predict_age_classes(answer, scheme)
        return np.abs(predicted - index_age_classes(labels.astype(float), scheme))
    names = np.array(classes or LABELS[attribute])
    return (names[answer.argmax(axis=1)] != labels).astype(int)


def find_right(attribute: str, answer: np.ndarray, labels: np.ndarray) -> np.ndarray:
    """Return whether the predicted label is the true one, (images,) bool.

    For age, whether the rounded years lie in the true class of the default scheme.

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

    Gender is measured apart for the ages of `GENDER_FROM` if the table has ages, ethnicity without
    the label "other", and each attribute without copies of training photos.

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
        ('accuracy', 0.75, [0.300636, 0.954414])
    """
    figures = []
    columns = predictions.filter(regex="^p_").columns
    classes = () if attribute in LABELS else [str(name).removeprefix("p_") for name in columns]
    for source, rows in predictions[predictions["split"] == "test"].groupby("source"):
        about = {"source": source, "split": "test", "count": len(rows)}
        figures += [about | figure for figure in measure_rows(attribute, rows, classes)]
    return figures


def measure_rows(attribute: str, rows: pd.DataFrame, classes: Sequence[str] = ()) -> list[dict]:
    """Return the figures of all rows of a table of predictions, which are of one source.

    Where the ages of the source are bands (`taxonomy.AGE_BANDS`), the class is the band, and there
    is no error in years.

    Args:
        attribute: As for `measure_attribute`.
        rows: One or more rows of a table of predictions.
        classes: As for `count_classes_apart`.

    Returns:
        One dict per figure, with `count`, `figure`, `value` and `interval_95`.

    Example:
        >>> rows = pd.DataFrame({"label": ["male", "female"], "p_female": 0.2, "p_male": 0.8})
        >>> rows = rows.assign(source="mine", copied=False, group=[1, 2], age=[30.0, 1.0])
        >>> [(each["figure"], each["value"]) for each in measure_rows("gender", rows)]
        [('accuracy', 0.5), ('accuracy, aged 3 and up', 1.0), ...]
    """
    labels, groups = rows["label"].to_numpy(), rows["group"].to_numpy()
    answer = get_probabilities(rows)
    bands = AGE_BANDS.get(rows["source"].iloc[0], ())
    scheme = bands or DEFAULT_AGE_SCHEME
    apart = count_classes_apart(attribute, answer, labels, classes, scheme)
    if attribute != "age":
        figures = [make_share("accuracy", apart == 0, groups)]
    else:
        figures = []
        if not bands:
            errors = np.abs(compute_mean_age(answer) - labels.astype(float))
            interval = bootstrap_interval(errors, groups)
            name = "mean absolute error, years"
            figures.append(make_figure(name, len(rows), float(errors.mean()), interval))
        name = name_age_figure(rows["source"].iloc[0])
        figures.append(make_share(name, apart == 0, groups))
        figures.append(make_share(f"{name}, within one", apart <= 1, groups))
    for name, chosen in _list_parts(attribute, rows, bands):
        if 0 < chosen.sum() < len(rows):
            figures.append(make_share(name, apart[chosen] == 0, groups[chosen]))
    return figures


def name_age_figure(source: str) -> str:
    """Return the name of the accuracy of age classes for the faces of a source.

    Example:
        >>> name_age_figure("utkface"), name_age_figure("fairface")
        ('accuracy, 7 classes', 'accuracy, 9 bands')
    """
    if source in AGE_BANDS:
        return f"accuracy, {len(AGE_BANDS[source])} bands"
    return f"accuracy, {len(find_first_years())} classes"


def _list_parts(
    attribute: str, rows: pd.DataFrame, bands: Sequence[int]
) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the parts of a table whose accuracy is given apart: a name, and which rows, bool."""
    if attribute == "gender" and "age" in rows:
        ages = pd.to_numeric(rows["age"], errors="coerce").to_numpy(np.float64)
        for year in GENDER_FROM:
            if not bands or year in bands:  # else some people of a band would be younger
                yield f"accuracy, aged {year} and up", ages >= year
    if attribute == "ethnicity":
        yield "accuracy, without other", (rows["label"] != "other").to_numpy()
    yield "accuracy, without copies", ~rows["copied"].to_numpy(bool)


def make_figure(name: str, count: int, value: float, interval: tuple[float, float]) -> dict:
    """Return a figure: `count`, `figure`, `value` and `interval_95`, with six digits.

    Example:
        >>> make_figure("accuracy", 3, 2 / 3, (0.49, 0.94333))["value"]
        0.666667
    """
    ends = [round(end, DIGITS) for end in interval]
    return {"count": count, "figure": name, "value": round(value, DIGITS), "interval_95": ends}


def make_share(name: str, correct: np.ndarray, groups: np.ndarray) -> dict:
    """Return the figure of a share, with the interval that `measure_attribute` describes.

    Args:
        name: Of the figure.
        correct: (images,) bool, at least one.
        groups: The group of each image, (images,).

    Example:
        >>> make_share("accuracy", np.array([True] * 3 + [False]), np.arange(4))["value"]
        0.75
    """
    low, high, _ = compute_share_interval(correct, groups, INDEPENDENT_FROM)
    return make_figure(name, len(correct), float(correct.mean()), (low, high))


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
    predicted = predict_age_classes(get_probabilities(predictions), scheme)
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
