"""Read videos frame by frame, as HxWx3 RGB uint8, and write annotated ones.

OpenCV's FFmpeg decodes. Whether a file is whole is judged by its structure (`containers`), never by
the number of frames that it announces: that is an estimate.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

import cv2
import numpy as np

from facekit.images.depth import silence_opencv
from facekit.images.failures import explain_os_error, shorten_name
from facekit.images.formats import HEAD_BYTES, VIDEO, VIDEO_SUFFIXES, name_kind
from facekit.video.containers import find_missing_bytes, is_end_empty
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
UNREAD_SUFFIXES = (".braw", ".crm", ".mlv", ".r3d", ".swf")
DEFAULT_RATE = 25.0  # frames per second, where neither the file nor its frames state a rate
HIGHEST_RATE = 480.0  # frames per second; containers that announce more mean a unit of time
RATE_PACKETS = 250  # that the frame rate is measured on
RATE_SLACK = 0.02  # share by which a measured rate may differ from the announced one
MANY_FRAMES = 0.05  # share of the announced frames whose absence needs an explanation
CODECS = {"AV01": "AV1", "av01": "AV1", "VVC1": "H.266", "vvc1": "H.266"}  # clearer names
# Codecs that every FFmpeg decodes, so that the frames themselves must be at fault.
COMMON_CODECS = (
    "avc1", "h264", "H264", "hevc", "hvc1", "hev1", "mp4v", "FMP4", "XVID", "MJPG", "VP80", "VP90",
    "mpg1", "mpg2", "FLV1", "WMV1", "WMV2", "wmv2",
)  # fmt: skip

# FFmpeg's own messages are silenced, because facekit reports failures in its own words. OpenCV
# reads this when it first opens a video.
os.environ.setdefault("OPENCV_FFMPEG_LOGLEVEL", "-8")


class VideoError(ValueError):
    """A video that cannot be read, or not to its end.

    The message names the file, the reason and the remedy.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "empty.mp4")
        >>> path.touch()
        >>> open_video(path)
        Traceback (most recent call last):
        facekit.video.VideoError: ...empty.mp4: the file is empty; copy or download it again.
    """


def open_video(path: str | Path) -> cv2.VideoCapture:
    """Open a video.

    Args:
        path: The file.

    Returns:
        OpenCV's capture; `release` it after use.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it is empty, cut off, not a video, or in a codec that cannot be decoded.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "black.mp4")
        >>> with VideoWriter(path, 25) as writer:
        ...     writer.write(np.zeros((48, 64, 3), np.uint8))
        >>> capture = open_video(path)
        >>> capture.get(cv2.CAP_PROP_FRAME_WIDTH)
        64.0
        >>> capture.release()
    """
    name = os.fsdecode(path)
    short = shorten_name(name)
    try:
        with open(name, "rb") as file:  # noqa: PTH123 (a Path would change what was given)
            is_file = file.seekable()
            head = file.read(HEAD_BYTES) if is_file else b""
    except (OSError, ValueError) as error:
        if isinstance(error, IsADirectoryError):
            raise VideoError(f"{short}: is a folder, not a video; name a file in it.") from None
        if isinstance(error, OSError):
            raise explain_os_error(error, name, VideoError) from None
        raise VideoError(f"{short}: no file can have this name ({error}).") from None
    if not is_file:
        raise VideoError(f"{short}: is a pipe or a device; a video must be a file.")
    if not head:
        raise VideoError(f"{short}: the file is empty; copy or download it again.")
    capture = _open_capture(name)
    if not capture.isOpened():
        capture.release()
        raise VideoError(f"{short}: cannot be read as a video; {_explain_refusal(name, head)}")
    return capture


def read_frames(path: str | Path) -> Iterator[tuple[int, np.ndarray]]:
    """Read a video frame by frame.

    Args:
        path: The file.

    Yields:
        The index of each frame, from 0, and its pixels, HxWx3 RGB uint8.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: If it cannot be read, or, after the last frame that can be, if its end is
            missing.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "black.mp4")
        >>> with VideoWriter(path, 25) as writer:
        ...     for _ in range(3):
        ...         writer.write(np.zeros((48, 64, 3), np.uint8))
        >>> [(index, pixels.shape) for index, pixels in read_frames(path)]
        [(0, (48, 64, 3)), (1, (48, 64, 3)), (2, (48, 64, 3))]
    """
    capture = open_video(path)
    count = 0
    try:
        announced = capture.get(cv2.CAP_PROP_FRAME_COUNT)
        while (read := capture.read())[0]:
            yield count, cv2.cvtColor(read[1], cv2.COLOR_BGR2RGB)
            count += 1
    finally:
        capture.release()
    name = os.fsdecode(path)
    problem = _find_problem(name, count, announced)
    if problem:
        raise VideoError(f"{shorten_name(name)}: {problem}")


def measure_frame_rate(path: str | Path) -> float:
    """Return the frames per second of a video.

    Args:
        path: The file.

    Returns:
        The announced rate, if the times of the first frames confirm it; else the mean rate over
        these frames, as for variable frame rates; 25 if neither is known.

    Raises:
        FileNotFoundError: If there is no such file.
        VideoError: As `open_video`.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "black.mp4")
        >>> with VideoWriter(path, 12) as writer:
        ...     writer.write(np.zeros((48, 64, 3), np.uint8))
        >>> measure_frame_rate(path)
        12.0
    """
    capture = open_video(path)
    announced = capture.get(cv2.CAP_PROP_FPS)
    capture.release()
    times = _read_packet_times(os.fsdecode(path), RATE_PACKETS)
    span = (max(times) - min(times)) / 1000 if times else 0.0
    measured = (len(times) - 1) / span if span > 0 else 0.0
    if not 0 < measured <= HIGHEST_RATE:
        measured = 0.0
    if 0 < announced <= HIGHEST_RATE and abs(measured - announced) <= RATE_SLACK * announced:
        return announced
    return measured or (announced if 0 < announced <= HIGHEST_RATE else DEFAULT_RATE)


def _open_capture(name: str, *parameters: int) -> cv2.VideoCapture:
    """Open a file in OpenCV, without its messages; `isOpened` says whether it succeeded."""
    # FFmpeg takes `a:b.mp4` for a protocol, but not `/a:b.mp4`.
    path = os.path.abspath(name)  # noqa: PTH100 (a Path would change what was given)
    with silence_opencv(), contextlib.ExitStack() as stack:
        try:
            path.encode()
        except UnicodeEncodeError:  # OpenCV takes text only, so the file gets another name
            file = stack.enter_context(open(path, "rb"))  # noqa: PTH123
            path = f"/dev/fd/{file.fileno()}"
        return cv2.VideoCapture(path, cv2.CAP_FFMPEG, list(parameters))


def _read_packet_times(name: str, most: int) -> list[float]:
    """Return the times in milliseconds of a video's first packets, without decoding them.

    A packet holds a frame, whether it can be decoded and is shown or not.
    """
    capture = _open_capture(name, cv2.CAP_PROP_FORMAT, -1)
    times: list[float] = []
    while len(times) < most and capture.grab():
        times.append(capture.get(cv2.CAP_PROP_POS_MSEC))
    capture.release()
    return times


def _find_problem(name: str, count: int, announced: float) -> str:
    """Return why a video ended before its end; "" if it did not.

    Args:
        name: The file.
        count: Frames that were read.
        announced: Frames that the container announces.
    """
    frames = f"{count} {'frame' if count == 1 else 'frames'}"
    missing = find_missing_bytes(name)
    if missing:
        return (
            f"the video breaks off after {frames}: at least {missing:,} bytes are missing at the "
            "end of the file; what came before is kept. Copy or download it again."
        )
    if count < announced * (1 - MANY_FRAMES) and is_end_empty(name):
        return (
            f"the video breaks off after {frames}: the end of the file is empty, as after a "
            "download that stopped; what came before is kept. Copy or download it again."
        )
    if count:
        return ""
    if _read_packet_times(name, 1):
        return _explain_codec(name)
    return "holds no frames; copy or download it again."


def _explain_refusal(name: str, head: bytes) -> str:
    """Return why FFmpeg cannot open a file, and what to do."""
    missing = find_missing_bytes(name)
    if missing:
        return (
            f"it is cut off: at least {missing:,} bytes are missing at its end. "
            "Copy or download it again."
        )
    if _read_packet_times(name, 1):
        return _explain_codec(name)
    kind = name_kind(head)
    if kind and kind != VIDEO:
        return f"it is of the format {kind}. Convert it to MP4."
    return "it may be damaged, without pictures, or not a video. Convert it to MP4."


def _explain_codec(name: str) -> str:
    capture = _open_capture(name, cv2.CAP_PROP_FORMAT, -1)
    code = int(capture.get(cv2.CAP_PROP_FOURCC)) & 0xFFFFFFFF
    capture.release()
    text = code.to_bytes(4, "little").decode("ascii", "replace")
    is_text = text.isascii() and text.isprintable() and text.strip()
    codec = f"its codec ({CODECS.get(text, text)})" if is_text else "its codec"
    if text in COMMON_CODECS:
        return (
            "holds no frame that can be decoded; it may be damaged, or lack the frame that the "
            "others build on, as after a cut. Copy it again, or convert the original to MP4."
        )
    return (
        f"{codec} cannot be decoded here. "
        "Convert it to MP4 with H.264, for example with: ffmpeg -i VIDEO -c:v libx264 VIDEO.mp4"
    )
