import io

import numpy as np
import pytest
from PIL import Image

from facekit.images import decode_image, encode_jpeg, encode_png, make_data_uri

COLOURS = np.random.default_rng(0).integers(0, 256, (30, 40, 3), np.uint8)
SMOOTH = np.repeat(np.linspace(0, 255, 40).astype(np.uint8)[None], 30, axis=0)


def test_png_keeps_every_pixel():
    np.testing.assert_array_equal(decode_image(encode_png(COLOURS), "a.png"), COLOURS)
    np.testing.assert_array_equal(decode_image(encode_png(SMOOTH), "a.png")[..., 0], SMOOTH)


@pytest.mark.parametrize("shape", [(30, 40), (30, 40, 3)])
def test_jpeg_comes_close(shape):
    pixels = np.broadcast_to(SMOOTH.reshape(30, 40, *[1] * (len(shape) - 2)), shape)
    decoded = decode_image(encode_jpeg(pixels), "a.jpg")
    np.testing.assert_allclose(decoded[..., 0].astype(int), SMOOTH.astype(int), atol=4)
    assert Image.open(io.BytesIO(encode_jpeg(pixels))).mode == ("L" if len(shape) == 2 else "RGB")


def test_red_stays_red():
    red = np.full((16, 16, 3), (250, 5, 5), np.uint8)
    np.testing.assert_allclose(decode_image(encode_jpeg(red), "a.jpg").astype(int), red, atol=4)


def test_a_higher_quality_makes_a_larger_file():
    sizes = [len(encode_jpeg(COLOURS, quality)) for quality in (1, 50, 90, 100)]
    assert sizes == sorted(set(sizes))


@pytest.mark.parametrize("encode", [encode_jpeg, encode_png])
@pytest.mark.parametrize(
    ("shape", "dtype"),
    [((4, 4, 4), np.uint8), ((4, 4, 3), float), ((0, 4, 3), np.uint8), ((4,), np.uint8)],
)
def test_pixels_of_another_form_are_an_error(encode, shape, dtype):
    with pytest.raises(ValueError, match=r"`pixels` must be HxWx3 RGB or HxW grey, uint8; got"):
        encode(np.zeros(shape, dtype))


@pytest.mark.parametrize("quality", [0, 101])
def test_quality_out_of_range_is_an_error(quality):
    with pytest.raises(ValueError, match=rf"`quality` must be 1 to 100; got {quality}\."):
        encode_jpeg(COLOURS, quality)


def test_a_picture_too_large_for_jpeg_is_an_error():
    with pytest.raises(ValueError, match=r"at most 65500 high and wide for JPEG; got 1 x 65501"):
        encode_jpeg(np.zeros((1, 65_501), np.uint8))


def test_data_uris():
    assert make_data_uri(b"", "image/png") == "data:image/png;base64,"
    assert make_data_uri(b"\xff\xd8", "image/jpeg") == "data:image/jpeg;base64,/9g="
