"""Reports as users make them: small notebooks, run by papermill in a kernel of their own."""

import json
import re
import shutil
import sys
from pathlib import Path

import nbformat
import numpy as np
import pandas as pd
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

from facekit.registry import hash_file
from facekit.reports import (
    BROWSERS,
    NUMBERS_MIME,
    REPORTS,
    ParameterError,
    ReportError,
    choose_parameters,
    collect_numbers,
    find_commit,
    find_notebook,
    make_plain,
    read_parameters,
    render_page,
    report_inputs,
    report_numbers,
    run_report,
    take_fingerprint,
    tell,
    tell_inputs,
)

ROOT = Path(__file__).parents[2]
PARAMETERS = "count = 3  # of rows\nname = 'a'\nshare = 0.5\nmarked = False\nseed = 7"
CELLS = (
    "from facekit.reports import report_inputs, report_numbers\n"
    "import numpy as np\nimport pandas as pd\n"
    "report_inputs({'pixels': np.zeros(3)})\n"
    "numbers = np.random.default_rng(seed).random(count)\n"
    "report_numbers('rows', pd.DataFrame({'row': range(count), 'x': numbers}))"
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


def test_what_is_kept_is_shown(monkeypatch):
    shown = []
    monkeypatch.setattr("IPython.display.display", lambda bundle, raw: shown.append(bundle))
    assert (tell, tell_inputs) == (report_numbers, report_inputs)  # names in use
    report_numbers(
        "figures", pd.DataFrame({"value": [0.123456789]}), pd.DataFrame({"value": ["12%"]})
    )
    assert shown[0][NUMBERS_MIME] == {"figures": [{"value": 0.123457}]}
    assert "12%" in shown[0]["text/html"]
    assert "12%" in shown[0]["text/plain"]
    report_numbers("faces", {"count": 3}, caption="Table 1. Faces < 4.")
    assert "<caption>Table 1. Faces &lt; 4.</caption>" in shown[1]["text/html"]
    assert shown[1]["text/plain"].startswith("Table 1. Faces < 4.\n")


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
    notebook = make_notebook(folder / "source.ipynb", "## Rows\n\nLook & see.", CELLS)
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


def test_provenance_is_shown(twice):
    provenance = json.loads(twice[0].numbers.read_text(encoding="utf-8"))["provenance"]
    assert provenance["seed"] == 7
    assert provenance["packages"]["numpy"] == np.__version__
    assert provenance["python"] == ".".join(map(str, sys.version_info[:3]))
    page = twice[0].page.read_text(encoding="utf-8")
    for shown in (
        provenance["created"],
        provenance["created"][:10],
        f"facekit {provenance['facekit']}",
        "seed 7",
        take_fingerprint(np.zeros(3)),
        f"A small report, made with facekit version {provenance['facekit']}",  # cite as
    ):
        assert shown in page
    assert provenance["commit"] is None or provenance["commit"] in page


def test_page_stands_alone_and_has_no_code(twice):
    page = twice[0].page.read_text(encoding="utf-8")
    assert "<title>A small report</title>" in page
    assert "Look &amp; see." in page
    assert "report_inputs" not in page
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
        CELLS,
        "## Worse\n\nNow it fails.",
        "raise ValueError('x.csv: <no> good')",
        "print('later')",
    )
    stored = nbformat.read(notebook, 4)
    stored.cells[-1].outputs = [
        new_output("display_data", {NUMBERS_MIME: {"stored": 1}, "text/plain": "of an earlier run"})
    ]
    nbformat.write(stored, notebook)
    with pytest.raises(
        ReportError,
        match=(
            r"Cell 6 \(In \[3\], under 'Worse'\) failed: ValueError: x.csv: <no> good\n"
            r"The report up to there is in .*small-incomplete.html"
        ),
    ):
        run_report("small", tmp_path, {}, notebook)
    page = (tmp_path / "small-incomplete.html").read_text(encoding="utf-8")
    assert "This report is not complete." in page
    assert "Cell 6 (In [3]" in page
    assert "&lt;no&gt; good" in page
    assert "<td>2</td>" in page  # the table of rows
    assert {path.name for path in tmp_path.iterdir()} == {
        "source.ipynb",
        "small-incomplete.html",
        "small-incomplete.ipynb",
    }
    executed = nbformat.read(tmp_path / "small-incomplete.ipynb", 4)
    assert collect_numbers(executed).keys() == {"inputs", "rows"}


def test_a_dying_kernel_is_reported(tmp_path):
    notebook = make_notebook(tmp_path / "source.ipynb", "## Rows", "import os\nos._exit(1)")
    with pytest.raises(ReportError, match=r"Cell 4 \(.*under 'Rows'\) failed: the kernel died"):
        run_report("small", tmp_path, {}, notebook)
    assert "not complete" in (tmp_path / "small-incomplete.html").read_text(encoding="utf-8")


# === Files of the user ===


def test_a_report_replaces_its_own_files_only(tmp_path):
    notebook = make_notebook(tmp_path / "source.ipynb", "## Rows", CELLS)
    made = run_report("small", tmp_path / "made", {}, notebook)
    again = run_report("small", tmp_path / "made", {"count": "5"}, notebook)
    assert again == made
    assert load(again.numbers)["parameters"]["count"] == 5
    names = {path.name for path in (tmp_path / "made").iterdir()}
    assert names <= {f"small.{end}" for end in ("html", "ipynb", "json", "pdf")}
    before = {path: path.read_bytes() for path in (tmp_path / "made").iterdir()}
    broken = make_notebook(tmp_path / "broken.ipynb", "## Rows", "raise ValueError('no')")
    for _ in range(2):  # a failing report leaves the last complete one as it is
        with pytest.raises(ReportError, match=r"small-incomplete.html"):
            run_report("small", tmp_path / "made", {}, broken)
        assert {path: path.read_bytes() for path in before} == before
        assert len(list((tmp_path / "made").iterdir())) == len(before) + 2
    run_report("small", tmp_path / "made", {}, notebook)
    assert set((tmp_path / "made").iterdir()) == set(before)


@pytest.mark.parametrize("ending", ["html", "ipynb", "json", "pdf"])
def test_foreign_files_are_never_replaced(tmp_path, ending):
    notebook = make_notebook(tmp_path / "source.ipynb", "## Rows", CELLS)
    mine = tmp_path / f"small.{ending}"
    mine.write_text('{"metadata": {}}')
    with pytest.raises(ReportError, match=rf"small.{ending}: exists, and was not written by"):
        run_report("small", tmp_path, {}, notebook)
    assert mine.read_text() == '{"metadata": {}}'
    assert set(tmp_path.iterdir()) == {notebook, mine}


def test_folders_and_links_in_place_of_files_are_refused(tmp_path):
    notebook = make_notebook(tmp_path / "source.ipynb", "## Rows", CELLS)
    (tmp_path / "small.html").mkdir()
    (tmp_path / "other.json").symlink_to(tmp_path / "nowhere")
    for name in ("small", "other"):
        with pytest.raises(ReportError, match="choose another folder"):
            run_report(name, tmp_path, {}, notebook)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        ("raise ParameterError('The parameter count is odd.')", "^The parameter count is odd.$"),
        (
            "with explain_parameter('name'):\n    open('none.txt')",
            "^The parameter name does not fit: .*none.txt",
        ),
        ("require_number('seed', 'x', 0, 9)", "^The parameter seed must be .* 0 to 9; got 'x'.$"),
    ],
)
def test_a_wrong_parameter_is_one_sentence(tmp_path, error, message):
    names = "ParameterError, explain_parameter, require_number"
    cell = f"from facekit.reports import {names}\n{error}"
    notebook = make_notebook(tmp_path / "source.ipynb", "## Rows", cell)
    with pytest.raises(ParameterError, match=message):
        run_report("small", tmp_path / "made", {}, notebook)
    assert not (tmp_path / "made").exists()


def test_a_notebook_without_parameters(tmp_path):
    notebook = nbformat.read(make_notebook(tmp_path / "a.ipynb"), 4)
    notebook.cells = notebook.cells[:1]
    with pytest.raises(ReportError, match="a cell with the tag `parameters`"):
        read_parameters(notebook)


def test_the_frame_of_a_page():
    page = render_page("Faces <1>", "<p>none</p>", 'a "program"')
    assert "<title>Faces &lt;1&gt;</title>" in page
    assert "<p>none</p>" in page
    assert page.count("<style>") == 1
    assert "a &quot;program&quot;" in page
