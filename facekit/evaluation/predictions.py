"""Read predictions, of facekit's own models or of anybody's, into the table that `figures`
measures.

A file is CSV or Parquet with one row an image and these columns; the others are left as they are.

- `label`: the true label; for age, years.
- `p_<class>`: the probability of each class, such as `p_female` and `p_male`, in any order; for age
`p_0` to `p_100`, one a year.
  Where a model gives none, `predicted` in their place: the label it told, or years.
- `group` (optional): equal for images that belong together, such as those of one person; by default
each image is alone. - `source`, `split` (optional): of the image; one source and `test` by default.
Only `test` is measured. - `copied` (optional): whether the model may have trained on a copy.

Classes need not be facekit's own: those of another model are measured as they are.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.fusion import index_age_classes, measure_certainty
from facekit.taxonomy import AGES_YEARS, LABELS, name_age_ranges

PREFIX = "p_"
SUM_TOLERANCE = 0.02  # by which rounded probabilities may miss 1
OTHER = "label"  # what an attribute is called that is none of facekit's


@dataclass(frozen=True, eq=False)
class Predictions:
    """A model's answers.

    Attributes:
        attribute: A key of `taxonomy.LABELS`, or `OTHER`.
        classes: In the order of the table's probabilities.
        table: As `figures` describes it.
        has_probabilities: Whether the model gave any; where it told labels alone, each counts as
            sure.
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
    def answers(self) -> np.ndarray:
        """The probabilities, (images, classes)."""
        return self.table[[f"{PREFIX}{name}" for name in self.classes]].to_numpy(np.float64)

    def select(self, split: str) -> Predictions:
        """Return the images of a split."""
        return Predictions(
            self.attribute,
            self.classes,
            self.table[self.table["split"] == split],
            self.has_probabilities,
        )

    def name_answers(self) -> pd.DataFrame:
        """Return what is true and what was told by name, one row an image; for age by class of the
        default scheme.

        Returns:
            `true`, `told`, both categories in the order of the classes; `certainty`, the
            probability of what was told; and `right`.
        """
        answers = self.answers
        if self.attribute == "age":
            names, told = name_age_ranges(), index_age_classes(answers @ np.array(AGES_YEARS))
            true = pd.Categorical.from_codes(index_age_classes(self.labels.astype(float)), names)
            certainty = measure_certainty("age", answers)
        else:
            names, told, certainty = self.classes, answers.argmax(axis=1), answers.max(axis=1)
            true = pd.Categorical(self.labels, names)
        named = pd.DataFrame(
            {"true": true, "told": pd.Categorical.from_codes(told, names), "certainty": certainty},
            self.table.index,
        )
        return named.assign(right=named["true"] == named["told"])


def read_predictions(path: str | Path, attribute: str = "") -> Predictions:
    """Read and check a file of predictions.

    Args:
        path: The file, `.csv` or `.parquet`.
        attribute: A key of `taxonomy.LABELS`; by default what the classes say: facekit's own names,
            or numbers for age.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a column is missing or does not hold what it must; the message names the
            file, the column and the remedy.
    """
    path = Path(path)
    if attribute and attribute not in LABELS:
        raise ValueError(
            f"`attribute` must be one of {', '.join(LABELS)}, or empty; got {attribute!r}."
        )
    table = _read_table(path)
    if "label" not in table:
        raise ValueError(
            f"{path}: the column `label` is missing; it holds the true label of each image. There are: {_list(table)}."
        )
    _require(
        path,
        table,
        "label",
        table["label"].notna(),
        "a label in every row; leave rows without one out",
    )
    given = [name for name in table if str(name).startswith(PREFIX)]
    if given:
        table, classes, attribute = _take_probabilities(path, table, given, attribute)
    elif "predicted" in table:
        table, classes, attribute = _take_labels(path, table, attribute)
    else:
        raise ValueError(
            f"{path}: has neither probabilities, a column `{PREFIX}<class>` for each class, nor a column `predicted` with the label told; "
            f"add one of the two. There are: {_list(table)}."
        )
    return Predictions(attribute, classes, _fill(path, table), bool(given))


def _read_table(path: Path) -> pd.DataFrame:
    if not path.is_file():
        raise FileNotFoundError(
            f"{path}: no such file; name a .csv or .parquet of predictions. Those of shipped models come with a git checkout."
        )
    try:
        table = (
            pd.read_parquet(path)
            if path.suffix.lower() == ".parquet"
            else pd.read_csv(path, skipinitialspace=True)
        )
    except (ValueError, OSError) as error:  # the errors of pandas and pyarrow are ValueErrors
        raise ValueError(
            f"{path}: is no table ({str(error).strip()}); save it as CSV in UTF-8, separated by commas."
        ) from None
    if table.empty:
        raise ValueError(
            f"{path}: holds no rows; save one an image, below a line with the names of the columns."
        )
    return table.rename(columns=str)


def _list(table: pd.DataFrame) -> str:
    return ", ".join(f"`{name}`" for name in table.columns[:12]) + ", ..." * (table.shape[1] > 12)


def _require(path: Path, table: pd.DataFrame, column: str, valid: pd.Series, rule: str) -> None:
    if not valid.all():
        row = int(np.argmin(valid.to_numpy()))
        value = table[column].iloc[row]
        told = repr(value) if isinstance(value, str) else value
        raise ValueError(
            f"{path}: the column `{column}` must hold {rule}; got {told} in row {row + 2}."
        )


def _require_numbers(
    path: Path, table: pd.DataFrame, column: str, low: float, high: float, what: str
) -> pd.Series:
    numbers = pd.to_numeric(table[column], errors="coerce")
    _require(path, table, column, numbers.between(low, high), what)
    return numbers.astype("float64")


def _take_probabilities(
    path: Path, table: pd.DataFrame, given: list[str], attribute: str
) -> tuple[pd.DataFrame, tuple, str]:
    names = {name.removeprefix(PREFIX) for name in given}
    fitting = [
        known for known, labels in LABELS.items() if {str(label) for label in labels} == names
    ]
    attribute = attribute or (fitting[0] if fitting else OTHER)
    classes = LABELS.get(attribute, tuple(name.removeprefix(PREFIX) for name in given))
    missing = [f"`{PREFIX}{name}`" for name in classes if str(name) not in names]
    foreign = sorted(names - {str(name) for name in classes})
    if missing:
        raise ValueError(
            f"{path}: the columns {', '.join(missing[:8])} are missing; {attribute} has one for each of its classes."
        )
    if foreign:
        raise ValueError(
            f"{path}: the column `{PREFIX}{foreign[0]}` is of no class of {attribute}; rename it, or leave it out."
        )
    if attribute == OTHER and len(classes) < 2:
        raise ValueError(
            f"{path}: the column `{given[0]}` is alone; add the probability of every other class."
        )
    columns = [f"{PREFIX}{name}" for name in classes]
    numbers = {
        column: _require_numbers(path, table, column, 0, 1, "probabilities from 0 to 1")
        for column in columns
    }
    table = table.drop(columns=given).join(pd.DataFrame(numbers))
    sums = table[columns].sum(axis=1)
    if (sums.sub(1).abs() > SUM_TOLERANCE).any():
        row = int(np.argmax(sums.sub(1).abs() > SUM_TOLERANCE))
        raise ValueError(
            f"{path}: the columns `{PREFIX}<class>` must sum to 1 in each row; got {sums.iloc[row]:.3f} in row {row + 2}."
        )
    if attribute == "age":
        return table.assign(label=_require_years(path, table, "label")), classes, attribute
    table = table.assign(label=table["label"].astype(str))
    _require(
        path,
        table,
        "label",
        table["label"].isin(classes),
        f"one of {', '.join(classes)}, as the columns `{PREFIX}<class>` are called",
    )
    return table, classes, attribute


def _require_years(path: Path, table: pd.DataFrame, column: str) -> pd.Series:
    return _require_numbers(path, table, column, 0, 130, "years from 0 to 130")


def _take_labels(
    path: Path, table: pd.DataFrame, attribute: str
) -> tuple[pd.DataFrame, tuple, str]:
    """Turn labels told into probabilities: 1 for the label; years are shared by the two whole ones about them, which keeps the mean."""
    both = table[["label", "predicted"]]
    _require(
        path,
        table,
        "predicted",
        table["predicted"].notna(),
        "a label in every row; leave rows without one out",
    )
    if not attribute and all(pd.api.types.is_numeric_dtype(both[name]) for name in both):
        attribute = "age"
    if attribute == "age":
        told = _require_years(path, table, "predicted").clip(0, AGES_YEARS[-1]).to_numpy()
        whole = np.minimum(np.floor(told).astype(int), AGES_YEARS[-1] - 1)
        answers = np.zeros((len(table), len(AGES_YEARS)))
        rows = np.arange(len(table))
        answers[rows, whole], answers[rows, whole + 1] = 1 - (told - whole), told - whole
        classes, table = AGES_YEARS, table.assign(label=_require_years(path, table, "label"))
    else:
        both = both.astype(str)
        found = set(both.to_numpy().ravel())
        attribute = attribute or next(
            (known for known in LABELS if known != "age" and found <= set(LABELS[known])), OTHER
        )
        classes = LABELS.get(attribute, tuple(sorted(found)))
        for column in both:
            _require(path, both, column, both[column].isin(classes), f"one of {', '.join(classes)}")
        answers = (both["predicted"].to_numpy()[:, None] == np.array(classes)).astype(float)
        table = table.assign(**both)
    return (
        table.join(pd.DataFrame(answers, columns=[f"{PREFIX}{name}" for name in classes])),
        classes,
        attribute,
    )


def _fill(path: Path, table: pd.DataFrame) -> pd.DataFrame:
    """Add what is optional; nothing is measured where no row is of the test split."""
    defaults = {
        "image": table.index.astype(str),
        "source": path.stem,
        "split": "test",
        "copied": False,
        "group": table.index,
    }
    table = table.assign(**{name: value for name, value in defaults.items() if name not in table})
    if not (table["split"] == "test").any():
        raise ValueError(
            f"{path}: the column `split` must say `test` where an image is to be measured; got none. Leave it out for all."
        )
    _require(path, table, "copied", table["copied"].isin((True, False)), "True or False")
    for column in ("source", "group"):
        _require(
            path,
            table,
            column,
            table[column].notna(),
            "a name in every row; leave the column out where there are none",
        )
    return table
