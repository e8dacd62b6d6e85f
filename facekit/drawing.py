"""Draw faces and profiles into their picture: boxes, landmarks, and labels that stay readable.

Boxes and landmarks are in pixels of the picture that is given. Plots of data live in `plotting`.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facekit.faces import FACE, Faces, Profile, name_answer, name_unsure

# The palette of Okabe and Ito, whose colours a colour-blind reader can distinguish.
EMOTION_COLOURS = {
    "anger": "#D55E00", "disgust": "#009E73", "fear": "#CC79A7", "happiness": "#F0E442",
    "neutral": "#FFFFFF", "sadness": "#56B4E9", "surprise": "#E69F00",
}  # fmt: skip
PLAIN_COLOUR = "#FFFFFF"
UNSURE_COLOUR = "#BBBBBB"  # of what may be no face
UNSURE_LABEL = "face?"
DASHES = 5  # of the outline around what may be no face: dashes and gaps along its longer side
SHADE = (0, 0, 0, 190)

LEAST_SIDE = 640  # pixels; a smaller picture is enlarged, because its labels would not fit
SMALLEST_FONT = 13  # pixels; smaller letters cannot be read
# Height of the letters as a share of the picture's longer side: readable when the whole picture is
# shown, and less striking than the face.
SMALLEST_SHARE, LARGEST_SHARE = 0.011, 0.04
THINNEST_SHARE = 0.0015  # likewise for the lines of boxes


def draw_faces(
    pixels: np.ndarray, faces: Faces, profiles: Sequence[Profile], numbers: Sequence[int] = ()
) -> np.ndarray:
    """Draw boxes, landmarks and labels into a copy of a picture.

    Args:
        pixels: HxWx3 RGB uint8.
        faces: The faces in it.
        profiles: One profile per face. The predicted emotion is the colour of the box; the box is
            white without one, and grey and dashed if the face is not sure.
        numbers: One number per face, for the labels; by default the faces are counted from 0.

    Returns:
        HxWx3 RGB uint8. A picture smaller than `LEAST_SIDE` is enlarged.

    Raises:
        ValueError: If the numbers of faces and profiles differ.

    Example:
        >>> draw_faces(np.zeros((480, 640, 3), np.uint8), Faces.empty(), ()).shape
        (480, 640, 3)
    """
    picture = Image.fromarray(pixels)
    scale = max(1.0, LEAST_SIDE / max(picture.size))
    if scale > 1:
        width, height = (max(round(side * scale), 1) for side in picture.size)
        picture = picture.resize((width, height), Image.Resampling.BICUBIC)
    boxes = (faces.boxes_xyxy + 0.5) * scale
    landmarks = (faces.landmarks_xy + 0.5) * scale
    pen = ImageDraw.Draw(picture, "RGBA")
    for box, points, profile in zip(boxes, landmarks, profiles, strict=True):
        colour = choose_colour(profile)
        width = max(2, round(THINNEST_SHARE * max(picture.size)), round(0.012 * (box[2] - box[0])))
        if FACE in profile.unsure:
            _draw_dashes(pen, box, colour, width)
            continue
        pen.rectangle(_grow(box, width), outline=SHADE, width=width)
        pen.rectangle(_grow(box, 0), outline=colour, width=width)
        for x, y in points[~np.isnan(points).any(axis=1)]:
            radius = max(1.5, 0.018 * (box[2] - box[0]))
            pen.ellipse(
                (x - radius, y - radius, x + radius, y + radius), fill=colour, outline=SHADE
            )
    # Labels come last, those of the largest faces first: in a crowded picture these get a place.
    labels: list[np.ndarray] = []
    for face in np.argsort(-(boxes[:, 2] - boxes[:, 0])):
        others = [*np.delete(boxes, face, axis=0), *labels]
        lines = write_label(
            profiles[face], (numbers or range(len(boxes)))[face] if len(boxes) > 1 else None
        )
        labels += _draw_label(pen, picture.size, boxes[face], lines, others)
    return np.array(picture)


def choose_colour(profile: Profile) -> str:
    """Return the colour of a face's box: that of the emotion, if it is sure.

    Example:
        >>> choose_colour(Profile(emotion="anger")), choose_colour(Profile())
        ('#D55E00', '#FFFFFF')
    """
    if FACE in profile.unsure:
        return UNSURE_COLOUR
    return EMOTION_COLOURS.get(name_answer(profile, "emotion"), PLAIN_COLOUR)


def _draw_dashes(pen: ImageDraw.ImageDraw, box: np.ndarray, colour: str, width: int) -> None:
    """Draw a dashed outline around what may be no face."""
    left, top, right, bottom = box
    step = max(right - left, bottom - top) / (2 * DASHES - 1)
    for start in np.arange(left, right, 2 * step):
        for y in (top, bottom):
            pen.line((start, y, min(start + step, right), y), fill=colour, width=width)
    for start in np.arange(top, bottom, 2 * step):
        for x in (left, right):
            pen.line((x, start, x, min(start + step, bottom)), fill=colour, width=width)


def _grow(box: np.ndarray, by: float) -> tuple[float, ...]:
    return (box[0] - by, box[1] - by, box[2] + by, box[3] + by)


def write_label(profile: Profile, number: int | None) -> list[str]:
    """Return the lines of a face's label.

    Args:
        profile: The predicted attributes of the face.
        number: The face's number in the table's column `face`; `None` leaves it out.

    Returns:
        Up to four lines: age and gender, emotion, ethnicity, and of which attributes the prediction
        is not sure, with the age interval; only those that were predicted. "face?" if the face
        itself is not sure.

    Example:
        >>> from dataclasses import replace
        >>> profile = Profile(age_years=31.4, emotion="happiness", emotion_probability=0.97)
        >>> write_label(profile, number=2)
        ['#2  31', 'happiness 97%']
        >>> write_label(replace(profile, age_low=24, age_high=41, unsure=("age",)), number=2)
        ['#2  happiness 97%', 'not sure of age (24 to 41)']
    """
    if FACE in profile.unsure:
        lines = [UNSURE_LABEL]
    else:
        who = [name_answer(profile, name) for name in ("age", "gender") if profile.is_sure(name)]
        lines = [", ".join(who)] if who else []
        lines += [
            f"{getattr(profile, name)} {getattr(profile, f'{name}_probability'):.0%}"
            for name in ("emotion", "ethnicity")
            if profile.is_sure(name)
        ]
        lines += filter(None, [name_unsure(profile)])
    if lines and number is not None:
        lines[0] = f"#{number}  {lines[0]}"
    return lines


def _draw_label(
    pen: ImageDraw.ImageDraw,
    size: tuple[int, int],
    box: np.ndarray,
    lines: list[str],
    taken: list[np.ndarray],
) -> list[np.ndarray]:
    """Write a label beside its box where it hides no other face and no other label.

    If there is no room for all its lines, only the first is written, and if there is no room for
    that, none.

    Returns:
        The place of the label as one array x1, y1, x2, y2; an empty list if there was no room.
    """
    wanted = (box[2] - box[0]) * 0.18
    font_size = round(
        max(SMALLEST_FONT, np.clip(wanted, SMALLEST_SHARE * max(size), LARGEST_SHARE * max(size)))
    )
    font = ImageFont.load_default(font_size)
    margin = font_size // 4
    for text in ("\n".join(lines), lines[0]) if lines else ():
        left, top, right, bottom = pen.multiline_textbbox((0, 0), text, font=font, spacing=margin)
        width, height = right - left + 2 * margin, bottom - top + 2 * margin
        if width > size[0] or height > size[1]:
            continue
        below, above = (box[0], box[3] + 2), (box[0], box[1] - height - 2)
        for x, y in (below, above, (box[2] + 2, box[1]), (box[0] - width - 2, box[1])):
            x, y = np.clip(x, 0, size[0] - width), np.clip(y, 0, size[1] - height)
            place = np.array([x, y, x + width, y + height])
            if all(
                (place[:2] >= other[2:]).any() or (place[2:] <= other[:2]).any() for other in taken
            ):
                pen.rectangle(tuple(place), fill=SHADE)
                pen.multiline_text(
                    (x + margin - left, y + margin - top),
                    text,
                    fill=PLAIN_COLOUR,
                    font=font,
                    spacing=margin,
                )
                return [place]
    return []
