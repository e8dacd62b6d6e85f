import errno
import os
import socket
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, PngImagePlugin

import facekit
from facekit.images import ImageError, convert_image, decode_image, failures, read_image
from facekit.images.formats import IMAGE_SUFFIXES

ORIENTATION = 0x0112  # the EXIF tag
RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)


def make_colours(height, width) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


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
            r"bad\.jpg: is a PostScript file, which facekit does not read",
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
        match=r"half\.jpg: (the picture is damaged \(.+\); copy or download it again|the picture is damaged, or of a variant)",
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
    monkeypatch.setattr(failures, "MAX_PIXELS", 12)
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
