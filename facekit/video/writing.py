"""Write videos as MP4, whole or not at all."""

from __future__ import annotations

import contextlib
import errno
import struct
from collections.abc import Callable
from pathlib import Path

import cv2
import numpy as np

from facekit.files import replace_file
from facekit.images.depth import silence_opencv


class VideoWriter:
    """Write frames to an MP4 file, whole or not at all; a context manager.

    The file is put in place when the `with` block ends without an error. Without a frame there is
    no file.

    Args:
        path: The file to create or to replace. Its folder is created if it is missing.
        frames_per_second: The rate at which it will be played.
        finish: Called with the path of the finished file before it is put in place.

    Example:
        >>> import tempfile
        >>> from facekit.video import read_frames
        >>> path = Path(tempfile.mkdtemp(), "black.mp4")
        >>> with VideoWriter(path, frames_per_second=25) as writer:
        ...     writer.write(np.zeros((48, 64, 3), np.uint8))
        >>> [(index, pixels.shape) for index, pixels in read_frames(path)]
        [(0, (48, 64, 3))]
    """

    def __init__(
        self,
        path: str | Path,
        frames_per_second: float,
        finish: Callable[[Path], object] | None = None,
    ) -> None:
        self.path, self.frames_per_second = str(path), frames_per_second
        self._finish = finish
        self._place = contextlib.ExitStack()  # holds the temporary file
        self._temporary = Path()
        self._writer: cv2.VideoWriter | None = None

    def __enter__(self) -> VideoWriter:
        return self

    def __exit__(self, *raised) -> None:
        if self._writer is not None:
            with silence_opencv():
                self._writer.release()
        if raised[0] is not None:
            self._place.__exit__(*raised)
            return
        with self._place:
            if self._writer is None:
                return
            if not _is_whole_mp4(self._temporary):  # OpenCV reports no full disk
                raise OSError(errno.ENOSPC, "the video could not be written to its end", self.path)
            if self._finish:
                self._finish(self._temporary)

    def write(self, pixels: np.ndarray) -> None:
        """Append a frame.

        Args:
            pixels: HxWx3 RGB uint8. MPEG-4 stores even sides: an odd last row or column is lost.

        Raises:
            OSError: If the file cannot be written.
            ValueError: If the frame is not as large as the first.
        """
        if self._writer is None:
            self._size_hw = pixels.shape[:2]
            self._temporary = self._place.enter_context(replace_file(self.path))
            with silence_opencv():
                self._writer = cv2.VideoWriter(
                    str(self._temporary),
                    cv2.VideoWriter.fourcc(*"mp4v"),
                    self.frames_per_second,
                    self._size_hw[::-1],
                )
            if not self._writer.isOpened():
                raise OSError(
                    errno.EIO,
                    "the video cannot be written; check the folder, its permissions and free space",
                    self.path,
                )
        if pixels.shape[:2] != self._size_hw:  # OpenCV would drop it without a word
            raise ValueError(
                f"`pixels` must be {self._size_hw} high and wide like the first frame; "
                f"got {pixels.shape[:2]}."
            )
        with silence_opencv():  # it prints a line per frame that a full disk does not take
            self._writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


def _is_whole_mp4(path: Path) -> bool:
    """Return whether the boxes of an MP4 file fill it exactly, and its index (`moov`) is there.

    FFmpeg drops everything that follows a failed write, the index at the end included.
    """
    kinds, position, size_bytes = set(), 0, path.stat().st_size
    with path.open("rb") as file:
        while position < size_bytes:
            file.seek(position)
            header = file.read(16)
            if len(header) < 8:
                return False
            length, kind = struct.unpack(">I4s", header[:8])
            if length == 1 and len(header) == 16:  # a box of more than 4 GB
                (length,) = struct.unpack(">Q", header[8:])
            if length < 8:
                return False
            kinds.add(kind)
            position += length
    return position == size_bytes and {b"mdat", b"moov"} <= kinds
