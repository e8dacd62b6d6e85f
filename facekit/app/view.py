"""The shop floor's view: a live camera, a film or a folder; a large card for each face; counts over
the last minutes.

`Tally` counts, `describe_face` says what a card says, `ShopBoard` is the model of what is shown and
`app.js` its view. Frames come from `webcam`, a folder's pictures from `FolderWatch`; `serving` puts
all of it on a page. Nothing is stored: counts are numbers in memory, forgotten when they are older
than the minutes shown, and neither pictures nor rows are kept.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import threading
import time
from collections import Counter
from collections.abc import Hashable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import anywidget
from ipywidgets import Box
from PIL import Image
from traitlets import Bool, Bytes, Dict, Float, List, Unicode, observe, validate

from facekit.analysis import VIEW_SIDE, Analysis
from facekit.faces import Profile
from facekit.images import IMAGE_SUFFIXES, ImageError
from facekit.pipeline import FaceAnalyzer
from facekit.registry import ModelError
from facekit.taxonomy import DEFAULT_ATTRIBUTES, EMOTIONS, GENDERS, name_age_ranges
from facekit.widgets.webcam import CAMERA, WebcamAnalyzer

HERE = Path(__file__).parent
LOOK = HERE.parent / "widgets" / "look.css"  # shared with the widgets
# the environment variable by which `serving` hands options to the page's notebook, as JSON
OPTIONS = "FACEKIT_APP"
# Of UTKFace's test faces, age class and gender are both right in 38% of those less confident than
# this, and in 62% of the others.
SURE_FROM = 0.5
MINUTES = 10.0
# by which the confidence must fall below it until a face that was sure is not: else cards would
# flicker
SURE_SLACK = 0.05
UPDATE_SECONDS = 0.5  # between changes of the cards: quicker ones cannot be read
LEAST_SIGHTINGS = (
    5  # frames of a camera until a face counts: what flashes up in one may be a shadow
)
SHOW_SECONDS = 4.0  # that each picture of a folder stays


def describe_face(number: int, profile: Profile, sure_from: float = SURE_FROM) -> dict:
    """Return what a face's card says.

    Args:
        number: Of the face.
        profile: What is told of it.
        sure_from: Confidence below which the card says that it is not sure.

    Returns:
        `number`, `sure`, `confidence`, and what is told: `age_range`, `gender`, `emotion`; `None`
            where not asked for.
    """
    confidence = profile.confidence_score or 0.0
    told = {name: getattr(profile, name) for name in ("age_range", "gender", "emotion")}
    return {
        "number": number,
        "sure": confidence >= sure_from,
        "confidence": round(confidence, 2),
    } | told


@dataclass
class Tally:
    """Who was seen in the last minutes; what is older is forgotten.

    Attributes:
        minutes: How long a face counts after it was last seen.
        least_sightings: How often it must have been seen to count.
    """

    minutes: float = MINUTES
    least_sightings: int = 1
    _seen: dict[Hashable, tuple[int, float, dict]] = field(
        default_factory=dict, repr=False
    )  # how often, when last, the last card

    def __post_init__(self) -> None:
        if not self.minutes > 0:
            raise ValueError(f"`minutes` must be above 0; got {self.minutes}.")

    def see(self, key: Hashable, card: dict, seconds: float) -> None:
        """Take note of a face.

        Args:
            key: Which face it is.
            card: Of `describe_face`.
            seconds: The time.
        """
        times = self._seen.get(key, (0,))[0] + 1
        self._seen[key] = times, seconds, card

    def count(self, seconds: float) -> dict:
        """Return how many faces count at a time, and of those that were sure how many have each
        label.

        Returns:
            `minutes`, `faces`, `unsure`, and `age_range`, `gender`, `emotion`: one number a label,
                all labels in their order.
        """
        oldest = seconds - 60 * self.minutes
        self._seen = {key: entry for key, entry in self._seen.items() if entry[1] >= oldest}
        cards = [card for times, _, card in self._seen.values() if times >= self.least_sightings]
        sure = [card for card in cards if card["sure"]]
        told = {"minutes": self.minutes, "faces": len(cards), "unsure": len(cards) - len(sure)}
        for name, labels in (
            ("age_range", name_age_ranges()),
            ("gender", GENDERS),
            ("emotion", EMOTIONS),
        ):
            counts = Counter(card[name] for card in sure)
            told[name] = {label: counts[label] for label in labels}
        return told


class ShopBoard(anywidget.AnyWidget):
    """The cards of the faces in view, and the counts.

    Attributes:
        sure_from: Confidence below which a card says that it is not sure.
        cards: Of `describe_face`, one a face in view.
        counts: Of `Tally.count`.
        picture: JPEG of a folder's picture, annotated; empty where a camera shows itself.
        caption: Its name.
        message: What went wrong, or what is waited for.
    """

    _esm = HERE / "app.js"
    _css = "\n".join(path.read_text(encoding="utf-8") for path in (LOOK, HERE / "app.css"))

    sure_from = Float(SURE_FROM, min=0, max=1)
    cards = List(Dict()).tag(sync=True)
    counts = Dict().tag(sync=True)
    picture = Bytes(b"").tag(sync=True)
    caption = Unicode("").tag(sync=True)
    message = Unicode("").tag(sync=True)

    def __init__(self, tally: Tally | None = None, **traits) -> None:
        self.tally = tally or Tally()
        self._updated_seconds = float("-inf")
        self._sure: set[tuple[Hashable, int]] = set()  # the faces in view that were sure
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
            analysis: Of the picture.
            source: What the picture was taken from; faces of equal numbers from the same source are
                the same face.
            seconds: The time; that of the clock by default.
            at_once: Whether the cards change even where they changed just before.
        """
        seconds = time.monotonic() if seconds is None else seconds
        cards = [
            describe_face(number, profile, bound)
            for number, profile, bound in self._list_bounds(analysis, source)
        ]
        self._sure = {(source, card["number"]) for card in cards if card["sure"]}
        for card in cards:
            self.tally.see((source, card["number"]), card, seconds)
        if at_once or seconds - self._updated_seconds >= UPDATE_SECONDS:
            self._updated_seconds = seconds
            self.cards = sorted(cards, key=lambda card: card["number"])
            self.counts = self.tally.count(seconds)

    def hide_unsure(self, analysis: Analysis, source: Hashable = "") -> Analysis:
        """Return the analysis without what is told of faces that are not sure, to be drawn."""
        bounds = self._list_bounds(analysis, source)
        profiles = tuple(
            profile if describe_face(number, profile, bound)["sure"] else Profile()
            for number, profile, bound in bounds
        )
        return replace(analysis, profiles=profiles)

    def _list_bounds(
        self, analysis: Analysis, source: Hashable
    ) -> list[tuple[int, Profile, float]]:
        """Return each face's number, its profile, and the confidence from which it is sure."""
        numbers = analysis.numbers or range(len(analysis))
        slack = [SURE_SLACK if (source, number) in self._sure else 0 for number in numbers]
        return [
            (number, profile, self.sure_from - less)
            for number, profile, less in zip(numbers, analysis.profiles, slack, strict=True)
        ]


class ShopCamera(WebcamAnalyzer):
    """A `WebcamAnalyzer` that tells a board, and can store nothing, whatever the page asks for.

    Attributes:
        board: What is told.
    """

    choices = List(DEFAULT_ATTRIBUTES, read_only=True).tag(sync=True)
    instead = Unicode(
        "serve a film or a folder of pictures: facekit app photos/", read_only=True
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

    def take(self, pixels, seconds: float, source: str = CAMERA) -> Analysis:
        """Analyse the next frame, and tell the board unless the camera was stopped."""
        analysis = super().take(pixels, seconds, source)
        if self.running:  # a frame may still be under way when the camera stops
            self.board.show(analysis)
        return analysis

    def keep(self) -> None:
        """Keep nothing."""

    def _tell_faces(self, analysis: Analysis) -> list[dict]:
        faces = super()._tell_faces(self.board.hide_unsure(analysis))
        return [face if face["lines"] else face | {"lines": ["not sure"]} for face in faces]


class FolderWatch:
    """Show a folder's pictures one after the other, the newest first, and go on with those that
    come.

    Args:
        folder: Where pictures are; folders below it count.
        board: What shows them.
        analyzer: What to look for.
    """

    def __init__(
        self, folder: Path, board: ShopBoard, analyzer: FaceAnalyzer | None = None
    ) -> None:
        self.folder, self.board, self.analyzer = folder, board, analyzer or FaceAnalyzer()
        self._done: set[tuple[Path, float]] = set()
        self._ended = threading.Event()

    def step(self) -> bool:
        """Show the next picture.

        Returns:
            Whether there was one.
        """
        found = set(self._list_pictures())
        waiting = found - self._done
        self._done &= found
        if not waiting:
            if not self._done:
                self.board.message = f"Waiting for pictures in {self.folder.name}."
            return False
        path, modified = max(waiting, key=lambda each: each[1])
        self._done.add((path, modified))
        try:
            analysis = self.analyzer.analyze(path)
        except (ImageError, ModelError, OSError, MemoryError) as error:
            self.board.message = (
                str(error).replace(str(path), path.name)
                or f"{path.name}: is too large for this machine's memory."
            )
            return True
        picture = Image.fromarray(self.board.hide_unsure(analysis).draw())
        picture.thumbnail((VIEW_SIDE, VIEW_SIDE))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=85)
        with self.board.hold_sync():  # all of it arrives at once
            self.board.message = ""
            self.board.picture, self.board.caption = file.getvalue(), path.name
            self.board.show(analysis, (path, modified), at_once=True)
        return True

    def _list_pictures(self) -> Iterator[tuple[Path, float]]:
        for path in self.folder.rglob("*"):
            if path.name.lower().endswith(IMAGE_SUFFIXES) and not path.name.startswith("."):
                with contextlib.suppress(OSError):  # it has gone meanwhile
                    yield path, path.stat().st_mtime

    def start(self) -> None:
        """Go on in a thread."""
        threading.Thread(target=self._run, name="facekit-folder", daemon=True).start()

    def stop(self) -> None:
        """End after the picture at hand."""
        self._ended.set()

    def _run(self) -> None:
        while not self._ended.is_set():
            self.step()
            self._ended.wait(SHOW_SECONDS)


def show_app(
    source: str | Path = "", sure_from: float = SURE_FROM, minutes: float = MINUTES
) -> Box:
    """Return the shop floor's view, to be shown in a notebook or served by `facekit app`.

    Args:
        source: A folder of pictures or a video file; the browser's camera by default.
        sure_from: Confidence below which a card says that it is not sure, 0 to 1.
        minutes: How long a face counts.
    """
    folder = Path(source) if source and Path(source).is_dir() else None
    board = ShopBoard(Tally(minutes, 1 if folder else LEAST_SIGHTINGS), sure_from=sure_from)
    if folder:
        FolderWatch(folder, board).start()
    parts = [board] if folder else [ShopCamera(board, source), board]
    page = Box(parts)
    page.add_class("facekit-app")
    return page


def show_served_app() -> Box:
    """Return the view with the options that `facekit app` was given."""
    return show_app(**json.loads(os.environ.get(OPTIONS, "{}")))
