"""What `pipeline` makes of one picture: its faces with their profiles, as dicts, as a table, as a picture."""

from __future__ import annotations

import base64
import html
import io
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facekit.drawing import draw_faces
from facekit.faces import COLUMNS, INTEGER_COLUMNS, TEXT_COLUMNS, Faces, Profile
from facekit.taxonomy import EMOTIONS, LANDMARKS

if TYPE_CHECKING:
    import pandas as pd

VIEW_SIDE = 900  # pixels; the longest that a notebook's picture is, so that its file stays small
TOLD = (
    "face",
    "age_years",
    "age_range",
    "gender",
    "emotion",
    "ethnicity",
    "confidence_score",
)  # columns of a notebook's table


@dataclass(frozen=True, eq=False)
class Analysis:
    """The faces of one picture and a profile for each.

    Attributes:
        image: The path as given, or "" for an array.
        faces: Where they are.
        profiles: One a face, in the order of `faces`.
        frame: Index of a video's frame, from 0; `None` for a still.
        pixels: HxWx3 RGB uint8, the picture itself, for drawing.
        numbers: Which face is which through a film, one a face, for the column `face`; their order
            where there are none.
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
                f"`profiles` must hold one a face ({len(self.faces)}); got {len(self.profiles)}."
            )
        if self.numbers and len(self.numbers) != len(self.faces):
            raise ValueError(
                f"`numbers` must hold one a face ({len(self.faces)}), or none; got {len(self.numbers)}."
            )

    def __len__(self) -> int:
        return len(self.faces)

    def __repr__(self) -> str:
        place = [self.image] if self.frame is None else [self.image, f"frame {self.frame}"]
        return f"<Analysis of {', '.join(place) or 'an array'}: {len(self)} face{'s' * (len(self) != 1)}>"

    def to_dicts(self) -> list[dict]:
        """Return one dict a face with the keys of `COLUMNS`; what is unknown is `None`."""
        rows = []
        for index, profile in enumerate(self.profiles):
            row = dict.fromkeys(COLUMNS)
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
        """Return a table with the columns of `COLUMNS` and their types, one row a face, also where there are none."""
        import pandas as pd  # a third of a second, which those who want no table need not wait

        types = {
            name: "str"
            if name in TEXT_COLUMNS
            else "Int64"
            if name in INTEGER_COLUMNS
            else "float64"
            for name in COLUMNS
        }
        return pd.DataFrame(self.to_dicts(), columns=list(COLUMNS)).astype(types)

    def draw(self) -> np.ndarray:
        """Return the picture with boxes, landmarks and labels, as `drawing.draw_faces` does.

        Raises:
            ValueError: If the analysis was made without keeping the picture.
        """
        if self.pixels is None:
            raise ValueError(
                "`analysis` must hold its picture in `pixels` to be drawn; analyse the file again."
            )
        return draw_faces(self.pixels, self.faces, self.profiles, self.numbers)

    def _repr_html_(self) -> str:
        """Return what a notebook shows: the picture, then a line a face."""
        table = (
            self.to_frame()[list(TOLD)]
            .dropna(axis="columns", how="all")
            .to_html(index=False, border=0, na_rep="")
        )
        about = f"{len(self)} {'face' if len(self) == 1 else 'faces'}"
        if self.pixels is None:
            return f"<p>{about}</p>{table}"
        picture = Image.fromarray(self.draw())
        picture.thumbnail((VIEW_SIDE, VIEW_SIDE))
        file = io.BytesIO()
        picture.save(file, "JPEG", quality=85)
        source = base64.b64encode(file.getvalue()).decode()
        name = html.escape(self.image or "the picture", quote=True)
        return f'<img src="data:image/jpeg;base64,{source}" alt="{name}, with {about} marked" style="max-width: 100%">{table}'


def _round(value, digits: int):
    """Round a number or an array to plain Python numbers; unknown stays `None`, text stays text."""
    if value is None or isinstance(value, str):
        return value
    if np.ndim(value):
        return [_round(item, digits) for item in value]
    return None if np.isnan(value) else round(float(value), digits)
