"""Paint the bare head with clothes, the lines of its skin, and what it wears."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from facekit.datasets.synthetic.shapes import (
    CIRCLE,
    DOWN,
    MIRROR,
    Canvas,
    make_curve,
    make_ellipse,
    make_ribbon,
    mirror,
)
from facekit.datasets.synthetic.traits import FRAMES, GOLD


def draw_head(canvas: Canvas, face: SimpleNamespace, clothes) -> None:
    """Paint clothes, neck, ears and the bare head.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> from facekit.datasets.synthetic.traits import FaceTraits
        >>> canvas, traits = Canvas(32), FaceTraits(30, "female", "asian")
        >>> draw_head(canvas, measure_face(traits), clothes=(90, 90, 200))
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
    w, jaw, old, ear_y = face.width, face.jaw, face.old, face.eye_y + 0.055
    neck, shoulders = (
        jaw * (0.62 + 0.16 * face.male - 0.12 * face.child),
        0.42 + 0.06 * face.male - 0.10 * face.child,
    )
    canvas.fill(
        make_curve(
            *mirror(
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
        make_curve(
            *mirror([(neck * 0.98, 0.6), (neck * 0.98, 0.92), (neck * 0.75, 0.985), (0.01, 1.010)])[
                ::-1
            ]
        ),
        face.skin * 0.88,
    )
    canvas.tint(
        make_curve(*mirror([(neck, 0.7), (neck, 0.90), (0.01, face.chin_y + 0.05)])[::-1]), 0.55
    )
    for side in (1, -1):
        canvas.fill(
            make_ellipse(side * (w + 0.006), ear_y, 0.031 + 0.004 * old, 0.064 + 0.010 * old),
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
        (0.44 * w, face.top_y + 0.030),
        (0.80 * w, face.top_y + 0.120),
        (0.97 * w, face.eye_y - 0.07),
        (w, face.eye_y + 0.02),
        (0.965 * w, face.eye_y + 0.13 + 0.02 * face.child),
        (jaw, face.mouth_y + 0.02),
        (jaw * (0.62 + 0.06 * face.child), face.chin_y - 0.055),
        (jaw * 0.24 + 0.02 * face.male, face.chin_y - 0.006 * (1 + face.child)),
    ]
    canvas.cover(
        make_curve(
            (0, face.top_y), *half, (0, face.chin_y), *mirror(half)[len(half) :], closed=True
        ),
        face.skin,
    )


def draw_lines(canvas: Canvas, face: SimpleNamespace, random: np.random.Generator) -> None:
    """Draw the wrinkles of age and of the emotion's muscles.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> from facekit.datasets.synthetic.traits import FaceTraits
        >>> canvas, traits = Canvas(32), FaceTraits(80, "female", "asian")
        >>> draw_lines(canvas, measure_face(traits), np.random.default_rng(0))
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
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
    canvas.crease(
        smile,
        0.020,
        (nose_x + 0.010, nose_y - 0.025),
        (nose_x + 0.040, nose_y + 0.02),
        (corner_x + 0.022, corner_y - 0.045),
        (corner_x + 0.034, corner_y + 0.02),
    )
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
        for spot_x, spot_y in random.normal((0, nose_y - 0.03), (0.11, 0.025), (24, 2)):
            canvas.tint(make_ellipse(spot_x, spot_y, 0.005, 0.005), 0.4)


def draw_accessory(canvas: Canvas, face: SimpleNamespace, kind: str, colour: np.ndarray) -> None:
    """Paint glasses, earrings or a hat.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> from facekit.datasets.synthetic.traits import FaceTraits
        >>> canvas, traits = Canvas(32), FaceTraits(30, "female", "asian")
        >>> draw_accessory(canvas, measure_face(traits), "hat", np.array([200, 0, 0]))
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
    w, y = face.width, face.eye_y
    if kind == "glasses":
        ring = np.concatenate([CIRCLE, CIRCLE[:1]])
        frame = np.concatenate([ring * (0.100, 0.084), ring[::-1] * (0.088, 0.072)]) + np.array(
            (face.eye_x, y + 0.008)
        )
        temple = make_ribbon(
            np.array([(0.24, y - 0.012), (w - 0.02, y - 0.018), (w + 0.005, y - 0.022)]), 0.014, 0.1
        )
        for factors in (MIRROR, np.ones(2)):
            canvas.fill(frame * factors, FRAMES)
            canvas.fill(temple * factors, FRAMES)
            canvas.tint(
                make_ellipse(face.eye_x, y + 0.008, 0.090, 0.075) * factors, 0.12, (130, 160, 190)
            )
        canvas.fill(
            make_ribbon(make_curve((-0.056, y), (0, y - 0.012), (0.056, y)), 0.013, 0.1), FRAMES
        )
    elif kind == "earrings":
        for side in (-1, 1):
            canvas.fill(make_ellipse(side * (w + 0.014), y + 0.140, 0.017, 0.017), GOLD)
    elif kind == "hat":
        w, y = w + 0.040, face.top_y + 0.115
        canvas.cover(
            make_curve(
                *mirror([(w, y), (w * 0.88, face.top_y - 0.005), (w * 0.35, face.top_y - 0.075)])
            ),
            colour,
        )
        band = make_curve((-w - 0.008, y + 0.02), (0, y - 0.005), (w + 0.008, y + 0.02))
        canvas.cover(
            np.concatenate([band + 0.035 * DOWN, band[::-1] - 0.035 * DOWN]), colour * 0.82
        )
