"""Say in one sentence why a picture cannot be read: which file, which reason, which remedy.

"Damaged" is said only of pictures that a decoder began to read. What the operating system refuses,
what is no picture, and what facekit has no decoder for, each has a sentence of its own.
"""

from __future__ import annotations

import contextlib
import errno
import os
import re
from collections.abc import Iterator
from pathlib import Path

from PIL import Image

from facekit.images.formats import CAMERA_RAW, FORMATS, VIDEO, VIDEO_SUFFIXES

MAX_PIXELS = 150_000_000  # 450 MB decoded: more than any camera gives, less than a laptop has
NAME_LENGTH = 120  # characters of a name in messages
# How Pillow and its decoders say that they do not know an encoding.
UNSUPPORTED = re.compile(
    r"unsupported|not supported|unknown|not available|no codec|cannot handle", re.I
)
WEB_ADDRESS = re.compile(r"(https?|ftp|s3|gs|file):/", re.I)
# A picture's bytes as text: what JPEG, PNG, GIF, WebP and TIFF begin with, or any long mixed text.
BASE64 = re.compile(
    r"(/9j/|iVBORw0KGgo|R0lGOD|UklGR|SUkqA)[A-Za-z0-9+/=\s]*"
    r"|(?=.*[A-Z])(?=.*[a-z])(?=.*[0-9])[A-Za-z0-9+/\s]{200,}=*",
    re.S,
)


class ImageError(ValueError):
    """A picture that cannot be read; the message names the file, the reason and the remedy.

    Example:
        >>> from facekit.images import decode_image
        >>> decode_image(b"some text", "a.jpg")
        Traceback (most recent call last):
        facekit.images.failures.ImageError: a.jpg: is not a picture that can be read; save it as ...
    """


@contextlib.contextmanager
def explain_failures(name: str) -> Iterator[None]:
    """Turn any failure to read a picture into an error that names the file and the remedy.

    Args:
        name: What was given as the picture's path or name.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageError: In place of any other exception.

    Example:
        >>> with explain_failures("a.jpg"):
        ...     Image.open("a.jpg")
        Traceback (most recent call last):
        FileNotFoundError: a.jpg: no such file; check the spelling.
    """
    short = shorten_name(name)
    try:
        yield
    except ImageError as error:
        raise ImageError(str(error).replace(name, short)) from error.__cause__
    except Image.DecompressionBombError:
        raise _make_size_error(short, "too many pixels") from None
    except MemoryError:
        raise ImageError(
            f"{short}: needs more memory than there is when decoded; make it smaller first."
        ) from None
    except OSError as error:
        if error.errno is None:  # a decoder's
            raise _make_decoding_error(error, short) from None
        raise explain_os_error(error, name) from None
    except ValueError as error:
        if "null byte" in str(error) or isinstance(error, UnicodeError):
            raise ImageError(f"{short}: no file can have this name ({error}).") from None
        raise _make_decoding_error(error, short) from None
    except Exception as error:  # every decoder of Pillow has ways of its own to fail
        raise _make_decoding_error(error, short) from None


def shorten_name(name: str) -> str:
    """Return a name for messages; of a long one, such as a base64 string, only its beginning.

    Example:
        >>> shorten_name("a.jpg")
        'a.jpg'
    """
    if len(name) <= NAME_LENGTH:
        return name
    return f"{name[: NAME_LENGTH // 2]}... ({len(name)} characters)"


def explain_os_error(
    error: OSError, name: str, error_class: type[ValueError] = ImageError
) -> FileNotFoundError | ValueError:
    """Return the error that says in a sentence why a file could not be opened.

    Args:
        error: What the operating system reported.
        name: What was given as the path.
        error_class: The class of the error, unless the file is missing.

    Example:
        >>> explain_os_error(OSError(errno.ELOOP, ""), "a.jpg")
        ImageError('a.jpg: is a symbolic link that leads back to itself; remove it.')
    """
    short = shorten_name(name) or repr(name)
    is_missing = error.errno in (errno.ENOENT, errno.ENOTDIR, errno.ENAMETOOLONG, errno.EINVAL)
    if is_missing and WEB_ADDRESS.match(name):
        return error_class(f"{short}: is a web address, not a file; download the file first.")
    if is_missing and (name.startswith("data:") or BASE64.fullmatch(name)):
        return error_class(
            f"{short}: is base64 text, not a path. "
            "Decode it, and read the bytes with `facekit.images.decode_image`."
        )
    match error.errno:
        case errno.ENOENT | errno.ENOTDIR:
            return FileNotFoundError(f"{short}: no such file; check the spelling.")
        case errno.ENAMETOOLONG:
            return error_class(f"{short}: the name is too long for a file; check the path.")
        case errno.ELOOP:
            return error_class(f"{short}: is a symbolic link that leads back to itself; remove it.")
        case errno.EACCES | errno.EPERM:
            folder = Path(name).parent
            if not os.access(folder, os.X_OK):
                return error_class(
                    f"{short}: its folder may not be opened; change the permissions of {folder}."
                )
            return error_class(f"{short}: may not be read; change its permissions.")
    return error_class(f"{short}: cannot be read ({error.strerror or error}).")


def _make_decoding_error(error: Exception, name: str) -> ImageError:
    reason = str(error) or type(error).__name__
    if reason.isdecimal():  # of a compression that Pillow looked up in vain
        reason = f"unknown code {reason}"
    if UNSUPPORTED.search(reason):
        return ImageError(
            f"{name}: uses an encoding that is not supported ({reason}); save it as JPEG or PNG."
        )
    return ImageError(f"{name}: the picture is damaged ({reason}); copy or download it again.")


def make_kind_error(kind: str, name: str) -> ImageError:
    """Return the error of a file that no decoder accepts.

    Args:
        kind: Of `formats.name_kind`.
        name: The file's name.

    Example:
        >>> make_kind_error("PSD", "a.psd")
        ImageError('a.psd: is of the format PSD, which facekit does not read; save it as ...')
    """
    if kind == VIDEO:
        is_named = name.lower().endswith(VIDEO_SUFFIXES)
        renamed = "" if is_named else ", after giving it a name that ends in .mp4"
        return ImageError(
            f"{name}: is a video, not a picture. In Python, read it with "
            "`FaceAnalyzer().analyze_video(path)`; on the command line, with `facekit analyze`"
            f"{renamed}."
        )
    if kind == "HEIC" and "HEIF" not in FORMATS:
        return ImageError(
            f"{name}: is a HEIC picture, which needs an extra. Run: pip install 'facekit[heif]'"
        )
    if kind == "AVIF" and "AVIF" not in FORMATS:
        return ImageError(
            f"{name}: is an AVIF picture, which this Pillow cannot read. "
            "Run: pip install --upgrade pillow"
        )
    if kind == CAMERA_RAW:
        return ImageError(
            f"{name}: is a camera raw file, which facekit does not read; export it as JPEG or TIFF."
        )
    if kind in ("HEIC", "AVIF"):
        return ImageError(
            f"{name}: the picture is damaged, or of a variant that is not supported (no decoder "
            "accepts it); copy or download it again, or save it as JPEG or PNG."
        )
    if kind:
        return ImageError(
            f"{name}: is of the format {kind}, which facekit does not read; save it as JPEG or PNG."
        )
    return ImageError(f"{name}: is not a picture that can be read; save it as JPEG or PNG.")


def check_size(size: tuple[int, int], name: str) -> None:
    """Raise an ImageError for a picture without pixels or with more than `MAX_PIXELS`.

    Example:
        >>> check_size((0, 4), "a.png")
        Traceback (most recent call last):
        facekit.images.failures.ImageError: a.png: has no pixels (0 x 4).
    """
    if size[0] * size[1] > MAX_PIXELS:
        raise _make_size_error(name, f"{size[0]} x {size[1]} pixels")
    if 0 in size:
        raise ImageError(f"{name}: has no pixels ({size[0]} x {size[1]}).")


def _make_size_error(name: str, size: str) -> ImageError:
    return ImageError(
        f"{name}: has {size}, more than the {MAX_PIXELS // 1_000_000} million that are decoded; "
        "make it smaller first."
    )
