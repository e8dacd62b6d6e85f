"""Sliders over the constants of `fusion`, to see what each of its steps does to one face. What is drawn is left to `plotting`."""

from __future__ import annotations

from dataclasses import replace

import matplotlib.pyplot as plt
import numpy as np
from ipywidgets import FloatLogSlider, FloatSlider, interactive

from facekit.fusion import FusionConstants, calibrate, correlate, scale_certainty, score_confidence
from facekit.lessons import show
from facekit.plotting import SERIES_COLOURS, plot_answers

FIGURE_INCHES = (7, 3)
BEFORE = "as the network says"


def explore_temperature(attribute: str, answer: np.ndarray, temperature: float) -> interactive:
    """Return a slider over an attribute's temperature, with the answer before and after below it.

    Args:
        attribute: A key of `taxonomy.LABELS`.
        answer: Probabilities, (classes,).
        temperature: To start with.
    """

    def draw(temperature: float) -> None:
        ax = plt.subplots(figsize=FIGURE_INCHES, layout="constrained")[1]
        answers = {BEFORE: answer, f"at {temperature:.2f}": calibrate(answer[None], temperature)[0]}
        show(plot_answers(attribute, answers, ax=ax), f"{attribute} as the network says and at temperature {temperature:.2f}")

    return interactive(draw, temperature=FloatLogSlider(temperature, min=-0.7, max=0.7, step=0.02, readout_format=".2f"))


def explore_strength(answers: dict[str, np.ndarray], constants: FusionConstants) -> interactive:
    """Return a slider over the strength of the table of labels that meet, with one face's answers before and after below it.

    Args:
        answers: Calibrated probabilities of each attribute, (1, classes).
        constants: With the table, and the strength to start with.
    """

    def draw(strength: float) -> None:
        fused = correlate(answers, replace(constants, strength=strength))
        figure, axes = plt.subplots(1, len(answers), figsize=FIGURE_INCHES, layout="constrained", squeeze=False)
        for ax, name in zip(axes[0], answers, strict=True):
            plot_answers(name, {"alone": answers[name][0], "correlated": fused[name][0]}, ax=ax)
        show(figure, f"{', '.join(answers)}: each alone, and pulled by the others at strength {strength:.2f}")

    return interactive(draw, strength=FloatSlider(constants.strength, min=0, max=1, step=0.05))


def explore_confidence(answers: dict[str, np.ndarray], constants: FusionConstants) -> interactive:
    """Return a slider over each attribute's weight, with what it adds to one face's confidence below them.

    Args:
        answers: Calibrated and correlated probabilities of each attribute, (1, classes).
        constants: With the ranges of certainty, and the reliabilities to start with.
    """

    def draw(**weights: float) -> None:
        total = sum(weights.values())
        if total == 0:
            return  # nobody is asked
        ax = plt.subplots(figsize=(7, 1.6), layout="constrained")[1]
        end = 0.0
        for (name, weight), colour in zip(weights.items(), SERIES_COLOURS, strict=False):
            width = weight / total * float(scale_certainty(name, answers[name], constants)[0])
            ax.barh(0, width, left=end, color=colour, label=name)
            end += width
        confidence = float(score_confidence(answers, replace(constants, reliabilities=weights))[0])
        ax.set(xlim=(0, 1), yticks=(), xlabel="what each attribute adds")
        ax.set_title(f"confidence {confidence:.2f}", loc="left", fontweight="bold")
        ax.spines[["top", "right", "left"]].set_visible(False)
        ax.legend(frameon=False, ncols=len(weights), loc="upper right")
        show(ax, f"Confidence {confidence:.2f}, and what each attribute adds to it")

    sliders = {name: FloatSlider(round(constants.reliabilities[name], 2), min=0, max=1, step=0.01) for name in answers}
    return interactive(draw, **sliders)
