"""Choose the traits of faces at random.

Labels are balanced and independent of each other. `Bias` makes the training faces unfair in a known
way, for students to find out.
"""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass, replace

import numpy as np
import pandas as pd

from facekit.datasets.synthetic.traits import BACKGROUNDS, CHOICES, FaceTraits
from facekit.taxonomy import EMOTIONS, ETHNICITIES, GENDERS, find_age_range, name_age_ranges

GROUPS = {
    "age": name_age_ranges(),
    "gender": GENDERS,
    "ethnicity": ETHNICITIES,
    "emotion": EMOTIONS,
}
PICTURES = 2  # of each person, so that a careless split would leak
SHARES = {"train": 0.7, "validation": 0.1, "test": 0.2}

# Mean and spread of tones, and how likely each texture and colour of hair is, in the order of
# `CHOICES`: they overlap on purpose.
LOOKS = {
    "white": (0.12, 0.07, (0.60, 0.38, 0.02), (0.12, 0.42, 0.16, 0.30)),
    "black": (0.80, 0.12, (0.06, 0.14, 0.80), (0.86, 0.10, 0.02, 0.02)),
    "asian": (0.24, 0.08, (0.88, 0.11, 0.01), (0.86, 0.12, 0.01, 0.01)),
    "indian": (0.54, 0.11, (0.55, 0.42, 0.03), (0.86, 0.12, 0.01, 0.01)),
    "other": (0.38, 0.13, (0.30, 0.60, 0.10), (0.36, 0.50, 0.08, 0.06)),
}
# How likely each of `HAIR_STYLES` is.
STYLES = {
    "female": (0.00, 0.03, 0.10, 0.05, 0.07, 0.25, 0.34, 0.16),
    "male": (0.04, 0.25, 0.34, 0.20, 0.07, 0.04, 0.04, 0.02),
}
FACIAL_HAIR = (0.5, 0.2, 0.12, 0.18)


@dataclass(frozen=True)
class Bias:
    """How unfair faces are; by default they are fair.

    Attributes:
        rare_attribute, rare_label: A group, such as `gender` and `female`; for `age` a range of
            `taxonomy.name_age_ranges`.
        rare_share: Share of the group's faces that is kept, 0 to 1.
        shortcut_attribute: The attribute that the background reveals: the first label has the first
            of `BACKGROUNDS`, and so on.
        shortcut_strength: Share of the faces whose background reveals it, 0 to 1; the others have a
            random background.

    Raises:
        ValueError: If an attribute or a label is unknown, or a share out of bounds.

    Example:
        >>> Bias(rare_label="male", rare_share=2)
        Traceback (most recent call last):
        ValueError: `rare_share` must be from 0 to 1; got 2.
    """

    rare_attribute: str = "gender"
    rare_label: str = "female"
    rare_share: float = 1.0
    shortcut_attribute: str = "emotion"
    shortcut_strength: float = 0.0

    def __post_init__(self) -> None:
        for name in ("rare_attribute", "shortcut_attribute"):
            if getattr(self, name) not in GROUPS:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(GROUPS)}; got {getattr(self, name)!r}."
                )
        if self.rare_label not in (labels := GROUPS[self.rare_attribute]):
            raise ValueError(
                f"`rare_label` must be one of {', '.join(labels)}; got {self.rare_label!r}."
            )
        for name in ("rare_share", "shortcut_strength"):
            if not 0 <= getattr(self, name) <= 1:
                raise ValueError(f"`{name}` must be from 0 to 1; got {getattr(self, name)}.")

    def keep(self, manifest: pd.DataFrame, seed: int) -> np.ndarray:
        """Return which faces of a manifest to keep so that the group is rare, (faces,) bool."""
        labels = manifest[self.rare_attribute]
        labels = (
            labels.map(find_age_range, na_action="ignore")
            if self.rare_attribute == "age"
            else labels
        )
        chances = np.random.default_rng(seed).random(len(manifest))
        return (chances < self.rare_share) | (labels != self.rare_label).to_numpy()


FAIR = Bias()


def sample_traits(
    count: int, seed: int = 0, bias: Bias = FAIR, stream: int = 0, pictures: int = PICTURES
) -> list[FaceTraits]:
    """Return random traits of faces, `pictures` of each person one after the other.

    Labels are balanced and independent of each other, except for what `bias` changes. A longer list
    starts with the shorter one.

    Args:
        count: Number of faces.
        seed: Another seed gives other faces.
        bias: How unfair they are; a face that is not dropped differs from the fair one in its
            background alone.
        stream: No person is in two streams.
        pictures: Of each person; they differ in emotion, pose, light, background and accessory.

    Example:
        >>> first, second = sample_traits(2, seed=0)
        >>> first.identity == second.identity
        True
    """
    return list(itertools.islice(_sample_faces(seed, bias, stream, pictures), count))


def sample_splits(
    count: int, seed: int = 0, bias: Bias = FAIR
) -> tuple[list[FaceTraits], np.ndarray]:
    """Return random traits of faces, and the split of each.

    The splits share no person, and only the training split is biased.

    Example:
        >>> faces, splits = sample_splits(10)
        >>> splits.tolist().count("train")
        7
    """
    counts = np.diff(np.round(np.cumsum([0, *SHARES.values()]) * count).astype(int))
    faces = [
        face
        for stream, (split, share) in enumerate(zip(SHARES, counts, strict=True))
        for face in sample_traits(share, seed, bias if split == "train" else FAIR, stream)
    ]
    return faces, np.repeat(list(SHARES), counts)


def tabulate_traits(faces: Sequence[FaceTraits]) -> pd.DataFrame:
    """Return a table of traits, with a manifest's names `age`, `subject`, `group` and `source`.

    Example:
        >>> tabulate_traits(sample_traits(4))["subject"].nunique()
        2
    """
    table = pd.DataFrame([asdict(face) for face in faces]).rename(
        columns={"age_years": "age", "identity": "subject"}
    )
    return table.assign(group=table["subject"], source="synthetic")


def _sample_faces(seed: int, bias: Bias, stream: int, pictures: int) -> Iterator[FaceTraits]:
    for number in itertools.count():
        random = np.random.default_rng((seed, stream, number))
        person = _sample_person(random)
        for _ in range(pictures):
            face = _sample_picture(random, person)
            chances = random.random(2)
            if chances[0] < bias.shortcut_strength:
                label = _find_label(face, bias.shortcut_attribute)
                number = GROUPS[bias.shortcut_attribute].index(label)
                face = replace(face, background=BACKGROUNDS[number])
            if (
                chances[1] < bias.rare_share
                or _find_label(face, bias.rare_attribute) != bias.rare_label
            ):
                yield face


def _find_label(face: FaceTraits, attribute: str) -> str:
    return find_age_range(face.age_years) if attribute == "age" else getattr(face, attribute)


def _sample_person(random: np.random.Generator) -> dict:
    age, gender, ethnicity = (
        int(91 * random.random() ** 1.2),
        str(random.choice(GENDERS)),
        str(random.choice(ETHNICITIES)),
    )
    tone, spread, textures, colours = LOOKS[ethnicity]
    texture, colour = (
        str(random.choice(CHOICES[f"hair_{part}"], p=odds))
        for part, odds in (("texture", textures), ("colour", colours))
    )
    style, beard = (
        str(random.choice(CHOICES["hair_style"], p=STYLES[gender])),
        str(random.choice(CHOICES["facial_hair"], p=FACIAL_HAIR)),
    )
    if (style == "bald" and 2 < age < 45) or (style != "bald" and age < 2):
        style = "cropped"
    elif style in ("parted", "afro"):
        style = {"coily": "afro", "wavy": "short", "straight": "parted"}[texture]
    return {
        "age_years": age,
        "gender": gender,
        "ethnicity": ethnicity,
        "skin_tone": float(np.clip(random.normal(tone, spread), 0, 1)),
        "hair_style": style,
        "hair_texture": texture,
        "hair_colour": colour,
        "identity": int(random.integers(2**53)),
        "facial_hair": beard if gender == "male" and age > 17 else "none",
    }


def _sample_picture(random: np.random.Generator, person: dict) -> FaceTraits:
    age = person["age_years"]
    earrings = 0.25 if person["gender"] == "female" and age > 8 else 0.02
    glasses = 0.05 + 0.004 * age if age > 4 else 0.0
    yaw, pitch, roll = (
        (random.normal(size=3) * (12, 4, 6)).clip((-32, -12, -18), (32, 12, 18)).tolist()
    )
    dusk = random.random() < 0.08
    return FaceTraits(
        **person,
        emotion=str(random.choice(EMOTIONS)),
        intensity=random.uniform(0.65, 1.0),
        accessory=str(
            random.choice(
                CHOICES["accessory"], p=(0.93 - glasses - earrings, glasses, earrings, 0.07)
            )
        ),
        background=str(random.choice(BACKGROUNDS)),
        yaw_degrees=yaw,
        pitch_degrees=pitch,
        roll_degrees=roll,
        light_degrees=random.uniform(-110, 110),
        light_strength=random.uniform(0.1, 0.9),
        brightness=random.uniform(0.45, 0.65) if dusk else random.uniform(0.85, 1.1),
        picture=int(random.integers(2**31)),
    )
