import os
import struct

import cv2
import numpy as np
import pytest
from PIL import Image, features

from facekit.images.formats import IMAGE_SUFFIXES
from facekit.video import (
    UNREAD_SUFFIXES,
    VIDEO_SUFFIXES,
    VideoError,
    VideoWriter,
    measure_frame_rate,
    open_video,
    read_frames,
)

COUNT = 20
FRAMES_PER_SECOND = 12


def make_frame(index) -> np.ndarray:
    """A picture that reddens and loses its green from frame to frame; 48 high, 64 wide."""
    return np.full((48, 64, 3), (index * 10, 200 - index * 5, 40), np.uint8)


@pytest.fixture
def video(tmp_path):
    with VideoWriter(tmp_path / "ramp.mp4", FRAMES_PER_SECOND) as writer:
        for index in range(COUNT):
            writer.write(make_frame(index))
    return tmp_path / "ramp.mp4"


@pytest.fixture
def streamed_video(tmp_path):
    """A video of noise, whose frames have like sizes; unlike an MP4 it plays if it is cut."""
    writer = cv2.VideoWriter(
        str(tmp_path / "noise.avi"), cv2.VideoWriter.fourcc(*"MJPG"), FRAMES_PER_SECOND, (64, 48)
    )
    for seed in range(COUNT):
        writer.write(np.random.default_rng(seed).integers(0, 256, (48, 64, 3), np.uint8))
    writer.release()
    return tmp_path / "noise.avi"


def cut_in_the_middle(path):
    content = path.read_bytes()
    path.write_bytes(content[: len(content) // 2])
    return path


# === Reading and writing ===


def test_what_was_written_comes_back(video):
    frames = list(read_frames(str(video)))
    assert [index for index, _ in frames] == list(range(COUNT))
    for index, pixels in frames:
        assert pixels.dtype == np.uint8
        np.testing.assert_allclose(pixels.astype(int), make_frame(index).astype(int), atol=8)


def test_the_frame_rate_is_kept(video):
    assert measure_frame_rate(video) == pytest.approx(FRAMES_PER_SECOND)


@pytest.mark.data
@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("no_face.mp4", 95),
        ("single_face.mp4", 72),
        ("street.mp4", 105),
    ],  # the first holds 98, and its edit list hides three
)
def test_real_videos_are_read_to_their_end(name, shown, data_dir):
    count = sum(1 for _ in read_frames(data_dir / "videos" / name))
    assert count == shown


# === Bad input ===


@pytest.mark.parametrize(
    "function", [open_video, measure_frame_rate, lambda path: list(read_frames(path))]
)
@pytest.mark.parametrize(
    ("content", "error", "message"),
    [
        (None, FileNotFoundError, r"bad\.mp4: no such file; check the spelling\."),
        (b"", VideoError, r"bad\.mp4: the file is empty; copy or download it again\."),
        (
            b"Dear diary, today",
            VideoError,
            r"bad\.mp4: cannot be read as a video; it may be damaged, "
            r"without pictures, or not a video\.",
        ),
    ],
    ids=["missing", "empty", "text"],
)
def test_what_is_no_video_is_an_error(function, content, error, message, tmp_path):
    if content is not None:
        (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(error, match=message):
        function(tmp_path / "bad.mp4")


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"%PDF-1.7 and so on", r"cannot be read as a video; it is of the format PDF\."),
        (b"const answer: number = 42;", r"cannot be read as a video; it may be damaged"),
    ],
)
def test_other_files_named_as_videos_are_an_error(content, message, tmp_path):
    (tmp_path / "main.ts").write_bytes(content)
    with pytest.raises(VideoError, match=rf"main\.ts: {message}"):
        open_video(tmp_path / "main.ts")


def test_paths_that_are_no_files_are_an_error(tmp_path):
    with pytest.raises(VideoError, match=r"is a folder, not a video"):
        open_video(tmp_path)
    (tmp_path / "loop.mp4").symlink_to("loop.mp4")
    with pytest.raises(
        VideoError, match=r"loop\.mp4: is a symbolic link that leads back to itself"
    ):
        open_video(tmp_path / "loop.mp4")
    with pytest.raises(VideoError, match=r"\(304 characters\): the name is too long for a file"):
        open_video("x" * 300 + ".mp4")
    with pytest.raises(VideoError, match=r"is a web address, not a file"):
        open_video("https://example.org/a.mp4")
    with pytest.raises(VideoError, match=r"no file can have this name \(embedded null byte\)"):
        open_video("a\0.mp4")
    reader, _writer = os.pipe()
    with pytest.raises(VideoError, match=r"is a pipe or a device; a video must be a file"):
        open_video(f"/dev/fd/{reader}")


def test_names_that_are_hard_for_ffmpeg(video, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    for name in ("rtsp:ramp.mp4", "%03d.mp4", "日本語.mp4", os.fsdecode(b"caf\xe9.mp4")):
        video.rename(tmp_path / name)
        assert len(list(read_frames(name))) == COUNT
        assert measure_frame_rate(name) == pytest.approx(FRAMES_PER_SECOND)
        (tmp_path / name).rename(video)


def test_half_an_mp4_is_an_error(video):
    with pytest.raises(
        VideoError,
        match=r"ramp\.mp4: cannot be read as a video; it is cut off: "
        r"at least [\d,]+ bytes are missing",
    ):
        list(read_frames(cut_in_the_middle(video)))


def test_half_a_stream_gives_its_frames_and_then_an_error(streamed_video):
    assert len(list(read_frames(streamed_video))) == COUNT
    indices = []
    with pytest.raises(
        VideoError,
        match=r"noise\.avi: the video breaks off after \d+ frames: "
        r"at least [\d,]+ bytes are missing at "
        r"the end of the file; what came before is kept\.",
    ):
        for index, _ in read_frames(cut_in_the_middle(streamed_video)):
            indices.append(index)
    assert COUNT / 4 < len(indices) < COUNT


def test_an_empty_second_half_is_an_error(streamed_video):
    content = streamed_video.read_bytes()
    half = len(content) // 2
    streamed_video.write_bytes(content[:half] + bytes(len(content) - half))
    with pytest.raises(
        VideoError, match=r"breaks off after \d+ frames: the end of the file is empty, as after a"
    ):
        list(read_frames(streamed_video))


# === Whole videos that announce other numbers of frames ===


def test_an_mp4_trimmed_without_encoding_is_whole(video):
    """An edit list hides frames that the index still counts."""
    content = video.read_bytes()
    place = content.index(b"elst") + 12  # after its name, version and count
    hidden, ticks_per_frame = 9, 1024
    shown_ms = round((COUNT - hidden) / FRAMES_PER_SECOND * 1000)
    edit = struct.pack(">II", shown_ms, hidden * ticks_per_frame)
    video.write_bytes(content[:place] + edit + content[place + 8 :])
    assert open_video(video).get(cv2.CAP_PROP_FRAME_COUNT) == COUNT
    assert len(list(read_frames(video))) == COUNT - hidden


@pytest.mark.parametrize("factor", [0.5, 2, 100])
def test_matroska_with_another_duration_is_whole(factor, tmp_path):
    """Its number of frames is computed from a duration and a rate, as for variable frame rates."""
    path = tmp_path / "noise.mkv"
    writer = cv2.VideoWriter(
        str(path),
        cv2.CAP_FFMPEG,
        cv2.VideoWriter.fourcc(*"MJPG"),
        FRAMES_PER_SECOND,
        (64, 48),
    )
    for index in range(COUNT):
        writer.write(make_frame(index))
    writer.release()
    content = path.read_bytes()
    place = content.index(b"\x44\x89\x88") + 3  # the duration, a number of 8 bytes
    (duration,) = struct.unpack_from(">d", content, place)
    path.write_bytes(content[:place] + struct.pack(">d", duration * factor) + content[place + 8 :])
    announced = open_video(path).get(cv2.CAP_PROP_FRAME_COUNT)
    assert announced == pytest.approx(COUNT * factor, rel=0.1)
    assert len(list(read_frames(path))) == COUNT


def test_the_rate_is_measured_where_the_announced_one_is_wrong(streamed_video):
    content = streamed_video.read_bytes()
    place = content.index(b"strh") + 28  # scale and rate of the stream
    scale, rate = struct.unpack_from("<II", content, place)
    assert rate / scale == FRAMES_PER_SECOND
    streamed_video.write_bytes(
        content[:place] + struct.pack("<II", 1, 100_000) + content[place + 8 :]
    )
    assert measure_frame_rate(streamed_video) == 25  # 100,000 frames per second are no rate
    assert len(list(read_frames(streamed_video))) == COUNT


# === Codecs ===


@pytest.mark.parametrize(
    ("code", "message"),
    [
        (b"XVQ9", r"its codec \(XVQ9\) cannot be decoded here\. Convert it to MP4 with H\.264"),
        (b"H264", r"holds no frame that can be decoded; it may be damaged, or lack the frame"),
    ],
)
def test_a_codec_that_cannot_be_decoded_is_named(code, message, streamed_video):
    streamed_video.write_bytes(streamed_video.read_bytes().replace(b"MJPG", code))
    with pytest.raises(VideoError, match=rf"noise\.avi: .*{message}"):
        list(read_frames(streamed_video))


@pytest.mark.skipif(not features.check("avif"), reason="Pillow writes no AV1")
def test_av1_is_decoded_or_named(tmp_path):
    frames = [Image.fromarray(make_frame(index)) for index in range(3)]
    path = tmp_path / "clip.mp4"
    frames[0].save(path, "AVIF", save_all=True, append_images=frames[1:])
    try:
        assert len(list(read_frames(path))) == 3
    except VideoError as error:
        assert "its codec (AV1) cannot be decoded here. Convert it to MP4 with H.264" in str(error)


# === Endings ===


def test_endings_of_videos():
    wanted = {".mp4", ".mts", ".m2ts", ".ts", ".3gp", ".flv", ".wmv", ".webm", ".mkv", ".mpg"}
    assert wanted < set(VIDEO_SUFFIXES)
    assert not set(VIDEO_SUFFIXES) & {*UNREAD_SUFFIXES, *IMAGE_SUFFIXES}
    assert len(set(VIDEO_SUFFIXES)) == len(VIDEO_SUFFIXES)
