import numpy as np
import pytest

from facekit.detection import MTCNN, detect_faces, locate_face, mtcnn
from facekit.detection.boxes import compute_overlaps
from facekit.faces import Faces
from facekit.images import read_image

ASTRONAUT_XYXY = np.array([[182, 64, 265, 171]], np.float32)  # her face, read off the picture


def measure_agreement(faces: Faces, others: Faces) -> list[bool]:
    """Return for each sure face whether the others hold it, with the same box and landmarks."""
    sure = faces[faces.scores >= 0.9]
    if len(sure) == 0 or len(others) == 0:
        return [False] * len(sure)
    overlaps = compute_overlaps(sure.boxes_xyxy, others.boxes_xyxy)
    partners = others[overlaps.argmax(axis=1)]
    widths = sure.boxes_xyxy[:, 2] - sure.boxes_xyxy[:, 0]
    apart = np.linalg.norm(sure.landmarks_xy - partners.landmarks_xy, axis=2).max(axis=1)
    return ((overlaps.max(axis=1) >= 0.85) & (apart <= 0.03 * widths)).tolist()


# === Options ===


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"min_face_size": 11.9}, r"`min_face_size` must be 12 pixels or more; got 11\.9\."),
        ({"min_face_size": float("nan")}, r"`min_face_size` must be 12 pixels or more; got nan\."),
        ({"scale_factor": 0}, r"`scale_factor` must be above 0 and below 1; got 0\."),
        ({"scale_factor": 1}, r"`scale_factor` must be above 0 and below 1; got 1\."),
        (
            {"thresholds": (0.6, 0.7)},
            r"`thresholds` must be three numbers from 0 to below 1; got \(0\.6, 0\.7\)\.",
        ),
        ({"thresholds": (0.6, 0.7, 1.0)}, r"`thresholds` must be three numbers .*1\.0\)\."),
        ({"thresholds": (-0.1, 0.7, 0.8)}, r"`thresholds` must be three numbers .*\(-0\.1"),
    ],
)
def test_option_out_of_range_is_an_error(options, message):
    with pytest.raises(ValueError, match=message):
        MTCNN(**options)


@pytest.mark.parametrize(
    ("min_face_size", "size_hw", "scales"),
    [
        (12, (12, 12), [1]),
        (12, (11, 500), []),
        (20, (19, 19), []),
        (20, (40, 100), [0.6, 0.6 * 0.709, 0.6 * 0.709**2]),
        (40, (100, 40), [0.3]),
    ],
)
def test_scales_go_down_to_one_window(min_face_size, size_hw, scales):
    assert MTCNN(min_face_size).compute_scales(size_hw) == pytest.approx(scales)


@pytest.mark.parametrize("find", [detect_faces, locate_face])
@pytest.mark.parametrize(
    "image",
    [
        np.zeros((20, 20, 3), np.float32),
        np.zeros((20, 20), np.uint8),
        np.zeros((20, 20, 4), np.uint8),
        np.zeros((2, 20, 20, 3), np.uint8),
        np.zeros((0, 20, 3), np.uint8),
    ],
    ids=["float", "grey", "alpha", "batch", "empty"],
)
def test_image_of_another_form_is_an_error(find, image):
    with pytest.raises(
        ValueError,
        match=r"`image` must be HxWx3 RGB uint8 of 1x1 or more; got (uint8|float32) of shape \(",
    ):
        find(image)


# === P-Net's maps ===


def test_stages_are_traced(astronaut):
    proposed, refined, faces = MTCNN(min_face_size=40).trace(astronaut)
    assert len(proposed) > len(refined) >= len(faces) == 1
    np.testing.assert_allclose(
        np.ptp(proposed[:, [0, 2]], axis=1), np.ptp(proposed[:, [1, 3]], axis=1), rtol=1e-3
    )
    np.testing.assert_array_equal(
        faces.boxes_xyxy, MTCNN(min_face_size=40).detect(astronaut).boxes_xyxy
    )
    everything = MTCNN(min_face_size=40, thresholds=(0.6, 0, 0)).trace(astronaut)
    assert len(everything[1]) > len(refined)


@pytest.mark.parametrize("size_hw", [(12, 12), (13, 40), (50, 61), (11, 100)])
def test_windows_are_as_many_as_the_cells_of_the_maps(size_hw):
    cascade = MTCNN(min_face_size=12, scale_factor=0.6)
    image = np.zeros((*size_hw, 3), np.uint8)
    maps = [
        mtcnn.run_pnet(mtcnn.make_level(image, scale))[0]
        for scale in cascade.compute_scales(size_hw)
    ]
    assert cascade.count_windows(size_hw) == sum(probabilities.size for probabilities in maps)


def test_a_cell_tells_of_its_own_window(astronaut):
    level = mtcnn.make_level(astronaut, 0.15)
    assert level.shape == (76, 76, 3)
    probabilities, offsets = mtcnn.run_pnet(level)
    assert offsets.shape == (*probabilities.shape, 4)
    row, column = np.unravel_index(probabilities.argmax(), probabilities.shape)
    top, left = row * mtcnn.STRIDE, column * mtcnn.STRIDE
    alone, its_offsets = mtcnn.run_pnet(level[top : top + mtcnn.CELL, left : left + mtcnn.CELL])
    np.testing.assert_allclose(alone, probabilities[row, column], atol=1e-5)
    np.testing.assert_allclose(its_offsets[0, 0], offsets[row, column], atol=1e-5)


def test_maps_become_boxes():
    probabilities, offsets = np.zeros((3, 4), np.float32), np.zeros((3, 4, 4), np.float32)
    probabilities[2, 1], offsets[2, 1] = 0.9, (0, 1, 0, -1)
    boxes, scores = mtcnn.read_maps(probabilities, offsets, 0.6)
    np.testing.assert_allclose(boxes, [[3, 16, 14, 5]])  # the window begins at 2, 4, counted from 1
    assert scores.tolist() == pytest.approx([0.9])
    assert mtcnn.read_maps(probabilities, offsets, 0.95)[0].shape == (0, 4)


# === Detection ===


def test_one_face_with_its_landmarks(astronaut):
    faces = detect_faces(astronaut)
    assert len(faces) == 1
    assert faces.scores[0] > 0.9
    assert compute_overlaps(faces.boxes_xyxy, ASTRONAUT_XYXY).item() > 0.8
    left_eye, right_eye, nose, mouth_left, mouth_right = faces.landmarks_xy[0]
    left, top, right, bottom = faces.boxes_xyxy[0]
    assert left < left_eye[0] < nose[0] < right_eye[0] < right
    assert left < mouth_left[0] < nose[0] < mouth_right[0] < right
    assert (
        top < max(left_eye[1], right_eye[1]) < nose[1] < min(mouth_left[1], mouth_right[1]) < bottom
    )


def test_group_of_six_best_first(portraits):
    faces = detect_faces(portraits["group.jpg"])
    assert len(faces) == 6
    assert (np.diff(faces.scores) <= 0).all()
    overlaps = compute_overlaps(faces.boxes_xyxy, faces.boxes_xyxy)
    assert (overlaps - np.eye(6) < 0.1).all(), "six boxes must be six faces"


def test_faces_below_the_least_size_are_not_looked_for(astronaut):
    assert len(detect_faces(astronaut, min_face_size=250)) == 0


def test_a_face_at_the_border_is_cut_to_the_frame(astronaut):
    image = astronaut[90:, 190:]  # through the forehead and a cheek
    faces = detect_faces(image)
    assert len(faces) == 1
    assert faces.boxes_xyxy.min() == 0
    assert (faces.boxes_xyxy < (image.shape[1], image.shape[0]) * 2).all()


def test_no_face_is_an_empty_record():
    faces = detect_faces(np.full((120, 160, 3), 128, np.uint8))
    assert isinstance(faces, Faces)
    assert len(faces) == 0


@pytest.mark.parametrize("size_hw", [(1, 1), (11, 500), (12, 12), (13, 17)])
def test_odd_sizes_hold_no_face(size_hw):
    noise = np.random.default_rng(0).integers(0, 256, (*size_hw, 3), np.uint8)
    assert len(detect_faces(noise, min_face_size=12)) == 0


def test_tiles_change_nothing(astronaut, monkeypatch):
    whole = detect_faces(astronaut)
    monkeypatch.setattr(mtcnn, "TILE", 16)
    tiled = detect_faces(astronaut)
    np.testing.assert_allclose(tiled.boxes_xyxy, whole.boxes_xyxy, atol=0.01)
    np.testing.assert_allclose(tiled.scores, whole.scores, atol=1e-4)


def test_candidates_in_parts_change_nothing(astronaut, monkeypatch):
    whole = detect_faces(astronaut)
    monkeypatch.setattr(mtcnn, "CROPS", 5)
    np.testing.assert_allclose(detect_faces(astronaut).boxes_xyxy, whole.boxes_xyxy, atol=0.01)


def test_coarse_pyramid_is_close_to_the_fine_one(astronaut, monkeypatch):
    fine = detect_faces(astronaut)
    monkeypatch.setattr(mtcnn, "FINE_PIXELS", 0)
    coarse = detect_faces(astronaut)
    np.testing.assert_allclose(coarse.boxes_xyxy, fine.boxes_xyxy, atol=1)
    np.testing.assert_allclose(coarse.landmarks_xy, fine.landmarks_xy, atol=1)
    np.testing.assert_allclose(coarse.scores, fine.scores, atol=0.01)


# === One face, cropped ===


@pytest.mark.parametrize("step", [1, 3], ids=["large", "small"])
def test_a_crop_holds_its_face(astronaut, step):
    left, top = 150, 30
    faces = locate_face(np.ascontiguousarray(astronaut[top:200:step, left:300:step]))
    assert len(faces) == 1
    assert faces.scores[0] > 0.9
    assert compute_overlaps(faces.boxes_xyxy * step + (left, top) * 2, ASTRONAUT_XYXY).item() > 0.7


def test_a_crop_without_a_face_is_taken_whole():
    faces = locate_face(np.full((60, 40, 3), 128, np.uint8))
    assert len(faces) == 1
    assert faces.scores.tolist() == [0]
    assert np.isnan(faces.landmarks_xy).all()
    assert faces.boxes_xyxy.tolist() == [[0, 0, 40, 60]]


@pytest.mark.parametrize("size_hw", [(1, 1), (1, 3000)])
def test_a_crop_of_an_odd_size_is_one_face(size_hw):
    assert len(locate_face(np.zeros((*size_hw, 3), np.uint8))) == 1


# === Parity ===


@pytest.mark.data
@pytest.mark.slow
def test_faces_are_those_of_the_mtcnn_package(data_dir):
    import mtcnn as package  # with TensorFlow, which takes seconds to load

    reference = package.MTCNN()
    ours_agree, theirs_agree = [], []
    paths = [
        *sorted((data_dir / "WIDER_val" / "images").glob("*/*.jpg")),
        *sorted((data_dir / "photos").iterdir()),
    ]
    for path in paths:
        image = read_image(path)
        ours = detect_faces(image)
        rows = reference.detect_faces(image, output_type="numpy", box_format="xyxy").astype(
            np.float32
        )
        theirs = Faces(rows[:, 1:5], rows[:, 5], rows[:, 6:].reshape(-1, 2, 5).transpose(0, 2, 1))
        ours_agree += measure_agreement(ours, theirs)
        theirs_agree += measure_agreement(theirs, ours)
    assert len(paths) > 110
    assert len(theirs_agree) > 500
    assert np.mean(ours_agree) >= 0.97
    assert np.mean(theirs_agree) >= 0.97
