"""The rules of a manifest, and its file."""

from pathlib import Path
from typing import ClassVar

import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import (
    BOX,
    COLUMNS,
    VOTES,
    check_manifest,
    load_manifest,
    make_manifest,
    save_manifest,
)


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
            manifest.assign(votes_fear=1.0),
        ):
            with pytest.raises(
                ValueError,
                match=r"A manifest must have the columns path, x1, .*, split, and may have "
                r"votes_anger, .*, votes_surprise; got ",
            ):
                check_manifest(other)

    def test_an_empty_manifest_is_one(self):
        check_manifest(make_manifest([{"path": "a.jpg"}], "mine").iloc[:0])


class TestVotes:
    COUNTS: ClassVar[dict] = dict(zip(VOTES, (0, 0, 3, 0, 7, 0, 0), strict=True))

    def test_they_follow_the_other_columns_and_may_be_missing(self, tmp_path):
        rows = [{"path": "b.jpg", "emotion": "neutral", **self.COUNTS}, {"path": "a.jpg"}]
        manifest = make_manifest(rows, "mine")
        assert tuple(manifest.columns) == COLUMNS + VOTES
        assert manifest[list(VOTES)].dtypes.eq("float64").all()
        assert manifest.loc[0, list(VOTES)].isna().all()
        assert manifest.loc[1, list(VOTES)].tolist() == [0, 0, 3, 0, 7, 0, 0]
        save_manifest(manifest, tmp_path / "votes.parquet")
        pd.testing.assert_frame_equal(load_manifest(tmp_path / "votes.parquet"), manifest)

    def test_manifests_with_and_without_them_join(self):
        voted = make_manifest([{"path": "b.jpg", **self.COUNTS}], "mine")
        plain = make_manifest([{"path": "a.jpg"}], "yours")
        for parts in ([voted, plain], [plain, voted]):
            joined = pd.concat(parts, ignore_index=True)
            check_manifest(joined)
            assert joined.set_index("source")["votes_neutral"].isna()["yours"]

    @pytest.mark.parametrize(
        ("changes", "message"),
        [
            ({"votes_fear": -1}, "`votes_fear` must be 0 or more in a row with votes; got -1"),
            ({"votes_fear": None}, "`votes_fear` must be 0 or more in a row with votes; got nan"),
            ({"votes_fear": np.inf}, "`votes_fear` must be 0 or more in a row with votes; got inf"),
            ({"votes_fear": "many"}, "`votes_fear` must be a number; got many"),
            (
                {"votes_fear": 0, "votes_neutral": 0},
                r"`votes_anger` must be with the other votes more than 0; got 0.0 in row 0, a\.jpg",
            ),
        ],
    )
    def test_each_rule(self, changes, message):
        with pytest.raises(ValueError, match=message):
            make_manifest([{"path": "a.jpg", **self.COUNTS, **changes}], "mine")


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
            match=r"mine\.parquet: is not a manifest \(.*\); "
            r"make it again with `facekit data prepare`",
        ):
            load_manifest(tmp_path / "mine.parquet")

    def test_another_table(self, tmp_path):
        pd.DataFrame({"a": [1]}).to_parquet(tmp_path / "mine.parquet")
        with pytest.raises(
            ValueError,
            match=r"mine\.parquet: is not a manifest \(A manifest must have the columns .*; got a",
        ):
            load_manifest(tmp_path / "mine.parquet")
