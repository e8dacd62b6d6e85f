"""Splits by named protocols: what stays together, what leaks, and what adding data changes."""

import itertools
import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import load_manifest, make_manifest, save_manifest
from facekit.datasets.protocols import (
    COPIES,
    FOLDED,
    FOLDS,
    LEAKING,
    PROTOCOLS,
    SHARES,
    split_by_protocol,
)


def count_sides(manifest: pd.DataFrame, key: str) -> int:
    """How many splits hold images of the most scattered group, or subject."""
    return int(manifest.groupby(key)["split"].nunique().max())


def get_sides(manifest: pd.DataFrame) -> dict[str, str]:
    return dict(zip(manifest["path"], manifest["split"], strict=True))


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
            assert set(manifest["split"]) == set(SHARES)

    def test_given_groups_are_kept(self, frames):
        given = frames.assign(group=np.arange(len(frames)) // 6)
        manifest = split_by_protocol(given, "group_disjoint")
        assert manifest["group"].tolist() == given["group"].tolist()
        assert count_sides(manifest, "group") == 1

    def test_shares_are_met_on_average(self):
        rows = [{"path": f"{index}.png", "group": index} for index in range(4000)]
        counts = split_by_protocol(make_manifest(rows, "mine"), "group_disjoint")["split"]
        for name, share in SHARES.items():
            assert counts.eq(name).mean() == pytest.approx(share, abs=0.02)


class TestSubjectDisjoint:
    def test_subjects_stay_on_one_side(self, frames):
        for seed in range(5):
            manifest = split_by_protocol(frames, "subject_disjoint", seed)
            assert count_sides(manifest, "subject") == 1
            assert set(manifest["split"]) == set(SHARES)

    def test_duplicates_under_two_subjects_stay_on_one_side(self, save_noise, tmp_path):
        rows = []
        for index in range(30):
            path = save_noise(tmp_path / f"{index}.jpg", index)
            rows.append({"path": str(path), "subject": f"S{index}"})
        for index in range(0, 30, 3):  # a relit copy under another subject's name
            path = save_noise(tmp_path / f"{index}-copy.jpg", index, brighter=20)
            rows.append({"path": str(path), "subject": f"S{index + 1}"})
        for seed in range(5):
            manifest = split_by_protocol(make_manifest(rows, "mine"), "subject_disjoint", seed)
            sides = get_sides(manifest)
            assert count_sides(manifest, "subject") == 1
            for index in range(0, 30, 3):
                copy = sides[str(tmp_path / f"{index}-copy.jpg")]
                assert copy == sides[str(tmp_path / f"{index}.jpg")]
            assert manifest["group"].nunique() == 20

    def test_given_groups_are_joined_with_subjects(self, frames):
        given = frames.assign(group=[row % 3 if row < 6 else row for row in range(len(frames))])
        manifest = split_by_protocol(given, "subject_disjoint")
        assert manifest.loc[:5, "group"].nunique() == 1
        assert manifest["group"].nunique() == 39

    def test_each_subject_is_tested_in_one_fold(self, frames):
        folds = [split_by_protocol(frames, "subject_disjoint", 0, fold) for fold in range(FOLDS)]
        tested = [set(fold.loc[fold["split"] == "test", "subject"]) for fold in folds]
        assert sum(map(len, tested)) == len(set().union(*tested)) == 40
        for fold in folds:
            assert count_sides(fold, "subject") == 1
            assert fold.groupby("split")["subject"].nunique().to_dict() == {
                "train": 30,
                "validation": 2,
                "calibration": 4,
                "test": 4,
            }

    def test_too_few_subjects_for_folds(self, frames):
        with pytest.raises(ValueError, match=r"`fold` needs 10 groups or more.*got 3\. Leave"):
            split_by_protocol(frames.iloc[:9], "subject_disjoint", fold=0)

    def test_an_image_without_a_subject_stands_alone(self, frames):
        manifest = split_by_protocol(
            frames.assign(subject=frames["subject"].where(frames.index > 2)), "subject_disjoint"
        )
        assert manifest["group"].nunique() == 42

    def test_no_subjects_are_an_error(self, photos):
        with pytest.raises(
            ValueError, match="needs subjects, which mine does not label; choose group_disjoint"
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
            assert get_names(manifest, "validation")
            assert get_names(manifest, "calibration")
            assert len(get_names(manifest, "train")) > 20

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
        counts = manifest["split"].value_counts()
        assert set(counts.index) == {"train", "validation", "calibration", "test"}
        assert counts["test"] == 4

    def test_calibration_is_cut_from_train_alone(self, folder):
        given = self.read(folder, "train", "validation", "test")
        manifest = split_by_protocol(given, "official")
        calibration = manifest["split"] == "calibration"
        assert calibration.any()
        assert (given["split"][calibration] == "train").all()
        assert (given["split"][~calibration] == manifest["split"][~calibration]).all()

    def test_subjects_of_the_test_are_excluded_elsewhere(self, frames):
        given = frames.assign(split=["test"] * 7 + ["train"] * 113, group=range(120))
        manifest = split_by_protocol(given, "official")
        assert manifest["split"].tolist()[:9] == ["test"] * 7 + ["excluded"] * 2
        used = manifest[manifest["split"] != "excluded"]
        assert count_sides(used, "subject") == 1

    def test_excluded_images_stay_excluded(self, folder):
        given = self.read(folder, "train", "test")
        given.loc[given["path"].str.endswith("train7.jpg"), "split"] = "excluded"
        manifest = split_by_protocol(given, "official")
        assert get_names(manifest, "excluded") == {"train7.jpg"}

    def test_a_part_without_training_images_is_a_test(self, folder):
        manifest = split_by_protocol(self.read(folder, "validation"), "official")
        assert set(manifest["split"]) == {"test"}

    def test_training_images_alone_are_an_error(self, folder):
        with pytest.raises(ValueError, match="official needs images of a test or a validation"):
            split_by_protocol(self.read(folder, "train"), "official")

    def test_no_split_is_an_error(self, photos):
        with pytest.raises(
            ValueError,
            match="a split of the dataset's own, which mine does not have; choose group_disjoint",
        ):
            split_by_protocol(photos, "official")


class TestLeaking:
    def test_random_frames_scatter_subjects(self, frames):
        manifest = split_by_protocol(frames, "random_frames")
        assert set(manifest["split"]) == set(SHARES)
        assert count_sides(manifest, "group") > 1
        assert count_sides(manifest, "subject") > 1

    def test_copies_stand_on_several_sides(self, photos):
        manifest = split_by_protocol(photos, "augment_then_split")
        assert len(manifest) == COPIES * len(photos)
        assert (manifest.groupby("path").size() == COPIES).all()
        tested = manifest.loc[manifest["split"] == "test", "path"]
        assert tested.isin(manifest.loc[manifest["split"] == "train", "path"]).mean() > 0.95


class TestAddedData:
    """The split of a group stays when images are added, removed, moved or reordered."""

    @pytest.mark.parametrize("name", ["group_disjoint", "augment_then_split", "random_frames"])
    def test_photos(self, name, photos):
        even = photos["path"].str.contains(r"[02468](?:-copy)?\.jpg$")  # copies stay together
        # With this seed no split is empty by chance, in which case it takes a neighbour's group.
        some = split_by_protocol(photos[even].reset_index(drop=True), name, seed=1)
        more = split_by_protocol(photos, name, seed=1)
        kept = more[more["path"].isin(some["path"])].reset_index(drop=True)
        assert kept["split"].tolist() == some["split"].tolist()
        assert kept["group"].tolist() == some["group"].tolist()

    def test_another_place(self, photos, tmp_path):
        shutil.copytree(tmp_path, tmp_path / "moved", ignore=lambda *_: ["moved"])
        paths = [str(tmp_path / "moved" / Path(path).name) for path in photos["path"]]
        moved = split_by_protocol(photos.assign(path=paths), "group_disjoint")
        there = split_by_protocol(photos, "group_disjoint")
        assert moved[["group", "split"]].equals(there[["group", "split"]])

    def test_subjects_with_further_frames(self, frames):
        some = split_by_protocol(frames[frames.index % 3 > 0], "subject_disjoint", seed=1)
        more = split_by_protocol(frames, "subject_disjoint", seed=1)
        assert get_sides(some).items() <= get_sides(more).items()

    def test_official_parts_cut_from_train(self, frames):
        given = frames.assign(split=["test"] * 6 + ["train"] * 114, group=range(120))
        some = split_by_protocol(given.iloc[:90], "official", seed=1)
        more = split_by_protocol(given, "official", seed=1)
        assert get_sides(some).items() <= get_sides(more).items()


class TestFewGroups:
    def test_four_fill_every_split(self, frames):
        for seed in range(10):
            manifest = split_by_protocol(frames.iloc[:12], "subject_disjoint", seed)
            assert sorted(manifest["split"].unique()) == sorted(SHARES)
            assert count_sides(manifest, "subject") == 1

    @pytest.mark.parametrize("count", [10, 11, 15, 19, 20, 21])
    def test_every_fold_fills_every_split(self, count, frames):
        subjects = [f"S{row % count}" for row in range(len(frames))]
        given = frames.assign(subject=subjects, group=range(len(frames)))
        tested: list[str] = []
        for fold in range(FOLDS):
            manifest = split_by_protocol(given, "subject_disjoint", seed=1, fold=fold)
            assert sorted(manifest["split"].unique()) == sorted(SHARES)
            assert count_sides(manifest, "subject") == 1
            tested += manifest.loc[manifest["split"] == "test", "path"].tolist()
        assert sorted(tested) == sorted(given["path"])

    @pytest.mark.parametrize("name", ["subject_disjoint", "group_disjoint", "official"])
    def test_fewer_are_an_error(self, name, frames):
        given = frames.iloc[:9].assign(
            group=frames["subject"].factorize()[0][:9], split=["test"] * 3 + ["train"] * 6
        )
        with pytest.raises(ValueError, match=r"needs . groups or more.*Add other images"):
            split_by_protocol(given, name)


@pytest.mark.parametrize("name", [name for name in PROTOCOLS if name not in LEAKING])
def test_no_two_splits_share_a_group(name, photos):
    given = photos.assign(subject=photos["path"], split=["train"] * 60 + ["test"] * 20)
    for seed in range(3):
        manifest = split_by_protocol(given, name, seed)
        sides = {split: set(manifest.loc[manifest["split"] == split, "group"]) for split in SHARES}
        assert all(sides.values())
        for first, second in itertools.combinations(sides, 2):
            assert not sides[first] & sides[second], (first, second)


@pytest.mark.parametrize("fold", [None, 4])
def test_a_manifest_says_how_it_was_split(fold, frames, tmp_path):
    manifest = split_by_protocol(frames, "subject_disjoint", seed=7, fold=fold)
    said = {"protocol": "subject_disjoint", "seed": 7} | ({} if fold is None else {"fold": fold})
    assert manifest.attrs == said
    save_manifest(manifest, tmp_path / "mine.parquet")
    assert load_manifest(tmp_path / "mine.parquet").attrs == said
    assert frames.attrs == {}
    assert "fold" not in split_by_protocol(manifest, "random_frames").attrs


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
    assert set(FOLDED) < set(PROTOCOLS)


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
            "`fold` must be from 0 to 9, and is for subject_disjoint and random_frames; "
            "got 10 for subject_disjoint",
        ),
        ("subject_disjoint", -1, "`fold` must be from 0 to 9"),
        ("group_disjoint", 0, "got 0 for group_disjoint"),
    ],
)
def test_unknown_protocols_and_folds_are_errors(name, fold, message, frames):
    with pytest.raises(ValueError, match=message):
        split_by_protocol(frames, name, fold=fold)


@pytest.mark.parametrize("protocol", ["random_frames", "augment_then_split"])
def test_a_table_without_boxes_is_split(protocol):
    table = pd.DataFrame({"path": [f"{row}.png" for row in range(40)], "group": range(40)})
    manifest = split_by_protocol(table.assign(subject="anna"), protocol)
    assert {"train", "test"} <= set(manifest["split"])


def test_random_frames_do_not_depend_on_where_the_images_lie():
    names = [f"{kind}/{row}.png" for kind in "ab" for row in range(40)]
    splits = [
        split_by_protocol(
            pd.DataFrame({"path": [f"{root}{name}" for name in names], "group": range(80)}).assign(
                subject="anna"
            ),
            "random_frames",
        )["split"].tolist()
        for root in ("", "data/raw/", "/tmp9f3/")
    ]
    assert splits[0] == splits[1] == splits[2]
