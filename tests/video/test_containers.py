"""Whole files of every container that OpenCV writes here, and the same files cut off."""

import cv2
import numpy as np
import pytest

from facekit.video.containers import find_missing_bytes, is_end_empty

COUNT = 12
WRITTEN = {
    ".mp4": "mp4v", ".mov": "mp4v", ".avi": "MJPG", ".mkv": "MJPG", ".webm": "VP80", ".flv": "FLV1",
    ".wmv": "WMV2", ".ts": "mp4v", ".mpg": "mpg2",
}  # fmt: skip


def write_noise(path, codec) -> bytes:
    """Write a film of noise, so that frames are of like sizes, and return the file's bytes."""
    code = cv2.VideoWriter.fourcc(*codec)
    writer = cv2.VideoWriter(str(path), cv2.CAP_FFMPEG, code, 12, (64, 48))
    for seed in range(COUNT):
        writer.write(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    return path.read_bytes()


@pytest.fixture(params=WRITTEN.items(), ids=WRITTEN)
def film(request, tmp_path):
    suffix, codec = request.param
    path = tmp_path / f"noise{suffix}"
    write_noise(path, codec)
    return path


def test_a_whole_file_lacks_nothing(film):
    assert find_missing_bytes(film) == 0
    assert not is_end_empty(film)


@pytest.mark.parametrize("share", [0.9, 0.5, 0.3])
def test_a_cut_file_lacks_bytes(film, share):
    content = film.read_bytes()
    film.write_bytes(content[: int(len(content) * share) | 1])
    assert 0 < find_missing_bytes(film) <= len(content)


def test_what_is_appended_does_no_harm(film):
    if film.suffix == ".ts":
        pytest.skip("a stream of packets has no end that something could be appended to")
    with film.open("ab") as file:
        file.write(b"\0\0\0\0appended by a program")
    assert find_missing_bytes(film) == 0


def test_a_stream_of_unknown_length_is_whole(tmp_path):
    content = write_noise(tmp_path / "live.mkv", "MJPG")
    start = content.index(b"\x18\x53\x80\x67") + 4
    live = content[:start] + b"\x01" + b"\xff" * 7 + content[start + 8 :]
    (tmp_path / "live.mkv").write_bytes(live[: len(live) // 2])
    assert find_missing_bytes(tmp_path / "live.mkv") == 0


@pytest.mark.parametrize(
    "content", [b"", b"\0", b"plain text", b"RIFF", b"\x1a\x45\xdf\xa3", b"FLV\1", bytes(600)]
)
def test_what_is_no_video_lacks_nothing(content, tmp_path):
    (tmp_path / "x").write_bytes(content)
    assert find_missing_bytes(tmp_path / "x") == 0


def test_a_large_box_and_one_that_reaches_to_the_end(tmp_path):
    start = b"\0\0\0\x10ftypisom\0\0\0\0"
    (tmp_path / "open").write_bytes(start + b"\0\0\0\0mdat" + bytes(50))
    assert find_missing_bytes(tmp_path / "open") == 0
    (tmp_path / "large").write_bytes(start + b"\0\0\0\x01mdat" + (100).to_bytes(8, "big"))
    assert find_missing_bytes(tmp_path / "large") == 84


@pytest.mark.parametrize(("zeros", "is_empty"), [(0, False), (4095, False), (4096, True)])
def test_an_empty_end_is_of_zeros(zeros, is_empty, tmp_path):
    (tmp_path / "x").write_bytes(b"film" + bytes(zeros))
    assert is_end_empty(tmp_path / "x") == is_empty
