from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facekit.datasets.crops import CROP_SIDE, prepare_crops
from facekit.datasets.manifest import make_manifest
from facekit.detection import locate_face
from facekit.images import cut_crops, read_image


@pytest.fixture
def paths(save_noise, portraits, tmp_path) -> list[Path]:
    """Noise, in which nobody is found, and a portrait."""
    portrait = tmp_path / "c.png"
    Image.fromarray(portraits["astronaut.png"][:260, 100:360]).save(portrait)
    return [save_noise(tmp_path / "a.jpg", 0), save_noise(tmp_path / "b.jpg", 1), portrait]


def list_images(paths: list[Path]):
    return make_manifest([{"path": str(path), "gender": "female"} for path in paths], "mine")


def test_faces_are_cut_as_analysis_cuts_them(paths, tmp_path):
    crops, scores = prepare_crops(list_images(paths), tmp_path / "cache" / "mine.npz")
    assert crops.shape == (3, CROP_SIDE, CROP_SIDE)
    assert crops.dtype == np.uint8
    assert scores.dtype == np.float32
    assert scores[:2].tolist() == [0, 0]
    assert scores[2] > 0.9
    for path, crop in zip(paths, crops, strict=True):
        image = read_image(path)
        np.testing.assert_array_equal(crop, cut_crops(image, locate_face(image), CROP_SIDE)[0])


def test_the_cache_is_taken_until_the_list_changes(paths, save_noise, tmp_path):
    cache = tmp_path / "mine.npz"
    manifest = list_images(paths)
    crops, scores = prepare_crops(manifest, cache)
    for path in paths:
        path.write_bytes(bytes(path.stat().st_size))  # unreadable now, so that reading again would fail
    kept_crops, kept_scores = prepare_crops(manifest, cache)
    np.testing.assert_array_equal(kept_crops, crops)
    np.testing.assert_array_equal(kept_scores, scores)
    others = [save_noise(tmp_path / name, seed) for seed, name in enumerate(("a.jpg", "b.jpg", "d.jpg", "e.jpg"))]
    crops, scores = prepare_crops(list_images(others), cache)
    assert crops.shape == (4, CROP_SIDE, CROP_SIDE)
    assert scores.shape == (4,)
    np.testing.assert_array_equal(prepare_crops(list_images(others), cache)[0], crops)


def test_a_missing_image_is_named(paths, tmp_path):
    manifest = list_images(paths)
    paths[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.jpg"):
        prepare_crops(manifest, tmp_path / "mine.npz")
    assert not (tmp_path / "mine.npz").exists()
