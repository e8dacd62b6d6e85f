import numpy as np

from facekit.datasets.synthetic.drawing import FaceTraits, draw_crops
from facekit.evaluation.tones import measure_tones

PLAIN = FaceTraits(30, "female", "other", light_strength=0.0)


def draw(**changes) -> np.ndarray:
    return draw_crops([FaceTraits(**vars(PLAIN) | changes)], 64, 3)


def test_lighter_skin_has_the_larger_angle():
    angles = [float(measure_tones(draw(skin_tone=tone))[0]) for tone in (0.0, 0.3, 0.6, 1.0)]
    assert angles == sorted(angles, reverse=True)
    assert angles[0] > 40
    assert angles[-1] < 0


def test_the_dusk_is_measured_too():
    assert measure_tones(draw(brightness=0.5))[0] < measure_tones(draw())[0] - 10


def test_no_crops_no_tones():
    assert measure_tones(np.zeros((0, 64, 64, 3), np.uint8)).shape == (0,)
