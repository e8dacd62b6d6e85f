import numpy as np
import pytest

from facekit.features import (
    CELL,
    DIRECTIONS,
    PATTERNS,
    compute_hog,
    compute_lbp,
    compute_thumbnails,
    compute_wavelets,
)


@pytest.fixture
def crops() -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (3, 64, 64, 1), np.uint8)


@pytest.mark.parametrize(
    ("compute", "features"),
    [
        (compute_hog, 7 * 7 * 4 * 8),
        (compute_lbp, 64 * 10),
        (compute_wavelets, 256),
        (compute_thumbnails, 12 * 12),
    ],
)
def test_a_row_a_face(compute, features, crops):
    rows = compute(crops)
    assert rows.shape == (3, features)
    assert rows.dtype == np.float32
    np.testing.assert_allclose(compute(crops[1:2])[0], rows[1], atol=1e-6)


@pytest.mark.parametrize(
    "compute", [compute_hog, compute_lbp, compute_wavelets, compute_thumbnails]
)
def test_no_faces_no_rows(compute, crops):
    assert len(compute(crops[:0])) == 0


def test_hog_tells_the_direction_of_edges():
    upright = np.zeros((1, 64, 64, 1), np.uint8)
    upright[:, :, 32:] = 255
    sums = [
        compute_hog(crops).reshape(-1, DIRECTIONS).sum(axis=0).argmax()
        for crops in (upright, upright.swapaxes(1, 2))
    ]
    assert abs(sums[0] - sums[1]) == DIRECTIONS // 2  # a right angle


def test_lbp_does_not_mind_brightness(crops):
    dark, light = compute_lbp(crops // 2), compute_lbp(crops // 2 + 100)
    assert (
        np.abs(dark - light).mean() < 0.2 * np.abs(dark - dark[::-1]).mean()
    )  # equal but for ties among rounded neighbours
    np.testing.assert_allclose(
        compute_lbp(crops).reshape(3, -1, PATTERNS).sum(axis=2), 1, atol=1e-6
    )
    assert compute_lbp(crops[:, : 2 * CELL, :CELL]).shape == (3, 2 * PATTERNS)


def test_wavelets_of_a_plain_crop_are_its_mean_alone():
    rows = compute_wavelets(np.full((1, 64, 64, 1), 51, np.uint8))
    np.testing.assert_allclose(rows[0, :16], 51 / 255 * 16)  # each halving doubles it
    np.testing.assert_allclose(rows[0, 16:], 0, atol=1e-6)


def test_thumbnails_keep_colours_and_lose_form():
    crops = np.zeros((1, 64, 64, 3), np.uint8)
    crops[:, ::2] = (200, 100, 50)  # stripes finer than a thumbnail's pixel
    colours = compute_thumbnails(crops, 8).reshape(8, 8, 3)
    np.testing.assert_allclose(
        colours, np.broadcast_to(np.array((100, 50, 25)) / 255, (8, 8, 3)), atol=1e-6
    )
