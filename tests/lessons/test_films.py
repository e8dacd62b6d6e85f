import numpy as np
import pytest

from facekit.lessons import ParameterError, films, read_film
from facekit.video import VideoWriter


@pytest.fixture
def film(tmp_path):
    with VideoWriter(tmp_path / "film.mp4", 10) as writer:
        for _ in range(4):
            writer.write(np.zeros((48, 64, 3), np.uint8))
    return tmp_path / "film.mp4"


def test_frames(film):
    assert read_film(film).shape == (4, 48, 64, 3)


def test_long_and_large_films_are_bounded(film, monkeypatch):
    monkeypatch.setattr(films, "MOST_FRAMES", 2)
    monkeypatch.setattr(films, "LONGEST_SIDE", 32)
    assert read_film(film).shape == (2, 24, 32, 3)


def test_films_that_do_not_fit(film, tmp_path):
    with pytest.raises(ParameterError, match=r"`source` must be a film of at least 5 .* it has 4"):
        read_film(film, at_least=5)
    with pytest.raises(ParameterError, match=r"`clip` cannot be used: .*gone.mp4: no such file"):
        read_film(tmp_path / "gone.mp4", parameter="clip")
