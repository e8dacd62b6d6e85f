"""Fit what `fusion` needs: temperatures, reliabilities and ranges on validation predictions, label tables on training labels."""

from __future__ import annotations

from collections.abc import Callable
from itertools import combinations
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.evaluation.figures import find_right, get_probabilities
from facekit.fusion import (
    AGE_QUANTILES,
    FusionConstants,
    calibrate,
    correlate,
    measure_certainty,
    score_confidence,
)  # fmt: skip
from facekit.taxonomy import AGES_YEARS, ATTRIBUTES, LABELS, find_age_range, name_age_ranges

TEMPERATURES = np.geomspace(0.2, 3, 60)
STRENGTHS = np.linspace(0, 1, 21)
# faces added to each pair of labels as chance would deal them, so that rare pairs do not forbid
# anything
SMOOTHING = 5.0
RANGE_PERCENTILES = (1, 99)  # of certainty, for the min-max scaling: the very extremes are chance


def load_predictions(models_dir: Path, split: str) -> dict[str, pd.DataFrame]:
    """Return each attribute's stored predictions of one split."""
    tables = {
        name: pd.read_parquet(models_dir / name / "predictions.parquet") for name in ATTRIBUTES
    }
    return {
        name: table[table["split"] == split].reset_index(drop=True)
        for name, table in tables.items()
    }


def count_lifts(labels: pd.DataFrame) -> dict[tuple[str, str], np.ndarray]:
    """Return how many times more often than by chance two labels meet, for each pair of attributes
    labelled together.

    Args:
        labels: Of the training split, with columns `age`, `gender`, `ethnicity`, `emotion`.
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


def fit_temperature(attribute: str, predictions: pd.DataFrame) -> float:
    """Return the temperature at which the labels are likeliest; for age, at which four in five lie from low to high."""
    probabilities, labels = get_probabilities(predictions), predictions["label"].to_numpy()
    if attribute == "age":
        aim = AGE_QUANTILES[1] - AGE_QUANTILES[0]
        return float(
            _argmin(
                TEMPERATURES,
                lambda t: abs(_cover(calibrate(probabilities, t), labels.astype(float)) - aim),
            )
        )
    index = np.array([LABELS[attribute].index(label) for label in labels])
    rows = np.arange(len(index))
    return float(
        _argmin(TEMPERATURES, lambda t: -np.log(calibrate(probabilities, t)[rows, index]).mean())
    )


def _cover(answer: np.ndarray, ages_years: np.ndarray) -> float:
    """Return the share of ages from the low to the high quantile."""
    below = np.cumsum(answer, axis=1)
    low, high = ((below < quantile).sum(axis=1) for quantile in AGE_QUANTILES)
    return float(np.mean((np.floor(ages_years) >= low) & (np.floor(ages_years) <= high)))


def _argmin(candidates: np.ndarray, cost: Callable[[float], float]) -> float:
    return candidates[int(np.argmin([cost(candidate) for candidate in candidates]))]


def fit_constants(
    validation: dict[str, pd.DataFrame], training_labels: pd.DataFrame
) -> FusionConstants:
    """Fit all constants of fusion.

    Args:
        validation: Of `load_predictions`; the attributes learned from one dataset list the same
            images.
        training_labels: Of the training splits, for the tables.
    """
    temperatures = {
        name: round(fit_temperature(name, table), 3) for name, table in validation.items()
    }
    answers = {
        name: calibrate(get_probabilities(table), temperatures[name])
        for name, table in validation.items()
    }
    labels = {name: table["label"].to_numpy() for name, table in validation.items()}
    constants = FusionConstants(
        temperatures=temperatures,
        reliabilities={
            name: round(float(find_right(name, answers[name], labels[name]).mean()), 4)
            for name in answers
        },
        certainty_ranges={
            name: tuple(
                round(float(end), 4)
                for end in np.percentile(measure_certainty(name, answer), RANGE_PERCENTILES)
            )
            for name, answer in answers.items()
        },
        lifts=count_lifts(training_labels),
        strength=0.0,
    )
    joint = {name: answers[name] for name in ("age", "gender", "ethnicity")}

    def cost(strength: float) -> float:
        fused = correlate(joint, FusionConstants(**vars(constants) | {"strength": float(strength)}))
        return sum(_mean_surprise(name, fused[name], labels[name]) for name in joint)

    strength = round(float(_argmin(STRENGTHS, cost)), 3)
    return FusionConstants(**vars(constants) | {"strength": strength})


def _mean_surprise(attribute: str, answer: np.ndarray, labels: np.ndarray) -> float:
    if attribute == "age":
        index = np.minimum(labels.astype(float), AGES_YEARS[-1]).astype(int)
    else:
        index = np.array([LABELS[attribute].index(label) for label in labels])
    return float(-np.log(np.maximum(answer[np.arange(len(index)), index], 1e-9)).mean())


def measure_fusion(test: dict[str, pd.DataFrame], constants: FusionConstants) -> dict:
    """Measure what fusion does on test faces that age, gender and ethnicity all have labels for.

    Returns:
        Share right of each attribute before and after, mean absolute error of age before and after,
        and the share of faces whose age class and gender are both right in the more and in the less
        confident half.
    """
    names = ("age", "gender", "ethnicity")
    labels = {name: test[name]["label"].to_numpy() for name in names}
    before = {
        name: calibrate(get_probabilities(test[name]), constants.temperatures[name])
        for name in names
    }
    after = correlate(before, constants)
    figures: dict = {"count": len(labels["age"]), "strength": constants.strength}
    for moment, answers in (("before", before), ("after", after)):
        for name in names:
            figures[f"{name} right {moment}"] = round(
                float(find_right(name, answers[name], labels[name]).mean()), 4
            )
        off = np.abs(answers["age"] @ np.array(AGES_YEARS) - labels["age"].astype(float))
        figures[f"age mean absolute error {moment}"] = round(float(off.mean()), 3)
    pair = correlate({name: before[name] for name in ("age", "gender")}, constants)
    right = find_right("age", pair["age"], labels["age"]) & find_right(
        "gender", pair["gender"], labels["gender"]
    )
    order = np.argsort(-score_confidence(pair, constants), kind="stable")
    half = len(order) // 2
    figures["profile right, more confident half"] = round(float(right[order[:half]].mean()), 4)
    figures["profile right, less confident half"] = round(float(right[order[half:]].mean()), 4)
    return figures
