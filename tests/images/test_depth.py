"""Pictures of more than 8 bits: their values as stored, and as they are to be seen."""

import io
import zlib

import cv2
import numpy as np
import pytest
from PIL import Image

from facekit.images import decode_image, read_image, scale_to_8_bits

RAMP = np.linspace(0, 1, 2400).reshape(40, 60)
EIGHT_BITS = np.round(RAMP * 255).astype(int)


def change(values, **pixels) -> np.ndarray:
    """Return a copy with the first pixels changed."""
    changed = np.array(values)
    changed.ravel()[: len(pixels)] = list(pixels.values())
    return changed


# A ramp from black to white in each range, which must look alike.
RAMPS = {
    "8 bits": RAMP * 255,
    "10 bits": RAMP * 1023,
    "12 bits": RAMP * 4095,
    "14 bits": RAMP * 16383,
    "16 bits": RAMP * 65535,
}


@pytest.mark.parametrize("dtype", [np.uint16, np.int32, np.float32])
@pytest.mark.parametrize("values", RAMPS.values(), ids=RAMPS)
def test_each_bit_depth_becomes_8_bits(values, dtype):
    scaled = scale_to_8_bits(values.astype(dtype))
    assert scaled.dtype == np.uint8
    np.testing.assert_allclose(scaled.astype(int), EIGHT_BITS, atol=1)


@pytest.mark.parametrize(
    "values",
    [
        RAMP,
        change(RAMP, overshoot=1.001),
        change(RAMP, hot=1e30),
        change(RAMP, unknown=np.nan, infinite=-np.inf),
        np.where(RAMP > 0.995, np.inf, RAMP),
        RAMP * 8,  # high dynamic range
        RAMP * 2 - 1,  # network input
        RAMP * 1e6,
    ],
    ids=["0 to 1", "1.001", "hot", "unknown", "infinite", "0 to 8", "-1 to 1", "a million"],
)
def test_floating_point_ranges_become_8_bits(values):
    scaled = scale_to_8_bits(values.astype(np.float32)).astype(int)
    assert np.abs(scaled - EIGHT_BITS).ravel()[2:].max() <= 2
    assert (np.diff(scaled.ravel()[2:]) >= 0).all()


def test_one_bright_pixel_changes_nothing_else():
    dim = (RAMP * 4095).astype(np.uint16)
    hot = change(dim, hot=65535)
    np.testing.assert_array_equal(
        scale_to_8_bits(hot).ravel()[1:], scale_to_8_bits(dim).ravel()[1:]
    )


@pytest.mark.parametrize(
    ("most", "brightest"),
    [
        (255, 255),
        (299, 75),
        (1023, 255),
        (3000, 187),
        (40_000, 156),
        (10**6, 243),
        (2**31 - 1, 255),
    ],
)
@pytest.mark.parametrize("dtype", [np.uint16, np.int32])
def test_a_dim_picture_stays_visible(most, brightest, dtype):
    if most > np.iinfo(dtype).max:
        pytest.skip("these values do not fit")
    assert scale_to_8_bits((RAMP * most).astype(dtype)).max() == brightest


@pytest.mark.parametrize(
    ("value", "dtype", "expected"),
    [
        (0, np.float32, 0),
        (0.5, np.float32, 128),
        (1, np.float32, 255),
        (100, np.float32, 100),
        (np.nan, np.float32, 0),
        (0, np.uint16, 0),
        (200, np.uint16, 200),
        (65535, np.uint16, 255),
        (-5, np.int32, 125),
    ],
)
def test_pictures_of_one_value(value, dtype, expected):
    assert (scale_to_8_bits(np.full((4, 4), value, dtype)) == expected).all()


def test_no_values():
    assert scale_to_8_bits(np.zeros((0, 3), np.uint16)).shape == (0, 3)


def test_negative_values_that_are_mere_ringing_become_black():
    values = change(RAMP * 255, ringing=-3).astype(np.float32)
    np.testing.assert_allclose(scale_to_8_bits(values).astype(int), EIGHT_BITS, atol=1)


# === In files ===

DEEP = {
    "16 bit": (np.array([[0, 0x8080, 0xFFFF]], np.uint16), "deep.png", [0, 128, 255]),
    "16 bit tiff": (np.array([[0, 0x8080, 0xFFFF]], np.uint16), "deep.tif", [0, 128, 255]),
    "16 bit pgm": (np.array([[0, 0x8080, 0xFFFF]], np.uint16), "deep.pgm", [0, 128, 255]),
    "32 bit tiff": (np.array([[0, 0x8080, 0xFFFF]], np.int32), "deep.tif", [0, 128, 255]),
    "0 to 1": (np.array([[0, 0.5, 1]], np.float32), "deep.tif", [0, 128, 255]),
    "0 to 1 pfm": (np.array([[0, 0.5, 1]], np.float32), "deep.pfm", [0, 128, 255]),
    "0 to 255": (np.array([[-3, 100, 200]], np.float32), "deep.tif", [0, 100, 200]),
    "unknown": (np.array([[np.nan, 100, 200]], np.float32), "deep.tif", [0, 100, 200]),
}


@pytest.mark.parametrize(("values", "name", "expected"), DEEP.values(), ids=DEEP)
def test_deep_greyscale_keeps_its_range(values, name, expected, tmp_path):
    Image.fromarray(values).save(tmp_path / name)
    image = read_image(tmp_path / name)
    assert image.shape == (1, 3, 3)
    assert image[0].tolist() == [[value] * 3 for value in expected]


def test_big_endian_and_inverted_tiffs():
    values = np.array([[0, 0x8080, 0xFFFF]], np.uint16)
    content = {}
    for kind, picture, tags in (
        ("big-endian", Image.frombytes("I;16B", (3, 1), values.astype(">u2").tobytes()), {}),
        ("white is 0", Image.fromarray(65535 - values), {}),
    ):
        file = io.BytesIO()
        picture.save(file, "TIFF", tiffinfo=tags)
        content[kind] = file.getvalue()
    inverted = content["white is 0"].replace(
        b"\x06\x01\x03\0\1\0\0\0\1\0", b"\x06\x01\x03\0\1\0\0\0\0\0"
    )  # the tag, which Pillow does not write
    for deep in (content["big-endian"], inverted):
        assert decode_image(deep, "deep.tif")[0, :, 0].tolist() == [0, 128, 255]


@pytest.mark.parametrize("suffix", [".png", ".tif"])
@pytest.mark.parametrize("most", [1023, 4095, 65535])
@pytest.mark.parametrize("channels", [3, 4])
def test_deep_colours_keep_their_range(most, suffix, channels):
    colours = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    deep = np.round(colours[..., ::-1] / 255.0 * most).astype(np.uint16)
    if channels == 4:
        deep = np.dstack([deep, np.full((40, 60), 65535, np.uint16)])
    content = cv2.imencode(suffix, deep)[1].tobytes()
    np.testing.assert_allclose(decode_image(content, "x").astype(int), colours.astype(int), atol=1)


def test_deep_colours_are_turned_by_exif():
    deep = np.zeros((2, 3, 3), np.uint16)
    deep[0, 0] = 4095
    content = cv2.imencode(".png", deep)[1].tobytes()
    exif = Image.Exif()
    exif[0x0112] = 6
    block = exif.tobytes()[6:]
    start = content.index(b"IDAT") - 4
    chunk = b"eXIf" + block
    whole = (
        content[:start]
        + len(block).to_bytes(4, "big")
        + chunk
        + zlib.crc32(chunk).to_bytes(4, "big")
        + content[start:]
    )
    image = decode_image(whole, "x.png")
    assert image.shape == (3, 2, 3)
    assert image[0, 1].tolist() == [255, 255, 255]


@pytest.mark.parametrize("suffix", [".tif", ".pfm"])
def test_floating_point_colours_are_read(suffix):
    colours = np.random.default_rng(0).integers(0, 256, (40, 60, 3), np.uint8)
    values = (colours[..., ::-1] / 255).astype(np.float32)
    content = cv2.imencode(suffix, values)[1].tobytes()
    np.testing.assert_allclose(decode_image(content, "x").astype(int), colours.astype(int), atol=1)
