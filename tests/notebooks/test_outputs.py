"""Every notebook runs and reproduces its stored outputs.

`make notebooks` stores the outputs. Cells whose numbers differ between machines carry the tag
`nbval-ignore-output`, and check the range of these numbers instead.
"""

import json
import re
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from nbformat.v4 import new_code_cell, new_notebook, new_output

from facekit.reports import run_report
from facekit.reports.numbers import NUMBERS_MIME

ROOT = Path(__file__).parents[2]
NOTEBOOKS = ROOT / "notebooks"
PHOTO_REPORT = NOTEBOOKS / "reports" / "photo.ipynb"
FOLDERS = ("", "solutions", "reports")
ALL = [
    path
    for folder in FOLDERS
    for path in sorted((NOTEBOOKS / folder).glob("*.ipynb"))
    if path.name != "99_glossary.ipynb"  # which has no code
]
CELL_SECONDS = 300
EXPECTED = re.compile(r": (\S+), expected (\S+) to (\S+)\.$", re.MULTILINE)  # of check_range


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


# === Notebooks ===


def shows_numbers(cell: nbformat.NotebookNode) -> bool:
    """Return whether a cell's outputs hold numbers as text, other than in widgets and pictures."""
    for output in cell.outputs:
        data = output.get("data", {})
        if any(kind.startswith(("image/", "application/vnd.jupyter.widget")) for kind in data):
            continue
        if data.get("text/html", "").startswith('<p class="caption">'):
            continue
        if re.search(r"\d", output.get("text", "") + data.get("text/plain", "")):
            return True
    return False


@pytest.mark.parametrize("path", ALL, ids=name_notebook)
def test_numbers_that_are_not_compared_have_a_range(path):
    for cell in nbformat.read(path, as_version=4).cells:
        if "nbval-ignore-output" in cell.metadata.get("tags", []) and shows_numbers(cell):
            # The fingerprint of decoded pixels may differ between versions of a decoder.
            checked = ["check_range(", "report_inputs("]
            if path == PHOTO_REPORT:  # a test below compares its many digits
                checked.append('report_numbers(\n    "faces"')
            assert any(call in cell.source for call in checked), cell.source


@pytest.mark.parametrize("path", ALL, ids=name_notebook)
def test_stored_results_lie_in_their_range(path):
    """Nbval does not compare them."""
    for cell in nbformat.read(path, as_version=4).cells:
        if cell.cell_type != "code" or "check_range(" not in cell.source:
            continue
        printed = "".join(output.get("text", "") for output in cell.outputs)
        found = EXPECTED.findall(printed)
        assert found, cell.source
        for value, low, high in found:
            assert float(low) <= float(value) <= float(high), printed


@pytest.mark.slow
@pytest.mark.parametrize("path", ALL, ids=name_notebook)
def test_the_stored_outputs_are_reproduced(path):
    result = run_nbval(path)
    assert result.returncode == 0, result.stdout[-6000:] + result.stderr[-2000:]


@pytest.mark.slow
def test_the_photo_report_finds_the_same_faces_as_the_stored_one(tmp_path):
    """Within a tolerance: the last digits differ between processors."""
    made = run_report("photo", tmp_path / "report")
    found = json.loads(made.numbers.read_text(encoding="utf-8"))["numbers"]["faces"]
    stored = [
        face
        for cell in nbformat.read(PHOTO_REPORT, as_version=4).cells
        for output in cell.get("outputs", ())
        for face in output.get("data", {}).get(NUMBERS_MIME, {}).get("faces", ())
    ]
    assert len(found) == len(stored) > 0
    for face, expected in zip(found, stored, strict=True):
        assert face.keys() == expected.keys()
        for name, value in expected.items():
            if isinstance(value, float):
                # A pixel, a year, or a small part of a probability.
                is_coarse = re.search(r"^age_|_[xy]$|^[xy][12]$", name)
                value = pytest.approx(value, abs=1 if is_coarse else 0.01)
            assert face[name] == value, name
