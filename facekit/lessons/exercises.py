"""Make the exercise notebooks from the solutions, so that the two cannot differ.

A notebook in `notebooks/solutions/` is the only source. Its cells are tagged:

- `solution`: code that solves an exercise. Its first lines are comments that name the variables to
  define, such as ``# `mean_age`: mean predicted age in years`` or
  ``# `compute_iou(box, other)`: intersection over union``. The exercise keeps these lines, followed
  by `# your code` and a stub for each name.
- `check`: code that checks the answer with `check_answer`. The exercise keeps it.
- `answer`: text or code that discusses the solution. The exercise leaves it out.

Other cells, such as the task with its hint, are kept. `python -m facekit.lessons.exercises` writes
all exercises of a checkout.
"""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from nbformat import NotebookNode

TASK = re.compile(r"^# `(?P<name>\w+)(?P<arguments>\([^`]*\))?`", re.MULTILINE)
INTRODUCTION = """\
# {title}: exercises

These are the exercises of lesson [{lesson}](../{file}). Run the cells from top to bottom.
In each exercise, replace `...` with your code. The cell below your code checks your answer.
Each exercise has a hint: click it to open it. If you are stuck, compare your code with the
[solutions](../solutions/{file})."""


def make_exercise(solution: NotebookNode, file: str) -> NotebookNode:
    r"""Return the exercise notebook of a solution notebook, without outputs.

    Args:
        solution: The solution, in nbformat 4.
        file: File name of the lesson, such as `01_datasets.ipynb`.

    Raises:
        ValueError: If the first cell has no title, or a `solution` cell names no variable.

    Example:
        >>> from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook
        >>> cells = [
        ...     new_markdown_cell("# 01 Datasets: solutions"),
        ...     new_code_cell("# `two`: one and one\ntwo = 1 + 1", metadata={"tags": ["solution"]}),
        ... ]
        >>> print(make_exercise(new_notebook(cells=cells), "01_datasets.ipynb").cells[1].source)
        # `two`: one and one
        # your code
        two = ...
    """
    import copy

    exercise = copy.deepcopy(solution)
    title, found, _ = exercise.cells[0].source.partition(": solutions")
    if not found or not title.startswith("# "):
        raise ValueError(f"{file}: the first cell must begin with `# TITLE: solutions`.")
    cells = []
    for cell in exercise.cells[1:]:
        tags = cell.metadata.get("tags", [])
        if "answer" in tags:
            continue
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = [], None
            if "solution" in tags:
                cell.source = make_stub(cell.source, file)
                cell.metadata.tags = [tag for tag in tags if tag != "nbval-ignore-output"]
        cells.append(cell)
    exercise.cells[0].source = INTRODUCTION.format(title=title[2:], lesson=file[:2], file=file)
    exercise.cells = [exercise.cells[0], *cells]
    return exercise


def make_stub(source: str, file: str = "exercise") -> str:
    r"""Return what a student finds in place of a solution.

    Args:
        source: Code of the solution. It begins with comments that name what to define.
        file: Name of the notebook, for the error.

    Raises:
        ValueError: If these comments name nothing.

    Example:
        >>> print(make_stub("# `add(a, b)`: the sum\ndef add(a, b):\n    return a + b"))
        # `add(a, b)`: the sum
        def add(a, b):
            return ...  # your code
    """
    lines = source.splitlines()
    count = next((row for row, line in enumerate(lines) if not line.startswith("#")), len(lines))
    comments = "\n".join(lines[:count])
    tasks = list(TASK.finditer(comments))
    if not tasks:
        raise ValueError(f"{file}: no comment such as # `name`: ... at the top of:\n{source}")
    functions = [
        f"def {task['name']}{task['arguments']}:\n    return ...  # your code"
        for task in tasks
        if task["arguments"]
    ]
    variables = [f"{task['name']} = ..." for task in tasks if not task["arguments"]]
    parts = [comments, *functions]
    if variables:
        parts += ["# your code", *variables]
    return "\n".join(parts)


def write_exercises(notebooks: Path) -> list[Path]:
    """Write the exercises of all solutions, and return their paths.

    Args:
        notebooks: Folder of the course, with the folder `solutions`.

    Raises:
        ValueError: As for `make_exercise`.

    Example:
        >>> write_exercises(Path("notebooks"))  # doctest: +SKIP
    """
    import nbformat

    folder = notebooks / "exercises"
    folder.mkdir(exist_ok=True)
    written = []
    for path in sorted(notebooks.glob("solutions/*.ipynb")):
        exercise = make_exercise(nbformat.read(path, as_version=4), path.name)
        nbformat.write(exercise, folder / path.name)
        written.append(folder / path.name)
    return written


if __name__ == "__main__":
    print(*write_exercises(Path(sys.argv[1] if len(sys.argv) > 1 else "notebooks")), sep="\n")
