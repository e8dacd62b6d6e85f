"""Analyze a stream of frames fast enough for a live view.

Three savings make this several times as fast as analyzing each frame alone. The whole frame is
searched only now and then, and at a small size; in between, MTCNN's last network looks where each
face must be. The attribute networks run for a few faces per frame, in turn. Their probabilities are
smoothed over time, so that fewer predictions are enough; thresholds apply to what was smoothed. The
constants of fusion are those fitted on single images.

Frames come from `video` and `widgets.webcam`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

from facekit.analysis import Analysis
from facekit.detection import MTCNN
from facekit.detection.boxes import clip_boxes, make_square
from facekit.faces import Faces
from facekit.fusion import fuse_profiles, load_constants
from facekit.images import shrink_image
from facekit.live.tracking import FaceTracker, Track
from facekit.pipeline import FaceAnalyzer
from facekit.taxonomy import DEFAULT_ATTRIBUTES
from facekit.video import measure_frame_rate, read_frames

SEARCH_SIDE = 320  # pixels of the longer side that is searched: MTCNN's time grows with the area
SMALLEST_FACE = 12  # pixels, MTCNN's window


@dataclass(eq=False)
class LiveAnalyzer:
    """Analyze frames one after the other; what is known of the faces is kept between frames.

    Attributes:
        attributes: One or more of `taxonomy.ATTRIBUTES`; may be changed between frames.
        min_face_share: Side of the smallest face to detect, as a share of the frame's shorter side.
        search_seconds: Time between searches of the whole frame. In between, known faces are
            followed and new ones are not found.
        predicted_per_frame: Number of known faces per frame for which the attribute networks run,
            first those that waited longest. They also run for each new face.
        tracker: Follows the faces and smooths their boxes and probabilities.
        tracks: Of the last frame, one per face, in the order of the analysis.
        models: As for `FaceAnalyzer`.

    Raises:
        ModelError: As `FaceAnalyzer`.
        ValueError: If an option is out of its range.

    Example:
        >>> live = LiveAnalyzer(("emotion",))
        >>> live.analyze(np.zeros((120, 160, 3), np.uint8), seconds=0.0)
        <Analysis of an array: 0 faces>
    """

    attributes: Sequence[str] = DEFAULT_ATTRIBUTES
    min_face_share: float = 0.1
    search_seconds: float = 0.3
    predicted_per_frame: int = 2
    tracker: FaceTracker = field(default_factory=FaceTracker)
    tracks: list[Track] = field(default_factory=list)
    models: Mapping[str, str] | Sequence[str] = ()
    _searched_seconds: float = field(default=math.inf, repr=False)

    def __post_init__(self) -> None:
        FaceAnalyzer(self.attributes, models=self.models)  # checks them
        if not 0 < self.min_face_share <= 1:
            raise ValueError(
                f"`min_face_share` must be above 0, and 1 at most; got {self.min_face_share}."
            )
        if not self.search_seconds >= 0:
            raise ValueError(f"`search_seconds` must be 0 or more; got {self.search_seconds}.")
        if self.predicted_per_frame < 1:
            given = self.predicted_per_frame
            raise ValueError(f"`predicted_per_frame` must be 1 or more; got {given}.")

    def analyze(
        self, pixels: np.ndarray, seconds: float, frame: int | None = None, source: str = ""
    ) -> Analysis:
        """Analyze the next frame.

        Args:
            pixels: HxWx3 RGB uint8.
            seconds: The frame's time. A time before the last frame's starts a new stream.
            frame: Its index, for the table.
            source: Name of the video or camera, for the table.

        Returns:
            The analysis. Faces keep their number through the stream; boxes, which lie inside the
            frame, and probabilities are smoothed.
        """
        self.tracker.forget(seconds)
        faces = self._find(pixels, seconds)
        self.tracks = self.tracker.follow(faces, seconds)
        self._predict(pixels, faces, seconds)
        boxes = np.array([track.box_xyxy for track in self.tracks], np.float32).reshape(-1, 4)
        boxes = clip_boxes(boxes, pixels.shape[:2])
        # A smoothed box lags behind and may lie outside altogether; the detected one does not.
        is_outside = (boxes[:, 2:] <= boxes[:, :2]).any(axis=1, keepdims=True)
        boxes = np.where(is_outside, faces.boxes_xyxy, boxes)
        answers = {
            name: np.stack([track.probabilities[name] for track in self.tracks])
            for name in self.attributes
            if self.tracks
        }
        scores = np.array([track.score for track in self.tracks])
        profiles = fuse_profiles(answers, load_constants(), scores=scores) if answers else ()
        numbers = tuple(track.number for track in self.tracks)
        return Analysis(
            source, Faces(boxes, faces.scores, faces.landmarks_xy), profiles, frame, pixels, numbers
        )

    def analyze_video(self, path: str | Path) -> Iterator[Analysis]:
        """Analyze every frame of a video as if it were live.

        Args:
            path: The file.

        Yields:
            One analysis per frame.

        Raises:
            FileNotFoundError: If there is no such file.
            VideoError: If it cannot be read, or breaks off.
        """
        rate = measure_frame_rate(path)
        for index, pixels in read_frames(path):
            yield self.analyze(pixels, index / rate, index, str(path))

    def _find(self, pixels: np.ndarray, seconds: float) -> Faces:
        """Follow the known faces; search the whole frame if that is due or a face was lost."""
        if self.tracker.tracks and 0 <= seconds - self._searched_seconds < self.search_seconds:
            places = make_square(self.tracker.predict(seconds))
            faces = _keep_inside(MTCNN().decide(pixels, places), pixels)
            if len(faces) == len(self.tracker.tracks):
                return faces
        self._searched_seconds = seconds
        scale = min(1, SEARCH_SIDE / max(pixels.shape[:2]))
        small = shrink_image(pixels, SEARCH_SIDE)
        smallest = max(SMALLEST_FACE, self.min_face_share * min(small.shape[:2]))
        faces = MTCNN(smallest).detect(small)
        found = Faces(faces.boxes_xyxy / scale, faces.scores, faces.landmarks_xy / scale)
        return _keep_inside(found, pixels)

    def _predict(self, pixels: np.ndarray, faces: Faces, seconds: float) -> None:
        """Run the attribute networks for new faces, and for those that waited longest."""
        waiting = np.argsort([track.predicted_seconds for track in self.tracks], kind="stable")
        new = [
            index
            for index, track in enumerate(self.tracks)
            if not track.probabilities.keys() >= set(self.attributes)
        ]
        chosen = list(dict.fromkeys([*new, *waiting[: self.predicted_per_frame]]))
        if chosen:
            analyzer = FaceAnalyzer(self.attributes, models=self.models)
            answers = analyzer.infer(pixels, faces[chosen])
            for place, index in enumerate(chosen):
                self.tracker.remember(
                    self.tracks[index],
                    {name: answer[place] for name, answer in answers.items()},
                    seconds,
                )


def _keep_inside(faces: Faces, pixels: np.ndarray) -> Faces:
    """Clip boxes to the frame, and drop those that lie outside it altogether."""
    boxes = clip_boxes(faces.boxes_xyxy, pixels.shape[:2])
    kept = np.flatnonzero((boxes[:, 2:] > boxes[:, :2]).all(axis=1))
    return Faces(boxes, faces.scores, faces.landmarks_xy)[kept]
