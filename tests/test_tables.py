"""Writing rows: the forms agree with one another and with the data frame."""

import io
import json

import pandas as pd
import pytest

from facekit.analysis import Analysis
from facekit.faces import COLUMNS, Faces
from facekit.tables import format_rows, save_rows, write_csv

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


def test_csv_goes_on_without_a_header():
    text = io.StringIO()
    write_csv([], text)
    write_csv([dict.fromkeys(COLUMNS) | {"face": 3}], text, header=False)
    assert text.getvalue() == ",".join(COLUMNS) + "\n,,3" + "," * (len(COLUMNS) - 3) + "\n"


def test_unknown_ending(tmp_path):
    with pytest.raises(
        ValueError, match=r"`path` must end in \.csv, \.parquet, \.jsonl; got .*faces\.xls"
    ):
        save_rows([], tmp_path / "faces.xls")


def test_terminal_table_shows_what_is_told():
    lines = format_rows([ROW]).splitlines()
    assert lines[0].split() == ["image", "face", "age_years", "gender"]
    assert lines[1].endswith("0     31.25      female")
    assert format_rows([]) == "No faces found."
