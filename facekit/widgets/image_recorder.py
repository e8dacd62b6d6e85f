"""Analyse a camera's picture over ipywebrtc, for pages that cannot run `webcam.js`."""

from __future__ import annotations

import time

from ipywidgets import HBox, Image, ToggleButton, VBox

from facekit.images.encoding import encode_jpeg
from facekit.widgets.recording import LiveModel, decode_jpeg


class ImageRecorderAnalyzer(LiveModel, VBox):
    """The live view over ipywebrtc. It is slow, at about 1.5 frames per second.

    The `ImageRecorder` of ipywebrtc takes one picture each time `recording` is set, and clears
    `recording` when it is done. The next picture must wait for that: setting `recording` while it
    is set changes nothing, and the loop would stop. The picture itself arrives in a separate
    message, before or after. The camera is on until `close`.

    Raises:
        ModuleNotFoundError: If ipywebrtc is not installed.

    Example:
        >>> ImageRecorderAnalyzer()  # see tests/browser/test_webcam.py  # doctest: +SKIP
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
            description="Start",
            tooltip="Frames go to the notebook's kernel and are deleted after analysis.",
        )
        super().__init__(children=[self.running, HBox([self.camera, self.picture])], **traits)
        self.running.observe(self._start_or_stop, "value")
        self.recorder.observe(self._take_next, "recording")
        self.recorder.image.observe(self._take_next, "value")

    def _start_or_stop(self, change) -> None:
        self.running.description = "Stop" if change["new"] else "Start"
        self.recording = self.recording and change["new"]
        if change["new"]:
            self.recorder.recording = True

    def _take_next(self, _) -> None:
        """Analyse the picture that arrived, show it, and request the next one."""
        data = self.recorder.image.value
        if self.recorder.recording or not data or not self.running.value:
            return
        analysis = self.take(decode_jpeg(data), time.perf_counter())
        self.picture.value = encode_jpeg(analysis.draw())
        self.recorder.image.value = b""
        self.recorder.recording = True

    def close(self) -> None:
        """Close the view and the recording, and switch the camera off."""
        self.running.value = self.recording = False
        self.camera.close()
        super().close()
