"""Draw a face with given age, gender, ethnicity, emotion, light and pose.

A portrait is layers of smooth shapes (`shapes`), measured from the traits (`proportions`) and
painted part by part (`head`, `features`, `hair`). It is lit and turned (`relief`) and laid over a
background (`backgrounds`). Which traits there are is in `traits`; `sampling` chooses them at
random.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np

from facekit.datasets.synthetic.backgrounds import draw_background
from facekit.datasets.synthetic.features import draw_eyes, draw_mouth, draw_nose
from facekit.datasets.synthetic.hair import (
    draw_back_hair,
    draw_brows,
    draw_facial_hair,
    draw_front_hair,
)
from facekit.datasets.synthetic.head import draw_accessory, draw_head, draw_lines
from facekit.datasets.synthetic.proportions import measure_face
from facekit.datasets.synthetic.relief import UNIT_LIGHT, light_face, place_landmarks, turn_face
from facekit.datasets.synthetic.shapes import Canvas
from facekit.datasets.synthetic.traits import (
    ACTION_UNITS,
    BACKDROPS,
    BACKGROUNDS,
    BOUNDS,
    CHOICES,
    CLOTHES,
    HAIR_COLOURS,
    HAIR_STYLES,
    SKIN_TONES,
    FaceTraits,
)
from facekit.faces import Faces
from facekit.images import cut_crops

__all__ = [
    "ACTION_UNITS",
    "BACKDROPS",
    "BACKGROUNDS",
    "BOUNDS",
    "CHOICES",
    "CLOTHES",
    "HAIR_COLOURS",
    "HAIR_STYLES",
    "SIZES",
    "SKIN_TONES",
    "FaceTraits",
    "check_size",
    "draw_crops",
    "draw_face",
    "place_landmarks",
]

FINEST = 128  # pixels; the least side to draw on, however small the picture
DRAWN_LARGER = 1.25  # than a crop, which shows less than a picture, so that it is not enlarged
# Pixels. Smaller pictures show no emotion; larger ones would show what is not drawn.
SIZES = (48, 200)


def check_size(size: int) -> None:
    """Raise a ValueError if a picture's side is not within `SIZES`.

    Example:
        >>> check_size(20)
        Traceback (most recent call last):
        ValueError: `size` must be from 48 to 200 pixels; got 20.
    """
    if not SIZES[0] <= size <= SIZES[1]:
        raise ValueError(f"`size` must be from {SIZES[0]} to {SIZES[1]} pixels; got {size}.")


def draw_face(traits: FaceTraits, size: int) -> np.ndarray:
    """Draw a face.

    Args:
        traits: How it looks; equal traits give equal pixels.
        size: Side in pixels, within `SIZES`.

    Returns:
        (size, size, 3) RGB uint8.

    Raises:
        ValueError: If `size` is out of bounds.

    Example:
        >>> draw_face(FaceTraits(30, "female", "asian"), size=64).shape
        (64, 64, 3)
    """
    check_size(size)
    face, random = measure_face(traits), np.random.default_rng((traits.identity, traits.picture))
    clothes, hat = np.array(CLOTHES)[random.choice(len(CLOTHES), 2, replace=False)]
    canvas = Canvas(size * max(2, -(-FINEST // size)))
    draw_back_hair(canvas, face, traits)
    draw_head(canvas, face, clothes)
    draw_lines(canvas, face, random)
    draw_nose(canvas, face)
    draw_facial_hair(canvas, face, traits.facial_hair)
    draw_mouth(canvas, face)
    draw_eyes(canvas, face, random.normal(0, 0.003))
    draw_brows(canvas, face)
    draw_front_hair(canvas, face, traits, random.choice((-1, 1)))
    draw_accessory(canvas, face, traits.accessory, hat)
    glaze = cv2.GaussianBlur(canvas.glaze, (0, 0), canvas.side * 0.005)
    light = cv2.resize(light_face(face, traits), glaze.shape[:2])
    figure = cv2.multiply(
        cv2.multiply(canvas.paint, glaze, scale=1 / 255), light, scale=1 / UNIT_LIGHT
    )
    figure = cv2.resize(
        turn_face(figure, traits), (size, size), interpolation=cv2.INTER_AREA
    ).astype(np.float32)
    picture = figure[..., :3] + draw_background(traits.background, size, random) * (
        1 - figure[..., 3:] / 255
    )
    noise = random.normal(0, 2, (size, size, 1))
    return (picture * traits.brightness + noise).clip(0, 255).astype(np.uint8)


def draw_crops(
    faces: Sequence[FaceTraits], side: int, channels: int = 1, scale: float = 1.0
) -> np.ndarray:
    """Draw faces and cut them as analysis does.

    They are cut by the landmarks that they are drawn with, so no face is detected.

    Args:
        faces: How they look.
        side: Of the crops, pixels.
        channels: 1 for grey, 3 for RGB.
        scale: How much the crops show, as for `images.cut_crops`.

    Returns:
        (faces, side, side, channels) uint8.

    Example:
        >>> draw_crops([FaceTraits(30, "female", "asian")], side=32).shape
        (1, 32, 32, 1)
    """
    crops = [np.zeros((0, side, side, channels), np.uint8)]
    for traits in faces:
        size = int(np.clip(round(DRAWN_LARGER * side), *SIZES))
        place = Faces(
            np.array([[0, 0, size, size]], np.float32),
            np.ones(1, np.float32),
            place_landmarks(traits, size)[None],
        )
        crops.append(cut_crops(draw_face(traits, size), place, side, channels, scale))
    return np.concatenate(crops)
