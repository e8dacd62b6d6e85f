"""Notebooks have the form that the course promises: parts, links, minutes, slides, outputs."""

import math
import re
from pathlib import Path

import nbformat
import pytest

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
GLOSSARY = NOTEBOOKS / "99_glossary.ipynb"
LESSONS = [path for path in sorted(NOTEBOOKS.glob("*.ipynb")) if path != GLOSSARY]
SOLUTIONS = sorted(NOTEBOOKS.glob("solutions/*.ipynb"))
REPORTS = sorted(NOTEBOOKS.glob("reports/*.ipynb"))
ALL = [*LESSONS, GLOSSARY, *SOLUTIONS, *REPORTS]
NEED_TENSORFLOW = {"10_emotion.ipynb", "11_gender.ipynb", "12_age.ipynb"}
MAX_BYTES = 9_000_000  # of all together
COLAB_INSTALL = "%pip install 'facekit[train,notebooks] @ git+https://github.com/facekit/facekit'"
# How minutes are estimated, for a reader whose second language is English.
WORDS_PER_MINUTE = 110
SECONDS_PER_LINE_OF_CODE = 4
SECONDS_PER_FIGURE = 20
MINUTES_PER_EXERCISE = 8
# Folders of one machine, unless they are part of a web address or of markup.
ABSOLUTE_PATH = re.compile(
    r"(?<![\w.:/<>-])(/(home|root|tmp|usr|opt|var|mnt|work|content|private|Users|workspace)/\S+|[A-Z]:\\\w+)"
)
PICTURE = re.compile(r"data:image/[a-z+]+;base64,[A-Za-z0-9+/=]+")


def name_notebook(path: Path) -> str:
    return str(path.relative_to(NOTEBOOKS))


def read(path: Path) -> nbformat.NotebookNode:
    return nbformat.read(path, as_version=4)


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


def join_text(notebook: nbformat.NotebookNode) -> str:
    return "\n".join(cell.source for cell in notebook.cells if cell.cell_type == "markdown")


def shows_picture(cell: nbformat.NotebookNode) -> bool:
    return any(
        kind.startswith("image/")
        for output in cell.get("outputs", ())
        for kind in output.get("data", {})
    )


def shows_table(cell: nbformat.NotebookNode) -> bool:
    return any("text/html" in output.get("data", {}) for output in cell.get("outputs", ()))


def estimate_minutes(lesson: nbformat.NotebookNode) -> tuple[int, int]:
    """Return the minutes of a lesson and of its exercises, each rounded up to 5."""
    text = join_text(lesson)
    words = len(re.findall(r"\w+", re.sub(r"<[^>]+>|\]\([^)]*\)", " ", text)))
    code = [cell for cell in lesson.cells if cell.cell_type == "code"]
    lines = sum(len(cell.source.splitlines()) for cell in code)
    seconds = SECONDS_PER_LINE_OF_CODE * lines + SECONDS_PER_FIGURE * sum(map(shows_picture, code))
    minutes = words / WORDS_PER_MINUTE + seconds / 60
    exercises = MINUTES_PER_EXERCISE * len(find_exercises(text))
    return 5 * math.ceil(minutes / 5), 5 * math.ceil(exercises / 5)


def find_exercises(text: str) -> list[str]:
    """Return the titles of the exercises that a lesson lists."""
    found = text.partition("\n## Exercises")[2].partition("\n## ")[0]
    return re.findall(r"^\d\. \*\*(.+?)\.?\*\*", found, re.MULTILINE)


def choose_slide(cell: nbformat.NotebookNode) -> str:
    """Return the slide type of a cell, so that `jupyter nbconvert --to slides` gives a lecture."""
    if cell.cell_type == "markdown":
        if cell.source.startswith("#"):
            return "slide"
        return "fragment" if "$$" in cell.source else "notes"
    return "subslide" if shows_picture(cell) or shows_table(cell) else "skip"


def test_there_are_notebooks():
    assert {path.stem for path in REPORTS} == {"evaluation", "dataset", "photo", "training"}
    assert LESSONS[0].name == "00_start_here.ipynb"
    assert [path.name for path in SOLUTIONS] == [path.name for path in LESSONS], (
        "each lesson has its solutions, and no others"
    )


def test_notebooks_are_small():
    assert sum(path.stat().st_size for path in ALL) < MAX_BYTES


@pytest.mark.parametrize("path", ALL, ids=name_notebook)
class TestEach:
    def test_valid_and_run_in_order(self, path):
        notebook = read(path)
        nbformat.validate(notebook)
        code = [cell for cell in notebook.cells if cell.cell_type == "code"]
        assert [cell.execution_count for cell in code] == list(range(1, len(code) + 1)), (
            "not run from top to bottom: `make notebooks`"
        )
        assert len({cell.id for cell in notebook.cells}) == len(notebook.cells)

    def test_one_cell_of_parameters(self, path):
        tagged = [
            cell for cell in read(path).cells if "parameters" in cell.metadata.get("tags", [])
        ]
        assert all(cell.cell_type == "code" for cell in tagged)
        assert len(tagged) <= 1
        assert tagged or path in [*SOLUTIONS, GLOSSARY]

    def test_one_title(self, path):
        notebook = read(path)
        assert notebook.cells[0].cell_type == "markdown"
        assert notebook.cells[0].source.startswith("# ")
        lines = join_text(notebook).splitlines()
        assert sum(line.startswith("# ") for line in lines) == 1

    def test_nothing_is_defined(self, path):
        """Functions belong in the package, unless the definition is taught."""
        for cell in read(path).cells:
            taught = {"definition", "solution"} & set(cell.metadata.get("tags", []))
            if cell.cell_type == "code" and not taught:
                assert not re.search(r"^\s*(async def|def|class)\s", cell.source, re.MULTILINE), (
                    cell.source
                )

    def test_outputs_are_clean(self, path):
        notebook = read(path)
        outputs = [output for cell in notebook.cells for output in cell.get("outputs", ())]
        assert [output.text for output in outputs if output.get("name") == "stderr"] == []
        assert [output for output in outputs if output.output_type == "error"] == []
        for text in list_texts(notebook):
            assert not re.search(r"\bWarning: ", text), text[:2000]
            assert not re.search(r"\d+%\|", text), "a progress bar"

    def test_no_path_of_a_machine(self, path):
        notebook = read(path)
        for text in [cell.source for cell in notebook.cells] + list_texts(notebook):
            found = ABSOLUTE_PATH.search(text)
            assert not found, found

    def test_no_times(self, path):
        notebook = read(path)
        assert "papermill" not in notebook.metadata
        for cell in notebook.cells:
            assert not {"execution", "ExecuteTime", "papermill"} & set(cell.metadata)

    def test_pictures_have_a_text(self, path):
        for cell in read(path).cells:
            for output in cell.get("outputs", ()):
                for kind in ("image/png", "image/jpeg"):
                    if kind in output.get("data", {}):
                        assert output.metadata.get(kind, {}).get("alt"), (
                            f"show(figure, alt) in: {cell.source}"
                        )

    def test_links_lead_to_files_and_headings(self, path):
        for target in re.findall(r"\]\((?!https?://)([^)\s]+)\)", join_text(read(path))):
            name, _, anchor = target.partition("#")
            found = (path.parent / name) if name else path
            assert found.exists(), target
            if anchor and found.suffix == ".ipynb":
                headings = re.findall(r"^#+ (.+)$", join_text(read(found)), re.MULTILINE)
                assert anchor in {heading.replace(" ", "-") for heading in headings}, target


@pytest.mark.parametrize("path", LESSONS, ids=name_notebook)
class TestLessons:
    def test_introduction(self, path):
        first = read(path).cells[0].source
        assert first.startswith(f"# {path.name[:2]} ")
        for part in ("You will learn", "Before you start", "Minutes", "Sources"):
            assert f"**{part}**" in first
        assert ("colab.research" in first) == (path.name in NEED_TENSORFLOW)
        assert ("mybinder.org" in first) == (path.name not in NEED_TENSORFLOW)
        assert (COLAB_INSTALL in first) == (path.name in NEED_TENSORFLOW)
        assert path.name in first

    def test_sources_have_an_address(self, path):
        sources = read(path).cells[0].source.partition("**Sources**")[2]
        assert re.search(r"https://(doi\.org|arxiv\.org)/", sources)

    def test_last_parts(self, path):
        headings = re.findall(r"^## (.+)$", join_text(read(path)), re.MULTILINE)
        parts = ["Summary", "Quiz", "Exercises", "Next"]
        assert [each for each in headings if each in parts] == parts

    def test_three_questions_with_folded_answers(self, path):
        quiz = join_text(read(path)).partition("\n## Quiz")[2].partition("\n## ")[0]
        assert quiz.count("<details>") == quiz.count("</details>") == 3

    def test_minutes(self, path):
        lesson = read(path)
        minutes, exercises = estimate_minutes(lesson)
        stated = re.search(
            r"\*\*Minutes\*\*: (\d+) \(lesson (\d+), exercises (\d+)\)", lesson.cells[0].source
        )
        assert stated, "**Minutes**: 45 (lesson 30, exercises 15)"
        assert [int(each) for each in stated.groups()] == [minutes + exercises, minutes, exercises]

    def test_slides(self, path):
        for cell in read(path).cells:
            slide = cell.metadata.get("slideshow", {}).get("slide_type")
            assert slide == choose_slide(cell), cell.source

    def test_lines_of_code_are_short(self, path):
        for cell in read(path).cells:
            if cell.cell_type == "code":
                assert max(map(len, cell.source.splitlines())) <= 88, cell.source


def test_links_to_the_glossary_come_in_every_lesson():
    for path in LESSONS:
        assert f"]({GLOSSARY.name}#" in join_text(read(path)), path.name


def test_the_map_in_the_first_lesson_states_the_minutes_of_each():
    text = join_text(read(LESSONS[0]))
    for path in LESSONS:
        row = re.search(rf"\]\({path.name}\) \|[^|]*\| (\d+) \|", text)
        assert row, path.name
        assert int(row[1]) == sum(estimate_minutes(read(path))), path.name
