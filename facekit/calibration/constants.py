"""Fit all constants of fusion together, and measure what fusion changes on other faces.

The temperatures come first. All else is fitted on answers as they are served with these
temperatures: after calibration and correlation.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd

from facekit.calibration.intervals import fit_age_levels
from facekit.calibration.predictions import find_same_faces, serve_answers
from facekit.calibration.temperatures import fit_temperature, index_labels
from facekit.calibration.thresholds import fit_thresholds
from facekit.evaluation.figures import find_right, get_probabilities
from facekit.fusion import (
    FusionConstants,
    calibrate,
    compute_mean_age,
    correlate,
    measure_certainty,
    score_confidence,
)
from facekit.taxonomy import ATTRIBUTES, LABELS, find_age_range, name_age_ranges

STRENGTHS = np.linspace(0, 1, 21)
# Faces added to each pair of labels as chance would distribute them, so that a pair that the data
# lack is rare and not impossible.
SMOOTHING = 5.0
RANGE_PERCENTILES = (1, 99)  # of certainty, for the min-max scaling: the very extremes are chance
JOINT = ("age", "gender", "ethnicity")  # labelled together, so that their correlation can be fitted


def count_lifts(labels: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Return how many times more often than by chance two labels occur together.

    Args:
        labels: Of the training faces, with columns `age`, `gender`, `ethnicity`, `emotion`.

    Returns:
        For each pair of attributes labelled together, (labels, labels).

    Example:
        >>> labels = pd.DataFrame(
        ...     {"age": None, "gender": ["female", "male"] * 50, "emotion": None,
        ...      "ethnicity": ["white", "black"] * 50}
        ... )
        >>> count_lifts(labels)["gender", "ethnicity"].round(2)[0]
        array([1.83, 0.17, 1.  , 1.  , 1.  ])
    """
    coded = labels.assign(age=labels["age"].map(find_age_range, na_action="ignore"))
    names = {**LABELS, "age": name_age_ranges()}
    lifts = {}
    for first, second in combinations(ATTRIBUTES, 2):
        both = coded[[first, second]].dropna()
        if both.empty:
            continue
        counts = (
            pd.crosstab(both[first], both[second])
            .reindex(index=names[first], columns=names[second], fill_value=0)
            .to_numpy()
        )
        chance = (
            counts.sum(axis=1, keepdims=True) * counts.sum(axis=0, keepdims=True) / counts.sum()
        )
        lifts[first, second] = (counts + SMOOTHING) / (chance + SMOOTHING)
    return lifts


def fit_constants(
    predictions: Mapping[str, pd.DataFrame], training_labels: pd.DataFrame
) -> FusionConstants:
    """Fit all constants of fusion but the threshold of the detector's score.

    Args:
        predictions: Stored predictions of each attribute for calibration faces, from
            `load_calibration`.
        training_labels: Labels of the training faces, for the lifts.

    Raises:
        ValueError: If a table is empty.

    Example:
        >>> from facekit.calibration import load_predictions
        >>> from facekit.registry import get_models_dir
        >>> tables = load_predictions(get_models_dir(), "test")
        >>> test = {name: table[:200] for name, table in tables.items()}
        >>> labels = pd.DataFrame([[30, "male", None, None]], columns=list(ATTRIBUTES))
        >>> 0.8 < fit_constants(test, labels).reliabilities["gender"] < 1
        True
    """
    temperatures = _fit_temperatures(predictions)
    constants = FusionConstants(temperatures, {}, {}, count_lifts(training_labels), 0.0)
    joint = _calibrate_joint(predictions, constants)
    classes = {name: index_labels(name, table["label"]) for name, (table, _) in joint.items()}

    def measure_loss(strength: float) -> float:
        fused = correlate(
            {name: answer for name, (_, answer) in joint.items()},
            replace(constants, strength=strength),
        )
        return sum(_measure_loss(fused[name], classes[name]) for name in joint)

    strength = min((float(each) for each in STRENGTHS), key=measure_loss) if joint else 0.0
    return _fit_served(predictions, replace(constants, strength=round(strength, 3)))


def refit_constants(
    predictions: Mapping[str, pd.DataFrame], constants: FusionConstants
) -> FusionConstants:
    """Fit all constants again that need no training labels and no photos.

    Args:
        predictions: As for `fit_constants`.
        constants: Their lifts, their strength and the threshold of the detector's score are kept.

    Raises:
        ValueError: If a table is empty.

    Example:
        >>> from facekit.calibration import load_predictions
        >>> from facekit.fusion import load_constants
        >>> from facekit.registry import get_models_dir
        >>> tables = load_predictions(get_models_dir(), "test")
        >>> test = {name: table[:200] for name, table in tables.items()}
        >>> constants = load_constants()
        >>> refit_constants(test, constants).strength == constants.strength
        True
    """
    kept = replace(constants, temperatures=_fit_temperatures(predictions))
    return _fit_served(predictions, kept)


def _fit_temperatures(predictions: Mapping[str, pd.DataFrame]) -> dict[str, float]:
    return {name: round(fit_temperature(name, table), 3) for name, table in predictions.items()}


def _fit_served(
    predictions: Mapping[str, pd.DataFrame], constants: FusionConstants
) -> FusionConstants:
    """Fit what describes the answers as they are served."""
    served = serve_answers(predictions, constants)
    labels = {name: table["label"].to_numpy() for name, table in predictions.items()}
    ranges = {}
    for name, answer in served.items():
        low, high = np.percentile(measure_certainty(name, answer), RANGE_PERCENTILES)
        ranges[name] = (round(float(low), 4), round(float(high), 4))
    return replace(
        constants,
        reliabilities={
            name: round(float(find_right(name, answer, labels[name]).mean()), 4)
            for name, answer in served.items()
        },
        certainty_ranges=ranges,
        age_levels=fit_age_levels(served["age"], labels["age"].astype(float)),
        thresholds={**constants.thresholds, **fit_thresholds(served, labels)},
    )


def _calibrate_joint(
    predictions: Mapping[str, pd.DataFrame], constants: FusionConstants
) -> dict[str, tuple[pd.DataFrame, np.ndarray]]:
    """Return the tables of `JOINT` cut to the faces that all of them have, and their answers."""
    first = predictions[JOINT[0]]
    rows = np.array([find_same_faces(first, predictions[name]) for name in JOINT])
    common = (rows >= 0).all(axis=0)
    joint = {}
    for name, places in zip(JOINT, rows[:, common], strict=True):
        table = predictions[name].iloc[places]
        joint[name] = table, calibrate(get_probabilities(table), constants.temperatures[name])
    return joint if common.any() else {}


def _measure_loss(answer: np.ndarray, classes: np.ndarray) -> float:
    """Return the mean negative log-likelihood."""
    likelihood = answer[np.arange(len(classes)), classes]
    return float(-np.log(np.maximum(likelihood, 1e-9)).mean())


def measure_fusion(test: Mapping[str, pd.DataFrame], constants: FusionConstants) -> dict:
    """Measure what fusion changes on test faces with labels for age, gender and ethnicity.

    Args:
        test: Stored predictions of each attribute for test faces, from `load_predictions`.
        constants: What fusion applies.

    Returns:
        The number of faces, the strength, the accuracy of each attribute before and after
        correlation, the mean absolute error of age before and after, and how many profiles have
        both age class and gender right in the more and in the less confident half.

    Raises:
        ValueError: If no face has predictions of all three.

    Example:
        >>> from facekit.calibration import load_predictions
        >>> from facekit.fusion import load_constants
        >>> from facekit.registry import get_models_dir
        >>> figures = measure_fusion(load_predictions(get_models_dir(), "test"), load_constants())
        >>> figures["count"], round(figures["gender right after"], 1)
        (2054, 0.9)
    """
    joint = _calibrate_joint(test, constants)
    if not joint:
        raise ValueError(f"`test` must have faces with predictions of {', '.join(JOINT)}.")
    labels = {name: table["label"].to_numpy() for name, (table, _) in joint.items()}
    before = {name: answer for name, (_, answer) in joint.items()}
    after = correlate(before, constants)
    figures: dict = {"count": len(labels["age"]), "strength": constants.strength}
    for moment, answers in (("before", before), ("after", after)):
        for name in JOINT:
            figures[f"{name} right {moment}"] = round(
                float(find_right(name, answers[name], labels[name]).mean()), 4
            )
        errors = np.abs(compute_mean_age(answers["age"]) - labels["age"].astype(float))
        figures[f"age mean absolute error {moment}"] = round(float(errors.mean()), 3)
    pair = correlate({name: before[name] for name in ("age", "gender")}, constants)
    right = find_right("age", pair["age"], labels["age"]) & find_right(
        "gender", pair["gender"], labels["gender"]
    )
    order = np.argsort(-score_confidence(pair, constants), kind="stable")
    half = len(order) // 2
    figures["profile right, more confident half"] = round(float(right[order[:half]].mean()), 4)
    figures["profile right, less confident half"] = round(float(right[order[half:]].mean()), 4)
    return figures
