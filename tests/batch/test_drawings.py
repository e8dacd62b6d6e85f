from pathlib import Path

import numpy as np
import pytest

from facekit.analysis import Analysis
from facekit.batch.drawings import FilmDrawing, draw_picture, is_own_drawing, read_mark
from facekit.faces import Faces
from facekit.images import read_image
from facekit.video import VideoWriter, read_frames


def make_analysis(name="p.jpg", size_hw=(640, 640)) -> Analysis:
    generator = np.random.default_rng(0)
    pixels = generator.integers(0, 256, (*size_hw, 3), np.uint8)
    return Analysis(name, Faces.empty(), (), pixels=pixels)


def test_a_drawing_is_recognized_while_it_is_unchanged(tmp_path):
    path = tmp_path / "p.jpg"
    draw_picture(make_analysis(), path)
    assert read_image(path).shape == (640, 640, 3)
    assert is_own_drawing(path, "p.jpg")
    assert not is_own_drawing(path, "other.jpg")
    content = bytearray(path.read_bytes())
    content[1000] ^= 1
    path.write_bytes(content)
    assert read_mark(path)
    assert not is_own_drawing(path, "p.jpg")


@pytest.mark.parametrize("content", [None, b"", b"short", b"long" * 100])
def test_other_files_have_no_mark(content, tmp_path):
    path = tmp_path / "p.jpg"
    if content is not None:
        path.write_bytes(content)
    assert read_mark(path) is None
    assert read_mark(tmp_path) is None


def test_a_picture_on_a_full_disk_leaves_the_old_file(small_disk):
    path = small_disk / "p.jpg"
    path.write_bytes(b"old")
    with pytest.raises(OSError, match=r"No space left on device: .*p\.jpg"):
        draw_picture(make_analysis(), path)
    assert path.read_bytes() == b"old"
    assert list(small_disk.iterdir()) == [path]


class TestFilms:
    def test_frames_come_back_and_the_mark_is_there(self, tmp_path):
        failures = []
        path = tmp_path / "deep" / "film.mp4"
        with FilmDrawing(path, "film.avi", 25, failures.append) as drawing:
            for _ in range(3):
                drawing.write(make_analysis())
        assert failures == []
        assert is_own_drawing(path, "film.avi")
        assert len(list(read_frames(path))) == 3

    def test_without_a_path_nothing_is_written(self, tmp_path, monkeypatch):
        monkeypatch.chdir(tmp_path)
        with FilmDrawing(None, "film.avi", 25, print) as drawing:
            drawing.write(make_analysis())
        assert not any(tmp_path.iterdir())

    @pytest.mark.parametrize("size_hw", [(700, 640), (640, 700)])
    def test_frames_of_two_sizes_are_one_failure(self, size_hw, tmp_path):
        failures = []
        with FilmDrawing(tmp_path / "film.mp4", "film.avi", 25, failures.append) as drawing:
            for shape in ((640, 640), size_hw, size_hw):
                drawing.write(make_analysis(size_hw=shape))
        assert len(failures) == 1
        assert "like the first frame" in str(failures[0])
        assert list(tmp_path.iterdir()) == []

    def test_a_full_disk_is_one_failure(self, small_disk):
        failures = []
        with FilmDrawing(small_disk / "film.mp4", "film.avi", 25, failures.append) as drawing:
            for _ in range(5):
                drawing.write(make_analysis())
        assert len(failures) == 1
        assert "film.mp4" in str(failures[0])
        assert list(small_disk.iterdir()) == []

    def test_an_interruption_leaves_the_old_file(self, tmp_path):
        path = tmp_path / "film.mp4"
        path.write_bytes(b"old")
        with (
            pytest.raises(KeyboardInterrupt),
            FilmDrawing(path, "film.avi", 25, [].append) as drawing,
        ):
            drawing.write(make_analysis())
            raise KeyboardInterrupt
        assert path.read_bytes() == b"old"

    def test_the_users_own_videos_have_no_mark(self, tmp_path):
        with VideoWriter(tmp_path / "film.mp4", 25) as writer:
            writer.write(np.zeros((48, 64, 3), np.uint8))
        assert read_mark(Path(tmp_path / "film.mp4")) is None
