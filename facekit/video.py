"""Read videos frame by frame, as HxWx3 RGB uint8, and write annotated ones."""

from __future__ import annotations

import contextlib
import errno
import os
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import cv2
import numpy as np

from facekit.files import replace_file

VIDEO_SUFFIXES = (".mp4", ".m4v", ".mov", ".avi", ".mkv", ".webm", ".mpg", ".mpeg", ".wmv")
# Containers count their frames a little wrong, and count those too that an edit list hides, as
# where a clip was trimmed. More than this share missing, and more than this time, means a broken
# end.
COUNT_SLACK = (
    0.05  # share of the frames announced that may be missing, for containers count a little wrong
)
FRAMES_SLACK = 3  # and at least so many: trimmed clips hide a few frames before their beginning

# FFmpeg's own complaints are silenced, for what fails is said in our words. OpenCV reads this when
# it first opens a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class VideoError(ValueError):
    """A video that cannot be read, or not to its end; the message names the file and the remedy."""


def open_video(path: str | Path) -> cv2.VideoCapture:
    """Open a video.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it is empty, or nothing that can be decoded.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; check the spelling.")
    if path.stat().st_size == 0:
        raise VideoError(f"{path}: the file is empty; copy or download it again.")
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        capture = cv2.VideoCapture(str(path), cv2.CAP_FFMPEG)
    finally:
        cv2.utils.logging.setLogLevel(level)
    if not capture.isOpened():
        raise VideoError(
            f"{path}: cannot be read as a video; it may be cut off or not a video. Convert it to MP4, or copy it again."
        )
    return capture


def read_frames(path: str | Path) -> Iterator[tuple[int, np.ndarray]]:
    """Yield each frame's index, from 0, and its pixels.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it cannot be read, or ends well before the number of frames that it
            announces.
    """
    capture = open_video(path)
    try:
        announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        slack = max(FRAMES_SLACK, COUNT_SLACK * announced)
        index = -1
        while (read := capture.read())[0]:
            index += 1
            yield index, cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
    finally:
        capture.release()
    count = index + 1
    if count == 0 or announced - count > slack:
        raise VideoError(
            f"{path}: the video breaks off after {count} of {announced:.0f} frames; what came before is kept. Copy it again."
        )


def measure_frame_rate(path: str | Path) -> float:
    """Return the frames a second that a video announces, or 25 where it announces none.

    Raises:
        As `open_video`.
    """
    capture = open_video(path)
    frames_per_second = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    return frames_per_second or 25.0


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
            with _silence_opencv():
                self._writer = cv2.VideoWriter(
                    str(self._temporary),
                    cv2.VideoWriter.fourcc(*"mp4v"),
                    self.frames_per_second,
                    self._size_hw[::-1],
                )
            if not self._writer.isOpened():
                raise OSError(
                    errno.EIO,
                    "the video cannot be written; check the folder and its permissions",
                    self.path,
                )
        if pixels.shape[:2] != self._size_hw:  # OpenCV would drop it without a word
            raise ValueError(
                f"`pixels` must be {self._size_hw} high and wide like the first frame; "
                f"got {pixels.shape[:2]}."
            )
        self._writer.write(cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR))


@contextlib.contextmanager
def _silence_opencv() -> Iterator[None]:
    level = cv2.utils.logging.getLogLevel()
    cv2.utils.logging.setLogLevel(cv2.utils.logging.LOG_LEVEL_SILENT)
    try:
        yield
    finally:
        cv2.utils.logging.setLogLevel(level)


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
