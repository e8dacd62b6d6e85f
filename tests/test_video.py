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


@pytest.mark.parametrize("size_hw", [(48, 64), (49, 65)])
def test_a_video_of_one_frame(size_hw, tmp_path):
    with VideoWriter(tmp_path / "one.mp4", 25) as writer:
        writer.write(np.zeros((*size_hw, 3), np.uint8))
    frames = list(read_frames(tmp_path / "one.mp4"))
    assert [(index, pixels.shape) for index, pixels in frames] == [
        (0, (48, 64, 3))
    ]  # MPEG-4 wants even sides


def test_without_a_frame_no_file_is_written(tmp_path):
    with VideoWriter(tmp_path / "none.mp4", 25):
        pass
    assert list(tmp_path.iterdir()) == []


def test_frames_of_two_sizes_are_an_error(tmp_path):
    with (
        VideoWriter(tmp_path / "two.mp4", 25) as writer,
        pytest.raises(
            ValueError,
            match=r"`pixels` must be \(48, 64\) high and wide like the first frame; got \(64, 48\)\.",
        ),
    ):
        writer.write(make_frame(0))
        writer.write(make_frame(0).transpose(1, 0, 2))


def test_file_that_cannot_be_written_is_an_error(tmp_path):
    (tmp_path / "file").touch()
    with (
        VideoWriter(tmp_path / "file" / "video.mp4", 25) as writer,
        pytest.raises(OSError, match=r"file.video\.mp4"),
    ):
        writer.write(make_frame(0))


def test_a_video_that_is_interrupted_is_not_put_in_place(tmp_path):
    (tmp_path / "old.mp4").write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt), VideoWriter(tmp_path / "old.mp4", 25) as writer:
        writer.write(make_frame(0))
        raise KeyboardInterrupt
    assert (tmp_path / "old.mp4").read_bytes() == b"old"
    assert len(list(tmp_path.iterdir())) == 1


def test_a_video_on_a_full_disk_is_an_error(small_disk):
    with (
        pytest.raises(OSError, match=r"could not be written to its end.*noise\.mp4"),
        VideoWriter(small_disk / "noise.mp4", 25) as writer,
    ):
        for seed in range(40):
            noise = np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8)
            writer.write(noise)
    assert list(small_disk.iterdir()) == []


def test_a_video_can_be_finished_before_it_is_in_place(tmp_path):
    finished = []
    with VideoWriter(tmp_path / "one.mp4", 25, finished.append) as writer:
        writer.write(make_frame(0))
    assert [path.suffix for path in finished] == [".mp4"]
    assert finished[0] != tmp_path / "one.mp4"


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
