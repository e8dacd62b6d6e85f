"""Draw faces and profiles into their picture: boxes, landmarks, labels that stay readable at any size. Plots of data live in `plotting`."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from PIL import Image, ImageDraw, ImageFont

from facekit.faces import Faces, Profile

# Okabe and Ito's palette, which colour-blind readers can tell apart.
EMOTION_COLOURS = {
    "anger": "#D55E00", "disgust": "#009E73", "fear": "#CC79A7", "happiness": "#F0E442",
    "neutral": "#FFFFFF", "sadness": "#56B4E9", "surprise": "#E69F00",
}  # fmt: skip
PLAIN_COLOUR = "#FFFFFF"
SHADE = (0, 0, 0, 190)

LEAST_SIDE = 640  # pixels; a smaller picture is enlarged, for its labels would not fit
SMALLEST_FONT = 13  # pixels; below it nobody reads
SMALLEST_SHARE, LARGEST_SHARE = (
    0.011,
    0.04,
)  # of the picture's longer side: readable when shown whole, and no louder than the face
THINNEST_SHARE = 0.0015  # likewise for the lines of boxes


def draw_faces(
    pixels: np.ndarray, faces: Faces, profiles: Sequence[Profile], numbers: Sequence[int] = ()
) -> np.ndarray:
    """Draw boxes, landmarks and labels into a copy of a picture.

    Args:
        pixels: HxWx3 RGB uint8.
        faces: Where they are.
        profiles: One a face; its emotion is the colour of the box.
        numbers: One a face, for the labels; their order by default.

    Returns:
        HxWx3 RGB uint8; small pictures come out enlarged.
    """
    picture = Image.fromarray(pixels)
    scale = max(1.0, LEAST_SIDE / max(picture.size))
    if scale > 1:
        picture = picture.resize(
            [max(round(side * scale), 1) for side in picture.size], Image.Resampling.BICUBIC
        )
    boxes = (faces.boxes_xyxy + 0.5) * scale
    landmarks = (faces.landmarks_xy + 0.5) * scale
    colours = [EMOTION_COLOURS.get(profile.emotion, PLAIN_COLOUR) for profile in profiles]
    pen = ImageDraw.Draw(picture, "RGBA")
    for box, points, colour in zip(boxes, landmarks, colours, strict=True):
        width = max(2, round(THINNEST_SHARE * max(picture.size)), round(0.012 * (box[2] - box[0])))
        pen.rectangle(_grow(box, width), outline=SHADE, width=width)
        pen.rectangle(_grow(box, 0), outline=colour, width=width)
        for x, y in points[~np.isnan(points).any(axis=1)]:
            radius = max(1.5, 0.018 * (box[2] - box[0]))
            pen.ellipse(
                (x - radius, y - radius, x + radius, y + radius), fill=colour, outline=SHADE
            )
    # Labels come last, largest faces first: where the picture is crowded these keep their places.
    labels: list[np.ndarray] = []
    for face in np.argsort(-(boxes[:, 2] - boxes[:, 0])):
        others = [*np.delete(boxes, face, axis=0), *labels]
        lines = write_label(
            profiles[face], (numbers or range(len(boxes)))[face] if len(boxes) > 1 else None
        )
        labels += _draw_label(pen, picture.size, boxes[face], lines, others)
    return np.array(picture)


def _grow(box: np.ndarray, by: float) -> tuple[float, ...]:
    return (box[0] - by, box[1] - by, box[2] + by, box[3] + by)


def write_label(profile: Profile, number: int | None) -> list[str]:
    """Return a label's lines, the most telling first; the number is that of the table's column `face`."""
    who = []
    if profile.age_years is not None:
        who.append(f"{profile.age_years:.0f}")
    if profile.gender is not None:
        who.append(profile.gender)
    lines = [", ".join(who)] if who else []
    if profile.emotion is not None:
        lines.append(f"{profile.emotion} {profile.emotion_probability:.0%}")
    if profile.ethnicity is not None:
        lines.append(f"{profile.ethnicity} {profile.ethnicity_probability:.0%}")
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
    """Write a label beside its box where it hides no other face or label; shorter, or not at all,
    where there is no room.

    Returns:
        The place it took, if any, (4,) x1, y1, x2, y2.
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
