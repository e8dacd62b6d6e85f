import numpy as np
import pytest

from facekit.detection import detect_faces
from facekit.detection.landmarks import refine_landmarks
from facekit.faces import Faces


@pytest.fixture(scope="module")
def photo(portraits) -> np.ndarray:
    return portraits["astronaut.png"]


@pytest.fixture(scope="module")
def face(photo) -> Faces:
    return detect_faces(photo)[0]


def measure_side(face: Faces) -> float:
    return float((face.boxes_xyxy[0, 2:] - face.boxes_xyxy[0, :2]).max())


def test_landmarks_stay_where_they_are(photo, face):
    refined = refine_landmarks(photo, face)
    moved = np.abs(refined.landmarks_xy - face.landmarks_xy).max()
    assert 0 < moved < 0.05 * measure_side(face)
    np.testing.assert_array_equal(refined.boxes_xyxy, face.boxes_xyxy)
    np.testing.assert_array_equal(refined.scores, face.scores)


def test_they_depend_less_on_the_box(photo, face):
    side = measure_side(face)
    moved = Faces(face.boxes_xyxy + 0.08 * side, face.scores, face.landmarks_xy)
    both = [refine_landmarks(photo, each).landmarks_xy for each in (face, moved)]
    assert np.abs(both[0] - both[1]).mean() < 0.03 * side


def test_the_mirror_image_has_mirrored_landmarks(photo, face):
    width = photo.shape[1]
    left, top, right, bottom = face.boxes_xyxy[0]
    box = np.array([[width - 1 - right, top, width - 1 - left, bottom]], np.float32)
    mirrored = refine_landmarks(photo[:, ::-1], Faces(box, face.scores, face.landmarks_xy))
    expected = refine_landmarks(photo, face).landmarks_xy[0, [1, 0, 2, 4, 3]]
    found = mirrored.landmarks_xy[0] * (-1, 1) + (width - 1, 0)
    assert np.abs(found - expected).max() < 0.04 * measure_side(face)


def test_a_face_that_fills_its_picture_gets_landmarks(photo, face):
    left, top, right, bottom = face.boxes_xyxy[0].astype(int)
    tight = photo[top:bottom, left:right]
    whole = np.array([[0, 0, right - left, bottom - top]], np.float32)
    unknown = Faces(whole, np.zeros(1, np.float32), np.full((1, 5, 2), np.nan, np.float32))
    found = refine_landmarks(tight, unknown)
    assert found.scores[0] > 0.9
    moved = np.abs(found.landmarks_xy + np.array([left, top]) - face.landmarks_xy).max()
    assert moved < 0.1 * measure_side(face)


def test_where_there_is_no_face_landmarks_are_numbers_still():
    black = np.zeros((48, 48, 3), np.uint8)
    whole = np.array([[0, 0, 48, 48]], np.float32)
    unknown = Faces(whole, np.zeros(1, np.float32), np.full((1, 5, 2), np.nan, np.float32))
    found = refine_landmarks(black, unknown)
    assert np.isfinite(found.landmarks_xy).all()
    assert found.scores[0] < 0.5


def test_no_faces():
    assert len(refine_landmarks(np.zeros((9, 9, 3), np.uint8), Faces.empty())) == 0
