"""Writing rows: the forms agree with one another and with the data frame."""

import io
import json
import os

import pandas as pd
import pytest

from facekit import tables
from facekit.analysis import Analysis
from facekit.faces import COLUMNS, Faces
from facekit.tables import (
    CsvTable,
    TerminalTable,
    format_rows,
    is_facekit_table,
    open_table,
    save_rows,
    write_csv,
)

ROW = dict.fromkeys(COLUMNS) | {
    "image": "größe, 1.jpg",
    "face": 0,
    "x1": 1.5,
    "age_years": 31.25,
    "gender": "female",
}
READERS = {
    ".csv": pd.read_csv,
    ".parquet": pd.read_parquet,
    ".jsonl": lambda path: pd.read_json(path, lines=True),
}


@pytest.mark.parametrize("suffix", READERS)
def test_round_trip(tmp_path, suffix):
    path = tmp_path / f"faces{suffix}"
    save_rows([ROW, ROW | {"face": 1, "gender": None}], path)
    table = READERS[suffix](path)
    assert table.columns.tolist() == list(COLUMNS)
    assert table["image"].tolist() == ["größe, 1.jpg"] * 2
    assert table["face"].tolist() == [0, 1]
    assert table["x1"].tolist() == [1.5, 1.5]
    assert table["gender"].isna().tolist() == [False, True]
    assert table["frame"].isna().all()


def test_parquet_has_the_types_of_the_data_frame(tmp_path):
    path = tmp_path / "faces.parquet"
    save_rows([ROW], path)
    numeric = [
        name
        for name, kind in Analysis("", Faces.empty(), ()).to_frame().dtypes.items()
        if kind == "float64"
    ]
    types = pd.read_parquet(path).dtypes
    assert all(types[name] == "float64" for name in numeric)


@pytest.mark.parametrize("suffix", [".csv", ".parquet"])
def test_no_rows_leave_the_header(tmp_path, suffix):
    path = tmp_path / f"faces{suffix}"
    save_rows([], path)
    table = READERS[suffix](path)
    assert len(table) == 0
    assert table.columns.tolist() == list(COLUMNS)


def test_json_keeps_unknown_as_null(tmp_path):
    path = tmp_path / "faces.jsonl"
    save_rows([ROW], path)
    assert json.loads(path.read_text(encoding="utf-8")) == ROW


def test_csv_quotes_commas():
    file = io.StringIO()
    write_csv([ROW], file)
    assert '"größe, 1.jpg",,0,1.5,' in file.getvalue()


def test_csv_can_follow_other_rows():
    text = io.StringIO()
    write_csv([], text)
    write_csv([dict.fromkeys(COLUMNS) | {"face": 3}], text, header=False)
    assert text.getvalue() == ",".join(COLUMNS) + "\n,,3" + "," * (len(COLUMNS) - 3) + "\n"


def test_unknown_ending(tmp_path):
    with pytest.raises(
        ValueError, match=r"`path` must end in \.csv, \.parquet, \.jsonl; got .*faces\.xls"
    ):
        save_rows([], tmp_path / "faces.xls")


def test_terminal_table_shows_the_columns_with_values():
    lines = format_rows([ROW]).splitlines()
    assert lines[0].split() == ["image", "face", "age_years", "gender"]
    assert lines[1].endswith("0     31.25      female")
    assert format_rows([]) == "No faces found."


def test_terminal_table_aligns_wide_names_and_shows_no_control_codes():
    rows = [ROW | {"image": name} for name in ("日本.jpg", "e\u0301.jpg", "a\x1b[2J\nb.jpg")]
    lines = format_rows(rows).splitlines()
    assert len(lines) == 4
    assert lines[1].startswith("日本.jpg" + " " * 8)
    assert lines[2].startswith("e\u0301.jpg" + " " * 11)
    assert lines[3].startswith(r"a\x1b[2J\nb.jpg  ")


class TestStreams:
    @pytest.mark.parametrize("suffix", READERS)
    def test_rows_of_several_groups(self, tmp_path, suffix, monkeypatch):
        monkeypatch.setattr(tables, "ROW_GROUP", 3)
        path = tmp_path / f"faces{suffix}"
        with open_table(path) as table:
            for start in range(0, 8, 2):
                table.write([ROW | {"face": face} for face in (start, start + 1)])
            assert not path.exists()
        assert READERS[suffix](path)["face"].tolist() == list(range(8))

    @pytest.mark.parametrize("suffix", READERS)
    def test_an_error_leaves_the_old_table(self, tmp_path, suffix):
        path = tmp_path / f"faces{suffix}"
        path.write_text("old")
        with pytest.raises(KeyError), open_table(path) as table:
            table.write([ROW])
            raise KeyError
        assert path.read_text() == "old"
        assert list(tmp_path.iterdir()) == [path]

    @pytest.mark.parametrize("suffix", READERS)
    def test_a_full_disk_leaves_the_old_table(self, small_disk, suffix):
        path = small_disk / f"faces{suffix}"
        path.write_text("old")
        rows = [ROW | {"image": os.urandom(50).hex()} for _ in range(2000)]
        with pytest.raises(OSError, match=rf"faces\{suffix}"):
            save_rows(rows, path)
        assert path.read_text() == "old"

    def test_a_terminal_prints_screenfuls(self, monkeypatch):
        monkeypatch.setattr(tables, "SCREENFUL", 2)
        file = io.StringIO()
        table = TerminalTable(file)
        for face in range(3):
            table.write([ROW | {"face": face}])
        assert len(file.getvalue().splitlines()) == 3
        table.close()
        assert len(file.getvalue().splitlines()) == 5

    def test_a_terminal_without_faces(self):
        file = io.StringIO()
        TerminalTable(file).close()
        assert file.getvalue() == "No faces found.\n"

    def test_a_pipe_without_faces_gets_the_header(self):
        file = io.StringIO()
        CsvTable(file).close()
        assert file.getvalue() == ",".join(COLUMNS) + "\n"


@pytest.mark.parametrize("suffix", READERS)
def test_names_that_are_not_utf8_are_the_same_in_every_form(tmp_path, suffix):
    path = tmp_path / f"faces{suffix}"
    save_rows([ROW | {"image": os.fsdecode(b"caf\xe9.jpg")}], path)
    assert READERS[suffix](path)["image"].tolist() == [r"caf\xe9.jpg"]


@pytest.mark.parametrize("suffix", READERS)
@pytest.mark.parametrize(
    ("content", "expected"), [(b"", True), (b"a,b\n", False), (b"\x00\xff" * 9, False)]
)
def test_recognizing_tables(tmp_path, suffix, content, expected):
    path = tmp_path / f"faces{suffix}"
    path.write_bytes(content)
    assert is_facekit_table(path) == expected
    save_rows([ROW], path)
    assert is_facekit_table(path)
