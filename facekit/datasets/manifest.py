"""The one table that every dataset is turned into, its file, its groups of duplicates, and splits
that no group straddles.

A manifest is a `pandas.DataFrame` with the columns of `COLUMNS`, one row a face. `folders` and
`annotations` make it, `protocols` split it, `crops` cuts the faces that it lists. A box is x1, y1,
x2, y2 in pixels of the image, and NaN where the image is one face already.
"""

from __future__ import annotations

from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components
from tqdm import tqdm

from facekit.taxonomy import EMOTIONS, ETHNICITIES, GENDERS

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
NUMBERS = (*BOX, "age")
TEXTS = ("path", "gender", "ethnicity", "emotion", "subject", "source", "split")
SPLITS = ("train", "validation", "calibration", "test", "excluded")
OLDEST_YEARS = 120  # no living person is older; what is, is a wrong date

THUMBNAIL_SIDE = (
    16  # pixels; enough to tell faces apart, few enough to compare all pairs in seconds
)
# above it thumbnails were seen to show one photo; about half are chance from 0.95 to 0.96, none
# above 0.97
DUPLICATE_CORRELATION = 0.95
BLOCK = 2048  # thumbnails compared with all others at once
COMPARED = 2**26  # pairs at once, whatever the count of images: 256 MB


def make_manifest(rows: list[dict], source: str) -> pd.DataFrame:
    """Make a checked manifest, sorted by path, from dicts with at least `path`.

    Args:
        rows: One dict a face, keys out of `COLUMNS`.
        source: Name of the dataset, for rows that do not tell it.

    Raises:
        ValueError: If there are no rows, or one breaks a rule of `check_manifest`.
    """
    if not rows:
        raise ValueError(f"`rows` of {source} must not be empty; check the folder given.")
    manifest = pd.DataFrame(rows, columns=list(COLUMNS)).astype(dict.fromkeys(TEXTS, "str"))
    manifest["source"] = manifest["source"].fillna(source)
    for column in NUMBERS:
        numbers = pd.to_numeric(manifest[column], errors="coerce")
        _require(manifest, column, numbers.notna() | manifest[column].isna(), "a number")
        manifest[column] = numbers.astype("float64")
    check_manifest(manifest)
    return manifest.sort_values("path", ignore_index=True, kind="stable")


def check_manifest(manifest: pd.DataFrame) -> None:
    """Check a manifest's columns, labels, ages, boxes and splits.

    Raises:
        ValueError: If one breaks its rule; the message names the rule, the value, the row and the
            image.
    """
    if tuple(manifest.columns) != COLUMNS:
        raise ValueError(
            f"A manifest must have the columns {', '.join(COLUMNS)}; got {', '.join(map(str, manifest.columns))}."
        )
    for column in ("path", "source"):
        _require(manifest, column, manifest[column].notna(), "given")
    for column, labels in (
        ("gender", GENDERS),
        ("ethnicity", ETHNICITIES),
        ("emotion", EMOTIONS),
        ("split", SPLITS),
    ):
        _require(
            manifest,
            column,
            manifest[column].isin(labels) | manifest[column].isna(),
            f"one of {', '.join(labels)}",
        )
    _require(
        manifest,
        "age",
        manifest["age"].between(0, OLDEST_YEARS) | manifest["age"].isna(),
        f"from 0 to {OLDEST_YEARS} years",
    )
    whole = manifest[list(BOX)].isna().all(axis=1)
    for first, last in (("x1", "x2"), ("y1", "y2")):
        _require(manifest, last, whole | (manifest[last] > manifest[first]), f"more than `{first}`")


def _require(manifest: pd.DataFrame, column: str, valid: pd.Series, rule: str) -> None:
    if not valid.all():
        row = int(np.argmin(valid.to_numpy()))
        value, path = manifest[column].iloc[row], manifest["path"].iloc[row]
        raise ValueError(f"`{column}` must be {rule}; got {value} in row {row}, {path}.")


def save_manifest(manifest: pd.DataFrame, path: Path) -> None:
    """Check a manifest and write it as Parquet, whole or not at all.

    Raises:
        ValueError: If it breaks a rule of `check_manifest`.
    """
    check_manifest(manifest)
    path.parent.mkdir(parents=True, exist_ok=True)
    unfinished = path.with_name(f"{path.name}.part")
    manifest.to_parquet(unfinished, index=False)
    unfinished.replace(path)


def load_manifest(path: Path) -> pd.DataFrame:
    """Read and check a manifest that `save_manifest` wrote.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is not Parquet, or breaks a rule of `check_manifest`.
    """
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such manifest; `facekit data prepare` makes one.")
    try:
        manifest = pd.read_parquet(path)
        check_manifest(manifest)
    except (ValueError, OSError) as error:  # pyarrow's own error is a ValueError, too
        raise ValueError(
            f"{path}: is no manifest ({error}); make it again with `facekit data prepare`."
        ) from None
    return manifest


def group_duplicates(paths: list[str]) -> np.ndarray:
    """Find the groups of images that show the same photo, whether byte for byte, resized,
    recompressed or relit.

    Every pair of thumbnails, standardised, is correlated; pairs above `DUPLICATE_CORRELATION` are
    joined, and joins chain.

    Args:
        paths: Of the images; a path may come often, as it does where an image shows several faces.

    Returns:
        (paths,) int: equal numbers for duplicates.
    """
    images, distinct = pd.factorize(np.array(paths, object))
    reading = tqdm(distinct, "comparing images", unit="image", disable=None, leave=False)
    thumbnails = np.stack([_make_thumbnail(path) for path in reading])  # (images, side * side)
    block = max(1, min(BLOCK, COMPARED // len(distinct)))
    pairs = []
    for start in range(0, len(distinct), block):
        rows, columns = np.nonzero(
            thumbnails[start : start + block] @ thumbnails.T > DUPLICATE_CORRELATION
        )
        pairs.append(np.stack([rows + start, columns]))
    rows, columns = np.concatenate(pairs, axis=1)
    graph = coo_array(
        (np.ones(len(rows), bool), (rows, columns)), shape=(len(distinct), len(distinct))
    )
    return connected_components(graph, directed=False)[1][images]


def _make_thumbnail(path: str) -> np.ndarray:
    grey = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if grey is None:
        return np.zeros(THUMBNAIL_SIDE**2, np.float32)  # correlates with nothing
    thumbnail = (
        cv2.resize(grey, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA)
        .ravel()
        .astype(np.float32)
    )
    thumbnail -= thumbnail.mean()
    norm = np.linalg.norm(thumbnail)
    return (
        thumbnail / norm if norm > 1e-3 else np.full_like(thumbnail, 1 / THUMBNAIL_SIDE)
    )  # blank ones are all alike


def split_by_group(groups: np.ndarray, fractions: dict[str, float], seed: int) -> np.ndarray:
    """Deal whole groups out to splits.

    Args:
        groups: (images,) group of each image.
        fractions: Share of the groups for each split, summing to 1.
        seed: Of the shuffle.

    Returns:
        (images,) names of splits.

    Raises:
        ValueError: If the shares do not sum to 1.
    """
    if abs(sum(fractions.values()) - 1) > 1e-9:
        raise ValueError(f"`fractions` must sum to 1; got {fractions}.")
    names, members = np.unique(groups, return_inverse=True)
    order = np.random.default_rng(seed).permutation(len(names))
    bounds = np.round(np.cumsum(list(fractions.values())) * len(names)).astype(int)
    ranks = np.empty(len(names), int)
    ranks[order] = np.arange(len(names))
    return np.array(list(fractions))[np.searchsorted(bounds, ranks[members], side="right")]
