"""Follow faces from frame to frame, and smooth their boxes and probabilities over time.

Detection and prediction are left to `live.analyzer`. Time comes in seconds with each frame, so that
frames may be as irregular as a camera's. Boxes are x1, y1, x2, y2 in pixels.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import numpy as np

from facekit.detection.boxes import compute_overlaps
from facekit.faces import Faces

# Gains of an alpha-beta filter: how much of the difference between the predicted and the detected
# box goes into the position, and how much into the velocity.
PLACE_GAIN, VELOCITY_GAIN = 0.7, 0.35
SCORE_GAIN = 0.2  # how much of a new detector score goes into the smoothed one
SHORTEST_SECONDS = 0.001  # between frames; a clock may stand still
COASTING_SECONDS = 0.4  # time constant in which a head out of sight is assumed to slow down


@dataclass(eq=False)
class Track:
    """One face through a stream.

    Attributes:
        number: Counted from 0 in the order of appearance. It names a track, not a person.
        box_xyxy, velocity_xyxy: (4,), pixels and pixels per second, both smoothed.
        seen_seconds: When it was last detected.
        predicted_seconds: When its attributes were last predicted.
        probabilities: For each attribute the smoothed ones, (classes,).
        predictions: How often its attributes were predicted.
        score: The detector's score, smoothed.

    Example:
        >>> track = Track(0, np.array([10, 10, 50, 50]), 0.0, velocity_xyxy=np.full(4, 20.0))
        >>> track.predict(0.1).round(1).tolist()
        [11.8, 11.8, 51.8, 51.8]
    """

    number: int
    box_xyxy: np.ndarray
    seen_seconds: float
    velocity_xyxy: np.ndarray = field(default_factory=lambda: np.zeros(4, np.float32))
    predicted_seconds: float = -math.inf
    probabilities: dict[str, np.ndarray] = field(default_factory=dict)
    predictions: int = 0
    score: float = 1.0

    def predict(self, seconds: float) -> np.ndarray:
        """Return where the box will be, (4,), if the face moves on and slows down."""
        way = COASTING_SECONDS * -math.expm1((self.seen_seconds - seconds) / COASTING_SECONDS)
        return self.box_xyxy + self.velocity_xyxy * way

    def move(self, box_xyxy: np.ndarray, score: float, seconds: float) -> None:
        """Move to where the face was detected."""
        self.score += SCORE_GAIN * (score - self.score)
        predicted = self.predict(seconds)
        surprise = box_xyxy - predicted
        elapsed = max(seconds - self.seen_seconds, SHORTEST_SECONDS)
        self.box_xyxy = predicted + PLACE_GAIN * surprise
        self.velocity_xyxy = self.velocity_xyxy + VELOCITY_GAIN / elapsed * surprise
        self.seen_seconds = seconds


@dataclass(eq=False)
class FaceTracker:
    """Match the faces of each frame with those of earlier frames, by the overlap of their boxes.

    Attributes:
        person_seconds: Time constant of smoothing for what does not change in a person: age,
            gender, ethnicity. 0 does not smooth.
        emotion_seconds: The same for emotion. A longer time gives calmer and later predictions.
        patience_seconds: How long a face may be out of sight and keep its number.
        min_overlap: Least overlap (IoU) of two boxes of the same face.
        tracks: The faces that are followed.

    Raises:
        ValueError: If an option is out of its range.

    Example:
        >>> tracker = FaceTracker()
        >>> box = np.array([[10, 10, 50, 50]], np.float32)
        >>> face = Faces(box, np.ones(1, np.float32), np.zeros((1, 5, 2), np.float32))
        >>> [tracker.follow(face, seconds)[0].number for seconds in (0.0, 0.1, 9.0)]
        [0, 0, 1]
    """

    person_seconds: float = 3.0
    emotion_seconds: float = 0.5
    patience_seconds: float = 1.5
    min_overlap: float = 0.25
    tracks: list[Track] = field(default_factory=list)
    _count: int = field(default=0, repr=False)

    def __post_init__(self) -> None:
        for name in ("person_seconds", "emotion_seconds", "patience_seconds"):
            if not getattr(self, name) >= 0:
                raise ValueError(f"`{name}` must be 0 or more; got {getattr(self, name)}.")
        if not 0 < self.min_overlap < 1:
            raise ValueError(f"`min_overlap` must be above 0 and below 1; got {self.min_overlap}.")

    def forget(self, seconds: float) -> None:
        """Drop faces that were out of sight for too long, and all faces if the clock went back."""
        self.tracks = [
            track
            for track in self.tracks
            if 0 <= seconds - track.seen_seconds <= self.patience_seconds
        ]

    def predict(self, seconds: float) -> np.ndarray:
        """Return where the boxes of the followed faces will be, (tracks, 4) float32."""
        return np.array([track.predict(seconds) for track in self.tracks], np.float32).reshape(
            -1, 4
        )

    def follow(self, faces: Faces, seconds: float) -> list[Track]:
        """Match the faces of a frame with the followed ones, greatest overlap first.

        A face that matches none is new.

        Args:
            faces: Of the frame.
            seconds: Its time.

        Returns:
            One track per face, in their order.
        """
        self.forget(seconds)
        matched: dict[int, Track] = {}
        # A head may move on or stop: both places count.
        places = (
            self.predict(seconds),
            np.array([track.box_xyxy for track in self.tracks]).reshape(-1, 4),
        )
        overlaps = np.maximum(
            *(compute_overlaps(faces.boxes_xyxy, boxes) for boxes in places)
        )  # (faces, tracks)
        while overlaps.size and overlaps.max() >= self.min_overlap:
            face, place = divmod(int(overlaps.argmax()), overlaps.shape[1])
            matched[face] = self.tracks[place]
            matched[face].move(faces.boxes_xyxy[face], float(faces.scores[face]), seconds)
            overlaps[face], overlaps[:, place] = 0, 0
        for face, box in enumerate(faces.boxes_xyxy):
            if face not in matched:
                score = float(faces.scores[face])
                matched[face] = Track(self._count, box, seconds, score=score)
                self.tracks.append(matched[face])
                self._count += 1
        return [matched[face] for face in range(len(faces))]

    def remember(self, track: Track, answers: dict[str, np.ndarray], seconds: float) -> None:
        """Blend new probabilities into a face's smoothed ones.

        At first this is their plain mean, then an exponential one, in which old predictions fade.

        Args:
            track: The face.
            answers: For each attribute the probabilities, (classes,).
            seconds: The frame's time.
        """
        track.predictions += 1
        for name, answer in answers.items():
            fade = self.emotion_seconds if name == "emotion" else self.person_seconds
            weight = 1 - math.exp(-(seconds - track.predicted_seconds) / fade) if fade else 1
            share = max(weight, 1 / track.predictions)
            before = track.probabilities.get(name, answer)
            track.probabilities[name] = before + share * (answer - before)
        track.predicted_seconds = seconds
