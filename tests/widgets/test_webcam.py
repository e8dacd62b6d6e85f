"""The models behind the live views, without a page; `tests/browser` has the page."""

import base64
import struct
import threading
import time
import zlib
from dataclasses import replace

import cv2
import numpy as np
import pandas as pd
import pytest
from traitlets import TraitError

from facekit.drawing import PLAIN_COLOUR, UNSURE_COLOUR
from facekit.faces import COLUMNS
from facekit.fusion import load_constants
from facekit.video import VideoError, VideoWriter
from facekit.widgets.webcam import (
    CAMERA,
    ImageRecorderAnalyzer,
    WebcamAnalyzer,
    decode_jpeg,
    encode_jpeg,
)


@pytest.fixture(scope="module")
def portrait(portraits) -> np.ndarray:
    return cv2.resize(portraits["astronaut.png"], (320, 320), interpolation=cv2.INTER_AREA)


@pytest.fixture
def film(portrait, tmp_path):
    with VideoWriter(tmp_path / "film.mp4", 10) as writer:
        for _ in range(3):
            writer.write(portrait)
    return tmp_path / "film.mp4"


@pytest.fixture
def make_view(tmp_path):
    views = []

    def make(**traits) -> WebcamAnalyzer:
        views.append(WebcamAnalyzer(**{"record_to": str(tmp_path / "webcam.csv")} | traits))
        views[-1].sent = []
        views[-1].send = lambda content, buffers=(): views[-1].sent.append((content, list(buffers)))
        return views[-1]

    yield make
    for view in views:
        view.close()


def send_frame(view, data: bytes = b"", sequence: int = 1, seconds: float = 0.0) -> dict:
    """Send what the page sends, wait for the answer, and return it."""
    content = {
        "kind": "frame",
        "page": "p",
        "sequence": sequence,
        "seconds": seconds,
        "latency": 0.04,
    }
    view._receive(view, content, [memoryview(data)] if data else [])
    view._worker.submit(lambda: None).result()
    return view.sent[-1][0]


# === Traits ===


def test_defaults(make_view):
    view = make_view()
    assert (view.running, view.recording, view.mirror, view.film) == (False, False, True, "")
    assert view.attributes == ["age", "gender", "emotion"]
    assert repr(view) == "WebcamAnalyzer()"
    assert (view.frames_per_second, view.analysis, view.snapshots) == (0.0, None, [])


def test_the_rate_is_read_while_frames_come(make_view):
    view = make_view()
    over = threading.Event()

    def come() -> None:
        while not over.is_set():
            view._moments.append(time.perf_counter())

    thread = threading.Thread(target=come)
    thread.start()
    try:
        rates = [view.frames_per_second for _ in range(5000)]
    finally:
        over.set()
        thread.join()
    assert max(rates) > 0


def test_attributes_are_kept_in_their_order(make_view):
    assert make_view(attributes=["emotion", "age"]).attributes == ["age", "emotion"]


@pytest.mark.parametrize(
    "traits",
    [
        {"attributes": []},
        {"attributes": ["mood"]},
        {"width": 10},
        {"in_flight": 3},
        {"record_to": "webcam.xlsx"},
        {"mirror": "yes"},
    ],
    ids=lambda traits: next(iter(traits)),
)
def test_bad_traits(make_view, traits):
    with pytest.raises(TraitError):
        make_view(**traits)


def test_what_the_page_must_not_set(make_view):
    with pytest.raises(TraitError, match="read-only"):
        make_view().film = "other.mp4"


# === Frames ===


@pytest.mark.parametrize(
    ("thresholds", "is_face", "lines"),
    [({"emotion": 2.0}, True, ["not sure"]), ({"score": 2.0}, False, ["face?"])],
)
def test_what_is_not_sure_is_not_told(thresholds, is_face, lines, make_view, portrait, monkeypatch):
    constants = replace(load_constants(), thresholds=thresholds)
    monkeypatch.setattr("facekit.live.analyzer.load_constants", lambda: constants)
    view = make_view(attributes=["emotion"])
    (face,) = send_frame(view, encode_jpeg(portrait))["faces"]
    assert (face["is_face"], face["emotion"], face["lines"]) == (is_face, None, lines)
    assert face["colour"] == (PLAIN_COLOUR if is_face else UNSURE_COLOUR)


def test_a_frame_is_answered(make_view, portrait):
    view = make_view()
    answer = send_frame(view, encode_jpeg(portrait))
    assert (answer["kind"], answer["page"], answer["sequence"], tuple(answer["size"])) == (
        "answer",
        "p",
        1,
        (320, 320),
    )
    (face,) = answer["faces"]
    assert face["number"] == 0
    assert face["emotion"] == "happiness"
    assert "happiness" in " ".join(face["lines"])
    assert face["is_face"]
    assert sum(face["probabilities"].values()) == pytest.approx(1)
    np.testing.assert_allclose(face["box"], view.analysis.faces.boxes_xyxy[0], atol=1e-3)
    assert view.latency_seconds == 0.04
    assert view.analysis.image == CAMERA


def test_frames_are_counted(make_view, portrait):
    view = make_view(attributes=["emotion"])
    for sequence in range(1, 4):
        send_frame(view, encode_jpeg(portrait), sequence, sequence / 10)
    assert view.frame == 2
    assert view.frames_per_second > 0
    assert view.analysis.numbers == (0,)


def test_a_frame_with_too_many_pixels_is_refused_undecoded():
    header = struct.pack(">IIBBBBB", 60_000, 60_000, 8, 2, 0, 0, 0)
    chunks = ((b"IHDR", header), (b"IDAT", zlib.compress(b"")))
    png = b"\x89PNG\r\n\x1a\n" + b"".join(
        struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
        for kind, data in chunks
    )
    with pytest.raises(ValueError, match="more than the 150 million that are decoded"):
        decode_jpeg(png)


@pytest.mark.parametrize("data", [b"", b"not a picture"])
def test_a_broken_frame_stops_the_view_and_says_so(make_view, data):
    with pytest.raises(ValueError, match="`data` must be a JPEG picture"):
        decode_jpeg(data)
    view = make_view(running=True)
    answer = send_frame(view, data or b"\0")
    assert "faces" not in answer
    assert not view.running
    assert "`data` must be a JPEG picture" in view.message
    view.running = True
    assert view.message == ""


def test_no_face(make_view):
    assert send_frame(make_view(), encode_jpeg(np.zeros((48, 64, 3), np.uint8)))["faces"] == []


def test_snapshots(make_view, portrait):
    view = make_view()
    assert view.keep() is None
    send_frame(view, encode_jpeg(portrait))
    view._receive(view, {"kind": "snapshot"}, [])
    assert view.sent[-1][0] == {"kind": "snapshot", "count": 1, "faces": 1}
    assert view.snapshots[0].draw().shape[2] == 3


# === Films ===


def test_a_film(make_view, film):
    view = make_view(source=film, running=True)
    assert (view.film, view.film_rate, view.mirror, repr(view)) == (
        "film.mp4",
        10,
        False,
        "WebcamAnalyzer(source='film.mp4')",
    )
    for round_ in range(2):
        answers = [send_frame(view) for _ in range(4)]
        assert [answer.get("over", False) for answer in answers] == [False, False, False, True]
        assert not view.running
        assert view.analysis.frame == 3 * round_ + 2
        view.running = True
    pixels = decode_jpeg(view.sent[0][1][0])
    assert pixels.shape == (320, 320, 3)


def test_bad_films(make_view, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"gone\.mp4: no such file"):
        make_view(source=tmp_path / "gone.mp4")
    (tmp_path / "text.mp4").write_text("Dear diary")
    with pytest.raises(VideoError, match="cannot be read as a video"):
        make_view(source=tmp_path / "text.mp4")


# === The still picture, for pages without a kernel ===


def read_still(view) -> tuple[np.ndarray, str]:
    data, metadata = view._repr_mimebundle_()
    assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == view.model_id
    return decode_jpeg(base64.b64decode(data["image/jpeg"])), metadata["image/jpeg"]["alt"]


def test_a_film_is_seen_as_it_was_analysed_last(make_view, film, portrait):
    view = make_view(source=film)
    picture, alt = read_still(view)
    assert np.abs(picture.astype(float) - portrait).mean() < 5
    assert alt == "The live view of film.mp4 before it starts: the first frame."
    send_frame(view)
    picture, alt = read_still(view)
    assert max(picture.shape) == 640  # as `Analysis.draw` enlarges it
    assert alt.startswith("The live view of film.mp4 at frame 0: #0 ")
    view.take(np.zeros_like(portrait), 9.0)
    assert read_still(view)[1] == "The live view of film.mp4 at frame 1: no face."


def test_a_picture_of_the_camera_is_never_stored(make_view, portrait):
    view = make_view()
    before = read_still(view)
    send_frame(view, encode_jpeg(portrait))
    view.keep()
    after = read_still(view)
    np.testing.assert_array_equal(after[0], before[0])
    assert after[1] == before[1] == "The live view before the camera starts."


# === Recording ===


def test_nothing_is_stored_unless_recording(make_view, portrait, tmp_path):
    view = make_view()
    send_frame(view, encode_jpeg(portrait))
    view.keep()
    assert list(tmp_path.iterdir()) == []


def test_recording(make_view, portrait, tmp_path):
    view = make_view(running=True)
    view.recording = True
    for sequence in range(3):
        send_frame(view, encode_jpeg(portrait), sequence, sequence / 10)
    view.running = False
    assert not view.recording
    table = pd.read_csv(view.recorded)
    assert tuple(table.columns) == COLUMNS
    assert list(table["frame"]) == [0, 1, 2]
    assert set(table["image"]) == {CAMERA}
    assert set(table["gender"]) == {"female"}
    assert view.rows == 3

    view.recording = True
    view.recording = False
    assert view.recorded == str(tmp_path / "webcam-2.csv")
    assert pd.read_csv(view.recorded).empty
    assert len(pd.read_csv(tmp_path / "webcam.csv")) == 3


def test_a_file_that_cannot_be_written(make_view, tmp_path):
    view = make_view(record_to=str(tmp_path / "gone" / "webcam.csv"))
    view.recording = True
    assert not view.recording
    assert (
        "cannot be written (No such file or directory); set `record_to` to another file."
        in view.message
    )


# === The other transport ===


def test_image_recorder(portrait):
    pytest.importorskip("ipywebrtc")
    view = ImageRecorderAnalyzer(attributes=["gender"])
    recorder = view.recorder
    view.running.value = True
    assert recorder.recording
    for count, picture_first in ((1, True), (2, False), (3, True)):
        if picture_first:
            recorder.image.value = encode_jpeg(portrait)
            recorder.recording = False
        else:
            recorder.recording = False
            recorder.image.value = encode_jpeg(portrait)
        assert view.frame == count - 1
        assert recorder.recording  # the next one is requested
        assert decode_jpeg(view.picture.value).shape[2] == 3
    view.running.value = False
    recorder.image.value = encode_jpeg(portrait)
    recorder.recording = False
    assert (view.frame, recorder.recording) == (2, False)
    view.close()
