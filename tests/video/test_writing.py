import numpy as np
import pytest

from facekit.video import VideoWriter, read_frames


def make_frame(index) -> np.ndarray:
    """A picture of one colour; 48 high, 64 wide."""
    return np.full((48, 64, 3), (index * 10, 200 - index * 5, 40), np.uint8)


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
            match=r"must be \(48, 64\) high and wide like the first frame; got \(64, 48\)\.",
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


def test_a_video_on_a_full_disk_is_an_error(small_disk, capfd):
    with (
        pytest.raises(OSError, match=r"could not be written to its end.*noise\.mp4"),
        VideoWriter(small_disk / "noise.mp4", 25) as writer,
    ):
        for seed in range(40):
            noise = np.random.default_rng(seed).integers(0, 256, (240, 320, 3), np.uint8)
            writer.write(noise)
    assert list(small_disk.iterdir()) == []
    assert capfd.readouterr().err == ""


def test_a_video_can_be_finished_before_it_is_in_place(tmp_path):
    finished = []
    with VideoWriter(tmp_path / "one.mp4", 25, finished.append) as writer:
        writer.write(make_frame(0))
    assert [path.suffix for path in finished] == [".mp4"]
    assert finished[0] != tmp_path / "one.mp4"
