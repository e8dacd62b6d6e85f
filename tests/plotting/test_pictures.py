import matplotlib.pyplot as plt
import numpy as np

from facekit.plotting import (
    plot_pictures,
)


def get_texts(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def test_pictures_are_laid_out_in_rows_below_their_titles():
    pictures = np.zeros((5, 20, 10, 1), np.uint8)
    ax = plot_pictures(pictures, [f"face\n{number}" for number in range(5)], columns=3)
    assert len(ax.images) == 5
    assert len(get_texts(ax)) == 5
    tops = [image.get_extent()[3] for image in ax.images]
    assert tops[0] == tops[2] < tops[3]
    assert plot_pictures(np.zeros((0, 8, 8, 3), np.uint8), ax=ax) is ax
    empty = plot_pictures(np.zeros((0, 8, 8, 3), np.uint8))
    empty.figure.canvas.draw()
    assert [text.get_text() for text in empty.texts] == ["none"]
    assert plot_pictures(pictures, columns=3, inches=1).figure.get_figwidth() == 3
