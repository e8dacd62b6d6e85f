"""Paint hair: behind the head, around the face, on the chin, and brows."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np

from facekit.datasets.synthetic.shapes import (
    DOWN,
    MIRROR,
    Canvas,
    make_curve,
    make_ellipse,
    make_ribbon,
    mirror,
    ruffle,
)
from facekit.datasets.synthetic.traits import HAIR_STYLES, FaceTraits


def draw_back_hair(canvas: Canvas, face: SimpleNamespace, traits: FaceTraits) -> None:
    """Paint the hair behind the head, and a bun.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> canvas, traits = Canvas(32), FaceTraits(30, "female", "asian", hair_style="bun")
        >>> draw_back_hair(canvas, measure_face(traits), traits)
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
    volume, end_y, _, flare, _ = HAIR_STYLES[traits.hair_style] or (0, 0, 0, 0, 0)
    volume, colour = volume * face.puff, face.hair * 0.7
    width = face.width + volume
    if traits.hair_style == "bun":
        canvas.fill(
            ruffle(make_ellipse(0, face.top_y - 0.030, 0.10, 0.085), traits.hair_texture),
            colour * 1.2,
        )
    if traits.hair_style == "afro" and face.bald < 0.5:
        canvas.fill(
            ruffle(make_ellipse(0, 0.345, width + 0.075, 0.335), traits.hair_texture), colour * 1.2
        )
    if end_y > 0.45 and face.bald < 0.5:
        half = [
            (0.5 * width, face.top_y + 0.02 - volume),
            (0.9 * width, 0.24),
            (width, 0.36),
            (width + flare, (0.36 + end_y) / 2),
            (width + 0.7 * flare, end_y - 0.04),
            (0.7 * width, end_y + 0.03),
        ]
        canvas.fill(ruffle(make_curve(*mirror(half), closed=True), traits.hair_texture), colour)


def draw_front_hair(
    canvas: Canvas, face: SimpleNamespace, traits: FaceTraits, parting: int
) -> None:
    """Paint the hair around the face, parted on one side (-1 or 1), with its strands.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> canvas, traits = Canvas(32), FaceTraits(30, "female", "asian")
        >>> draw_front_hair(canvas, measure_face(traits), traits, parting=1)
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
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
            (part, top_y),
            (part + 0.42 * reach, top_y + 0.028),
            (part + 0.82 * reach + side * 0.4 * volume, top_y + 0.122 + 0.4 * volume),
            (side * (w + 0.010 + 0.6 * volume), face.eye_y - 0.07),
            (side * (w + 0.020 + 0.6 * volume + flare), middle_y + 0.02),
            (side * (w + 0.012 + 0.5 * volume + 0.8 * flare), end_y),
        ]
        inside = [
            (part, line_y - 0.035 - 0.3 * volume),
            (part + 0.42 * reach, line_y - 0.06 * face.bald),
            (side * w * 0.80, line_y + 0.055 - 0.05 * face.bald),
            (side * w * 0.95, face.eye_y - 0.06),
            (side * w * 0.965, middle_y),
            (side * w * (0.99 - 0.1 * (end_y > 0.5)), end_y),
        ]
        if face.bald > 0.5:  # only a wreath
            outside, inside = outside[3:], [(side * w * 0.93, 0.30), *inside[4:]]
        outer, inner = make_curve(*outside), make_curve(*inside)
        canvas.tint(make_ribbon(inner + 0.006 * DOWN, 0.035, 0.3), 0.35)
        canvas.cover(
            ruffle(make_curve(*outside, *inside[::-1], closed=True), traits.hair_texture), face.hair
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
                make_ribbon(strand[2:-2], 0.010), (face.hair * shade + 5 * (shade > 1)).clip(0, 255)
            )


def draw_facial_hair(canvas: Canvas, face: SimpleNamespace, kind: str) -> None:
    """Paint or shade one kind of facial hair.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> canvas, traits = Canvas(32), FaceTraits(30, "female", "asian")
        >>> draw_facial_hair(canvas, measure_face(traits), "moustache")
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
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
    inside = [
        (w * 0.93, face.eye_y + 0.08),
        (face.jaw * 0.86, face.mouth_y - 0.03),
        (face.corner_x + 0.035, face.corner_y + 0.02),
        (0.07, face.mouth_y + 0.065),
    ]
    shapes = [
        make_curve(*mirror(moustache), closed=True),
        np.concatenate([make_curve(*mirror(outside)), make_curve(*mirror(inside))[::-1]]),
    ]
    for shape in {"none": [], "moustache": shapes[:1]}.get(kind, shapes):
        if kind == "stubble":
            canvas.tint(shape, 0.5, face.hair * 0.6 + 60)
        else:
            canvas.cover(shape, face.hair * 0.75 + face.skin * 0.12)


def draw_brows(canvas: Canvas, face: SimpleNamespace) -> None:
    """Paint brows where the action units put them.

    Example:
        >>> from facekit.datasets.synthetic.proportions import measure_face
        >>> canvas, traits = Canvas(32), FaceTraits(30, "female", "asian")
        >>> draw_brows(canvas, measure_face(traits))
        >>> bool(canvas.paint.any() or (canvas.glaze < 255).any())
        True
    """
    units, y = face.units, face.brow_y
    line = make_curve(
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
    shape = make_ribbon(line, face.brow * np.linspace(1.25, 0.6, len(line))[:, None])
    for outline in (shape, shape * MIRROR):
        canvas.fill(outline, face.hair * 0.72 + face.skin * 0.12)
