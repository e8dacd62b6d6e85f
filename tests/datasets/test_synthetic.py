from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from facekit.datasets.command import data
from facekit.datasets.manifest import COLUMNS
from facekit.datasets.protocols import split_by_protocol
from facekit.datasets.synthetic import (
    ACTION_UNITS,
    BACKGROUNDS,
    CHOICES,
    GROUPS,
    HAIR_STYLES,
    LOOKS,
    STYLES,
    Bias,
    FaceTraits,
    draw_crops,
    draw_face,
    make_synthetic,
    place_landmarks,
    read_synthetic,
    sample_splits,
    sample_traits,
    tabulate_traits,
)
from facekit.detection import locate_face
from facekit.images import TEMPLATE_XY, read_image
from facekit.taxonomy import EMOTIONS, ETHNICITIES, GENDERS, find_age_range

WOMAN = FaceTraits(30, "female", "white", hair_style="long", identity=1)


def measure_difference(first: FaceTraits, second: FaceTraits) -> float:
    return float(np.abs(draw_face(first, 64).astype(int) - draw_face(second, 64)).mean())


def find_label(face: FaceTraits, attribute: str) -> str:
    return find_age_range(face.age_years) if attribute == "age" else getattr(face, attribute)


def tabulate(faces: list[FaceTraits]) -> pd.DataFrame:
    return pd.DataFrame(asdict(face) for face in faces)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    make_synthetic(folder, 60, 48, seed=2)
    return folder


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

    def test_tables_know_every_label(self):
        assert set(ACTION_UNITS) == set(EMOTIONS)
        assert set(LOOKS) == set(ETHNICITIES)
        assert set(STYLES) == set(GENDERS)
        assert all(len(odds) == len(HAIR_STYLES) for odds in STYLES.values())
        assert all(len(labels) <= len(BACKGROUNDS) for labels in GROUPS.values())


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

    @pytest.mark.parametrize("name", [name for name in CHOICES if name not in ("background", "ethnicity")])
    def test_every_choice_looks_different(self, name):
        man = replace(WOMAN, gender="male", age_years=40, hair_style="short")
        faces = [draw_face(replace(man, **{name: label}), 64).astype(int) for label in CHOICES[name]]
        for index, face in enumerate(faces):
            assert all(np.abs(face - other).max() > 40 for other in faces[:index])

    @pytest.mark.parametrize(
        "changed",
        [
            {"age_years": 1}, {"age_years": 80}, {"ethnicity": "asian"}, {"skin_tone": 0.8}, {"yaw_degrees": 25.0}, {"pitch_degrees": 10.0},
            {"roll_degrees": 15.0}, {"light_degrees": 90.0}, {"light_strength": 0.0}, {"brightness": 0.5}, {"identity": 2}, {"picture": 2},
            *({"background": name} for name in BACKGROUNDS[1:]),
        ],
    )  # fmt: skip
    def test_every_trait_shows(self, changed):
        assert measure_difference(WOMAN, replace(WOMAN, **changed)) > 0.5

    def test_emotions_differ_more_than_noise_and_with_intensity(self):
        neutral, noise = WOMAN, measure_difference(WOMAN, replace(WOMAN, emotion="anger", intensity=0.0))
        assert noise == 0
        for emotion in set(EMOTIONS) - {"neutral"}:
            faint, full = (measure_difference(neutral, replace(WOMAN, emotion=emotion, intensity=share)) for share in (0.4, 1.0))
            assert 0 < faint < full

    def test_the_lamp_lights_its_side(self):
        left, right = (draw_face(replace(WOMAN, light_degrees=turn, light_strength=1.0), 64)[20:50].astype(int) for turn in (-90.0, 90.0))
        assert (left[:, 16:32] > right[:, 16:32]).mean() > 0.8
        assert (left[:, 32:48] < right[:, 32:48]).mean() > 0.8


class TestLandmarks:
    def test_they_lie_near_the_template(self):
        points = np.mean([place_landmarks(face, 100) for face in sample_traits(300)], axis=0)
        assert np.abs(points / 100 - TEMPLATE_XY).max() < 0.1
        np.testing.assert_allclose((points[0] + points[1]) / 100, (1, 2 * points[0, 1] / 100), atol=0.03)

    def test_they_turn_with_the_head(self):
        still, yawed, rolled = (
            place_landmarks(replace(WOMAN, **pose), 100) for pose in ({}, {"yaw_degrees": 20.0}, {"roll_degrees": 20.0})
        )
        assert yawed[2, 0] - still[2, 0] > 5
        assert rolled[0, 1] < still[0, 1] < rolled[1, 1]

    def test_mtcnn_finds_them(self):
        faces = sample_traits(8, seed=1)[::2]
        for face in faces:
            found = locate_face(draw_face(face, 128))
            assert found.scores[0] > 0
            assert np.abs(found.landmarks_xy[0] - place_landmarks(face, 128)).mean() < 0.04 * 128


class TestSampling:
    def test_no_faces(self):
        assert sample_traits(0) == []

    def test_a_longer_list_begins_with_the_shorter(self):
        assert sample_traits(7, seed=3) == sample_traits(20, seed=3)[:7]
        assert sample_traits(7, seed=3) != sample_traits(7, seed=4)

    def test_streams_share_nobody(self):
        first, second = ({face.identity for face in sample_traits(50, stream=stream)} for stream in (0, 1))
        assert len(first) == len(second) == 25
        assert not first & second

    def test_labels_are_balanced_and_ages_cover_life(self):
        table = tabulate(sample_traits(1500))
        for name, labels in (("gender", GENDERS), ("ethnicity", ETHNICITIES), ("emotion", EMOTIONS)):
            shares = table[name].value_counts(normalize=True)
            assert set(shares.index) == set(labels)
            assert np.abs(shares - 1 / len(labels)).max() < 0.05
        assert set(table["age_years"].map(find_age_range)) == set(GROUPS["age"])

    def test_stereotypes_overlap(self):
        table = tabulate(sample_traits(1500))
        assert (table.groupby("hair_style")["gender"].nunique() == 2).sum() >= 6
        tones = table.groupby("ethnicity")["skin_tone"]
        assert tones.max()["white"] > tones.quantile(0.5)["asian"] > tones.min()["other"]
        assert tones.max()["indian"] > tones.quantile(0.3)["black"]


class TestBias:
    @pytest.mark.parametrize("name", ["rare_attribute", "shortcut_attribute"])
    def test_unknown_attributes_are_errors(self, name):
        with pytest.raises(ValueError, match=f"`{name}` must be one of age, gender, ethnicity, emotion; got 'height'"):
            Bias(**{name: "height"})

    def test_a_label_of_another_attribute_is_an_error(self):
        with pytest.raises(ValueError, match=r"`rare_label` must be one of 0-2, .*, 66\+; got 'female'"):
            Bias(rare_attribute="age")

    @pytest.mark.parametrize(("name", "value"), [("rare_share", 1.1), ("shortcut_strength", -0.1)])
    def test_shares_out_of_bounds_are_errors(self, name, value):
        with pytest.raises(ValueError, match=f"`{name}` must be from 0 to 1; got {value}"):
            Bias(**{name: value})

    @pytest.mark.parametrize(
        ("attribute", "label", "share"),
        [("gender", "female", 0.1), ("ethnicity", "black", 0.3), ("emotion", "fear", 0.0), ("age", "66+", 0.2)],
    )
    def test_a_group_becomes_as_rare_as_dialed(self, attribute, label, share):
        fair, biased = sample_traits(1500), sample_traits(1500, bias=Bias(attribute, label, share))
        columns = [[find_label(face, attribute) for face in faces] for faces in (fair, biased)]
        before, after = (np.mean(np.array(column) == label) for column in columns)
        assert after == pytest.approx(before * share / (before * share + 1 - before), abs=0.03)
        others = [
            [face for face, told in zip(faces, column, strict=True) if told != label]
            for faces, column in zip((fair, biased), columns, strict=True)
        ]
        assert others[1][: len(others[0])] == others[0]

    @pytest.mark.parametrize("attribute", list(GROUPS))
    @pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
    def test_backgrounds_tell_the_label_as_dialed(self, attribute, strength):
        fair, biased = sample_traits(800), sample_traits(800, bias=Bias(shortcut_attribute=attribute, shortcut_strength=strength))
        labels = [find_label(face, attribute) for face in biased]
        told = [face.background == BACKGROUNDS[GROUPS[attribute].index(label)] for face, label in zip(biased, labels, strict=True)]
        assert np.mean(told) == pytest.approx(strength + (1 - strength) / len(BACKGROUNDS), abs=0.05)
        assert [replace(face, background="plain") for face in biased] == [replace(face, background="plain") for face in fair]
        assert (biased == fair) == (strength == 0)


class TestFolders:
    def test_the_manifest_is_that_of_any_dataset(self, folder):
        manifest = read_synthetic(folder)
        assert tuple(manifest.columns) == COLUMNS
        assert len(manifest) == 60
        assert set(manifest["source"]) == {"synthetic"}
        assert manifest["split"].value_counts().to_dict() == {"train": 42, "test": 12, "validation": 6}
        assert manifest[["age", "gender", "ethnicity", "emotion", "subject"]].notna().all(axis=None)

    def test_no_person_is_on_two_sides(self, folder):
        manifest = read_synthetic(folder)
        assert manifest["subject"].nunique() == manifest["group"].nunique() == 30
        assert manifest.groupby("subject")["split"].nunique().max() == 1
        pd.testing.assert_frame_equal(split_by_protocol(manifest, "official"), manifest)

    def test_pictures_are_those_of_the_traits(self, folder):
        train = sample_traits(42, seed=2)
        traits = pd.read_csv(folder / "traits.csv", keep_default_na=False)
        for row in (0, 41):
            np.testing.assert_array_equal(read_image(folder / traits["path"][row]), draw_face(train[row], 48))
            assert traits["hair_style"][row] == train[row].hair_style
            assert traits["nose_x"][row] == pytest.approx(place_landmarks(train[row], 48)[2, 0], abs=1e-3)

    def test_only_training_faces_are_biased_and_earlier_pictures_are_replaced(self, tmp_path):
        fair = make_synthetic(tmp_path, 60, 48)
        test_pictures = [read_image(path) for path in fair.loc[fair["split"] == "test", "path"]]
        unfair = make_synthetic(tmp_path, 60, 48, bias=Bias("gender", "female", 0.0, "emotion", 1.0))
        assert (unfair.loc[unfair["split"] == "train", "gender"] == "male").all()
        for split in ("validation", "test"):
            pd.testing.assert_frame_equal(*(table[table["split"] == split].drop(columns="group") for table in (fair, unfair)))
        for path, picture in zip(unfair.loc[unfair["split"] == "test", "path"], test_pictures, strict=True):
            np.testing.assert_array_equal(read_image(path), picture)
        make_synthetic(tmp_path, 1, 48)
        assert sorted(path.name for path in tmp_path.iterdir()) == ["000000.png", "faces.csv", "traits.csv"]

    @pytest.mark.parametrize(
        ("count", "size", "message"), [(0, 64, "`count` must be 1 or more; got 0"), (5, 300, "`size` must be .*; got 300")]
    )
    def test_wrong_numbers_are_errors_that_leave_no_folder(self, count, size, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            make_synthetic(tmp_path / "new", count, size)
        assert not (tmp_path / "new").exists()

    def test_an_empty_folder_says_how_to_fill_it(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"faces\.csv: no such file; draw the faces with `facekit data synthesize"):
            read_synthetic(tmp_path)


class TestCommand:
    def test_it_draws_and_counts(self, tmp_path):
        options = ["--count", "20", "--size", "48", "--underrepresent", "gender=female:0", "--background-shortcut", "emotion:1"]
        result = CliRunner().invoke(data, ["synthesize", str(tmp_path), *options])
        assert result.exit_code == 0, result.output
        assert "20 faces in" in result.output
        assert (read_synthetic(tmp_path).query("split == 'train'")["gender"] == "male").all()
        traits = pd.read_csv(tmp_path / "traits.csv")[:14]
        assert [BACKGROUNDS[EMOTIONS.index(emotion)] for emotion in traits["emotion"]] == traits["background"].tolist()

    @pytest.mark.parametrize(
        ("options", "code", "message"),
        [
            (["--underrepresent", "female:0.1"], 2, "'female:0.1' has not the form"),
            (["--background-shortcut", "emotion"], 2, "'emotion' has not the form"),
            (["--underrepresent", "gender=woman:0.1"], 1, "`rare_label` must be one of female, male; got 'woman'"),
            (["--background-shortcut", "emotion:1.5"], 1, "`shortcut_strength` must be from 0 to 1; got 1.5"),
            (["--size", "20"], 1, "`size` must be from 48 to 200 pixels; got 20"),
        ],
    )
    def test_wrong_usage_is_told(self, options, code, message, tmp_path):
        result = CliRunner().invoke(data, ["synthesize", str(tmp_path / "new"), *options])
        assert result.exit_code == code
        assert message in result.output
        assert not (tmp_path / "new").exists()


class TestCrops:
    def test_faces_are_cut_by_the_landmarks_they_are_drawn_with(self):
        turned = replace(WOMAN, roll_degrees=30.0)
        upright, righted, tilted = draw_crops([WOMAN, turned], 64), draw_crops([turned], 64)[0], draw_face(turned, 64)
        assert upright.shape == (2, 64, 64, 1)
        inner = np.s_[16:48, 16:48]
        apart = np.abs(upright[0][inner].astype(int) - righted[inner]).mean()
        assert apart < np.abs(upright[0][inner].astype(int) - tilted[inner].mean(axis=2, keepdims=True)).mean() / 2

    def test_colours_and_no_faces(self):
        assert draw_crops([WOMAN], 48, 3).shape == (1, 48, 48, 3)
        assert draw_crops([], 48).shape == (0, 48, 48, 1)


def test_splits_share_no_person_and_only_training_is_biased():
    fair, splits = sample_splits(100, seed=1)
    biased, _ = sample_splits(100, seed=1, bias=Bias(rare_share=0.0))
    table = tabulate_traits(fair).assign(split=splits)
    assert table.groupby("subject")["split"].nunique().max() == 1
    assert table["split"].value_counts().to_dict() == {"train": 70, "test": 20, "validation": 10}
    assert fair[70:] == biased[70:]
    assert {face.gender for face in biased[:70]} == {"male"}


def test_a_bias_thins_out_any_manifest():
    manifest = pd.DataFrame({"age": [1.0, 30.0, np.nan] * 100, "gender": ["female", "male", None] * 100})
    kept = Bias(rare_share=0.2).keep(manifest, seed=0)
    assert kept[manifest["gender"] != "female"].all()
    assert 0.1 < kept[manifest["gender"] == "female"].mean() < 0.3
    assert Bias("age", "28-45", 0.0).keep(manifest, seed=0).tolist() == [True, False, True] * 100
