"""Analyse a stream of frames within the time that a live picture leaves.

Three savings make it about ten times as fast as analysing each frame alone: the whole frame is
    searched now and then and small, and in
between MTCNN's last network looks where each face must be; the attribute networks are asked about a
few faces a frame, in turn; and what they say is smoothed over time, so that less often is often
enough. Where frames come from is left to `video` and `widgets.webcam`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import cv2
import numpy as np

from facekit.analysis import Analysis
from facekit.detection import MTCNN
from facekit.detection.boxes import make_square
from facekit.faces import Faces
from facekit.fusion import fuse_profiles, load_constants
from facekit.live.tracking import FaceTracker, Track
from facekit.pipeline import FaceAnalyzer
from facekit.taxonomy import DEFAULT_ATTRIBUTES
from facekit.video import measure_frame_rate, read_frames

SEARCH_SIDE = (
    320  # pixels; the longer side of what is searched, for MTCNN's time grows with the area
)


@dataclass(eq=False)
class LiveAnalyzer:
    """Analyse frames one after the other; what is known of the faces stays from frame to frame.

    Attributes:
        attributes: Out of `taxonomy.ATTRIBUTES`.
        min_face_share: Side of the smallest face looked for, as a share of the frame's shorter
            side.
        search_seconds: How often the whole frame is searched; in between faces are followed, and
            new ones are not found.
        asked_a_frame: Faces that the attribute networks are asked about, those first that waited
            longest; new ones always.
        tracker: Follows the faces, and smooths.
        tracks: Of the last frame, one a face, in the order of the analysis.

    Raises:
        ValueError: If an option is out of its range.
    """

    attributes: Sequence[str] = DEFAULT_ATTRIBUTES
    min_face_share: float = 0.1
    search_seconds: float = 0.3
    asked_a_frame: int = 2
    tracker: FaceTracker = field(default_factory=FaceTracker)
    tracks: list[Track] = field(default_factory=list)
    _searched_seconds: float = math.inf

    def __post_init__(self) -> None:
        FaceAnalyzer(self.attributes)  # checks them
        if not 0 < self.min_face_share <= 1:
            raise ValueError(
                f"`min_face_share` must be above 0, and 1 at most; got {self.min_face_share}."
            )
        if self.asked_a_frame < 1:
            raise ValueError(f"`asked_a_frame` must be 1 or more; got {self.asked_a_frame}.")

    def analyze(
        self, pixels: np.ndarray, seconds: float, frame: int | None = None, source: str = ""
    ) -> Analysis:
        """Analyse the next frame.

        Args:
            pixels: HxWx3 RGB uint8.
            seconds: The frame's time; a time before the last frame's begins anew.
            frame: Its index, for the table.
            source: Name of the film or camera, for the table.

        Returns:
            The analysis, its faces numbered through the film, boxes and answers smoothed.
        """
        self.tracker.forget(seconds)
        faces = self._find(pixels, seconds)
        self.tracks = self.tracker.follow(faces, seconds)
        self._ask(pixels, faces, seconds)
        boxes = np.array([track.box_xyxy for track in self.tracks], np.float32).reshape(-1, 4)
        answers = {
            name: np.stack([track.answers[name] for track in self.tracks])
            for name in self.attributes
            if self.tracks
        }
        profiles = fuse_profiles(answers, load_constants()) if answers else ()
        numbers = tuple(track.number for track in self.tracks)
        return Analysis(
            source, Faces(boxes, faces.scores, faces.landmarks_xy), profiles, frame, pixels, numbers
        )

    def analyze_video(self, path: str | Path) -> Iterator[Analysis]:
        """Analyse a video as if it were live, but every frame of it.

        Raises:
            FileNotFoundError: If there is no such file.
            VideoError: If it cannot be read, or ends before its end.
        """
        rate = measure_frame_rate(path)
        for index, pixels in read_frames(path):
            yield self.analyze(pixels, index / rate, index, str(path))

    def _find(self, pixels: np.ndarray, seconds: float) -> Faces:
        """Follow the faces known, or search the frame where that is due, or where one was lost."""
        if self.tracker.tracks and 0 <= seconds - self._searched_seconds < self.search_seconds:
            faces = MTCNN().decide(pixels, make_square(self.tracker.predict(seconds)))
            if len(faces) == len(self.tracker.tracks):
                return faces
        self._searched_seconds = seconds
        height, width = pixels.shape[:2]
        scale = min(1, SEARCH_SIDE / max(height, width))
        small = (
            cv2.resize(pixels, None, fx=scale, fy=scale, interpolation=cv2.INTER_AREA)
            if scale < 1
            else pixels
        )
        faces = MTCNN(max(12, self.min_face_share * min(small.shape[:2]))).detect(small)
        return Faces(faces.boxes_xyxy / scale, faces.scores, faces.landmarks_xy / scale)

    def _ask(self, pixels: np.ndarray, faces: Faces, seconds: float) -> None:
        """Ask the attribute networks about new faces, and about those that waited longest."""
        waiting = np.argsort([track.asked_seconds for track in self.tracks], kind="stable")
        new = [
            index
            for index, track in enumerate(self.tracks)
            if not track.answers.keys() >= set(self.attributes)
        ]
        asked = list(dict.fromkeys([*new, *waiting[: self.asked_a_frame]]))
        if asked:
            answers = FaceAnalyzer(self.attributes).infer(pixels, faces[asked])
            for place, index in enumerate(asked):
                self.tracker.remember(
                    self.tracks[index],
                    {name: answer[place] for name, answer in answers.items()},
                    seconds,
                )
