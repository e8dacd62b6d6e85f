"""Each number in the text of a lesson stands in an output or in the code of the same section.

A section goes from one `## ` heading to the next. The introduction, the summary and the quiz may
quote any section. Numbers that no cell computes, such as those of a paper, are listed in the
metadata of the text's cell: `"given": {"89%": "Benchechou et al., Table 2"}`.
"""

import re
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_markdown_cell, new_notebook, new_output

NOTEBOOKS = Path(__file__).parents[2] / "notebooks"
PATHS = [
    path
    for folder in ("", "solutions", "reports")
    for path in sorted((NOTEBOOKS / folder).glob("*.ipynb"))
]
# Sections that may quote all others.
OVERVIEWS = (
    "## the result in words",
    "## summary",
    "## quiz",
    "## exercises",
    "## discussion",
    "## what ",
)
LARGEST_COUNT = 12  # whole numbers up to this one count things that the text itself lists
# What is no statement about a result.
QUIET = re.compile(
    r"^#+ [^\n]*"  # headings
    r"|\*\*Minutes\*\*[^\n]*"
    r"|```.*?```"  # code
    r"|`[^`]*`"
    r"|\$\$.*?\$\$|\$[^$\n]+\$"  # formulas
    r"|\[\d+\](?:\([^)]*\))?"  # sources and lessons
    r"|\[\S+\.ipynb\]|\]\([^)]*\)|https?://\S+|<[^>]+>"  # links and markup
    r"|\b10\.\d{4,}/\S+"  # DOI
    r"|\barXiv[: ]\S+"
    r"|\b[Ll]essons?(?: \d\d(?: to | and |, )?)+"
    r"|\b(?:19|20)\d\d(?:-\d\d-\d\d)?\b(?!%)"  # years and dates
    r"|\b(?:[Tt]ables?|[Ff]igures?|[Ss]ections?|[Ss]teps?|[Aa]rticles?|[Vv]olume|pages?) \d+"
    r"(?:(?:, | and | to )\d+)*"
    r"|\b95% (?:confidence )?intervals?"
    r"|\b[A-Za-z][\w+]*[-+]?\d[\w+]*"  # names such as CK+48, FER2013, x1
    r"|^\s*\d+\. ",
    re.DOTALL | re.MULTILINE,
)
NUMBER = re.compile(r"(?<![\w.])\d[\d,]*(?:\.\d+)?(?:e-?\d+)?%?")


def read_value(text: str) -> tuple[float, int, bool]:
    """Return the value of a number as written, its decimals, and whether it is a percentage."""
    percent, plain = text.endswith("%"), text.rstrip("%").rstrip(",").replace(",", "")
    mantissa = plain.partition("e")[0]
    return float(plain), len(mantissa.partition(".")[2]), percent


def list_numbers(source: str) -> list[str]:
    """Return the numbers that a text states."""
    text = QUIET.sub(" ", source)
    found = (match.group().rstrip(",") for match in NUMBER.finditer(text))
    return [
        each
        for each in found
        if each.endswith("%") or "." in each or read_value(each)[0] > LARGEST_COUNT
    ]


def collect_numbers(cell: nbformat.NotebookNode) -> list[float]:
    """Return the numbers in the code and in the outputs of a cell; a percentage counts twice."""
    texts = [cell.source]
    for output in cell.get("outputs", ()):
        texts.append(output.get("text", ""))
        for kind, text in output.get("data", {}).items():
            if kind == "text/html":
                texts.append(re.sub(r"<style.*?</style>|<[^>]+>", " ", text, flags=re.DOTALL))
            elif kind in ("text/plain", "text/markdown"):
                texts.append(text)
    values = []
    for match in re.finditer(r"(?<![\w.])\d[\d,_]*(?:\.\d*)?(?:e-?\d+)?%?", "\n".join(texts)):
        value, _, percent = read_value(match.group().replace("_", ""))
        values += [value, value / 100] if percent else [value]
    return values


def is_supported(number: str, values: list[float]) -> bool:
    """Return whether a value rounds to the number as it is written."""
    value, decimals, percent = read_value(number)
    half = 0.5 * 10.0**-decimals * (1 + 1e-6)
    scales = (1, 100) if percent else (1,)
    return any(abs(each * scale - value) <= half for each in values for scale in scales)


def find_unsupported(notebook: nbformat.NotebookNode) -> list[tuple[str, str]]:
    """Return the numbers without support, each with the line that states it."""
    sections: list[list[nbformat.NotebookNode]] = [[]]
    for cell in notebook.cells:
        if cell.cell_type == "markdown" and re.search(r"^## ", cell.source, re.MULTILINE):
            sections.append([])
        sections[-1].append(cell)
    everything = [each for cell in notebook.cells if cell.cell_type == "code"
                  for each in collect_numbers(cell)]  # fmt: skip
    missing = []
    for position, section in enumerate(sections):
        first = section[0].source.lower() if section else ""
        overview = position == 0 or any(f"\n{name}" in f"\n{first}" for name in OVERVIEWS)
        own = [each for cell in section if cell.cell_type == "code"
               for each in collect_numbers(cell)]  # fmt: skip
        for cell in section:
            if cell.cell_type != "markdown":
                continue
            given = set(cell.metadata.get("given", {}))
            for number in list_numbers(cell.source):
                if number not in given and not is_supported(
                    number, everything if overview else own
                ):
                    line = next(row for row in cell.source.splitlines() if number in row)
                    missing.append((number, line))
    return missing


@pytest.mark.parametrize(
    ("text", "numbers"),
    [
        ("right on 93.6% of 2,054 faces", ["93.6%", "2,054"]),
        ("three of 12 networks, 5.06 years off", ["5.06"]),
        ("CK+48, FER2013, `0.7`, $x = 0.5$, 2016, lesson 04, [14], Table 20", []),
        ("a 95% interval from 94.3% to 96.9%", ["94.3%", "96.9%"]),
        ("[text](a.html#12.5) and https://a.b/13.7", []),
    ],
)
def test_numbers_of_a_text(text, numbers):
    assert list_numbers(text) == numbers


@pytest.mark.parametrize(
    ("number", "output", "supported"),
    [
        ("93.6%", "accuracy 0.9361", True),
        ("93.6%", "93.6%", True),
        ("94%", "0.936", True),
        ("93.5%", "0.9361", False),
        ("5.06", "5.064 years", True),
        ("5.1", "5.064 years", True),
        ("5.07", "5.064 years", False),
        ("2,054", "of 2054 faces", True),
    ],
)
def test_support(number, output, supported):
    cell = new_code_cell("", outputs=[new_output("stream", text=output)])
    assert is_supported(number, collect_numbers(cell)) == supported


def make_notebook(stored: str, **metadata) -> nbformat.NotebookNode:
    code = new_code_cell("measure()", outputs=[new_output("stream", text=stored)])
    text = new_markdown_cell("The accuracy is 66%.", metadata=metadata)
    return new_notebook(
        cells=[new_markdown_cell("## One"), code, text, new_markdown_cell("## Two")]
    )


def test_a_changed_output_is_found():
    assert find_unsupported(make_notebook("0.66")) == []
    assert find_unsupported(make_notebook("0.71")) == [("66%", "The accuracy is 66%.")]
    assert find_unsupported(make_notebook("0.71", given={"66%": "a paper"})) == []


@pytest.mark.parametrize("path", PATHS, ids=lambda path: str(path.relative_to(NOTEBOOKS)))
def test_the_text_agrees_with_the_outputs(path):
    missing = find_unsupported(nbformat.read(path, as_version=4))
    assert not missing, "\n".join(f"{number}: {line}" for number, line in missing)
