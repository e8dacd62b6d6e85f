import matplotlib.pyplot as plt
import pytest

from facekit.plotting.display import show


def test_a_figure_is_shown_once_with_its_text(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    figure, ax = plt.subplots()
    for each in (ax, figure):
        show(each, "a line that rises")
    assert [picture.alt for picture in shown] == ["a line that rises"] * 2
    assert shown[0].data == shown[1].data
    assert shown[0].data.startswith(b"\x89PNG")
    assert not plt.fignum_exists(figure.number)  # or the notebook shows it again


def test_a_caption_stands_below(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    show(plt.subplots()[1], "a line", "Figure 1. Ages < 20.")
    assert shown[1].data == '<p class="caption">Figure 1. Ages &lt; 20.</p>'
