"""Sliders over the constants of `fusion`, to see what each of its steps does to one face. What is drawn is left to `plotting`."""

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
BEFORE = "as the network says"
LEAST_TEMPERATURE, GREATEST_TEMPERATURE = 0.2, 4  # beyond them little changes any more


def explore_temperature(attribute: str, answer: np.ndarray, temperature: float) -> interactive:
    """Return a slider over an attribute's temperature, with the answer before and after below it.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        answer: Probabilities, (classes,).
        temperature: To start with.
    """

    def draw(temperature: float) -> tuple[Axes, str]:
        ax = plt.subplots(figsize=FIGURE_INCHES, layout="constrained")[1]
        answers = {BEFORE: answer, f"at {temperature:.2f}": calibrate(answer[None], temperature)[0]}
        sure = " and ".join(
            f"{measure_certainty(attribute, each[None])[0]:.0%}" for each in answers.values()
        )
        return plot_answers(
            attribute, answers, ax=ax
        ), f"How sure of {attribute}, {BEFORE} and at temperature {temperature:.2f}: {sure}."

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
    """Return a slider over the strength of the table of labels that meet, with one face's answers
    before and after below it.

    Args:
        answers: Calibrated probabilities of each attribute, (1, classes).
        constants: With the table, and the strength to start with.
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
            f"{', '.join(answers)}: each alone, and pulled by the others at strength {strength:.2f}.",
        )

    return explore(draw, strength=Slider(value=constants.strength, description="strength"))


def explore_confidence(answers: dict[str, np.ndarray], constants: FusionConstants) -> interactive:
    """Return a slider over each attribute's weight, with what it adds to one face's confidence
    below them.

    Args:
        answers: Calibrated and correlated probabilities of each attribute, (1, classes).
        constants: With the ranges of certainty, and the reliabilities to start with.
    """

    def draw(**weights: float) -> tuple[Axes | None, str]:
        if not any(weights.values()):
            return None, "Nobody is asked: give at least one attribute a weight."
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
