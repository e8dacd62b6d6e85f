"""The records everything speaks in: Faces (where) and Profile (who, one a face); both together are
an `analysis`.

Boxes are x1, y1, x2, y2 and landmarks x, y, in pixels of the picture given. Records only check
themselves; they are made by `detection` and `fusion`.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from facekit.taxonomy import EMOTIONS, LANDMARKS

COLUMNS = (
    "image", "frame", "face", "x1", "y1", "x2", "y2", "score",
    "age_years", "age_low", "age_high", "age_range", "gender", "gender_probability",
    "emotion", "emotion_probability", "ethnicity", "ethnicity_probability", "confidence_score",
    *(f"{landmark}_{axis}" for landmark in LANDMARKS for axis in "xy"),
    *(f"emotion_{label}" for label in EMOTIONS),
)  # fmt: skip
TEXT_COLUMNS = ("image", "age_range", "gender", "emotion", "ethnicity")
INTEGER_COLUMNS = ("frame", "face")


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces found in one picture, best first; "no face" is an empty record.

    Attributes:
        boxes_xyxy: (faces, 4) float32, pixels.
        scores: (faces,) float32, probability of a face, 0 to 1.
        landmarks_xy: (faces, 5, 2) float32, pixels, in the order of `taxonomy.LANDMARKS`; NaN where
            unknown.

    Raises:
        ValueError: If the shapes do not belong together.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    landmarks_xy: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.boxes_xyxy)
        for name, shape in (
            ("boxes_xyxy", (count, 4)),
            ("scores", (count,)),
            ("landmarks_xy", (count, 5, 2)),
        ):
            array = getattr(self, name)
            if array.shape != shape:
                raise ValueError(f"`{name}` must have shape {shape}; got {array.shape}.")

    def __len__(self) -> int:
        return len(self.boxes_xyxy)

    def __getitem__(self, index) -> Faces:
        """Return the faces that a slice, mask or array of indices picks."""
        return Faces(self.boxes_xyxy[index], self.scores[index], self.landmarks_xy[index])

    def _repr_html_(self) -> str:
        """Return what a notebook shows: a line a face."""
        import pandas as pd  # slow to import, and wanted in notebooks only

        table = (
            pd.DataFrame(self.boxes_xyxy, columns=["x1", "y1", "x2", "y2"])
            .round(1)
            .assign(score=np.round(self.scores, 4))
        )
        return (
            f"<p>{len(self)} {'face' if len(self) == 1 else 'faces'}</p>{table.to_html(border=0)}"
        )

    @classmethod
    def empty(cls) -> Faces:
        """Return the record of a picture without faces."""
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        )


@dataclass(frozen=True)
class Profile:
    """Predicted attributes of one face. Attributes that were not requested are `None`.

    Attributes:
        age_years: Mean of the age distribution.
        age_low, age_high: Interval of ages that fit the face. On test faces of UTKFace it held
            80% of the true ages, 75% to 92% by age class.
        age_range: The age class, by name.
        gender_probability, emotion_probability, ethnicity_probability: Of the label given, 0 to 1.
        emotion_probabilities: One an emotion, in the order of `taxonomy.EMOTIONS`, summing to 1;
            empty where not asked for.
        confidence_score: 0 to 1; the higher, the likelier that the whole profile is right.
    """

    age_years: float | None = None
    age_low: float | None = None
    age_high: float | None = None
    age_range: str | None = None
    gender: str | None = None
    gender_probability: float | None = None
    emotion: str | None = None
    emotion_probability: float | None = None
    ethnicity: str | None = None
    ethnicity_probability: float | None = None
    confidence_score: float | None = None
    emotion_probabilities: tuple[float, ...] = ()
