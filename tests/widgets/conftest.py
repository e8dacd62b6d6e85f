from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest

from facekit.widgets import explorers


@pytest.fixture
def shown(monkeypatch) -> Iterator[list[tuple]]:
    """Figures that were shown, each with its text."""
    backend = mpl.get_backend()
    plt.switch_backend("agg")
    figures = []
    monkeypatch.setattr(explorers, "show", lambda figure, alt: figures.append((figure, alt)))
    yield figures
    plt.close("all")
    plt.switch_backend(backend)
