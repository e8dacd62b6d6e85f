"""Sliders over the constants of `facekit.fusion`, to see the effect of each step on one face."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import interactive
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from facekit.fusion import (
    FusionConstants,
    calibrate,
    correlate,
    measure_certainty,
    split_confidence,
)
from facekit.plotting import plot_answers, plot_confidence
from facekit.widgets.controls import Slider
from facekit.widgets.explorers import explore

FIGURE_INCHES = (7, 3)
BEFORE = "as predicted"
LEAST_TEMPERATURE, GREATEST_TEMPERATURE = 0.2, 4  # little changes beyond them


def explore_temperature(attribute: str, answer: np.ndarray, temperature: float) -> interactive:
    """Return a slider over an attribute's temperature, with the probabilities before and after.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        answer: Predicted probabilities, (classes,).
        temperature: First value of the temperature.

    Example:
        >>> answer = np.array([0.8, 0.2])
        >>> explore_temperature("gender", answer, 1.5)  # doctest: +SKIP
    """

    def draw(temperature: float) -> tuple[Axes, str]:
        ax = plt.subplots(figsize=FIGURE_INCHES, layout="constrained")[1]
        answers = {BEFORE: answer, f"at {temperature:.2f}": calibrate(answer[None], temperature)[0]}
        certainties = " and ".join(
            f"{measure_certainty(attribute, each[None])[0]:.0%}" for each in answers.values()
        )
        return plot_answers(attribute, answers, ax=ax), (
            f"Certainty of {attribute}, {BEFORE} and at temperature {temperature:.2f}: "
            f"{certainties}."
        )

    return explore(
        draw,
        temperature=Slider(
            value=temperature,
            min=LEAST_TEMPERATURE,
            max=GREATEST_TEMPERATURE,
            description="temperature",
        ),
    )


def explore_strength(answers: dict[str, np.ndarray], constants: FusionConstants) -> interactive:
    """Return a slider over the strength of the correlations between attributes.

    Below it are one face's probabilities before and after `fusion.correlate`.

    Args:
        answers: Calibrated probabilities of each attribute, (1, classes).
        constants: Constants with the table of correlations and the first value of the strength.

    Example:
        >>> answers = {"age": np.full((1, 101), 1 / 101), "gender": np.array([[0.6, 0.4]])}
        >>> explore_strength(answers, load_constants())  # doctest: +SKIP
    """

    def draw(strength: float) -> tuple[Figure, str]:
        fused = correlate(answers, replace(constants, strength=strength))
        figure, axes = plt.subplots(
            1, len(answers), figsize=FIGURE_INCHES, layout="constrained", squeeze=False
        )
        for ax, name in zip(axes[0], answers, strict=True):
            plot_answers(name, {"alone": answers[name][0], "correlated": fused[name][0]}, ax=ax)
        return (
            figure,
            f"{', '.join(answers)}: each alone, and correlated at strength {strength:.2f}.",
        )

    return explore(draw, strength=Slider(value=constants.strength, description="strength"))


def explore_confidence(answers: dict[str, np.ndarray], constants: FusionConstants) -> interactive:
    """Return a slider over the weight of each attribute, with its part of one face's confidence.

    Args:
        answers: Calibrated and correlated probabilities of each attribute, (1, classes).
        constants: Constants with the ranges of certainty and the first values of the weights.

    Example:
        >>> answers = {"age": np.full((1, 101), 1 / 101), "gender": np.array([[0.6, 0.4]])}
        >>> explore_confidence(answers, load_constants())  # doctest: +SKIP
    """

    def draw(**weights: float) -> tuple[Axes | None, str]:
        if not any(weights.values()):
            return None, "All weights are 0: give at least one attribute a weight."
        parts = {
            name: float(part[0])
            for name, part in split_confidence(
                answers, replace(constants, reliabilities=weights)
            ).items()
        }
        ax = plot_confidence(parts, ax=plt.subplots(figsize=(7, 1.6), layout="constrained")[1])
        added = ", ".join(f"{name} adds {part:.2f}" for name, part in parts.items())
        return ax, f"Confidence {sum(parts.values()):.2f}: {added}."

    sliders = {
        name: Slider(value=round(constants.reliabilities[name], 2), description=f"weight of {name}")
        for name in answers
    }
    return explore(draw, **sliders)
