import errno
import io
import os
import struct
import threading
import zlib

import numpy as np
import pytest
from PIL import ExifTags, Image, ImageCms, PngImagePlugin

from facekit.images import ImageError, convert_image, decode_image, failures, read_image, reading
from facekit.images.formats import FORMATS, IMAGE_SUFFIXES, SUFFIXES

ORIENTATION = 0x0112  # the EXIF tag
RED, WHITE, BLACK = (255, 0, 0), (255, 255, 255), (0, 0, 0)


def make_colours(height, width) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (height, width, 3), np.uint8)


def encode(picture: Image.Image, file_format: str, **options) -> bytes:
    """Return what a file of the picture would hold."""
    file = io.BytesIO()
    picture.save(file, file_format, **options)
    return file.getvalue()


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
    if suffix in SUFFIXES["HEIF"]:
        pytest.importorskip("pillow_heif").register_heif_opener()
    mode = {".pbm": "1", ".pgm": "L", ".pfm": "F"}.get(suffix, "RGB")
    Image.new("L", (40, 30), 200).convert(mode, dither=Image.Dither.NONE).save(path)
    image = read_image(path)
    assert image.shape == (30, 40, 3)
    assert image.dtype == np.uint8
    assert np.abs(image.astype(int) - (255 if mode == "1" else 200)).max() <= 3
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
    ("name", "file_format"),
    [
        ("many.gif", "GIF"),
        ("many.tif", "TIFF"),
        ("many.jpg", "MPO"),
        ("many.mpo", "MPO"),
        ("many.png", "PNG"),
        ("many.webp", "WEBP"),
    ],
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
            r"bad\.jpg: is of the format PostScript, which facekit does not read",
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
        match=r"half\.jpg: (the picture is damaged \(.+\); copy or download it again|"
        r"the picture is damaged, or of a variant)",
    ):
        read_image(path)


@pytest.mark.parametrize("side", [13_000, 60_000], ids=["above ours", "above Pillow's"])
def test_a_bomb_is_refused_undecoded(side, tmp_path):
    write_png_header(tmp_path / "bomb.png", side, side)  # decoding would find it damaged
    with pytest.raises(
        ImageError,
        match=r"bomb\.png: has .* pixels, more than the 150 million that are decoded; "
        r"make it smaller first\.",
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


# === What stands beside the pixels ===

BROKEN_EXIF = [
    b"garbage, not EXIF",
    b"Exif\0\0garbage",
    b"Exif\0\0II*\0\xff\xff\xff\xff",
    b"II*\0\x08\0\0\0\xff\xff\x12\x01\x03\0",
]


@pytest.mark.parametrize("block", BROKEN_EXIF, ids=["text", "header", "offset", "cut off"])
@pytest.mark.parametrize("file_format", ["PNG", "WEBP", "JPEG", "JPEG2000"])
def test_a_broken_exif_block_costs_no_picture(file_format, block):
    pixels = np.full((16, 16, 3), (200, 90, 30), np.uint8)
    content = encode(Image.fromarray(pixels), file_format, exif=block)
    np.testing.assert_allclose(decode_image(content, "x").astype(int), pixels, atol=6)


@pytest.mark.skipif("AVIF" not in FORMATS, reason="this Pillow reads no AVIF")
def test_a_broken_exif_block_in_avif_costs_no_picture():
    pixels = np.full((16, 16, 3), (200, 90, 30), np.uint8)
    exif = Image.Exif()
    exif[ExifTags.Base.Make] = "camera"
    content = encode(Image.fromarray(pixels), "AVIF", exif=exif)
    broken = content.replace(exif.tobytes()[6:14], b"garbage!")
    assert broken != content
    np.testing.assert_allclose(decode_image(broken, "x").astype(int), pixels, atol=6)


def insert_chunk(content: bytes, kind: bytes, data: bytes, checksum: int | None = None) -> bytes:
    """Put a chunk into a PNG file before its pixels."""
    start = content.index(b"IDAT") - 4
    checksum = zlib.crc32(kind + data) if checksum is None else checksum
    chunk = struct.pack(">I", len(data)) + kind + data + struct.pack(">I", checksum)
    return content[:start] + chunk + content[start:]


@pytest.mark.parametrize(
    ("kind", "data"),
    [
        (b"eXIf", b"garbage"),
        (b"tEXt", b"workflow\0" + b"x" * 3_000_000),
        (b"zTXt", b"workflow\0\0" + zlib.compress(b"x" * 5_000_000)),
        (b"iTXt", b"workflow\0\0\0\0\0" + b"x" * 2_000_000),
        (b"iCCP", b"profile\0\0" + zlib.compress(bytes(3_000_000))),
        (b"gAMA", b"\0"),
        (b"pHYs", b""),
        (b"acTL", b"\0"),
    ],
)
@pytest.mark.parametrize("checksum", [None, 1], ids=["right checksum", "wrong checksum"])
def test_metadata_of_a_png_costs_no_picture(kind, data, checksum):
    pixels = make_colours(5, 7)
    content = insert_chunk(encode(Image.fromarray(pixels), "PNG"), kind, data, checksum)
    np.testing.assert_array_equal(decode_image(content, "x.png"), pixels)


def test_much_text_costs_no_picture_and_no_orientation():
    pixels, text, exif = make_colours(2, 3), PngImagePlugin.PngInfo(), Image.Exif()
    for index in range(80):  # 72 MB, more than Pillow reads
        text.add_text(f"key {index}", "x" * 900_000)
    exif[ORIENTATION] = 3
    content = encode(Image.fromarray(pixels), "PNG", pnginfo=text, exif=exif)
    np.testing.assert_array_equal(decode_image(content, "x.png"), np.rot90(pixels, 2))


def test_a_png_cut_off_behind_large_text_is_an_error():
    content = encode(Image.fromarray(make_colours(64, 64)), "PNG")
    content = insert_chunk(content, b"tEXt", b"workflow\0" + b"x" * 3_000_000)
    with pytest.raises(ImageError, match=r"x\.png: the picture is damaged"):
        decode_image(content[:-4000], "x.png")


# === Kinds that are not read ===


@pytest.mark.parametrize(
    ("content", "name", "message"),
    [
        (b"8BPS" + bytes(40), "a.jpg", r"is of the format Photoshop, which facekit does not read"),
        (
            b"\xff\x0a" + bytes(40),
            "a.jpg",
            r"is of the format JPEG XL, which facekit does not read",
        ),
        (b"<html>", "a.jpg", r"is of the format HTML, which facekit does not read; save it as"),
        (b"II*\0", "a.nef", r"is a camera raw file, which facekit does not read; export it as"),
        (b"\0\0\0\x18ftypisom", "a.jpg", r"is a video, not a picture\. In Python, read it with"),
        (b"cut off", "clip.mp4", r"is a video, not a picture\. .*analyze_video\(path\)"),
        (b"\xff\xd8\xff\xe1" + bytes(40), "a.jpg", r"the picture is damaged"),
    ],
)
def test_other_kinds_are_named(content, name, message):
    with pytest.raises(ImageError, match=message):
        decode_image(content, name)


def test_a_raw_file_does_not_pass_for_its_preview():
    with pytest.raises(ImageError, match=r"photo\.DNG: is a camera raw file"):
        decode_image(encode(Image.new("RGB", (160, 120)), "TIFF"), "photo.DNG")


def test_an_encoding_without_a_decoder_is_named():
    content = encode(Image.new("RGB", (16, 16)), "TIFF")
    tag = b"\x03\x01\x03\0\1\0\0\0"  # compression, one short number
    unknown = content.replace(tag + b"\1\0", tag + struct.pack("<H", 34887))
    assert unknown != content
    with pytest.raises(
        ImageError, match=r"uses an encoding that is not supported \(unknown code 34887\)"
    ):
        decode_image(unknown, "x.tif")


@pytest.mark.skipif("HEIF" not in FORMATS, reason="the extra `heif` is not installed")
def test_heic_is_read(tmp_path):
    pillow_heif = pytest.importorskip("pillow_heif")
    pixels = np.full((64, 48, 3), (200, 90, 30), np.uint8)
    pillow_heif.from_pillow(Image.fromarray(pixels)).save(tmp_path / "photo.heic")
    np.testing.assert_allclose(read_image(tmp_path / "photo.heic").astype(int), pixels, atol=6)


def test_heic_without_its_extra_names_it(monkeypatch):
    for module in (reading, failures):
        monkeypatch.setattr(module, "FORMATS", tuple(set(FORMATS) - {"HEIF"}))
    with pytest.raises(
        ImageError, match=r"a\.heic: .*needs an extra\. Run: pip install 'facekit\[heif\]'"
    ):
        decode_image(b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "a.heic")


# === Paths that are no pictures ===


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("x" * 300, r"^x{60}\.\.\. \(300 characters\): the name is too long for a file"),
        ("/9j/4AAQSkZJRgABAQ" + "A" * 900, r"\(918 characters\): is base64 text, not a path"),
        ("aB3/" * 100, r"\(400 characters\): is base64 text, not a path\. Decode it"),
        ("data:image/png;base64,iVBORw0KGgo=", r"is base64 text, not a path"),
        ("https://example.org/a.jpg", r"a\.jpg: is a web address, not a file; download"),
        ("https:/example.org/a.jpg", r"is a web address, not a file"),  # as a Path writes it
        ("a\0.jpg", r"no file can have this name \(embedded null byte\)"),
        ("/dev/null", r"/dev/null: is a device, not a picture"),
    ],
)
def test_text_that_is_no_path_is_an_error(name, message):
    with pytest.raises(ImageError, match=message):
        read_image(name)


def test_a_path_through_a_file_is_missing(tmp_path):
    (tmp_path / "a.txt").touch()
    with pytest.raises(FileNotFoundError, match=r"b\.jpg: no such file; check the spelling\."):
        read_image(tmp_path / "a.txt" / "b.jpg")


def test_a_link_to_itself_is_an_error(tmp_path):
    (tmp_path / "loop.jpg").symlink_to("loop.jpg")
    with pytest.raises(
        ImageError, match=r"loop\.jpg: is a symbolic link that leads back to itself"
    ):
        read_image(tmp_path / "loop.jpg")


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (errno.EACCES, r"may not be read; change its permissions\."),
        (errno.EIO, r"cannot be read \(Input/output error\)\."),
    ],
)
def test_what_the_system_refuses_is_said(code, message, tmp_path):
    error = failures.explain_os_error(OSError(code, os.strerror(code)), str(tmp_path / "a.jpg"))
    assert isinstance(error, ImageError)
    with pytest.raises(ImageError, match=message):
        raise error


def test_a_pipe_is_read(tmp_path):
    pixels = make_colours(5, 7)
    os.mkfifo(tmp_path / "pipe")
    content = encode(Image.fromarray(pixels), "PNG")
    writer = threading.Thread(target=(tmp_path / "pipe").write_bytes, args=(content,))
    writer.start()
    np.testing.assert_array_equal(read_image(tmp_path / "pipe"), pixels)
    writer.join()


def test_names_that_are_not_utf8_are_read(tmp_path):
    name = os.fsdecode(os.fsencode(tmp_path) + b"/caf\xe9.png")
    Image.new("RGB", (4, 3)).save(name)
    assert read_image(name).shape == (3, 4, 3)


# === Pictures of Pillow ===


def make_pillow_pictures() -> dict[str, Image.Image]:
    colours = Image.new("RGB", (4, 2), (220, 60, 40))
    lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
    pictures = {mode: colours.convert(mode) for mode in ("RGB", "CMYK", "YCbCr", "HSV", "RGBA")}
    pictures["RGBa"] = pictures["RGBA"].convert("RGBa")
    pictures["P"] = colours.quantize()
    pictures["PA"] = pictures["P"].convert("PA")
    pictures["LAB"] = ImageCms.profileToProfile(colours, rgb, lab, outputMode="LAB")
    return pictures


@pytest.mark.parametrize("mode", ["RGB", "P", "CMYK", "YCbCr", "HSV", "RGBA", "RGBa", "PA", "LAB"])
def test_every_colour_mode_is_converted(mode):
    picture = make_pillow_pictures()[mode]
    assert picture.mode == mode
    pixels = convert_image(picture)
    assert pixels.shape == (2, 4, 3)
    np.testing.assert_allclose(
        pixels.astype(int), np.broadcast_to((220, 60, 40), (2, 4, 3)), atol=3
    )


@pytest.mark.parametrize("mode", ["L", "1", "LA", "La", "I", "F", "I;16"])
def test_every_grey_mode_is_converted(mode):
    grey = Image.new("L", (4, 2), 255)
    picture = grey.convert("LA").convert("La") if mode == "La" else grey.convert(mode)
    assert (convert_image(picture) == 255).all()


def test_exif_rotation_of_a_pillow_picture_is_applied(tmp_path):
    pixels, exif = make_colours(2, 3), Image.Exif()
    exif[ORIENTATION] = 6
    picture = Image.fromarray(pixels)
    picture.getexif().update(exif)
    np.testing.assert_array_equal(convert_image(picture), np.rot90(pixels, -1))
    np.testing.assert_array_equal(np.asarray(picture), pixels)  # the user's picture is not changed


def test_pillow_pictures_that_cannot_be_read(monkeypatch):
    with pytest.raises(ImageError, match=r"the picture: has no pixels \(0 x 3\)\."):
        convert_image(Image.new("RGB", (0, 3)))
    half = Image.open(io.BytesIO(encode(Image.fromarray(make_colours(64, 64)), "PNG")[:3000]))
    with pytest.raises(ImageError, match=r"half: the picture is damaged"):
        convert_image(half, "half")
    monkeypatch.setattr(failures, "MAX_PIXELS", 11)
    with pytest.raises(ImageError, match=r"has 4 x 3 pixels, more than the"):
        convert_image(Image.new("RGB", (4, 3)))
