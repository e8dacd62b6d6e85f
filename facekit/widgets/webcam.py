"""Analyse a camera's picture live in a notebook; a film can take the place of the camera.

The camera belongs to the browser. `WebcamAnalyzer` sends each frame to Python as JPEG, in the
buffer of a message, and sends the next one when Python has answered: a slow machine lowers the
frame rate, and no queue builds up. `recording` holds the model, `live` analyses the frames,
`webcam.js` is the view, and `image_recorder` does the same over ipywebrtc.
"""

from __future__ import annotations

import contextvars
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from anywidget import AnyWidget
from traitlets import Bool, Dict, Float, Int, List, Unicode, observe

from facekit.analysis import Analysis
from facekit.drawing import EMOTION_COLOURS, choose_colour, write_label
from facekit.faces import FACE
from facekit.images import encode_jpeg, shrink_image
from facekit.taxonomy import ATTRIBUTES, EMOTIONS
from facekit.video import measure_frame_rate, read_frames
from facekit.widgets.image_recorder import ImageRecorderAnalyzer
from facekit.widgets.recording import CAMERA, LiveModel, Recording, decode_jpeg
from facekit.widgets.stills import add_still

__all__ = [
    "CAMERA",
    "ImageRecorderAnalyzer",
    "LiveModel",
    "Recording",
    "WebcamAnalyzer",
    "decode_jpeg",
    "encode_jpeg",
]

FOLDER = Path(__file__).parent
FILM_SIDE = 640  # pixels; larger frames of films are made smaller, to the size of a camera's
FILM_QUALITY = 75  # JPEG quality of a film's frames on their way to the page
STILL_SIZE = (640, 180)  # pixels, width and height of the picture that stands for the camera
STILL_COLOURS = ((20, 23, 26), (242, 244, 245))  # RGB of its ground and text, as in webcam.css


class WebcamAnalyzer(LiveModel, AnyWidget):
    """The live view: boxes and labels over the picture, and each face's emotion over time below.

        WebcamAnalyzer()                    # the camera
        WebcamAnalyzer(source="film.mp4")   # a film instead, which Python reads

    Frames are analysed in a thread, so that other cells can run, and deleted after analysis. In
    pages without a kernel a still picture takes the place of the view: one frame of the film, but
    never a picture of the camera.

    Attributes:
        source: A video file; the camera by default.
        running: Whether frames are analysed. Python and the page can set it.
        camera: The browser's identifier of the camera; its first camera by default.
        mirror: Whether the view is mirrored. The analysis never is.
        width: Width in pixels of the frames that the page sends.
        in_flight: Number of frames on their way at once. With 2, the next frame travels while
            Python analyses the last one, which raises both frame rate and latency.
        latency_seconds: Time from the capture of a frame to the arrival of its boxes in the page,
            as the page measured it last.

    Raises:
        TraitError: If an option is out of its range.
        FileNotFoundError: If the film does not exist.
        VideoError: If the film cannot be read.

    Example:
        >>> view = WebcamAnalyzer(attributes=["emotion"])
        >>> view.running, view.recording
        (False, False)
        >>> view.close()
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
    choices: List = List(list(ATTRIBUTES), read_only=True).tag(sync=True)
    # What the page advises where the camera cannot be used.
    instead = Unicode('use a film instead: WebcamAnalyzer(source="film.mp4").', read_only=True).tag(
        sync=True
    )

    def __init__(self, source: str | Path = "", **traits) -> None:
        # First, because `close` ends it even if what follows fails.
        self._worker = ThreadPoolExecutor(1, "facekit-live")
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

    def _repr_mimebundle_(self, **kwargs) -> Any:
        output = super()._repr_mimebundle_(**kwargs)
        return add_still(output, *self.draw_still()) if output else output

    def draw_still(self) -> tuple[bytes, str]:
        """Return the picture that a page without a kernel shows, and its text alternative.

        Returns:
            A JPEG file and a sentence: of a film, the frame that was analysed last, or else the
            first one. The camera has only a picture that says what to do, because a notebook must
            not store the picture of a person who did not ask for it.

        Raises:
            FileNotFoundError: If the film does not exist any more.
            VideoError: If it cannot be read.

        Example:
            >>> WebcamAnalyzer().draw_still()[1]
            'The live view before the camera starts.'
        """
        if not self.source:
            width, height = STILL_SIZE
            ground, colour = STILL_COLOURS
            picture = np.full((height, width, 3), ground, np.uint8)
            text, font = "Press Start to use the camera.", cv2.FONT_HERSHEY_SIMPLEX
            (wide, high), _ = cv2.getTextSize(text, font, 0.7, 1)
            place = (width - wide) // 2, (height + high) // 2
            cv2.putText(picture, text, place, font, 0.7, colour, 1, cv2.LINE_AA)
            alt = "The live view before the camera starts."
        elif self.analysis is None:
            picture = next(read_frames(self.source))[1]
            alt = f"The live view of {self.film} before it starts: the first frame."
        else:
            picture, analysis = self.analysis.draw(), self.analysis
            faces = zip(analysis.numbers, analysis.profiles, strict=True)
            labels = [", ".join(write_label(profile, number)) for number, profile in faces]
            seen = "; ".join(labels).replace("  ", " ") or "no face"
            alt = f"The live view of {self.film} at frame {analysis.frame}: {seen}."
        return encode_jpeg(shrink_image(picture, FILM_SIDE), FILM_QUALITY), alt

    @observe("running")
    def _start_or_stop(self, change) -> None:
        if change["new"]:
            self.message = ""
            self._moments.clear()
        else:
            self.recording = False
            self._frames = None  # a film starts at its beginning

    def close(self) -> None:
        """Close the view, the recording and the thread."""
        self.running = self.recording = False
        self._worker.shutdown(wait=False, cancel_futures=True)
        super().close()

    def _receive(self, _, content: dict, buffers: list) -> None:
        """Handle a message of the page: a frame, a request for a film's next one or a snapshot."""
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
        # ipykernel reads from the context which of the kernel's shells the page talks to.
        self._worker.submit(contextvars.copy_context().run, self._answer, content, buffers)

    def _answer(self, content: dict, buffers: list) -> None:
        """Analyse a frame and answer the page, which then may send the next one."""
        answer = {"kind": "answer", "page": content["page"], "sequence": content["sequence"]}
        pictures: list[bytes] = []
        self.latency_seconds = content.get("latency") or self.latency_seconds
        try:
            if self.source:
                pixels, analysis = self._play()
                pictures = [encode_jpeg(pixels, FILM_QUALITY)]
            else:
                pixels = decode_jpeg(buffers[0])
                analysis = self.take(pixels, content["seconds"])
            answer |= {"size": pixels.shape[1::-1], "faces": self._describe_faces(analysis)}
        except StopIteration:
            self.running = False
            answer["over"] = True
        except Exception as error:  # in a thread, nobody would see it
            self.message, self.running = str(error), False
        self.send(answer | {"rows": self.rows, "rate": self.frames_per_second}, pictures)

    def _play(self) -> tuple[np.ndarray, Analysis]:
        """Analyse a film's next frame, and return its pixels with the analysis."""
        self._frames = self._frames or read_frames(self.source)
        index, pixels = next(self._frames)
        pixels = shrink_image(pixels, FILM_SIDE)
        return pixels, self.take(pixels, index / self.film_rate, str(self.source))

    def _describe_faces(self, analysis: Analysis) -> list[dict]:
        """Return what the page draws, one dict per face. An emotion that is not sure is `None`."""
        return [
            {
                "number": track.number,
                "box": track.box_xyxy.tolist(),
                "velocity": track.velocity_xyxy.tolist(),
                "lines": write_label(profile, track.number if len(analysis) > 1 else None),
                "colour": choose_colour(profile),
                "is_face": FACE not in profile.unsure,
                "emotion": profile.emotion if profile.is_sure("emotion") else None,
                "probabilities": dict(zip(EMOTIONS, profile.emotion_probabilities, strict=False)),
            }
            for track, profile in zip(self.live.tracks, analysis.profiles, strict=True)
        ]
