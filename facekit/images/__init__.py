"""Read pictures and cut faces out of them: the one preprocessing that training and analysis share.

Reading turns any file into HxWx3 RGB uint8, upright. Cutting turns a picture and five landmarks
into an upright square crop, float32 from -1 to 1. Where the faces are is found by `detection`.
"""

from __future__ import annotations

import base64
import contextlib
import io
import struct
import warnings
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np
from PIL import Image, ImageOps, UnidentifiedImageError

from facekit.faces import Faces

IMAGE_SUFFIXES = (
    ".jpg", ".jpeg", ".jfif", ".png", ".bmp", ".gif", ".webp", ".tif", ".tiff", ".pgm", ".ppm", ".avif",
)  # fmt: skip
# Pictures that facekit does not read here; folders count and name them.
UNREAD_SUFFIXES = (
    ".heic", ".heif", ".jxl", ".jp2", ".j2k", ".tga", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".orf", ".rw2", ".raf",
)  # fmt: skip
FORMATS = (
    "JPEG",
    "PNG",
    "BMP",
    "DIB",
    "GIF",
    "WEBP",
    "TIFF",
    "PPM",
    "AVIF",
)  # none that runs a program, as EPS does
MAX_PIXELS = 150_000_000  # 450 MB decoded: more than any camera gives, less than a laptop has

# Where the landmarks lie in a crop of side 1, in the order of `taxonomy.LANDMARKS`: about the mean
# over UTKFace and FER2013, made symmetric, so that either's own crops hold nearly all that is cut.
TEMPLATE_XY = np.array(
    [[0.32, 0.35], [0.68, 0.35], [0.5, 0.57], [0.34, 0.73], [0.66, 0.73]], np.float32
)


class ImageError(ValueError):
    """A picture that cannot be read; the message names the file and the remedy."""


def read_image(path: str | Path) -> np.ndarray:
    """Read a picture as it is meant to be seen.

    The EXIF orientation is applied; greyscale, palette, CMYK and 16-bit pictures become 8-bit RGB;
    transparent parts become white; of an animation the first frame is taken.

    Args:
        path: The file.

    Returns:
        HxWx3 RGB uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageError: If it is empty, damaged, not a picture, unreadable, or larger than `MAX_PIXELS`
            when decoded.
    """
    path = Path(path)
    with _explain_failures(path):
        if path.is_dir():
            raise ImageError(
                f"{path}: is a folder, not a picture; `facekit analyze` takes folders."
            )
        return _decode(path, path, path.stat().st_size)


def decode_image(content: bytes, name: str) -> np.ndarray:
    """Read a picture that is in memory, as `read_image` does.

    Args:
        content: What its file would hold.
        name: Of the picture, for errors.

    Returns:
        HxWx3 RGB uint8.

    Raises:
        ImageError: As `read_image`.
    """
    with _explain_failures(name):
        return _decode(io.BytesIO(content), name, len(content))


def _decode(file: Path | io.BytesIO, name: str | Path, size_bytes: int) -> np.ndarray:
    if size_bytes == 0:
        raise ImageError(f"{name}: the file is empty; copy or download it again.")
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # our own bound on the size is stricter
        with Image.open(file, formats=FORMATS) as picture:
            width, height = picture.size
            if width * height > MAX_PIXELS:
                raise _make_size_error(name, f"{width} x {height} pixels")
            with contextlib.suppress(KeyError, TypeError, ValueError, AttributeError, struct.error):
                ImageOps.exif_transpose(
                    picture, in_place=True
                )  # a damaged EXIF block is no reason to lose the picture
            return _convert_to_rgb(picture)


@contextlib.contextmanager
def _explain_failures(name: str | Path) -> Iterator[None]:
    """Turn whatever goes wrong with a picture into an error that names it and the remedy."""
    try:
        yield
    except FileNotFoundError:
        raise FileNotFoundError(f"{name}: no such file; check the spelling.") from None
    except Image.DecompressionBombError:
        raise _make_size_error(name, "too many pixels") from None
    except UnidentifiedImageError:
        raise ImageError(
            f"{name}: is not a picture that can be read; save it as JPEG or PNG."
        ) from None
    except PermissionError:
        raise ImageError(f"{name}: may not be read; change its permissions.") from None
    except ImageError:
        raise
    except Exception as error:  # every decoder of Pillow has ways of its own to fail
        raise ImageError(
            f"{name}: the picture is damaged ({error}); copy or download it again."
        ) from None


def _make_size_error(name: str | Path, size: str) -> ImageError:
    bound = MAX_PIXELS // 1_000_000
    return ImageError(
        f"{name}: has {size}, more than the {bound} million that are decoded; make it smaller first."
    )


def _convert_to_rgb(picture: Image.Image) -> np.ndarray:
    mode = picture.mode
    if mode == "F" or mode.startswith(
        "I"
    ):  # 16-bit and floating point: Pillow would clip these to 8 bits
        values = np.nan_to_num(np.asarray(picture, np.float32))
        brightest = values.max(initial=0)
        scale = 255 if brightest <= 1 else 1 if brightest <= 255 else 255 / 65535
        grey = np.clip(np.round(values * scale), 0, 255).astype(np.uint8)
        return np.repeat(grey[..., None], 3, axis=2)
    if picture.has_transparency_data:
        picture = picture.convert("RGBA")
        picture = Image.alpha_composite(Image.new("RGBA", picture.size, "white"), picture)
        mode = picture.mode
    return np.array(picture if mode == "RGB" else picture.convert("RGB"))


def encode_jpeg(pixels: np.ndarray, quality: int = 92) -> bytes:
    """Return HxWx3 RGB uint8 as the content of a JPEG file."""
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, "JPEG", quality=quality)
    return file.getvalue()


def make_data_uri(content: bytes, mime: str) -> str:
    """Return a file's content as an address that a page can hold."""
    return f"data:{mime};base64,{base64.b64encode(content).decode()}"


def convert_to_grey(image: np.ndarray) -> np.ndarray:
    """Turn HxWx3 RGB uint8 into HxW uint8 luminance (ITU-R BT.601)."""
    return cv2.cvtColor(image, cv2.COLOR_RGB2GRAY)


def equalise_crops(crops: np.ndarray) -> np.ndarray:
    """Spread each crop's grey values evenly, so that lighting and camera matter less.

    FER2013 comes so; a network that learned from it needs it.

    Args:
        crops: (faces, size, size, 1) uint8.

    Returns:
        As `crops`.
    """
    return np.stack([cv2.equalizeHist(crop)[..., None] for crop in crops]) if len(crops) else crops


def normalise(crops: np.ndarray) -> np.ndarray:
    """Turn crops of 0 to 255 into network input of the same shape, float32 from -1 to 1."""
    return crops.astype(np.float32) / 127.5 - 1


def estimate_similarity(source_xy: np.ndarray, target_xy: np.ndarray) -> np.ndarray:
    """Find the rotation, uniform scale and shift that bring points closest to others (least
    squares).

    Args:
        source_xy: (points, 2).
        target_xy: (points, 2).

    Returns:
        (2, 3) matrix for `cv2.warpAffine`.

    Reference: Umeyama, 1991; in two dimensions and without reflection it is one division of complex
        numbers.
    """
    source = source_xy.astype(np.float64) @ (1, 1j)
    target = target_xy.astype(np.float64) @ (1, 1j)
    spread = np.sum(np.abs(source - source.mean()) ** 2)
    turn = np.sum(np.conj(source - source.mean()) * (target - target.mean())) / max(spread, 1e-12)
    shift = target.mean() - turn * source.mean()
    return np.array([[turn.real, -turn.imag, shift.real], [turn.imag, turn.real, shift.imag]])


def cut_crops(image: np.ndarray, faces: Faces, size: int, channels: int = 1) -> np.ndarray:
    """Cut faces out of a picture, upright by their landmarks.

    Args:
        image: HxWx3 RGB uint8.
        faces: Where they are. A face without landmarks (NaN) is cut along its box.
        size: Side of the crops in pixels.
        channels: 1 for grey, 3 for RGB.

    Returns:
        (faces, size, size, channels) uint8; what lies outside the picture repeats its edge.

    Raises:
        ValueError: If `size` is not positive, or `channels` neither 1 nor 3.
    """
    if channels not in (1, 3):
        raise ValueError(f"`channels` must be 1 (grey) or 3 (RGB); got {channels}.")
    if size < 1:
        raise ValueError(f"`size` must be 1 pixel or more; got {size}.")
    boxes = faces.boxes_xyxy[:, None]  # (faces, 1, 4)
    within_boxes = boxes[..., :2] + TEMPLATE_XY * (boxes[..., 2:] - boxes[..., :2])  # (faces, 5, 2)
    landmarks = np.where(np.isnan(faces.landmarks_xy), within_boxes, faces.landmarks_xy)
    crops = [_cut_crop(image, points, size, channels) for points in landmarks]
    return np.stack(crops) if crops else np.zeros((0, size, size, channels), np.uint8)


def _cut_crop(image: np.ndarray, points_xy: np.ndarray, size: int, channels: int) -> np.ndarray:
    matrix = estimate_similarity(points_xy, TEMPLATE_XY * size)
    # Take the part of the picture that the crop can show, a little larger, so that a large picture
    # costs no more than a small one.
    inverse = cv2.invertAffineTransform(matrix)
    corners = np.array([[0, 0], [1, 0], [0, 1], [1, 1]]) * size @ inverse[:, :2].T + inverse[:, 2]
    height, width = image.shape[:2]
    left, top = np.clip(np.floor(corners.min(axis=0)) - 2, 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(
        np.ceil(corners.max(axis=0)) + 2, (left + 1, top + 1), (width, height)
    ).astype(int)
    part = np.ascontiguousarray(image[top:bottom, left:right])
    if channels == 1:
        part = convert_to_grey(part)
    matrix[:, 2] += matrix[:, :2] @ (left, top)
    # Average before shrinking: the warp itself looks at four pixels only, and would alias.
    shrink = min(int(1 / max(np.hypot(*matrix[0, :2]), 1e-6)), min(part.shape[:2]))
    if shrink > 1:
        small = cv2.resize(part, None, fx=1 / shrink, fy=1 / shrink, interpolation=cv2.INTER_AREA)
        ratio = np.array(part.shape[1::-1]) / small.shape[1::-1]
        matrix[:, 2] += matrix[:, :2] @ (ratio / 2 - 0.5)
        matrix[:, :2] *= ratio
        part = small
    crop = cv2.warpAffine(
        part, matrix, (size, size), flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE
    )
    return crop.reshape(size, size, channels)
