import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np

from facekit.plotting import (
    plot_boxes,
    plot_levels,
)


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
