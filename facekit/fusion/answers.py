"""Calibrate each attribute's probabilities, and adjust them to the other attributes' answers."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from facekit.fusion.ages import index_age_classes, make_coarse
from facekit.fusion.constants import FusionConstants
from facekit.taxonomy import AGES_YEARS, ATTRIBUTES

LEAST_PROBABILITY = 1e-12  # keeps logarithms finite


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
    coarse = {name: make_coarse(name, answer) for name, answer in answers.items()}
    # Always in one order, so that the last digits do not depend on how attributes were requested.
    order = sort_attributes(answers)
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


def sort_attributes(answers: Mapping[str, Any]) -> list[str]:
    """Return the attributes in the order of the taxonomy.

    Example:
        >>> sort_attributes({"emotion": 1, "age": 2})
        ['age', 'emotion']
    """
    return [name for name in ATTRIBUTES if name in answers]


def fuse_answers(
    answers: Mapping[str, np.ndarray], constants: FusionConstants
) -> dict[str, np.ndarray]:
    """Calibrate and correlate the networks' probabilities: what profiles are made of.

    Args:
        answers: The networks' probabilities of each attribute, (faces, classes).
        constants: From `load_constants`.

    Returns:
        As `answers`.

    Example:
        >>> from facekit.fusion import load_constants
        >>> fused = fuse_answers({"gender": np.array([[0.2, 0.8]])}, load_constants())
        >>> fused["gender"].argmax(axis=1), fused["gender"].sum(axis=1)
        (array([1]), array([1.]))
    """
    calibrated = {
        name: calibrate(answer, constants.temperatures[name]) for name, answer in answers.items()
    }
    return correlate(calibrated, constants)
