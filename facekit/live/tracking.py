"""Follow faces from frame to frame and smooth over time what is told of them. Finding and asking is
left to `live`.

Time is given in seconds with each frame, so that frames may come as irregularly as a camera's do.
Boxes are x1, y1, x2, y2 in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from facekit.detection.boxes import compute_overlaps
from facekit.faces import Faces

# Of an alpha-beta filter: how much of what was not foreseen goes into the place, and how much into
# the velocity.
PLACE_GAIN, VELOCITY_GAIN = 0.7, 0.35
SHORTEST_SECONDS = 0.001  # between frames; a clock may stand still
COASTING_SECONDS = 0.4  # time constant in which a head that is out of sight is thought to slow down


@dataclass(eq=False)
class Track:
    """One face through a film.

    Attributes:
        number: Its identity, counted from 0 in the order of appearance.
        box_xyxy, velocity_xyxy: (4,), pixels and pixels a second, both smoothed.
        seen_seconds: When it was last found.
        asked_seconds: When the networks were last asked about it.
        answers: Of each attribute the smoothed probabilities, (classes,).
        asked: How often the networks were asked.
    """

    number: int
    box_xyxy: np.ndarray
    seen_seconds: float
    velocity_xyxy: np.ndarray = field(default_factory=lambda: np.zeros(4, np.float32))
    asked_seconds: float = -math.inf
    answers: dict[str, np.ndarray] = field(default_factory=dict)
    asked: int = 0

    def predict(self, seconds: float) -> np.ndarray:
        """Return where the box will be, (4,), if the face goes on as it does, and slows down."""
        way = COASTING_SECONDS * -math.expm1((self.seen_seconds - seconds) / COASTING_SECONDS)
        return self.box_xyxy + self.velocity_xyxy * way

    def move(self, box_xyxy: np.ndarray, seconds: float) -> None:
        """Go on to where the face was found."""
        predicted = self.predict(seconds)
        surprise = box_xyxy - predicted
        elapsed = max(seconds - self.seen_seconds, SHORTEST_SECONDS)
        self.box_xyxy = predicted + PLACE_GAIN * surprise
        self.velocity_xyxy = self.velocity_xyxy + VELOCITY_GAIN / elapsed * surprise
        self.seen_seconds = seconds


@dataclass(eq=False)
class FaceTracker:
    """Tell which face of a frame is which of the frames before, by how much their boxes overlap.

    Attributes:
        person_seconds: Time constant of smoothing for what does not change in a person: age,
            gender, ethnicity. 0 does not smooth.
        emotion_seconds: The same for emotion; the longer, the calmer, and the later.
        patience_seconds: How long a face may be out of sight and come back as itself.
        min_overlap: Overlap (IoU) from which two boxes may be one face.
        tracks: The faces that are followed.
    """

    person_seconds: float = 3.0
    emotion_seconds: float = 0.5
    patience_seconds: float = 1.5
    min_overlap: float = 0.25
    tracks: list[Track] = field(default_factory=list)
    _count: int = 0

    def __post_init__(self) -> None:
        for name in ("person_seconds", "emotion_seconds", "patience_seconds"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be 0 or more; got {getattr(self, name)}.")
        if not 0 < self.min_overlap < 1:
            raise ValueError(f"`min_overlap` must be above 0 and below 1; got {self.min_overlap}.")

    def forget(self, seconds: float) -> None:
        """Drop the faces that were out of sight for too long; and all of them, where the clock went back."""
        self.tracks = [
            track
            for track in self.tracks
            if 0 <= seconds - track.seen_seconds <= self.patience_seconds
        ]

    def predict(self, seconds: float) -> np.ndarray:
        """Return where the faces that are followed will be, (tracks, 4) float32."""
        return np.array([track.predict(seconds) for track in self.tracks], np.float32).reshape(
            -1, 4
        )

    def follow(self, faces: Faces, seconds: float) -> list[Track]:
        """Match the faces of a frame with those that are followed, the greatest overlap first; the
        others are new.

        Args:
            faces: Of the frame.
            seconds: Its time.

        Returns:
            One track a face, in their order.
        """
        self.forget(seconds)
        found: list[Track | None] = [None] * len(faces)
        # A head may go on, or stop: either is itself.
        places = (
            self.predict(seconds),
            np.array([track.box_xyxy for track in self.tracks]).reshape(-1, 4),
        )
        overlaps = np.maximum(
            *(compute_overlaps(faces.boxes_xyxy, boxes) for boxes in places)
        )  # (faces, tracks)
        while overlaps.size and overlaps.max() >= self.min_overlap:
            face, track = np.unravel_index(overlaps.argmax(), overlaps.shape)
            found[face] = self.tracks[track]
            found[face].move(faces.boxes_xyxy[face], seconds)
            overlaps[face], overlaps[:, track] = 0, 0
        for face, box in enumerate(faces.boxes_xyxy):
            if found[face] is None:
                found[face] = Track(self._count, box, seconds)
                self.tracks.append(found[face])
                self._count += 1
        return found

    def remember(self, track: Track, answers: dict[str, np.ndarray], seconds: float) -> None:
        """Blend new answers into a face's: their plain mean at first, then an exponential one, in
        which old answers fade.

        Args:
            track: The face.
            answers: Of each attribute the probabilities, (classes,).
            seconds: The frame's time.
        """
        track.asked += 1
        for name, answer in answers.items():
            fade = self.emotion_seconds if name == "emotion" else self.person_seconds
            weight = 1 - math.exp(-(seconds - track.asked_seconds) / fade) if fade else 1
            before = track.answers.get(name, answer)
            track.answers[name] = before + max(weight, 1 / track.asked) * (answer - before)
        track.asked_seconds = seconds
