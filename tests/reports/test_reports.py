"""Reports as users make them: real notebooks run by papermill in a kernel of their own, on small inputs."""

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output
from PIL import Image

from facekit.commands import main
from facekit.registry import hash_file
from facekit.reports import (
    BROWSERS,
    NUMBERS_MIME,
    REPORTS,
    ReportError,
    choose_parameters,
    collect_numbers,
    find_commit,
    find_notebook,
    make_plain,
    read_parameters,
    run_report,
    take_fingerprint,
    tell,
)

ROOT = Path(__file__).parents[2]
PARAMETERS = "count = 3  # of rows\nname = 'a'\nshare = 0.5\nmarked = False\nseed = 7"
TOLD = (
    "from facekit.reports import tell, tell_inputs\nimport numpy as np\nimport pandas as pd\n"
    "tell_inputs({'pixels': np.zeros(3)})\n"
    "tell('rows', pd.DataFrame({'row': range(count), 'x': np.random.default_rng(seed).random(count)}))"
)


def make_notebook(path, *sources):
    """Write a notebook with a title, parameters, and cells of these sources."""
    cells = [
        new_markdown_cell("# A small report\n\nWhat it is about."),
        new_code_cell(PARAMETERS, metadata={"tags": ["parameters"]}),
    ]
    cells += [
        new_markdown_cell(text) if text.startswith("#") else new_code_cell(text) for text in sources
    ]
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(
        new_notebook(
            cells=cells, metadata={"kernelspec": kernel, "language_info": {"name": "python"}}
        ),
        path,
    )
    return path


def run(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def load(path, without="provenance"):
    numbers = json.loads(path.read_text(encoding="utf-8"))
    numbers.pop(without)
    return numbers


# === Pieces ===


def test_numbers_become_plain():
    table = pd.DataFrame(
        {"x": [np.float32(1 / 3), np.nan], "y": pd.array([1, None], "Int64"), "z": ["a", None]},
        index=["first", "second"],
    )
    rows = make_plain(table)
    assert rows == [
        {"index": "first", "x": 0.333333, "y": 1, "z": "a"},
        {"index": "second", "x": None, "y": None, "z": None},
    ]
    assert make_plain({1: (np.int64(2), np.bool_(True), float("inf"))}) == {"1": [2, True, None]}
    assert make_plain(pd.DataFrame()) == []


def test_tell_shows_what_it_keeps(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    tell("figures", pd.DataFrame({"value": [0.123456789]}), pd.DataFrame({"value": ["12%"]}))
    assert shown[0][NUMBERS_MIME] == {"figures": [{"value": 0.123457}]}
    assert "12%" in shown[0]["text/html"]
    assert "12%" in shown[0]["text/plain"]


def test_fingerprints(tmp_path):
    first, second = tmp_path / "a", tmp_path / "b"
    first.write_text("a")
    second.write_text("b")
    assert take_fingerprint(first) == hash_file(first)
    assert (
        take_fingerprint([first, second])
        == take_fingerprint([str(second), first])
        != take_fingerprint([first])
    )
    assert take_fingerprint(np.zeros(2)) != take_fingerprint(np.zeros((1, 2)))


def test_files_that_are_missing_have_a_fingerprint_of_their_own(tmp_path):
    here = tmp_path / "a"
    here.touch()
    assert take_fingerprint([here, tmp_path / "none"]) != take_fingerprint([here])


def test_parameters_take_the_type_of_their_default(tmp_path):
    defaults = read_parameters(nbformat.read(make_notebook(tmp_path / "a.ipynb"), 4))
    assert defaults == {"count": 3, "name": "a", "share": 0.5, "marked": False, "seed": 7}
    given = {"count": "5", "name": "5", "share": "1", "marked": "true"}
    assert choose_parameters(defaults, given) == {
        "count": 5,
        "name": "5",
        "share": 1.0,
        "marked": True,
    }
    for wrong, message in (
        ({"size": "1"}, "no parameter 'size'; it has count, name"),
        ({"count": "many"}, "count must be a whole number"),
    ):
        with pytest.raises(ReportError, match=message):
            choose_parameters(defaults, wrong)


def test_commit(tmp_path):
    assert find_commit(tmp_path) is None
    if (ROOT / ".git").exists() and shutil.which("git"):
        assert re.fullmatch("[0-9a-f]{40}( with changes)?", find_commit(ROOT))


@pytest.mark.parametrize("name", REPORTS)
def test_notebooks_are_shipped(name):
    assert find_notebook(name).is_file()
    assert read_parameters(nbformat.read(find_notebook(name), 4))


# === Runs ===


@pytest.fixture(scope="module")
def twice(tmp_path_factory):
    """The same small report, made twice, once where the path has braces and a space."""
    folder = tmp_path_factory.mktemp("small")
    notebook = make_notebook(folder / "source.ipynb", "## Rows\n\nLook & see.", TOLD)
    return [
        run_report("small", folder / place, {"count": "4"}, notebook)
        for place in ("first", "second {place}")
    ]


def test_running_twice_gives_the_same_numbers(twice):
    first, second = (load(report.numbers) for report in twice)
    assert first == second
    assert first["parameters"] == {
        "count": 4,
        "name": "a",
        "share": 0.5,
        "marked": False,
        "seed": 7,
    }
    assert [row["row"] for row in first["numbers"]["rows"]] == [0, 1, 2, 3]
    assert first["inputs"] == [
        {"input": "pixels", "files": 1, "sha256": take_fingerprint(np.zeros(3))}
    ]
    parts = [
        report.numbers.read_text(encoding="utf-8").partition(' "provenance"')[0] for report in twice
    ]
    assert parts[0] == parts[1]


def test_provenance_is_told(twice):
    provenance = json.loads(twice[0].numbers.read_text(encoding="utf-8"))["provenance"]
    assert provenance["seed"] == 7
    assert provenance["packages"]["numpy"] == np.__version__
    assert provenance["python"] == ".".join(map(str, sys.version_info[:3]))
    page = twice[0].page.read_text(encoding="utf-8")
    for told in (
        provenance["created"],
        provenance["created"][:10],
        f"facekit {provenance['facekit']}",
        "seed 7",
        take_fingerprint(np.zeros(3)),
    ):
        assert told in page
    assert provenance["commit"] is None or provenance["commit"] in page


def test_page_stands_alone_and_has_no_code(twice):
    page = twice[0].page.read_text(encoding="utf-8")
    assert "<title>A small report</title>" in page
    assert "Look &amp; see." in page
    assert "tell_inputs" not in page
    assert "default_rng" not in page
    assert not re.search(r"<script|<link|(src|href)=\"(?!#|data:)", page)


def test_notebook_keeps_results_without_times(twice):
    notebook = nbformat.read(twice[0].notebook, 4)
    nbformat.validate(notebook)
    assert collect_numbers(notebook)["rows"][0]["row"] == 0
    assert "papermill" not in notebook.metadata
    assert not any("papermill" in cell.metadata for cell in notebook.cells)


@pytest.mark.skipif(not any(map(shutil.which, BROWSERS)), reason="no browser to print with")
def test_page_is_printed(twice):
    assert twice[0].printed.read_bytes().startswith(b"%PDF")


def test_a_failing_cell_leaves_what_was_done(tmp_path):
    notebook = make_notebook(
        tmp_path / "source.ipynb",
        "## Rows",
        TOLD,
        "## Worse\n\nNow it fails.",
        "raise ValueError('x.csv: <no> good')",
        "print('later')",
    )
    stored = nbformat.read(notebook, 4)
    stored.cells[-1].outputs = [
        new_output("display_data", {NUMBERS_MIME: {"stored": 1}, "text/plain": "of an earlier run"})
    ]
    nbformat.write(stored, notebook)
    (tmp_path / "small.json").write_text("of an earlier run")
    (tmp_path / "small.pdf").write_text("of an earlier run")
    with pytest.raises(
        ReportError,
        match=r"Cell 6 \(In \[3\], under 'Worse'\) failed: ValueError: x.csv: <no> good\n.*small.html",
    ):
        run_report("small", tmp_path, {}, notebook)
    page = (tmp_path / "small.html").read_text(encoding="utf-8")
    assert "This report is not complete." in page
    assert "Cell 6 (In [3]" in page
    assert "&lt;no&gt; good" in page
    assert "<td>2</td>" in page  # the table of rows
    assert not (tmp_path / "small.json").exists()
    assert not (tmp_path / "small.pdf").exists()
    executed = nbformat.read(tmp_path / "small.ipynb", 4)
    assert collect_numbers(executed).keys() == {"inputs", "rows"}


def test_a_dying_kernel_is_told(tmp_path):
    notebook = make_notebook(tmp_path / "source.ipynb", "## Rows", "import os\nos._exit(1)")
    with pytest.raises(ReportError, match=r"Cell 4 \(.*under 'Rows'\) failed: the kernel died"):
        run_report("small", tmp_path, {}, notebook)
    assert "not complete" in (tmp_path / "small.html").read_text(encoding="utf-8")


# === The command ===


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("photo", "--parameters", "photo"), 2, "has not the form NAME=VALUE"),
        (
            ("photo", "--parameters", "foto=x.jpg"),
            1,
            "no parameter 'foto'; it has photo, attributes, min_face",
        ),
        (("photo", "--predictions", "x.csv"), 2, "--predictions is for evaluation"),
        (("evaluation", "--predictions", "none.csv"), 1, "none.csv: no such file"),
        (("weather",), 2, "is not one of 'evaluation', 'dataset', 'photo', 'training'"),
    ],
)
def test_wrong_lines(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, "--output", "made")
    assert (result.exit_code, "Traceback" in result.output) == (code, False)
    assert message in result.output


def test_predictions_that_do_not_fit(tmp_path):
    (tmp_path / "mine.csv").write_text("label,p_male\nmale,0.9\n")
    result = run(
        "evaluation", "--predictions", tmp_path / "mine.csv", "--output", tmp_path / "made"
    )
    assert result.exit_code == 1
    assert (
        "mine.csv: the column `p_male` is alone; add the probability of every other class."
        in result.output
    )
    assert not (tmp_path / "made").exists()


def test_missing_packages(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "papermill", None)
    result = run("photo", "--output", tmp_path)
    assert result.exit_code == 1
    assert "Reports need papermill; run: pip install 'facekit[notebooks]'" in result.output


@pytest.mark.slow
def test_evaluation_of_anybodys_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    labels = random.choice(["happy", "other", "sad"], 90)
    table = pd.DataFrame(
        {
            "label": labels,
            "predicted": np.where(random.random(90) < 0.8, labels, "sad"),
            "camera": random.choice(["a", "b"], 90),
        }
    )
    table.to_csv("mine.csv", index=False)
    result = run(
        "evaluation", "--predictions", "mine.csv", "--parameters", "by=camera", "--output", "made"
    )
    assert result.exit_code == 0, result.output
    numbers = load(tmp_path / "made" / "evaluation.json")
    assert numbers["inputs"] == [
        {"input": "mine.csv", "files": 1, "sha256": hash_file(tmp_path / "mine.csv")}
    ]
    (figure,) = numbers["numbers"]["figures"]
    assert figure["value"] == pytest.approx((table["label"] == table["predicted"]).mean(), abs=1e-4)
    assert [row["class"] for row in numbers["numbers"]["classes"]] == ["happy", "other", "sad"]
    for row in numbers["numbers"]["groups"]:
        own = table[table["camera"] == row["group"]]
        assert (row["count"], row["share"]) == (
            len(own),
            pytest.approx((own["label"] == own["predicted"]).mean(), abs=1e-5),
        )
    assert numbers["numbers"]["areas"] == numbers["numbers"]["calibration"] == []


@pytest.mark.slow
def test_photos_with_and_without_faces(tmp_path, monkeypatch, portraits):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(portraits["astronaut.png"]).save("a.png")
    Image.fromarray(np.full((80, 90, 3), 120, np.uint8)).save("flat.png")
    for name, faces in (("a", 1), ("flat", 0)):
        result = run("photo", "--parameters", f"photo={name}.png", "--output", name)
        assert result.exit_code == 0, result.output
        assert len(load(tmp_path / name / "photo.json")["numbers"]["faces"]) == faces
    assert load(tmp_path / "a" / "photo.json")["inputs"][0]["sha256"] == hash_file(
        tmp_path / "a.png"
    )
    result = run("photo", "photo=none.png", "--output", "none")
    assert result.exit_code == 1
    assert re.search(r"Cell \d+ \(In \[\d+\], under .*FileNotFoundError: none.png", result.output)
    assert "not complete" in (tmp_path / "none" / "photo.html").read_text(encoding="utf-8")


@pytest.mark.slow
def test_dataset_drawn_and_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(
        "dataset", "--parameters", "count=40", "--parameters", "pictures=2", "--output", "drawn"
    )
    assert result.exit_code == 0, result.output
    drawn = load(tmp_path / "drawn" / "dataset.json")["numbers"]
    genders = [row for row in drawn["labels"] if row["attribute"] == "gender"]
    assert sum(row[split] for row in genders for split in ("train", "validation", "test")) == 40
    for index in range(6):
        Image.fromarray(np.random.default_rng(index).integers(0, 255, (48, 48, 3), np.uint8)).save(
            f"{index}.png"
        )
    pd.DataFrame(
        {"path": [f"{index}.png" for index in range(6)], "emotion": ["fear", "anger"] * 3}
    ).to_csv("mine.csv", index=False)
    result = run("dataset", "--parameters", "dataset=mine.csv", "--output", "own")
    assert result.exit_code == 0, result.output
    assert [row["input"] for row in load(tmp_path / "own" / "dataset.json")["inputs"]] == [
        "pictures",
        "mine.csv",
    ]


@pytest.mark.slow
def test_training_of_a_run(tmp_path):
    history = pd.DataFrame(
        {
            "epoch": range(3),
            "loss": [3, 2, 1.5],
            "val_loss": [3, 2, 2.5],
            "years_off": [9, 7, 6],
            "val_years_off": [9, 8, 8.5],
        }
    )
    history.to_csv(tmp_path / "history.csv", index=False)
    (tmp_path / "config.json").write_text(json.dumps({"seed": 3, "epochs": 5, "tasks": ["age"]}))
    result = run("training", "--parameters", f"run={tmp_path}", "--output", tmp_path / "made")
    assert result.exit_code == 0, result.output
    made = json.loads((tmp_path / "made" / "training.json").read_text(encoding="utf-8"))
    assert made["provenance"]["seed"] == 3
    assert made["numbers"]["course"][1] == {
        "metric": "years_off", "training": 7, "validation": 8, "gap": 1, "last_training": 6, "last_validation": 8.5,
    }  # fmt: skip
    assert made["numbers"]["figures"] == []
