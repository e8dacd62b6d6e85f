import os
import struct
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from facekit import images
from facekit.faces import Faces
from facekit.images import (
    IMAGE_SUFFIXES,
    TEMPLATE_XY,
    ImageError,
    convert_to_grey,
    cut_crops,
    decode_image,
    equalise_crops,
    estimate_similarity,
    normalise,
    read_image,
)

ORIENTATION = 0x0112  # the EXIF tag
RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)


def make_colours(height, width) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def make_faces(landmarks_xy=None, box_xyxy=(0, 0, 1, 1)) -> Faces:
    """One face; without landmarks unless they are given."""
    landmarks = np.full((5, 2), np.nan) if landmarks_xy is None else landmarks_xy
    return Faces(
        np.array([box_xyxy], np.float32), np.ones(1, np.float32), landmarks[None].astype(np.float32)
    )


def write_png_header(path, width, height):
    """Write a PNG that announces a size and holds not one pixel."""
    header = struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")), (b"IEND", b""))
    body = b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    path.write_bytes(b"\x89PNG\r\n\x1a\n" + body)


# === Reading ===


@pytest.mark.parametrize("suffix", IMAGE_SUFFIXES)
def test_every_suffix_is_read(suffix, tmp_path):
    path = tmp_path / f"picture{suffix}"
    Image.new("RGB", (40, 30), (200, 200, 200)).save(path)
    image = read_image(path)
    assert image.shape == (30, 40, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - 200).max() <= 3
    np.testing.assert_array_equal(read_image(str(path)), image)


@pytest.mark.parametrize(
    ("orientation", "turn"),
    [
        (1, lambda pixels: pixels),
        (2, np.fliplr),
        (3, lambda pixels: np.rot90(pixels, 2)),
        (4, np.flipud),
        (5, lambda pixels: pixels.transpose(1, 0, 2)),
        (6, lambda pixels: np.rot90(pixels, -1)),
        (7, lambda pixels: np.rot90(pixels, 2).transpose(1, 0, 2)),
        (8, np.rot90),
    ],
)
def test_exif_orientation_is_applied(orientation, turn, tmp_path):
    pixels = make_colours(2, 3)
    exif = Image.Exif()
    exif[ORIENTATION] = orientation
    Image.fromarray(pixels).save(tmp_path / "turned.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "turned.png"), turn(pixels))


# 16-bit and floating-point pictures: the values as stored, and as they are to be seen.
DEEP = {
    "16 bit": (np.array([[0, 0x8080, 0xFFFF]], np.uint16), "deep.png", [0, 128, 255]),
    "16 bit tiff": (np.array([[0, 0x8080, 0xFFFF]], np.uint16), "deep.tif", [0, 128, 255]),
    "0 to 1": (np.array([[0, 0.5, 1]], np.float32), "deep.tif", [0, 128, 255]),
    "0 to 255": (np.array([[-3, 100, 200]], np.float32), "deep.tif", [0, 100, 200]),
    "unknown": (np.array([[np.nan, 100, 200]], np.float32), "deep.tif", [0, 100, 200]),
}


@pytest.mark.parametrize(("values", "name", "expected"), DEEP.values(), ids=DEEP)
def test_deep_greyscale_keeps_its_range(values, name, expected, tmp_path):
    Image.fromarray(values).save(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.shape == (1, 3, 3)
    assert image[0].tolist() == [[value] * 3 for value in expected]


@pytest.mark.parametrize(
    ("mode", "colours", "expected"),
    [
        ("L", [0, 100], [BLACK, (100, 100, 100)]),
        ("1", [0, 1], [BLACK, WHITE]),
        ("LA", [(0, 255), (0, 0)], [BLACK, WHITE]),
        ("RGBA", [(255, 0, 0, 255), (255, 0, 0, 0)], [RED, WHITE]),
        ("RGBA", [(0, 0, 0, 128), (0, 0, 255, 51)], [(127, 127, 127), (204, 204, 255)]),
    ],
)
def test_modes_become_rgb_on_white(mode, colours, expected, tmp_path):
    picture = Image.new(mode, (2, 1))
    picture.putdata(colours)
    picture.save(tmp_path / "picture.png")
    assert read_image(tmp_path / "picture.png")[0].tolist() == [list(colour) for colour in expected]


def test_transparent_colour_of_a_palette_becomes_white(tmp_path):
    picture = Image.new("P", (2, 1))
    picture.putpalette([*BLACK, *RED])
    picture.putdata([0, 1])
    picture.save(tmp_path / "palette.png", transparency=0)
    assert read_image(tmp_path / "palette.png")[0].tolist() == [list(WHITE), list(RED)]


def test_cmyk_jpeg_becomes_rgb(tmp_path):
    Image.new("CMYK", (16, 16), (0, 255, 255, 0)).save(tmp_path / "print.jpg")
    np.testing.assert_allclose(
        read_image(tmp_path / "print.jpg"), np.broadcast_to(RED, (16, 16, 3)), atol=6
    )


@pytest.mark.parametrize(
    ("name", "file_format"), [("many.gif", "GIF"), ("many.tif", "TIFF"), ("many.jpg", "MPO")]
)
def test_the_first_of_many_frames_is_read(name, file_format, tmp_path):
    first, second = Image.new("RGB", (16, 16), RED), Image.new("RGB", (16, 16), (0, 0, 255))
    first.save(tmp_path / name, file_format, save_all=True, append_images=[second])
    np.testing.assert_allclose(
        read_image(tmp_path / name), np.broadcast_to(RED, (16, 16, 3)), atol=6
    )


def test_missing_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.jpg: no such file; check the spelling\."):
        read_image(tmp_path / "gone.jpg")


def test_folder_is_an_error(tmp_path):
    with pytest.raises(ImageError, match=r"is a folder, not a picture"):
        read_image(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", r"bad\.jpg: the file is empty; copy or download it again\."),
        (
            b"Dear diary, today",
            r"bad\.jpg: is not a picture that can be read; save it as JPEG or PNG\.",
        ),
        (
            b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n",
            r"bad\.jpg: is not a picture that can be read",
        ),  # would run a program
    ],
    ids=["empty", "text", "program"],
)
def test_what_is_no_picture_is_an_error(content, message, tmp_path):
    (tmp_path / "bad.jpg").write_bytes(content)
    with pytest.raises(ImageError, match=message):
        read_image(tmp_path / "bad.jpg")


@pytest.mark.parametrize(
    "file_format", ["JPEG", "PNG", "GIF", "BMP", "TIFF", "WEBP", "PPM", "AVIF"]
)
def test_half_a_picture_is_an_error(file_format, tmp_path):
    path = tmp_path / "half.jpg"
    Image.fromarray(make_colours(64, 64)).save(path, file_format)
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    with pytest.raises(
        ImageError,
        match=r"half\.jpg: (the picture is damaged \(.+\); copy or download it again|is not a picture)",
    ):
        read_image(path)


@pytest.mark.parametrize("side", [13_000, 60_000], ids=["above ours", "above Pillow's"])
def test_a_bomb_is_refused_undecoded(side, tmp_path):
    write_png_header(tmp_path / "bomb.png", side, side)  # decoding would find it damaged
    with pytest.raises(
        ImageError,
        match=r"bomb\.png: has .* pixels, more than the 150 million that are decoded; make it smaller first\.",
    ):
        read_image(tmp_path / "bomb.png")


def test_a_picture_in_memory_is_read_as_from_its_file(tmp_path):
    path = tmp_path / "turned.png"
    exif = Image.Exif()
    exif[ORIENTATION] = 6
    Image.fromarray(make_colours(3, 5)).save(path, exif=exif)
    np.testing.assert_array_equal(decode_image(path.read_bytes(), "turned.png"), read_image(path))


@pytest.mark.parametrize(
    ("content", "message"),
    [(b"", "a.png: the file is empty"), (b"text", "a.png: is not a picture that can be read")],
)
def test_what_is_no_picture_in_memory_is_an_error(content, message):
    with pytest.raises(ImageError, match=message):
        decode_image(content, "a.png")


def test_the_bound_itself_is_read(tmp_path, monkeypatch):
    monkeypatch.setattr(images, "MAX_PIXELS", 12)
    Image.new("RGB", (4, 3)).save(tmp_path / "just.png")
    assert read_image(tmp_path / "just.png").shape == (3, 4, 3)
    Image.new("RGB", (13, 1)).save(tmp_path / "over.png")
    with pytest.raises(ImageError, match=r"has 13 x 1 pixels"):
        read_image(tmp_path / "over.png")


def test_unreadable_file_is_an_error(tmp_path):
    path = tmp_path / "locked.png"
    Image.new("RGB", (4, 3)).save(path)
    path.chmod(0)
    if os.access(path, os.R_OK):
        pytest.skip("this user, root, may read every file")
    with pytest.raises(ImageError, match=r"locked\.png: may not be read; change its permissions\."):
        read_image(path)


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
