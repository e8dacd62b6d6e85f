"""Label faces in a notebook with the keyboard: one face at a time, saved after each key.

`datasets.labelling.Labelling` keeps the labels and the file; `Labeler` is the model, which knows
what each key means and knows no page; `labeler.js` is the view. The page receives one face at a
time, and each of its messages names the face it shows, so that a key pressed too early never labels
a face that nobody has seen. Pictures are not part of the state that a notebook's file may save.
"""

from __future__ import annotations

import functools
import re
from collections.abc import Sequence
from pathlib import Path

import anywidget
import numpy as np
from PIL import Image
from traitlets import Dict, Enum, Int, List, Unicode

from facekit.datasets.annotations import write_dataturks
from facekit.datasets.labelling import LABELLED, NOT_A_FACE, SKIPPED, STATES, Labelling, Source
from facekit.datasets.manifest import BOX, OLDEST_YEARS
from facekit.images import ImageError, read_image
from facekit.images.encoding import encode_jpeg
from facekit.taxonomy import DEFAULT_ATTRIBUTES, LABELS

HERE = Path(__file__).parent
FACE_SIDE = 420  # pixels; longer side of the face
PHOTO_SIDE = 560  # pixels; longer side of the photo around it
MARGIN = 0.35  # shown around a box, as a share of its sides: hair and chin help to label
QUALITY = 88  # of JPEG

LABEL_KEYS = {
    "female": "f", "male": "m",
    "anger": "a", "disgust": "d", "fear": "e", "happiness": "h", "neutral": "n", "sadness": "s",
    "surprise": "u",
    "white": "w", "black": "b", "asian": "y", "indian": "i", "other": "o",
}  # fmt: skip
ATTRIBUTE_OF_KEY = {
    LABEL_KEYS[label]: (attribute, label)
    for attribute, labels in LABELS.items()
    for label in labels
    if label in LABEL_KEYS
}


def draw_face(path: str, box_xyxy: np.ndarray) -> tuple[bytes, bytes, list[float]]:
    """Return what a page shows of a face.

    Args:
        path: Path of the photo.
        box_xyxy: (4,) pixels, or NaN if the photo is a cropped face.

    Returns:
        JPEG of the face; JPEG of the photo, empty for a cropped face; and left, top, width and
        height of the face as shares of the photo.

    Raises:
        FileNotFoundError: If the photo does not exist.
        ImageError: If the photo cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "a.png")
        >>> Image.fromarray(np.zeros((40, 80, 3), np.uint8)).save(path)
        >>> face, photo, shares = draw_face(str(path), np.array([20, 10, 40, 30]))
        >>> shares
        [0.25, 0.25, 0.25, 0.5]
    """
    image, photo = _open_photo(path)
    if np.isnan(box_xyxy).any():
        return _encode(image, FACE_SIDE), b"", []
    left, top, right, bottom = box_xyxy
    half = max(right - left, bottom - top, 2) * (0.5 + MARGIN)
    # A wrong box may lie beside the photo.
    x, y = np.clip([(left + right) / 2, (top + bottom) / 2], 0, image.size)
    around = (
        round(max(x - half, 0)),
        round(max(y - half, 0)),
        round(min(x + half, image.width)),
        round(min(y + half, image.height)),
    )
    shares = np.array([left, top, right - left, bottom - top]) / (image.size * 2)
    return _encode(image.crop(around), FACE_SIDE), photo, shares.round(4).tolist()


@functools.lru_cache(maxsize=1)  # the faces of one photo follow each other
def _open_photo(path: str) -> tuple[Image.Image, bytes]:
    image = Image.fromarray(read_image(path))
    return image, _encode(image, PHOTO_SIDE)


def _encode(image: Image.Image, side: int) -> bytes:
    scale = side / max(image.size)
    size = (max(round(image.width * scale), 1), max(round(image.height * scale), 1))
    resized = image.resize(size, Image.Resampling.BICUBIC, reducing_gap=2)
    return encode_jpeg(np.asarray(resized), QUALITY)


class Labeler(anywidget.AnyWidget):
    """Label faces, or correct their labels, with the keyboard.

    `labelling.to_manifest()` returns the labels so far, as they are in the file.

    Args:
        source: The faces to label; see `facekit.datasets.labelling`.
        path: File that the labels are saved to.
        attributes: Attributes to label, from `taxonomy.ATTRIBUTES`.
        seed: Seed of the order of the faces.

    Attributes:
        labelling: The faces and their labels.
        choices: Labels of each attribute with their keys.
        position: Index of the face that is shown; equal to `count` when all faces are done.
        count: Number of faces.
        judged: Number of faces in each state.
        name: File name of the face's photo.
        labels: Labels of the face by attribute, as text.
        state: State of the face, one of `datasets.labelling.STATES`.
        message: What went wrong, and the remedy.
        file: File that the labels are saved to.

    Example:
        >>> import tempfile
        >>> from facekit.datasets.manifest import make_manifest
        >>> faces = make_manifest([{"path": "a.jpg"}, {"path": "b.jpg"}], "mine")
        >>> labeler = Labeler(faces, Path(tempfile.mkdtemp(), "mine.parquet"))  # shows the widget
        >>> labeler.press("f")
        >>> labeler.labels
        {'gender': 'female'}
    """

    _esm = HERE / "labeler.js"
    _css = (HERE / "look.css").read_text(encoding="utf-8") + (HERE / "labeler.css").read_text(
        encoding="utf-8"
    )

    choices: List = List().tag(sync=True)
    position = Int(0, min=0).tag(sync=True)
    count = Int(0, min=0).tag(sync=True)
    judged = Dict().tag(sync=True)
    name = Unicode("").tag(sync=True)
    labels = Dict().tag(sync=True)
    state = Enum(STATES, STATES[0]).tag(sync=True)
    message = Unicode("").tag(sync=True)
    file = Unicode("").tag(sync=True)

    def __init__(
        self,
        source: Source,
        path: str | Path,
        attributes: Sequence[str] = DEFAULT_ATTRIBUTES,
        seed: int = 0,
        **traits,
    ) -> None:
        self.labelling = Labelling(source, path, attributes, seed)
        self._typed = ""  # digits of an age
        super().__init__(**traits)
        self.choices = [
            {
                "attribute": name,
                "labels": []
                if name == "age"
                else [[label, LABEL_KEYS[str(label)]] for label in LABELS[name]],
            }
            for name in self.labelling.attributes
        ]
        self.count, self.file = len(self.labelling), str(path)
        self._publish()
        self.on_msg(self._receive)

    def press(self, key: str) -> None:
        """Carry out the command of a key. Keys without a command do nothing.

        Args:
            key: The browser's name of the key: a digit or a letter, `Backspace`, `Enter`,
                `ArrowLeft` or `ArrowRight`.
        """
        labelling, message = self.labelling, ""
        key = key.lower() if len(key) == 1 else key
        typed, self._typed = self._typed, ""
        try:
            if key == "z":
                labelling.undo()
            elif key == "ArrowLeft":
                labelling.step(-1)
            elif labelling.is_done:
                pass
            elif key == "ArrowRight":
                labelling.step(1)
            elif key == "Enter":
                labelling.accept()
            elif key == "k":
                labelling.skip()
            elif key == "x":
                labelling.reject()
            elif key in ATTRIBUTE_OF_KEY and ATTRIBUTE_OF_KEY[key][0] in labelling.attributes:
                attribute, label = ATTRIBUTE_OF_KEY[key]
                labelling.label(attribute, None if labelling.row[attribute] == label else label)
            elif "age" in labelling.attributes and key == "Backspace":
                self._take_age(typed[:-1], typed)
            elif "age" in labelling.attributes and len(key) == 1 and key in "0123456789":
                whole = typed + key
                self._take_age(whole if int(whole) <= OLDEST_YEARS else key, typed)
        except (ValueError, OSError) as error:  # the file may lie where nothing can be written
            message = str(error)
        self._publish(message)

    def export_dataturks(self, folder: str | Path) -> Path:
        """Write the labels so far in DataTurks' format, with `annotations.write_dataturks`."""
        return write_dataturks(self.labelling.to_manifest(), Path(folder))

    def _take_age(self, typed: str, before: str) -> None:
        """Label the age typed so far. `undo` takes back the whole number, not its last digit."""
        self.labelling.label("age", int(typed) if typed else None, remember=not before)
        self._typed = typed

    def _receive(self, _, message: dict, __) -> None:
        """Handle a message of the page: a key, the age field, or a request for a face."""
        if message["position"] != self.labelling.position:
            return
        if "press" in message:
            self.press(message["press"])
        elif "age" in message:  # the whole field: keyboards on a screen do not name their keys
            self._typed = ""
            for key in ("Backspace", *re.findall("[0-9]", message["age"])):
                self.press(key)
        else:
            self._send_face()

    def _publish(self, message: str = "") -> None:
        labelling = self.labelling
        row: dict = dict.fromkeys(("path", *LABELS)) if labelling.is_done else labelling.row
        with self.hold_sync():
            self.position, self.message = labelling.position, message
            self.judged = {
                state: labelling.states.count(state) for state in (LABELLED, SKIPPED, NOT_A_FACE)
            }
            self.state = LABELLED if labelling.is_done else labelling.state
            self.name = Path(row["path"]).name if row["path"] else ""
            known = {name: row[name] for name in labelling.attributes if row[name] is not None}
            self.labels = {
                name: f"{value:g}" if name == "age" else value for name, value in known.items()
            }

    def _send_face(self) -> None:
        if self.labelling.is_done:
            return
        row = self.labelling.row
        about = {"position": self.labelling.position, "box": [], "error": ""}
        try:
            face, photo, about["box"] = draw_face(
                row["path"], np.array([row[side] for side in BOX], float)
            )
            self.send(about, [face, photo])
        except (FileNotFoundError, ImageError) as error:
            self.send(about | {"error": str(error)}, [])
