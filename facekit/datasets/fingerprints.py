"""Take what later steps need from each picture while it is decoded once: its hash and a thumbnail.

The hash says whether two files are the same, the thumbnail whether two pictures show the same photo
(see `groups`). Fingerprints are remembered while the program runs, for as long as the file keeps
its size and its time of change, so that splitting, auditing and cutting do not decode again.
"""

from __future__ import annotations

import hashlib
import warnings
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from facekit.images import ImageError, convert_to_grey, decode_image
from facekit.images.failures import explain_os_error

# Pixels. Enough to distinguish faces, few enough to compare all pairs in seconds.
THUMBNAIL_SIDE = 16
FLAT = 1e-3  # length of a thumbnail's deviations below which the picture is one plain colour
REMEMBERED = 2**17  # fingerprints of about 1 KB each
NAMED = 3  # files that a warning names


@dataclass(frozen=True, eq=False)
class Fingerprint:
    """What is kept of one picture.

    Attributes:
        sha256: Hash of the file's bytes in hexadecimal; empty if there is no such file.
        thumbnail: (THUMBNAIL_SIDE ** 2,) float32 grey values, standardized so that the product of
            two thumbnails is their correlation; zeros if the picture cannot be read.
        problem: Why the picture cannot be read, in one sentence; empty if it can.
        size_hw: Height and width in pixels; 0 if the picture cannot be read.

    Example:
        >>> take_fingerprint("no such file.jpg").problem
        'no such file.jpg: no such file; check the spelling.'
    """

    sha256: str
    thumbnail: np.ndarray
    problem: str = ""
    size_hw: tuple[int, int] = (0, 0)

    @property
    def is_readable(self) -> bool:
        """Whether the picture can be decoded."""
        return not self.problem


_remembered: dict[tuple[str, int, int], Fingerprint] = {}


def take_fingerprint(path: str) -> Fingerprint:
    """Return the fingerprint of a picture file, also of a missing or damaged one.

    Args:
        path: The file.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp(), "a.png")
        >>> Image.new("RGB", (48, 48)).save(path)
        >>> fingerprint = take_fingerprint(str(path))
        >>> fingerprint.is_readable, fingerprint.thumbnail.shape
        (True, (256,))
    """
    key = _name_state(path)
    if key in _remembered:
        return _remembered[key]
    _, fingerprint = read_with_fingerprint(path)
    remember_fingerprint(path, fingerprint)
    return fingerprint


def read_with_fingerprint(path: str) -> tuple[np.ndarray | None, Fingerprint]:
    """Read a picture file once, and return its pixels and its fingerprint.

    Args:
        path: The file.

    Returns:
        HxWx3 RGB uint8, or `None` if the picture cannot be read; and the fingerprint.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp(), "a.png")
        >>> Image.new("RGB", (48, 32)).save(path)
        >>> image, fingerprint = read_with_fingerprint(str(path))
        >>> image.shape, fingerprint.is_readable
        ((32, 48, 3), True)
    """
    try:
        content = Path(path).read_bytes()
    except OSError as error:
        return None, Fingerprint("", _make_thumbnail(None), str(explain_os_error(error, path)))
    try:
        image, problem = decode_image(content, path), ""
    except ImageError as error:
        image, problem = None, str(error)
    height, width = (0, 0) if image is None else image.shape[:2]
    sha256 = hashlib.sha256(content).hexdigest()
    return image, Fingerprint(sha256, _make_thumbnail(image), problem, (height, width))


def remember_fingerprint(path: str, fingerprint: Fingerprint) -> None:
    """Keep the fingerprint of a file that was decoded elsewhere, such as in another process.

    Example:
        >>> _, fingerprint = read_with_fingerprint("no such file.jpg")
        >>> remember_fingerprint("no such file.jpg", fingerprint)
        >>> take_fingerprint("no such file.jpg") is fingerprint
        True
    """
    if len(_remembered) >= REMEMBERED:
        _remembered.clear()
    _remembered[_name_state(path)] = fingerprint


def take_fingerprints(paths: Iterable[str], doing: str = "reading images") -> list[Fingerprint]:
    """Return the fingerprints of files, with a progress bar named `doing`.

    Example:
        >>> [each.is_readable for each in take_fingerprints(["no such file.jpg"])]
        [False]
    """
    paths = list(paths)
    reading = tqdm(paths, doing, unit="image", disable=None, leave=False)
    return [take_fingerprint(path) for path in reading]


def _make_thumbnail(image: np.ndarray | None) -> np.ndarray:
    """Shrink a picture to a standardized thumbnail.

    Args:
        image: HxWx3 RGB uint8, or `None` for a picture that cannot be read.

    Returns:
        (THUMBNAIL_SIDE ** 2,) float32 of length 1. Pictures of one plain colour are all alike; an
        unreadable one is all zeros and resembles nothing.
    """
    if image is None:
        return np.zeros(THUMBNAIL_SIDE**2, np.float32)
    small = cv2.resize(
        convert_to_grey(image), (THUMBNAIL_SIDE, THUMBNAIL_SIDE), interpolation=cv2.INTER_AREA
    )
    thumbnail = small.ravel().astype(np.float32)
    thumbnail -= thumbnail.mean()
    length = np.linalg.norm(thumbnail)
    return thumbnail / length if length > FLAT else np.full_like(thumbnail, 1 / THUMBNAIL_SIDE)


def leave_out_unreadable(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return a manifest without the faces whose picture is empty, damaged or missing.

    Args:
        manifest: With a column `path`. Faces that are left out are counted in a warning, which
            names the first files.

    Raises:
        ImageError: If no picture can be read.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> path = Path(tempfile.mkdtemp(), "a.png")
        >>> Image.new("RGB", (48, 48)).save(path)
        >>> len(leave_out_unreadable(pd.DataFrame({"path": [str(path)]})))
        1
    """
    paths = manifest["path"].unique().tolist()
    fingerprints = zip(paths, take_fingerprints(paths), strict=True)
    problems = {path: each.problem for path, each in fingerprints if not each.is_readable}
    if not problems:
        return manifest
    named = " ".join(list(problems.values())[:NAMED])
    more = f" And {len(problems) - NAMED} more." if len(problems) > NAMED else ""
    if len(problems) == len(paths):
        raise ImageError(f"None of the {len(paths)} pictures can be read. {named}{more}")
    kept = ~manifest["path"].isin(list(problems))
    warnings.warn(
        f"{len(manifest) - kept.sum()} of {len(manifest)} faces are left out, because"
        f" {len(problems)} pictures cannot be read. {named}{more}",
        stacklevel=3,
    )
    return manifest[kept].reset_index(drop=True)


def leave_out_outside(manifest: pd.DataFrame) -> pd.DataFrame:
    """Return a manifest without the faces whose box lies outside their picture.

    Args:
        manifest: With the columns `path`, `x1`, `y1`, `x2` and `y2`, of pictures that can be read.
            Faces that are left out are counted in a warning, which names the first files.

    Raises:
        ValueError: If no face is left.
    """
    boxed = manifest[manifest["x1"].notna()]
    sizes = [each.size_hw for each in take_fingerprints(boxed["path"])]
    height, width = np.array(sizes, float).reshape(-1, 2).T
    across = boxed["x1"].lt(width) & boxed["x2"].gt(0)
    outside = boxed["path"][~(across & boxed["y1"].lt(height) & boxed["y2"].gt(0))]
    if not len(outside):
        return manifest
    named = ", ".join(outside.unique()[:NAMED])
    problem = f"{len(outside)} of {len(manifest)} boxes lie outside their picture: {named}"
    if len(outside) == len(manifest):
        raise ValueError(f"{problem}. Boxes are x1, y1, x2, y2 in pixels; correct them.")
    warnings.warn(f"{problem}. These faces are left out.", stacklevel=3)
    return manifest.drop(outside.index).reset_index(drop=True)


def _name_state(path: str) -> tuple[str, int, int]:
    """Return the path with what changes when the file does."""
    try:
        state = Path(path).stat()
    except OSError:
        return path, -1, -1
    return path, state.st_size, state.st_mtime_ns
