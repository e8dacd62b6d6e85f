import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from facekit.plotting import (
    plot_answers,
    plot_confidence,
    plot_lifts,
)


def get_texts(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_lifts_are_written_into_their_cells():
    lifts = pd.DataFrame([[9.0, 1.0], [0.01, 2.5]], ["0-2", "3-9"], ["female", "male"])
    ax = plt.subplots()[1]
    assert plot_lifts(lifts, ax=ax) is ax
    assert get_texts(ax) == ["9.00", "1.00", "0.01", "2.50"]
    assert [label.get_text() for label in ax.get_xticklabels()] == ["female", "male"]
    assert [text.get_color() for text in ax.texts] == ["black", "black", "white", "black"]


@pytest.mark.parametrize(("attribute", "classes"), [("age", 101), ("emotion", 7)])
def test_answers_stand_beside_each_other(attribute, classes):
    answers = {"before": np.full(classes, 1 / classes), "after": np.eye(classes)[0]}
    ax = plt.subplots()[1]
    assert plot_answers(attribute, answers, ax=ax) is ax
    assert ax.get_title(loc="left") == attribute
    drawn = [line.get_ydata().tolist() for line in ax.lines] or [
        [bar.get_width() for bar in bars] for bars in ax.containers
    ]
    assert drawn == [answer.tolist() for answer in answers.values()]
    plot_answers(attribute, {})


def test_confidence_is_laid_end_to_end():
    ax = plt.subplots()[1]
    assert plot_confidence({"age": 0.25, "gender": 0.5}, ax=ax) is ax
    assert [(bars[0].get_x(), bars[0].get_width()) for bars in ax.containers] == [
        (0, 0.25),
        (0.25, 0.5),
    ]
    assert ax.get_title(loc="left") == "confidence 0.75"
    plot_confidence({"age": 0.0})
