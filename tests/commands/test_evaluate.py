"""The command `facekit evaluate`, on the shipped predictions and where there are none."""

import re
import shutil
from pathlib import Path

import pandas as pd
import pytest
from click.testing import CliRunner

from facekit.commands import main
from facekit.datasets.catalogue import DATASETS
from facekit.datasets.synthetic import compose_crowds, make_synthetic
from facekit.evaluation.figures import format_cells
from facekit.registry import TaskEntry, find_model, get_models_dir, load_index


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
        source = figure["source"]
        row = (f"{source} test", DATASETS[source].protocol, *format_cells(figure))
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
    cells = ("mine test", "-", "1", "accuracy", "100.0%", "20.7% to 100.0%")
    assert read_rows(result.stdout)[2:] == [cells]


def test_wrong_attribute():
    result = run("height")
    assert result.exit_code == 2
    assert "is not one of 'age', 'gender', 'emotion', 'ethnicity', 'paper-tables'" in result.output


def test_options_of_datasets_need_one():
    result = run("faces")
    assert result.exit_code == 2
    assert "'faces' is not one of 'age', " in result.output
    assert "models need --manifest" in result.output
    result = run("age", "--split", "all")
    assert result.exit_code == 2
    assert "--split needs --manifest" in result.output


class TestDatasets:
    @pytest.fixture
    def table(self, save_noise, tmp_path) -> Path:
        rows = [
            f"{save_noise(tmp_path / f'{index}.jpg', index).name},{gender},{index + 1}"
            for index, gender in enumerate(("female", "male", "female"))
        ]
        (tmp_path / "mine.csv").write_text("\n".join(["path,gender,age", *rows]))
        return tmp_path / "mine.csv"

    def test_all_models_on_an_own_csv(self, table, tmp_path):
        result = run("--manifest", table, "--data", tmp_path)
        assert result.exit_code == 0
        titles = [line for line in result.stdout.splitlines() if ", model " in line]
        assert titles == ["age, model faces", "gender, model faces"]
        figures = {row[2]: row for row in read_rows(result.stdout)}
        assert figures["mean absolute error, years"][:2] == ("mine", "3")
        assert figures["accuracy, aged 3 and up"][:2] == ("mine", "1")
        assert figures["recall, female"][:2] == ("mine", "2")
        assert (tmp_path / "prepared" / "mine-134x3-1.4.npz").is_file()

    def test_one_model_without_constants(self, table, tmp_path, monkeypatch):
        models = tmp_path / "models"
        shutil.copytree(get_models_dir(), models, ignore=shutil.ignore_patterns("fusion.json"))
        monkeypatch.setenv("FACEKIT_MODELS", str(models))
        result = run("gender", "--manifest", table, "--data", tmp_path)
        assert result.exit_code == 0
        assert result.stdout.startswith("gender, model faces\n")
        assert "age, model" not in result.stdout

    @pytest.mark.parametrize(
        ("arguments", "code", "message"),
        [
            (["emotion"], 1, "`manifest` must have labels that emotion predicts; it has age, gend"),
            (["shoes"], 1, "no model is listed for 'shoes'"),
            (["paper-tables"], 2, "paper-tables does not take --manifest"),
            (["--split", "dev"], 2, "--split must be one of train, .*, all; got dev"),
            (["--split", "test"], 1, "`split` must have faces; test has none. There are 3 of no s"),
        ],
    )
    def test_what_does_not_fit(self, arguments, code, message, table, tmp_path):
        result = run(*arguments, "--manifest", table, "--data", tmp_path)
        assert result.exit_code == code
        assert re.search(message, result.output)
        assert "Traceback" not in result.output

    def test_a_missing_dataset_says_where_to_get_it(self, tmp_path):
        result = run("--manifest", "fairface", "--data", tmp_path)
        assert result.exit_code == 1
        assert "fairface is not there; get it from https://github.com/joojs" in result.output


def test_help_names_what_there_is():
    text = run("--help").stdout
    assert all(name in text for name in ("held-out", "paper-tables", "facekit evaluate gender\n"))


def test_verification_shows_the_figures_of_the_index():
    result = run("verification")
    assert result.exit_code == 0
    rows = {row[0]: row for row in read_rows(result.stdout)}
    for entry in load_index().models.values():
        for figure in entry.tasks.get("embedding", TaskEntry()).metrics.get("figures", ()):
            assert rows[entry.name][1] == str(figure["count"])
            assert rows[entry.name][2].startswith(f"{figure['value']:.1%} ({figure['low']:.1%}")


@pytest.fixture(scope="module")
def crowd(tmp_path_factory) -> Path:
    """The table of one composed photo."""
    folder = tmp_path_factory.mktemp("crowds")
    compose_crowds(make_synthetic(folder / "faces", count=6), folder / "crowd", count=1)
    return folder / "crowd" / "faces.csv"


class TestPhotos:
    """`facekit evaluate photos` on a composed crowd."""

    @pytest.mark.parametrize("detector", [(), ("--detector", "yunet")])
    def test_each_figure_has_a_count_and_an_interval(self, detector, crowd):
        result = run("photos", "--manifest", crowd, *detector)
        assert result.exit_code == 0, result.output
        rows = read_rows(result.stdout)[2:]
        assert [row[:2] for row in rows][:1] == [("found", "all")]
        faces = len(pd.read_csv(crowd))
        assert rows[0][2] == str(faces)
        for _, _, count, share, interval in rows:
            assert 0 < int(count) <= faces
            low, high = map(float, re.findall(r"([\d.]+)%", interval))
            assert low <= float(share.rstrip("%")) <= high

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (("photos",), "photos needs --manifest"),
            (("photos", "--manifest", "x.csv", "--split", "test"), "does not take --split"),
            (("gender", "--detector", "yunet"), "--detector is for photos"),
            (("verification", "--manifest", "x.csv"), "verification does not take --manifest"),
        ],
    )
    def test_wrong_usage(self, arguments, message):
        result = run(*arguments)
        assert result.exit_code == 2
        assert message in result.output

    def test_a_missing_dataset_is_named(self, tmp_path):
        result = run("photos", "--manifest", tmp_path / "gone.csv")
        assert result.exit_code == 1
        assert "gone.csv" in result.output
