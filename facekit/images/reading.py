"""Read pictures from files, from memory and from Pillow into one form: HxWx3 RGB uint8, upright.

Bad input ends here, as an error that names the file, the reason and the remedy. Which formats are
read stands in `formats`; how deep pictures become 8-bit ones, in `depth`.
"""

from __future__ import annotations

import contextlib
import io
import os
import re
import stat
import warnings
import zlib
from pathlib import Path
from typing import BinaryIO

import numpy as np
from PIL import ExifTags, Image, UnidentifiedImageError

from facekit.images.depth import decode_deep_colours, scale_to_8_bits
from facekit.images.failures import (
    ImageError,
    check_size,
    explain_failures,
    make_kind_error,
)
from facekit.images.formats import (
    CAMERA_RAW,
    FORMATS,
    HEAD_BYTES,
    PNG_SIGNATURE,
    VIDEO,
    name_kind,
    name_signed_format,
)

MAX_PIPE_BYTES = 1_000_000_000  # read from a pipe, whose end is unknown

PNG_PIXEL_CHUNKS = (b"IHDR", b"PLTE", b"tRNS", b"IDAT", b"IEND")
# Pillow's name of what it decodes, where it keeps 8 bits of 16.
DEEP_COLOURS = re.compile(r"'(RGB[AaX]?|LA);16[BLN]'")
TRANSPOSITIONS = {  # by EXIF orientation
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def read_image(path: str | Path) -> np.ndarray:
    """Read a picture file.

    The EXIF orientation is applied. Greyscale, palette, CMYK and LAB pictures and those of 16 bits
    or floating-point values become 8-bit RGB. Transparent parts become white. Of an animation, the
    first frame is read.

    Args:
        path: The file. A pipe such as `/dev/stdin` is read to its end.

    Returns:
        HxWx3 RGB uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageError: If the file is empty, damaged, not a picture, of a format that is not read, not
            permitted to be read, or larger than `MAX_PIXELS` when decoded.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "red.png")
        >>> Image.new("RGB", (4, 3), "red").save(path)
        >>> read_image(path).shape
        (3, 4, 3)
    """
    given = os.fsdecode(path)
    with explain_failures(given):
        status = os.stat(given)  # noqa: PTH116 (a Path would change what was given)
        if stat.S_ISDIR(status.st_mode):
            raise ImageError(
                f"{given}: is a folder, not a picture; `facekit analyze` takes folders."
            )
        if stat.S_ISFIFO(status.st_mode) or stat.S_ISSOCK(status.st_mode):
            return _decode(io.BytesIO(_read_pipe(given)), given)
        if not stat.S_ISREG(status.st_mode):
            raise ImageError(f"{given}: is a device, not a picture; name a file.")
        with open(given, "rb") as file:  # noqa: PTH123
            return _decode(file, given)


def decode_image(content: bytes | bytearray | memoryview, name: str) -> np.ndarray:
    """Read a picture that is in memory, in the same way as `read_image`.

    Args:
        content: What the picture's file would hold.
        name: The picture's name in error messages.

    Returns:
        HxWx3 RGB uint8.

    Raises:
        ImageError: As `read_image`.

    Example:
        >>> from facekit.images import encode_png
        >>> decode_image(encode_png(np.zeros((3, 4, 3), np.uint8)), "black").shape
        (3, 4, 3)
    """
    with explain_failures(name):
        return _decode(io.BytesIO(content), name)


def convert_image(picture: Image.Image, name: str = "the picture") -> np.ndarray:
    """Turn a picture of Pillow into pixels, in the same way as `read_image`.

    Args:
        picture: A picture of any mode; its EXIF orientation is applied.
        name: The picture's name in error messages.

    Returns:
        HxWx3 RGB uint8.

    Raises:
        ImageError: If it has no pixels or more than `MAX_PIXELS`, or if it is damaged.

    Example:
        >>> convert_image(Image.new("HSV", (1, 1), (0, 255, 255))).tolist()
        [[[255, 0, 0]]]
    """
    with explain_failures(name):
        check_size(picture.size, name)
        picture.load()
        return _flatten(picture, _find_transposition(picture))


def _decode(file: BinaryIO, name: str) -> np.ndarray:
    head = file.read(HEAD_BYTES)
    if not head:
        raise ImageError(f"{name}: the file is empty; copy or download it again.")
    kind = name_kind(head, name)
    if kind in (CAMERA_RAW, VIDEO):  # Pillow would show the small preview inside
        raise make_kind_error(kind, name)
    is_heic = kind == "HEIC" and "HEIF" in FORMATS
    if is_heic:
        import pillow_heif  # slow to import, and few pictures need it

        pillow_heif.register_heif_opener()
    formats = ("HEIF",) if is_heic else tuple(name for name in FORMATS if name != "HEIF")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # our own bound on the size is stricter
        try:
            return _decode_with_pillow(file, name, formats)
        except (ImageError, Image.DecompressionBombError, MemoryError):
            raise
        except Exception as error:  # every decoder of Pillow has ways of its own to fail
            content = _read_whole(file)
            pixels = _decode_otherwise(content, name)
            if pixels is not None:
                return pixels
            if isinstance(error, UnidentifiedImageError):
                _raise_reason(content)
                raise make_kind_error(kind, name) from error
            raise


def _raise_reason(content: bytes) -> None:
    """Raise the error with which a decoder refused a picture, which Pillow does not report."""
    name = name_signed_format(content)
    if name in Image.OPEN:
        Image.OPEN[name][0](io.BytesIO(content), "")


def _decode_with_pillow(file: BinaryIO, name: str, formats: tuple[str, ...]) -> np.ndarray:
    file.seek(0)
    picture: Image.Image
    with Image.open(file, formats=formats) as picture:
        check_size(picture.size, name)
        is_deep = DEEP_COLOURS.search(repr(getattr(picture, "tile", ""))) is not None
        is_inverted = (
            picture.format == "TIFF" and picture.mode.startswith("I") and _is_inverted(picture)
        )
        picture.load()
        turn = _find_transposition(picture)
        deep = decode_deep_colours(_read_whole(file)) if is_deep else None
        pixels = _flatten(picture if deep is None else Image.fromarray(deep), turn)
        return 255 - pixels if is_inverted else pixels


def _decode_otherwise(content: bytes, name: str) -> np.ndarray | None:
    """Decode a picture that Pillow refuses for what stands beside the pixels, or cannot decode."""
    if content.startswith(PNG_SIGNATURE):  # broken or very large text, profiles, animation
        with contextlib.suppress(Exception):
            return _decode_with_pillow(io.BytesIO(_drop_metadata(content)), name, ("PNG",))
    if content[4:8] == b"ftyp" and "AVIF" in FORMATS:  # a broken EXIF block: give it another name
        with contextlib.suppress(Exception):
            renamed = io.BytesIO(content.replace(b"Exif", b"none"))
            return _decode_with_pillow(renamed, name, ("AVIF",))
    size = _measure_undecoded(content)
    if size is None:
        return None
    check_size(size, name)
    deep = decode_deep_colours(content)
    return None if deep is None else _flatten(Image.fromarray(deep), None)


def _drop_metadata(content: bytes) -> bytes:
    """Return a PNG file without the chunks that its pixels do not need."""
    kept, start = [PNG_SIGNATURE], len(PNG_SIGNATURE)
    while start + 8 <= len(content):
        length = int.from_bytes(content[start : start + 4], "big")
        chunk = content[start : start + 12 + length]  # length, kind, data, checksum
        kind, is_whole = chunk[4:8], len(chunk) == 12 + length
        is_right = is_whole and zlib.crc32(chunk[4:-4]).to_bytes(4, "big") == chunk[-4:]
        if kind in PNG_PIXEL_CHUNKS or (kind == b"eXIf" and is_right):
            kept.append(chunk)
        start += 12 + length
    return b"".join(kept)


def _measure_undecoded(content: bytes) -> tuple[int, int] | None:
    """Return width and height of a picture that OpenCV may decode where Pillow cannot.

    These are colour PFM files and TIFF files of floating-point colours.
    """
    if found := re.match(rb"PF\s+(\d{1,9})\s+(\d{1,9})\s", content):
        return int(found[1]), int(found[2])
    if content[:4] in (b"II*\0", b"MM\0*"):
        from PIL.TiffImagePlugin import ImageFileDirectory_v2

        with contextlib.suppress(Exception):
            directory = ImageFileDirectory_v2(content[:8])
            file = io.BytesIO(content)
            file.seek(directory.next)
            directory.load(file)
            return int(directory[256]), int(directory[257])
    return None


def _is_inverted(picture: Image.Image) -> bool:
    """Return whether 0 is white in a TIFF file; Pillow turns such pictures around up to 8 bits."""
    return getattr(picture, "tag_v2", {}).get(262) == 0


def _find_transposition(picture: Image.Image) -> Image.Transpose | None:
    with contextlib.suppress(Exception):  # a damaged EXIF block is no reason to lose the picture
        return TRANSPOSITIONS.get(int(picture.getexif()[ExifTags.Base.Orientation]))
    return None


def _flatten(picture: Image.Image, turn: Image.Transpose | None) -> np.ndarray:
    """Return a loaded picture of any mode as HxWx3 RGB uint8 on white, turned."""
    mode = picture.mode
    if mode == "F" or mode.startswith("I"):  # Pillow would clip these to 8 bits
        picture = Image.fromarray(scale_to_8_bits(np.asarray(picture)))
    elif mode == "LAB":
        from PIL import ImageCms

        lab, rgb = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        converted = ImageCms.profileToProfile(picture, lab, rgb, outputMode="RGB")
        assert converted is not None  # it is only for pictures that are changed in place
        picture = converted
    elif mode == "La":  # colours multiplied by alpha, which Pillow converts to LA only
        picture = picture.convert("LA")
    if turn is not None:
        picture = picture.transpose(turn)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
    return np.array(picture if picture.mode == "RGB" else picture.convert("RGB"))


def _read_whole(file: BinaryIO) -> bytes:
    file.seek(0)
    return file.read()


def _read_pipe(path: str) -> bytes:
    with open(path, "rb") as pipe:  # noqa: PTH123 (a Path would change what was given)
        content = pipe.read(MAX_PIPE_BYTES + 1)
    if len(content) > MAX_PIPE_BYTES:
        raise ImageError(f"{path}: holds more than {MAX_PIPE_BYTES // 10**9} GB; name a file.")
    return content
