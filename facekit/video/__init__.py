"""Read videos frame by frame, as HxWx3 RGB uint8, and write annotated ones."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from facekit.video.writing import VideoWriter

__all__ = [
    "UNREAD_SUFFIXES",
    "VIDEO_SUFFIXES",
    "VideoError",
    "VideoWriter",
    "measure_frame_rate",
    "open_video",
    "read_frames",
]

# Videos of formats that OpenCV's FFmpeg does not read.
UNREAD_SUFFIXES = (".braw", ".crm", ".insv", ".lrv", ".mlv", ".r3d", ".swf")
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
