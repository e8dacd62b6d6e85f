import errno
import os
import struct
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

pytest.importorskip(
    "anywidget", reason="anywidget is not installed: pip install 'facekit[notebooks]'"
)

from facekit.analysis import Analysis
from facekit.faces import COLUMNS, Faces, Profile
from facekit.images import ImageError
from facekit.images.encoding import encode_jpeg
from facekit.widgets.recording import LiveModel, Recording, decode_jpeg

ROW = Analysis(
    "camera",
    Faces(np.zeros((1, 4)), np.ones(1), np.zeros((1, 5, 2))),
    (Profile(gender="female", gender_probability=0.9),),
).to_dicts()


@pytest.fixture
def bound_files():
    """Return a function that bounds the size of the files that this process writes."""
    resource = pytest.importorskip("resource", reason="only Unix bounds the size of files")
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    yield lambda size: resource.setrlimit(resource.RLIMIT_FSIZE, (size, before[1]))
    resource.setrlimit(resource.RLIMIT_FSIZE, before)


def test_rows(tmp_path):
    recording = Recording(tmp_path / "webcam.csv")
    recording.append(ROW)
    recording.append([])
    table = pd.read_csv(recording.path)  # before it is closed
    recording.close()
    assert (tuple(table), table["gender"].tolist(), recording.rows) == (COLUMNS, ["female"], 1)


def test_a_file_that_exists_is_not_changed(tmp_path):
    (tmp_path / "webcam.csv").write_text("mine")
    (tmp_path / "webcam-2.csv").symlink_to("nowhere")
    recording = Recording(tmp_path / "webcam.csv")
    recording.close()
    assert recording.path == tmp_path / "webcam-3.csv"
    assert (tmp_path / "webcam.csv").read_text() == "mine"


def test_a_full_disk_leaves_whole_rows(tmp_path, bound_files):
    recording = Recording(tmp_path / "webcam.csv")
    recording.append(ROW)
    bound_files(recording.path.stat().st_size + 10)
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        recording.append(ROW)
    assert len(pd.read_csv(recording.path)) == recording.rows == 1
    assert recording.path.read_bytes().endswith(b"\n")


def test_a_full_disk_before_the_first_row_leaves_no_file(tmp_path, bound_files):
    bound_files(10)
    with pytest.raises(OSError, match=os.strerror(errno.EFBIG)):
        Recording(tmp_path / "webcam.csv")
    assert list(tmp_path.iterdir()) == []


def test_a_view_that_cannot_record_any_longer_says_so(tmp_path, portraits, bound_files):
    view = LiveModel(record_to=str(tmp_path / "webcam.csv"))
    view.recording = True
    view.take(portraits["astronaut.png"], 0.0)
    bound_files(Path(view.recorded).stat().st_size + 10)
    analysis = view.take(portraits["astronaut.png"], 0.1)
    assert len(analysis) == 1
    assert not view.recording
    assert "webcam.csv: recording stopped (File too large); the 1 rows before" in view.message
    assert len(pd.read_csv(view.recorded)) == 1


def test_decoding():
    assert decode_jpeg(memoryview(encode_jpeg(np.zeros((3, 4, 3), np.uint8)))).shape == (3, 4, 3)


@pytest.mark.parametrize("data", [b"", b"no picture"])
def test_data_that_are_no_picture(data):
    with pytest.raises(ImageError, match=f"`data` must be a JPEG picture; got {len(data)} bytes"):
        decode_jpeg(data)


def test_pictures_from_the_page_have_a_bound():
    """A page must not make the kernel allocate a picture of any size."""
    small = encode_jpeg(np.zeros((8, 8, 3), np.uint8))
    at = small.index(b"\xff\xc0") + 5  # height and width in the frame's header
    bomb = small[:at] + struct.pack(">HH", 60_000, 60_000) + small[at + 4 :]
    with pytest.raises(ImageError, match="pixels"):
        decode_jpeg(bomb)
