"""The one table that every dataset is turned into, its rules, and its file.

A manifest is a `pandas.DataFrame` with the columns of `COLUMNS`, one row per face. `folders`,
`annotations`, `dataturks`, `ferplus` and `own_tables` make it, `protocols` splits it, `crops` cuts
the faces that it lists. A box is x1, y1, x2, y2 in pixels of the image, and NaN where the whole
image is one face. Where several people labelled the emotion of a face, the columns `VOTES` follow:
how many chose each emotion, NaN in rows without votes. `manifest.attrs` says how it was split:
`protocol`, `seed`, and `fold` where there is one. The file keeps them.
"""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.fingerprints import THUMBNAIL_SIDE
from facekit.datasets.groups import DUPLICATE_CORRELATION, group_duplicates, split_by_group
from facekit.files import replace_file
from facekit.taxonomy import EMOTIONS, ETHNICITIES, GENDERS, find_age_range, name_age_ranges

__all__ = [
    "BOX", "COLUMNS", "DUPLICATE_CORRELATION", "LABELS", "NUMBERS", "OLDEST_YEARS", "SPLITS",
    "TEXTS", "THUMBNAIL_SIDE", "VOTES", "check_manifest", "find_faults", "group_duplicates",
    "load_manifest", "make_manifest", "save_manifest", "split_by_group", "tabulate_counts",
]  # fmt: skip

BOX = ("x1", "y1", "x2", "y2")
COLUMNS = (
    "path",
    *BOX,
    "age",
    "gender",
    "ethnicity",
    "emotion",
    "subject",
    "source",
    "group",
    "split",
)
VOTES = tuple(f"votes_{emotion}" for emotion in EMOTIONS)  # optional columns
NUMBERS = (*BOX, "age")
TEXTS = ("path", "gender", "ethnicity", "emotion", "subject", "source", "split")
# train learns, validation chooses epochs and settings, calibration fits what makes probabilities
# true, test is reported. Excluded images show what stands in a test, or no face.
SPLITS = ("train", "validation", "calibration", "test", "excluded")
LABELS = {"gender": GENDERS, "ethnicity": ETHNICITIES, "emotion": EMOTIONS, "split": SPLITS}
OLDEST_YEARS = 120  # no living person is older; a higher age is a wrong date


def make_manifest(rows: list[dict], source: str) -> pd.DataFrame:
    """Make a checked manifest, sorted by path, from dicts with at least `path`.

    Args:
        rows: One dict per face, keys out of `COLUMNS` and `VOTES`.
        source: Name of the dataset, for rows without a `source`.

    Raises:
        ValueError: If there are no rows, or a row breaks a rule of `check_manifest`.

    Example:
        >>> manifest = make_manifest([{"path": "b.jpg", "age": 30}, {"path": "a.jpg"}], "mine")
        >>> manifest[["path", "age", "source"]].to_numpy().tolist()
        [['a.jpg', nan, 'mine'], ['b.jpg', 30.0, 'mine']]
    """
    if not rows:
        raise ValueError(f"`rows` of {source} must not be empty; check the folder given.")
    votes = VOTES if any(not row.keys().isdisjoint(VOTES) for row in rows) else ()
    manifest = pd.DataFrame(rows, columns=[*COLUMNS, *votes]).astype(dict.fromkeys(TEXTS, "str"))
    manifest["source"] = manifest["source"].fillna(source)
    for column in (*NUMBERS, *votes):
        numbers = pd.to_numeric(manifest[column], errors="coerce")
        _require(manifest, column, numbers.notna() | manifest[column].isna(), "a number")
        manifest[column] = numbers.astype("float64")
    check_manifest(manifest)
    return manifest.sort_values("path", ignore_index=True, kind="stable")


def check_manifest(manifest: pd.DataFrame) -> None:
    """Check a manifest's columns, labels, ages, boxes, splits and votes.

    Raises:
        ValueError: If one breaks its rule. The message names the rule, the value, the row and the
            image.

    Example:
        >>> manifest = make_manifest([{"path": "a.jpg", "age": 30}], "mine")
        >>> check_manifest(manifest)
        >>> check_manifest(manifest.assign(age=-1.0))
        Traceback (most recent call last):
        ValueError: `age` must be from 0 to 120 years; got -1.0 in row 0, a.jpg.
    """
    if tuple(manifest.columns) not in (COLUMNS, COLUMNS + VOTES):
        raise ValueError(
            f"A manifest must have the columns {', '.join(COLUMNS)}, and may have"
            f" {', '.join(VOTES)}; got {', '.join(map(str, manifest.columns))}."
        )
    for column in ("path", "source"):
        _require(manifest, column, manifest[column].notna(), "given")
    for column, labels in LABELS.items():
        known = manifest[column].isin(labels) | manifest[column].isna()
        _require(manifest, column, known, f"one of {', '.join(labels)}")
    for column, valid, rule in find_faults(manifest):
        _require(manifest, column, valid, rule)


def find_faults(manifest: pd.DataFrame) -> Iterable[tuple[str, pd.Series, str]]:
    """Yield each rule about numbers: a column, which rows keep the rule, and the rule in words.

    Args:
        manifest: With the columns `NUMBERS`, and maybe `VOTES`, float64.

    Example:
        >>> table = pd.DataFrame([[0, 0, 9, 9, 300]], columns=list(NUMBERS), dtype="float64")
        >>> [column for column, valid, rule in find_faults(table) if not valid.all()]
        ['age']
    """
    known = manifest["age"].between(0, OLDEST_YEARS) | manifest["age"].isna()
    yield "age", known, f"from 0 to {OLDEST_YEARS} years"
    for side in BOX:
        yield side, ~np.isinf(manifest[side]), "finite"
    whole = manifest[list(BOX)].isna().all(axis=1)
    for first, last in (("x1", "x2"), ("y1", "y2")):
        yield last, whole | (manifest[last] > manifest[first]), f"more than `{first}`"
    if VOTES[0] in manifest:
        votes = manifest[list(VOTES)]
        none = votes.isna().all(axis=1)
        for column in VOTES:
            counted = (votes[column] >= 0) & (votes[column] < np.inf)
            yield column, none | counted, "0 or more in a row with votes"
        yield VOTES[0], none | (votes.sum(axis=1) > 0), "with the other votes more than 0"


def _require(manifest: pd.DataFrame, column: str, valid: pd.Series, rule: str) -> None:
    if not valid.all():
        row = int(np.argmin(valid.to_numpy()))
        value, path = manifest[column].iloc[row], manifest["path"].iloc[row]
        raise ValueError(f"`{column}` must be {rule}; got {value} in row {row}, {path}.")


def save_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Check a manifest and write it as Parquet, whole or not at all, with its `attrs`.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If it breaks a rule of `check_manifest`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "mine.parquet")
        >>> save_manifest(make_manifest([{"path": "a.jpg"}], "mine"), path)
        >>> path.is_file()
        True
    """
    check_manifest(manifest)
    with replace_file(path) as temporary:
        manifest.to_parquet(temporary, index=False)


def load_manifest(path: Path) -> pd.DataFrame:
    """Read and check a manifest that `save_manifest` wrote, with its `attrs`.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not Parquet, or breaks a rule of `check_manifest`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "mine.parquet")
        >>> save_manifest(make_manifest([{"path": "a.jpg", "age": 30}], "mine"), path)
        >>> load_manifest(path)[["path", "age"]].to_numpy().tolist()
        [['a.jpg', 30.0]]
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such manifest; `facekit data prepare` makes one.")
    try:
        manifest = pd.read_parquet(path)
        check_manifest(manifest)
    except (ValueError, OSError) as error:  # an error of pyarrow is a ValueError, too
        raise ValueError(
            f"{path}: is not a manifest ({error}); make it again with `facekit data prepare`."
        ) from None
    return manifest


def tabulate_counts(manifest: pd.DataFrame) -> str:
    """Return a table of a manifest's faces by split, in all and by label; ages by class.

    Labels without a face stand in it, with zeros.

    Example:
        >>> rows = [{"path": f"{i}.jpg", "gender": "female", "split": "train"} for i in range(3)]
        >>> print(tabulate_counts(make_manifest(rows, "mine")))
        train
        faces  all         3
        gender female      3
        male        0
    """
    columns = {"age": manifest["age"].map(find_age_range, na_action="ignore")}
    columns |= {label: manifest[label] for label in ("gender", "ethnicity", "emotion")}
    orders = {"age": name_age_ranges(), **LABELS}
    split = manifest["split"].fillna("no split")
    tables = {"faces": pd.crosstab(pd.Series("all", manifest.index), split)}
    for name, values in columns.items():
        if values.notna().any():
            tables[name] = pd.crosstab(values, split).reindex(orders[name], fill_value=0)
    counts = pd.concat(tables).fillna(0).astype(int)
    present = [split for split in (*SPLITS, "no split") if split in counts]
    return counts.reindex(columns=present).rename_axis(columns=None).to_string()
