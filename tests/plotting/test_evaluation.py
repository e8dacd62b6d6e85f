import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from facekit.evaluation.metrics import tabulate_thresholds
from facekit.plotting import (
    plot_age_errors,
    plot_calibration,
    plot_confusion,
    plot_groups,
    plot_roc,
    plot_separation,
    plot_thresholds,
)


def get_texts(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_age_errors_have_their_intervals_and_bias():
    table = pd.DataFrame(
        {
            "count": [5, 3],
            "off": [2.0, 6.0],
            "low": [1.0, 3.0],
            "high": [2.5, 8.0],
            "bias": [1.0, -4.0],
        },
        ["0-2", "66+"],
    )
    ax = plt.subplots()[1]
    assert plot_age_errors(table, ax=ax) is ax
    assert [bar.get_height() for bar in ax.patches] == [1, -4]
    (segments,) = [
        container.lines[2][0].get_segments()
        for container in ax.containers
        if hasattr(container, "lines")
    ]
    assert [segment[:, 1].tolist() for segment in segments] == [[1, 2.5], [3, 8]]
    plot_age_errors(table.iloc[:0])


def test_roc_draws_each_curve_and_the_diagonal():
    ax = plt.subplots()[1]
    assert plot_roc({"gender": (np.array([0, 0, 1]), np.array([0, 1, 1]))}, ax=ax) is ax
    assert [line.get_xydata().tolist() for line in ax.lines] == [
        [[0, 0], [1, 1]],
        [[0, 0], [0, 1], [1, 1]],
    ]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["gender"]
    plot_roc({})


def test_histograms_part_a_label_from_the_others():
    probabilities, is_positive = np.array([0.1, 0.2, 0.9]), np.array([False, True, True])
    ax = plt.subplots()[1]
    assert plot_separation(probabilities, is_positive, "male", 0.5, ax=ax) is ax
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["not male", "male"]
    assert ax.lines[0].get_xdata() == [0.5, 0.5]
    assert not plot_separation(probabilities, is_positive, "male").lines


def test_thresholds_have_a_line_a_share():
    table = tabulate_thresholds(
        np.array([0.1, 0.8, 0.9]), np.array([False, True, False]), (0.0, 0.5, 1.0)
    )
    ax = plt.subplots()[1]
    assert plot_thresholds(table, 0.5, ax=ax) is ax
    predicted = [text.get_text() for text in ax.get_legend().get_texts()]
    assert predicted == [
        "accuracy 66.7%",
        "precision 50.0%",
        "recall 100.0%",
        "false positive rate 50.0%",
    ]
    no_rate = [text.get_text() for text in plot_thresholds(table, 1.0).get_legend().get_texts()]
    assert no_rate[1] == "precision"
    assert len(plot_thresholds(table).lines) == 4


def test_a_confusion_matrix_has_its_shares_written_in():
    ax = plt.subplots()[1]
    shares = pd.DataFrame(
        [[0.9, 0.1], [0.25, 0.75]], index=["fear", "anger"], columns=["fear", "anger"]
    )
    assert plot_confusion(shares, ax=ax) is ax
    assert get_texts(ax) == ["90%", "10%", "25%", "75%"]
    assert [label.get_text() for label in ax.get_yticklabels()] == ["fear", "anger"]


SHARES = pd.DataFrame(
    {
        "count": [4, 9],
        "share": [0.5, 0.9],
        "low": [0.2, 0.6],
        "high": [0.8, 1.0],
        "probability": [0.6, 0.9],
    },
    index=["fear", "anger"],
)


@pytest.mark.parametrize("plot", [plot_calibration, plot_groups])
def test_tables_on_the_same_axes_have_colours_of_their_own(plot):
    ax = plot(SHARES, "one")
    assert plot(SHARES, "two", ax=ax) is ax
    assert [label for label in ax.get_legend_handles_labels()[1] if label != "calibrated"] == [
        "one",
        "two",
    ]
    colours = [container.lines[0].get_color() for container in ax.containers]
    assert len(set(colours)) == 2
