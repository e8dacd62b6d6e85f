"""What every live view knows, whichever way its frames arrive: analysis, recording, snapshots.

Frames are analysed by `live`. Rows are recorded to a csv file that grows by whole rows, so that
everything recorded so far is there whenever the view stops. Nothing else is stored.
"""

from __future__ import annotations

import io
import threading
import time
from collections import deque
from pathlib import Path

import numpy as np
from traitlets import Bool, Enum, HasTraits, List, TraitError, Unicode, observe, validate

from facekit.analysis import Analysis
from facekit.files import find_free_path
from facekit.images import ImageError, decode_image
from facekit.live import LiveAnalyzer
from facekit.tables import write_csv
from facekit.taxonomy import ATTRIBUTES, DEFAULT_ATTRIBUTES

CAMERA = "camera"  # in the table's column `image`
RATE_SECONDS = 2.0  # over which the frame rate is measured


class Recording:
    """A csv file that grows by whole rows. A file that exists is never changed.

    Args:
        path: The file to create. If it exists, a number is added to the name.

    Attributes:
        path: The file that was created.
        rows: Number of rows written so far.

    Raises:
        OSError: If the file cannot be created.

    Example:
        >>> import tempfile
        >>> recording = Recording(Path(tempfile.mkdtemp(), "webcam.csv"))
        >>> recording.close()
        >>> recording.path.name, recording.rows
        ('webcam.csv', 0)
    """

    def __init__(self, path: Path) -> None:
        self.path, self.rows = find_free_path(path), 0
        self._size = 0  # bytes of the whole rows
        # Without a buffer, so that a full disk is noticed here and not when the file is closed.
        self._file = self.path.open("xb", buffering=0)
        try:
            self.append([], header=True)
        except OSError:
            self.path.unlink(missing_ok=True)
            raise

    def append(self, rows: list[dict], header: bool = False) -> None:
        """Write rows of `faces.COLUMNS`, all of them or none.

        Raises:
            OSError: If they cannot be written. The file then ends with the last whole row, and is
                closed.
        """
        text = io.StringIO()
        write_csv(rows, text, header=header)
        content = text.getvalue().encode("utf-8", "surrogateescape")
        try:
            while content:
                content = content[self._file.write(content) :]  # a full disk takes a part first
        except OSError:
            self._file.truncate(self._size)
            self._file.close()
            raise
        self._size = self._file.tell()
        self.rows += len(rows)

    def close(self) -> None:
        """Close the file."""
        self._file.close()


class LiveModel(HasTraits):
    """Analyse frames, record rows, keep snapshots: the part of a live view that needs no page.

    Attributes:
        attributes: Attributes to predict, from `taxonomy.ATTRIBUTES`; ethnicity only on request.
        recording: Whether rows are written to a file.
        record_to: A csv file, with the columns of `faces.COLUMNS`. If the file exists, a number is
            added to its name.
        recorded: The file that is being written, or was written last.
        message: What went wrong, and the remedy.
        live: The analyzer of the frames.
        analysis: Analysis of the last frame, with its picture.
        snapshots: Analyses that `keep` kept, in memory.
        frame: Index of the last frame.
        rows: Number of rows in the recording.

    Example:
        >>> LiveModel(attributes=["emotion", "age"]).attributes
        ['age', 'emotion']
    """

    attributes = List(Enum(ATTRIBUTES), list(DEFAULT_ATTRIBUTES), minlen=1).tag(sync=True)
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
        self._recording: Recording | None = None
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
    def _start_or_stop_recording(self, change) -> None:
        with self._lock:
            if self._recording:
                self._recording.close()
                self._recording = None
            if change["new"]:
                try:
                    self._recording = Recording(Path(self.record_to))
                    self.rows, self.recorded, self.message = 0, str(self._recording.path), ""
                except OSError as error:
                    self.message = (
                        f"{self.record_to} cannot be written ({error.strerror}); "
                        "set `record_to` to another file."
                    )
        if change["new"] and not self._recording:
            self.recording = False

    @property
    def frames_per_second(self) -> float:
        """Frames analysed per second over the last two seconds; 0 without frames."""
        moments = list(self._moments)  # a copy, because the thread adds to it
        recent = [moment for moment in moments if moment >= moments[-1] - RATE_SECONDS]
        return (len(recent) - 1) / (recent[-1] - recent[0]) if len(recent) > 1 else 0.0

    def take(self, pixels: np.ndarray, seconds: float, source: str = CAMERA) -> Analysis:
        """Analyse the next frame, and record its rows if `recording` is on.

        Args:
            pixels: HxWx3 RGB uint8.
            seconds: Time of the frame.
            source: Value of the table's column `image`.

        Returns:
            The analysis of the frame.
        """
        failure = ""
        with self._lock:
            self.frame += 1
            self.live.attributes = tuple(self.attributes)
            self._moments.append(time.perf_counter())
            analysis = self.live.analyze(pixels, seconds, self.frame, source)
            self.analysis = analysis
            if self._recording:
                try:
                    self._recording.append(analysis.to_dicts())
                    self.rows = self._recording.rows
                except OSError as error:
                    self._recording = None
                    failure = (
                        f"{self.recorded}: recording stopped ({error.strerror}); the {self.rows} "
                        "rows before are kept."
                    )
        if failure:
            self.message, self.recording = failure, False
        return analysis

    def keep(self) -> Analysis | None:
        """Keep the last frame with its picture in `snapshots`, in memory and not on disk.

        Returns:
            The analysis of the frame, or `None` before the first frame.
        """
        if self.analysis:
            self.snapshots.append(self.analysis)
        return self.analysis


def decode_jpeg(data: bytes | memoryview) -> np.ndarray:
    """Return the pixels of a camera's picture, as `images.decode_image` reads them.

    Args:
        data: Content of a JPEG file.

    Returns:
        HxWx3 RGB uint8.

    Raises:
        ImageError: If the data are no picture, or a picture that is too large.

    Example:
        >>> from facekit.images.encoding import encode_jpeg
        >>> decode_jpeg(encode_jpeg(np.zeros((3, 4, 3), np.uint8))).shape
        (3, 4, 3)
    """
    try:
        return decode_image(bytes(data), CAMERA)
    except ImageError as error:
        raise ImageError(
            f"`data` must be a JPEG picture; got {len(data)} bytes. {error} Press Start again."
        ) from None
