"""Exercises come from the solutions, and each of them checks its answer."""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook

from facekit.lessons.exercises import TASK, make_exercise, make_stub, write_exercises

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
SOLUTIONS = sorted(NOTEBOOKS.glob("solutions/*.ipynb"))
HEADING = re.compile(r"^## \d\. (.+)$", re.MULTILINE)


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


def has_tag(cell: nbformat.NotebookNode, tag: str) -> bool:
    return tag in cell.metadata.get("tags", [])


def split_exercises(notebook: nbformat.NotebookNode) -> dict[str, list[nbformat.NotebookNode]]:
    """Return the cells of each exercise by its title."""
    parts: dict[str, list[nbformat.NotebookNode]] = {}
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and (title := HEADING.search(cell.source)):
            parts[title[1]] = []
        if parts:
            parts[list(parts)[-1]].append(cell)
    return parts


@pytest.mark.parametrize("path", SOLUTIONS, ids=lambda path: path.name)
class TestEach:
    def test_exercises_are_made_from_the_solutions(self, path):
        made, stored = (
            make_exercise(read(path), path.name),
            read(NOTEBOOKS / "exercises" / path.name),
        )
        assert made == stored, "run: python -m facekit.lessons.exercises"

    def test_each_exercise_has_a_hint_a_stub_and_a_check(self, path):
        parts = split_exercises(read(path))
        assert 3 <= len(parts) <= 5
        for title, cells in parts.items():
            text = "\n".join(cell.source for cell in cells if cell.cell_type == "markdown")
            assert text.count("<summary>Hint</summary>") >= 1, title
            solutions = [cell for cell in cells if has_tag(cell, "solution")]
            checks = [cell for cell in cells if has_tag(cell, "check")]
            assert solutions, title
            assert checks, title
            for cell in checks:
                assert "check_answer(" in cell.source, title
            names = {task["name"] for cell in solutions for task in TASK.finditer(cell.source)}
            unchecked = [
                name
                for name in names
                if not any(re.search(rf"\b{name}\b", cell.source) for cell in checks)
            ]
            assert not unchecked, f"{title}: {unchecked}"

    def test_the_lesson_lists_the_same_exercises(self, path):
        lesson = read(NOTEBOOKS / path.name)
        text = "\n".join(cell.source for cell in lesson.cells if cell.cell_type == "markdown")
        listed = text.partition("\n## Exercises")[2].partition("\n## ")[0]
        assert re.findall(r"^\d\. \*\*(.+?)\.?\*\*", listed, re.MULTILINE) == [
            title.rstrip(".") for title in split_exercises(read(path))
        ]
        assert f"(exercises/{path.name})" in listed
        assert f"(solutions/{path.name})" in listed


SMALL = new_notebook(
    cells=[
        new_markdown_cell("# 01 Datasets: solutions\n\nOf lesson 01."),
        new_code_cell("faces = [1, 2, 3]"),
        new_markdown_cell("## 1. Count\n\nCount the faces."),
        new_code_cell(
            "# `count`: number of faces\ncount = len(faces)",
            execution_count=2,
            metadata={"tags": ["solution"]},
        ),
        new_code_cell("check_answer('count', count, 3)", metadata={"tags": ["check"]}),
        new_markdown_cell("There are three.", metadata={"tags": ["answer"]}),
    ]
)


def test_solutions_become_stubs_and_answers_go():
    sources = [cell.source for cell in make_exercise(SMALL, "01_datasets.ipynb").cells]
    assert sources[0].startswith("# 01 Datasets: exercises\n")
    assert "(../solutions/01_datasets.ipynb)" in sources[0]
    assert sources[1:] == [
        "faces = [1, 2, 3]",
        "## 1. Count\n\nCount the faces.",
        "# `count`: number of faces\n# your code\ncount = ...",
        "check_answer('count', count, 3)",
    ]
    assert SMALL.cells[3].source.endswith("len(faces)")  # the solution is left as it is


@pytest.mark.parametrize(
    ("source", "stub"),
    [
        (
            "# `low`: the lower end\n# `high`: the upper end\nlow, high = 1, 2",
            "# `low`: the lower end\n# `high`: the upper end\n# your code\nlow = ...\nhigh = ...",
        ),
        (
            "# `square(x)`: x times x\ndef square(x):\n    return x * x",
            "# `square(x)`: x times x\ndef square(x):\n    return ...  # your code",
        ),
    ],
)
def test_stubs(source, stub):
    assert make_stub(source) == stub


def test_a_solution_without_a_task_is_an_error():
    with pytest.raises(ValueError, match="no comment such as"):
        make_stub("low = 1  # `low`: not at the top")
    with pytest.raises(ValueError, match="must begin with `# TITLE: solutions`"):
        make_exercise(new_notebook(cells=[new_markdown_cell("# Title")]), "01_datasets.ipynb")


def test_exercises_are_written(tmp_path):
    (tmp_path / "solutions").mkdir()
    nbformat.write(SMALL, tmp_path / "solutions" / "01_datasets.ipynb")
    assert write_exercises(tmp_path) == [tmp_path / "exercises" / "01_datasets.ipynb"]
    assert (
        read(tmp_path / "exercises" / "01_datasets.ipynb").cells[3].source.endswith("count = ...")
    )


@pytest.mark.slow
def test_an_exercise_without_an_answer_stops_with_one_sentence(tmp_path):
    """A student who runs an exercise as it is learns what to do."""
    client = pytest.importorskip("nbclient")
    path = NOTEBOOKS / "exercises" / "05_evaluation.ipynb"
    notebook = read(path)
    client.NotebookClient(
        notebook, allow_errors=True, resources={"metadata": {"path": str(path.parent)}}
    ).execute()
    for cell in notebook.cells:
        errors = [each for each in cell.get("outputs", ()) if each.output_type == "error"]
        if has_tag(cell, "check"):
            assert errors, cell.source
            assert errors[0].ename == "AnswerError"
            assert errors[0].traceback == [errors[0].evalue]
        else:
            assert not errors, cell.source
