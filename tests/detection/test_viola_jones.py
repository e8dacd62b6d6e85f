import cv2
import numpy as np
import pytest
from skimage.data import lbp_frontal_face_cascade_filename
from skimage.feature import Cascade

from facekit.detection import viola_jones
from facekit.detection.boxes import compute_overlaps
from facekit.detection.viola_jones import (
    WINDOW,
    count_stages,
    detect_faces_classically,
    load_stages,
    read_patterns,
)
from facekit.images import convert_to_grey

ASTRONAUT_XYXY = np.array([[182, 64, 265, 171]], np.float32)  # her face, read off the picture


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_face_size": 23}, r"`min_face_size` must be 24 pixels or more; got 23\."),
        ({"scale_factor": 0}, r"`scale_factor` must be above 0 and below 1; got 0\."),
        ({"scale_factor": 1.2}, r"`scale_factor` must be above 0 and below 1; got 1\.2\."),
    ],
)
def test_option_out_of_range_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        detect_faces_classically(np.zeros((30, 30, 3), np.uint8), **options)


def test_each_stage_has_a_weight_for_each_pattern():
    stages = load_stages()
    assert len(stages) == 20
    for stage in stages:
        assert stage.weights.shape == (len(stage.blocks), 256)
        assert stage.blocks.min() >= 0
        assert (stage.blocks[:, :2] + 3 * stage.blocks[:, 2:]).max() <= WINDOW


@pytest.mark.parametrize(
    ("blocks", "pattern"),
    [
        ([[1, 1, 1], [1, 2, 1], [1, 1, 1]], 0b00000000),
        ([[2, 2, 2], [2, 2, 2], [2, 2, 2]], 0b11111111),
        ([[9, 1, 1], [1, 2, 1], [1, 1, 1]], 0b10000000),  # upper left first, then clockwise
        ([[1, 1, 9], [1, 2, 2], [1, 1, 1]], 0b00110000),
        ([[1, 1, 1], [9, 2, 1], [9, 1, 1]], 0b00000011),
    ],
)
def test_a_pattern_tells_which_blocks_are_no_darker_than_their_middle(blocks, pattern):
    picture = np.zeros((20, 20), np.uint8)
    picture[5:11, 4:13] = np.kron(blocks, np.ones((2, 3)))  # blocks 3 wide and 2 high
    integral = cv2.integral(picture)
    assert read_patterns(integral, np.array([[1, 2], [4, 5]]), np.array([3, 3, 3, 2]))[0] == pattern
    assert read_patterns(integral, np.zeros((0, 2), int), np.array([3, 3, 3, 2])).shape == (0,)


def test_windows_agree_with_scikit_image(astronaut):
    level = cv2.resize(convert_to_grey(astronaut), (120, 120), interpolation=cv2.INTER_AREA)
    found = np.argwhere(count_stages(level, 1) == len(load_stages()))
    theirs = Cascade(lbp_frontal_face_cascade_filename()).detect_multi_scale(
        level, scale_factor=1.2, step_ratio=1, min_size=(WINDOW, WINDOW),
        max_size=(WINDOW + 1, WINDOW + 1),
        min_neighbor_number=0, intersection_score_threshold=2,
    )  # fmt: skip
    expected = np.array([[face["r"], face["c"]] for face in theirs])
    assert len(found) >= 3
    # Not the very same windows: where two sums are equal, their rounding decides.
    for places, others in ((found, expected), (expected, found)):
        assert np.abs(places[:, None] - others[None]).max(axis=2).min(axis=1).max() <= 1


@pytest.mark.parametrize("at_once", [7, 65_536])
def test_windows_are_judged_alike_however_many_at_once(astronaut, at_once, monkeypatch):
    level = cv2.resize(convert_to_grey(astronaut), (60, 60), interpolation=cv2.INTER_AREA)
    expected = count_stages(level)
    monkeypatch.setattr(viola_jones, "WINDOWS", at_once)
    np.testing.assert_array_equal(count_stages(level), expected)


@pytest.mark.parametrize(
    ("size_hw", "shape"),
    [((24, 24), (1, 1)), ((25, 27), (1, 2)), ((23, 90), (0, 34)), ((0, 0), (0, 0))],
)
def test_windows_lie_within_the_picture(size_hw, shape):
    assert count_stages(np.zeros(size_hw, np.uint8)).shape == shape


def test_a_face_is_found_where_it_is(astronaut):
    faces = detect_faces_classically(astronaut, min_face_size=40)
    assert compute_overlaps(ASTRONAUT_XYXY, faces.boxes_xyxy)[0, 0] > 0.5
    assert ((faces.scores > 0) & (faces.scores < 1)).all()
    assert (np.diff(faces.scores) <= 0).all()
    assert np.isnan(faces.landmarks_xy).all()


@pytest.mark.parametrize("size_hw", [(1, 1), (23, 400), (64, 64)])
def test_nothing_is_found_where_nothing_is(size_hw):
    faces = detect_faces_classically(np.full((*size_hw, 3), 120, np.uint8))
    assert len(faces) == 0
    assert faces.landmarks_xy.shape == (0, 5, 2)
