"""Paint nose, mouth and eyes, as the action units of the emotion move them."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from facekit.datasets.synthetic.shapes import (
    CIRCLE,
    DOWN,
    LIDS,
    Canvas,
    make_ellipse,
    make_ribbon,
)


def draw_nose(canvas: Canvas, face: SimpleNamespace) -> None:
    """Paint nostrils; the light does the rest.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> from facekit.datasets.synthetic.traits import FaceTraits
        >>> canvas, traits = Canvas(32), FaceTraits(30, "female", "asian")
        >>> draw_nose(canvas, measure_face(traits))
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
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
            make_ellipse(side * width * 0.45, y + 0.008, 0.013 - 0.004 * face.child, 0.0065),
            face.skin * (0.55, 0.40, 0.38),
        )


def draw_mouth(canvas: Canvas, face: SimpleNamespace) -> None:
    """Paint lips, and teeth and tongue where they are parted.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> from facekit.datasets.synthetic.traits import FaceTraits
        >>> canvas, traits = Canvas(32), FaceTraits(30, "female", "asian")
        >>> draw_mouth(canvas, measure_face(traits))
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
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
            make_ribbon(np.stack([width * t, inner_top], axis=1), 0.010),
            face.lip_colour * (0.5, 0.4, 0.4),
        )
    for side in (-1, 1):
        canvas.tint(make_ellipse(side * (width + 0.004), face.corner_y, 0.010, 0.010), 0.5)


def draw_eyes(canvas: Canvas, face: SimpleNamespace, gaze: float) -> None:
    """Paint eyes looking `gaze` aside, and shade their lids.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> from facekit.datasets.synthetic.traits import FaceTraits
        >>> canvas, traits = Canvas(32), FaceTraits(30, "female", "asian")
        >>> draw_eyes(canvas, measure_face(traits), gaze=0.0)
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
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
        glint_x, glint_y = middle - 0.010
        canvas.fill(make_ellipse(glint_x, glint_y, 0.0075, 0.0075), (255, 255, 255))
        canvas.tint(np.concatenate([top, top[::-1] + 0.016 * DOWN]), 0.45)
        lashes = np.concatenate([top, [top[-1] + (side * face.lash * 0.8, -face.lash * 0.5)]])
        canvas.fill(make_ribbon(lashes, face.lash, 0.5), face.hair * 0.3 + (16, 10, 10))
        canvas.tint(make_ribbon(bottom, 0.008), 0.6)
        canvas.tint(
            make_ribbon(top[1:] - (0.016 + 0.006 * units[5]) * DOWN, 0.008),
            0.75 * face.crease + 0.3 * face.old,
        )
