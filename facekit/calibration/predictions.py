"""Read the stored predictions of each attribute and turn them into answers as they are served.

A table of predictions is described in `evaluation.figures`.
"""

from __future__ import annotations

import warnings
from collections.abc import Mapping
from pathlib import Path, PurePath

import numpy as np
import pandas as pd

from facekit.evaluation.figures import get_probabilities
from facekit.fusion import FusionConstants, fuse_answers
from facekit.taxonomy import ATTRIBUTES, DEFAULT_ATTRIBUTES

SPLIT, FALLBACK = "calibration", "validation"  # fallback: tables stored before there was the split


def load_predictions(models_dir: Path, split: str) -> dict[str, pd.DataFrame]:
    """Return each attribute's stored predictions of one split.

    Args:
        models_dir: The folder of models.
        split: Such as `test`.

    Returns:
        One table per attribute, empty where it has no such split.

    Raises:
        FileNotFoundError: If an attribute has no stored predictions.

    Example:
        >>> from facekit.registry import get_models_dir
        >>> len(load_predictions(get_models_dir(), "test")["age"])
        3032
    """
    return {
        name: table[table["split"] == split].reset_index(drop=True)
        for name, table in _read_tables(models_dir).items()
    }


def load_calibration(models_dir: Path) -> dict[str, pd.DataFrame]:
    """Return each attribute's stored predictions to fit constants on: its calibration split.

    A table without a calibration split gives its validation split, with a warning: the epoch was
    chosen there, so what is fitted there is a little optimistic.

    Args:
        models_dir: The folder of models.

    Returns:
        One table per attribute.

    Raises:
        FileNotFoundError: If an attribute has no stored predictions.
        ValueError: If a table has neither split.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> table = pd.DataFrame({"image": ["a.jpg", "b.jpg"], "split": ["calibration", "test"]})
        >>> for name in ATTRIBUTES:
        ...     (folder / name).mkdir()
        ...     table.to_parquet(folder / name / "predictions.parquet")
        >>> load_calibration(folder)["age"]["image"].tolist()
        ['a.jpg']
    """
    chosen, older = {}, []
    for name, table in _read_tables(models_dir).items():
        split = SPLIT if (table["split"] == SPLIT).any() else FALLBACK
        rows = table[table["split"] == split]
        if rows.empty:
            raise ValueError(
                f"`predictions` of {name} must have a {SPLIT} or a {FALLBACK} split; "
                f"got {', '.join(sorted(set(table['split']))) or 'no rows'}."
            )
        if split == FALLBACK:
            older.append(name)
        chosen[name] = rows.reset_index(drop=True)
    if older:
        warnings.warn(
            f"The stored predictions of {', '.join(older)} have no {SPLIT} split; their "
            f"{FALLBACK} split is used, which also chose the epoch. Coverage and calibration "
            "will be a little worse on new faces.",
            UserWarning,
            stacklevel=2,
        )
    return chosen


def _read_tables(models_dir: Path) -> dict[str, pd.DataFrame]:
    return {name: pd.read_parquet(models_dir / name / "predictions.parquet") for name in ATTRIBUTES}


def select_training_labels(manifest: pd.DataFrame, models_dir: Path) -> pd.DataFrame:
    """Return the rows of a manifest that no stored prediction is about, without excluded ones.

    These are the faces that the models were trained on, whatever splits the manifest has: splits
    may have changed since the models were trained.

    Args:
        manifest: With the columns `path`, `source` and `split`.
        models_dir: The folder of models, with stored predictions.

    Example:
        >>> from facekit.registry import get_models_dir
        >>> manifest = pd.DataFrame({"path": ["mine/a.jpg"], "source": "mine", "split": "train"})
        >>> len(select_training_labels(manifest, get_models_dir()))
        1
    """
    held_out = {
        key
        for table in _read_tables(models_dir).values()
        for key in zip(table["source"], table["image"], strict=True)
    }
    names = [PurePath(path).name for path in manifest["path"]]
    kept = [key not in held_out for key in zip(manifest["source"], names, strict=True)]
    return manifest[np.array(kept, bool) & (manifest["split"] != "excluded").to_numpy()]


def find_same_faces(table: pd.DataFrame, other: pd.DataFrame) -> np.ndarray:
    """Return for each face of a table its row in another attribute's table, (faces,) int, or -1.

    Tables that list the same images in the same order match row by row. Otherwise images match by
    name, and those that show several faces do not match.

    Example:
        >>> table = pd.DataFrame({"source": "mine", "image": ["a.jpg", "b.jpg", "c.jpg"]})
        >>> find_same_faces(table, table[1:])
        array([-1,  0,  1])
    """
    keys, others = (pd.MultiIndex.from_frame(each[["source", "image"]]) for each in (table, other))
    if keys.equals(others):
        return np.arange(len(table))
    alone = ~others.duplicated(keep=False)
    found = np.flatnonzero(alone)
    positions = others[alone].get_indexer(keys)
    matched = (positions >= 0) & ~keys.duplicated(keep=False)
    return np.where(matched, found[positions] if len(found) else -1, -1)


def serve_answers(
    tables: Mapping[str, pd.DataFrame],
    constants: FusionConstants,
    attributes: tuple[str, ...] = DEFAULT_ATTRIBUTES,
) -> dict[str, np.ndarray]:
    """Return each attribute's probabilities as an analysis serves them, (faces, classes).

    Each attribute is calibrated, and correlated with those of `attributes` that were predicted for
    the same faces.

    Args:
        tables: Stored predictions of each attribute.
        constants: Their temperatures, lifts and strength are used.
        attributes: The attributes that are requested together; by default those of an analysis.

    Example:
        >>> table = pd.DataFrame({"source": ["mine"], "image": "a.jpg"})
        >>> table = table.assign(p_female=0.9, p_male=0.1)
        >>> constants = FusionConstants({"gender": 2.0}, {}, {}, {}, strength=0)
        >>> serve_answers({"gender": table}, constants)["gender"]
        array([[0.75, 0.25]])
    """
    served = {}
    for name, table in tables.items():
        others = [other for other in attributes if other in tables and other != name]
        rows = {other: find_same_faces(table, tables[other]) for other in others}
        probabilities = get_probabilities(table)
        answer = np.zeros_like(probabilities)
        # Faces with the same set of other answers are served together.
        together = np.array([rows[other] >= 0 for other in others], bool)
        together = together.reshape(len(others), len(table)).T  # (faces, others)
        for pattern in np.unique(together, axis=0):
            faces = np.flatnonzero((together == pattern).all(axis=1))
            joint = {name: probabilities[faces]}
            for other, present in zip(others, pattern, strict=True):
                if present:
                    joint[other] = get_probabilities(tables[other])[rows[other][faces]]
            answer[faces] = fuse_answers(joint, constants)[name]
        served[name] = answer
    return served
