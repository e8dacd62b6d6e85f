import cv2
import numpy as np
import pytest

from facekit.detection import MTCNN
from facekit.faces import Faces
from facekit.images import (
    TEMPLATE_XY,
    convert_to_grey,
    cut_crops,
    equalise_crops,
    estimate_similarity,
    normalise,
    round_box,
    shrink_image,
)

RED, WHITE = (255, 0, 0), (255, 255, 255)


def make_colours(height, width) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def make_faces(landmarks_xy=None, box_xyxy=(0, 0, 1, 1)) -> Faces:
    """One face; without landmarks unless they are given."""
    landmarks = np.full((5, 2), np.nan) if landmarks_xy is None else landmarks_xy
    return Faces(
        np.array([box_xyxy], np.float32), np.ones(1, np.float32), landmarks[None].astype(np.float32)
    )


# === Cutting ===


@pytest.mark.parametrize(("degrees", "scale"), [(0, 1), (30, 0.5), (-90, 3), (180, 1.7)])
def test_similarity_is_recovered(degrees, scale):
    source = np.array([[3, 4], [10, 5], [7, 20], [-2, 9]])
    turn = scale * np.exp(1j * np.radians(degrees))
    known = np.array([[turn.real, -turn.imag, 11], [turn.imag, turn.real, -6]])
    np.testing.assert_allclose(
        estimate_similarity(source, source @ known[:, :2].T + known[:, 2]), known, atol=1e-9
    )


def test_similarity_of_coinciding_points_is_a_shift():
    matrix = estimate_similarity(np.full((5, 2), 7.0), np.full((5, 2), 3.0))
    np.testing.assert_allclose(matrix, [[0, 0, 3], [0, 0, 3]])


@pytest.mark.parametrize(("degrees", "side"), [(0, 100), (30, 150), (-75, 60), (180, 200)])
def test_landmarks_land_on_the_template(degrees, side):
    turn = cv2.getRotationMatrix2D((150, 150), degrees, 1)
    landmarks = (TEMPLATE_XY * side + 150 - side / 2) @ turn[:, :2].T + turn[:, 2]
    image = np.zeros((300, 300, 3), np.uint8)
    for x, y in landmarks:  # sixteenths of a pixel
        cv2.circle(
            image,
            (round(x * 16), round(y * 16)),
            round(side * 0.04 * 16),
            WHITE,
            -1,
            cv2.LINE_AA,
            shift=4,
        )
    crops = cut_crops(image, make_faces(landmarks), 96)
    assert crops.shape == (1, 96, 96, 1)
    assert crops.dtype == np.uint8
    centroids = cv2.connectedComponentsWithStats((crops[0, ..., 0] > 100).astype(np.uint8))[3][
        1:
    ]  # the first is the ground
    in_order = sorted(centroids.tolist(), key=lambda point: (round(point[1] / 10), point[0]))
    np.testing.assert_allclose(in_order, TEMPLATE_XY * 96, atol=0.8)


@pytest.mark.parametrize("scale", [1.4, 0.8])
def test_a_wider_crop_shows_more_around_the_same_middle(portraits, scale):
    image = portraits["astronaut.png"]
    face = MTCNN(80).detect(image)
    (crop,), (wide,) = (cut_crops(image, face, *form) for form in ((96, 3), (96, 3, scale)))
    inner, outer = (crop, wide) if scale > 1 else (wide, crop)
    side = round(96 / max(scale, 1 / scale))
    start = (96 - side) // 2
    middle = outer[start : start + side, start : start + side]
    small = cv2.resize(inner, (side, side), interpolation=cv2.INTER_AREA)
    apart = np.abs(outer.astype(int) - inner).mean()
    assert np.abs(middle.astype(int) - small).mean() < apart / 4


def test_a_turned_face_comes_out_upright(portraits):
    image = portraits["astronaut.png"]
    landmarks = np.array([[204, 100], [245, 102], [224, 126], [202, 139], [244, 140]])
    turn = cv2.getRotationMatrix2D((224, 120), 40, 1)
    turned = cv2.warpAffine(image, turn, image.shape[1::-1])
    upright = cut_crops(image, make_faces(landmarks), 48)
    again = cut_crops(turned, make_faces(landmarks @ turn[:, :2].T + turn[:, 2]), 48)
    assert np.corrcoef(upright.ravel(), again.ravel())[0, 1] > 0.98


def test_without_landmarks_the_box_is_cut():
    image = make_colours(100, 90)
    crops = cut_crops(image, make_faces(box_xyxy=(20, 30, 68, 78)), 48)
    np.testing.assert_array_equal(crops[0, ..., 0], convert_to_grey(image)[30:78, 20:68])
    np.testing.assert_array_equal(
        cut_crops(image, make_faces(box_xyxy=(20, 30, 68, 78)), 48, channels=3)[0],
        image[30:78, 20:68],
    )


def test_beyond_the_frame_the_edge_is_repeated():
    image = np.full((20, 20, 3), 90, np.uint8)
    assert (cut_crops(image, make_faces(box_xyxy=(-30, -30, 10, 10)), 24) == 90).all()
    assert (cut_crops(image, make_faces(box_xyxy=(500, 500, 540, 540)), 24) == 90).all()


def test_a_huge_face_is_averaged_over_areas():
    ramp = np.linspace(60, 180, 2400)
    noise = np.random.default_rng(0).uniform(-60, 60, (2400, 2400))
    image = np.repeat((ramp + noise).astype(np.uint8)[..., None], 3, axis=2)
    crops = cut_crops(image, make_faces(box_xyxy=(0, 0, 2400, 2400)), 48)
    averaged = cv2.blur(image[..., 0], (51, 51), borderType=cv2.BORDER_REPLICATE)[::50, ::50]
    inner = np.s_[1:-1, 1:-1]  # the frame's edge has no neighbours to average with
    np.testing.assert_allclose(
        crops[0, ..., 0][inner].astype(int), averaged[inner].astype(int), atol=6
    )


@pytest.mark.parametrize("size_hw", [(1, 1), (3, 40_000)])
def test_odd_pictures_are_cut(size_hw):
    image = np.full((*size_hw, 3), 50, np.uint8)
    assert (cut_crops(image, make_faces(box_xyxy=(0, 0, size_hw[1], size_hw[0])), 48) == 50).all()


@pytest.mark.parametrize(
    "box", [(20, 30, 68, 78), (-15.5, 4.3, 80.1, 120.2), (3, 3, 20, 20), (0, 0, 400, 400)]
)
def test_colour_crops_show_what_grey_ones_do(box):
    image = make_colours(300, 400)
    faces = make_faces(box_xyxy=box)
    grey, colour = (cut_crops(image, faces, 32, channels)[0] for channels in (1, 3))
    assert colour.shape == (32, 32, 3)
    assert colour.dtype == np.uint8
    assert np.ptp(colour.astype(int), axis=2).max() > 20  # coloured
    np.testing.assert_allclose(
        convert_to_grey(colour).astype(int), grey[..., 0].astype(int), atol=2
    )


@pytest.mark.parametrize("channels", [1, 3])
def test_every_face_gets_a_crop(channels):
    image = make_colours(60, 60)
    boxes = np.array([(0, 0, 24, 24), (30, 30, 54, 54)], np.float32)
    faces = Faces(boxes, np.ones(2, np.float32), np.full((2, 5, 2), np.nan, np.float32))
    crops = cut_crops(image, faces, 24, channels)
    assert crops.shape == (2, 24, 24, channels)
    for crop, box in zip(crops, boxes, strict=True):
        np.testing.assert_array_equal(
            crop, cut_crops(image, make_faces(box_xyxy=box), 24, channels)[0]
        )


@pytest.mark.parametrize("channels", [1, 3])
def test_no_faces_no_crops(channels):
    crops = cut_crops(make_colours(20, 20), Faces.empty(), 48, channels)
    assert crops.shape == (0, 48, 48, channels)
    assert crops.dtype == np.uint8


@pytest.mark.parametrize(
    ("size", "channels", "message"),
    [
        (0, 1, r"`size` must be 1 pixel or more; got 0\."),
        (48, 2, r"`channels` must be 1 \(grey\) or 3 \(RGB\); got 2\."),
        (48, 4, r"`channels` must be 1 \(grey\) or 3 \(RGB\); got 4\."),
    ],
)
def test_crops_of_no_form_are_an_error(size, channels, message):
    with pytest.raises(ValueError, match=message):
        cut_crops(make_colours(20, 20), Faces.empty(), size, channels)


def test_crops_of_no_scale_are_an_error():
    with pytest.raises(ValueError, match=r"`scale` must be above 0; got 0\."):
        cut_crops(make_colours(20, 20), Faces.empty(), 48, scale=0)


# === Normalising ===


def test_grey_weighs_green_most():
    grey = convert_to_grey(np.array([[RED, (0, 255, 0), (0, 0, 255), WHITE]], np.uint8))
    assert grey.tolist() == [[76, 150, 29, 255]]


class TestEqualise:
    def test_greys_are_spread_over_the_range(self):
        crops = np.array([[[100, 120], [110, 130]], [[7, 7], [0, 9]]], np.uint8)[..., None]
        equalised = equalise_crops(crops)
        assert equalised.dtype == np.uint8
        assert equalised[..., 0].tolist() == [[[0, 170], [85, 255]], [[170, 170], [0, 255]]]

    def test_each_crop_by_itself_and_light_does_not_matter(self):
        dark = np.random.default_rng(0).integers(0, 100, (3, 16, 16, 1), np.uint8)
        equalised = equalise_crops(dark)
        assert equalised.shape == dark.shape
        assert [(crop.min(), crop.max()) for crop in equalised] == [(0, 255)] * 3
        np.testing.assert_array_equal(equalise_crops(dark + np.uint8(80)), equalised)
        np.testing.assert_array_equal(equalise_crops(dark[1:2]), equalised[1:2])

    def test_a_flat_crop_stays(self):
        flat = np.full((1, 8, 8, 1), 77, np.uint8)
        np.testing.assert_array_equal(equalise_crops(flat), flat)

    def test_no_crops(self):
        assert equalise_crops(np.zeros((0, 48, 48, 1), np.uint8)).shape == (0, 48, 48, 1)


@pytest.mark.parametrize("channels", [1, 3])
def test_normalised_crops(channels):
    crops = np.random.default_rng(0).integers(0, 256, (2, 4, 4, channels), np.uint8)
    crops[0, 0, 0], crops[0, 0, 1] = 0, 255
    inputs = normalise(crops)
    assert inputs.shape == crops.shape
    assert inputs.dtype == np.float32
    assert (inputs.min(), inputs.max()) == (-1, 1)
    np.testing.assert_allclose(inputs, crops / 127.5 - 1, atol=1e-6)


def test_nothing_to_normalise():
    inputs = normalise(np.zeros((0, 48, 48, 3), np.uint8))
    assert inputs.shape == (0, 48, 48, 3)
    assert inputs.dtype == np.float32


@pytest.mark.parametrize(
    ("box_xyxy", "expected"),
    [
        ((1.2, 2.7, 3.1, 4), (1, 2, 4, 4)),
        ((-5, -5, 99, 99), (0, 0, 8, 5)),
        ((2, 3, 2, 3), (2, 3, 3, 4)),
        ((20, 20, 30, 30), (7, 4, 8, 5)),
    ],
)
def test_a_box_becomes_whole_pixels_inside_the_picture(box_xyxy, expected):
    assert round_box(np.array(box_xyxy, float), (5, 8)) == expected


@pytest.mark.parametrize(
    ("size_hw", "side", "expected"),
    [((40, 60), 60, (40, 60)), ((40, 60), 30, (20, 30)), ((1, 5000), 50, (1, 50))],
)
def test_pictures_are_shrunk_to_their_longer_side(size_hw, side, expected):
    assert shrink_image(make_colours(*size_hw), side).shape == (*expected, 3)
