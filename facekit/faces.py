"""The records everything speaks in: Faces (where), Profile (who, one a face), Analysis (both, for one picture).

Boxes are x1, y1, x2, y2 and landmarks x, y, in pixels of the picture given. Records only check and convert themselves; they are
made by `detection`, `fusion` and `pipeline`.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

import numpy as np

from facekit.taxonomy import EMOTIONS, LANDMARKS

if TYPE_CHECKING:
    import pandas as pd

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
        landmarks_xy: (faces, 5, 2) float32, pixels, in the order of `taxonomy.LANDMARKS`; NaN where unknown.

    Raises:
        ValueError: If the shapes do not belong together.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    landmarks_xy: np.ndarray

    def __post_init__(self) -> None:
        count = len(self.boxes_xyxy)
        for name, shape in (("boxes_xyxy", (count, 4)), ("scores", (count,)), ("landmarks_xy", (count, 5, 2))):
            array = getattr(self, name)
            if array.shape != shape:
                raise ValueError(f"`{name}` must have shape {shape}; got {array.shape}.")

    def __len__(self) -> int:
        return len(self.boxes_xyxy)

    def __getitem__(self, index) -> Faces:
        """Return the faces that a slice, mask or array of indices picks."""
        return Faces(self.boxes_xyxy[index], self.scores[index], self.landmarks_xy[index])

    @classmethod
    def empty(cls) -> Faces:
        """Return the record of a picture without faces."""
        return cls(np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32))


@dataclass(frozen=True)
class Profile:
    """What is told of one face; an attribute that was not asked for is `None`.

    Attributes:
        age_years: Mean of the age distribution; `age_low` and `age_high` hold the true age four times in five.
        age_range: The age class, by name.
        gender_probability, emotion_probability, ethnicity_probability: Of the label given, 0 to 1.
        emotion_probabilities: One an emotion, in the order of `taxonomy.EMOTIONS`, summing to 1; empty where not asked for.
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


@dataclass(frozen=True, eq=False)
class Analysis:
    """The faces of one picture and a profile for each.

    Attributes:
        image: The path as given, or "" for an array.
        faces: Where they are.
        profiles: One a face, in the order of `faces`.
        frame: Index of a video's frame, from 0; `None` for a still.
        pixels: HxWx3 RGB uint8, the picture itself, for drawing.
    """

    image: str
    faces: Faces
    profiles: tuple[Profile, ...]
    frame: int | None = None
    pixels: np.ndarray | None = field(default=None, repr=False)

    def __post_init__(self) -> None:
        if len(self.profiles) != len(self.faces):
            raise ValueError(f"`profiles` must hold one a face ({len(self.faces)}); got {len(self.profiles)}.")

    def __len__(self) -> int:
        return len(self.faces)

    def to_dicts(self) -> list[dict]:
        """Return one dict a face with the keys of `COLUMNS`; what is unknown is `None`."""
        rows = []
        for index, profile in enumerate(self.profiles):
            row = dict.fromkeys(COLUMNS)
            row |= {"image": self.image, "frame": self.frame, "face": index}
            row |= dict(zip(("x1", "y1", "x2", "y2"), _round(self.faces.boxes_xyxy[index], 1), strict=True))
            row["score"] = _round(self.faces.scores[index], 4)
            row |= {name: _round(value, 4) for name, value in vars(profile).items() if name in row}
            row |= {name: _round(getattr(profile, name), 1) for name in ("age_years", "age_low", "age_high")}
            points = _round(self.faces.landmarks_xy[index].ravel(), 1)
            row |= dict(zip((f"{landmark}_{axis}" for landmark in LANDMARKS for axis in "xy"), points, strict=True))
            emotions = (f"emotion_{label}" for label in EMOTIONS)
            row |= dict(zip(emotions, _round(profile.emotion_probabilities, 4), strict=False))
            rows.append(row)
        return rows

    def to_frame(self) -> pd.DataFrame:
        """Return a table with the columns of `COLUMNS` and their types, one row a face, also where there are none."""
        import pandas as pd  # a third of a second, which those who want no table need not wait

        types = {name: "str" if name in TEXT_COLUMNS else "Int64" if name in INTEGER_COLUMNS else "float64" for name in COLUMNS}
        return pd.DataFrame(self.to_dicts(), columns=list(COLUMNS)).astype(types)

    def draw(self) -> np.ndarray:
        """Return the picture with boxes, landmarks and labels, HxWx3 RGB uint8.

        Raises:
            ValueError: If the analysis was made without keeping the picture.
        """
        from facekit.drawing import draw_analysis  # drawing stands on a higher floor than the records

        return draw_analysis(self)


def _round(value, digits: int):
    """Round a number or an array to plain Python numbers; unknown stays `None`, text stays text."""
    if value is None or isinstance(value, str):
        return value
    if np.ndim(value):
        return [_round(item, digits) for item in value]
    return None if np.isnan(value) else round(float(value), digits)
