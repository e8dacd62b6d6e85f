"""Write drawings of analyzed pictures and videos, marked so that facekit recognizes them later.

The mark stands behind the picture's own content, where JPEG allows anything and MP4 allows a box
called `free`. It holds a fingerprint of the source's path and of the content, so that a later run
replaces a drawing only if facekit made it, of the same source, and nobody has changed it since.
"""

from __future__ import annotations

import hashlib
import os
import struct
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from facekit.analysis import Analysis
from facekit.files import hash_file, replace_file
from facekit.images import encode_jpeg
from facekit.video import VideoWriter

JPEG_SUFFIXES = (".jpg", ".jpeg")
JPEG_QUALITY = 92  # labels are sharp
VIDEO_SUFFIX = ".mp4"
# A box of MP4: length, kind, content.
_KIND = b"free"
_TITLE = b"facekit drawing 1 "
_FINGERPRINT = 64  # characters of a SHA-256
_LENGTH = 8 + len(_TITLE) + 2 * _FINGERPRINT


@dataclass(frozen=True)
class Mark:
    """The mark of a drawing.

    Attributes:
        source: Fingerprint of the path of the picture or video that was drawn.
        content: Fingerprint of the drawing's content.

    Example:
        >>> mark = Mark(fingerprint_source("photo.jpg"), content="0" * 64)
        >>> mark.source == fingerprint_source("./photo.jpg")
        True
    """

    source: str
    content: str


def fingerprint_source(name: str) -> str:
    """Return the fingerprint of a source's path; links to one file have the same.

    Example:
        >>> fingerprint_source("photo.jpg") == fingerprint_source("./photo.jpg")
        True
    """
    return hashlib.sha256(os.fsencode(os.path.realpath(name))).hexdigest()


def read_mark(path: Path) -> Mark | None:
    """Return the mark of a drawing, or `None` if the file is not a drawing that facekit made.

    Example:
        >>> print(read_mark(Path("no such drawing.jpg")))
        None
    """
    try:
        if not path.is_file():
            return None
        with path.open("rb") as file:
            file.seek(-_LENGTH, os.SEEK_END)
            box = file.read(_LENGTH)
    except OSError:  # also a file that is shorter than a mark
        return None
    if box[4:8] != _KIND or not box[8:].startswith(_TITLE):
        return None
    texts = box[8 + len(_TITLE) :].decode("ascii", "replace")
    return Mark(texts[:_FINGERPRINT], texts[_FINGERPRINT:])


def is_own_drawing(path: Path, source: str) -> bool:
    """Return whether facekit drew a file from this source, and the file is still unchanged.

    Example:
        >>> is_own_drawing(Path("no such drawing.jpg"), "photo.jpg")
        False
    """
    mark = read_mark(path)
    if mark is None or mark.source != fingerprint_source(source):
        return False
    content = hashlib.sha256()
    with path.open("rb") as file:
        left = path.stat().st_size - _LENGTH
        while left > 0 and (chunk := file.read(min(left, 1 << 20))):
            content.update(chunk)
            left -= len(chunk)
    return content.hexdigest() == mark.content


def _append_mark(path: Path, source: str) -> None:
    content = _TITLE + (fingerprint_source(source) + hash_file(path)).encode()
    with path.open("ab") as file:
        file.write(struct.pack(">I4s", _LENGTH, _KIND) + content)


def draw_picture(analysis: Analysis, path: Path) -> None:
    """Write the drawing of a picture as JPEG, whole or not at all.

    Raises:
        OSError: If the file cannot be written.
        ValueError: If the picture cannot be drawn, or is larger than a JPEG can be.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from facekit.faces import Faces
        >>> path = Path(tempfile.mkdtemp(), "drawing.jpg")
        >>> pixels = np.zeros((48, 64, 3), np.uint8)
        >>> draw_picture(Analysis("wall.jpg", Faces.empty(), (), pixels=pixels), path)
        >>> is_own_drawing(path, "wall.jpg"), is_own_drawing(path, "other.jpg")
        (True, False)
    """
    with replace_file(path) as temporary:
        temporary.write_bytes(encode_jpeg(analysis.draw(), JPEG_QUALITY))
        _append_mark(temporary, analysis.image)


class FilmDrawing:
    """Write the drawing of a video frame by frame as MP4, whole or not at all; a context manager.

    A drawing that fails does not stop the analysis: the reason is reported once, and later frames
    are ignored.

    Args:
        path: The file to write; `None` writes nothing.
        source: The video that is drawn.
        frames_per_second: Its frame rate.
        fail: Called with the reason if the drawing cannot be written.

    Example:
        >>> import tempfile
        >>> import numpy as np
        >>> from facekit.faces import Faces
        >>> path = Path(tempfile.mkdtemp(), "drawing.mp4")
        >>> frame = Analysis("film.mp4", Faces.empty(), (), 0, np.zeros((48, 64, 3), np.uint8))
        >>> with FilmDrawing(path, "film.mp4", frames_per_second=25, fail=print) as drawing:
        ...     drawing.write(frame)
        >>> is_own_drawing(path, "film.mp4")
        True
    """

    def __init__(
        self,
        path: Path | None,
        source: str,
        frames_per_second: float,
        fail: Callable[[Exception], None],
    ) -> None:
        self._fail = fail
        self._writer: VideoWriter | None = None
        if path is not None:
            self._writer = VideoWriter(
                path, frames_per_second, lambda finished: _append_mark(finished, source)
            )

    def __enter__(self) -> FilmDrawing:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, *_) -> None:
        try:
            self._close(error)
        except OSError as failure:
            self._fail(failure)

    def write(self, analysis: Analysis) -> None:
        """Append a frame."""
        if self._writer is None:
            return
        try:
            self._writer.write(analysis.draw())
        except (OSError, ValueError, MemoryError) as error:
            failure: Exception = error
            try:
                self._close(error)
            except OSError as named:  # the same error, with the name of the file
                failure = named
            self._fail(failure)

    def _close(self, error: BaseException | None) -> None:
        writer, self._writer = self._writer, None
        if writer is not None:
            writer.__exit__(type(error) if error else None, error, None)
