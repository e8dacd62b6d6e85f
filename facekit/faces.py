"""The records that all modules share: `Faces` (where the faces are) and `Profile` (one per face).

Boxes are x1, y1, x2, y2 and landmarks are x, y, in pixels of the picture given. Records only check
themselves; `detection` and `fusion` make them, and `analysis` joins them. What every view shows of
an attribute comes from `name_answer`: its label, or "not sure".
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from facekit.taxonomy import ATTRIBUTES, EMOTIONS, LANDMARKS

COLUMNS = (
    "image", "frame", "face", "x1", "y1", "x2", "y2", "score",
    "age_years", "age_low", "age_high", "age_range", "gender", "gender_probability",
    "emotion", "emotion_probability", "ethnicity", "ethnicity_probability", "confidence_score",
    *(f"{landmark}_{axis}" for landmark in LANDMARKS for axis in "xy"),
    *(f"emotion_{label}" for label in EMOTIONS),
)  # fmt: skip
TEXT_COLUMNS = ("image", "age_range", "gender", "emotion", "ethnicity")
INTEGER_COLUMNS = ("frame", "face")
NOT_SURE = "not sure"  # shown in place of a label whose probability is too low
FACE = "face"  # in `Profile.unsure`, beside the attributes


@dataclass(frozen=True, eq=False)
class Faces:
    """The faces found in one picture, best first; a picture without faces has an empty record.

    Indexing and iterating give `Faces` again: `faces[0]` is a record of one face.

    Attributes:
        boxes_xyxy: (faces, 4) float32, pixels.
        scores: (faces,) float32, probability of a face, 0 to 1.
        landmarks_xy: (faces, 5, 2) float32, pixels, in the order of `taxonomy.LANDMARKS`; NaN where
            unknown.

    Raises:
        ValueError: If the numbers of faces differ, or a shape is wrong.

    Example:
        >>> boxes = np.array([[0, 0, 10, 10], [20, 0, 30, 10]], np.float32)
        >>> faces = Faces(boxes, np.array([0.9, 0.8], np.float32), np.zeros((2, 5, 2), np.float32))
        >>> len(faces), len(faces[0]), faces[1].boxes_xyxy.tolist()
        (2, 1, [[20.0, 0.0, 30.0, 10.0]])
        >>> [round(float(face.scores[0]), 1) for face in faces]
        [0.9, 0.8]
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

    def __getitem__(self, index: int | slice | Sequence[int] | np.ndarray) -> Faces:
        """Return some of the faces.

        Args:
            index: One face's index, a slice, a sequence of indices, or a boolean mask.

        Returns:
            The chosen faces; of one index, a record of one face.

        Raises:
            IndexError: If there is no such face, or a mask has not one value per face.
            TypeError: If `index` is none of these.
        """
        rows = index if isinstance(index, slice) else self._check_index(index)
        return Faces(self.boxes_xyxy[rows], self.scores[rows], self.landmarks_xy[rows])

    def __iter__(self) -> Iterator[Faces]:
        """Yield each face as a record of one."""
        return (self[index] for index in range(len(self)))

    def _check_index(self, index: int | Sequence[int] | np.ndarray) -> np.ndarray:
        """Return indices or a mask as an array of one dimension."""
        rows = np.asarray(index)
        if rows.ndim == 0 and rows.dtype.kind in "iu":
            rows = rows[None]
        if rows.size == 0:
            rows = rows.astype(np.intp)
        if rows.ndim != 1 or rows.dtype.kind not in "iub":
            raise TypeError(
                "`index` must be an integer, a slice, integers or a mask with one value per face; "
                f"got {index!r}."
            )
        if rows.dtype.kind == "b":
            if len(rows) != len(self):
                raise IndexError(
                    f"A mask must have one value per face, {len(self)}; got {len(rows)} values."
                )
            return rows
        outside = rows[(rows < -len(self)) | (rows >= len(self))]
        if len(outside):
            held = f"{len(self)} {'face' if len(self) == 1 else 'faces'}"
            raise IndexError(f"There is no face {outside[0]}; the record holds {held}, from 0 up.")
        return rows

    def _repr_html_(self) -> str:
        """Return what a notebook shows: one line per face."""
        import pandas as pd  # slow to import, and needed in notebooks only

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
        """Return the record of a picture without faces.

        Example:
            >>> len(Faces.empty())
            0
        """
        return cls(
            np.zeros((0, 4), np.float32), np.zeros(0, np.float32), np.zeros((0, 5, 2), np.float32)
        )


@dataclass(frozen=True)
class Profile:
    """Predicted attributes of one face. Attributes that were not requested are `None`.

    Attributes:
        age_years: Mean of the age distribution, years.
        age_low, age_high: Bounds of the age interval, years. On test faces it held 83% of the
            true ages, 76% to 90% by age class.
        age_range: Name of the age class of the rounded age.
        gender, emotion, ethnicity: Predicted labels.
        gender_probability, emotion_probability, ethnicity_probability: Probability of the predicted
            label, 0 to 1.
        emotion_probabilities: One per emotion, in the order of `taxonomy.EMOTIONS`, summing to 1;
            empty if emotion was not requested.
        confidence_score: 0 to 1; the higher, the more likely the whole profile is right.
        unsure: The attributes whose probability is below their threshold: views show "not sure" in
            place of the label. `face` is among them if the detector's score is below its threshold;
            then all attributes are.

    Example:
        >>> profile = Profile(gender="female", gender_probability=0.6, unsure=("gender",))
        >>> profile.age_years is None, profile.is_sure("gender")
        (True, False)
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
    unsure: tuple[str, ...] = ()

    def is_sure(self, attribute: str) -> bool:
        """Return whether an attribute was requested, and its label is shown.

        Args:
            attribute: One of `taxonomy.ATTRIBUTES`.
        """
        value = self.age_years if attribute == "age" else getattr(self, attribute)
        return value is not None and attribute not in self.unsure


def round_ages(ages_years: float | np.ndarray) -> np.ndarray:
    """Return ages in whole years, as views show them and as age classes are read off them.

    Ages are rounded to tenths first, because tables hold tenths.

    Args:
        ages_years: Years, of any shape.

    Example:
        >>> round_ages(np.array([38.6, 27.46])).tolist()
        [39, 28]
    """
    return np.rint(np.round(ages_years, 1)).astype(int)


def name_answer(profile: Profile, attribute: str) -> str:
    """Return what views show of an attribute: the label, or "not sure".

    Args:
        profile: Predicted attributes of the face.
        attribute: One of `taxonomy.ATTRIBUTES`, or `age_range`. For `age`, the label is the age in
            whole years.

    Returns:
        The label; `NOT_SURE` if its probability is below the threshold; "" if the attribute was not
        requested.

    Example:
        >>> profile = Profile(emotion="fear", age_years=38.6, age_range="28-45", unsure=("age",))
        >>> [name_answer(profile, name) for name in ("emotion", "age", "age_range", "gender")]
        ['fear', 'not sure', 'not sure', '']
    """
    value = profile.age_years if attribute == "age" else getattr(profile, attribute)
    if value is None:
        return ""
    if not profile.is_sure("age" if attribute == "age_range" else attribute):
        return NOT_SURE
    return str(round_ages(value) if attribute == "age" else value)


def name_unsure(profile: Profile) -> str:
    """Return a note on the attributes whose label is not shown, or "".

    The note gives the age interval, which is useful even if the age class is not sure.

    Example:
        >>> profile = Profile(38.6, 27.2, 49.8, gender="male", emotion="fear", unsure=("age",))
        >>> name_unsure(profile)
        'not sure of age (27 to 50)'
        >>> name_unsure(Profile(gender="male", unsure=("gender",)))
        'not sure'
    """
    unsure = [name for name in ATTRIBUTES if name_answer(profile, name) == NOT_SURE]
    if not unsure or not any(profile.is_sure(name) for name in ATTRIBUTES):
        return NOT_SURE if unsure else ""
    if "age" in unsure and profile.age_low is not None:
        low, high = round_ages(np.array([profile.age_low, profile.age_high]))
        unsure[unsure.index("age")] = f"age ({low} to {high})"
    return f"{NOT_SURE} of {', '.join(unsure)}"
