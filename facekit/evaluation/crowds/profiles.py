"""Measure profiles on photos with many faces, as the second paper does on DataTurks' photos."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.batch import analyze_folder
from facekit.datasets.adapters import read_unsplit
from facekit.datasets.manifest import BOX
from facekit.detection import DEFAULT_DETECTOR
from facekit.evaluation.crowds.matching import match_faces
from facekit.evaluation.metrics import compute_share_interval
from facekit.faces import round_ages
from facekit.fusion import index_age_classes
from facekit.taxonomy import AGE_BANDS, EMOTIONS

EXACT = ("age class", "ethnicity", "emotion")  # all right: an exact match
PROFILE = (*EXACT, "gender")


def measure_profiles(
    truth: pd.DataFrame,
    predictions: pd.DataFrame,
    ages: Sequence[int] = AGE_BANDS["dataturks"],
    emotions: Sequence[str] = EMOTIONS,
) -> pd.DataFrame:
    """Return how often age class, ethnicity, emotion and gender are right on photos of many faces.

    Faces are matched to boxes (`match_faces`). A face that lacks a label does not count for it; an
    exact match counts faces with an age, an ethnicity and an emotion, all three of which must be
    right. Each figure is given over the faces that were found, and over all, where a face that was
    missed is wrong.

    Args:
        truth: A manifest with a box per face. Faces that are `excluded` are ignored.
        predictions: The table of an analysis of the same photos, with all four attributes; `image`
            is the manifest's `path`.
        ages: First year of each age class; DataTurks' five by default.
        emotions: The labels to choose among. Where the truth has four of the seven emotions, as
            DataTurks has, the most probable of the four is compared.

    Returns:
        One row per figure and faces: `figure`, `faces` (`found` or `all`), `count`, `share`, and
        the ends of its interval over photos, `low` and `high`. Figures without a labelled face are
        left out.

    Raises:
        ValueError: If a face has no box, or there are no faces.

    Example:
        >>> face = {"path": "a.jpg", "x1": 0, "y1": 0, "x2": 9, "y2": 9, "age": 25.0}
        >>> face |= {"ethnicity": "asian", "emotion": "fear", "gender": None, "split": None}
        >>> row = {"image": "a.jpg", "x1": 0, "y1": 1, "x2": 9, "y2": 9, "score": 0.9}
        >>> row |= {"age_years": 29.4, "ethnicity": "asian", "emotion": "anger", "gender": "male"}
        >>> table = measure_profiles(pd.DataFrame([face]), pd.DataFrame([row]))
        >>> table[["figure", "faces", "count", "share"]].values.tolist()[1:4]
        [['exact match', 'found', 1, 0.0], ['exact match', 'all', 1, 0.0],
         ['age class', 'found', 1, 1.0]]
    """
    if truth[list(BOX)].isna().any(axis=None):
        row = int(truth[list(BOX)].isna().any(axis=1).to_numpy().argmax())
        raise ValueError(
            f"`truth` must have a box for every face; row {row}, {truth['path'].iloc[row]}, has "
            "none. Photos of one face each are measured by `facekit evaluate --manifest`."
        )
    faces = truth.rename(columns={"path": "image"}).assign(ignored=truth["split"].eq("excluded"))
    faces, boxes = match_faces(faces, predictions)
    counted = ~faces["ignored"].to_numpy()
    if not counted.any():
        raise ValueError("`truth` must have at least one face that is not excluded; got none.")
    found = faces["found"].to_numpy()
    own = boxes.iloc[faces["box"].to_numpy()[found]].reset_index(drop=True)
    labels, right = {}, {}
    for name in PROFILE:
        values = _name_labels(faces, name, ages, "age")
        labels[name] = values.notna().to_numpy() & counted
        right[name] = np.zeros(len(faces), bool)
        predicted = _name_labels(own, name, ages, "age_years", emotions)
        right[name][found] = (values[found].to_numpy() == predicted.to_numpy()).astype(bool)
    labels["exact match"] = np.logical_and.reduce([labels[name] for name in EXACT])
    right["exact match"] = np.logical_and.reduce([right[name] for name in EXACT])
    rows = [("found", "all", counted, found)]
    for name in ("exact match", *PROFILE):
        rows.append((name, "found", labels[name] & found, right[name]))
        rows.append((name, "all", labels[name], right[name]))
    table = []
    for name, over, chosen, correct in rows:
        if chosen.any():
            images = faces.loc[chosen, "image"].to_numpy()
            low, high, _ = compute_share_interval(correct[chosen], images)
            share = correct[chosen].mean()
            table.append((name, over, int(chosen.sum()), float(share), low, high))
    return pd.DataFrame(table, columns=["figure", "faces", "count", "share", "low", "high"])


def _name_labels(
    table: pd.DataFrame,
    name: str,
    ages: Sequence[int],
    age: str,
    emotions: Sequence[str] = EMOTIONS,
) -> pd.Series:
    """Return the labels of a figure, of the truth or of predictions; missing ones are NaN."""
    if name == "age class":
        years = table[age].to_numpy(float)
        known = ~np.isnan(years)
        classes = np.full(len(years), np.nan)
        classes[known] = index_age_classes(round_ages(years[known]), ages)
        return pd.Series(classes)
    if name == "emotion" and set(emotions) != set(EMOTIONS):
        columns = [f"emotion_{label}" for label in emotions]
        return pd.Series(np.array(emotions)[table[columns].to_numpy(float).argmax(axis=1)])
    return table[name].reset_index(drop=True)


def evaluate_photos(
    name: str, data_dir: Path, detector: str = DEFAULT_DETECTOR, models: Sequence[str] = ()
) -> pd.DataFrame:
    """Analyze the photos of a dataset with boxes, and measure the profiles.

    Args:
        name: A dataset whose photos show many faces, such as `dataturks`, or a .csv or .parquet
            with boxes, such as that of composed crowds.
        data_dir: Holds the datasets under their usual names.
        detector: Key of `detection.DETECTORS`.
        models: As for `FaceAnalyzer`.

    Returns:
        As `measure_profiles`. Emotions are chosen among those that the photos are labelled with.

    Raises:
        FileNotFoundError: If the dataset, or all its images are missing.
        ModelError: If a model is missing or damaged.
        ValueError: If a face has no box, or an option is wrong.

    Example:
        >>> import tempfile
        >>> from facekit.datasets.synthetic import compose_crowds, make_synthetic
        >>> folder = Path(tempfile.mkdtemp())
        >>> drawn = make_synthetic(folder / "faces", count=8)
        >>> _ = compose_crowds(drawn, folder / "crowds", count=1)
        >>> table = evaluate_photos(str(folder / "crowds" / "faces.csv"), folder)
        >>> table.loc[0, ["figure", "faces"]].tolist()
        ['found', 'all']
    """
    truth = read_unsplit(name, data_dir)
    labelled = [label for label in EMOTIONS if truth["emotion"].eq(label).any()]
    result = analyze_folder(
        list(dict.fromkeys(truth["path"])),
        attributes=("age", "gender", "emotion", "ethnicity"),
        models=models,
        detector=detector,
    )
    return measure_profiles(truth, result.to_frame(), emotions=labelled or EMOTIONS)
