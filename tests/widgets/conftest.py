import io
from collections.abc import Iterator

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

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


@pytest.fixture(scope="module")
def contents(portraits) -> dict[str, bytes]:
    """What the files hold that a user uploads: good and broken pictures."""

    def encode(pixels: np.ndarray, form: str) -> bytes:
        file = io.BytesIO()
        Image.fromarray(pixels).save(file, form)
        return file.getvalue()

    portrait = encode(portraits["astronaut.png"], "JPEG")
    return {
        "portrait.jpg": portrait,
        "plain.png": encode(np.full((40, 60, 3), 90, np.uint8), "PNG"),
        "cut.jpg": portrait[:9000],
        "empty.png": b"",
        "notes.txt": b"no picture",
    }
