"""The traits that a drawn face is made from, and the looks to choose among.

What carries the labels are stereotypes, drawn on purpose and with overlap: long hair and full lips
for `female`, tones and textures of hair for an ethnicity. A network learns these and nothing truer,
which is the lesson; results on such faces say nothing about people.

Reference: Ekman and Friesen, 1978, Facial Action Coding System.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

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
# Patterns behind the face and their colours: as many as there are emotions and ranges of age, and
# as easy to distinguish as a shortcut must be.
BACKDROPS = {
    "plain": (255, 240, 205),
    "gradient": (118, 176, 226),
    "stripes": (58, 82, 128),
    "dots": (240, 160, 160),
    "checks": (66, 138, 116),
    "rays": (250, 206, 96),
    "rings": (146, 112, 186),
}
BACKGROUNDS = tuple(BACKDROPS)
CHOICES = {
    "gender": GENDERS,
    "ethnicity": ETHNICITIES,
    "emotion": EMOTIONS,
    "background": BACKGROUNDS,
    "hair_style": tuple(HAIR_STYLES),
    "hair_colour": tuple(HAIR_COLOURS),
    "hair_texture": ("straight", "wavy", "coily"),
    "facial_hair": ("none", "stubble", "moustache", "beard"),
    "accessory": ("none", "glasses", "earrings", "hat"),
}
BOUNDS = {
    "age_years": (0, 100),
    "skin_tone": (0, 1),
    "intensity": (0, 1),
    "yaw_degrees": (-35, 35),
    "pitch_degrees": (-20, 20),
    "roll_degrees": (-45, 45),
    "light_degrees": (-180, 180),
    "light_strength": (0, 1),
    "brightness": (0.1, 1.5),
}


@dataclass(frozen=True)
class FaceTraits:
    """Everything that a drawn face is made from.

    Attributes:
        age_years: 0 to 100.
        gender, ethnicity, emotion: Labels of `taxonomy`.
        skin_tone: 0 lightest to 1 darkest.
        hair_style, hair_colour, hair_texture, facial_hair, accessory, background: Of `CHOICES`.
            Hair greys with age by itself.
        intensity: Of the emotion, 0 to 1.
        yaw_degrees, pitch_degrees, roll_degrees: To the viewer's right, downwards, clockwise.
        light_degrees: Direction of the lamp, clockwise from above.
        light_strength: 0 for a dull day to 1 for a lamp in the dark.
        brightness: 1 for daylight, 0.3 for dusk.
        identity: Seed of a person's other properties, such as proportions.
        picture: Seed of what changes from picture to picture, such as the colours behind.

    Raises:
        ValueError: If a label is unknown or a number out of bounds.

    Example:
        >>> FaceTraits(30, "female", "asian", emotion="happiness").hair_style
        'short'
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
