import importlib.util

import numpy as np
import pytest

from facekit.detection import DETECTORS, DetectorError, detect_faces, open_detector
from facekit.detection.boxes import compute_overlaps

ASTRONAUT_XYXY = np.array([[182, 64, 265, 171]], np.float32)  # her face, read off the picture


@pytest.mark.parametrize("name", DETECTORS)
def test_each_detector_finds_a_face_and_nothing_in_grey(name, astronaut):
    faces = detect_faces(astronaut, name, min_face_size=40)
    assert compute_overlaps(ASTRONAUT_XYXY, faces.boxes_xyxy)[0, 0] > 0.5
    assert (np.diff(faces.scores) <= 0).all()
    assert np.isnan(faces.landmarks_xy).all() == (name == "viola_jones")
    assert faces.boxes_xyxy.dtype == faces.scores.dtype == faces.landmarks_xy.dtype == np.float32
    assert len(detect_faces(np.full((50, 60, 3), 127, np.uint8), name)) == 0


@pytest.mark.parametrize("name", DETECTORS)
def test_each_detector_refuses_what_is_no_picture(name):
    with pytest.raises(ValueError, match=r"`image` must be HxWx3 RGB uint8 .* shape \(9, 9\)"):
        detect_faces(np.zeros((9, 9), np.uint8), name)


def test_boxes_lie_within_the_frame(astronaut):
    head = astronaut[80:200, 150:300]  # cut so that the box reaches beyond the upper edge
    boxes = detect_faces(head, "yunet").boxes_xyxy
    assert boxes[0, 1] == 0
    assert (boxes[:, 2:] <= [149, 119]).all()


def test_an_unknown_detector_is_an_error_that_lists_those_there_are():
    message = r"`detector` must be one of mtcnn, yunet, viola_jones; got 'haar'\."
    with pytest.raises(DetectorError, match=message):
        open_detector("haar")
    with pytest.raises(ValueError, match="got 'haar'"):
        detect_faces(np.zeros((9, 9, 3), np.uint8), detector="haar")


def test_sizes_below_the_classical_window_count_as_it(astronaut):
    picture = astronaut[40:200, 150:300]
    smallest = detect_faces(picture, "viola_jones", min_face_size=12)
    expected = detect_faces(picture, "viola_jones", min_face_size=24)
    np.testing.assert_array_equal(smallest.boxes_xyxy, expected.boxes_xyxy)


def test_a_missing_package_is_named(monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(DetectorError, match=r"needs SciPy and scikit-image\. Run: pip install"):
        open_detector("viola_jones")


@pytest.mark.parametrize("name", DETECTORS)
@pytest.mark.parametrize("size", [-1, float("nan")])
def test_a_size_out_of_range_is_an_error(name, size):
    with pytest.raises(ValueError, match=r"`min_face_size` must be .* pixels.*; got (-1|nan)\."):
        open_detector(name, min_face_size=size)
