"""The confidence in a profile: scaled certainties of its attributes, weighted by reliability."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from facekit.fusion.ages import make_coarse, predict_age_classes
from facekit.fusion.answers import sort_attributes
from facekit.fusion.constants import FusionConstants
from facekit.taxonomy import DEFAULT_AGE_SCHEME


def measure_certainty(
    attribute: str, answer: np.ndarray, age_scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME
) -> np.ndarray:
    """Return the probability of the predicted label, (faces,).

    For age this is the probability of the age class of the rounded age.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        answer: Its probabilities, (faces, classes).
        age_scheme: The scheme of the age classes.

    Example:
        >>> measure_certainty("gender", np.array([[0.2, 0.8], [0.5, 0.5]]))
        array([0.8, 0.5])
    """
    if attribute != "age":
        return answer.max(axis=1)
    classes = predict_age_classes(answer, age_scheme)[:, None]
    return np.take_along_axis(make_coarse("age", answer, age_scheme), classes, axis=1)[:, 0]


def scale_certainty(attribute: str, answer: np.ndarray, constants: FusionConstants) -> np.ndarray:
    """Return an attribute's certainty, min-max scaled by its certainty range, (faces,), 0 to 1.

    Example:
        >>> constants = FusionConstants({}, {}, {"gender": (0.5, 1.0)}, {}, strength=0)
        >>> scale_certainty("gender", np.array([[0.25, 0.75], [0.5, 0.5]]), constants)
        array([0.5, 0. ])
    """
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

    Example:
        >>> ranges = {"gender": (0.5, 1.0), "emotion": (0, 1)}
        >>> constants = FusionConstants({}, {"gender": 0.9, "emotion": 0.6}, ranges, {}, strength=0)
        >>> answers = {"gender": np.array([[0.0, 1.0]]), "emotion": np.eye(7)[[0]]}
        >>> split_confidence(answers, constants)
        {'gender': array([0.6]), 'emotion': array([0.4])}
    """
    whole = sum(constants.reliabilities[name] for name in sort_attributes(answers))
    return {
        name: constants.reliabilities[name] / whole * scale_certainty(name, answer, constants)
        for name, answer in answers.items()
    }


def score_confidence(answers: Mapping[str, np.ndarray], constants: FusionConstants) -> np.ndarray:
    """Return the confidence in each face's profile, (faces,), 0 to 1.

    It is the sum of the parts that `split_confidence` returns for the same arguments.

    Example:
        >>> constants = FusionConstants({}, {"gender": 0.9}, {"gender": (0.5, 1.0)}, {}, strength=0)
        >>> score_confidence({"gender": np.array([[0.25, 0.75], [0.0, 1.0]])}, constants)
        array([0.5, 1. ])
    """
    parts = split_confidence(answers, constants)
    return np.sum([parts[name] for name in sort_attributes(parts)], axis=0)
