"""Run a report's notebook into a notebook with its results, a page, a PDF where a browser is at
hand, and a JSON of its numbers.

A report is a notebook in `notebooks/reports/` that papermill runs with the parameters given. It
tells its numbers by `tell`, and what it read by `tell_inputs`; both show them, too, so that what is
read on the page is what stands in the JSON. When, by which versions and from which data a report
was made is added after the run. Running a report again gives the same numbers; only the provenance
changes.

The computing is left to `evaluation`, `datasets` and `pipeline`, the drawing to `plotting`.
"""

from __future__ import annotations

import ast
import contextlib
import hashlib
import html
import importlib.metadata
import json
import logging
import math
import os
import platform
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from facekit.registry import hash_file

if TYPE_CHECKING:
    import nbformat
    import pandas as pd

REPORTS = {
    "evaluation": "how good a model is: figures with intervals, confusion, calibration, curves",
    "dataset": "what is in a dataset, and what is wrong with it",
    "photo": "one photo: its faces, what is told of each, and how sure that is",
    "training": "the course of a training, and which epoch was kept",
}
NUMBERS_MIME = "application/vnd.facekit.numbers+json"
INPUTS = "inputs"  # the name under which `tell_inputs` tells
# significant ones that are kept of a number: more than a report shows, fewer than machines agree on
DIGITS = 6
PACKAGES = (
    "matplotlib",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pandas",
    "papermill",
    "nbconvert",
)

_PACKAGE = Path(__file__).resolve().parent.parent
BROWSERS = (
    "chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome", "msedge",
    "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome",
)  # fmt: skip
PRINTING_SECONDS = 120

PAGE = """<!doctype html>
<html lang="en"><head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{title}</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 60rem; padding: 0 1rem; color: #222; background: #fff }}
h1 {{ line-height: 1.2 }} h2 {{ margin-top: 2.5rem; border-bottom: 1px solid #ddd }} img {{ max-width: 100%; height: auto }}
.output_html, .rendered_html {{ overflow-x: auto }}
table {{ border-collapse: collapse; margin: .75rem 0; font-variant-numeric: tabular-nums }}
th, td {{ text-align: left !important; padding: .25rem .9rem .25rem 0; border-bottom: 1px solid #ddd; vertical-align: top }}
pre {{ white-space: pre-wrap; overflow-wrap: anywhere }} code {{ overflow-wrap: anywhere }}
.output_error {{ border-left: 4px solid #d55e00; padding-left: 1rem }}
@page {{ margin: 15mm }}
@media print {{ body {{ margin: 0; max-width: none }} .output_png, table {{ break-inside: avoid }} h2 {{ break-after: avoid }} }}
</style></head><body>
{body}
</body></html>
"""


class ReportError(RuntimeError):
    """A report that could not be made; the message says why, and where the partial one is."""


@dataclass(frozen=True)
class Report:
    """The files of a report.

    Attributes:
        notebook: As it was run.
        page: The same as HTML, without code, in one file.
        numbers: All numbers as JSON, with their provenance.
        printed: The page as PDF; nothing where no browser was found.
    """

    notebook: Path
    page: Path
    numbers: Path
    printed: Path | None = None


# === What a report's notebook calls ===


def tell(name: str, numbers: pd.DataFrame | Mapping, shown: pd.DataFrame | None = None) -> None:
    """Show numbers as a table, and keep them for the report's JSON.

    Args:
        name: Of these numbers in the JSON.
        numbers: A table, or a dict of plain values.
        shown: The table to show in place of `numbers`, such as one that is formatted for readers.
    """
    import pandas as pd
    from IPython.display import display

    kept = {name: make_plain(numbers)}
    if shown is None:
        shown = (
            numbers
            if isinstance(numbers, pd.DataFrame)
            else pd.DataFrame({"": pd.Series(dict(numbers), dtype=object)})
        )
    index = not isinstance(shown.index, pd.RangeIndex)
    shown = shown.astype(object).where(shown.notna(), "")
    table = shown.to_html(border=0, index=index, justify="left")
    display(
        {NUMBERS_MIME: kept, "text/html": table, "text/plain": shown.to_string(index=index)},
        raw=True,
    )


def tell_inputs(inputs: Mapping[str, Path | str | Sequence[Path | str] | np.ndarray]) -> None:
    """Tell what a report was made from: for each input how many files, and their fingerprint.

    Args:
        inputs: For each name a file, several files, or an array of pixels that came from no file.
    """
    import pandas as pd

    rows = [
        {
            "input": name,
            "files": len(source) if isinstance(source, list | tuple) else 1,
            "sha256": take_fingerprint(source),
        }
        for name, source in inputs.items()
    ]
    tell(INPUTS, pd.DataFrame(rows, columns=["input", "files", "sha256"]))


def take_fingerprint(source: Path | str | Sequence[Path | str] | np.ndarray) -> str:
    """Return the sha256 of a file; of several files, that of their names and hashes in order of name; or of an array."""
    if isinstance(source, str | Path):
        return hash_file(Path(source))
    if isinstance(source, np.ndarray):
        return hashlib.sha256(
            f"{source.dtype} {source.shape}".encode() + np.ascontiguousarray(source).tobytes()
        ).hexdigest()
    lines = sorted(
        f"{Path(path).name} {hash_file(Path(path)) if Path(path).is_file() else 'missing'}\n"
        for path in source
    )
    return hashlib.sha256("".join(lines).encode()).hexdigest()


def make_plain(value):
    """Turn tables, arrays and NumPy's numbers into what JSON holds; numbers keep `DIGITS` digits, and what is none becomes `None`."""
    import pandas as pd

    if isinstance(value, pd.DataFrame):
        flat = value if isinstance(value.index, pd.RangeIndex) else value.reset_index()
        return [make_plain(row) for row in flat.to_dict("records")]
    if isinstance(value, pd.Series):
        return make_plain(value.to_dict())
    if isinstance(value, Mapping):
        return {str(key): make_plain(each) for key, each in value.items()}
    if isinstance(value, list | tuple | np.ndarray):
        return [make_plain(each) for each in value]
    if value is None or value is pd.NA or value is pd.NaT:
        return None
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        return float(f"{value:.{DIGITS}g}") if math.isfinite(value) else None
    return str(value)


# === Running one ===


def find_notebook(name: str) -> Path:
    """Return a report's notebook: the installed package's, else the checkout's.

    Raises:
        ReportError: If it is not there.
    """
    installed = _PACKAGE / "reports_notebooks"
    path = (
        installed if installed.is_dir() else _PACKAGE.parent / "notebooks" / "reports"
    ) / f"{name}.ipynb"
    if not path.is_file():
        raise ReportError(
            f"{path}: the report's notebook is missing; reinstall facekit, or `git checkout -- notebooks`."
        )
    return path


def read_parameters(notebook: nbformat.NotebookNode) -> dict:
    """Return the parameters of a notebook with their defaults."""
    cell = next(cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", []))
    return {
        target.id: ast.literal_eval(line.value)
        for line in ast.parse(cell.source).body
        if isinstance(line, ast.Assign)
        for target in line.targets
    }


def choose_parameters(defaults: Mapping, given: Mapping[str, str]) -> dict:
    """Return the parameters given, each in the type of its default.

    Raises:
        ReportError: If one is unknown, or its value does not fit.
    """
    chosen = {}
    for name, text in given.items():
        if name not in defaults:
            raise ReportError(
                f"The report has no parameter {name!r}; it has {', '.join(defaults)}."
            )
        kind = type(defaults[name])
        try:
            if kind is bool:
                chosen[name] = {"true": True, "false": False}[str(text).lower()]
            else:
                chosen[name] = kind(text)
        except (KeyError, ValueError):
            words = {bool: "True or False", int: "a whole number", float: "a number"}
            raise ReportError(
                f"The parameter {name} must be {words.get(kind, kind.__name__)}; got {text!r}."
            ) from None
    return chosen


def run_report(
    name: str, output: Path, given: Mapping[str, str] | None = None, notebook: Path | None = None
) -> Report:
    """Make a report.

    Args:
        name: Key of `REPORTS`; the files in `output` are called like it, and replace those of an
            earlier run.
        output: Folder to write to. Relative paths among the parameters count from the working
            directory.
        given: Parameters of the notebook, as text; the others keep their defaults.
        notebook: One of your own, in place of that of `name`.

    Raises:
        ReportError: If a parameter does not fit, or a cell fails; then the report up to there is
            left in `output`, without numbers.
        ModuleNotFoundError: If papermill or nbconvert is not installed.
    """
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError

    source = nbformat.read(notebook or find_notebook(name), as_version=4)
    for cell in source.cells:
        if cell.cell_type == "code":
            cell.outputs, cell.execution_count = (
                [],
                None,
            )  # as stored; after a cell that fails they would pass for new ones
    defaults = read_parameters(source)
    parameters = choose_parameters(defaults, given or {})
    output.mkdir(parents=True, exist_ok=True)
    report = Report(
        output / f"{name}.ipynb",
        output / f"{name}.html",
        output / f"{name}.json",
        output / f"{name}.pdf",
    )
    for earlier in (report.numbers, report.printed):
        earlier.unlink(missing_ok=True)
    failure = None
    try:
        papermill.execute_notebook(
            source, _escape(report.notebook), parameters, kernel_name="python3", progress_bar=False, report_mode=True, cwd=str(Path.cwd()),
            # it warns that it talks to us without encryption
            extra_arguments=[f"--IPKernelApp.log_level={logging.ERROR}"],
        )  # fmt: skip
    except (papermill.PapermillExecutionError, DeadKernelError) as error:
        failure = error
    executed = nbformat.read(report.notebook, as_version=4)
    failed = _describe_failure(executed, failure) if failure else ""
    told = collect_numbers(executed)
    inputs = told.pop(INPUTS, [])
    chosen = defaults | parameters
    seed = told.get("settings", {}).get(
        "seed", chosen.get("seed")
    )  # what a notebook draws with, or the run that it reads was drawn with
    provenance = _gather_provenance(seed)
    _add_provenance(executed, name, chosen, inputs, provenance, failed)
    nbformat.write(executed, report.notebook)
    report.page.write_text(_make_page(executed), encoding="utf-8")
    if failure:
        raise ReportError(f"{failed}\nWhat was done before is in {report.page}.")
    numbers = {
        "report": name,
        "parameters": chosen,
        "inputs": inputs,
        "numbers": told,
        "provenance": provenance,
    }
    report.numbers.write_text(
        json.dumps(make_plain(numbers), indent=1, ensure_ascii=False) + "\n", encoding="utf-8"
    )
    if not print_page(report.page, report.printed):
        report = Report(report.notebook, report.page, report.numbers)
    return report


def _escape(path: Path) -> str:
    """Return a path that papermill, which takes braces for parameters, leaves as it is."""
    return str(path).replace("{", "{{").replace("}", "}}")


def collect_numbers(notebook: nbformat.NotebookNode) -> dict:
    """Return all that a notebook that was run told, by name."""
    told = {}
    for cell in notebook.cells:
        for output in cell.get("outputs", ()):
            told |= output.get("data", {}).get(NUMBERS_MIME, {})
    return told


def _describe_failure(notebook: nbformat.NotebookNode, failure: Exception) -> str:
    """Return which cell failed, under which heading, and how; papermill's marks in the notebook do not count as cells."""
    number, heading = 0, ""
    cells = [
        cell
        for cell in notebook.cells
        if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    for number, cell in enumerate(cells, 1):  # noqa: B007
        if cell.cell_type == "markdown":
            heading = next(
                (
                    line.strip("# ")
                    for line in reversed(cell.source.splitlines())
                    if line.startswith("#")
                ),
                heading,
            )
        elif (
            cell.metadata.get("papermill", {}).get("exception")
            or cell.metadata.get("papermill", {}).get("status") == "running"
        ):
            break
    why = (
        f"{failure.ename}: {failure.evalue}"
        if hasattr(failure, "ename")
        else "the kernel died, as it does where memory is short"
    )
    place = f"In [{failure.exec_count}], " if getattr(failure, "exec_count", None) else ""
    return f"Cell {number} ({place}under {heading!r}) failed: {why}"


# === Provenance ===


def _gather_provenance(seed: int | None) -> dict:
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "facekit": importlib.metadata.version("facekit"),
        "commit": find_commit(_PACKAGE.parent),
        "seed": seed,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": dict(_find_versions()),
    }


def _find_versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        with contextlib.suppress(
            importlib.metadata.PackageNotFoundError
        ):  # OpenCV comes under several names
            yield name, importlib.metadata.version(name)


def find_commit(checkout: Path) -> str | None:
    """Return the git commit of a checkout, with a word where files differ from it; nothing where it is none, or git is not there."""
    if not (checkout / ".git").exists():
        return None
    try:
        commit, changes = (
            subprocess.run(
                ["git", "-C", checkout, *command], capture_output=True, text=True, check=True
            ).stdout.strip()
            for command in (
                ("rev-parse", "HEAD"),
                ("status", "--porcelain", "--untracked-files=no"),
            )
        )
    except (OSError, subprocess.SubprocessError):
        return None
    return commit + " with changes" * bool(changes)


def _add_provenance(
    notebook: nbformat.NotebookNode,
    name: str,
    parameters: dict,
    inputs: list,
    provenance: dict,
    failed: str,
) -> None:
    """Put a line under the title and a table at the end, and keep the same in the metadata, where papermill left times of each cell."""
    from nbformat.v4 import new_markdown_cell

    for part in (notebook, *notebook.cells):
        part.metadata.pop("papermill", None)
    head = next(
        cell
        for cell in notebook.cells
        if cell.cell_type == "markdown" and cell.source.startswith("# ")
    )
    title = head.source.splitlines()[0].removeprefix("# ")
    notebook.metadata |= {
        "title": title,
        "facekit": {"report": name, "parameters": parameters, "provenance": provenance},
    }
    commit = provenance["commit"]
    rows = [
        ("made", provenance["created"]),
        ("facekit", provenance["facekit"]),
        ("git commit", commit or "not known"),
        (
            "seed",
            "none: nothing was left to chance"
            if provenance["seed"] is None
            else provenance["seed"],
        ),
        ("parameters", ", ".join(f"{key} = {value!r}" for key, value in parameters.items())),
        *(
            (
                "input",
                f"{each['input']}: {each['files']} file{'s' * (each['files'] != 1)}, sha256 {each['sha256']}",
            )
            for each in inputs
        ),
        ("Python", f"{provenance['python']} on {provenance['platform']}"),
        (
            "packages",
            ", ".join(f"{key} {version}" for key, version in provenance["packages"].items()),
        ),
    ]
    chance = "no random numbers" if provenance["seed"] is None else f"seed {provenance['seed']}"
    version = f"facekit {provenance['facekit']}" + (
        f", commit {commit[:7]}{commit[40:]}" if commit else ""
    )
    line = f"{provenance['created'][:10]} · {version} · {chance}"
    if failed:
        line += f"\n\n**This report is not complete.** <code>{html.escape(failed)}</code>"
    table = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>\n"
        for key, value in rows
    )
    head.source = head.source.replace(f"# {title}", f"# {title}\n\n{line}", 1)
    notebook.cells.append(
        new_markdown_cell(f"## Where this comes from\n\n<table>\n{table}</table>", id="provenance")
    )


# === Page ===


def _make_page(notebook: nbformat.NotebookNode) -> str:
    """Return a notebook as one HTML file without code, that needs nothing from elsewhere."""
    from nbconvert import HTMLExporter

    exporter = HTMLExporter(
        template_name="basic",
        exclude_input=True,
        exclude_input_prompt=True,
        exclude_output_prompt=True,
        exclude_anchor_links=True,
    )
    body, _ = exporter.from_notebook_node(notebook)
    return PAGE.format(title=html.escape(notebook.metadata["title"]), body=body)


def print_page(page: Path, target: Path) -> bool:
    """Print a page to PDF by a browser; return whether there is one, and it did."""
    browser = next(filter(None, map(shutil.which, BROWSERS)), None)
    if browser is None:
        return False
    root = (
        ["--no-sandbox"] if hasattr(os, "geteuid") and os.geteuid() == 0 else []
    )  # Chromium refuses to run as root otherwise
    with tempfile.TemporaryDirectory() as profile:
        command = [
            browser,
            "--headless",
            "--disable-gpu",
            *root,
            f"--user-data-dir={profile}",
            "--no-pdf-header-footer",
        ]
        command += [f"--print-to-pdf={target.resolve()}", page.resolve().as_uri()]
        try:
            subprocess.run(command, capture_output=True, timeout=PRINTING_SECONDS, check=True)
        except (OSError, subprocess.SubprocessError):
            return False
    return target.exists()
