import cv2
import numpy as np
import pytest

from facekit.video import VideoError, VideoWriter, measure_frame_rate, open_video, read_frames

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
    """A video that can be played from its start alone, unlike an MP4, and of noise, so that frames are of like sizes."""
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
            r"bad\.mp4: cannot be read as a video; it may be cut off or not a video\.",
        ),
    ],
    ids=["missing", "empty", "text"],
)
def test_what_is_no_video_is_an_error(function, content, error, message, tmp_path):
    if content is not None:
        (tmp_path / "bad.mp4").write_bytes(content)
    with pytest.raises(error, match=message):
        function(tmp_path / "bad.mp4")


def test_half_an_mp4_is_an_error(video):
    with pytest.raises(
        VideoError, match=r"ramp\.mp4: cannot be read as a video; it may be cut off"
    ):
        list(read_frames(cut_in_the_middle(video)))


def test_half_a_stream_gives_its_frames_and_then_an_error(streamed_video):
    assert len(list(read_frames(streamed_video))) == COUNT
    indices = []
    with pytest.raises(
        VideoError,
        match=rf"noise\.avi: the video breaks off after \d+ of {COUNT} frames; what came before is kept\.",
    ):
        for index, _ in read_frames(cut_in_the_middle(streamed_video)):
            indices.append(index)
    assert COUNT / 4 < len(indices) < COUNT
