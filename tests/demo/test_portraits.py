import numpy as np
import pytest

from facekit import FaceAnalyzer
from facekit.demo import MONTAGE_PLACES, MONTAGE_SIZE, make_film, make_montage
from facekit.video import read_frames


def make_noise(size_hw: tuple[int, int], seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).integers(0, 256, (*size_hw, 3), dtype=np.uint8)


def test_portraits_come_with_the_dependencies(portraits):
    assert {name: picture.shape for name, picture in portraits.items()} == {
        "astronaut.png": (512, 512, 3),
        "grace_hopper.jpg": (600, 512, 3),
        "group.jpg": (*MONTAGE_SIZE[::-1], 3),
    }
    for picture in portraits.values():
        assert picture.dtype == np.uint8
        assert picture.std() > 20  # it shows something


@pytest.mark.parametrize("sizes_hw", [[(300, 330)], [(300, 330), (600, 512)], [(50, 40)] * 9])
def test_a_montage_has_its_size_whatever_it_is_made_of(sizes_hw):
    montage = make_montage([make_noise(size_hw, seed) for seed, size_hw in enumerate(sizes_hw)])
    assert montage.shape == (800, 1200, 3)
    assert montage.dtype == np.uint8


def test_a_montage_repeats_itself_and_leaves_its_portraits_alone():
    portraits = [make_noise((60, 50), seed) for seed in range(2)]
    first, second = make_montage(portraits), make_montage(portraits)
    np.testing.assert_array_equal(first, second)
    np.testing.assert_array_equal(portraits[0], make_noise((60, 50), 0))
    assert (first != make_montage(portraits[::-1])).any()


def test_a_montage_shows_portraits_on_grey():
    montage = make_montage([np.full((40, 40, 3), 255, np.uint8), np.zeros((40, 40, 3), np.uint8)])
    assert tuple(montage[0, 0]) == (120, 125, 130)
    for index, (left, top, width, _) in enumerate(MONTAGE_PLACES[:3]):
        shade = 0 if index % 2 else 255  # in turn
        assert (montage[top + width // 2, left + width // 2] == shade).all()


def test_a_film_and_what_is_true_of_it(tmp_path):
    truth = make_film(tmp_path / "film.mp4", seconds=2.5, frames_per_second=10)
    frames = [pixels for _, pixels in read_frames(tmp_path / "film.mp4")]
    assert len(frames) == len(truth) == 25
    assert frames[0].shape == (360, 640, 3)
    assert truth["emotion"].tolist() == ["neutral"] * 20 + ["happiness"] * 5
    last = FaceAnalyzer(("emotion",), min_face_size=60).analyze(frames[-1])
    left = last.faces.boxes_xyxy[:, 2] < 320
    assert left.sum() == 1
    assert last.profiles[int(left.argmax())].emotion == "happiness"


def test_a_film_is_the_same_for_a_seed(tmp_path):
    films = []
    for name, seed in (("a", 0), ("b", 0), ("c", 1)):
        make_film(tmp_path / f"{name}.mp4", seconds=0.2, frames_per_second=10, seed=seed)
        films.append((tmp_path / f"{name}.mp4").read_bytes())
    assert films[0] == films[1] != films[2]
