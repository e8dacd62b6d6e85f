"""The record of one analyzed picture: its faces with their profiles, as rows, table and picture.

`pipeline` makes it. Writing rows to files is left to `tables`, drawing to `drawing`.
"""

from __future__ import annotations

import html
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from facekit.drawing import UNSURE_LABEL, draw_faces
from facekit.faces import (
    COLUMNS,
    FACE,
    INTEGER_COLUMNS,
    TEXT_COLUMNS,
    Faces,
    Profile,
    name_answer,
)
from facekit.files import show_name
from facekit.images import encode_jpeg, make_data_uri
from facekit.taxonomy import EMOTIONS, LANDMARKS

if TYPE_CHECKING:
    import pandas as pd

VIEW_SIDE = 900  # pixels; the longest side of a notebook's picture, so that its file stays small
# The columns with labels of a notebook's table, and what each shows.
SHOWN_ANSWERS = {
    "age_years": "age",
    "age_range": "age_range",
    "gender": "gender",
    "emotion": "emotion",
    "ethnicity": "ethnicity",
}


@dataclass(frozen=True, eq=False)
class Analysis:
    """The faces of one picture and a profile for each.

    Attributes:
        image: The path as it was given, or "" for an array.
        faces: Boxes, scores and landmarks of the faces.
        profiles: One profile per face, in the order of `faces`.
        frame: Index of a video's frame, from 0; `None` for a still picture.
        pixels: HxWx3 RGB uint8, the picture itself, for drawing; `None` if it was not kept.
        numbers: For faces that are tracked through a video: one number per face, the same one in
            every frame, for the column `face`. Empty for a still picture, where the column counts
            the faces from 0.

    Raises:
        ValueError: If the numbers of faces, profiles and numbers differ.

    Example:
        >>> analysis = Analysis("wall.jpg", Faces.empty(), ())
        >>> analysis
        <Analysis of wall.jpg: 0 faces>
        >>> analysis.to_frame().shape
        (0, 36)
    """

    image: str
    faces: Faces
    profiles: tuple[Profile, ...]
    frame: int | None = None
    pixels: np.ndarray | None = None
    numbers: tuple[int, ...] = ()

    def __post_init__(self) -> None:
        if len(self.profiles) != len(self.faces):
            raise ValueError(
                f"`profiles` must hold one profile per face ({len(self.faces)}); "
                f"got {len(self.profiles)}."
            )
        if self.numbers and len(self.numbers) != len(self.faces):
            raise ValueError(
                f"`numbers` must hold one number per face ({len(self.faces)}), or none at all; "
                f"got {len(self.numbers)}."
            )

    def __len__(self) -> int:
        return len(self.faces)

    def __repr__(self) -> str:
        place = [self.image] if self.frame is None else [self.image, f"frame {self.frame}"]
        name = show_name(", ".join(place)) or "an array"
        return f"<Analysis of {name}: {self._count_faces()}>"

    def _count_faces(self) -> str:
        return f"{len(self)} {'face' if len(self) == 1 else 'faces'}"

    def to_dicts(self) -> list[dict[str, Any]]:
        """Return one dict per face with the keys of `COLUMNS`.

        Returns:
            Plain Python values: text, `int`, `float`, or `None` where a value is unknown or was not
            requested. Boxes and landmarks are in pixels, ages in years, probabilities from 0 to 1.
        """
        rows = []
        for index, profile in enumerate(self.profiles):
            row: dict[str, Any] = dict.fromkeys(COLUMNS)
            row |= {
                "image": self.image,
                "frame": self.frame,
                "face": self.numbers[index] if self.numbers else index,
            }
            row |= dict(
                zip(("x1", "y1", "x2", "y2"), _round(self.faces.boxes_xyxy[index], 1), strict=True)
            )
            row["score"] = _round(self.faces.scores[index], 4)
            row |= {name: _round(value, 4) for name, value in vars(profile).items() if name in row}
            row |= {
                name: _round(getattr(profile, name), 1)
                for name in ("age_years", "age_low", "age_high")
            }
            points = _round(self.faces.landmarks_xy[index].ravel(), 1)
            row |= dict(
                zip(
                    (f"{landmark}_{axis}" for landmark in LANDMARKS for axis in "xy"),
                    points,
                    strict=True,
                )
            )
            emotions = (f"emotion_{label}" for label in EMOTIONS)
            row |= dict(zip(emotions, _round(profile.emotion_probabilities, 4), strict=False))
            rows.append(row)
        return rows

    def to_frame(self) -> pd.DataFrame:
        r"""Return a table with one row per face and the columns of `COLUMNS`.

        The columns and their types are the same if there are no faces. In a file name that is not
        UTF-8, each byte that is not stands as `\xe9` (see `files.show_name`), as in the files that
        `facekit analyze` writes. `image` holds the name that opens the file.
        """
        import pandas as pd  # takes a third of a second to import

        types = {
            name: "str"
            if name in TEXT_COLUMNS
            else "Int64"
            if name in INTEGER_COLUMNS
            else "float64"
            for name in COLUMNS
        }
        rows = [row | {"image": show_name(self.image)} for row in self.to_dicts()]
        return pd.DataFrame(rows, columns=list(COLUMNS)).astype(types)

    def draw(self) -> np.ndarray:
        """Return the picture with boxes, landmarks and labels, as `drawing.draw_faces` does.

        Returns:
            HxWx3 RGB uint8. A small picture is enlarged.

        Raises:
            ValueError: If the analysis does not hold its picture.
        """
        if self.pixels is None:
            raise ValueError(
                "`analysis` must hold its picture in `pixels` to be drawn; analyze the file again."
            )
        return draw_faces(self.pixels, self.faces, self.profiles, self.numbers)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the picture, then a table with one row per face.

        The table holds "not sure" in place of labels whose probability is below the threshold.
        """
        frame = self.to_frame()
        shown = frame[["face"]].astype("str")
        is_doubted = np.array([FACE in profile.unsure for profile in self.profiles], bool)
        shown.loc[is_doubted, "face"] += f", {UNSURE_LABEL}"
        for column, attribute in SHOWN_ANSWERS.items():
            if frame[column].notna().any():
                shown[column] = [name_answer(profile, attribute) for profile in self.profiles]
        shown["confidence_score"] = frame["confidence_score"]
        table = shown.dropna(axis="columns", how="all").to_html(
            index=False, border=0, na_rep="", float_format="{:.2f}".format
        )
        about = self._count_faces()
        if self.pixels is None:
            return f"<p>{about}</p>{table}"
        picture = Image.fromarray(self.draw())
        picture.thumbnail((VIEW_SIDE, VIEW_SIDE))
        source = make_data_uri(encode_jpeg(np.asarray(picture), quality=85), "image/jpeg")
        name = html.escape(show_name(self.image) or "the picture", quote=True)
        style = "max-width: 100%"
        return f'<img src="{source}" alt="{name}, with {about} marked" style="{style}">{table}'


def _round(value: Any, digits: int) -> Any:
    """Round a number or an array to plain Python numbers; text and `None` stay as they are."""
    if value is None or isinstance(value, str):
        return value
    if np.ndim(value):
        return [_round(item, digits) for item in value]
    return None if np.isnan(value) else round(float(value), digits)
