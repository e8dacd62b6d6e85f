"""Fuse the attribute networks' answers to one face into a profile with a confidence.

Four steps, after "Toward Affective Intelligence": answers are calibrated; answers that go badly
together (a bearded toddler) pull at each other through a table of how often labels meet in the
training data; each attribute's certainty is min-max scaled; and the confidence is the mean of
these, weighted by how reliable each attribute was on validation data. The constants are fitted by
`training.calibration` and shipped in `models/fusion.json`; running the networks is left to
`inference`.
"""

from __future__ import annotations

import functools
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facekit.faces import Profile
from facekit.registry import ModelError, get_models_dir
from facekit.taxonomy import (
    AGE_SCHEMES,
    AGES_YEARS,
    DEFAULT_AGE_SCHEME,
    LABELS,
    find_age_range,
    find_first_years,
)

AGE_QUANTILES = (0.1, 0.9)  # of the age distribution, for `age_low` and `age_high`


@dataclass(frozen=True, eq=False)
class FusionConstants:
    """What fusion knows about the networks and about people.

    Attributes:
        temperatures: One an attribute; above 1 softens its probabilities, below 1 sharpens them
            (Guo et al., 2017).
        reliabilities: Share of validation faces on which an attribute is right; for age, the class
            of the default scheme.
        certainty_ranges: Least and greatest certainty seen in validation, for the min-max scaling.
        lifts: For a pair of attributes, how many times more often each two labels meet than by
            chance, (labels, labels); age counts in the classes of the default scheme. Pairs that no
            training data label together are absent.
        strength: From 0 (the table is ignored) to 1 (it counts like a network's own answer).
    """

    temperatures: dict[str, float]
    reliabilities: dict[str, float]
    certainty_ranges: dict[str, tuple[float, float]]
    lifts: dict[tuple[str, str], np.ndarray]
    strength: float

    def __post_init__(self) -> None:
        if not 0 <= self.strength <= 1:
            raise ValueError(f"`strength` must be from 0 to 1; got {self.strength}.")
        for (first, second), table in self.lifts.items():
            shape = (_count_coarse(first), _count_coarse(second))
            if table.shape != shape:
                raise ValueError(
                    f"`lifts` of {first} and {second} must have shape {shape}; got {table.shape}."
                )

    def find_lift(self, attribute: str, other: str) -> np.ndarray | None:
        """Return the table of a pair, rows for `attribute`, whichever way round it is kept."""
        if (attribute, other) in self.lifts:
            return self.lifts[attribute, other]
        return self.lifts[other, attribute].T if (other, attribute) in self.lifts else None


def _count_coarse(attribute: str) -> int:
    return len(AGE_SCHEMES[DEFAULT_AGE_SCHEME]) if attribute == "age" else len(LABELS[attribute])


def index_age_classes(
    ages_years: np.ndarray, scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME
) -> np.ndarray:
    """Return the index of each age's class in a scheme, (ages,) int; a fraction counts with the year begun."""
    return np.searchsorted(find_first_years(scheme), np.floor(ages_years), side="right") - 1


def save_constants(constants: FusionConstants, models_dir: Path) -> None:
    """Write `fusion.json`."""
    fields = vars(constants) | {
        "lifts": {
            f"{first} {second}": np.round(table, 3).tolist()
            for (first, second), table in constants.lifts.items()
        }
    }
    (models_dir / "fusion.json").write_text(json.dumps(fields, indent=1) + "\n", encoding="utf-8")
    _load_constants.cache_clear()


def load_constants(models_dir: Path | None = None) -> FusionConstants:
    """Read `fusion.json`.

    Raises:
        ModelError: If it is missing or cannot be read.
    """
    return _load_constants(models_dir or get_models_dir())


@functools.cache
def _load_constants(models_dir: Path) -> FusionConstants:
    path = models_dir / "fusion.json"
    try:
        fields = json.loads(path.read_text(encoding="utf-8"))
        lifts = {
            tuple(pair.split()): np.array(table) for pair, table in fields.pop("lifts").items()
        }
        return FusionConstants(lifts=lifts, **fields)
    except (OSError, ValueError, TypeError, KeyError, AttributeError) as error:
        raise ModelError(
            f"{path}: the constants of fusion cannot be read ({error}); reinstall facekit."
        ) from None


def calibrate(probabilities: np.ndarray, temperature: float) -> np.ndarray:
    """Sharpen or soften probabilities, (faces, classes), by a temperature."""
    powered = np.maximum(probabilities, 1e-12).astype(np.float64) ** (1 / temperature)
    return powered / powered.sum(axis=1, keepdims=True)


def correlate(answers: dict[str, np.ndarray], constants: FusionConstants) -> dict[str, np.ndarray]:
    """Let each attribute's probabilities be pulled towards what goes with the others'.

    Every label is multiplied by its expected lift under each other attribute's answer, to the power
    of the strength: one round of mean-field inference.

    Args:
        answers: Calibrated probabilities of each attribute, (faces, classes).
        constants: With the lifts and the strength.

    Returns:
        As `answers`.
    """
    coarse = {name: _make_coarse(name, answer) for name, answer in answers.items()}
    fused = {}
    for name, answer in answers.items():
        pull = np.ones_like(coarse[name])
        for other in answers.keys() - {name}:
            lift = constants.find_lift(name, other)
            if lift is not None:
                pull = pull * (coarse[other] @ lift.T) ** constants.strength
        if name == "age":
            pull = pull[:, index_age_classes(AGES_YEARS)]
        fused[name] = answer * pull / (answer * pull).sum(axis=1, keepdims=True)
    return fused


def _make_coarse(attribute: str, answer: np.ndarray) -> np.ndarray:
    """Sum the years of an age distribution to classes; leave other attributes as they are."""
    if attribute != "age":
        return answer
    return np.add.reduceat(answer, AGE_SCHEMES[DEFAULT_AGE_SCHEME], axis=1)


def measure_certainty(attribute: str, answer: np.ndarray) -> np.ndarray:
    """Return how sure an attribute is of what it tells, (faces,): the probability of the label, or of the age class of the mean."""
    if attribute != "age":
        return answer.max(axis=1)
    classes = index_age_classes(AGES_YEARS)
    told = classes[np.minimum((answer @ AGES_YEARS).astype(int), AGES_YEARS[-1])]
    return np.take_along_axis(_make_coarse("age", answer), told[:, None], axis=1)[:, 0]


def scale_certainty(attribute: str, answer: np.ndarray, constants: FusionConstants) -> np.ndarray:
    """Return an attribute's certainty, min-max scaled by the range seen in validation, (faces,), 0 to 1."""
    least, greatest = constants.certainty_ranges[attribute]
    return np.clip(
        (measure_certainty(attribute, answer) - least) / max(greatest - least, 1e-9), 0, 1
    )


def split_confidence(
    answers: dict[str, np.ndarray], constants: FusionConstants
) -> dict[str, np.ndarray]:
    """Return what each attribute adds to the confidence in each face's profile, (faces,): its
    weight times its scaled certainty.

    Args:
        answers: Calibrated and correlated probabilities of each attribute, (faces, classes).
        constants: With reliabilities and ranges of certainty.
    """
    whole = sum(constants.reliabilities[name] for name in answers)
    return {
        name: constants.reliabilities[name] / whole * scale_certainty(name, answer, constants)
        for name, answer in answers.items()
    }


def score_confidence(answers: dict[str, np.ndarray], constants: FusionConstants) -> np.ndarray:
    """Return the confidence in each face's profile, (faces,), 0 to 1: the sum of what `split_confidence` tells, of the same arguments."""
    return sum(split_confidence(answers, constants).values())


def fuse_profiles(
    answers: dict[str, np.ndarray], constants: FusionConstants, age_scheme: str = DEFAULT_AGE_SCHEME
) -> tuple[Profile, ...]:
    """Turn the networks' answers into one profile a face.

    Args:
        answers: For each attribute asked for, the network's probabilities, (faces, classes), in the
            order of `taxonomy.LABELS`.
        constants: Of `load_constants`.
        age_scheme: Key of `taxonomy.AGE_SCHEMES`, for `age_range`.

    Returns:
        One profile a face; attributes that are not in `answers` are `None` in it.

    Raises:
        ValueError: If `answers` is empty, or the arrays do not fit the taxonomy or one another.
    """
    counts = {len(answer) for answer in answers.values()}
    if len(counts) != 1:
        raise ValueError(
            f"`answers` must hold at least one attribute, all for equally many faces; got {sorted(counts)} faces."
        )
    for name, answer in answers.items():
        if name not in LABELS:
            raise ValueError(f"`answers` must be of {', '.join(LABELS)}; got {name!r}.")
        if answer.ndim != 2 or answer.shape[1] != len(LABELS[name]):
            raise ValueError(
                f"`answers` of {name} must have shape (faces, {len(LABELS[name])}); got {answer.shape}."
            )
    calibrated = {
        name: calibrate(answer, constants.temperatures[name]) for name, answer in answers.items()
    }
    fused = correlate(calibrated, constants)
    confidences = score_confidence(fused, constants)
    return tuple(
        _tell_profile(
            {name: answer[face] for name, answer in fused.items()}, float(confidence), age_scheme
        )
        for face, confidence in enumerate(confidences)
    )


def _tell_profile(answer: dict[str, np.ndarray], confidence: float, age_scheme: str) -> Profile:
    fields: dict = {"confidence_score": confidence}
    for name in answer.keys() - {"age"}:
        best = int(answer[name].argmax())
        fields |= {name: LABELS[name][best], f"{name}_probability": float(answer[name][best])}
    if "emotion" in answer:
        fields["emotion_probabilities"] = tuple(float(value) for value in answer["emotion"])
    if "age" in answer:
        mean = float(answer["age"] @ AGES_YEARS)
        low, high = (
            float(year) for year in np.searchsorted(np.cumsum(answer["age"]), AGE_QUANTILES)
        )
        fields |= {"age_years": mean, "age_low": min(low, mean), "age_high": max(high, mean)}
        fields["age_range"] = find_age_range(mean, age_scheme)
    return Profile(**fields)
