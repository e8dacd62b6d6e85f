"""Read tables of predictions, of facekit's models or of any other, for `figures` to measure.

A file is CSV or Parquet with one row per image and these columns. Other columns are kept.

- `label`: the true label; for age, years.
- `p_<class>`: the probability of each class, such as `p_female` and `p_male`, in any order; for age
  `p_0` to `p_100`, one per year.
- `predicted`, if there are no probabilities: the predicted label. `predicted_age` in its place:
  predicted years.
- `group` (optional): equal for images that belong together, such as those of one person. By default
  rows with the same `image` belong together; without such a column each row is independent.
- `source` (optional): the dataset of the image.
- `split` (optional): one of `manifest.SPLITS`. Only `test` is measured, which is the default.
- `copied` (optional): True where the model may have been trained on a copy of the image.

Classes need not be facekit's. No label is guessed to be an age: years are read where the attribute
is given as `age`, where the column is called `predicted_age`, and from `p_0` to `p_100`. `0` and
`1`, `True` and `False` are classes. `class_names` decides which spellings name one class;
`prediction_files` reads the file and words the errors of single cells.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd

from facekit.datasets.manifest import SPLITS
from facekit.evaluation.class_names import are_numbers, make_key, unify_spellings
from facekit.evaluation.prediction_files import (
    list_columns,
    make_text,
    name_row,
    read_table,
    require,
    require_numbers,
)
from facekit.fusion import (
    index_age_classes,
    measure_certainty,
    predict_age_classes,
)
from facekit.taxonomy import AGES_YEARS, LABELS, name_age_ranges

PREFIX = "p_"
SUM_TOLERANCE = 0.02  # rounded probabilities may miss 1 by so much
OTHER = "label"  # the attribute of a model whose classes are not facekit's
OLDEST_YEARS = 130
YEARS_RULE = f"years from 0 to {OLDEST_YEARS}"
TRUTHS = {"true": True, "false": False, "1": True, "0": False}
NOTHING = ("nan", "none", "null", "na", "n/a", "<na>")  # no name of a group


@dataclass(frozen=True, eq=False)
class Predictions:
    """The predictions of a model for labelled images.

    Attributes:
        attribute: A key of `taxonomy.LABELS`, or `OTHER`.
        classes: In the order of the probabilities in the table.
        table: A table of predictions, as described in `figures`.
        has_probabilities: Whether the file holds probabilities. Otherwise each predicted label has
            the probability 1.

    Example:
        >>> table = pd.DataFrame({"label": ["male"], "p_female": [0.2], "p_male": [0.8]})
        >>> predictions = Predictions("gender", ("female", "male"), table, has_probabilities=True)
        >>> predictions.name_predictions()[["predicted", "confidence"]].to_numpy().tolist()
        [['male', 0.8]]
    """

    attribute: str
    classes: tuple
    table: pd.DataFrame
    has_probabilities: bool

    @property
    def labels(self) -> np.ndarray:
        """The true labels, (images,)."""
        return self.table["label"].to_numpy()

    @property
    def probabilities(self) -> np.ndarray:
        """The probabilities, (images, classes) float64."""
        return self.table[[f"{PREFIX}{name}" for name in self.classes]].to_numpy(np.float64)

    def select(self, split: str) -> Predictions:
        """Return the images of one split.

        Args:
            split: One of `manifest.SPLITS`.
        """
        own = self.table[self.table["split"] == split]
        return Predictions(self.attribute, self.classes, own, self.has_probabilities)

    def split_sources(self) -> dict[str, Predictions]:
        """Return the images of each source, by its name."""
        return {
            str(source): Predictions(self.attribute, self.classes, rows, self.has_probabilities)
            for source, rows in self.table.groupby("source")
        }

    def name_predictions(self) -> pd.DataFrame:
        """Return the true and the predicted class of each image; for age, of the default scheme.

        Returns:
            `true` and `predicted`, categories in the order of the classes; `confidence`, the
            probability of the predicted class; and `correct`.
        """
        probabilities = self.probabilities
        if self.attribute == "age":
            names = name_age_ranges()
            predicted = predict_age_classes(probabilities)
            true = pd.Categorical.from_codes(
                index_age_classes(self.labels.astype(float)), pd.Index(names)
            )
            confidence = measure_certainty("age", probabilities)
        else:
            names, predicted = self.classes, probabilities.argmax(axis=1)
            true, confidence = pd.Categorical(self.labels, names), probabilities.max(axis=1)
        columns = {
            "true": true,
            "predicted": pd.Categorical.from_codes(predicted, pd.Index(names)),
            "confidence": confidence,
        }
        named = pd.DataFrame(columns, self.table.index)
        return named.assign(correct=named["true"] == named["predicted"])


def read_predictions(path: str | Path, attribute: str = "") -> Predictions:
    r"""Read and check a file of predictions.

    Args:
        path: The file, `.csv` or `.parquet`.
        attribute: A key of `taxonomy.LABELS`, or `OTHER` if the labels are other classes. By
            default the classes decide: the attribute whose labels they are, else `OTHER`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing or does not fit, if the spelling of a class is ambiguous,
            or if labels are numbers that may be years or classes. The message names the file, the
            column, the line and the remedy.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "mine.csv")
        >>> _ = path.write_text("label,predicted\nFemale,female\nmale,female\n")
        >>> read = read_predictions(path)
        >>> read.attribute, read.name_predictions()["correct"].tolist()
        ('gender', [True, False])
    """
    path = Path(path)
    if attribute and attribute not in (*LABELS, OTHER):
        raise ValueError(
            f"`attribute` must be one of {', '.join(LABELS)}, `{OTHER}` for other classes, "
            f"or empty; got {attribute!r}."
        )
    table = read_table(path)
    if "label" not in table:
        raise ValueError(
            f"{path}: the column `label` is missing; it holds the true label of each image. "
            f"There are: {list_columns(table)}."
        )
    given = [str(name) for name in table if str(name).startswith(PREFIX)]
    if given:
        table, classes, attribute = _take_probabilities(path, table, given, attribute)
    elif "predicted" in table or ("predicted_age" in table and attribute in ("", "age")):
        if "predicted" not in table:
            table, attribute = table.rename(columns={"predicted_age": "predicted"}), "age"
        table, classes, attribute = _take_labels(path, table, attribute)
    else:
        raise ValueError(
            f"{path}: has neither probabilities, a column `{PREFIX}<class>` for each class, "
            "nor a column `predicted` with the predicted label; add one of the two. "
            f"There are: {list_columns(table)}."
        )
    table = _fill(path, table).reset_index(drop=True)
    return Predictions(attribute, classes, table, bool(given))


def join_labels(tables: Mapping[str, Predictions]) -> dict[str, Predictions]:
    """Add the labels of the other attributes to each table, where both label the same image.

    Args:
        tables: Predictions by attribute.

    Returns:
        The same, with further columns: `gender`, `ethnicity` and `emotion` as far as another table
        has this label, and `age_range`, the class of the true age. Unknown labels are empty. A
        column that a table has already is kept.

    Example:
        >>> rows = pd.DataFrame({"image": ["a.jpg"], "source": "mine", "label": ["male"]})
        >>> ages = rows.assign(label=[30.0])
        >>> tables = {"gender": Predictions("gender", (), rows, True)}
        >>> tables["age"] = Predictions("age", (), ages, True)
        >>> join_labels(tables)["gender"].table["age_range"].tolist()
        ['28-45']
    """
    names = np.array(name_age_ranges())
    keys = ["source", "image"]
    joined = {}
    for attribute, predictions in tables.items():
        table = predictions.table
        if "age" in table and "age_range" not in table:
            years = pd.to_numeric(table["age"], errors="coerce")
            ranges = names[index_age_classes(years.fillna(0).to_numpy(float))]
            table = table.assign(age_range=np.where(years.notna(), ranges, ""))
        for other, foreign in tables.items():
            column = "age_range" if other == "age" else other
            if other in (OTHER, attribute) or column in table:
                continue
            labels = foreign.table.drop_duplicates(keys).set_index(keys)["label"]
            if other == "age":
                ranges = names[index_age_classes(labels.to_numpy(float))]
                labels = pd.Series(ranges, labels.index)
            own = labels.reindex(pd.MultiIndex.from_frame(table[keys])).fillna("").astype(str)
            table = table.assign(**{column: own.to_numpy()})
        joined[attribute] = replace(predictions, table=table)
    return joined


# === Labels and probabilities ===


def _unify(path: Path, texts: Iterable[str], attribute: str) -> dict[str, str]:
    try:
        return unify_spellings(texts, attribute)
    except ValueError as error:
        raise ValueError(f"{path}: the labels {error}.") from None


def _ask_about_numbers(path: Path, classes: Sequence[str], attribute: str) -> None:
    if not attribute and are_numbers(classes):
        raise ValueError(
            f"{path}: the labels are numbers, such as {classes[0]}. If they are years, set "
            f"`attribute` to age; if they are classes, set it to {OTHER} "
            "(--parameters attribute=...), or write the names of the classes."
        )


def _find_attribute(classes: Iterable[str], complete: bool) -> str:
    """Return the attribute that has these labels, all of them if `complete`; else `OTHER`."""
    found = set(classes)
    for known, labels in LABELS.items():
        names = {str(label) for label in labels}
        if found == names or (not complete and known != "age" and found <= names):
            return known
    return OTHER


def _take_texts(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    texts = make_text(table[column])
    rule = "a label in every row; leave rows without one out"
    require(path, table, column, texts != "", rule)
    return texts


def _take_years(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    return require_numbers(path, table, column, OLDEST_YEARS, YEARS_RULE)


def _take_probabilities(
    path: Path, table: pd.DataFrame, given: list[str], attribute: str
) -> tuple[pd.DataFrame, tuple, str]:
    texts = _take_texts(path, table, "label")
    names = [name.removeprefix(PREFIX).strip() for name in given]
    is_age = attribute == "age" or (not attribute and _find_attribute(names, True) == "age")
    if not is_age:
        _ask_about_numbers(path, [*names, *texts], attribute)
    own = _unify(path, names if is_age else [*names, *texts], attribute)
    names = [own[name] for name in names]
    attribute = attribute or _find_attribute(names, True)
    classes = LABELS.get(attribute, tuple(names))
    missing = [f"`{PREFIX}{name}`" for name in classes if str(name) not in names]
    foreign = sorted(set(names) - {str(name) for name in classes})
    if missing:
        raise ValueError(
            f"{path}: the columns {', '.join(missing[:8])} are missing; "
            f"{attribute} has one for each of its classes."
        )
    if foreign:
        raise ValueError(
            f"{path}: the column `{PREFIX}{foreign[0]}` is of no class of {attribute}; "
            "rename it, or leave it out."
        )
    if len(names) != len(set(names)):
        raise ValueError(f"{path}: two columns `{PREFIX}<class>` are of the same class; keep one.")
    if len(classes) < 2:
        raise ValueError(
            f"{path}: the column `{given[0]}` is alone; add the probability of every other class."
        )
    rule = "probabilities from 0 to 1"
    numbers = {
        f"{PREFIX}{name}": require_numbers(path, table, column, 1, rule)
        for name, column in zip(names, given, strict=True)
    }
    columns = [f"{PREFIX}{name}" for name in classes]
    probabilities = pd.DataFrame(numbers)[columns]
    sums = probabilities.sum(axis=1)
    wrong = (sums.sub(1).abs() > SUM_TOLERANCE).to_numpy()
    if wrong.any():
        row = int(np.argmax(wrong))
        raise ValueError(
            f"{path}: the columns `{PREFIX}<class>` must sum to 1 in each row; "
            f"got {sums.iloc[row]:.3f} in {name_row(table, row)}."
        )
    if attribute == "age":
        labels = _take_years(path, table, "label")
    else:
        labels = texts.map(own)
        rule = f"one of {', '.join(map(str, classes))}, as the columns `{PREFIX}<class>` are called"
        require(path, table, "label", labels.isin(classes), rule)
    others = table.drop(columns=given).assign(label=labels)
    return others.join(probabilities), classes, attribute


def _take_labels(
    path: Path, table: pd.DataFrame, attribute: str
) -> tuple[pd.DataFrame, tuple, str]:
    """Turn predicted labels into probabilities of 0 and 1.

    Predicted years are shared by the two whole years around them, which keeps their mean.
    """
    texts = {column: _take_texts(path, table, column) for column in ("label", "predicted")}
    if attribute == "age":
        labels = _take_years(path, table, "label")
        predicted = _take_years(path, table, "predicted").clip(0, AGES_YEARS[-1]).to_numpy()
        whole = np.minimum(np.floor(predicted).astype(int), AGES_YEARS[-1] - 1)
        rows, answers = np.arange(len(table)), np.zeros((len(table), len(AGES_YEARS)))
        answers[rows, whole] = 1 - (predicted - whole)
        answers[rows, whole + 1] = predicted - whole
        classes: tuple = AGES_YEARS
        table = table.assign(label=labels)
    else:
        _ask_about_numbers(path, [*texts["label"], *texts["predicted"]], attribute)
        own = _unify(path, [text for column in texts.values() for text in column], attribute)
        named = pd.DataFrame({column: each.map(own) for column, each in texts.items()})
        found = sorted(set(named.to_numpy().ravel()))
        attribute = attribute or _find_attribute(found, complete=False)
        classes = LABELS.get(attribute, tuple(found))
        for column in texts:
            rule = f"one of {', '.join(map(str, classes))}"
            require(path, table, column, named[column].isin(classes), rule)
        if attribute == OTHER:
            _require_common_classes(path, named)
        answers = (named["predicted"].to_numpy()[:, None] == np.array(classes)).astype(float)
        table = table.assign(**named)
    columns = [f"{PREFIX}{name}" for name in classes]
    return table.join(pd.DataFrame(answers, table.index, columns)), classes, attribute


def _require_common_classes(path: Path, named: pd.DataFrame) -> None:
    """Raise an error if no predicted class is ever true: then the columns name different things."""
    true, predicted = set(named["label"]), set(named["predicted"])
    binary = {make_key(text) for text in true | predicted} <= {0.0, 1.0}
    if not true & predicted and not binary:
        raise ValueError(
            f"{path}: no label in `predicted` ({', '.join(sorted(predicted)[:5])}) is among the "
            f"true ones ({', '.join(sorted(true)[:5])}); name the classes in the same way."
        )


# === Optional columns ===


def _fill(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Check optional columns and add those that are missing."""
    for column in ("image", "source", "split", "copied"):
        if column in table:
            table[column] = make_text(table[column])
    rule = "a name in every row; leave the column out if there are none"
    for column in ("source", "group"):
        if column in table:  # groups may be numbers
            known = ~table[column].astype(str).str.casefold().isin(("", *NOTHING))
            require(path, table, column, known, rule)
    if "split" in table:
        require(path, table, "split", table["split"].isin(SPLITS), f"one of {', '.join(SPLITS)}")
        if not (table["split"] == "test").any():
            raise ValueError(
                f"{path}: the column `split` must hold `test` for the images to measure; "
                "no row does. Leave the column out to measure all images."
            )
    if "copied" in table:
        copied = table["copied"].str.casefold().map(TRUTHS)
        require(path, table, "copied", copied.notna(), "True or False")
        table["copied"] = copied.astype(bool)
    defaults: dict[str, Any] = {
        "group": table["image"] if "image" in table else np.arange(len(table)),
        "image": table.index.astype(str),
        "source": path.stem,
        "split": "test",
        "copied": False,
    }
    return table.assign(**{name: value for name, value in defaults.items() if name not in table})
