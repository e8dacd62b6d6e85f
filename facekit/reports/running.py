"""Run a report's notebook and write its files: the notebook with results, HTML, PDF and JSON.

Nothing of the user's is overwritten: only files that an earlier report wrote are replaced. They are
replaced when the new report is complete. If a cell fails, the report up to there is written beside
them, as `NAME-incomplete.html` and `NAME-incomplete.ipynb`.
"""

from __future__ import annotations

import contextlib
import json
import logging
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from facekit.files import find_free_path, hash_file, replace_file, write_text
from facekit.reports.numbers import INPUTS, collect_numbers, make_plain
from facekit.reports.page import print_page, read_generator, render_notebook
from facekit.reports.parameters import (
    ParameterError,
    ReportError,
    choose_parameters,
    read_parameters,
)
from facekit.reports.provenance import CHECKOUT, add_provenance, gather_provenance

if TYPE_CHECKING:
    import nbformat

REPORTS = {
    "evaluation": "how good a model is: figures with intervals, confusion, calibration, curves",
    "dataset": "the contents of a dataset, and its faults",
    "photo": "the faces in one photo, what is predicted for each, and with which confidence",
    "training": "the history of a training run, and which epoch was kept",
}
GENERATOR = "facekit report"  # named in the pages, so that a later report recognises them


@dataclass(frozen=True)
class Report:
    """The files of a report.

    Attributes:
        notebook: The notebook with its results.
        page: The same as one HTML file, without code.
        numbers: All numbers as JSON, with their provenance.
        printed: The page as PDF; `None` if no browser was found.

    Example:
        >>> Report(Path("a.ipynb"), Path("a.html"), Path("a.json")).printed is None
        True
    """

    notebook: Path
    page: Path
    numbers: Path
    printed: Path | None = None


def find_notebook(name: str) -> Path:
    """Return the notebook of a report: that of the installed package, else that of the checkout.

    Args:
        name: A key of `REPORTS`.

    Raises:
        ReportError: If it is missing.

    Example:
        >>> find_notebook("photo").name
        'photo.ipynb'
    """
    installed = Path(__file__).with_name("notebooks")
    folder = installed if installed.is_dir() else CHECKOUT / "notebooks" / "reports"
    path = folder / f"{name}.ipynb"
    if not path.is_file():
        raise ReportError(
            f"{path}: the notebook of the report is missing; reinstall facekit, "
            "or run `git checkout -- notebooks`."
        )
    return path


def run_report(
    name: str, output: Path, given: Mapping[str, str] | None = None, notebook: Path | None = None
) -> Report:
    """Make a report.

    Args:
        name: A key of `REPORTS`; the files in `output` get this name.
        output: Folder to write to. Files of an earlier report of this name are replaced.
        given: Parameters of the notebook as text, by name; the others keep their defaults. Relative
            paths count from the working directory.
        notebook: A notebook of your own, in place of that of `name`.

    Raises:
        ParameterError: If a parameter does not fit; then nothing is written.
        ReportError: If `output` holds files of these names that no report wrote, or if a cell
            fails; then an incomplete report is written.
        ModuleNotFoundError: If papermill or nbconvert is not installed.
        OSError: If a file cannot be written.

    Example:
        >>> run_report("photo", Path("report")).page  # see notebooks/reports  # doctest: +SKIP
        PosixPath('report/photo.html')
    """
    import nbconvert  # noqa: F401  (a missing package is reported before any work)
    import nbformat
    import papermill  # noqa: F401

    source = nbformat.read(notebook or find_notebook(name), as_version=4)
    for cell in source.cells:
        if cell.cell_type == "code":  # after a cell that fails, stored results would look new
            cell.outputs, cell.execution_count = [], None
    defaults = read_parameters(source)
    parameters = choose_parameters(defaults, given or {})
    report = Report(*(output / f"{name}.{end}" for end in ("ipynb", "html", "json", "pdf")))
    _refuse_foreign_files(report)
    is_new = not output.exists()
    output.mkdir(parents=True, exist_ok=True)
    executed, error = _execute(source, parameters)
    if getattr(error, "ename", "") == ParameterError.__name__:
        if is_new:
            with contextlib.suppress(OSError):
                output.rmdir()
        raise ParameterError(error.evalue)  # type: ignore[union-attr]
    failed = _describe_failure(executed, error) if error else ""
    numbers = collect_numbers(executed)
    inputs = numbers.pop(INPUTS, [])
    chosen = defaults | parameters
    # The seed of the notebook's own random numbers, or of the run that it describes.
    seed = numbers.get("settings", {}).get("seed", chosen.get("seed"))
    provenance = gather_provenance(seed)
    add_provenance(executed, name, chosen, inputs, provenance, failed)
    text, page = nbformat.writes(executed), render_notebook(executed, f"{GENERATOR} {name}")
    if failed:
        kept = [_find_incomplete(path) for path in (report.notebook, report.page)]
        write_text(kept[0], text)
        write_text(kept[1], page)
        raise ReportError(f"{failed}\nThe report up to there is in {kept[1]}.")
    write_text(report.notebook, text)
    write_text(report.page, page)
    report = _print(report)
    content = {
        "report": name,
        "parameters": chosen,
        "inputs": inputs,
        "numbers": numbers,
        "provenance": provenance
        | {"pdf_sha256": hash_file(report.printed) if report.printed else None},
    }
    write_text(report.numbers, json.dumps(make_plain(content), indent=1, ensure_ascii=False) + "\n")
    for path in (report.notebook, report.page):
        stale = _name_incomplete(path)
        if _is_of_a_report(stale):
            stale.unlink()
    return report


# === Files ===


def _refuse_foreign_files(report: Report) -> None:
    """Raise an error if a file would be overwritten that no report wrote."""
    for path in (report.notebook, report.page, report.numbers, report.printed):
        if path and (path.exists() or path.is_symlink()) and not _is_of_a_report(path):
            raise ReportError(
                f"{path}: exists, and was not written by a report or was changed since; "
                "choose another folder for --output, or move the file."
            )


def _is_of_a_report(path: Path) -> bool:
    """Return whether a file exists and was written by a report."""
    try:
        if path.suffix == ".html":
            return read_generator(path).startswith(GENERATOR)
        if path.suffix == ".pdf":
            record = json.loads(path.with_suffix(".json").read_text(encoding="utf-8"))
            return record["provenance"]["pdf_sha256"] == hash_file(path)
        record = json.loads(path.read_text(encoding="utf-8"))
        if path.suffix == ".ipynb":
            return "report" in record["metadata"]["facekit"]
        return {"report", "numbers", "provenance"} <= record.keys()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return False


def _name_incomplete(path: Path) -> Path:
    return path.with_stem(f"{path.stem}-incomplete")


def _find_incomplete(path: Path) -> Path:
    """Return where an incomplete report goes: in place of an earlier one, or at a free name."""
    path = _name_incomplete(path)
    return path if _is_of_a_report(path) else find_free_path(path)


def _print(report: Report) -> Report:
    """Print the page; without a browser, remove the PDF of an earlier report."""
    if report.printed is None:
        return report
    # In the folder of the page: a browser in a container may not see the temporary folder.
    with tempfile.TemporaryDirectory(dir=report.page.parent) as folder:
        printed = Path(folder, "page.pdf")
        if print_page(report.page, printed):
            with replace_file(report.printed) as temporary:
                shutil.move(printed, temporary)
            return report
    report.printed.unlink(missing_ok=True)
    return replace(report, printed=None)


# === Running ===


def _execute(
    source: nbformat.NotebookNode, parameters: dict
) -> tuple[nbformat.NotebookNode, Exception | None]:
    """Run a notebook; return it with its results, up to the cell that failed, and the error."""
    import nbformat
    import papermill
    from nbclient.exceptions import DeadKernelError

    error = None
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder, "report.ipynb")
        try:
            papermill.execute_notebook(
                source,
                _escape(target),
                parameters,
                kernel_name="python3",
                progress_bar=False,
                report_mode=True,
                cwd=str(Path.cwd()),
                # The kernel would warn that its connection is not encrypted.
                extra_arguments=[f"--IPKernelApp.log_level={logging.ERROR}"],
            )
        except (papermill.PapermillExecutionError, DeadKernelError) as caught:
            error = caught
        return nbformat.read(target, as_version=4), error


def _escape(path: Path) -> str:
    """Return a path that papermill, which takes braces for parameters, leaves as it is."""
    return str(path).replace("{", "{{").replace("}", "}}")


def _describe_failure(notebook: nbformat.NotebookNode, error: Exception) -> str:
    """Return which cell failed, under which heading, and why."""
    number, heading = 0, ""
    cells = [
        cell
        for cell in notebook.cells
        # papermill marks a cell that failed by a cell of its own, which does not count
        if "papermill-error-cell-tag" not in cell.metadata.get("tags", [])
    ]
    for number, cell in enumerate(cells, 1):  # noqa: B007
        if cell.cell_type == "markdown":
            titles = [line for line in cell.source.splitlines() if line.startswith("#")]
            heading = titles[-1].strip("# ") if titles else heading
        else:
            status = cell.metadata.get("papermill", {})
            if status.get("exception") or status.get("status") == "running":
                break
    why = (
        f"{error.ename}: {error.evalue}"
        if hasattr(error, "ename") and hasattr(error, "evalue")
        else "the kernel died, as it does when memory runs out"
    )
    count = getattr(error, "exec_count", None)
    place = f"In [{count}], " if count else ""
    return f"Cell {number} ({place}under {heading!r}) failed: {why}"
