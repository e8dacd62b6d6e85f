"""The command `facekit evaluate`, on the shipped predictions and where there are none."""

import pandas as pd
import pytest
from click.testing import CliRunner

from facekit.commands import main
from facekit.evaluation.figures import format_cells
from facekit.registry import find_model, get_models_dir


def run(*arguments):
    return CliRunner().invoke(main, ["evaluate", *map(str, arguments)])


def read_rows(text: str) -> list[tuple[str, ...]]:
    """Return the cells of all Markdown tables in a text."""
    lines = [line for line in text.splitlines() if line.startswith("|")]
    return [tuple(cell.strip() for cell in line.strip("|").split("|")) for line in lines]


def test_figures_are_those_of_the_index():
    result = run("gender")
    assert result.exit_code == 0
    figures = find_model("gender")[0].tasks["gender"].metrics["figures"]
    assert figures
    for figure in figures:
        row = ("utkface test", "group_disjoint", *format_cells(figure))
        assert row in read_rows(result.stdout)


def test_tables_of_the_papers():
    result = run("paper-tables")
    assert result.exit_code == 0
    titles = [line for line in result.stdout.splitlines() if line.startswith("## Table")]
    assert titles[0] == "## Table 2. Age"


@pytest.fixture
def models(tmp_path, monkeypatch):
    """A registry of one's own that holds no predictions."""
    index = (get_models_dir() / "index.json").read_text(encoding="utf-8")
    (tmp_path / "index.json").write_text(index, encoding="utf-8")
    monkeypatch.setenv("FACEKIT_MODELS", str(tmp_path))
    return tmp_path


@pytest.mark.parametrize("task", ["age", "paper-tables"])
def test_missing_predictions_are_named(models, task):
    result = run(task)
    assert result.exit_code == 1
    assert f"{models / 'age' / 'predictions.parquet'}: the predictions are missing" in result.output
    assert "Traceback" not in result.output


def test_damaged_predictions_are_named(models):
    (models / "age").mkdir()
    (models / "age" / "predictions.parquet").write_text("no table")
    result = run("age")
    assert result.exit_code == 1
    assert "predictions.parquet: the predictions cannot be read" in result.output


def test_only_the_test_split_is_measured(models):
    (models / "gender").mkdir()
    rows = pd.DataFrame({"split": ["test", "validation", "calibration"], "label": "male"})
    rows = rows.assign(source="mine", group=range(3), copied=False, p_female=0.0, p_male=1.0)
    rows.to_parquet(models / "gender" / "predictions.parquet")
    result = run("gender")
    assert result.exit_code == 0
    cells = ("mine test", "-", "1", "accuracy", "100.0%", "20.6% to 100.0%")
    assert read_rows(result.stdout)[2:] == [cells]


def test_wrong_attribute():
    result = run("height")
    assert result.exit_code == 2
    assert "is not one of 'age', 'gender', 'emotion', 'ethnicity', 'paper-tables'" in result.output


def test_help_names_what_there_is():
    text = run("--help").stdout
    assert all(name in text for name in ("held-out", "paper-tables", "facekit evaluate gender\n"))
