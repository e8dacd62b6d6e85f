import numpy as np
import pytest

from facekit.demo import MONTAGE_PLACES, MONTAGE_SIZE, make_montage


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
