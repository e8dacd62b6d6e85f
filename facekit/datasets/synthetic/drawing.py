"""Draw a face whose age, gender, ethnicity, emotion, light and pose are given.

A portrait is layers of smooth shapes, lit as if they had depth, turned, and laid over a background.
What carries the labels are
stereotypes, drawn on purpose and with overlap: long hair and full lips for `female`, tones and
    textures of hair for an ethnicity. A
network learns these and nothing truer, which is the lesson; figures on such faces say nothing about
people. `synthetic` draws traits by lot.

Shapes are in units of the picture's side: x to the right of the face's midline, y down from the
picture's top.

References: Ekman and Friesen, 1978, Facial Action Coding System.
"""

from __future__ import annotations

import functools
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from types import SimpleNamespace

import cv2
import numpy as np

from facekit.faces import Faces
from facekit.images import cut_crops
from facekit.taxonomy import EMOTIONS, ETHNICITIES, GENDERS

# Emotions as strengths of action units: 1 and 2 raise the inner and the outer brow, 4 lowers and
# knits it, 5 raises the upper lid, 43 lowers it, 6 raises the cheek, 7 tightens the lids, 9
# wrinkles the nose, 10 raises the upper lip, 12 pulls the corners of the mouth up, 15 down, 17
# raises the chin, 20 stretches the lips, 23 tightens them, 25 parts them, 26 drops the jaw.
ACTION_UNITS = {
    "anger": {4: 1.0, 5: 0.6, 7: 0.6, 17: 0.4, 23: 1.0},
    "disgust": {4: 0.5, 6: 0.4, 7: 0.6, 9: 1.0, 10: 1.0, 15: 0.5, 25: 0.5},
    "fear": {1: 1.0, 2: 0.4, 4: 0.7, 5: 1.0, 20: 1.0, 25: 0.8, 26: 0.25},
    "happiness": {6: 0.9, 12: 1.0, 25: 0.9},
    "neutral": {},
    "sadness": {1: 1.0, 4: 0.3, 15: 1.0, 17: 0.5, 43: 0.5},
    "surprise": {1: 0.9, 2: 1.0, 5: 0.9, 25: 0.8, 26: 1.0},
}

SKIN_TONES = np.array(
    [(252, 226, 208), (241, 201, 170), (222, 170, 130), (183, 127, 88), (133, 86, 60), (84, 54, 42)]
)
HAIR_COLOURS = {
    "black": (34, 29, 31),
    "brown": (88, 58, 40),
    "auburn": (140, 66, 38),
    "blond": (214, 172, 106),
}
GREY_HAIR = np.array((182, 180, 180))
IRISES = {
    "black": (66, 42, 30),
    "brown": (92, 60, 36),
    "auburn": (84, 112, 70),
    "blond": (84, 128, 168),
}
CLOTHES = (
    (54, 84, 126),
    (190, 72, 64),
    (64, 132, 106),
    (232, 176, 74),
    (104, 82, 140),
    (62, 66, 78),
    (222, 216, 206),
    (92, 150, 190),
)
FRAMES, GOLD = (44, 38, 40), (240, 200, 96)

# How far hair stands off the skull; the height where it ends, and where it begins; how far it
# spreads; how far aside it is parted.
HAIR_STYLES = {
    "bald": None,
    "cropped": (0.008, 0.37, 0.205, 0.00, 0.0),
    "short": (0.040, 0.40, 0.205, 0.00, 0.3),
    "parted": (0.052, 0.42, 0.225, 0.00, 0.5),
    "afro": (0.025, 0.42, 0.200, 0.00, 0.0),
    "bob": (0.055, 0.76, 0.240, 0.03, 0.35),
    "long": (0.045, 1.10, 0.220, 0.05, 0.0),
    "bun": (0.025, 0.42, 0.200, 0.00, 0.0),
}
# Patterns behind, as many as there are emotions and ranges of age, and their colours: as easy to
# tell apart as a shortcut must be.
BACKDROPS = {
    "plain": (255, 240, 205), "gradient": (118, 176, 226), "stripes": (58, 82, 128), "dots": (240, 160, 160), "checks": (66, 138, 116),
    "rays": (250, 206, 96), "rings": (146, 112, 186),
}  # fmt: skip
BACKGROUNDS = tuple(BACKDROPS)
CHOICES = {
    "gender": GENDERS, "ethnicity": ETHNICITIES, "emotion": EMOTIONS, "background": BACKGROUNDS,
    "hair_style": tuple(HAIR_STYLES), "hair_colour": tuple(HAIR_COLOURS), "hair_texture": ("straight", "wavy", "coily"),
    "facial_hair": ("none", "stubble", "moustache", "beard"), "accessory": ("none", "glasses", "earrings", "hat"),
}  # fmt: skip
BOUNDS = {
    "age_years": (0, 100), "skin_tone": (0, 1), "intensity": (0, 1), "yaw_degrees": (-35, 35), "pitch_degrees": (-20, 20),
    "roll_degrees": (-45, 45), "light_degrees": (-180, 180), "light_strength": (0, 1), "brightness": (0.1, 1.5),
}  # fmt: skip
FINEST = 128  # pixels a side at least to draw on, however small the picture
DRAWN_LARGER = 1.25  # than a crop, which shows less than a picture: so that it is not enlarged
SIZES = (
    48,
    200,
)  # pixels: smaller ones show no emotion, and larger ones would show what is not drawn


@dataclass(frozen=True)
class FaceTraits:
    """All that a drawn face is made from.

    Attributes:
        age_years: 0 to 100.
        gender, ethnicity, emotion: Labels of `taxonomy`.
        skin_tone: 0 lightest to 1 darkest.
        hair_style, hair_colour, hair_texture, facial_hair, accessory, background: Of `CHOICES`.
            Hair greys with age by itself.
        intensity: Of the emotion, 0 to 1.
        yaw_degrees, pitch_degrees, roll_degrees: To the viewer's right, downwards, clockwise.
        light_degrees: Where the lamp stands, clockwise from above.
        light_strength: 0 for a dull day to 1 for a lamp in the dark.
        brightness: 1 for daylight, 0.3 for dusk.
        identity: Seed of what stays with a person beside all this, such as proportions.
        picture: Seed of what changes with the picture, such as colours behind.

    Raises:
        ValueError: If a label is unknown or a number out of bounds.
    """

    age_years: int
    gender: str
    ethnicity: str
    emotion: str = "neutral"
    skin_tone: float = 0.3
    hair_style: str = "short"
    hair_colour: str = "brown"
    hair_texture: str = "straight"
    facial_hair: str = "none"
    accessory: str = "none"
    background: str = "plain"
    intensity: float = 1.0
    yaw_degrees: float = 0.0
    pitch_degrees: float = 0.0
    roll_degrees: float = 0.0
    light_degrees: float = -40.0
    light_strength: float = 0.5
    brightness: float = 1.0
    identity: int = 0
    picture: int = 0

    def __post_init__(self) -> None:
        for name, labels in CHOICES.items():
            if getattr(self, name) not in labels:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(labels)}; got {getattr(self, name)!r}."
                )
        for name, (least, most) in BOUNDS.items():
            if not least <= getattr(self, name) <= most:
                raise ValueError(
                    f"`{name}` must be from {least} to {most}; got {getattr(self, name)}."
                )


def _measure(traits: FaceTraits) -> SimpleNamespace:
    """Return a person's proportions and colours, and the strengths of the action units."""
    vary = np.random.default_rng(traits.identity).normal(size=24).clip(-2, 2)
    age, asian, black = traits.age_years, traits.ethnicity == "asian", traits.ethnicity == "black"
    units = Counter(
        {
            unit: strength * traits.intensity
            for unit, strength in ACTION_UNITS[traits.emotion].items()
        }
    )
    child = np.exp(-((age / 9) ** 1.3))  # 1 at birth, 0.3 at ten, 0 when grown up
    old = np.clip((age - 30) / 50, 0, 1.2)
    male = (0.8 if traits.gender == "male" else 0.2) + 0.17 * vary[0]
    male = 0.5 + (male - 0.5) * (1 - 0.8 * child) - 0.25 * child
    grey = 1 / (1 + np.exp(-(age - 56 - 7 * vary[18]) / 6))
    hair = (np.array(HAIR_COLOURS[traits.hair_colour]) * (1 - grey) + GREY_HAIR * grey) * (
        1 + 0.06 * vary[19]
    )
    skin = np.array(
        [np.interp(traits.skin_tone * 5, range(6), channel) for channel in SKIN_TONES.T]
    ) + vary[17] * np.array((2, 0, -3))
    made_up = traits.gender == "female" and age > 16 and vary[21] > -0.3
    width = 0.290 + 0.006 * vary[1] + 0.022 * child + 0.006 * male
    eye_y = 0.420 + 0.005 * vary[5] + 0.075 * child
    mouth_y = 0.712 + 0.006 * vary[14] + 0.005 * child
    return SimpleNamespace(
        age=age, units=units, child=child, old=old, male=male, width=width, eye_y=eye_y, mouth_y=mouth_y,
        jaw=width * (0.72 + 0.13 * male + 0.03 * vary[2] + 0.10 * child + 0.04 * old),
        top_y=0.100 - 0.020 * child, chin_y=0.912 + 0.012 * male + 0.008 * vary[3] - 0.045 * child + 0.030 * units[26],
        eye_x=0.150 + 0.004 * vary[4] + 0.008 * child, eye_width=0.067 + 0.002 * vary[6] + 0.009 * child - 0.003 * male,
        eye_height=0.043 + 0.003 * vary[7] + 0.015 * child - 0.005 * male - 0.009 * old - 0.009 * asian,
        eye_tilt=0.006 + 0.004 * vary[8] + 0.008 * asian - 0.010 * old, crease=np.clip(0.8 + 0.25 * vary[9] - 0.9 * asian, 0, 1),
        iris=0.032 + 0.007 * child, brow_y=eye_y - 0.088 + 0.008 * male - 0.004 * vary[10] - 0.012 * child,
        brow=(0.018 + 0.013 * male + 0.002 * vary[11]) * (1 - 0.5 * child),
        nose_y=0.578 + 0.008 * vary[12] + 0.014 * old + 0.020 * child,
        nose=0.050 + 0.008 * male + 0.003 * vary[13] - 0.013 * child + 0.011 * black + 0.004 * old,
        corner_x=0.118 + 0.004 * vary[15] + 0.006 * male - 0.038 * child + 0.024 * units[12] * (1 - 0.4 * child)
        + 0.030 * units[20] - 0.020 * units[23] - 0.026 * units[26] * (1 - units[20]),
        corner_y=mouth_y - 0.005 - 0.032 * units[12] + 0.030 * units[15] + 0.018 * units[20] + 0.010 * units[26],
        lips=0.028 - 0.007 * male + 0.002 * vary[16] - 0.008 * old + 0.008 * black - 0.003 * child,
        skin=skin, hair=hair * (1 - 0.45 * child**2) + skin * 0.45 * child**2,
        iris_colour=np.array(IRISES[traits.hair_colour]) * (1 + 0.12 * vary[20]), lash=0.012 + 0.007 * made_up - 0.003 * male,
        lip_colour=skin * 0.35 + np.array((106, 26, 37)) if made_up else skin * (0.86, 0.60, 0.60),
        bald=float(np.clip((male - 0.55) * 2.2 * old + 0.25 * vary[22] * old, 0, 1)) * (traits.gender == "male"),
        puff={"straight": 1.0, "wavy": 1.25, "coily": 1.3}[traits.hair_texture] * (1 - 0.6 * child),
        freckled=traits.skin_tone < 0.3 and vary[23] > 0.8,
    )  # fmt: skip


# === Shapes ===

LIDS = np.linspace(-1, 1, 15)  # along an eye or a mouth, from corner to corner
STEPS = np.linspace(0, 1, 7)[:-1, None] ** np.arange(4)  # (6, 4): powers along one piece of a curve
CATMULL_ROM = STEPS @ np.array([[0, 2, 0, 0], [-1, 0, 1, 0], [2, -5, 4, -1], [-1, 3, -3, 1]]) / 2
CIRCLE = np.stack([np.cos(np.arange(24) * np.pi / 12), np.sin(np.arange(24) * np.pi / 12)], axis=1)
MIRROR, DOWN = np.array((-1.0, 1.0)), np.array((0.0, 1.0))
CENTRE = np.array((0.5, 0.0))  # of the picture, where the midline lies


def _curve(*points_xy, closed: bool = False) -> np.ndarray:
    """Return a smooth line through points, (samples, 2): a Catmull-Rom spline."""
    points = np.array(points_xy, float)
    padded = np.concatenate(
        [points[-1:], points, points[:2]] if closed else [points[:1], points, points[-1:]]
    )
    pieces = padded[np.arange(len(padded) - 3)[:, None] + np.arange(4)]  # (pieces, 4, 2)
    line = (CATMULL_ROM @ pieces).reshape(-1, 2)
    return line if closed else np.concatenate([line, points[-1:]])


def _ellipse(x: float, y: float, width: float, height: float) -> np.ndarray:
    """Return the outline of an ellipse about a point, (24, 2)."""
    return CIRCLE * (width, height) + np.array((x, y))


def _find_normals(line_xy: np.ndarray) -> np.ndarray:
    """Return unit vectors across a line, (samples, 2)."""
    ends = np.concatenate([line_xy[:1], line_xy, line_xy[-1:]])
    along = ends[2:] - ends[:-2]
    return along[:, ::-1] * MIRROR / np.maximum(np.hypot(along[:, :1], along[:, 1:]), 1e-9)


@functools.lru_cache
def _taper(count: int, power: float) -> np.ndarray:
    return np.sin(np.linspace(0.08, np.pi - 0.08, count))[:, None] ** power


def _ribbon(line_xy: np.ndarray, width: float | np.ndarray, taper: float = 0.6) -> np.ndarray:
    """Return the outline of a stroke along a line that thins towards its ends, the more so the larger `taper` is."""
    aside = _find_normals(line_xy) * (_taper(len(line_xy), taper) * width / 2)
    return np.concatenate([line_xy + aside, (line_xy - aside)[::-1]])


def _ruffle(outline_xy: np.ndarray, texture: str) -> np.ndarray:
    """Give an outline the bumps of wavy or coily hair."""
    if texture == "straight":
        return outline_xy
    depth, bumps = (0.010, 9) if texture == "wavy" else (0.014, 24)
    places = np.linspace(0, len(outline_xy) - 1, 12 * bumps)
    finer = np.stack(
        [np.interp(places, range(len(outline_xy)), axis) for axis in outline_xy.T], axis=1
    )
    return finer - _find_normals(finer) * depth * (
        np.abs(np.sin(np.linspace(0, bumps * np.pi, len(finer))))[:, None] - 0.4
    )


class _Canvas:
    """Paint, RGBA premultiplied, and a glaze over it of factors (255 for none) that is soft where paint is sharp."""

    def __init__(self, side: int) -> None:
        self.side = side
        self.paint = np.zeros((side, side, 4), np.uint8)
        self.glaze = np.full((side, side, 4), 255, np.uint8)

    def _draw(self, layer: np.ndarray, outline_xy: np.ndarray, colour: tuple) -> None:
        pixels = (outline_xy + CENTRE) * (16 * self.side) - 7.5  # in sixteenths
        cv2.fillPoly(layer, [pixels.astype(np.int32)], colour, cv2.LINE_AA, shift=4)

    def fill(self, outline_xy: np.ndarray, colour) -> None:
        """Paint a shape, RGB; the glaze stays."""
        self._draw(self.paint, outline_xy, (*map(float, colour), 255))

    def cover(self, outline_xy: np.ndarray, colour) -> None:
        """Fill a shape and wipe off the glaze below it."""
        self._draw(self.glaze, outline_xy, (255, 255, 255, 255))
        self.fill(outline_xy, colour)

    def tint(self, outline_xy: np.ndarray, strength: float, colour=(120, 70, 64)) -> None:
        """Darken a shape softly towards a colour."""
        strength = min(strength, 1)
        self._draw(
            self.glaze,
            outline_xy,
            (*(255 - strength * (255 - float(value)) for value in colour), 255),
        )

    def crease(self, strength: float, width: float, *points_xy) -> None:
        """Darken a line on either side of the face, or across it where it begins left of the midline; not where it is too faint."""
        if strength > 0.04:
            outline = _ribbon(_curve(*points_xy), width)
            self.tint(outline, strength)
            if points_xy[0][0] > 0:
                self.tint(outline * MIRROR, strength)


def _mirror(points_xy: list) -> list:
    """Return the points of a half from the middle outwards, followed by those of the other half back to the middle."""
    return [*points_xy, *[(-x, y) for x, y in points_xy[::-1]]]


# === Parts, from back to front ===


def _draw_back_hair(canvas: _Canvas, face: SimpleNamespace, traits: FaceTraits) -> None:
    """Paint what hangs behind the head, and a bun."""
    volume, end_y, _, flare, _ = HAIR_STYLES[traits.hair_style] or (0, 0, 0, 0, 0)
    volume, colour = volume * face.puff, face.hair * 0.7
    width = face.width + volume
    if traits.hair_style == "bun":
        canvas.fill(
            _ruffle(_ellipse(0, face.top_y - 0.030, 0.10, 0.085), traits.hair_texture), colour * 1.2
        )
    if traits.hair_style == "afro" and face.bald < 0.5:
        canvas.fill(
            _ruffle(_ellipse(0, 0.345, width + 0.075, 0.335), traits.hair_texture), colour * 1.2
        )
    if end_y > 0.45 and face.bald < 0.5:
        half = [(0.5 * width, face.top_y + 0.02 - volume), (0.9 * width, 0.24), (width, 0.36), (width + flare, (0.36 + end_y) / 2),
                (width + 0.7 * flare, end_y - 0.04), (0.7 * width, end_y + 0.03)]  # fmt: skip
        canvas.fill(_ruffle(_curve(*_mirror(half), closed=True), traits.hair_texture), colour)


def _draw_head(canvas: _Canvas, face: SimpleNamespace, clothes) -> None:
    """Paint clothes, neck, ears and the bare head."""
    w, jaw, old, ear_y = face.width, face.jaw, face.old, face.eye_y + 0.055
    neck, shoulders = (
        jaw * (0.62 + 0.16 * face.male - 0.12 * face.child),
        0.42 + 0.06 * face.male - 0.10 * face.child,
    )
    canvas.fill(
        _curve(
            *_mirror(
                [
                    (neck * 0.9, 0.925),
                    (neck * 1.25, 0.950),
                    (shoulders, 1.0),
                    (shoulders + 0.1, 1.2),
                ]
            )
        ),
        clothes,
    )
    canvas.fill(
        _curve(
            *_mirror(
                [(neck * 0.98, 0.6), (neck * 0.98, 0.92), (neck * 0.75, 0.985), (0.01, 1.010)]
            )[::-1]
        ),
        face.skin * 0.88,
    )
    canvas.tint(
        _curve(*_mirror([(neck, 0.7), (neck, 0.90), (0.01, face.chin_y + 0.05)])[::-1]), 0.55
    )
    for side in (1, -1):
        canvas.fill(
            _ellipse(side * (w + 0.006), ear_y, 0.031 + 0.004 * old, 0.064 + 0.010 * old),
            face.skin * (0.96, 0.90, 0.88),
        )
    canvas.crease(
        0.6,
        0.012,
        (w + 0.004, ear_y - 0.035),
        (w + 0.020, ear_y - 0.025),
        (w + 0.014, ear_y + 0.025),
    )
    half = [
        (0.44 * w, face.top_y + 0.030), (0.80 * w, face.top_y + 0.120), (0.97 * w, face.eye_y - 0.07), (w, face.eye_y + 0.02),
        (0.965 * w, face.eye_y + 0.13 + 0.02 * face.child), (jaw, face.mouth_y + 0.02),
        (jaw * (0.62 + 0.06 * face.child), face.chin_y - 0.055), (jaw * 0.24 + 0.02 * face.male, face.chin_y - 0.006 * (1 + face.child)),
    ]  # fmt: skip
    canvas.cover(
        _curve((0, face.top_y), *half, (0, face.chin_y), *_mirror(half)[len(half) :], closed=True),
        face.skin,
    )


def _draw_lines(canvas: _Canvas, face: SimpleNamespace, random: np.random.Generator) -> None:
    """Draw what years and muscles carve into the skin."""
    units, old, grown = face.units, face.old, 1 - face.child
    x, y, nose_x, nose_y, corner_x, corner_y = (
        face.eye_x,
        face.eye_y,
        face.nose,
        face.nose_y,
        face.corner_x,
        face.corner_y,
    )
    for row, line_y in enumerate((0.21, 0.245, 0.28)):  # across the forehead
        frown = 0.55 * old + 0.5 * max(units[1], units[2]) * grown - 0.12 * row
        line = [
            (-0.15, line_y + 0.012),
            (-0.07, line_y),
            (0, line_y + 0.006),
            (0.07, line_y),
            (0.15, line_y + 0.012),
        ]
        canvas.crease(frown, 0.010, *line)
    smile = 0.02 + 0.5 * old + (0.35 * max(units[12], units[10], units[9]) + 0.1) * grown
    canvas.crease(smile, 0.020, (nose_x + 0.010, nose_y - 0.025), (nose_x + 0.040, nose_y + 0.02), (corner_x + 0.022, corner_y - 0.045),
                  (corner_x + 0.034, corner_y + 0.02))  # fmt: skip
    canvas.crease(
        0.55 * old + 0.2 * units[6] * grown,
        0.016,
        (x - 0.05, y + 0.035),
        (x, y + 0.058),
        (x + 0.055, y + 0.038),
    )  # bags
    feet = 0.7 * (old - 0.3) + 0.4 * units[6] * grown * (0.3 + old)  # a crow's
    for turn in (-0.025, 0.0, 0.025):
        canvas.crease(feet, 0.008, (x + 0.078, y + 0.3 * turn), (x + 0.115, y + 1.4 * turn))
    canvas.crease(
        0.7 * units[4] + 0.4 * (old - 0.3),
        0.010,
        (0.020, face.brow_y + 0.02),
        (0.017, face.brow_y - 0.03),
    )
    canvas.crease(
        0.7 * (old - 0.25) + 0.3 * units[15],
        0.012,
        (corner_x + 0.015, corner_y + 0.03),
        (corner_x + 0.022, corner_y + 0.10),
    )
    canvas.crease(
        0.35 * (old - 0.5), 0.030, (0.21, 0.60), (0.19, 0.68), (0.22, 0.72)
    )  # hollow cheeks
    for shift in (0.0, 0.024):  # the wrinkled nose
        canvas.crease(
            0.8 * units[9],
            0.009,
            (0.020 - shift / 3, y - 0.005 + shift),
            (0.045 - shift / 3, y + 0.025 + shift),
        )
    if face.freckled:
        for spot in random.normal((0, nose_y - 0.03), (0.11, 0.025), (24, 2)):
            canvas.tint(_ellipse(*spot, 0.005, 0.005), 0.4)


def _draw_nose(canvas: _Canvas, face: SimpleNamespace) -> None:
    """Paint nostrils; the light does the rest."""
    width, y = (
        face.nose * (1 + 0.12 * face.units[9] + 0.10 * face.units[12]),
        face.nose_y - 0.012 * face.units[9],
    )
    canvas.crease(0.45, 0.016, (-width * 0.7, y + 0.012), (0, y + 0.024), (width * 0.7, y + 0.012))
    wing = [
        (0.82 * width, y - 0.035),
        (1.08 * width, y - 0.012),
        (0.95 * width, y + 0.012),
        (0.62 * width, y + 0.014),
    ]
    canvas.crease(0.6 - 0.3 * face.child, 0.012, *wing)
    for side in (-1, 1):
        canvas.fill(
            _ellipse(side * width * 0.45, y + 0.008, 0.013 - 0.004 * face.child, 0.0065),
            face.skin * (0.55, 0.40, 0.38),
        )


def _draw_facial_hair(canvas: _Canvas, face: SimpleNamespace, kind: str) -> None:
    """Paint or shade one kind of facial hair."""
    w, lip_y, chin_y = face.width, face.mouth_y - 0.030, face.chin_y
    moustache = [
        (0.01, lip_y - 0.014),
        (0.06, lip_y - 0.022),
        (0.018 + face.corner_x, face.corner_y + 0.004),
        (0.05, lip_y + 0.010),
    ]
    outside = [
        (w, face.eye_y + 0.06),
        (face.jaw * 1.04, face.mouth_y + 0.04),
        (face.jaw * 0.60, chin_y - 0.02),
        (0.08, chin_y + 0.022),
    ]
    inside = [(w * 0.93, face.eye_y + 0.08), (face.jaw * 0.86, face.mouth_y - 0.03), (face.corner_x + 0.035, face.corner_y + 0.02),
              (0.07, face.mouth_y + 0.065)]  # fmt: skip
    shapes = [
        _curve(*_mirror(moustache), closed=True),
        np.concatenate([_curve(*_mirror(outside)), _curve(*_mirror(inside))[::-1]]),
    ]
    for shape in {"none": [], "moustache": shapes[:1]}.get(kind, shapes):
        if kind == "stubble":
            canvas.tint(shape, 0.5, face.hair * 0.6 + 60)
        else:
            canvas.cover(shape, face.hair * 0.75 + face.skin * 0.12)


def _draw_mouth(canvas: _Canvas, face: SimpleNamespace) -> None:
    """Paint lips, and teeth and tongue where they are parted."""
    units, t, width, corner = face.units, LIDS, face.corner_x, face.corner_y - face.mouth_y
    top = (
        0.010 * units[12]
        - 0.030 * units[10]
        - 0.012 * units[26]
        - 0.008 * units[15]
        - 0.012 * units[17]
    )
    gap = 0.040 * units[25] * (1 - units[26]) * (1 - 0.5 * units[10]) + 0.120 * units[26]
    lips = face.lips * (1 - 0.55 * units[23] - 0.25 * units[12] - 0.2 * units[20])
    arch, full = 1 - np.abs(t) ** (2 + 0.8 * units[10] + units[20]), (1 - t**2) ** 0.7
    inner_top = face.mouth_y + corner * (1 - arch) + top * arch
    inner_low = inner_top + gap * (1 - t**2) ** (0.5 if units[26] else 0.8)
    outer_top = inner_top - lips * (1 - t**2) * (1.05 - 0.32 * np.exp(-((t / 0.22) ** 2)))
    outer_low = inner_low + lips * full * (1.35 + 0.3 * units[17])

    def between(upper_y: np.ndarray, lower_y: np.ndarray) -> np.ndarray:
        return np.stack(
            [
                np.concatenate([width * t, width * t[::-1]]),
                np.concatenate([upper_y, lower_y[::-1]]),
            ],
            axis=1,
        )

    canvas.tint(between(outer_low, outer_low + 0.018 * full), 0.55)
    canvas.fill(between(outer_top, inner_low), face.lip_colour * 0.90)
    canvas.fill(between(inner_low, outer_low), face.lip_colour * 1.04)
    if gap > 0.008:
        canvas.fill(between(inner_top, inner_low), (74, 24, 28))
        canvas.fill(
            between(np.maximum(inner_low - 0.45 * gap * full, inner_top), inner_low), (186, 84, 86)
        )  # tongue
        if face.age > 0:
            canvas.fill(
                between(inner_top, np.minimum(inner_top + 0.026 * full, inner_low)), (247, 243, 236)
            )
        if face.age > 0 and (units[10] or units[20]):
            canvas.fill(
                between(np.maximum(inner_low - 0.014 * full, inner_top), inner_low), (240, 234, 226)
            )
    else:
        canvas.fill(
            _ribbon(np.stack([width * t, inner_top], axis=1), 0.010),
            face.lip_colour * (0.5, 0.4, 0.4),
        )
    for side in (-1, 1):
        canvas.tint(_ellipse(side * (width + 0.004), face.corner_y, 0.010, 0.010), 0.5)


def _draw_eyes(canvas: _Canvas, face: SimpleNamespace, gaze: float) -> None:
    """Paint eyes looking `gaze` aside, and shade their lids."""
    units, tilt = face.units, (0.010 * face.units[43] - face.eye_tilt) * LIDS
    upper = face.eye_height * (
        1.0
        + 0.45 * units[5]
        - 0.33 * units[7]
        - 0.18 * units[6]
        - 0.52 * units[43]
        - 0.22 * units[9]
    )
    lower = face.eye_height * (0.46 - 0.42 * units[6] - 0.22 * units[7] + 0.1 * units[5])
    lid_x = face.eye_x + face.eye_width * LIDS
    top_y = face.eye_y + tilt - upper * (1 - np.abs(LIDS + 0.12 * LIDS**2 - 0.1) ** 2.4).clip(0)
    bottom_y = face.eye_y + tilt + lower * (1 - LIDS**2)
    for side in (-1, 1):
        top, bottom = (
            np.stack([side * lid_x, top_y], axis=1),
            np.stack([side * lid_x, bottom_y], axis=1),
        )
        canvas.fill(
            np.concatenate([top, bottom[::-1]]),
            (250 - 6 * face.old, 247 - 10 * face.old, 243 - 14 * face.old),
        )
        middle = np.array((side * face.eye_x + gaze, face.eye_y - 0.006))
        for share, colour in (
            (1.0, face.iris_colour * 0.55),
            (0.86, face.iris_colour),
            (0.45, (18, 14, 14)),
        ):
            disc = CIRCLE * share * face.iris + middle
            disc[:, 1] = disc[:, 1].clip(
                *(np.interp(side * disc[:, 0], lid_x, edge_y) for edge_y in (top_y, bottom_y))
            )  # lids cover it
            canvas.fill(disc, colour)
        canvas.fill(_ellipse(*(middle - 0.010), 0.0075, 0.0075), (255, 255, 255))
        canvas.tint(np.concatenate([top, top[::-1] + 0.016 * DOWN]), 0.45)
        lashes = np.concatenate([top, [top[-1] + (side * face.lash * 0.8, -face.lash * 0.5)]])
        canvas.fill(_ribbon(lashes, face.lash, 0.5), face.hair * 0.3 + (16, 10, 10))
        canvas.tint(_ribbon(bottom, 0.008), 0.6)
        canvas.tint(
            _ribbon(top[1:] - (0.016 + 0.006 * units[5]) * DOWN, 0.008),
            0.75 * face.crease + 0.3 * face.old,
        )


def _draw_brows(canvas: _Canvas, face: SimpleNamespace) -> None:
    """Paint brows where the action units put them."""
    units, y = face.units, face.brow_y
    line = _curve(
        (
            0.072 - 0.022 * units[4],
            y + 0.002 - 0.050 * units[1] + 0.046 * units[4] + 0.030 * units[9],
        ),
        (
            0.135 - 0.008 * units[4],
            y - 0.013 - 0.014 * units[1] - 0.036 * units[2] + 0.022 * units[4] + 0.020 * units[9],
        ),
        (0.190, y - 0.016 - 0.038 * units[2] + 0.010 * units[1] - 0.004 * units[4]),
        (0.236, y + 0.010 - 0.022 * units[2] + 0.016 * units[1] - 0.006 * units[4]),
    )
    shape = _ribbon(line, face.brow * np.linspace(1.25, 0.6, len(line))[:, None])
    for outline in (shape, shape * MIRROR):
        canvas.fill(outline, face.hair * 0.72 + face.skin * 0.12)


def _draw_front_hair(
    canvas: _Canvas, face: SimpleNamespace, traits: FaceTraits, parting: int
) -> None:
    """Paint the hair around the face, parted on one side (-1 or 1), with its strands."""
    volume, end_y, line_y, flare, aside = HAIR_STYLES[traits.hair_style] or (0, 0, 0, 0, 0)
    volume, end_y = volume * face.puff, face.eye_y + (0 if face.bald > 0.5 else end_y - 0.420)
    line_y += face.top_y - 0.100 - 0.05 * face.bald - 0.02 * face.child
    w, part, top_y, middle_y = (
        face.width,
        parting * aside * face.width,
        face.top_y - 0.012 - volume,
        (face.eye_y + end_y) / 2,
    )
    for side in (-1, 1) if traits.hair_style != "bald" else ():
        reach = side * w - part
        outside = [
            (part, top_y), (part + 0.42 * reach, top_y + 0.028), (part + 0.82 * reach + side * 0.4 * volume, top_y + 0.122 + 0.4 * volume),
            (side * (w + 0.010 + 0.6 * volume), face.eye_y - 0.07), (side * (w + 0.020 + 0.6 * volume + flare), middle_y + 0.02),
            (side * (w + 0.012 + 0.5 * volume + 0.8 * flare), end_y),
        ]  # fmt: skip
        inside = [
            (part, line_y - 0.035 - 0.3 * volume), (part + 0.42 * reach, line_y - 0.06 * face.bald),
            (side * w * 0.80, line_y + 0.055 - 0.05 * face.bald), (side * w * 0.95, face.eye_y - 0.06), (side * w * 0.965, middle_y),
            (side * w * (0.99 - 0.1 * (end_y > 0.5)), end_y),
        ]  # fmt: skip
        if face.bald > 0.5:  # only a wreath
            outside, inside = outside[3:], [(side * w * 0.93, 0.30), *inside[4:]]
        outer, inner = _curve(*outside), _curve(*inside)
        canvas.tint(_ribbon(inner + 0.006 * DOWN, 0.035, 0.3), 0.35)
        canvas.cover(
            _ruffle(_curve(*outside, *inside[::-1], closed=True), traits.hair_texture), face.hair
        )
        for share, shade in (
            (0.15, 0.88),
            (0.32, 1.12),
            (0.48, 0.90),
            (0.62, 1.16),
            (0.80, 0.92),
        ):  # strands
            strand = outer * share + inner * (1 - share)
            canvas.fill(
                _ribbon(strand[2:-2], 0.010), (face.hair * shade + 5 * (shade > 1)).clip(0, 255)
            )


def _draw_accessory(canvas: _Canvas, face: SimpleNamespace, kind: str, colour: np.ndarray) -> None:
    """Paint glasses, earrings or a hat."""
    w, y = face.width, face.eye_y
    if kind == "glasses":
        ring = np.concatenate([CIRCLE, CIRCLE[:1]])
        frame = np.concatenate([ring * (0.100, 0.084), ring[::-1] * (0.088, 0.072)]) + np.array(
            (face.eye_x, y + 0.008)
        )
        temple = _ribbon(
            np.array([(0.24, y - 0.012), (w - 0.02, y - 0.018), (w + 0.005, y - 0.022)]), 0.014, 0.1
        )
        for factors in (MIRROR, np.ones(2)):
            canvas.fill(frame * factors, FRAMES)
            canvas.fill(temple * factors, FRAMES)
            canvas.tint(
                _ellipse(face.eye_x, y + 0.008, 0.090, 0.075) * factors, 0.12, (130, 160, 190)
            )
        canvas.fill(_ribbon(_curve((-0.056, y), (0, y - 0.012), (0.056, y)), 0.013, 0.1), FRAMES)
    elif kind == "earrings":
        for side in (-1, 1):
            canvas.fill(_ellipse(side * (w + 0.014), y + 0.140, 0.017, 0.017), GOLD)
    elif kind == "hat":
        w, y = w + 0.040, face.top_y + 0.115
        canvas.cover(
            _curve(
                *_mirror([(w, y), (w * 0.88, face.top_y - 0.005), (w * 0.35, face.top_y - 0.075)])
            ),
            colour,
        )
        band = _curve((-w - 0.008, y + 0.02), (0, y - 0.005), (w + 0.008, y + 0.02))
        canvas.cover(
            np.concatenate([band + 0.035 * DOWN, band[::-1] - 0.035 * DOWN]), colour * 0.82
        )


# === Light, pose, background ===

GRID = 64  # cells a side of what is smooth: light and pose
UNIT_LIGHT = 160  # what leaves a colour as it is, so that there is room for brighter in 8 bits
CELLS_X = (np.arange(GRID, dtype=np.float32) + 0.5) / GRID - 0.5
CELLS_Y = CELLS_X + 0.5
PIVOT_XY = np.array((0.0, 0.55))  # what the head turns about


def _raise_bells(*bells: tuple[float, float, float, float, float]) -> np.ndarray:
    """Return a sum of bumps on the grid, each of x, y, width, height, amount, with a mirror image of those beside the midline."""
    bells = np.array(bells + tuple((-x, *rest) for x, *rest in bells if x))
    x, y, widths, heights, amounts = bells.T[..., None]  # (bells, 1) each
    across, down = (
        np.exp(-(((CELLS_X - x) / widths) ** 2)),
        np.exp(-(((CELLS_Y - y) / heights) ** 2)),
    )
    return (amounts * down).T @ across


def _light(face: SimpleNamespace, traits: FaceTraits) -> np.ndarray:
    """Return how much light comes back, (GRID, GRID, 4) uint8 with alpha: Lambert's law over a relief of the face."""
    eye_x, eye_y, nose_y, mouth_y, old, child = (
        face.eye_x,
        face.eye_y,
        face.nose_y,
        face.mouth_y,
        face.old,
        face.child,
    )
    across, down = CELLS_X / (face.width + 0.05), (CELLS_Y - (face.top_y + face.chin_y) / 2) / 0.50
    relief = 0.24 * np.sqrt(np.maximum(1 - across**2 - down[:, None] ** 2, 0.02)) + _raise_bells(
        # bridge and tip
        (0, (eye_y + nose_y) / 2, 0.030, 0.10, 0.040 - 0.02 * child), (0, nose_y - 0.018, 0.040, 0.034, 0.050),
        # wings, sockets
        (face.nose, nose_y - 0.008, 0.024, 0.022, 0.018), (eye_x - 0.01, eye_y + 0.002, 0.085, 0.050, -0.034),
        # eyeballs, brow ridge
        (eye_x, eye_y, 0.050, 0.036, 0.014), (0.13, face.brow_y + 0.01, 0.10, 0.024, 0.012 * face.male),
        # cheeks
        (0.18, nose_y - 0.02, 0.075, 0.065, 0.020 + 0.012 * face.units[6] + 0.010 * child),
        (0.20, nose_y + 0.10, 0.06, 0.06, -0.022 * old), (0, mouth_y, 0.13, 0.06, 0.020), (0, mouth_y + 0.062, 0.07, 0.018, -0.012),
        (0, face.chin_y - 0.06, 0.075, 0.045, 0.022),
    )  # fmt: skip
    slope_y, slope_x = np.gradient(relief, 1 / GRID)
    turn = np.radians(traits.light_degrees - traits.roll_degrees)
    facing = 0.78 - 0.62 * (slope_x * np.sin(turn) - slope_y * np.cos(turn))
    facing = (facing / np.sqrt(1 + slope_x**2 + slope_y**2)).clip(0)
    shine = 0.25 * traits.light_strength * facing**14
    lit = (1 + (0.25 + 0.75 * traits.light_strength) * (facing - 0.80)).clip(0.12)
    flush = _raise_bells((0.18, nose_y, 0.07, 0.05, 0.07 + 0.04 * child))[..., None] * (
        0.3,
        -0.7,
        -0.6,
    )
    colour = (
        lit[..., None] ** (0.85, 1.08, 1.15) + shine[..., None] + flush
    )  # shadows on skin are red
    return np.dstack(
        [(colour * UNIT_LIGHT).clip(0, 255), np.full((GRID, GRID), UNIT_LIGHT)]
    ).astype(np.uint8)


def _find_depth(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Return how far points of the head stand out towards the viewer."""
    skull = 0.21 * np.maximum(1 - (x / 0.40) ** 2 - ((y - 0.52) / 0.52) ** 2, 0)
    return skull + 0.03 * np.exp(-((x / 0.06) ** 2) - ((y - 0.56) / 0.07) ** 2)


def _read_pose(traits: FaceTraits) -> tuple[np.ndarray, np.ndarray]:
    """Return the rotation of the roll (2, 2), and how far a point moves for its depth (2,)."""
    roll = np.radians(traits.roll_degrees)
    turn = np.array([[np.cos(roll), -np.sin(roll)], [np.sin(roll), np.cos(roll)]])
    return turn, np.sin(np.radians((traits.yaw_degrees, traits.pitch_degrees)))


def _pose(paint: np.ndarray, traits: FaceTraits) -> np.ndarray:
    """Turn what is painted as if it lay on a head."""
    turn, shift = _read_pose(traits)
    upright = (
        np.stack(np.meshgrid(CELLS_X, CELLS_Y), axis=-1) - PIVOT_XY
    ) @ turn + PIVOT_XY  # a rotation's inverse is its transpose
    source = upright - _find_depth(upright[..., 0], upright[..., 1])[..., None] * shift + CENTRE
    places = cv2.resize((source * len(paint) - 0.5).astype(np.float32), paint.shape[:2])
    return cv2.remap(paint, places, None, cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)


def place_landmarks(traits: FaceTraits, size: int) -> np.ndarray:
    """Return where the landmarks of a drawn face lie, (5, 2) float32 in pixels, in the order of `taxonomy.LANDMARKS`."""
    face = _measure(traits)
    points = np.array([(-face.eye_x, face.eye_y), (face.eye_x, face.eye_y), (0, face.nose_y - 0.01),
                       (-face.corner_x, face.corner_y), (face.corner_x, face.corner_y)])  # fmt: skip
    turn, shift = _read_pose(traits)
    moved = points
    for _ in range(8):  # `_pose` tells where a point comes from; this finds where it goes
        moved = points + _find_depth(*moved.T)[:, None] * shift
    return (((moved - PIVOT_XY) @ turn.T + PIVOT_XY + CENTRE) * size - 0.5).astype(np.float32)


def _draw_background(name: str, size: int, random: np.random.Generator) -> np.ndarray:
    """Return a pattern of two colours, (size, size, 3) float."""
    first = np.array(BACKDROPS[name]) * random.uniform(0.92, 1.0)
    second = first + (255 - first) * random.uniform(0.2, 0.4)
    angle, shift, period = (
        random.uniform(0, np.pi),
        random.uniform(-0.1, 0.1),
        random.uniform(16, 22),
    )
    y, x = np.mgrid[:size, :size] / size - 0.5
    across, along = (
        x * np.cos(angle) + y * np.sin(angle) + shift,
        y * np.cos(angle) - x * np.sin(angle) + shift,
    )
    waves = {
        "plain": lambda: np.full_like(x, -0.5), "gradient": lambda: y, "stripes": lambda: np.sin(across * period),
        "dots": lambda: np.sin(across * period * 1.4) + np.sin(along * period * 1.4) - 0.8,
        "checks": lambda: np.sin(across * period) * np.sin(along * period),
        "rays": lambda: np.sin(12 * np.arctan2(y + shift, x - shift)), "rings": lambda: np.sin(np.hypot(x + shift, y) * period * 1.5),
    }  # fmt: skip
    wave = waves[name]()
    share = (
        wave + 0.5 if name in ("plain", "gradient") else np.tanh(wave * size / 12) / 2 + 0.5
    )  # edges as sharp as the size allows
    return first * (1 - share[..., None]) + second * share[..., None]


def check_size(size: int) -> None:
    """Raise a ValueError if a picture's side is not within `SIZES`."""
    if not SIZES[0] <= size <= SIZES[1]:
        raise ValueError(f"`size` must be from {SIZES[0]} to {SIZES[1]} pixels; got {size}.")


def draw_face(traits: FaceTraits, size: int) -> np.ndarray:
    """Draw a face.

    Args:
        traits: What it looks like; equal traits give equal pixels.
        size: Side in pixels, within `SIZES`.

    Returns:
        (size, size, 3) RGB uint8.

    Raises:
        ValueError: If `size` is out of bounds.
    """
    check_size(size)
    face, random = _measure(traits), np.random.default_rng((traits.identity, traits.picture))
    clothes, hat = np.array(CLOTHES)[random.choice(len(CLOTHES), 2, replace=False)]
    canvas = _Canvas(size * max(2, -(-FINEST // size)))
    _draw_back_hair(canvas, face, traits)
    _draw_head(canvas, face, clothes)
    _draw_lines(canvas, face, random)
    _draw_nose(canvas, face)
    _draw_facial_hair(canvas, face, traits.facial_hair)
    _draw_mouth(canvas, face)
    _draw_eyes(canvas, face, random.normal(0, 0.003))
    _draw_brows(canvas, face)
    _draw_front_hair(canvas, face, traits, random.choice((-1, 1)))
    _draw_accessory(canvas, face, traits.accessory, hat)
    glaze = cv2.GaussianBlur(canvas.glaze, (0, 0), canvas.side * 0.005)
    light = cv2.resize(_light(face, traits), glaze.shape[:2])
    figure = cv2.multiply(
        cv2.multiply(canvas.paint, glaze, scale=1 / 255), light, scale=1 / UNIT_LIGHT
    )
    figure = cv2.resize(_pose(figure, traits), (size, size), interpolation=cv2.INTER_AREA).astype(
        np.float32
    )
    picture = figure[..., :3] + _draw_background(traits.background, size, random) * (
        1 - figure[..., 3:] / 255
    )
    noise = random.normal(0, 2, (size, size, 1))
    return (picture * traits.brightness + noise).clip(0, 255).astype(np.uint8)


def draw_crops(faces: Sequence[FaceTraits], side: int, channels: int = 1) -> np.ndarray:
    """Draw faces and cut them as analysis does, but by the landmarks that they are drawn with: none
    is looked for.

    Args:
        faces: What they look like.
        side: Of the crops, pixels.
        channels: 1 for grey, 3 for RGB.

    Returns:
        (faces, side, side, channels) uint8.
    """
    crops = [np.zeros((0, side, side, channels), np.uint8)]
    for traits in faces:
        size = int(np.clip(round(DRAWN_LARGER * side), *SIZES))
        place = Faces(
            np.array([[0, 0, size, size]], np.float32),
            np.ones(1, np.float32),
            place_landmarks(traits, size)[None],
        )
        crops.append(cut_crops(draw_face(traits, size), place, side, channels))
    return np.concatenate(crops)
