import numpy as np
import pytest

from facekit.fusion import FusionConstants
from facekit.taxonomy import LABELS
from facekit.widgets import fusion
from facekit.widgets.controls import Slider

CONSTANTS = FusionConstants(
    temperatures={"age": 1.0, "gender": 1.0},
    reliabilities={"age": 0.6, "gender": 0.9},
    certainty_ranges={"age": (0.0, 1.0), "gender": (0.5, 1.0)},
    lifts={("age", "gender"): np.full((7, 2), [0.5, 2.0])},
    strength=0.25,
)
ANSWERS = {"age": np.full((1, 101), 1 / 101), "gender": np.array([[0.5, 0.5]])}


def get_sliders(widget) -> dict[str, Slider]:
    return {
        slider.description.removeprefix("weight of "): slider for slider in widget.kwargs_widgets
    }


@pytest.mark.parametrize("attribute", ["age", "emotion"])
def test_temperature(attribute, shown):
    answer = np.linspace(1, 2, len(LABELS[attribute]))
    widget = fusion.explore_temperature(attribute, answer / answer.sum(), 0.8)
    slider = get_sliders(widget)["temperature"]
    assert slider.value == pytest.approx(0.8)
    slider.value = 2.0
    widget.update()
    assert shown[-1][1].startswith(
        f"Certainty of {attribute}, as predicted and at temperature 2.00: "
    )
    assert [text.get_text() for text in shown[-1][0].get_legend().get_texts()] == [
        fusion.BEFORE,
        "at 2.00",
    ]


def test_strength(shown):
    widget = fusion.explore_strength(ANSWERS, CONSTANTS)
    slider = get_sliders(widget)["strength"]
    assert slider.value == 0.25
    for strength, male in ((0.0, 0.5), (1.0, 0.8)):
        slider.value = strength
        widget.update()
        bars = shown[-1][0].axes[1].containers[1]
        assert bars[1].get_width() == pytest.approx(male)


def test_confidence(shown, capsys):
    widget = fusion.explore_confidence(ANSWERS | {"gender": np.array([[0.9, 0.1]])}, CONSTANTS)
    sliders = get_sliders(widget)
    assert {name: slider.value for name, slider in sliders.items()} == CONSTANTS.reliabilities
    sliders["age"].value = 0.0
    widget.update()
    assert (
        shown[-1][1] == "Confidence 0.80: age adds 0.00, gender adds 0.80."
    )  # gender alone, which lies at 0.8 of its range
    assert sum(bars[0].get_width() for bars in shown[-1][0].containers) == pytest.approx(0.8)
    before = len(shown)
    sliders["gender"].value = 0.0
    widget.update()
    assert len(shown) == before
    assert "All weights are 0: give at least one attribute a weight." in capsys.readouterr().out
