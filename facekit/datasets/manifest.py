"""The one table that every dataset is turned into, its groups of duplicates, and splits that no group straddles.

A manifest is a `pandas.DataFrame` with the columns of `COLUMNS`, one row an image. `adapters` make it from a dataset's folder;
`crops` cuts the faces that it lists.
"""

from __future__ import annotations

import cv2
import numpy as np
import pandas as pd
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from facekit.taxonomy import EMOTIONS, ETHNICITIES, GENDERS

COLUMNS = ("path", "age", "gender", "ethnicity", "emotion", "subject", "source", "group", "split")
SPLITS = ("train", "validation", "test", "excluded")

THUMBNAIL_SIDE = 16  # pixels; enough to tell faces apart, few enough to compare all pairs in seconds
DUPLICATE_CORRELATION = 0.95  # above it thumbnails were seen to show one photo; about half are chance from 0.95 to 0.96, none above 0.97


def make_manifest(rows: list[dict], source: str) -> pd.DataFrame:
    """Make a checked manifest from dicts with at least `path` and one label.

    Args:
        rows: One dict an image, keys out of `COLUMNS`.
        source: Name of the dataset.

    Raises:
        ValueError: If there are no rows, or a label is not in the taxonomy.
    """
    if not rows:
        raise ValueError(f"`rows` of {source} must not be empty; check the folder given.")
    manifest = pd.DataFrame(rows, columns=list(COLUMNS)).assign(source=source)
    for column, labels in (("gender", GENDERS), ("ethnicity", ETHNICITIES), ("emotion", EMOTIONS)):
        unknown = set(manifest[column].dropna()) - set(labels)
        if unknown:
            raise ValueError(f"`{column}` must be one of {', '.join(labels)}; got {', '.join(map(str, sorted(unknown)))}.")
    return manifest.astype({"age": "float64"}).sort_values("path", ignore_index=True)


def group_duplicates(paths: list[str]) -> np.ndarray:
    """Find the groups of images that show the same photo, whether byte for byte, resized, recompressed or relit.

    Every pair of thumbnails, standardised, is correlated; pairs above `DUPLICATE_CORRELATION` are joined, and joins chain.

    Returns:
        (images,) int: equal numbers for duplicates.
    """
    thumbnails = np.stack([_make_thumbnail(path) for path in paths])  # (images, side * side)
    pairs = []
    for start in range(0, len(paths), 2048):
        rows, columns = np.nonzero(thumbnails[start : start + 2048] @ thumbnails.T > DUPLICATE_CORRELATION)
        pairs.append(np.stack([rows + start, columns]))
    rows, columns = np.concatenate(pairs, axis=1)
    graph = coo_array((np.ones(len(rows), bool), (rows, columns)), shape=(len(paths), len(paths)))
    return connected_components(graph, directed=False)[1]


def _make_thumbnail(path: str) -> np.ndarray:
    grey = cv2.imread(path, cv2.IMREAD_GRAYSCALE)
    if grey is None:
        return np.zeros(THUMBNAIL_SIDE**2, np.float32)  # correlates with nothing
    thumbnail = cv2.resize(grey, (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA).ravel().astype(np.float32)
    thumbnail -= thumbnail.mean()
    return thumbnail / max(np.linalg.norm(thumbnail), 1e-6)


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
