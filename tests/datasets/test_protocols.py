import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import make_manifest
from facekit.datasets.protocols import COPIES, FOLDS, LEAKING, PROTOCOLS, split_by_protocol


def count_sides(manifest: pd.DataFrame, key: str) -> int:
    """On how many splits the most scattered group, or subject, stands."""
    return int(manifest.groupby(key)["split"].nunique().max())


def get_names(manifest: pd.DataFrame, split: str) -> set[str]:
    return {Path(path).name for path in manifest.loc[manifest["split"] == split, "path"]}


@pytest.fixture
def photos(save_noise, tmp_path) -> pd.DataFrame:
    """Of 60 photos, every third with a relit copy."""
    paths = [save_noise(tmp_path / f"{index:02d}.jpg", index) for index in range(60)]
    paths += [
        save_noise(tmp_path / f"{index:02d}-copy.jpg", index, brighter=20, quality=60)
        for index in range(0, 60, 3)
    ]
    return make_manifest([{"path": str(path), "age": 30} for path in paths], "mine")


@pytest.fixture
def frames() -> pd.DataFrame:
    """Of 40 subjects, three frames each; files are not needed."""
    rows = [
        {"path": f"{subject:02d}-{frame}.png", "subject": f"S{subject}", "emotion": "fear"}
        for subject in range(40)
        for frame in range(3)
    ]
    return make_manifest(rows, "clips")


class TestGroupDisjoint:
    def test_duplicates_stay_on_one_side(self, photos):
        for seed in range(3):
            manifest = split_by_protocol(photos, "group_disjoint", seed)
            assert len(manifest) == 80
            assert manifest["group"].nunique() == 60
            assert count_sides(manifest, "group") == 1
            assert manifest.groupby("split")["group"].nunique().to_dict() == {
                "train": 51,
                "validation": 3,
                "test": 6,
            }

    def test_groups_that_are_told_are_kept(self, frames):
        told = frames.assign(group=np.arange(len(frames)) // 6)
        manifest = split_by_protocol(told, "group_disjoint")
        assert manifest["group"].tolist() == told["group"].tolist()
        assert count_sides(manifest, "group") == 1


class TestSubjectDisjoint:
    def test_subjects_stay_on_one_side(self, frames):
        for seed in range(5):
            manifest = split_by_protocol(frames, "subject_disjoint", seed)
            assert count_sides(manifest, "subject") == 1
            assert manifest.groupby("split")["subject"].nunique().to_dict() == {
                "train": 34,
                "validation": 2,
                "test": 4,
            }

    def test_each_subject_is_tested_in_one_fold(self, frames):
        folds = [split_by_protocol(frames, "subject_disjoint", 0, fold) for fold in range(FOLDS)]
        tested = [set(fold.loc[fold["split"] == "test", "subject"]) for fold in folds]
        assert sum(map(len, tested)) == len(set().union(*tested)) == 40
        for fold in folds:
            assert count_sides(fold, "subject") == 1
            assert fold.groupby("split")["subject"].nunique().to_dict() == {
                "train": 34,
                "validation": 2,
                "test": 4,
            }

    def test_an_image_without_a_subject_stands_alone(self, frames):
        manifest = split_by_protocol(
            frames.assign(subject=frames["subject"].where(frames.index > 2)), "subject_disjoint"
        )
        assert manifest["group"].nunique() == 42

    def test_no_subjects_are_an_error(self, photos):
        with pytest.raises(
            ValueError, match="needs subjects, which mine does not tell; choose group_disjoint"
        ):
            split_by_protocol(photos, "subject_disjoint")


class TestOfficial:
    @pytest.fixture
    def folder(self, save_noise, tmp_path) -> Path:
        for index in range(40):
            save_noise(tmp_path / "train" / f"train{index}.jpg", index)
        for index in range(4):
            save_noise(tmp_path / "validation" / f"validation{index}.jpg", 100 + index)
            save_noise(tmp_path / "test" / f"test{index}.jpg", 200 + index)
        return tmp_path

    @staticmethod
    def read(folder: Path, *splits: str) -> pd.DataFrame:
        return make_manifest(
            [
                {"path": str(path), "split": split}
                for split in splits
                for path in (folder / split).iterdir()
            ],
            "mine",
        )

    def test_without_a_test_the_validation_is_the_test(self, folder):
        shutil.copy(folder / "validation" / "validation1.jpg", folder / "train" / "twin.jpg")
        for seed in range(3):
            manifest = split_by_protocol(self.read(folder, "train", "validation"), "official", seed)
            assert get_names(manifest, "test") == {f"validation{index}.jpg" for index in range(4)}
            assert get_names(manifest, "excluded") == {"twin.jpg"}
            assert len(get_names(manifest, "validation")) == 2

    def test_all_three_are_kept_but_for_twins(self, folder):
        shutil.copy(folder / "validation" / "validation1.jpg", folder / "train" / "twin.jpg")
        shutil.copy(folder / "test" / "test1.jpg", folder / "train" / "twin of test.jpg")
        shutil.copy(folder / "test" / "test2.jpg", folder / "validation" / "twin of test too.jpg")
        shutil.copy(folder / "test" / "test3.jpg", folder / "test" / "twin within.jpg")
        manifest = split_by_protocol(self.read(folder, "train", "validation", "test"), "official")
        assert get_names(manifest, "test") == {
            *(f"test{index}.jpg" for index in range(4)),
            "twin within.jpg",
        }
        assert get_names(manifest, "validation") == {f"validation{index}.jpg" for index in range(4)}
        assert get_names(manifest, "excluded") == {
            "twin.jpg",
            "twin of test.jpg",
            "twin of test too.jpg",
        }
        assert count_sides(manifest[manifest["split"] != "excluded"], "group") == 1
        pd.testing.assert_frame_equal(split_by_protocol(manifest, "official"), manifest)

    def test_train_and_test_alone(self, folder):
        manifest = split_by_protocol(self.read(folder, "train", "test"), "official")
        assert manifest["split"].value_counts().to_dict() == {
            "train": 38,
            "test": 4,
            "validation": 2,
        }

    def test_no_split_is_an_error(self, photos):
        with pytest.raises(
            ValueError,
            match="needs a split of the dataset's own, which mine has not; choose group_disjoint",
        ):
            split_by_protocol(photos, "official")


class TestLeaking:
    def test_random_frames_scatter_subjects(self, frames):
        manifest = split_by_protocol(frames, "random_frames")
        assert manifest["split"].value_counts().to_dict() == {
            "train": 102,
            "test": 12,
            "validation": 6,
        }
        assert count_sides(manifest, "group") > 1

    def test_copies_stand_on_several_sides(self, photos):
        manifest = split_by_protocol(photos, "augment_then_split")
        assert len(manifest) == COPIES * len(photos)
        assert (manifest.groupby("path").size() == COPIES).all()
        tested = manifest.loc[manifest["split"] == "test", "path"]
        assert tested.isin(manifest.loc[manifest["split"] == "train", "path"]).mean() > 0.95


@pytest.mark.parametrize("name", PROTOCOLS)
def test_a_seed_repeats_itself_and_the_manifest_is_not_changed(name, photos):
    given = photos.assign(subject=photos["path"], split=["train"] * 70 + ["test"] * 10)
    before = given.copy()
    first = split_by_protocol(given, name, seed=1)
    pd.testing.assert_frame_equal(first, split_by_protocol(given, name, seed=1))
    pd.testing.assert_frame_equal(given, before)
    assert (first["split"] != split_by_protocol(given, name, seed=2)["split"]).any()
    assert first[["group", "split"]].notna().all(axis=None)
    assert first.index.equals(pd.RangeIndex(len(first)))


def test_leaking_protocols_are_known():
    assert set(LEAKING) < set(PROTOCOLS)


@pytest.mark.parametrize(
    ("name", "fold", "message"),
    [
        (
            "stratified",
            None,
            r"`name` must be one of the protocols group_disjoint, .*; got 'stratified'",
        ),
        (
            "subject_disjoint",
            10,
            "`fold` must be from 0 to 9, and is for subject_disjoint and random_frames; got 10 for subject_disjoint",
        ),
        ("subject_disjoint", -1, "`fold` must be from 0 to 9"),
        ("group_disjoint", 0, "got 0 for group_disjoint"),
    ],
)
def test_unknown_protocols_and_folds_are_errors(name, fold, message, frames):
    with pytest.raises(ValueError, match=message):
        split_by_protocol(frames, name, fold=fold)
