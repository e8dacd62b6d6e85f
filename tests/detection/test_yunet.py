import cv2
import numpy as np
import pytest

from facekit.detection import YuNet, detect_faces, yunet
from facekit.detection.boxes import compute_overlaps
from facekit.detection.yunet import read_grid, run_yunet
from facekit.registry import find_model


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_face_size": 9.9}, r"`min_face_size` must be 10 pixels or more; got 9\.9\."),
        ({"min_face_size": float("nan")}, r"`min_face_size` must be 10 pixels or more; got nan\."),
        ({"threshold": 1}, r"`threshold` must be from 0 to below 1; got 1\."),
    ],
)
def test_option_out_of_range_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        YuNet(**options)


@pytest.mark.parametrize(
    ("min_face_size", "size_hw", "scales"),
    [
        (20, (300, 400), [1]),
        (20, (301, 400), [1, 1 / 3]),
        (20, (1000, 2000), [1, 1 / 3, 1 / 9]),
        (60, (300, 400), [0.5]),  # faces of 60 pixels have 30 on the first level
        (20, (6000, 4000), [0.5, 1 / 6, 1 / 18]),  # 24 million pixels become 6
        (600, (4, 9), [1 / 4]),
    ],
)
def test_levels(min_face_size, size_hw, scales):
    assert YuNet(min_face_size).compute_scales(size_hw) == pytest.approx(scales)


def test_a_cell_gives_a_face():
    # Two rows of two cells of 16 pixels; the last one holds the face.
    faces, centres = np.zeros((4, 1), np.float32), np.full((4, 1), 0.9, np.float32)
    faces[3], centres[3] = 1.3, 0.25  # probabilities are clipped to 1
    boxes, points = np.zeros((4, 4), np.float32), np.zeros((4, 10), np.float32)
    boxes[3] = 0.5, 0.25, np.log(2), np.log(3)
    points[3] = np.arange(10) / 10
    boxes, scores, landmarks = read_grid(faces, centres, boxes, points, stride=16, width=32)
    assert scores.tolist() == [0, 0, 0, 0.5]
    # The centre is at (1.5, 1.25) cells; the sides are 2 and 3 cells.
    np.testing.assert_allclose(boxes[3], [8, -4, 40, 44], rtol=1e-6)
    np.testing.assert_allclose(landmarks[3, 0], [16, 17.6], rtol=1e-6)
    np.testing.assert_allclose(landmarks[3, 4], [28.8, 30.4], rtol=1e-6)


@pytest.mark.parametrize("name", ["astronaut.png", "group.jpg"])
def test_faces_agree_with_opencv(portraits, name):
    picture, path = portraits[name], find_model("yunet")[1]
    try:
        reference = cv2.FaceDetectorYN.create(str(path), "", picture.shape[1::-1], 0.6, 0.3)
        _, rows = reference.detect(np.ascontiguousarray(picture[:, :, ::-1]))
    except cv2.error:
        pytest.skip("this version of OpenCV takes pictures of one size only")
    boxes, scores, landmarks = run_yunet(picture, 0.6)
    for row in rows:  # x, y, width, height, five landmarks, score
        corners = np.concatenate([row[:2], row[:2] + row[2:4]])
        nearest = np.abs(boxes - corners).max(axis=1).argmin()
        np.testing.assert_allclose(boxes[nearest], corners, atol=0.1)
        np.testing.assert_allclose(landmarks[nearest].ravel(), row[4:14], atol=0.1)
        assert scores[nearest] == pytest.approx(row[14], abs=1e-3)
    assert len(YuNet().detect(picture)) == len(rows)


def test_a_face_is_found_where_mtcnn_finds_it(astronaut):
    (face,), (reference,) = YuNet().detect(astronaut), detect_faces(astronaut)
    assert compute_overlaps(face.boxes_xyxy, reference.boxes_xyxy)[0, 0] > 0.6
    # The eyes, the nose and the mouth have the same order, and lie within a tenth of the face.
    side = reference.boxes_xyxy[0, 2] - reference.boxes_xyxy[0, 0]
    assert np.abs(face.landmarks_xy - reference.landmarks_xy).max() < side / 10


@pytest.mark.parametrize("factor", [0.08, 2.5])
def test_small_and_large_faces_are_found(astronaut, factor):
    # 83 pixels become 7 or 208; then 6 pixels are too few, and 700 are found on a smaller level.
    image = cv2.resize(astronaut, None, fx=factor, fy=factor, interpolation=cv2.INTER_AREA)
    assert len(YuNet().detect(image)) == (factor > 1)


def test_faces_of_fewer_pixels_than_wanted_are_left_out(astronaut):
    (face,) = YuNet().detect(astronaut)
    side = float((face.boxes_xyxy[0, 2:] - face.boxes_xyxy[0, :2]).max())
    assert len(YuNet(min_face_size=side - 10).detect(astronaut)) == 1
    assert len(YuNet(min_face_size=side + 10).detect(astronaut)) == 0


def test_large_pictures_are_made_smaller(astronaut, monkeypatch):
    (whole,) = YuNet().detect(astronaut)
    monkeypatch.setattr(yunet, "LARGEST_PIXELS", astronaut[..., 0].size // 4)
    (bounded,) = YuNet().detect(astronaut)
    assert compute_overlaps(whole.boxes_xyxy, bounded.boxes_xyxy)[0, 0] > 0.8


@pytest.mark.parametrize("size_hw", [(1, 1), (3, 400), (64, 64), (1, 4000)])
def test_nothing_is_found_where_nothing_is(size_hw):
    faces = YuNet().detect(np.full((*size_hw, 3), 120, np.uint8))
    assert len(faces) == 0
    assert faces.landmarks_xy.shape == (0, 5, 2)


@pytest.mark.parametrize("image", [np.zeros((4, 4), np.uint8), np.zeros((4, 4, 3)), np.zeros(0)])
def test_other_arrays_are_refused(image):
    with pytest.raises(ValueError, match="`image` must be HxWx3 RGB uint8 of 1x1 or more; got"):
        YuNet().detect(image)
