"""Crops of a manifest's faces: cut as analysis cuts them, kept, and cut again when they must."""

import os
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facekit.datasets import crops as crops_module
from facekit.datasets.crops import (
    CROP_SIDE,
    PREPROCESSING_VERSION,
    locate_within,
    name_cache,
    prepare_crops,
    score_faces,
)
from facekit.datasets.manifest import BOX, make_manifest
from facekit.detection import locate_face
from facekit.images import ImageError, cut_crops, read_image


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
    assert crops.shape == (3, CROP_SIDE, CROP_SIDE, 1)
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
    for path in paths:  # unreadable now, so that reading again would fail
        state = path.stat()
        path.write_bytes(bytes(state.st_size))
        os.utime(path, ns=(state.st_atime_ns, state.st_mtime_ns))
    kept_crops, kept_scores = prepare_crops(manifest, cache)
    np.testing.assert_array_equal(kept_crops, crops)
    np.testing.assert_array_equal(kept_scores, scores)
    others = [
        save_noise(tmp_path / name, seed)
        for seed, name in enumerate(("a.jpg", "b.jpg", "d.jpg", "e.jpg"))
    ]
    crops, scores = prepare_crops(list_images(others), cache)
    assert crops.shape == (4, CROP_SIDE, CROP_SIDE, 1)
    assert scores.shape == (4,)
    np.testing.assert_array_equal(prepare_crops(list_images(others), cache)[0], crops)


def test_colour_crops_show_the_same_faces(paths, tmp_path):
    crops, scores = prepare_crops(list_images(paths), tmp_path / "mine.npz", side=24, channels=3)
    assert crops.shape == (3, 24, 24, 3)
    assert crops.dtype == np.uint8
    assert scores[2] > 0.9
    for path, crop in zip(paths, crops, strict=True):
        image = read_image(path)
        np.testing.assert_array_equal(crop, cut_crops(image, locate_face(image), 24, channels=3)[0])


def test_crops_of_another_form_are_cut_anew(paths, tmp_path):
    manifest = list_images(paths[:1])
    for channels in (1, 3):
        assert prepare_crops(manifest, tmp_path / "mine.npz", 24, channels)[0].shape == (
            1,
            24,
            24,
            channels,
        )


def test_each_form_has_a_cache_of_its_own(tmp_path):
    names = {
        name_cache(tmp_path, name, side, channels)
        for name in ("mine", "yours")
        for side in (24, 64)
        for channels in (1, 3)
    }
    assert len(names) == 8
    assert name_cache(tmp_path, "mine", 64, 3) == tmp_path / "prepared" / "mine-64x3.npz"


def test_a_missing_image_is_named(paths, tmp_path):
    manifest = list_images(paths)
    paths[1].unlink()
    with pytest.raises(FileNotFoundError, match=r"b\.jpg: no such file; 1 images are missing"):
        prepare_crops(manifest, tmp_path / "mine.npz")


def test_an_unreadable_image_is_named_and_scored_as_unknown(paths, tmp_path):
    manifest = list_images(paths)
    paths[0].write_bytes(paths[0].read_bytes()[:300])
    with pytest.raises(ImageError, match=r"a\.jpg: the picture cannot be read, as 1 in all"):
        prepare_crops(manifest, tmp_path / "mine.npz")
    scores = score_faces(manifest, tmp_path / "mine.npz")
    assert np.isnan(scores).tolist() == [True, False, False]
    assert scores[2] > 0.9


class TestCache:
    """It is used only if it is whole, of this version, and of these files."""

    @pytest.fixture
    def cache(self, paths, tmp_path) -> Path:
        prepare_crops(list_images(paths[:2]), tmp_path / "mine.npz", 24)
        return tmp_path / "mine.npz"

    @staticmethod
    def is_cut_again(paths, cache) -> bool:
        before = cache.stat().st_mtime_ns
        crops, scores = prepare_crops(list_images(paths[:2]), cache, 24)
        assert crops.shape == (2, 24, 24, 1)
        assert scores.tolist() == [0, 0]
        return cache.stat().st_mtime_ns != before

    @pytest.mark.parametrize("kept_bytes", [0, 10, 500, -30])
    def test_a_cut_off_file_is_cut_again_with_a_warning(self, kept_bytes, paths, cache):
        cache.write_bytes(cache.read_bytes()[:kept_bytes])
        with pytest.warns(UserWarning, match=r"mine\.npz: the kept faces are damaged .* cut again"):
            assert self.is_cut_again(paths, cache)
        assert not self.is_cut_again(paths, cache)

    def test_parts_of_different_length_are_cut_again(self, paths, cache):
        with np.load(cache) as kept:
            parts = {**kept, "crops": kept["crops"][:1]}
        np.savez(cache, **parts)
        with pytest.warns(UserWarning, match="its parts differ in length"):
            assert self.is_cut_again(paths, cache)

    def test_another_file_is_cut_again_with_a_warning(self, paths, cache):
        cache.write_text("no archive")
        with pytest.warns(UserWarning, match="damaged"):
            assert self.is_cut_again(paths, cache)

    def test_another_version_is_cut_again(self, paths, cache, monkeypatch):
        assert not self.is_cut_again(paths, cache)
        monkeypatch.setattr(crops_module, "PREPROCESSING_VERSION", PREPROCESSING_VERSION + 1)
        assert self.is_cut_again(paths, cache)

    def test_a_changed_picture_of_the_same_size_is_cut_again(self, paths, cache):
        content = paths[0].read_bytes()
        paths[0].write_bytes(content)
        os.utime(paths[0], ns=(0, 0))
        assert self.is_cut_again(paths, cache)

    def test_a_failed_write_leaves_the_old_file(self, paths, cache, monkeypatch):
        old = cache.read_bytes()

        def fail(file, **_):
            Path(file).write_bytes(b"half")
            raise OSError(28, "No space left on device")

        monkeypatch.setattr(np, "savez", fail)
        with pytest.raises(OSError, match=r"No space left on device: '.*mine\.npz'"):
            prepare_crops(list_images(paths[:1]), cache, 24)
        assert cache.read_bytes() == old
        assert sorted(path.name for path in cache.parent.glob("*.npz")) == ["mine.npz"]


def test_more_faces_than_one_process_cuts(paths, tmp_path, monkeypatch):
    manifest = list_images(paths)
    expected = prepare_crops(manifest, tmp_path / "one.npz", 24)
    monkeypatch.setattr(crops_module, "CHUNK", 2)
    crops, scores = prepare_crops(manifest, tmp_path / "two.npz", 24)
    np.testing.assert_array_equal(crops, expected[0])
    np.testing.assert_array_equal(scores, expected[1])


class TestBoxes:
    BOXES = (
        (923, 211, 1025, 342),
        (450, 507, 550, 641),
        (2, 2, 40, 40),
    )  # in the portrait of six: two faces, and none

    @pytest.fixture
    def group(self, portraits, tmp_path) -> Path:
        Image.fromarray(portraits["group.jpg"]).save(tmp_path / "group.png")
        return tmp_path / "group.png"

    def test_the_faces_of_an_image_are_cut_about_their_boxes(self, group, tmp_path):
        rows = [{"path": str(group), **dict(zip(BOX, box, strict=True))} for box in self.BOXES]
        crops, scores = prepare_crops(make_manifest(rows, "mine"), tmp_path / "mine.npz")
        image = read_image(group)
        for box, crop in zip(self.BOXES, crops, strict=True):
            face = locate_within(image, np.array(box, np.float32))
            np.testing.assert_array_equal(crop, cut_crops(image, face, CROP_SIDE)[0])
        assert (scores[:2] > 0.9).all()
        assert scores[2] == 0

    def test_a_face_is_found_where_its_box_is(self, group):
        image = read_image(group)
        for box in np.array(self.BOXES[:2], np.float32):
            face = locate_within(image, box)
            assert np.abs(face.boxes_xyxy[0] - box).max() < 12
            assert (face.landmarks_xy[0] > box[:2]).all()
            assert (face.landmarks_xy[0] < box[2:]).all()

    @pytest.mark.parametrize(
        "box",
        [(2, 2, 40, 40), (-50, -50, -10, -10), (5000, 10, 5001, 12), (10.2, 10.2, 10.4, 10.4)],
    )
    def test_a_box_without_a_face_is_taken_as_it_is(self, box, group):
        face = locate_within(read_image(group), np.array(box, np.float32))
        np.testing.assert_allclose(face.boxes_xyxy, [box])
        assert face.scores.tolist() == [0]
        assert np.isnan(face.landmarks_xy).all()
        assert cut_crops(read_image(group), face, CROP_SIDE).shape == (1, CROP_SIDE, CROP_SIDE, 1)

    def test_other_boxes_make_another_cache(self, group, tmp_path):
        cache = tmp_path / "mine.npz"
        for box in self.BOXES[:2]:
            crops, _ = prepare_crops(
                make_manifest([{"path": str(group), **dict(zip(BOX, box, strict=True))}], "mine"),
                cache,
            )
            with np.load(cache) as kept:
                form, *names = kept["names"].tolist()
                assert form == f"version {PREPROCESSING_VERSION}, {CROP_SIDE}x{CROP_SIDE}x1"
                assert len(names) == 1
                assert names[0].startswith(f"{group.parent.name}/group.png {group.stat().st_size} ")
                assert names[0].endswith(" ".join(map(str, box)))
                np.testing.assert_array_equal(kept["crops"], crops)

    def test_rows_that_are_alike_are_cut_once(self, paths, tmp_path):
        cache = tmp_path / "mine.npz"
        manifest = list_images(paths)
        once, scores = prepare_crops(manifest, cache)
        written = cache.stat().st_mtime_ns
        order = [0, 0, 1, 2, 2, 1]
        again, again_scores = prepare_crops(manifest.loc[order], cache)
        assert cache.stat().st_mtime_ns == written
        np.testing.assert_array_equal(again, once[order])
        np.testing.assert_array_equal(again_scores, scores[order])
        with np.load(cache) as kept:
            assert len(kept["names"]) == 1 + len(paths)
