import pandas as pd

from facekit.evaluation.markdown import make_markdown


def read_cells(text: str) -> list[list[str]]:
    return [[cell.strip() for cell in line.split(" | ")] for line in text.splitlines()]


def test_cells_stay_as_they_are():
    table = pd.DataFrame({"figure": ["accuracy", None], "value": ["80.0%", "0.50"]})
    assert read_cells(make_markdown(table))[2] == ["| accuracy", "80.0%   |"]
    assert read_cells(make_markdown(table))[3] == ["|", "0.50    |"]


def test_a_cell_stays_in_its_row_and_column():
    text = make_markdown([("a|b", "two\nlines")], ("name", "text"))
    assert len(text.splitlines()) == 3
    assert "a\\|b" in text
    assert "two lines" in text


def test_no_rows():
    assert len(make_markdown([], ("a", "b")).splitlines()) == 2
