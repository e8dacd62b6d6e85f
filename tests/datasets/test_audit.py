import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner

from facekit.commands import main
from facekit.datasets.adapters import read_dataset
from facekit.datasets.audit import FINDING_COLUMNS, Audit, audit_manifest, list_left_out
from facekit.datasets.manifest import make_manifest, save_manifest


def get_finding(audit: Audit, name: str) -> pd.Series:
    return audit.findings.set_index("finding").loc[name]


def count(audit: Audit, name: str) -> tuple[int, int]:
    return tuple(get_finding(audit, name)[["count", "total"]])


@pytest.fixture
def make_rows(save_noise, tmp_path):
    """Rows of different pictures, with the labels given; `number` is the first picture's seed."""

    def make(labels: list[dict], folder: str = "mine", number: int = 0) -> list[dict]:
        paths = [
            save_noise(tmp_path / folder / f"{number + index:03d}.jpg", number + index)
            for index in range(len(labels))
        ]
        return [
            {"path": str(path), "group": number + index} | row
            for index, (path, row) in enumerate(zip(paths, labels, strict=True))
        ]

    return make


def copy_row(row: dict, name: str, **changes) -> dict:
    """Make a row of an exact copy of another row's file; `name` may name another folder."""
    target = Path(row["path"]).parent.parent / name
    target.parent.mkdir(parents=True, exist_ok=True)
    shutil.copy(row["path"], target)
    return row | {"path": str(target)} | changes


class TestFiles:
    def test_a_clean_dataset_has_no_findings(self, make_rows):
        labels = [
            {"gender": gender, "split": split}
            for gender in ("female", "male")
            for split in ("train", "test")
        ]
        audit = audit_manifest(make_manifest(make_rows(labels), "mine"), scores=np.ones(4))
        assert tuple(audit.findings.columns) == FINDING_COLUMNS
        assert set(audit.findings.loc[audit.findings["count"] > 0, "finding"]) == {
            "gender: smallest subgroup",
            "gender: largest subgroup",
        }
        assert get_finding(audit, "no face found by MTCNN")["share"] == 0
        assert not audit.findings["finding"].str.contains("ages|subject|published").any()

    def test_pictures_that_the_reader_left_out(self, make_rows, save_noise, tmp_path):
        manifest = make_manifest(make_rows([{}, {}, {}]), "mine")
        save_noise(tmp_path / "mine" / "malformed.jpg", 50)
        save_noise(tmp_path / "mine" / "below" / "another.png", 51)
        (tmp_path / "mine" / "labels.csv").write_text("no picture")
        left_out = list_left_out(tmp_path / "mine", manifest)
        assert [Path(path).name for path in left_out] == ["another.png", "malformed.jpg"]
        finding = get_finding(
            audit_manifest(manifest, left_out), "malformed names or unused labels"
        )
        assert (finding["count"], finding["total"], finding["share"]) == (2, 5, 0.4)
        assert finding["examples"] == "another.png, malformed.jpg"

    def test_unreadable_and_missing_files(self, make_rows):
        rows = make_rows([{} for _ in range(6)])
        for row in rows[:3]:
            Path(row["path"]).write_bytes(Path(row["path"]).read_bytes()[:200])
        Path(rows[3]["path"]).unlink()
        audit = audit_manifest(make_manifest(rows, "mine"))
        assert count(audit, "unreadable files") == (4, 6)
        assert (
            get_finding(audit, "unreadable files")["examples"] == "000.jpg, 001.jpg, 002.jpg, ..."
        )
        assert count(audit, "identical files: further copies") == (0, 2)


class TestDuplicates:
    def test_copies_and_their_labels(self, make_rows):
        rows = make_rows(
            [
                {"age": 30, "gender": "male"},
                {"age": 30, "gender": "male"},
                {"age": 30, "gender": "male"},
                {"age": 8},
            ]
        )
        rows += [
            copy_row(rows[0], "a/same.jpg"),
            copy_row(rows[0], "a/again.jpg", age=35),
            copy_row(rows[1], "a/older.jpg", age=36),
        ]
        rows += [copy_row(rows[2], "a/other.jpg", gender="female", age=90)]
        audit = audit_manifest(make_manifest(rows, "mine"))
        assert count(audit, "identical files: further copies") == (4, 8)
        assert get_finding(audit, "identical files: further copies")["detail"] == "in 3 groups"
        assert count(audit, "identical files: groups with different labels") == (2, 3)
        assert (
            get_finding(audit, "identical files: groups with different labels")["detail"]
            == "age by more than 5 years 2, gender 1"
        )

    def test_the_same_photo_need_not_be_the_same_file(self, make_rows):
        rows = make_rows([{"emotion": "fear"}, {"emotion": "anger"}, {"emotion": "fear"}])
        rows[1]["group"] = rows[0]["group"]
        audit = audit_manifest(make_manifest(rows, "mine"))
        assert count(audit, "identical files: further copies") == (0, 3)
        assert count(audit, "same photo: further copies") == (1, 3)
        assert count(audit, "same photo: groups with different labels") == (1, 1)
        assert (
            get_finding(audit, "same photo: groups with different labels")["detail"] == "emotion 1"
        )

    def test_groups_of_a_subject_are_no_photos(self, make_rows):
        audit = audit_manifest(
            make_manifest(make_rows([{"group": 1, "subject": "S1"}] * 3), "mine")
        )
        assert not audit.findings["finding"].str.contains("same photo").any()

    def test_faces_of_one_image_are_no_copies(self, make_rows):
        row = make_rows([{}])[0] | {"x1": 0, "y1": 0, "y2": 9}
        audit = audit_manifest(
            make_manifest([row | {"x2": 9, "age": 5}, row | {"x2": 8, "age": 50}], "mine")
        )
        assert count(audit, "unreadable files") == (0, 1)
        assert count(audit, "identical files: further copies") == (0, 1)
        assert audit.age_counts.sum() == 2


class TestLabels:
    def test_heaping(self, make_rows):
        ages = [25, 30, 35, 40, 41, 47, 53, 58, 0, 5, 70, 71]
        audit = audit_manifest(make_manifest(make_rows([{"age": age} for age in ages]), "mine"))
        assert count(audit, "ages ending in 0 or 5") == (7, 12)
        finding = get_finding(audit, "ages ending in 0 or 5, 23 to 62")
        assert (finding["count"], finding["total"], finding["share"]) == (4, 8, 0.5)
        assert finding["detail"] == "Whipple's index 250, very rough; 100 without heaping"
        assert audit.age_counts.sum() == 12
        assert audit.age_counts.index.tolist() == list(range(72))

    @pytest.mark.parametrize(
        ("heaped", "grade"),
        [(20, "100, highly"), (21, "105, fairly"), (24, "120, approximate"), (30, "150, rough")],
    )
    def test_whipple_grades(self, heaped, grade, monkeypatch):
        monkeypatch.setattr(
            "facekit.datasets.audit._hash_images",
            lambda paths: dict(zip(paths, paths, strict=True)),
        )
        ages = [30] * heaped + [31] * (100 - heaped)
        rows = [{"path": f"{index}.jpg", "age": age} for index, age in enumerate(ages)]
        detail = get_finding(
            audit_manifest(make_manifest(rows, "mine")), "ages ending in 0 or 5, 23 to 62"
        )["detail"]
        assert detail.startswith(f"Whipple's index {grade}")

    def test_middles_of_ranges_are_no_heaps(self, make_rows):
        audit = audit_manifest(make_manifest(make_rows([{"age": 35}, {"age": 45}]), "fairface"))
        assert not audit.findings["finding"].str.contains("ages").any()
        assert audit.age_counts.empty
        assert audit.label_counts.loc[("age", "28-45"), "no split"] == 2

    def test_balance(self, make_rows):
        young, old = {"age": 30, "gender": "female"}, {"age": 80, "gender": "male"}
        audit = audit_manifest(
            make_manifest(make_rows([young, young, young, young, old, {"age": 4}]), "mine")
        )
        assert count(audit, "age x gender: empty subgroups") == (12, 14)
        assert get_finding(audit, "age x gender: smallest subgroup")["detail"] == "66+ male"
        assert count(audit, "age x gender: largest subgroup") == (4, 5)
        assert (
            get_finding(audit, "age x gender: largest subgroup")["detail"]
            == "28-45 female, 4 times the smallest"
        )
        assert audit.cell_counts.loc[("28-45", "female")] == 4
        assert audit.label_counts.loc["age"].sum().sum() == 6

    def test_emotions_are_counted_by_split(self, make_rows):
        rows = make_rows(
            [
                {"emotion": "fear", "split": "test"},
                {"emotion": "anger", "split": "train"},
                {"emotion": "fear"},
            ]
        )
        counts = audit_manifest(make_manifest(rows, "mine")).label_counts
        assert counts.columns.tolist() == ["train", "test", "no split"]
        assert counts.loc[("emotion", "fear")].tolist() == [0, 1, 1]
        assert counts.loc[("emotion", "neutral")].tolist() == [0, 0, 0]

    def test_missing_labels_are_not_a_label(self, make_rows):
        rows = make_rows([{"emotion": "fear"}, {"age": 30}])
        counts = audit_manifest(make_manifest(rows, "mine")).label_counts
        assert not counts.index.get_level_values(1).isna().any()

    def test_without_labels_and_splits_files_are_audited_alone(self, make_rows):
        audit = audit_manifest(make_manifest(make_rows([{}, {}]), "mine"))
        assert audit.cell_counts.empty and audit.label_counts.empty and audit.age_counts.empty
        assert count(audit, "unreadable files") == (0, 2)


class TestFacesAndSplits:
    def test_non_faces(self, make_rows):
        manifest = make_manifest(make_rows([{}, {}, {}]), "mine")
        finding = get_finding(
            audit_manifest(manifest, scores=np.array([0.9, 0, 0.99])), "no face found by MTCNN"
        )
        assert (finding["count"], finding["total"], finding["examples"]) == (1, 3, "001.jpg")
        assert (
            get_finding(audit_manifest(manifest), "no face found by MTCNN")[["count", "share"]]
            .isna()
            .all()
        )
        with pytest.raises(
            ValueError,
            match=r"`scores` must have shape \(3,\), one score per row of the manifest; got \(2,\)",
        ):
            audit_manifest(manifest, scores=np.ones(2))

    def test_leaks_by_file_photo_and_subject(self, make_rows):
        sides = ("train", "train", "validation", "test", "test", "excluded")
        rows = make_rows([{"split": split} for split in sides])
        rows[3]["group"] = rows[0]["group"]  # a photo in train and test
        rows[5]["group"] = rows[4]["group"]  # one that was excluded for standing in the test
        rows += [copy_row(rows[1], "a/leak.jpg", split="test"), copy_row(rows[2], "a/twin.jpg")]
        rows += make_rows(
            [{"subject": "S1", "split": "train"}, {"subject": "S1", "split": "validation"}],
            number=20,
        )
        audit = audit_manifest(make_manifest(rows, "mine"))
        assert count(audit, "split leaks: identical files") == (1, 6)
        assert get_finding(audit, "split leaks: identical files")["examples"] == "leak.jpg"
        assert count(audit, "split leaks: same photo") == (2, 6)
        assert count(audit, "split leaks: same subject") == (1, 6)

    def test_an_image_on_both_sides_leaks(self, make_rows):
        row = make_rows([{}])[0]
        audit = audit_manifest(
            make_manifest([row | {"split": "train"}, row | {"split": "test"}], "mine")
        )
        assert count(audit, "split leaks: identical files") == (1, 1)

    def test_published_folders_leak_though_the_split_does_not(self, make_rows, tmp_path):
        rows = make_rows([{"split": "train"}, {"split": "excluded"}], "train")
        rows += [
            copy_row(rows[1], "validation/twin.jpg", split="test"),
            copy_row(rows[1], "validation/second.jpg", split="test"),
        ]
        rows += make_rows([{"split": "test"}], "validation", number=10)
        audit = audit_manifest(make_manifest(rows, "mine"))
        assert count(audit, "published split leaks: identical files") == (2, 3)
        assert count(audit, "published split leaks: same photo") == (2, 3)
        assert count(audit, "split leaks: identical files") == (0, 3)


def test_findings_must_have_their_columns():
    with pytest.raises(
        ValueError, match=r"`findings` must have the columns finding, count.*; got share"
    ):
        Audit(pd.DataFrame({"share": []}), pd.Series(), pd.Series(), pd.DataFrame())


class TestCommand:
    def test_a_manifest_becomes_a_table_and_a_page(self, make_rows, tmp_path):
        rows = make_rows(
            [
                {"age": 30, "gender": "male", "split": "train"},
                {"age": 40, "gender": "female", "split": "train"},
            ]
        )
        save_manifest(
            make_manifest([*rows, copy_row(rows[0], "a/leak.jpg", split="test")], "mine"),
            tmp_path / "mine.parquet",
        )
        table, page = tmp_path / "out" / "findings.csv", tmp_path / "out" / "page.png"
        line = [
            "data",
            "audit",
            str(tmp_path / "mine.parquet"),
            "--no-faces",
            "--output",
            str(table),
            "--plots",
            str(page),
        ]
        result = CliRunner().invoke(main, line, catch_exceptions=False)
        assert result.exit_code == 0
        assert "1 of 1         100.0%  split leaks: identical files" in result.output
        assert "leak.jpg; choose a protocol that does not leak" in result.output
        assert (
            pd.read_csv(table).set_index("finding").loc["identical files: further copies", "count"]
            == 1
        )
        assert page.read_bytes().startswith(b"\x89PNG")

    def test_a_dataset_by_name(self, save_noise, tmp_path):
        for seed in range(4):
            save_noise(tmp_path / "UTKFace" / f"2{seed}_1_0_2017{seed}.jpg.chip.jpg", seed)
        save_noise(tmp_path / "UTKFace" / "25_1_2017.jpg.chip.jpg", 9)
        result = CliRunner().invoke(
            main,
            ["data", "audit", "utkface", "--data", str(tmp_path), "--no-faces"],
            catch_exceptions=False,
        )
        assert result.exit_code == 0
        assert "1 of 5          20.0%  malformed names or unused labels" in result.output

    def test_unreadable_images_are_findings_not_failures(self, make_rows, tmp_path):
        rows = make_rows([{}, {}])
        save_manifest(make_manifest(rows, "mine"), tmp_path / "mine.parquet")
        Path(rows[0]["path"]).unlink()
        result = CliRunner().invoke(
            main, ["data", "audit", str(tmp_path / "mine.parquet"), "--data", str(tmp_path)]
        )
        assert result.exit_code == 0
        assert "not split: A split into train, validation, calibration, test" in result.output
        assert "1 of 2          50.0%  unreadable files" in result.output
        assert "1 of 2          50.0%  no face found by MTCNN" in result.output

    def test_what_is_not_there_is_named(self, tmp_path):
        result = CliRunner().invoke(main, ["data", "audit", "utkface", "--data", str(tmp_path)])
        assert result.exit_code == 1
        assert "utkface is not there" in result.output
        result = CliRunner().invoke(main, ["data", "audit", str(tmp_path / "no.parquet")])
        assert result.exit_code == 1
        assert "no such manifest" in result.output


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*malformed names left out:UserWarning")
@pytest.mark.parametrize(
    ("name", "folder", "expected"),
    [
        (
            "utkface", "UTKFace",
            {
                "malformed names or unused labels": 5,
                "identical files: further copies": 318,
                "split leaks: identical files": 0},
        ),
        ("fer2013", "fer2013", {"published split leaks: identical files": 280,
         "identical files: further copies": 1539}),
    ],
)  # fmt: skip
def test_the_datasets_at_hand(name, folder, expected, data_dir):
    if not (data_dir / folder).is_dir():
        pytest.skip(f"{folder} is not there")
    manifest = read_dataset(name, data_dir)
    audit = audit_manifest(manifest, list_left_out(data_dir / folder, manifest))
    assert {finding: count(audit, finding)[0] for finding in expected} == expected
