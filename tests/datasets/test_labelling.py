from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.analysis import Analysis
from facekit.datasets.annotations import read_dataturks, write_dataturks
from facekit.datasets.labelling import (
    LABELLED,
    NOT_A_FACE,
    OPEN,
    SKIPPED,
    Labelling,
    find_faces,
    read_faces,
)
from facekit.datasets.manifest import BOX, load_manifest, make_manifest, save_manifest
from facekit.faces import Faces, Profile
from facekit.taxonomy import DATATURKS_AGES, EMOTIONS, ETHNICITIES, GENDERS, LABELS


@pytest.fixture
def table(save_noise, tmp_path) -> pd.DataFrame:
    """Four faces in three photos, nothing labelled."""
    for seed, name in enumerate("abc"):
        save_noise(tmp_path / "photos" / f"{name}.png", seed)
    rows = [{"path": str(tmp_path / "photos" / f"{name}.png")} for name in "abbc"]
    for row, left in zip(rows, (1, 20, 5, 2), strict=True):
        row |= dict(zip(BOX, (left, 2, left + 20, 30), strict=True))
    return make_manifest(rows, "mine")


@pytest.fixture
def path(tmp_path) -> Path:
    return tmp_path / "mine.parquet"


def get_labels(manifest: pd.DataFrame) -> list[list]:
    return (
        manifest[list(LABELS)]
        .astype(object)
        .where(manifest[list(LABELS)].notna(), None)
        .to_numpy()
        .tolist()
    )


class TestSources:
    def test_a_folder_with_broken_and_empty_photos(self, portraits, save_noise, tmp_path):
        folder = tmp_path / "photos"
        save_noise(folder / "a" / "noise.png", 0)
        Image.fromarray(portraits["group.jpg"]).save(folder / "group.png")
        (folder / "broken.jpg").write_bytes(b"no picture")
        (folder / "notes.txt").write_text("no photo")
        with pytest.warns(UserWarning) as warned:
            faces = read_faces(folder)
        messages = [str(warning.message) for warning in warned]
        assert (
            "broken.jpg: is not a picture that can be read; save it as JPEG or PNG." in messages[0]
        )
        assert messages[1].endswith("left out: 1 photos in which no face was found")
        assert set(faces["path"]) == {str(folder / "group.png")}
        assert len(faces) == 6
        assert get_labels(faces) == [[None] * 4] * 6
        assert faces["source"].unique().tolist() == ["photos"]

    def test_nothing_to_label(self, save_noise, tmp_path):
        with pytest.raises(
            FileNotFoundError, match=r"nowhere: no photos there; name a folder that holds \.jpg"
        ):
            find_faces(tmp_path / "nowhere")
        save_noise(tmp_path / "noise.png", 0)
        with (
            pytest.warns(UserWarning, match="1 photos in which no face"),
            pytest.raises(
                ValueError, match="no face of 40 pixels or more was found in its 1 photos"
            ),
        ):
            find_faces(tmp_path)

    def test_tables_and_files(self, table, path, tmp_path):
        save_manifest(table, path)
        pd.testing.assert_frame_equal(read_faces(table), table)
        pd.testing.assert_frame_equal(read_faces(str(path)), table)
        (tmp_path / "mine.csv").write_text("path,gender\nphotos/a.png,male\n")
        assert read_faces(tmp_path / "mine.csv")["gender"].tolist() == ["male"]

    def test_analyses_propose_what_they_tell(self, table):
        faces = Faces(
            np.float32([[1.04, 2, 30, 40], [3, 4, 50, 60]]),
            np.ones(2, np.float32),
            np.zeros((2, 5, 2), np.float32),
        )
        profiles = (
            Profile(age_years=30.6, gender="male", emotion="fear", ethnicity="asian"),
            Profile(gender="female"),
        )
        analysis = Analysis(table["path"][0], faces, profiles)
        found = read_faces(analysis)
        assert get_labels(found) == [
            [31, "male", "fear", None],
            [None, "female", None, None],
        ]  # ethnicity only on request
        assert found.loc[0, list(BOX)].tolist() == [1, 2, 30, 40]
        assert get_labels(read_faces([analysis], ("ethnicity",)))[0] == [None, None, None, "asian"]

    @pytest.mark.parametrize(
        ("source", "error", "message"),
        [
            (
                Analysis("", Faces.empty(), ()),
                ValueError,
                "must be analyses of picture files; got one of an array",
            ),
            (7, TypeError, "`source` must be a folder, a manifest, a csv, or analyses; got int"),
            (["photos"], TypeError, "got list"),
        ],
    )
    def test_other_sources_are_errors(self, source, error, message):
        with pytest.raises(error, match=message):
            read_faces(source)


class TestLabelling:
    def test_faces_stand_left_to_right(self, table, path):
        labelling = Labelling(table, path)
        assert [(Path(row["path"]).stem, row["x1"]) for row in labelling.rows] == [
            ("a", 1),
            ("b", 5),
            ("b", 20),
            ("c", 2),
        ]
        assert not path.exists()  # nothing is stored yet

    def test_each_change_is_saved(self, table, path):
        labelling = Labelling(table, path, ("age", "gender"))
        labelling.label("age", 34)
        assert get_labels(load_manifest(path)) == [[34, None, None, None]]
        labelling.label("gender", "female")
        labelling.accept()
        assert labelling.position == 1
        labelling.reject()
        labelling.skip()
        labelling.label("gender", "male")
        labelling.accept()
        assert labelling.is_done
        assert labelling.states == [LABELLED, NOT_A_FACE, SKIPPED, LABELLED]
        saved = load_manifest(path)
        assert get_labels(saved) == [
            [34, "female", None, None],
            [None] * 4,
            [None] * 4,
            [None, "male", None, None],
        ]
        # two photos are too few to fill every split
        assert saved["split"].fillna("").tolist() == ["", "excluded", "", ""]
        assert saved["group"].nunique() == 3
        assert [each.name for each in path.parent.iterdir() if each.is_file()] == ["mine.parquet"]

    def test_it_goes_on_where_it_stopped(self, table, path):
        before = Labelling(table, path)
        before.label("emotion", "fear")
        before.accept()
        before.skip()
        after = Labelling(table, path)
        assert after.position == 2
        assert after.states == [LABELLED, SKIPPED, OPEN, OPEN]
        after.label("gender", "male")
        assert get_labels(load_manifest(path)) == [
            [None, None, "fear", None],
            [None] * 4,
            [None, "male", None, None],
        ]

    def test_faces_of_the_file_that_are_not_given_stay_in_it(self, table, path):
        before = Labelling(table, path)
        before.label("gender", "female")
        fewer = Labelling(table.iloc[1:], path)
        assert fewer.states == [LABELLED, OPEN, OPEN, OPEN]
        assert fewer.position == 1
        fewer.label("gender", "male")
        assert load_manifest(path)["gender"].tolist() == ["female", "male"]

    def test_proposals_are_saved_only_when_accepted(self, table, path):
        labelling = Labelling(
            table.assign(gender="male", split=["train", "test", "excluded", "train"]), path
        )
        assert labelling.row["gender"] == "male"
        labelling.step(1)
        assert not path.exists()
        labelling.step(-5)
        assert labelling.position == 0
        labelling.accept()
        labelling.label("gender", "female")
        labelling.accept()
        labelling.accept()
        saved = load_manifest(path)
        assert saved["gender"].tolist() == ["male", "female", "male"]
        assert saved["split"].tolist() == [
            "train",
            "excluded",
            "test",
        ]  # the source's own split stays

    def test_one_who_was_no_face_after_all_gets_its_split_back(self, table, path):
        table = table.assign(split="train")
        Labelling(table, path).reject()
        again = Labelling(table, path)
        again.step(-1)
        again.label("gender", "male")
        assert load_manifest(path)["split"].tolist() == ["train"]

    def test_undo_goes_all_the_way_back(self, table, path):
        labelling = Labelling(table, path)
        labelling.undo()
        assert labelling.position == 0
        labelling.label("gender", "female")
        labelling.label("gender", "male")
        labelling.accept()
        labelling.reject()
        labelling.undo()
        assert (labelling.position, labelling.state) == (1, OPEN)
        labelling.undo()
        assert (labelling.position, labelling.row["gender"]) == (0, "female")
        assert load_manifest(path)["gender"].tolist() == ["female"]
        labelling.undo()
        assert labelling.state == OPEN
        assert len(load_manifest(path)) == 0
        assert Labelling(table, path).position == 0

    def test_a_label_taken_away_opens_the_face_again(self, table, path):
        labelling = Labelling(table, path)
        labelling.label("age", 30)
        labelling.label("age", None)
        assert labelling.state == OPEN
        assert len(load_manifest(path)) == 0

    def test_it_is_done_only_when_all_are_judged(self, table, path):
        labelling = Labelling(table, path)
        labelling.step(99)
        assert labelling.position == 3
        labelling.skip()
        assert labelling.position == 0  # back to what was left open
        for _ in range(3):
            labelling.skip()
        assert labelling.is_done
        assert get_labels(load_manifest(path)) == [[None] * 4] * 4

    def test_copies_stand_on_one_side(self, save_noise, tmp_path, path):
        for index in range(30):
            save_noise(
                tmp_path / "photos" / f"{index:02}.jpg", index // 2, quality=95 - index % 2 * 30
            )
        labelling = Labelling(
            make_manifest(
                [{"path": str(each)} for each in sorted((tmp_path / "photos").iterdir())], "mine"
            ),
            path,
        )
        while not labelling.is_done:
            labelling.label("gender", "male")
            labelling.accept()
        saved = load_manifest(path)
        assert set(saved["split"]) == {"train", "validation", "calibration", "test"}
        assert saved.attrs == {"protocol": "group_disjoint", "seed": 0}
        assert (saved.groupby("group")["split"].nunique() == 1).all()
        assert saved["group"].nunique() == 15

    def test_nothing_to_accept(self, table, path):
        with pytest.raises(ValueError, match="This face has no label yet: give it one, or skip it"):
            Labelling(table, path).accept()

    @pytest.mark.parametrize(
        ("attribute", "value", "message"),
        [
            ("age", 121, "`value` must be from 0 to 120 years; got 121"),
            ("gender", "man", "`value` must be one of female, male; got 'man'"),
            (
                "ethnicity",
                "white",
                "`attribute` must be one of age, gender, emotion; got 'ethnicity'",
            ),
        ],
    )
    def test_wrong_labels_change_nothing(self, attribute, value, message, table, path):
        labelling = Labelling(table, path)
        with pytest.raises(ValueError, match=message):
            labelling.label(attribute, value)
        assert labelling.state == OPEN

    @pytest.mark.parametrize(
        ("file", "attributes", "message"),
        [
            (
                "mine.csv",
                ("age",),
                r"`path` must end in \.parquet, as manifests do; got .*mine\.csv",
            ),
            (
                "mine.parquet",
                ("height",),
                "`attributes` must be one or more of age, gender, emotion, ethnicity",
            ),
            ("mine.parquet", (), "`attributes` must be one or more"),
            ("other.parquet", ("age",), r"other\.parquet: is not a manifest"),
        ],
    )
    def test_wrong_arguments(self, file, attributes, message, table, tmp_path):
        (tmp_path / "other.parquet").write_text("something else")
        with pytest.raises(ValueError, match=message):
            Labelling(table, tmp_path / file, attributes)

    def test_a_manifest_is_not_corrected_in_its_own_place(self, table, path):
        save_manifest(table, path)
        with pytest.raises(
            ValueError, match="`path` must be another file than the manifest to correct"
        ):
            Labelling(path, path)


class TestDataturks:
    def test_it_comes_back(self, save_noise, tmp_path):
        """All that the form of DataTurks can hold; ages come back as the middle of their range."""
        rows = []
        for index, emotion in enumerate(EMOTIONS):
            photo = save_noise(tmp_path / f"{index % 2}" / f"a b{index // 2}.png", index)
            labels = {
                "gender": GENDERS[index % 2],
                "ethnicity": ETHNICITIES[index % 5],
                "emotion": emotion,
                "age": index * 15,
            }
            rows.append(
                {"path": str(photo)}
                | labels
                | dict(zip(BOX, (index, 2, 20 + index, 30), strict=True))
            )
        rows += [{"path": rows[0]["path"], "split": "excluded", "x1": 1, "y1": 1, "x2": 9, "y2": 9}]
        rows += [{"path": str(save_noise(tmp_path / "whole.png", 99)), "gender": "male"}]
        written = write_dataturks(manifest := make_manifest(rows, "mine"), tmp_path / "out")
        assert written == tmp_path / "out" / "faces.json"
        with pytest.warns(UserWarning, match="left out: 1 boxes of no face"):
            back = read_dataturks(tmp_path / "out")
        kept = manifest[manifest["split"].isna()]
        assert len(back) == len(kept) == 8
        by_box = {tuple(row[side] for side in BOX): row for row in back.to_dict("records")}
        for row in kept.fillna({"x1": 0, "y1": 0, "x2": 48, "y2": 48}).to_dict("records"):
            found = (
                by_box[tuple(np.round(row[side], 6) for side in BOX)]
                if tuple(row[side] for side in BOX) in by_box
                else None
            )
            found = found or next(
                each
                for box, each in by_box.items()
                if np.allclose(box, [row[side] for side in BOX])
            )
            for name in ("gender", "ethnicity", "emotion"):
                assert found[name] == row[name] or (pd.isna(found[name]) and pd.isna(row[name]))
            assert pd.isna(row["age"]) or _find_range(found["age"]) == _find_range(row["age"])
            np.testing.assert_array_equal(
                Image.open(found["path"]), Image.open(row["path"])
            )  # names that were taken twice

    def test_files_of_the_user_are_kept(self, save_noise, tmp_path):
        manifest = make_manifest([{"path": str(save_noise(tmp_path / "a.jpg", 0))}], "mine")
        own = save_noise(tmp_path / "out" / "images" / "a.jpg", 1)
        content = own.read_bytes()
        for _ in range(2):  # a second export replaces the first
            write_dataturks(manifest, tmp_path / "out")
            assert own.read_bytes() == content
            assert [Path(path).name for path in read_dataturks(tmp_path / "out")["path"]] == [
                "a-2.jpg"
            ]
        (tmp_path / "out" / "faces.json").write_text('{"mine": 1}\n')
        with pytest.raises(FileExistsError, match=r"faces\.json: exists and is not in DataTurks"):
            write_dataturks(manifest, tmp_path / "out")

    def test_no_faces_and_missing_images(self, tmp_path):
        empty = make_manifest([{"path": "a.png"}], "mine").iloc[:0]
        assert write_dataturks(empty, tmp_path / "out").read_text() == "\n"
        with pytest.raises(FileNotFoundError, match=r"a\.png: no such file"):
            write_dataturks(
                make_manifest([{"path": str(tmp_path / "a.png")}], "mine"), tmp_path / "out"
            )


def _find_range(age: float) -> str:
    return [name for name, first in DATATURKS_AGES.items() if age >= first][-1]
