import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd

from facekit.plotting import (
    plot_boxes,
    plot_levels,
)
from facekit.plotting.detection import plot_precision, plot_recall


def get_texts(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_levels_keep_their_sizes_and_maps_get_a_bar():
    picture, probabilities = np.zeros((6, 8, 3), np.uint8), np.full((3, 4), 0.5)
    ax = plt.subplots()[1]
    assert plot_levels([picture, probabilities], ["whole", "half"], ax=ax) is ax
    spans = [image.get_extent() for image in ax.images]
    assert [(right - left, bottom - top) for left, right, bottom, top in spans] == [(8, 6), (4, 3)]
    assert spans[1][0] >= spans[0][1]
    assert get_texts(ax) == ["whole", "half"]
    assert [axes.get_ylabel() for axes in ax.figure.axes] == ["", "probability"]
    plot_levels([picture])
    assert len(plt.gcf().axes) == 1
    plot_levels([])


def test_boxes_lie_where_they_are_given():
    landmarks = np.array([[[2, 2], [np.nan, np.nan]], [[5, 5], [6, 6]]])
    ax = plt.subplots()[1]
    boxes = np.array([[1, 2, 4, 6], [5, 5, 8, 8]])
    assert (
        plot_boxes(
            np.zeros((10, 12, 3), np.uint8),
            boxes,
            ["a", "b"],
            landmarks,
            ["#000000", "#D55E00"],
            ax=ax,
        )
        is ax
    )
    assert [patch.get_bbox().extents.tolist() for patch in ax.patches] == boxes.tolist()
    assert get_texts(ax) == ["a", "b"]
    assert [line.get_xydata().tolist() for line in ax.lines][1] == [[5, 5], [6, 6]]
    assert mpl.colors.to_hex(ax.patches[1].get_edgecolor()).upper() == "#D55E00"
    assert not plot_boxes(np.zeros((10, 12), np.uint8), boxes[:0]).patches


def test_recall_of_two_detectors_stands_side_by_side():
    groups = ["20 to 40", "40 and more"]
    figures = {"recall": [0.2, 0.6], "low": [0.1, 0.5], "high": [0.4, 0.9], "count": [7, 9]}
    table = pd.DataFrame(figures, index=groups)
    ax = plt.subplots()[1]
    assert plot_recall({"mtcnn": table, "yunet": table}, "height, pixels", ax=ax) is ax
    first, second = (container.lines[0].get_xydata() for container in ax.containers)
    assert first[:, 1].tolist() == second[:, 1].tolist() == [0.2, 0.6]
    assert (first[:, 0] < second[:, 0]).all()
    # The bars reach from the low to the high end.
    bars = ax.containers[0].lines[2][0].get_segments()
    np.testing.assert_allclose([bar[:, 1] for bar in bars], [[0.1, 0.4], [0.5, 0.9]])
    assert [label.get_text() for label in ax.get_xticklabels()] == [
        "20 to 40\n7 faces",
        "40 and more\n9 faces",
    ]
    assert [text.get_text() for text in ax.get_legend().get_texts()] == ["mtcnn", "yunet"]
    assert not plot_recall({}).containers


def test_precision_is_drawn_over_recall():
    curve = pd.DataFrame({"score": [0.9, 0.8], "recall": [0.5, 1.0], "precision": [1.0, 0.75]})
    ax = plt.subplots()[1]
    assert plot_precision({"mtcnn": curve, "yunet": curve[:0]}, ax=ax) is ax
    assert ax.lines[0].get_xydata().tolist() == [[0.5, 1.0], [1.0, 0.75]]
    assert len(ax.lines[1].get_xydata()) == 0
    assert (ax.get_xlabel(), ax.get_ylabel()) == ("recall", "precision")
    assert not plot_precision({}).lines
