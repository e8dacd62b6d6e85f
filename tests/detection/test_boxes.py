import numpy as np
import pytest

from facekit.detection.boxes import (
    NMS_BLOCK,
    apply_offsets,
    clip_boxes,
    compute_overlaps,
    make_square,
    sample_crops,
    suppress_non_maxima,
)

SQUARE = (0, 0, 10, 10)


def make_boxes(*boxes):
    return np.array(boxes, np.float32).reshape(-1, 4)


def make_random_boxes(count, side, generator):
    """Boxes on whole pixels of a picture of that side, so that some are equal and many overlap."""
    corners = generator.integers(0, side, (count, 2))
    return np.concatenate(
        [corners, corners + generator.integers(1, 40, (count, 2))], axis=1
    ).astype(np.float32)


def suppress_one_by_one(boxes, scores, threshold, method):
    """The rule as the docstring of `suppress_non_maxima` says it, without a thought for speed."""
    ranked = sorted(range(len(boxes)), key=lambda index: -scores[index])
    overlaps = compute_overlaps(boxes, boxes, method)
    return [
        index
        for rank, index in enumerate(ranked)
        if not any(overlaps[better, index] > threshold for better in ranked[:rank])
    ]


@pytest.mark.parametrize(
    ("other", "union", "minimum"),
    [
        (SQUARE, 1, 1),
        ((0, 0, 5, 10), 0.5, 1),  # inside, half
        ((5, 0, 15, 10), 1 / 3, 0.5),
        ((5, 5, 25, 25), 25 / 475, 0.25),
        ((10, 0, 20, 10), 0, 0),  # touching
        ((50, 50, 60, 60), 0, 0),
        ((5, 5, 5, 5), 0, 0),  # without an area
        ((8, 8, 2, 2), 0, 0),  # inside out
    ],
)
def test_overlap_of_two_boxes(other, union, minimum):
    boxes, others = make_boxes(SQUARE), make_boxes(other)
    assert compute_overlaps(boxes, others).item() == pytest.approx(union)
    assert compute_overlaps(others, boxes, "minimum").item() == pytest.approx(minimum)


def test_overlaps_have_a_row_a_box_and_a_column_an_other():
    boxes, others = (
        make_boxes(SQUARE, (5, 5, 5, 5)),
        make_boxes(SQUARE, (0, 0, 5, 10), (5, 5, 5, 5)),
    )
    np.testing.assert_allclose(compute_overlaps(boxes, others), [[1, 0.5, 0], [0, 0, 0]])
    assert compute_overlaps(make_boxes(), others).shape == (0, 3)
    assert compute_overlaps(boxes, make_boxes()).shape == (2, 0)


@pytest.mark.parametrize(
    "function",
    [
        compute_overlaps,
        lambda boxes, others, method: suppress_non_maxima(boxes, np.ones(1), 0.5, method),
    ],
)
def test_unknown_method_is_an_error(function):
    with pytest.raises(ValueError, match=r"`method` must be 'union' or 'minimum'; got 'median'\."):
        function(make_boxes(SQUARE), make_boxes(SQUARE), "median")


@pytest.mark.parametrize("method", ["union", "minimum"])
@pytest.mark.parametrize(
    ("count", "side"), [(1, 50), (60, 60), (NMS_BLOCK + 1, 400), (3 * NMS_BLOCK, 900)]
)
def test_suppression_agrees_with_one_by_one(count, side, method):
    generator = np.random.default_rng(count)
    boxes = make_random_boxes(count, side, generator)
    scores = generator.integers(0, 20, count) / 20  # few values: many ties
    kept = suppress_non_maxima(boxes, scores, 0.5, method)
    np.testing.assert_array_equal(kept, suppress_one_by_one(boxes, scores, 0.5, method))


def test_of_equal_boxes_the_first_stays():
    kept = suppress_non_maxima(
        make_boxes(*[SQUARE] * 3), np.array([0.5, 0.9, 0.9], np.float32), 0.5
    )
    assert kept.tolist() == [1]


def test_overlap_of_just_the_threshold_stays():
    boxes = make_boxes(SQUARE, (0, 0, 5, 10))
    assert suppress_non_maxima(boxes, np.array([0.9, 0.8]), 0.5).tolist() == [0, 1]
    assert suppress_non_maxima(boxes, np.array([0.9, 0.8]), 0.5, "minimum").tolist() == [0]


def test_a_suppressed_box_still_suppresses():
    chain = make_boxes(
        (0, 0, 10, 10), (4, 0, 14, 10), (8, 0, 18, 10)
    )  # each overlaps its neighbour only by 0.43
    assert suppress_non_maxima(chain, np.array([0.9, 0.8, 0.7]), 0.4).tolist() == [0]


def test_suppression_of_no_boxes():
    assert suppress_non_maxima(make_boxes(), np.zeros(0), 0.5).tolist() == []


def test_square_keeps_the_centre_and_the_longer_side():
    squares = make_square(make_boxes((0, 0, 10, 4), (2, 0, 4, 8), SQUARE))
    np.testing.assert_allclose(squares, [(0, -3, 10, 7), (-1, 0, 7, 8), SQUARE])
    assert make_square(make_boxes()).shape == (0, 4)


def test_offsets_are_fractions_of_the_side():
    moved = apply_offsets(
        make_boxes((10, 20, 19, 39)), np.array([[0.1, -0.1, 0.2, 0.5]])
    )  # 10 wide and 20 high
    np.testing.assert_allclose(moved, [(11, 18, 21, 49)])
    assert apply_offsets(make_boxes(), np.zeros((0, 4))).shape == (0, 4)


def test_a_box_as_large_as_the_image_gives_back_its_pixels():
    image = np.random.default_rng(0).integers(0, 256, (7, 7, 3), np.uint8)
    crops = sample_crops(image, make_boxes((0, 0, 7, 7)), 7)
    assert crops.dtype == np.float32
    np.testing.assert_allclose(crops[0], (image - 127.5) / 128, atol=1e-5)


def test_crops_are_interpolated_between_pixels():
    image = np.array([[0, 100], [200, 40]], np.uint8)[..., None].repeat(3, axis=2)
    expected = np.array([[0, 50, 100], [100, 85, 70], [200, 120, 40]])
    np.testing.assert_allclose(
        sample_crops(image, make_boxes((0, 0, 2, 2)), 3)[0, ..., 1],
        (expected - 127.5) / 128,
        atol=1e-6,
    )


def test_crops_are_zero_outside_the_frame():
    white = np.full((8, 8, 3), 255, np.uint8)
    crops = sample_crops(white, make_boxes((-8, 0, 8, 8), (20, 20, 30, 30)), 16)
    assert (crops[0, :, :8] == 0).all()
    np.testing.assert_allclose(crops[0, :, 8:], (255 - 127.5) / 128)
    assert (crops[1] == 0).all()


def test_crop_of_a_single_pixel():
    image = np.full((1, 1, 3), 255, np.uint8)
    crops = sample_crops(image, make_boxes((0, 0, 1, 1)), 4)
    np.testing.assert_allclose(crops, np.full((1, 4, 4, 3), (255 - 127.5) / 128))


def test_no_boxes_no_crops():
    assert sample_crops(np.zeros((5, 6, 3), np.uint8), make_boxes(), 24).shape == (0, 24, 24, 3)


@pytest.mark.parametrize("count", [0, 2])
def test_boxes_are_clipped_to_the_pixels(count):
    boxes = np.array([[-3, -2, 50, 60], [1, 2, 3, 4]], np.float32)[:count]
    expected = np.array([[0, 0, 7, 5], [1, 2, 3, 4]], np.float32)[:count]
    clipped = clip_boxes(boxes, (6, 8))
    np.testing.assert_array_equal(clipped, expected)
    assert clipped.dtype == np.float32
