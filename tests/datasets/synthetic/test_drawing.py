from dataclasses import replace

import numpy as np
import pytest

from facekit.datasets.synthetic import sample_traits
from facekit.datasets.synthetic.drawing import (
    BACKGROUNDS,
    CHOICES,
    FaceTraits,
    draw_crops,
    draw_face,
    place_landmarks,
)
from facekit.detection import locate_face
from facekit.images import TEMPLATE_XY
from facekit.taxonomy import EMOTIONS

WOMAN = FaceTraits(30, "female", "white", hair_style="long", identity=1)


def measure_difference(first: FaceTraits, second: FaceTraits) -> float:
    return float(np.abs(draw_face(first, 64).astype(int) - draw_face(second, 64)).mean())


class TestTraits:
    @pytest.mark.parametrize(
        ("name", "value", "message"),
        [
            ("gender", "woman", "`gender` must be one of female, male; got 'woman'"),
            ("emotion", "angry", "`emotion` must be one of anger, .*; got 'angry'"),
            ("hair_style", "mohawk", "`hair_style` must be one of bald, .*; got 'mohawk'"),
            ("background", "beach", "`background` must be one of plain, .*; got 'beach'"),
            ("age_years", 101, "`age_years` must be from 0 to 100; got 101"),
            ("yaw_degrees", -90.0, r"`yaw_degrees` must be from -35 to 35; got -90\.0"),
            ("skin_tone", float("nan"), "`skin_tone` must be from 0 to 1; got nan"),
        ],
    )
    def test_unknown_labels_and_wild_numbers_are_errors(self, name, value, message):
        with pytest.raises(ValueError, match=message):
            replace(WOMAN, **{name: value})


class TestDrawing:
    @pytest.mark.parametrize("size", [48, 64, 101, 200])
    def test_any_size_shows_the_same_face(self, size):
        image = draw_face(WOMAN, size)
        assert image.shape == (size, size, 3)
        assert image.dtype == np.uint8
        assert image.mean() == pytest.approx(draw_face(WOMAN, 96).mean(), abs=2)

    @pytest.mark.parametrize("size", [47, 201])
    def test_other_sizes_are_errors(self, size):
        with pytest.raises(ValueError, match=f"`size` must be from 48 to 200 pixels; got {size}"):
            draw_face(WOMAN, size)

    def test_equal_traits_give_equal_pixels(self):
        np.testing.assert_array_equal(draw_face(WOMAN, 64), draw_face(replace(WOMAN), 64))

    @pytest.mark.parametrize(
        "name", [name for name in CHOICES if name not in ("background", "ethnicity")]
    )
    def test_every_choice_looks_different(self, name):
        man = replace(WOMAN, gender="male", age_years=40, hair_style="short")
        faces = [
            draw_face(replace(man, **{name: label}), 64).astype(int) for label in CHOICES[name]
        ]
        for index, face in enumerate(faces):
            assert all(np.abs(face - other).max() > 40 for other in faces[:index])

    @pytest.mark.parametrize(
        "changed",
        [
            {"age_years": 1}, {"age_years": 80}, {"ethnicity": "asian"}, {"skin_tone": 0.8},
            {"yaw_degrees": 25.0}, {"pitch_degrees": 10.0},
            {"roll_degrees": 15.0}, {"light_degrees": 90.0}, {"light_strength": 0.0},
            {"brightness": 0.5}, {"identity": 2}, {"picture": 2},
            *({"background": name} for name in BACKGROUNDS[1:]),
        ],
    )  # fmt: skip
    def test_every_trait_shows(self, changed):
        assert measure_difference(WOMAN, replace(WOMAN, **changed)) > 0.5

    def test_emotions_differ_more_than_noise_and_with_intensity(self):
        neutral, noise = (
            WOMAN,
            measure_difference(WOMAN, replace(WOMAN, emotion="anger", intensity=0.0)),
        )
        assert noise == 0
        for emotion in set(EMOTIONS) - {"neutral"}:
            faint, full = (
                measure_difference(neutral, replace(WOMAN, emotion=emotion, intensity=share))
                for share in (0.4, 1.0)
            )
            assert 0 < faint < full

    def test_the_lamp_lights_its_side(self):
        left, right = (
            draw_face(replace(WOMAN, light_degrees=turn, light_strength=1.0), 64)[20:50].astype(int)
            for turn in (-90.0, 90.0)
        )
        assert (left[:, 16:32] > right[:, 16:32]).mean() > 0.8
        assert (left[:, 32:48] < right[:, 32:48]).mean() > 0.8


class TestLandmarks:
    def test_they_lie_near_the_template(self):
        points = np.mean([place_landmarks(face, 100) for face in sample_traits(300)], axis=0)
        assert np.abs(points / 100 - TEMPLATE_XY).max() < 0.1
        np.testing.assert_allclose(
            (points[0] + points[1]) / 100, (1, 2 * points[0, 1] / 100), atol=0.03
        )

    def test_they_turn_with_the_head(self):
        still, yawed, rolled = (
            place_landmarks(replace(WOMAN, **pose), 100)
            for pose in ({}, {"yaw_degrees": 20.0}, {"roll_degrees": 20.0})
        )
        assert yawed[2, 0] - still[2, 0] > 5
        assert rolled[0, 1] < still[0, 1] < rolled[1, 1]

    def test_mtcnn_finds_them(self):
        faces = sample_traits(8, seed=1)[::2]
        for face in faces:
            found = locate_face(draw_face(face, 128))
            assert found.scores[0] > 0
            assert np.abs(found.landmarks_xy[0] - place_landmarks(face, 128)).mean() < 0.04 * 128


class TestCrops:
    def test_faces_are_cut_by_the_landmarks_they_are_drawn_with(self):
        turned = replace(WOMAN, roll_degrees=30.0)
        upright, righted, tilted = (
            draw_crops([WOMAN, turned], 64),
            draw_crops([turned], 64)[0],
            draw_face(turned, 64),
        )
        assert upright.shape == (2, 64, 64, 1)
        inner = np.s_[16:48, 16:48]
        apart = np.abs(upright[0][inner].astype(int) - righted[inner]).mean()
        assert (
            apart
            < np.abs(
                upright[0][inner].astype(int) - tilted[inner].mean(axis=2, keepdims=True)
            ).mean()
            / 2
        )

    def test_a_wider_crop_shows_the_face_smaller(self):
        wide, narrow = (
            draw_crops([WOMAN], 96, scale=scale)[0, ..., 0].astype(int) for scale in (1.5, 1)
        )
        middle = wide[16:80:2, 16:80:2]  # 64 of 96 pixels: what a crop of scale 1 shows
        alike = np.corrcoef(middle.ravel(), narrow[::3, ::3].ravel())[0, 1]
        assert alike > 0.8 > np.corrcoef(wide[::3, ::3].ravel(), narrow[::3, ::3].ravel())[0, 1]

    def test_colours_and_no_faces(self):
        assert draw_crops([WOMAN], 48, 3).shape == (1, 48, 48, 3)
        assert draw_crops([], 48).shape == (0, 48, 48, 1)
