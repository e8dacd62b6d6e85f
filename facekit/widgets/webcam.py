"""Analyse a camera's picture live in a notebook; a film can stand in for the camera.

The camera belongs to the browser. `WebcamAnalyzer` has each frame sent to Python as JPEG, in a
buffer of a message, and the next one is
sent when Python has answered: a slow machine lowers the rate, and no queue builds up.
    `ImageRecorderAnalyzer` does the same with ipywebrtc,
at about 1.5 frames a second. What is seen in a frame is told by `live`; the view is `webcam.js`.
"""

from __future__ import annotations

import contextvars
import threading
import time
from collections import deque
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import TextIO

import cv2
import numpy as np
from anywidget import AnyWidget
from ipywidgets import HBox, Image, ToggleButton, VBox
from traitlets import (
    Bool,
    Dict,
    Enum,
    Float,
    HasTraits,
    Int,
    List,
    TraitError,
    Unicode,
    observe,
    validate,
)

from facekit.analysis import Analysis
from facekit.drawing import EMOTION_COLOURS, write_label
from facekit.images import ImageError, decode_image
from facekit.live import LiveAnalyzer
from facekit.tables import write_csv
from facekit.taxonomy import ATTRIBUTES, DEFAULT_ATTRIBUTES, EMOTIONS
from facekit.video import measure_frame_rate, read_frames

FOLDER = Path(__file__).parent
CAMERA = "camera"  # in the table's column `image`
RATE_SECONDS = 2.0  # over which frames a second are counted
FILM_SIDE = 640  # pixels; longer frames of films are made smaller, as a camera's are
JPEG_QUALITY = 75  # of a film's frames on their way to the page


class LiveModel(HasTraits):
    """What every live view knows and does, whichever way frames come.

    Attributes:
        attributes: Out of `taxonomy.ATTRIBUTES`; ethnicity only where asked for.
        recording: Whether rows are written to `record_to`. Nothing else is ever stored but what
            `keep` is asked to.
        record_to: A csv file, with the columns of `faces.COLUMNS`; a file that is there already is
            not touched, a number is added.
        recorded: The file that is, or was last, written.
        message: What went wrong, and what to do about it.
        live: What analyses the frames.
        analysis: Of the last frame, with the picture in it.
        snapshots: Analyses that were kept.
        frame: Index of the last frame.
    """

    attributes = List(Enum(ATTRIBUTES), DEFAULT_ATTRIBUTES, minlen=1).tag(sync=True)
    recording = Bool(False).tag(sync=True)
    record_to = Unicode("webcam.csv").tag(sync=True)
    recorded = Unicode("").tag(sync=True)
    message = Unicode("").tag(sync=True)

    def __init__(self, **traits) -> None:
        self.live = LiveAnalyzer()
        self.analysis: Analysis | None = None
        self.snapshots: list[Analysis] = []
        self.frame = -1
        self.rows = 0
        self._file: TextIO | None = None
        self._lock = threading.Lock()  # frames are analysed in a thread of their own
        self._moments: deque[float] = deque(maxlen=200)
        super().__init__(**traits)

    @validate("attributes")
    def _order_attributes(self, proposal) -> list[str]:
        return [name for name in ATTRIBUTES if name in proposal["value"]]

    @validate("record_to")
    def _check_record_to(self, proposal) -> str:
        if not proposal["value"].endswith(".csv"):
            raise TraitError(f"`record_to` must end in .csv; got {proposal['value']!r}.")
        return proposal["value"]

    @observe("recording")
    def _open_or_close(self, change) -> None:
        with self._lock:
            if self._file:
                self._file.close()
                self._file = None
            if change["new"]:
                try:
                    path = _find_free_path(Path(self.record_to))
                    self._file = path.open("w", newline="", encoding="utf-8")
                    write_csv([], self._file)
                    self.rows, self.recorded, self.message = 0, str(path), ""
                except OSError as error:
                    self.message = f"{self.record_to} cannot be written ({error.strerror}); set `record_to` to another file."
        if change["new"] and not self._file:
            self.recording = False

    @property
    def frames_per_second(self) -> float:
        """Frames analysed in the last two seconds of them, as a rate; 0 where there were none."""
        moments = list(self._moments)  # at once, for the thread goes on
        recent = [moment for moment in moments if moment >= moments[-1] - RATE_SECONDS]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def take(self, pixels: np.ndarray, seconds: float, source: str = CAMERA) -> Analysis:
        """Analyse the next frame, and record it where that is on.

        Args:
            pixels: HxWx3 RGB uint8.
            seconds: The frame's time.
            source: For the table's column `image`.
        """
        with self._lock:
            self.frame += 1
            self.live.attributes = tuple(self.attributes)
            self._moments.append(time.perf_counter())
            self.analysis = self.live.analyze(pixels, seconds, self.frame, source)
            if self._file:
                rows = self.analysis.to_dicts()
                write_csv(rows, self._file, header=False)
                self._file.flush()
                self.rows += len(rows)
            return self.analysis

    def keep(self) -> Analysis | None:
        """Keep the last frame, its picture and all, in `snapshots`; in memory, not on disk."""
        if self.analysis:
            self.snapshots.append(self.analysis)
        return self.analysis


class WebcamAnalyzer(LiveModel, AnyWidget):
    """The live view: boxes and labels over the picture, and below it each face's emotion over time.

        WebcamAnalyzer()                    # the camera
        WebcamAnalyzer(source="film.mp4")   # a film in its place, read by Python

    Frames are analysed in a thread, so that other cells run meanwhile, and thrown away then.

    Attributes:
        source: A video file; the camera by default.
        running: Start and stop, from either side.
        camera: The browser's name for the camera; its first by default.
        mirror: Whether the view shows the picture as a mirror does; the analysis never does.
        width: Of the frames that are sent, pixels.
        in_flight: Frames on their way at once: with 2, the next one travels while Python looks at
            the last, for a higher rate and latency.
        latency_seconds: From a frame's capture to its boxes' arrival in the page; the last that the
            page told.

    Raises:
        TraitError: If an option is out of its range.
        FileNotFoundError: If there is no such film.
        VideoError: If it cannot be read.
    """

    _esm = FOLDER / "webcam.js"
    _css = "\n".join(
        (FOLDER / name).read_text(encoding="utf-8") for name in ("look.css", "webcam.css")
    )

    running = Bool(False).tag(sync=True)
    camera = Unicode("").tag(sync=True)
    mirror = Bool(True).tag(sync=True)
    width = Int(640, min=160, max=1920).tag(sync=True)
    in_flight = Int(2, min=1, max=2).tag(sync=True)
    film = Unicode("", read_only=True).tag(sync=True)
    film_rate = Float(0.0, read_only=True).tag(sync=True)
    colours = Dict(EMOTION_COLOURS, read_only=True).tag(sync=True)
    choices = List(ATTRIBUTES, read_only=True).tag(sync=True)
    instead = Unicode(
        'let a film stand in for it: WebcamAnalyzer(source="film.mp4").', read_only=True
    ).tag(sync=True)

    def __init__(self, source: str | Path = "", **traits) -> None:
        self._worker = ThreadPoolExecutor(
            1, "facekit-live"
        )  # first, for it is ended even where what follows fails
        self._frames: Iterator[tuple[int, np.ndarray]] | None = None
        self.source = source
        self.latency_seconds = 0.0
        rate = measure_frame_rate(source) if source else 0.0
        super().__init__(**({"mirror": not source} | traits))
        self.set_trait("film", Path(source).name)
        self.set_trait("film_rate", rate)
        self.on_msg(self._receive)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({f'source={self.film!r}' if self.source else ''})"

    @observe("running")
    def _begin_or_end(self, change) -> None:
        if change["new"]:
            self.message = ""
            self._moments.clear()
        else:
            self.recording = False
            self._frames = None  # a film starts at its beginning

    def close(self) -> None:
        """End the view, the recording and the thread."""
        self.running = self.recording = False
        self._worker.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _receive(self, _, content: dict, buffers: list) -> None:
        """Take a message of the page: a frame, or the wish for a film's next one, or for a snapshot."""
        if content["kind"] == "snapshot":
            self.keep()
            self.send(
                {
                    "kind": "snapshot",
                    "count": len(self.snapshots),
                    "faces": len(self.analysis or ()),
                }
            )
            return
        # ipykernel knows from the context which of the kernel's shells the page talks to.
        self._worker.submit(contextvars.copy_context().run, self._answer, content, buffers)

    def _answer(self, content: dict, buffers: list) -> None:
        """Analyse a frame and tell the page; the answer gives it leave to send the next."""
        answer = {"kind": "answer", "page": content["page"], "sequence": content["sequence"]}
        pictures = []
        self.latency_seconds = content.get("latency") or self.latency_seconds
        try:
            if self.source:
                analysis, pictures = self._play()
            else:
                analysis = self.take(decode_jpeg(buffers[0]), content["seconds"])
            answer |= {"size": analysis.pixels.shape[1::-1], "faces": self._tell_faces(analysis)}
        except StopIteration:
            self.running = False
            answer["over"] = True
        except Exception as error:  # in a thread nobody would hear of it
            self.message, self.running = str(error), False
        self.send(answer | {"rows": self.rows, "rate": self.frames_per_second}, pictures)

    def _play(self) -> tuple[Analysis, list[bytes]]:
        """Analyse a film's next frame; return its picture, too."""
        self._frames = self._frames or read_frames(self.source)
        index, pixels = next(self._frames)
        scale = FILM_SIDE / max(pixels.shape[:2])
        if scale < 1:
            pixels = cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
        analysis = self.take(pixels, index / self.film_rate, str(self.source))
        return analysis, [encode_jpeg(pixels)]

    def _tell_faces(self, analysis: Analysis) -> list[dict]:
        """Return what the page draws, one dict a face."""
        return [
            {
                "number": track.number,
                "box": track.box_xyxy.tolist(),
                "velocity": track.velocity_xyxy.tolist(),
                "lines": write_label(profile, track.number if len(analysis) > 1 else None),
                "emotion": profile.emotion,
                "probabilities": dict(zip(EMOTIONS, profile.emotion_probabilities, strict=False)),
            }
            for track, profile in zip(self.live.tracks, analysis.profiles, strict=True)
        ]


class ImageRecorderAnalyzer(LiveModel, VBox):
    """The same over ipywebrtc, for pages that cannot have `webcam.js`; the slow one, at about 1.5
    frames a second.

    Its `ImageRecorder` takes one picture each time `recording` is set, and unsets it when it is
    done. That is what the next picture has to
    wait for: to set it while it is still set changes nothing, and the loop would stand still for
        ever. The picture itself comes in a
    message of its own, before that or after. The camera is on as long as the view is there, until
    `close`.
    """

    def __init__(self, **traits) -> None:
        from ipywebrtc import CameraStream, ImageRecorder

        self.camera = CameraStream(
            constraints={"audio": False, "video": {"width": 640, "height": 480}}
        )
        self.recorder = ImageRecorder(stream=self.camera, format="jpeg")
        self.picture = Image(format="jpeg", layout={"width": "60%"})
        self.camera.layout.width = "40%"
        self.running = ToggleButton(
            description="Start", tooltip="Frames go to the kernel and are thrown away."
        )
        super().__init__(children=[self.running, HBox([self.camera, self.picture])], **traits)
        self.running.observe(self._begin_or_end, "value")
        self.recorder.observe(self._go_on, "recording")
        self.recorder.image.observe(self._go_on, "value")

    def _begin_or_end(self, change) -> None:
        self.running.description = "Stop" if change["new"] else "Start"
        self.recording = self.recording and change["new"]
        if change["new"]:
            self.recorder.recording = True

    def _go_on(self, _) -> None:
        """Analyse the picture that has come, show it, and ask for the next."""
        data = self.recorder.image.value
        if self.recorder.recording or not data or not self.running.value:
            return
        self.picture.value = encode_jpeg(self.take(decode_jpeg(data), time.perf_counter()).draw())
        self.recorder.image.value = b""
        self.recorder.recording = True

    def close(self) -> None:
        """End the view and the recording, and switch the camera off."""
        self.running.value = self.recording = False
        self.camera.close()
        super().close()


def decode_jpeg(data: bytes | memoryview) -> np.ndarray:
    """Return the pixels of a picture, HxWx3 RGB uint8.

    Raises:
        ValueError: If it is none, or too large.
    """
    try:
        return decode_image(data, "the frame")
    except ImageError as error:
        raise ValueError(
            f"`data` must be a JPEG picture; got {len(data)} bytes ({error}) Press Start again."
        ) from None


def encode_jpeg(pixels: np.ndarray) -> bytes:
    """Return HxWx3 RGB uint8 as a JPEG picture."""
    return cv2.imencode(
        ".jpg", cv2.cvtColor(pixels, cv2.COLOR_RGB2BGR), [cv2.IMWRITE_JPEG_QUALITY, JPEG_QUALITY]
    )[1].tobytes()


def _find_free_path(path: Path) -> Path:
    """Return the path, or with the first number at its end that no file has."""
    number = 1
    free = path
    while free.exists():
        number += 1
        free = path.with_stem(f"{path.stem}-{number}")
    return free
