from dataclasses import asdict, replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from facekit.commands.data import data
from facekit.datasets.manifest import COLUMNS
from facekit.datasets.protocols import split_by_protocol
from facekit.datasets.synthetic import (
    GROUPS,
    LOOKS,
    STYLES,
    Bias,
    make_synthetic,
    read_synthetic,
    sample_splits,
    sample_traits,
    tabulate_traits,
)  # fmt: skip
from facekit.datasets.synthetic.drawing import (
    ACTION_UNITS,
    BACKGROUNDS,
    HAIR_STYLES,
    FaceTraits,
    draw_face,
    place_landmarks,
)
from facekit.images import read_image
from facekit.taxonomy import EMOTIONS, ETHNICITIES, GENDERS, find_age_range

WOMAN = FaceTraits(30, "female", "white", hair_style="long", identity=1)


def find_label(face: FaceTraits, attribute: str) -> str:
    return find_age_range(face.age_years) if attribute == "age" else getattr(face, attribute)


def tabulate(faces: list[FaceTraits]) -> pd.DataFrame:
    return pd.DataFrame(asdict(face) for face in faces)


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("faces")
    make_synthetic(folder, 60, 48, seed=2)
    return folder


class TestSampling:
    def test_no_faces(self):
        assert sample_traits(0) == []

    def test_a_longer_list_begins_with_the_shorter(self):
        assert sample_traits(7, seed=3) == sample_traits(20, seed=3)[:7]
        assert sample_traits(7, seed=3) != sample_traits(7, seed=4)

    def test_more_pictures_of_each_person(self):
        faces = sample_traits(15, pictures=5)
        assert [face.identity for face in faces[::5]] == [face.identity for face in faces[4::5]]
        assert len({face.identity for face in faces}) == 3
        assert len({face.picture for face in faces}) == 15
        assert faces[:2] == sample_traits(2)

    def test_streams_share_nobody(self):
        first, second = (
            {face.identity for face in sample_traits(50, stream=stream)} for stream in (0, 1)
        )
        assert len(first) == len(second) == 25
        assert not first & second

    def test_labels_are_balanced_and_ages_cover_life(self):
        table = tabulate(sample_traits(1500))
        for name, labels in (
            ("gender", GENDERS),
            ("ethnicity", ETHNICITIES),
            ("emotion", EMOTIONS),
        ):
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
        with pytest.raises(
            ValueError,
            match=f"`{name}` must be one of age, gender, ethnicity, emotion; got 'height'",
        ):
            Bias(**{name: "height"})

    def test_a_label_of_another_attribute_is_an_error(self):
        with pytest.raises(
            ValueError, match=r"`rare_label` must be one of 0-2, .*, 66\+; got 'female'"
        ):
            Bias(rare_attribute="age")

    @pytest.mark.parametrize(("name", "value"), [("rare_share", 1.1), ("shortcut_strength", -0.1)])
    def test_shares_out_of_bounds_are_errors(self, name, value):
        with pytest.raises(ValueError, match=f"`{name}` must be from 0 to 1; got {value}"):
            Bias(**{name: value})

    @pytest.mark.parametrize(
        ("attribute", "label", "share"),
        [
            ("gender", "female", 0.1),
            ("ethnicity", "black", 0.3),
            ("emotion", "fear", 0.0),
            ("age", "66+", 0.2),
        ],
    )
    def test_a_group_becomes_as_rare_as_dialed(self, attribute, label, share):
        fair, biased = sample_traits(1500), sample_traits(1500, bias=Bias(attribute, label, share))
        columns = [[find_label(face, attribute) for face in faces] for faces in (fair, biased)]
        before, after = (np.mean(np.array(column) == label) for column in columns)
        assert after == pytest.approx(before * share / (before * share + 1 - before), abs=0.03)
        others = [
            [face for face, known in zip(faces, column, strict=True) if known != label]
            for faces, column in zip((fair, biased), columns, strict=True)
        ]
        assert others[1][: len(others[0])] == others[0]

    @pytest.mark.parametrize("attribute", list(GROUPS))
    @pytest.mark.parametrize("strength", [0.0, 0.5, 1.0])
    def test_backgrounds_tell_the_label_as_dialed(self, attribute, strength):
        fair, biased = (
            sample_traits(800),
            sample_traits(800, bias=Bias(shortcut_attribute=attribute, shortcut_strength=strength)),
        )
        labels = [find_label(face, attribute) for face in biased]
        known = [
            face.background == BACKGROUNDS[GROUPS[attribute].index(label)]
            for face, label in zip(biased, labels, strict=True)
        ]
        assert np.mean(known) == pytest.approx(
            strength + (1 - strength) / len(BACKGROUNDS), abs=0.05
        )
        assert [replace(face, background="plain") for face in biased] == [
            replace(face, background="plain") for face in fair
        ]
        assert (biased == fair) == (strength == 0)


class TestFolders:
    def test_the_manifest_is_that_of_any_dataset(self, folder):
        manifest = read_synthetic(folder)
        assert tuple(manifest.columns) == COLUMNS
        assert len(manifest) == 60
        assert set(manifest["source"]) == {"synthetic"}
        assert manifest["split"].value_counts().to_dict() == {
            "train": 42,
            "test": 12,
            "validation": 6,
        }
        assert manifest[["age", "gender", "ethnicity", "emotion", "subject"]].notna().all(axis=None)

    def test_no_person_is_on_two_sides(self, folder):
        manifest = read_synthetic(folder)
        assert manifest["subject"].nunique() == manifest["group"].nunique() == 30
        assert manifest.groupby("subject")["split"].nunique().max() == 1
        official = split_by_protocol(manifest, "official")  # calibration is cut from train alone
        calibration = official["split"] == "calibration"
        assert calibration.any()
        assert official.groupby("subject")["split"].nunique().max() == 1
        pd.testing.assert_frame_equal(official.assign(split=manifest["split"]), manifest)
        assert (official["split"].mask(calibration, "train") == manifest["split"]).all()

    def test_pictures_are_those_of_the_traits(self, folder):
        train = sample_traits(42, seed=2)
        traits = pd.read_csv(folder / "traits.csv", keep_default_na=False)
        for row in (0, 41):
            np.testing.assert_array_equal(
                read_image(folder / traits["path"][row]), draw_face(train[row], 48)
            )
            assert traits["hair_style"][row] == train[row].hair_style
            assert traits["nose_x"][row] == pytest.approx(
                place_landmarks(train[row], 48)[2, 0], abs=1e-3
            )

    def test_only_training_faces_are_biased_and_earlier_pictures_are_replaced(self, tmp_path):
        fair = make_synthetic(tmp_path, 60, 48)
        test_pictures = [read_image(path) for path in fair.loc[fair["split"] == "test", "path"]]
        unfair = make_synthetic(
            tmp_path, 60, 48, bias=Bias("gender", "female", 0.0, "emotion", 1.0)
        )
        assert (unfair.loc[unfair["split"] == "train", "gender"] == "male").all()
        for split in ("validation", "test"):
            pd.testing.assert_frame_equal(
                *(table[table["split"] == split].drop(columns="group") for table in (fair, unfair))
            )
        for path, picture in zip(
            unfair.loc[unfair["split"] == "test", "path"], test_pictures, strict=True
        ):
            np.testing.assert_array_equal(read_image(path), picture)
        make_synthetic(tmp_path, 1, 48)
        assert sorted(path.name for path in tmp_path.iterdir()) == [
            "000000.png",
            "faces.csv",
            "traits.csv",
        ]

    @pytest.mark.parametrize("name", ["000007.png", "faces.csv", "holiday.jpg"])
    def test_a_folder_with_other_files_is_refused(self, name, tmp_path):
        (tmp_path / name).write_text("mine")
        with pytest.raises(FileExistsError, match="exists and holds other files"):
            make_synthetic(tmp_path, 10, 48)
        assert [path.name for path in tmp_path.iterdir()] == [name]
        assert (tmp_path / name).read_text() == "mine"

    def test_a_picture_added_to_drawn_ones_is_kept(self, tmp_path):
        make_synthetic(tmp_path, 5, 48)
        (tmp_path / "000007.png").write_text("mine")
        make_synthetic(tmp_path, 4, 48)
        with pytest.raises(FileExistsError, match=r"000007\.png: exists and is not of an earlier"):
            make_synthetic(tmp_path, 10, 48)
        assert (tmp_path / "000007.png").read_text() == "mine"
        assert len(read_synthetic(tmp_path)) == 4

    def test_an_interrupted_drawing_is_drawn_again(self, tmp_path):
        make_synthetic(tmp_path, 5, 48)
        (tmp_path / "faces.csv").unlink()
        assert len(make_synthetic(tmp_path, 3, 48)) == 3

    @pytest.mark.parametrize(
        ("count", "size", "message"),
        [(0, 64, "`count` must be 1 or more; got 0"), (5, 300, "`size` must be .*; got 300")],
    )
    def test_wrong_numbers_are_errors_that_leave_no_folder(self, count, size, message, tmp_path):
        with pytest.raises(ValueError, match=message):
            make_synthetic(tmp_path / "new", count, size)
        assert not (tmp_path / "new").exists()

    def test_an_empty_folder_says_how_to_fill_it(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"faces\.csv: no such file; draw the faces with `facekit data synthesize",
        ):
            read_synthetic(tmp_path)


class TestCommand:
    def test_it_draws_and_counts(self, tmp_path):
        options = [
            "--count",
            "20",
            "--size",
            "48",
            "--underrepresent",
            "gender=female:0",
            "--background-shortcut",
            "emotion:1",
        ]
        result = CliRunner().invoke(data, ["synthesize", str(tmp_path), *options])
        assert result.exit_code == 0, result.output
        assert "20 faces in" in result.output
        assert (read_synthetic(tmp_path).query("split == 'train'")["gender"] == "male").all()
        traits = pd.read_csv(tmp_path / "traits.csv")[:14]
        assert [BACKGROUNDS[EMOTIONS.index(emotion)] for emotion in traits["emotion"]] == traits[
            "background"
        ].tolist()

    @pytest.mark.parametrize(
        ("options", "code", "message"),
        [
            (["--underrepresent", "female:0.1"], 2, "'female:0.1' does not have the form"),
            (["--background-shortcut", "emotion"], 2, "'emotion' does not have the form"),
            (
                ["--underrepresent", "gender=woman:0.1"],
                1,
                "`rare_label` must be one of female, male; got 'woman'",
            ),
            (
                ["--background-shortcut", "emotion:1.5"],
                1,
                "`shortcut_strength` must be from 0 to 1; got 1.5",
            ),
            (["--size", "20"], 1, "`size` must be from 48 to 200 pixels; got 20"),
        ],
    )
    def test_wrong_usage_is_named(self, options, code, message, tmp_path):
        result = CliRunner().invoke(data, ["synthesize", str(tmp_path / "new"), *options])
        assert result.exit_code == code
        assert message in result.output
        assert not (tmp_path / "new").exists()


def test_splits_share_no_person_and_only_training_is_biased():
    fair, splits = sample_splits(100, seed=1)
    biased, _ = sample_splits(100, seed=1, bias=Bias(rare_share=0.0))
    table = tabulate_traits(fair).assign(split=splits)
    assert table.groupby("subject")["split"].nunique().max() == 1
    assert table["split"].value_counts().to_dict() == {"train": 70, "test": 20, "validation": 10}
    assert fair[70:] == biased[70:]
    assert {face.gender for face in biased[:70]} == {"male"}


def test_a_bias_thins_out_any_manifest():
    manifest = pd.DataFrame(
        {"age": [1.0, 30.0, np.nan] * 100, "gender": ["female", "male", None] * 100}
    )
    kept = Bias(rare_share=0.2).keep(manifest, seed=0)
    assert kept[manifest["gender"] != "female"].all()
    assert 0.1 < kept[manifest["gender"] == "female"].mean() < 0.3
    assert Bias("age", "28-45", 0.0).keep(manifest, seed=0).tolist() == [True, False, True] * 100


def test_tables_know_every_label():
    assert set(ACTION_UNITS) == set(EMOTIONS)
    assert set(LOOKS) == set(ETHNICITIES)
    assert set(STYLES) == set(GENDERS)
    assert all(len(odds) == len(HAIR_STYLES) for odds in STYLES.values())
    assert all(len(labels) <= len(BACKGROUNDS) for labels in GROUPS.values())
