from pathlib import Path

import cv2
import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import (
    BOX,
    COLUMNS,
    THUMBNAIL_SIDE,
    check_manifest,
    group_duplicates,
    load_manifest,
    make_manifest,
    save_manifest,
    split_by_group,
)

SHARES = {"train": 0.85, "validation": 0.05, "test": 0.10}


class TestManifest:
    def test_it_has_all_columns_sorted_by_path(self):
        rows = [
            {"path": "b.jpg", "age": 30, "gender": "male"},
            {"path": "a.jpg", "emotion": "fear", "subject": "S1"},
        ]
        manifest = make_manifest(rows, "mine")
        assert tuple(manifest.columns) == COLUMNS
        assert manifest["path"].tolist() == ["a.jpg", "b.jpg"]
        assert manifest.index.tolist() == [0, 1]
        assert manifest["source"].tolist() == ["mine", "mine"]
        assert manifest["age"].isna().tolist() == [True, False]
        assert manifest.loc[1, "age"] == 30.0
        assert manifest["gender"].isna().tolist() == [True, False]
        assert manifest[list(BOX)].isna().all(axis=None)

    def test_faces_of_one_image_keep_their_order_and_rows_may_tell_their_source(self):
        rows = [
            {"path": "b.jpg"},
            *({"path": "a.jpg", "x1": x, "y1": 0, "x2": x + 5, "y2": "9.5"} for x in (30, 10, 20)),
        ]
        rows[1]["source"] = "album"
        manifest = make_manifest(rows, "mine")
        assert manifest["x1"].tolist()[:3] == [30, 10, 20]
        assert manifest["y2"].tolist()[:3] == [9.5, 9.5, 9.5]
        assert manifest["source"].tolist() == ["album", "mine", "mine", "mine"]

    @pytest.mark.parametrize(
        ("column", "label"), [("gender", "man"), ("ethnicity", "martian"), ("emotion", "angry")]
    )
    def test_an_unknown_label_is_an_error(self, column, label):
        with pytest.raises(ValueError, match=f"`{column}` must be one of .*; got {label}"):
            make_manifest([{"path": "a.jpg", column: label}, {"path": "b.jpg"}], "mine")

    def test_no_rows_are_an_error(self):
        with pytest.raises(
            ValueError, match="`rows` of mine must not be empty; check the folder given"
        ):
            make_manifest([], "mine")


class TestChecks:
    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"age": -1}, r"`age` must be from 0 to 120 years; got -1.* in row 1, b\.jpg\."),
            ({"age": 121}, "`age` must be from 0 to 120 years; got 121"),
            ({"age": np.inf}, "`age` must be from 0 to 120 years; got inf"),
            ({"gender": "man"}, r"`gender` must be one of female, male; got man in row 1, b\.jpg"),
            ({"ethnicity": "martian"}, "`ethnicity` must be one of white, .*; got martian"),
            ({"emotion": "angry"}, "`emotion` must be one of anger, .*; got angry"),
            (
                {"split": "dev"},
                "`split` must be one of train, validation, calibration, test, excluded; got dev",
            ),
            ({"path": None}, "`path` must be given"),
            ({"x1": 5, "y1": 5, "x2": 5, "y2": 9}, "`x2` must be more than `x1`; got 5.0"),
            ({"x1": 5, "y1": 5, "x2": 9, "y2": 4}, "`y2` must be more than `y1`; got 4.0"),
            ({"x1": 5, "y1": 5, "x2": 9}, "`y2` must be more than `y1`; got nan"),
            ({"x2": 9}, "`x2` must be more than `x1`; got 9.0"),
            ({"age": "old"}, r"`age` must be a number; got old in row 1, b\.jpg"),
            ({"y1": "top"}, "`y1` must be a number; got top"),
        ],
    )
    def test_each_rule(self, changes, message):
        with pytest.raises(ValueError, match=message):
            make_manifest([{"path": "a.jpg"}, {"path": "b.jpg", **changes}], "mine")

    @pytest.mark.parametrize("age", [0, 0.5, 120, np.nan, None])
    def test_good_ages(self, age):
        check_manifest(make_manifest([{"path": "a.jpg", "age": age}], "mine"))

    def test_columns(self):
        manifest = make_manifest([{"path": "a.jpg"}], "mine")
        for other in (
            manifest.drop(columns="age"),
            manifest.assign(hair="red"),
            manifest[list(COLUMNS[::-1])],
        ):
            with pytest.raises(
                ValueError, match=r"A manifest must have the columns path, x1, .*, split; got "
            ):
                check_manifest(other)

    def test_an_empty_manifest_is_one(self):
        check_manifest(make_manifest([{"path": "a.jpg"}], "mine").iloc[:0])


class TestFile:
    def test_it_comes_back_as_it_was(self, tmp_path):
        rows = [
            {
                "path": "a.jpg",
                "x1": 1,
                "y1": 2,
                "x2": 3.5,
                "y2": 4,
                "age": 30,
                "gender": "male",
                "subject": "007",
                "group": 3,
                "split": "test",
            },
            {
                "path": "b.jpg",
                "ethnicity": "other",
                "emotion": "fear",
                "group": 4,
                "split": "train",
            },
        ]
        for manifest in (make_manifest(rows, "mine"), make_manifest([{"path": "é.jpg"}], "mine")):
            save_manifest(manifest, tmp_path / "new" / "mine.parquet")
            pd.testing.assert_frame_equal(
                load_manifest(tmp_path / "new" / "mine.parquet"), manifest
            )

    def test_a_wrong_manifest_is_not_saved(self, tmp_path):
        with pytest.raises(ValueError, match="`age` must be"):
            save_manifest(
                make_manifest([{"path": "a.jpg"}], "mine").assign(age=200.0),
                tmp_path / "mine.parquet",
            )
        assert not (tmp_path / "mine.parquet").exists()

    def test_a_file_stays_whole_where_writing_fails(self, tmp_path, monkeypatch):
        path, old = tmp_path / "mine.parquet", make_manifest([{"path": "old.jpg"}], "mine")
        save_manifest(old, path)

        def fail(_, target, index):
            Path(target).write_bytes(b"half")
            raise OSError("disk full")

        monkeypatch.setattr(pd.DataFrame, "to_parquet", fail)
        with pytest.raises(OSError, match="disk full"):
            save_manifest(make_manifest([{"path": "new.jpg"}], "mine"), path)
        assert load_manifest(path)["path"].tolist() == ["old.jpg"]

    def test_a_missing_file(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"mine\.parquet: no such manifest; `facekit data prepare` makes one",
        ):
            load_manifest(tmp_path / "mine.parquet")

    @pytest.mark.parametrize("content", ["", "no parquet"])
    def test_another_file(self, content, tmp_path):
        (tmp_path / "mine.parquet").write_text(content)
        with pytest.raises(
            ValueError,
            match=r"mine\.parquet: is not a manifest \(.*\); make it again with `facekit data prepare`",
        ):
            load_manifest(tmp_path / "mine.parquet")

    def test_another_table(self, tmp_path):
        pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "mine.parquet")
        with pytest.raises(
            ValueError,
            match=r"mine\.parquet: is not a manifest \(A manifest must have the columns .*; got a",
        ):
            load_manifest(tmp_path / "mine.parquet")


class TestDuplicates:
    def test_a_path_may_come_often(self, save_noise, tmp_path):
        first, second, copy = (
            str(save_noise(tmp_path / f"{name}.png", seed))
            for name, seed in (("a", 1), ("b", 2), ("c", 1))
        )
        groups = group_duplicates([first, second, first, copy, second, first])
        assert groups.tolist() == [0, 1, 0, 0, 1, 0]

    def test_different_pictures_stand_alone(self, save_noise, tmp_path):
        paths = [str(save_noise(tmp_path / f"{seed}.jpg", seed)) for seed in range(30)]
        assert len(set(group_duplicates(paths))) == 30

    def test_copies_recompressed_relit_and_resized_are_found(self, save_noise, tmp_path):
        original = save_noise(tmp_path / "original.png", 1)
        smaller = tmp_path / "smaller.png"
        cv2.imwrite(
            str(smaller),
            cv2.resize(cv2.imread(str(original)), (32, 32), interpolation=cv2.INTER_AREA),
        )
        paths = [
            original,
            save_noise(tmp_path / "copy.png", 1),
            save_noise(tmp_path / "recompressed.jpg", 1, quality=40),
            save_noise(tmp_path / "brighter.jpg", 1, brighter=40),
            smaller,
            save_noise(tmp_path / "other.png", 2),
        ]
        groups = group_duplicates([str(path) for path in paths])
        assert len(set(groups[:5])) == 1
        assert groups[5] != groups[0]

    def test_joins_chain(self, tmp_path):
        # Three pictures in one plane, 16 degrees apart: neighbours correlate by 0.96, the ends by
        # 0.85.
        noise = np.random.default_rng(0).normal(size=(2, THUMBNAIL_SIDE**2))
        first, second = np.linalg.qr((noise - noise.mean(axis=1, keepdims=True)).T)[0].T
        paths = []
        for name, degrees in (("start", 0), ("end", 32), ("between", 16)):
            turned = np.cos(np.radians(degrees)) * first + np.sin(np.radians(degrees)) * second
            picture = np.round(128 + 30 * THUMBNAIL_SIDE * turned).reshape(
                THUMBNAIL_SIDE, THUMBNAIL_SIDE
            )
            paths.append(str(tmp_path / f"{name}.png"))
            cv2.imwrite(paths[-1], picture.astype(np.uint8))
        ends = group_duplicates(paths[:2])
        assert ends[0] != ends[1]
        assert len(set(group_duplicates(paths))) == 1

    def test_blank_pictures_are_alike_and_unreadable_ones_like_nothing(self, tmp_path):
        paths = [str(tmp_path / f"{index}.png") for index in range(5)]
        for path, grey in zip(paths, (90, 0), strict=False):
            cv2.imwrite(path, np.full((20, 20), grey, np.uint8))
        for path in paths[2:4]:
            Path(path).write_text("no picture")
        cv2.imwrite(paths[4], np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8))
        groups = group_duplicates(paths)
        assert groups[0] == groups[1]
        assert len(set(groups)) == 4


class TestSplit:
    def test_groups_stay_whole_and_shares_are_met(self):
        groups = np.random.default_rng(0).integers(0, 1000, 5000)
        splits = split_by_group(groups, SHARES, seed=0)
        assert splits.shape == (5000,)
        assert all(len(set(splits[groups == group])) == 1 for group in np.unique(groups))
        for name, share in SHARES.items():
            assert np.mean(splits == name) == pytest.approx(share, abs=0.02)

    def test_sides_do_not_change_when_groups_are_added(self):
        groups = np.arange(400)
        some, more = split_by_group(groups[::2], SHARES, 5), split_by_group(groups, SHARES, 5)
        np.testing.assert_array_equal(some, more[::2])

    @pytest.mark.parametrize("count", [3, 4, 7, 12])
    def test_no_split_stays_empty(self, count):
        for seed in range(20):
            assert set(split_by_group(np.arange(count), SHARES, seed)) == set(SHARES)

    def test_too_few_groups_are_an_error(self):
        with pytest.raises(
            ValueError,
            match=r"A split into train, validation, test needs 3 groups or more.*got 2 groups",
        ):
            split_by_group(np.array([1, 1, 2]), SHARES, seed=0)

    def test_a_share_of_nothing_gets_nothing(self):
        splits = split_by_group(np.arange(50), {"train": 0.5, "validation": 0, "test": 0.5}, 0)
        assert set(splits) == {"train", "test"}

    def test_a_seed_repeats_itself(self):
        groups = np.arange(300) // 2
        first = split_by_group(groups, SHARES, seed=1)
        np.testing.assert_array_equal(first, split_by_group(groups, SHARES, seed=1))
        assert (first != split_by_group(groups, SHARES, seed=2)).any()

    def test_the_order_of_images_does_not_matter(self):
        groups = np.random.default_rng(0).integers(0, 50, 200)
        order = np.random.default_rng(1).permutation(200)
        np.testing.assert_array_equal(
            split_by_group(groups[order], SHARES, 0), split_by_group(groups, SHARES, 0)[order]
        )

    def test_no_images(self):
        assert split_by_group(np.zeros(0, int), SHARES, seed=0).shape == (0,)

    def test_shares_must_sum_to_1(self):
        with pytest.raises(
            ValueError, match=r"`fractions` must sum to 1; got \{'train': 0.5, 'test': 0.4\}"
        ):
            split_by_group(np.arange(10), {"train": 0.5, "test": 0.4}, seed=0)
