"""Turn traits into a person's proportions and colours.

Lengths are in units of the picture's side: x to the right of the face's midline, y down from the
picture's top.
"""

from __future__ import annotations

from collections import Counter
from types import SimpleNamespace

import numpy as np

from facekit.datasets.synthetic.traits import (
    ACTION_UNITS,
    GREY_HAIR,
    HAIR_COLOURS,
    IRISES,
    SKIN_TONES,
    FaceTraits,
)


def measure_face(traits: FaceTraits) -> SimpleNamespace:
    """Return a person's proportions and colours, and the strengths of the action units.

    Example:
        >>> young, old = (measure_face(FaceTraits(age, "female", "asian")) for age in (5, 80))
        >>> bool(young.child > old.child), bool(young.old < old.old)
        (True, True)
    """
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
        age=age,
        units=units,
        child=child,
        old=old,
        male=male,
        width=width,
        eye_y=eye_y,
        mouth_y=mouth_y,
        jaw=width * (0.72 + 0.13 * male + 0.03 * vary[2] + 0.10 * child + 0.04 * old),
        top_y=0.100 - 0.020 * child,
        chin_y=0.912 + 0.012 * male + 0.008 * vary[3] - 0.045 * child + 0.030 * units[26],
        eye_x=0.150 + 0.004 * vary[4] + 0.008 * child,
        eye_width=0.067 + 0.002 * vary[6] + 0.009 * child - 0.003 * male,
        eye_height=0.043
        + 0.003 * vary[7]
        + 0.015 * child
        - 0.005 * male
        - 0.009 * old
        - 0.009 * asian,
        eye_tilt=0.006 + 0.004 * vary[8] + 0.008 * asian - 0.010 * old,
        crease=np.clip(0.8 + 0.25 * vary[9] - 0.9 * asian, 0, 1),
        iris=0.032 + 0.007 * child,
        brow_y=eye_y - 0.088 + 0.008 * male - 0.004 * vary[10] - 0.012 * child,
        brow=(0.018 + 0.013 * male + 0.002 * vary[11]) * (1 - 0.5 * child),
        nose_y=0.578 + 0.008 * vary[12] + 0.014 * old + 0.020 * child,
        nose=0.050 + 0.008 * male + 0.003 * vary[13] - 0.013 * child + 0.011 * black + 0.004 * old,
        corner_x=0.118
        + 0.004 * vary[15]
        + 0.006 * male
        - 0.038 * child
        + 0.024 * units[12] * (1 - 0.4 * child)
        + 0.030 * units[20]
        - 0.020 * units[23]
        - 0.026 * units[26] * (1 - units[20]),
        corner_y=mouth_y
        - 0.005
        - 0.032 * units[12]
        + 0.030 * units[15]
        + 0.018 * units[20]
        + 0.010 * units[26],
        lips=0.028 - 0.007 * male + 0.002 * vary[16] - 0.008 * old + 0.008 * black - 0.003 * child,
        skin=skin,
        hair=hair * (1 - 0.45 * child**2) + skin * 0.45 * child**2,
        iris_colour=np.array(IRISES[traits.hair_colour]) * (1 + 0.12 * vary[20]),
        lash=0.012 + 0.007 * made_up - 0.003 * male,
        lip_colour=skin * 0.35 + np.array((106, 26, 37)) if made_up else skin * (0.86, 0.60, 0.60),
        bald=float(np.clip((male - 0.55) * 2.2 * old + 0.25 * vary[22] * old, 0, 1))
        * (traits.gender == "male"),
        puff={"straight": 1.0, "wavy": 1.25, "coily": 1.3}[traits.hair_texture] * (1 - 0.6 * child),
        freckled=traits.skin_tone < 0.3 and vary[23] > 0.8,
    )
