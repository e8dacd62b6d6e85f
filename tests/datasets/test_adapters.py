import shutil
from pathlib import Path

import pandas as pd
import pytest

from facekit.datasets.adapters import read_ck_plus, read_dataset, read_fer2013, read_utkface
from facekit.datasets.manifest import COLUMNS, SPLITS


def get_names(manifest: pd.DataFrame, split: str) -> set[str]:
    return {Path(path).name for path in manifest.loc[manifest["split"] == split, "path"]}


def get_folders(manifest: pd.DataFrame) -> pd.Series:
    return manifest["path"].map(lambda path: Path(path).parent.name)


def count_sides(manifest: pd.DataFrame, key: str) -> int:
    """On how many splits the most scattered group, or subject, stands."""
    return int(manifest.groupby(key)["split"].nunique().max())


class TestUtkface:
    @pytest.fixture
    def folder(self, save_noise, tmp_path) -> Path:
        for index in range(60):
            save_noise(tmp_path / f"{index + 1}_{index % 2}_{index % 5}_201701{index:011d}.jpg.chip.jpg", index)
        return tmp_path

    def test_labels_come_from_names(self, folder):
        manifest = read_utkface(folder)
        assert tuple(manifest.columns) == COLUMNS
        assert len(manifest) == 60
        assert set(manifest["source"]) == {"utkface"}
        assert manifest["emotion"].isna().all()
        rows = manifest.set_index(manifest["path"].map(lambda path: Path(path).name.split("_2017")[0]))
        labels = ["age", "gender", "ethnicity"]
        assert rows.loc["1_0_0", labels].tolist() == [1, "male", "white"]
        assert rows.loc["12_1_1", labels].tolist() == [12, "female", "black"]
        assert rows.loc["13_0_2", labels].tolist() == [13, "male", "asian"]
        assert rows.loc["14_1_3", labels].tolist() == [14, "female", "indian"]
        assert rows.loc["15_0_4", labels].tolist() == [15, "male", "other"]

    def test_shares(self, folder):
        assert read_utkface(folder)["split"].value_counts().to_dict() == {"train": 51, "test": 6, "validation": 3}

    def test_a_seed_repeats_itself(self, folder):
        first = read_utkface(folder, seed=1)
        pd.testing.assert_frame_equal(first, read_utkface(folder, seed=1))
        assert (first["split"] != read_utkface(folder, seed=2)["split"]).any()

    def test_malformed_names_are_left_out_and_named(self, folder, save_noise):
        malformed = ["39_1_20170116174525125.jpg.chip.jpg", "61_3_0_2017.jpg.chip.jpg", "1_1_7_2017.jpg.chip.jpg", "photo.jpg"]
        for seed, name in enumerate(malformed, 100):
            save_noise(folder / name, seed)
        with pytest.warns(UserWarning, match="4 malformed names left out") as warned:
            manifest = read_utkface(folder)
        assert len(manifest) == 60
        assert all(name in str(warned[0].message) for name in malformed)

    def test_duplicates_stay_on_one_side(self, folder, save_noise):
        for index in range(0, 60, 3):
            save_noise(folder / f"{index + 1}_{index % 2}_{index % 5}_9{index}.jpg.chip.jpg", index, brighter=20, quality=60)
        for seed in range(3):
            manifest = read_utkface(folder, seed)
            assert len(manifest) == 80
            assert manifest["group"].nunique() == 60
            assert count_sides(manifest, "group") == 1


class TestFer2013:
    @pytest.fixture
    def folder(self, save_noise, tmp_path) -> Path:
        for index, label in enumerate(("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")):
            for number in range(6):
                save_noise(tmp_path / "train" / label / f"Training_{index}{number}.jpg", 10 * index + number)
            for number in range(2):
                save_noise(tmp_path / "validation" / label / f"PublicTest_{index}{number}.jpg", 1000 + 10 * index + number)
        return tmp_path

    def test_labels_and_the_official_split(self, folder):
        manifest = read_fer2013(folder)
        assert len(manifest) == 56
        assert set(manifest["split"]) <= set(SPLITS)
        assert get_names(manifest, "test") == {f"PublicTest_{index}{number}.jpg" for index in range(7) for number in range(2)}
        assert get_names(manifest, "excluded") == set()
        assert manifest["split"].eq("train").sum() >= 38
        for given, told in (("angry", "anger"), ("happy", "happiness"), ("sad", "sadness"), ("disgust", "disgust")):
            assert set(manifest.loc[get_folders(manifest) == given, "emotion"]) == {told}

    def test_what_the_test_split_shows_too_is_excluded(self, folder, save_noise):
        test_image = folder / "validation" / "fear" / "PublicTest_20.jpg"
        shutil.copy(test_image, folder / "train" / "fear" / "Training_copied.jpg")
        save_noise(folder / "train" / "sad" / "Training_relit.jpg", 1030, brighter=30, quality=70)  # of PublicTest_30
        for seed in range(3):
            manifest = read_fer2013(folder, seed)
            assert get_names(manifest, "excluded") == {"Training_copied.jpg", "Training_relit.jpg"}
            assert len(get_names(manifest, "test")) == 14
            assert count_sides(manifest[manifest["split"] != "excluded"], "group") == 1

    def test_duplicates_within_the_test_split_stay_in_it(self, folder):
        shutil.copy(folder / "validation" / "fear" / "PublicTest_20.jpg", folder / "validation" / "fear" / "PublicTest_twin.jpg")
        manifest = read_fer2013(folder)
        assert len(get_names(manifest, "test")) == 15
        assert get_names(manifest, "excluded") == set()

    def test_other_folders_are_left_out(self, folder, save_noise):
        save_noise(folder / "train" / "bored" / "Training_99.jpg", 500)
        assert len(read_fer2013(folder)) == 56


class TestCkPlus:
    @pytest.fixture
    def folder(self, save_noise, tmp_path) -> Path:
        labels = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
        for subject in range(20):
            label = labels[subject % 7]
            for frame in range(3):
                save_noise(tmp_path / label / f"S{subject:03d}_001_{frame:08d}.png", 10 * subject + frame)
            save_noise(tmp_path / "happy" / f"S{subject:03d}_002_00000009.png", 10 * subject + 9)
        return tmp_path

    def test_contempt_is_left_out(self, folder):
        manifest = read_ck_plus(folder)
        assert len(list(folder.glob("*/*.png"))) == 80
        assert len(manifest) == 80 - 3 * 3
        assert "contempt" not in set(get_folders(manifest))
        assert set(manifest["emotion"]) == {"anger", "disgust", "fear", "happiness", "sadness", "surprise"}

    def test_subjects_stay_on_one_side(self, folder):
        for seed in range(5):
            manifest = read_ck_plus(folder, seed)
            assert manifest["subject"].nunique() == 20
            assert count_sides(manifest, "subject") == 1
            assert manifest.groupby("split")["subject"].nunique().to_dict() == {"train": 17, "validation": 1, "test": 2}

    def test_a_seed_repeats_itself(self, folder):
        first = read_ck_plus(folder, seed=1)
        pd.testing.assert_frame_equal(first, read_ck_plus(folder, seed=1))
        assert (first["split"] != read_ck_plus(folder, seed=2)["split"]).any()


@pytest.mark.parametrize("read", [read_utkface, read_fer2013, read_ck_plus])
@pytest.mark.parametrize("name", [".", "missing"])
def test_an_empty_folder_says_where_to_get_the_data(read, name, tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no files like \S+; data/README\.md says where to get this dataset"):
        read(tmp_path / name)


def test_datasets_are_read_by_name_from_their_usual_folders(save_noise, tmp_path):
    save_noise(tmp_path / "UTKFace" / "26_1_2_2017.jpg.chip.jpg", 0)
    save_noise(tmp_path / "fer2013" / "train" / "happy" / "Training_1.jpg", 1)
    save_noise(tmp_path / "CK+48" / "anger" / "S001_001_00000001.png", 2)
    for name in ("utkface", "fer2013", "ck_plus"):
        manifest = read_dataset(name, tmp_path)
        assert manifest["source"].tolist() == [name]
        assert manifest["split"].isin(SPLITS).all()
