"""Fuse the networks' predictions for one face into a profile with a confidence.

Four steps, after "Toward Affective Intelligence": probabilities are calibrated by a temperature;
each attribute's probabilities are multiplied by messages from the others, through a table of how
often two labels occur together in the training data; each attribute's certainty is min-max scaled;
the confidence is the mean of the scaled certainties, weighted by each attribute's accuracy. The age
interval is read off the fused age distribution.

The constants are fitted by `calibration` and shipped in `models/fusion.json`. Running the networks
is left to `inference`. Probabilities have shape (faces, classes), classes in the order of
`taxonomy.LABELS`; those of one attribute are called its answer.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from facekit.faces import Profile
from facekit.files import write_text
from facekit.registry import ModelError, get_models_dir
from facekit.taxonomy import (
    AGE_SCHEMES,
    AGES_YEARS,
    ATTRIBUTES,
    DEFAULT_AGE_SCHEME,
    LABELS,
    find_age_range,
    find_first_years,
)

AGE_QUANTILES = (
    0.1,
    0.9,
)  # of an age distribution, between which four true ages in five should lie
AGE_LEVELS = (AGE_QUANTILES,) * len(AGE_SCHEMES[DEFAULT_AGE_SCHEME])  # without calibration
LEAST_PROBABILITY = 1e-12  # keeps logarithms finite
ROUNDING = 1e-6  # years by which a mean may fall short of a whole year


@dataclass(frozen=True, eq=False)
class FusionConstants:
    """What fusion knows about the networks and about the training data.

    Every constant but the temperatures is fitted on answers as `fuse_profiles` serves them: after
    calibration and correlation.

    Attributes:
        temperatures: One per attribute; above 1 softens its probabilities, below 1 sharpens them
            (Guo et al., 2017).
        reliabilities: Accuracy of each attribute; for age, of the class of the default scheme.
        certainty_ranges: 1st and 99th percentile of each attribute's certainty, which min-max
            scaling turns into 0 and 1.
        lifts: For a pair of attributes, how many times more often two labels occur together than by
            chance, (labels, labels); ages are grouped in the classes of the default scheme. Pairs
            that no training data label together are absent.
        strength: From 0 (the lifts are ignored) to 1 (they count like a network's own answer).
        age_levels: For each age class of the default scheme the two levels of the cumulative age
            distribution between which a year of this class belongs to the age interval.

    Raises:
        ValueError: If a constant is out of its range or has a wrong shape.

    Example:
        >>> constants = load_constants()
        >>> constants.find_lift("gender", "age").shape
        (2, 7)
    """

    temperatures: dict[str, float]
    reliabilities: dict[str, float]
    certainty_ranges: dict[str, tuple[float, float]]
    lifts: dict[tuple[str, str], np.ndarray]
    strength: float
    age_levels: Sequence[tuple[float, float]] = AGE_LEVELS

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"`strength` must be from 0 to 1; got {self.strength}.")
        for name, temperature in self.temperatures.items():
            if not 0 < temperature < np.inf:
                raise ValueError(f"`temperatures` must be above 0; got {temperature} for {name}.")
        for (first, second), table in self.lifts.items():
            shape = (_count_coarse(first), _count_coarse(second))
            if table.shape != shape:
                raise ValueError(
                    f"`lifts` of {first} and {second} must have shape {shape}; got {table.shape}."
                )
        levels = np.asarray(self.age_levels, np.float64)
        if levels.shape != (_count_coarse("age"), 2) or not ((levels >= 0) & (levels <= 1)).all():
            raise ValueError(
                f"`age_levels` must hold {_count_coarse('age')} pairs of numbers from 0 to 1; "
                f"got {self.age_levels}."
            )

    def find_lift(self, attribute: str, other: str) -> np.ndarray | None:
        """Return the lifts of a pair, rows for `attribute`, or `None` for a pair without."""
        if (attribute, other) in self.lifts:
            return self.lifts[attribute, other]
        return self.lifts[other, attribute].T if (other, attribute) in self.lifts else None


def _count_coarse(attribute: str) -> int:
    return len(AGE_SCHEMES[DEFAULT_AGE_SCHEME]) if attribute == "age" else len(LABELS[attribute])


def index_age_classes(
    ages_years: np.ndarray, scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME
) -> np.ndarray:
    """Return the index of each age's class in a scheme, (ages,) int.

    Args:
        ages_years: (ages,), 0 or more. Fractions are rounded down: 2.9 is in the class 0-2.
        scheme: A key of `taxonomy.AGE_SCHEMES`, or the first years of your own classes.

    Example:
        >>> index_age_classes(np.array([0, 2.9, 3, 70]))
        array([0, 0, 1, 6])
    """
    return np.searchsorted(find_first_years(scheme), np.floor(ages_years), side="right") - 1


def compute_mean_age(answer: np.ndarray) -> np.ndarray:
    """Return the mean of age distributions in years.

    Args:
        answer: Probabilities of each year, (..., 101).

    Returns:
        (...) float64.

    Example:
        >>> answer = np.zeros((1, 101))
        >>> answer[0, [20, 30]] = 0.5
        >>> compute_mean_age(answer)
        array([25.])
    """
    return np.asarray(answer) @ np.array(AGES_YEARS, np.float64)


def save_constants(constants: FusionConstants, models_dir: Path) -> None:
    """Write `fusion.json`.

    Args:
        constants: What to write; lifts are rounded to three decimals.
        models_dir: The folder of models.

    Raises:
        OSError: If the file cannot be written.
    """
    fields = vars(constants) | {
        "lifts": {
            f"{first} {second}": np.round(table, 3).tolist()
            for (first, second), table in constants.lifts.items()
        }
    }
    write_text(models_dir / "fusion.json", json.dumps(fields, indent=1) + "\n")


def load_constants(models_dir: Path | None = None) -> FusionConstants:
    """Read `fusion.json`.

    Args:
        models_dir: The folder of models; that of `get_models_dir` by default.

    Raises:
        ModelError: If the file is missing or cannot be read.

    Example:
        >>> 0 <= load_constants().strength <= 1
        True
    """
    models_dir = (models_dir or get_models_dir()).absolute()
    path = models_dir / "fusion.json"
    return _load_constants(path, path.stat().st_mtime_ns if path.exists() else 0)


@functools.cache
def _load_constants(path: Path, changed: int) -> FusionConstants:
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        lifts = {
            tuple(pair.split()): np.array(table) for pair, table in fields.pop("lifts").items()
        }
        for name in ("certainty_ranges", "age_levels"):
            if isinstance(fields.get(name), dict):
                fields[name] = {key: tuple(ends) for key, ends in fields[name].items()}
            elif name in fields:
                fields[name] = tuple(tuple(ends) for ends in fields[name])
        return FusionConstants(lifts=lifts, **fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path}: the constants of fusion cannot be read ({error}); reinstall facekit."
        ) from None


def calibrate(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Sharpen or soften probabilities by a temperature.

    Args:
        probabilities: (faces, classes).
        temperature: Above 0. Probabilities are raised to the power 1 / temperature and normalized.

    Returns:
        (faces, classes) float64 that sum to 1 per face.

    Reference: Guo et al., 2017, "On Calibration of Modern Neural Networks".

    Example:
        >>> calibrate(np.array([[0.9, 0.1]]), 2.0)
        array([[0.75, 0.25]])
    """
    logits = np.log(np.maximum(probabilities, LEAST_PROBABILITY).astype(np.float64)) / temperature
    powered = np.exp(logits - logits.max(axis=1, keepdims=True, initial=-np.inf))
    return powered / powered.sum(axis=1, keepdims=True)


def correlate(
    answers: Mapping[str, np.ndarray], constants: FusionConstants
) -> dict[str, np.ndarray]:
    """Adjust each attribute's probabilities to the other attributes' answers.

    This is one round of sum-product message passing (belief propagation) between the attributes of
    a face. The message from one attribute to another is the expected lift of each label under the
    first one's answer; each label is multiplied by all messages to it, raised to the power of the
    strength.

    Args:
        answers: Calibrated probabilities of each attribute, (faces, classes).
        constants: Their lifts and strength are used.

    Returns:
        As `answers`. A face whose labels are all impossible beside the other answers (lifts of 0)
        keeps its answer.

    Reference: Pearl, 1988, "Probabilistic Reasoning in Intelligent Systems"; Kschischang, Frey,
        Loeliger, 2001, "Factor Graphs and the Sum-Product Algorithm".

    Example:
        >>> lifts = {("gender", "ethnicity"): np.array([[2, 1, 1, 1, 1], [0.5, 1, 1, 1, 1]])}
        >>> constants = FusionConstants({}, {}, {}, lifts, strength=1.0)
        >>> answers = {"gender": np.array([[0.5, 0.5]]), "ethnicity": np.eye(5)[[0]]}
        >>> correlate(answers, constants)["gender"]
        array([[0.8, 0.2]])
    """
    coarse = {name: _make_coarse(name, answer) for name, answer in answers.items()}
    # Always in one order, so that the last digits do not depend on how attributes were requested.
    order = _sort_attributes(answers)
    fused = {}
    for name, answer in answers.items():
        product = np.ones_like(coarse[name], np.float64)
        for other in order:
            lift = constants.find_lift(name, other) if other != name else None
            if lift is not None:
                product = product * (coarse[other] @ lift.T) ** constants.strength
        if name == "age":
            product = product[:, index_age_classes(np.array(AGES_YEARS))]
        joint = answer * product
        total = joint.sum(axis=1, keepdims=True)
        fused[name] = np.where(total > 0, joint / np.where(total > 0, total, 1), answer)
    return fused


def _sort_attributes(answers: Mapping[str, Any]) -> list[str]:
    return [name for name in ATTRIBUTES if name in answers]


def _make_coarse(attribute: str, answer: np.ndarray) -> np.ndarray:
    """Sum the years of an age distribution to classes; leave other attributes as they are."""
    if attribute != "age":
        return answer
    return np.add.reduceat(answer, AGE_SCHEMES[DEFAULT_AGE_SCHEME], axis=1)


def fuse_answers(
    answers: Mapping[str, np.ndarray], constants: FusionConstants
) -> dict[str, np.ndarray]:
    """Calibrate and correlate the networks' probabilities: what profiles are made of.

    Args:
        answers: The networks' probabilities of each attribute, (faces, classes).
        constants: From `load_constants`.

    Returns:
        As `answers`.
    """
    calibrated = {
        name: calibrate(answer, constants.temperatures[name]) for name, answer in answers.items()
    }
    return correlate(calibrated, constants)


def measure_certainty(attribute: str, answer: np.ndarray) -> np.ndarray:
    """Return the probability of the predicted label, (faces,).

    For age this is the probability of the age class, in the default scheme, of the mean age.
    """
    if attribute != "age":
        return answer.max(axis=1)
    classes = index_age_classes(compute_mean_age(answer))
    return np.take_along_axis(_make_coarse("age", answer), classes[:, None], axis=1)[:, 0]


def scale_certainty(attribute: str, answer: np.ndarray, constants: FusionConstants) -> np.ndarray:
    """Return an attribute's certainty, min-max scaled by its certainty range, (faces,), 0 to 1."""
    least, greatest = constants.certainty_ranges[attribute]
    return np.clip(
        (measure_certainty(attribute, answer) - least) / max(greatest - least, 1e-9), 0, 1
    )


def split_confidence(
    answers: Mapping[str, np.ndarray], constants: FusionConstants
) -> dict[str, np.ndarray]:
    """Return what each attribute adds to the confidence: its weight times its scaled certainty.

    Args:
        answers: Calibrated and correlated probabilities of each attribute, (faces, classes).
        constants: Their reliabilities and certainty ranges are used.

    Returns:
        For each attribute, (faces,).
    """
    whole = sum(constants.reliabilities[name] for name in _sort_attributes(answers))
    return {
        name: constants.reliabilities[name] / whole * scale_certainty(name, answer, constants)
        for name, answer in answers.items()
    }


def score_confidence(answers: Mapping[str, np.ndarray], constants: FusionConstants) -> np.ndarray:
    """Return the confidence in each face's profile, (faces,), 0 to 1.

    It is the sum of the parts that `split_confidence` returns for the same arguments.
    """
    parts = split_confidence(answers, constants)
    return np.sum([parts[name] for name in _sort_attributes(parts)], axis=0)


def find_age_interval(
    answer: np.ndarray, age_levels: Sequence[tuple[float, float]] = AGE_LEVELS
) -> tuple[np.ndarray, np.ndarray]:
    """Return the interval of ages that fit an age distribution, widened to hold the mean.

    A year belongs to the interval if the cumulative distribution, at the end of the year, reaches
    the lower level of the year's age class, and at its start is below the upper level; the
    interval goes from the first such year to the last. With levels fitted for each class, the
    interval holds as many true ages among children as among adults (label-conditional conformal
    prediction).

    Args:
        answer: Probabilities of each year, (faces, 101), calibrated and correlated.
        age_levels: As in `FusionConstants`.

    Returns:
        Lowest and highest age, (faces,) each, years. Both ends are ages in completed years: an
        upper end of 40 includes everybody who is 40.

    Reference: Vovk, Gammerman, Shafer, 2005, "Algorithmic Learning in a Random World", chapter 4.

    Example:
        >>> answer = np.zeros((1, 101))
        >>> answer[0, [10, 20, 30, 40]] = 0.05, 0.45, 0.45, 0.05
        >>> low, high = find_age_interval(answer)
        >>> low.tolist(), high.tolist()
        ([20.0], [30.0])
    """
    mean, years = compute_mean_age(answer), np.array(AGES_YEARS)
    upto = np.cumsum(answer, axis=1)
    lower, upper = np.asarray(age_levels, np.float64)[index_age_classes(years)].T
    fits = (upto >= lower) & (upto - answer < upper)
    fits |= ~fits.any(axis=1, keepdims=True) & (years == np.floor(mean)[:, None])
    first, last = fits.argmax(axis=1), AGES_YEARS[-1] - fits[:, ::-1].argmax(axis=1)
    # The lower end is a whole year, so that it takes in the age 25 beside a mean of 25.7.
    low = np.minimum(first, np.floor(mean + ROUNDING))
    return np.minimum(low, mean), np.maximum(last, mean)


def fuse_profiles(
    answers: Mapping[str, np.ndarray],
    constants: FusionConstants,
    age_scheme: str = DEFAULT_AGE_SCHEME,
) -> tuple[Profile, ...]:
    """Turn the networks' probabilities into one profile per face.

    Args:
        answers: For each requested attribute, the network's probabilities, (faces, classes), in the
            order of `taxonomy.LABELS`.
        constants: From `load_constants`.
        age_scheme: Key of `taxonomy.AGE_SCHEMES`, for `age_range`.

    Returns:
        One profile per face. Attributes that are not in `answers` are `None`.

    Raises:
        ValueError: If `answers` is empty, or its arrays do not have the classes of the taxonomy or
            the same number of faces.

    Example:
        >>> answers = {"gender": np.array([[0.1, 0.9]])}
        >>> fuse_profiles(answers, load_constants())[0].gender
        'male'
    """
    counts = {len(answer) for answer in answers.values()}
    if len(counts) != 1:
        raise ValueError(
            "`answers` must hold at least one attribute, all with the same number of faces; "
            f"got {sorted(counts)} faces."
        )
    for name, answer in answers.items():
        if name not in LABELS:
            raise ValueError(f"`answers` must be of {', '.join(LABELS)}; got {name!r}.")
        if answer.ndim != 2 or answer.shape[1] != len(LABELS[name]):
            raise ValueError(
                f"`answers` of {name} must have shape (faces, {len(LABELS[name])}); "
                f"got {answer.shape}."
            )
    find_first_years(age_scheme)  # checks it, also where there is no face
    fused = fuse_answers(answers, constants)
    confidences = score_confidence(fused, constants)
    columns: dict[str, Sequence[Any]] = {"confidence_score": confidences.tolist()}
    for name in _sort_attributes(fused):
        answer = fused[name]
        if name == "age":
            means = compute_mean_age(answer)
            low, high = find_age_interval(answer, constants.age_levels)
            columns["age_years"] = means.tolist()
            columns["age_low"], columns["age_high"] = low.tolist(), high.tolist()
            columns["age_range"] = [find_age_range(mean, age_scheme) for mean in means]
        else:
            best = answer.argmax(axis=1)
            columns[name] = [LABELS[name][index] for index in best]
            columns[f"{name}_probability"] = answer.max(axis=1).tolist()
        if name == "emotion":
            columns["emotion_probabilities"] = [tuple(row) for row in answer.tolist()]
    return tuple(
        Profile(**dict(zip(columns, row, strict=True)))
        for row in zip(*columns.values(), strict=True)
    )
