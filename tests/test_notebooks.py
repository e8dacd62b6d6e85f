"""Every notebook runs, reproduces its stored outputs, and has the form that the course promises.

`make notebooks` stores the outputs; cells whose numbers differ from machine to machine carry the
tag `nbval-ignore-output`.
"""

import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

ROOT = Path(__file__).parent.parent
NOTEBOOKS = ROOT / "notebooks"
LESSONS = sorted(NOTEBOOKS.glob("*.ipynb"))
SOLUTIONS = sorted(NOTEBOOKS.glob("solutions/*.ipynb"))
REPORTS = sorted(NOTEBOOKS.glob("reports/*.ipynb"))
ALL = [*LESSONS, *SOLUTIONS, *REPORTS]
MAX_BYTES = 6_000_000  # of all together
CELL_SECONDS = 300
# Folders of one machine, unless they are part of a web address or of markup.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/<>-])(/(home|root|tmp|usr|opt|var|mnt|work|content|private|Users|workspace)/\S+|[A-Z]:\\\w+)"
)
PICTURE = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+")


def name_notebook(path: Path) -> str:
    return str(path.relative_to(NOTEBOOKS))


def run_nbval(path: Path) -> subprocess.CompletedProcess:
    """Run a notebook and compare its outputs with the stored ones."""
    command = [
        sys.executable,
        "-m",
        "pytest",
        "--nbval",
        "--nbval-current-env",
        "--nbval-sanitize-with",
        NOTEBOOKS / "nbval.cfg",
        path,
    ]
    # Our settings turn warnings into errors; we cannot fix those of nbval itself.
    options = [
        "-o",
        "filterwarnings=default",
        "--disable-warnings",
        "--color=no",
        "-q",
        f"--nbval-cell-timeout={CELL_SECONDS}",
    ]
    return subprocess.run(
        [*command, *options, "-p", "no:cacheprovider"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )


def list_texts(notebook: nbformat.NotebookNode) -> list[str]:
    """Return the text of all outputs, without pictures."""
    texts = []
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            texts.append(output.get("text", ""))
            texts += [
                text for kind, text in output.get("data", {}).items() if kind.startswith("text/")
            ]
    return [PICTURE.sub("", text) for text in texts]


# === nbval itself ===


def save_small_notebook(path: Path, source: str, stored: str, tags: tuple[str, ...] = ()) -> Path:
    """Write a notebook with one cell that was run and printed `stored`."""
    cell = new_code_cell(
        source,
        execution_count=1,
        outputs=[new_output("stream", name="stdout", text=stored)],
        metadata={"tags": list(tags)},
    )
    kernel = {"name": "python3", "display_name": "Python 3 (ipykernel)", "language": "python"}
    nbformat.write(new_notebook(cells=[cell], metadata={"kernelspec": kernel}), path)
    return path


@pytest.mark.parametrize(
    ("stored", "tags", "passes"),
    [
        ("accuracy 0.6461 at 0xfedcba987654\n", (), True),
        ("accuracy 0.6462 at 0xfedcba987654\n", (), False),  # one digit differs
        ("accuracy 0.6462 at 0xfedcba987654\n", ("nbval-ignore-output",), True),
    ],
)
def test_a_changed_number_fails(tmp_path, stored, tags, passes):
    path = save_small_notebook(
        tmp_path / "small.ipynb",
        "print(f'accuracy {0.64611:.4f} at {hex(id(0) | 2**40)}')",
        stored,
        tags,
    )
    result = run_nbval(path)
    assert (result.returncode == 0) == passes, result.stdout + result.stderr
    if not passes:
        assert "Cell outputs differ" in result.stdout


def test_sanitizing_keeps_numbers():
    text = (NOTEBOOKS / "nbval.cfg").read_text(encoding="utf-8")
    rules = re.findall(r"^regex: (.*)$\n^replace: (.*)$", text, re.MULTILINE)
    assert len(rules) == text.count("regex:") > 0
    for output in (
        "<td>0.6461</td>",
        "accuracy 64.6% of 2,001",
        "5.52 (5.26 to 5.81)",
        "faces 128x128, sha256 0f3a",
        "1.2e-05",
        "2026-11-22",
    ):
        for regex, replacement in rules:
            assert re.sub(regex, replacement, output) == output


# === The notebooks ===


def test_there_are_notebooks():
    assert {path.stem for path in REPORTS} == {"evaluation", "dataset", "photo", "training"}
    assert LESSONS[0].name == "00_start_here.ipynb"
    assert [path.name for path in SOLUTIONS] == [path.name for path in LESSONS], (
        "each lesson has its solutions, and no others"
    )


def test_notebooks_are_small():
    assert sum(path.stat().st_size for path in ALL) < MAX_BYTES


@pytest.mark.parametrize("path", ALL, ids=name_notebook)
class TestForm:
    def test_valid_and_run_in_order(self, path):
        notebook = nbformat.read(path, as_version=4)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), (
            "not run from top to bottom: `make notebooks`"
        )
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)

    def test_one_cell_of_parameters(self, path):
        tagged = [
            cell
            for cell in nbformat.read(path, as_version=4).cells
            if "parameters" in cell.metadata.get("tags", [])
        ]
        assert (
            [cell.cell_type for cell in tagged] == ["code"]
            if path not in SOLUTIONS
            else len(tagged) <= 1
        )

    def test_title(self, path):
        first = nbformat.read(path, as_version=4).cells[0]
        assert first.cell_type == "markdown"
        title = first.source.splitlines()[0]
        assert title.startswith("# ")
        number = path.stem.partition("_")[0]
        if path in LESSONS:
            assert title.startswith(f"# {number} ")
            for part in (
                "**You will learn**",
                "**Before you start**",
                "**Minutes**",
                "mybinder.org",
                path.name,
            ):
                assert part in first.source
        others = [
            line
            for cell in nbformat.read(path, as_version=4).cells
            if cell.cell_type == "markdown"
            for line in cell.source.splitlines()
        ]
        assert sum(line.startswith("# ") for line in others) == 1, "one title"
        if path in LESSONS:
            assert "## Summary" in others
            assert "## Exercises" in others
            assert (
                3
                <= sum(
                    bool(re.match(r"\d\. ", line))
                    for line in others[others.index("## Exercises") :]
                )
                <= 5
            )
            assert f"(solutions/{path.name})" in "\n".join(others)

    def test_nothing_is_defined(self, path):
        """Functions belong in the package, unless the definition is taught (tag `definition`)."""
        for cell in nbformat.read(path, as_version=4).cells:
            if cell.cell_type == "code" and "definition" not in cell.metadata.get("tags", []):
                assert not re.search(r"^\s*(async def|def|class)\s", cell.source, re.MULTILINE), (
                    cell.source
                )

    def test_outputs_are_clean(self, path):
        notebook = nbformat.read(path, as_version=4)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        assert [output.text for output in outputs if output.get("name") == "stderr"] == []
        assert [output for output in outputs if output.output_type == "error"] == []
        for text in list_texts(notebook):
            assert not re.search(r"\bWarning: ", text), text[:2000]
            assert not re.search(r"\d+%\|", text), "a progress bar"

    def test_no_path_of_a_machine(self, path):
        notebook = nbformat.read(path, as_version=4)
        for text in [cell.source for cell in notebook.cells] + list_texts(notebook):
            found = ABSOLUTE_PATH.search(text)
            assert not found, found

    def test_no_times(self, path):
        notebook = nbformat.read(path, as_version=4)
        assert "papermill" not in notebook.metadata
        for cell in notebook.cells:
            assert not {"execution", "ExecuteTime", "papermill"} & set(cell.metadata)

    def test_pictures_have_a_text(self, path):
        for cell in nbformat.read(path, as_version=4).cells:
            for output in cell.get("outputs", ()):
                for kind in ("image/png", "image/jpeg"):
                    if kind in output.get("data", {}):
                        assert output.metadata.get(kind, {}).get("alt"), (
                            f"show(figure, alt) in: {cell.source}"
                        )

    @pytest.mark.slow
    def test_the_stored_outputs_are_reproduced(self, path):
        result = run_nbval(path)
        assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]
