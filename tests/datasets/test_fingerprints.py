"""What is kept of each picture while it is decoded once."""

import hashlib
import os

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.datasets import fingerprints
from facekit.datasets.fingerprints import (
    THUMBNAIL_SIDE,
    _make_thumbnail,
    leave_out_outside,
    leave_out_unreadable,
    take_fingerprint,
    take_fingerprints,
)
from facekit.images import ImageError


@pytest.fixture
def decoded(monkeypatch) -> list[str]:
    """Names of the pictures that are decoded from now on."""
    names, decode = [], fingerprints.decode_image
    monkeypatch.setattr(
        fingerprints,
        "decode_image",
        lambda content, name: names.append(name) or decode(content, name),
    )
    return names


def test_hash_and_thumbnail(save_noise, tmp_path):
    path = save_noise(tmp_path / "a.png", 0)
    fingerprint = take_fingerprint(str(path))
    assert fingerprint.is_readable
    assert fingerprint.sha256 == hashlib.sha256(path.read_bytes()).hexdigest()
    assert fingerprint.thumbnail.shape == (THUMBNAIL_SIDE**2,)
    assert np.linalg.norm(fingerprint.thumbnail) == pytest.approx(1)
    assert fingerprint.thumbnail.mean() == pytest.approx(0, abs=1e-6)


def test_unreadable_pictures_resemble_nothing_and_plain_ones_each_other(tmp_path):
    (tmp_path / "broken.jpg").write_text("no picture")
    for name in ("broken.jpg", "missing.jpg"):
        fingerprint = take_fingerprint(str(tmp_path / name))
        assert not fingerprint.is_readable
        assert name in fingerprint.problem
        assert not fingerprint.thumbnail.any()
    assert take_fingerprint(str(tmp_path / "missing.jpg")).sha256 == ""
    black, grey = (_make_thumbnail(np.full((9, 9, 3), value, np.uint8)) for value in (0, 90))
    assert black @ grey == pytest.approx(1)


def test_a_picture_is_decoded_again_only_if_its_file_changes(save_noise, decoded, tmp_path):
    path = save_noise(tmp_path / "a.png", 0)
    first = take_fingerprint(str(path))
    assert take_fingerprint(str(path)) is first
    assert len(decoded) == 1
    save_noise(path, 1)
    os.utime(path, ns=(0, 0))
    assert take_fingerprint(str(path)).sha256 != first.sha256
    assert len(decoded) == 2


def test_what_is_remembered_is_bounded(save_noise, decoded, monkeypatch, tmp_path):
    monkeypatch.setattr(fingerprints, "REMEMBERED", 2)
    monkeypatch.setattr(fingerprints, "_remembered", {})
    paths = [str(save_noise(tmp_path / f"{seed}.png", seed)) for seed in range(5)]
    assert len(take_fingerprints(paths)) == 5
    assert len(fingerprints._remembered) <= 2


def test_faces_of_unreadable_pictures_are_left_out(save_noise, tmp_path):
    paths = [str(save_noise(tmp_path / f"{seed}.png", seed)) for seed in range(3)]
    (tmp_path / "1.png").write_bytes(b"")
    manifest = pd.DataFrame({"path": [paths[0], paths[1], paths[1], paths[2]]})
    with pytest.warns(UserWarning, match=r"2 of 4 faces are left out, because 1 pictures .*1\.png"):
        kept = leave_out_unreadable(manifest)
    assert kept["path"].tolist() == [paths[0], paths[2]]
    assert kept.index.tolist() == [0, 1]
    assert leave_out_unreadable(kept) is kept
    with pytest.raises(ImageError, match="None of the 1 pictures can be read"):
        leave_out_unreadable(manifest[1:3])


def test_faces_whose_box_lies_outside_are_left_out(save_noise, tmp_path):
    path = str(save_noise(tmp_path / "0.png", 0))
    rows = [(-5, -5, 5, 5), (500, 0, 600, 9), (0, 500, 9, 600), (-9, 0, 0, 9), [np.nan] * 4]
    manifest = pd.DataFrame(rows, columns=["x1", "y1", "x2", "y2"]).assign(path=path)
    with pytest.warns(UserWarning, match=r"3 of 5 boxes lie outside their picture: .*0\.png\. "):
        kept = leave_out_outside(manifest)
    assert kept["x1"].fillna(0).tolist() == [-5, 0]
    assert leave_out_outside(kept) is kept
    assert leave_out_outside(manifest[:0]).empty
    with pytest.raises(ValueError, match=r"1 of 1 boxes lie outside .* correct them"):
        leave_out_outside(manifest[1:2])


def test_a_16_bit_picture_has_a_thumbnail(tmp_path):
    values = np.random.default_rng(0).integers(0, 65535, (20, 20), dtype=np.uint16)
    Image.fromarray(values).save(tmp_path / "deep.png")
    assert take_fingerprint(str(tmp_path / "deep.png")).thumbnail.any()
