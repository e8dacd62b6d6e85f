"""Strict reading of csv files: all cells are text, and ambiguous files are refused by line."""

import csv

import pytest

from facekit.datasets.csv_reading import iterate_strict_rows, normalize_text, read_strict_table


@pytest.fixture
def write(tmp_path):
    """Write bytes or text as a csv file."""

    def write(content):
        path = tmp_path / "table.csv"
        path.write_bytes(content if isinstance(content, bytes) else content.encode())
        return path

    return write


def test_nothing_is_guessed(write):
    path = write("path,label\n a.jpg , NA\nb.jpg,None\nc.jpg,0\nd.jpg,True\ne.jpg,\n")
    table = read_strict_table(path)
    assert table["label"].tolist() == ["NA", "None", "0", "True", ""]
    assert table["path"].tolist()[0] == "a.jpg"
    assert table.index.tolist() == [2, 3, 4, 5, 6]
    assert table.index.name == "line"


def test_lines_are_those_of_the_file(write):
    table = read_strict_table(write('a,b\r\n\r\n"one\r\ntwo",x\r\n\r\nthree,y\r\n'))
    assert table.index.tolist() == [3, 6]


def test_byte_order_mark_and_accents(write):
    table = read_strict_table(write(b"\xef\xbb\xbfname\nZoe\xcc\x88\nZo\xc3\xab\n"), ("name",))
    assert table["name"].nunique() == 1
    assert normalize_text(" e\u0301\t") == "\u00e9"


def test_a_header_alone_is_an_empty_table(write):
    table = read_strict_table(write("a,b\n"))
    assert table.empty
    assert list(table) == ["a", "b"]


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("", "the file is empty"),
        ("\n\n", "the file is empty"),
        ("path,gender,gender\na,b,c\n", "line 1: the columns gender, gender have the same name"),
        ("path,gender,Gender \na,b,c\n", "line 1: the columns gender, Gender have the same name"),
        ("path,gender,\na,b,\n", "line 1: column 3 has no name"),
        (",path\n0,a\n", "line 1: column 1 has no name.*index=False"),
        ("path,gender\na,b\nc,d,\n", "line 3 must have 2 cells.*got 3, the last of them empty"),
        ("path,gender\na,b,c\n", "line 2 must have 2 cells.*got 3; a cell with a comma"),
        ("path,gender\na\n", "line 2 must have 2 cells.*got 1"),
        ("path;gender\na;b\n", "line 1: the columns are separated by semicolons"),
        ("path\tgender\na\tb\n", "line 1: the columns are separated by tabs"),
        (b"path,name\na,x\nb,Zo\xeb\n", "line 3: byte 0xEB is not UTF-8 text; save it.*UTF-8"),
        ("path,name\n".encode("utf-16"), "the file is UTF-16 text"),
        (b"path\0,name\n", "line 1: the file is not text"),
        ('path,name\na,"b\nc,d\n', "line 2: the cells cannot be read"),
        ("gender\nfemale\n", "line 1: the column path is missing; the file has gender"),
    ],
)
def test_ambiguous_files_are_refused(write, content, message):
    path = write(content)
    with pytest.raises(ValueError, match=message) as caught:
        read_strict_table(path, ("path",) if "gender" in str(content)[:12] else ())
    assert str(path) in str(caught.value)


def test_missing_file(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"no\.csv: no such file"):
        read_strict_table(tmp_path / "no.csv")


def test_rows_one_by_one(write):
    before = csv.field_size_limit()
    rows = list(iterate_strict_rows(write("a\n" + "x" * 200_000 + "\n")))
    assert rows[0] == (1, ["a"])
    assert len(rows[1][1][0]) == 200_000
    assert csv.field_size_limit() == before
