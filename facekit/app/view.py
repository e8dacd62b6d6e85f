"""The page of the app: a live camera, a film or a folder, a large card for each face, and counts.

`ShopBoard` is the model of what the page shows, and `app.js` its view. Frames come from
`widgets.webcam`, the pictures of a folder from `folder`. Neither pictures nor rows are stored.
"""

from __future__ import annotations

import json
import os
import time
from collections.abc import Hashable
from pathlib import Path

import anywidget
import numpy as np
from ipywidgets import Box
from traitlets import Bool, Bytes, Dict, List, Unicode, observe, validate

from facekit.analysis import Analysis
from facekit.app.folder import FolderWatch
from facekit.app.tally import MINUTES, Tally, describe_face
from facekit.faces import FACE
from facekit.taxonomy import DEFAULT_ATTRIBUTES
from facekit.widgets.webcam import CAMERA, WebcamAnalyzer

__all__ = [
    "MINUTES",
    "OPTIONS",
    "FolderWatch",
    "ShopBoard",
    "ShopCamera",
    "Tally",
    "describe_face",
    "show_app",
    "show_served_app",
]

HERE = Path(__file__).parent
LOOK = HERE.parent / "widgets" / "look.css"  # shared with the widgets
OPTIONS = "FACEKIT_APP"  # environment variable with options from `serving`, as JSON
UPDATE_SECONDS = 0.5  # between changes of the cards: faster changes cannot be read
LEAST_SIGHTINGS = 5  # frames of a camera until a face counts: a single one may be a shadow


class ShopBoard(anywidget.AnyWidget):
    """The cards of the faces in view, and the counts.

    Args:
        tally: Counts the faces.

    Attributes:
        cards: One card per face in view, from `describe_face`. What may be no face has none.
        counts: Counts of the last minutes, from `Tally.count`.
        picture: JPEG of a folder's picture, annotated; empty for a camera or a film.
        caption: Name of that picture.
        message: What went wrong, or what the page waits for.

    Example:
        >>> board = ShopBoard(Tally(minutes=5))
        >>> board.counts["faces"], board.counts["minutes"]
        (0, 5)
    """

    _esm = HERE / "app.js"
    _css = "\n".join(path.read_text(encoding="utf-8") for path in (LOOK, HERE / "app.css"))

    cards = List(Dict()).tag(sync=True)
    counts = Dict().tag(sync=True)
    picture = Bytes(b"").tag(sync=True)
    caption = Unicode("").tag(sync=True)
    message = Unicode("").tag(sync=True)

    def __init__(self, tally: Tally | None = None, **traits) -> None:
        self.tally = tally or Tally()
        self._updated_seconds = float("-inf")
        super().__init__(**{"counts": self.tally.count(0)} | traits)

    def show(
        self,
        analysis: Analysis,
        source: Hashable = "",
        *,
        seconds: float | None = None,
        at_once: bool = False,
    ) -> None:
        """Show the faces of a picture, and count them.

        Args:
            analysis: Analysis of the picture.
            source: Where the picture comes from. Faces with the same number and the same source are
                the same face.
            seconds: The time; by default that of the clock.
            at_once: Whether the cards change even shortly after the last change.
        """
        seconds = time.monotonic() if seconds is None else seconds
        numbers = analysis.numbers or range(len(analysis))
        cards = [
            describe_face(number, profile)
            for number, profile in zip(numbers, analysis.profiles, strict=True)
            if FACE not in profile.unsure
        ]
        for card in cards:
            self.tally.see((source, card["number"]), card, seconds)
        if at_once or seconds - self._updated_seconds >= UPDATE_SECONDS:
            self._updated_seconds = seconds
            self.cards = sorted(cards, key=lambda card: card["number"])
            self.counts = self.tally.count(seconds)


class ShopCamera(WebcamAnalyzer):
    """A `WebcamAnalyzer` that shows its faces on a board, and can store nothing.

    Args:
        board: The board that shows the faces.
        source: A video file; the camera by default.

    Example:
        >>> camera = ShopCamera(ShopBoard())
        >>> camera.recording = True
        >>> camera.recording
        False
        >>> camera.close()
    """

    choices: List = List(list(DEFAULT_ATTRIBUTES), read_only=True).tag(sync=True)
    instead = Unicode(
        "show a film or a folder of pictures: facekit app photos/", read_only=True
    ).tag(sync=True)
    recording = Bool(False).tag(sync=True)

    def __init__(self, board: ShopBoard, source: str | Path = "", **traits) -> None:
        self.board = board
        super().__init__(source, **traits)

    @validate("recording")
    def _never_record(self, _) -> bool:
        return False

    @observe("running")
    def _clear_board(self, _) -> None:
        self.board.cards = []

    def take(self, pixels: np.ndarray, seconds: float, source: str = CAMERA) -> Analysis:
        """Analyse the next frame, and show its faces on the board unless the camera was stopped."""
        analysis = super().take(pixels, seconds, source)
        if self.running:  # a frame may arrive after the camera was stopped
            self.board.show(analysis)
        return analysis

    def keep(self) -> None:
        """Keep nothing."""


def show_app(source: str | Path = "", minutes: float = MINUTES) -> Box:
    """Return the page of the app, to be shown in a notebook or served by `facekit app`.

    Args:
        source: A folder of pictures or a video file; the browser's camera by default.
        minutes: How long a face counts.

    Raises:
        ValueError: If `minutes` is out of its range.
        FileNotFoundError: If the source does not exist.
        VideoError: If the video cannot be read.

    Example:
        >>> camera, board = show_app(minutes=3).children
        >>> board.counts["minutes"]
        3
        >>> camera.close()
    """
    folder = Path(source) if source and Path(source).is_dir() else None
    board = ShopBoard(Tally(minutes, 1 if folder else LEAST_SIGHTINGS))
    if folder:
        FolderWatch(folder, board).start()
    parts = [board] if folder else [ShopCamera(board, source), board]
    page = Box(parts)
    page.add_class("facekit-app")
    return page


def show_served_app() -> Box:
    """Return the page with the options of the command `facekit app`.

    Example:
        >>> camera, board = show_served_app().children
        >>> camera.close()
    """
    return show_app(**json.loads(os.environ.get(OPTIONS, "{}")))
