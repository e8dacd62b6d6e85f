"""Gather and show where a report comes from: date, versions, seed, parameters and inputs."""

from __future__ import annotations

import contextlib
import html
import importlib.metadata
import platform
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import nbformat

# The packages that compute, draw and lay out the results.
PACKAGES = (
    "matplotlib",
    "numpy",
    "onnxruntime",
    "opencv-python-headless",
    "pandas",
    "papermill",
    "nbconvert",
)
CHECKOUT = Path(__file__).resolve().parents[2]  # the git checkout, if facekit runs from one


def gather_provenance(seed: int | None) -> dict:
    """Return when and with which versions a report is made.

    Args:
        seed: The seed of its random numbers, or `None` if it uses none.

    Example:
        >>> gather_provenance(7)["seed"]
        7
    """
    return {
        "created": datetime.now(UTC).isoformat(timespec="seconds"),
        "facekit": importlib.metadata.version("facekit"),
        "commit": find_commit(CHECKOUT),
        "seed": seed,
        "python": platform.python_version(),
        "platform": f"{platform.system()} {platform.machine()}",
        "packages": dict(_find_versions()),
    }


def _find_versions() -> Iterator[tuple[str, str]]:
    for name in PACKAGES:
        # OpenCV is distributed under several names.
        with contextlib.suppress(importlib.metadata.PackageNotFoundError):
            yield name, importlib.metadata.version(name)


def find_commit(checkout: Path) -> str | None:
    """Return the git commit of a checkout, with a remark if files differ from it.

    Args:
        checkout: A folder.

    Returns:
        40 hexadecimal digits, followed by " with changes" if tracked files differ; `None` if the
        folder is not a checkout, or git is not installed.

    Example:
        >>> find_commit(Path("no such folder")) is None
        True
    """
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


def add_provenance(
    notebook: nbformat.NotebookNode,
    name: str,
    parameters: Mapping,
    inputs: Sequence[Mapping],
    provenance: Mapping,
    failed: str,
) -> None:
    """Add a line below the title and a table at the end of a notebook, and the same as metadata.

    The marks that papermill left, with the time of each cell, are removed.

    Args:
        notebook: The notebook after its run; it is changed.
        name: Name of the report.
        parameters: All parameters.
        inputs: Rows of `numbers.report_inputs`.
        provenance: From `gather_provenance`.
        failed: Which cell failed and why; empty if the report is complete.

    Example:
        >>> from nbformat.v4 import new_markdown_cell, new_notebook
        >>> notebook = new_notebook(cells=[new_markdown_cell("# Faces")])
        >>> add_provenance(notebook, "photo", {}, [], gather_provenance(7), failed="")
        >>> notebook.metadata["title"], notebook.cells[-1].id
        ('Faces', 'provenance')
    """
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
        "facekit": {"report": name, "parameters": dict(parameters), "provenance": provenance},
    }
    line = _write_line(provenance)
    if failed:
        line += f"\n\n**This report is not complete.** <code>{html.escape(failed)}</code>"
    head.source = head.source.replace(f"# {title}", f"# {title}\n\n{line}", 1)
    table = "".join(
        f"<tr><th>{html.escape(key)}</th><td>{html.escape(str(value))}</td></tr>\n"
        for key, value in _list_rows(title, parameters, inputs, provenance)
    )
    text = f"## Where this report comes from\n\n<table>\n{table}</table>"
    notebook.cells.append(new_markdown_cell(text, id="provenance"))


def _write_line(provenance: Mapping) -> str:
    commit, seed = provenance["commit"], provenance["seed"]
    version = f"facekit {provenance['facekit']}"
    if commit:
        version += f", commit {commit[:7]}{commit[40:]}"
    chance = "no random numbers" if seed is None else f"seed {seed}"
    return f"{provenance['created'][:10]} · {version} · {chance}"


def _cite(title: str, inputs: Sequence[Mapping], provenance: Mapping) -> str:
    commit = provenance["commit"]
    version = f"version {provenance['facekit']}" + (f", commit {commit[:7]}" if commit else "")
    prints = "; ".join(f"{each['input']} {each['sha256'][:12]}" for each in inputs)
    return (
        f"The facekit authors ({provenance['created'][:4]}). {title}, made with facekit "
        f"{version} on {provenance['created'][:10]}." + f" SHA-256: {prints}." * bool(prints)
    )


def _list_rows(
    title: str, parameters: Mapping, inputs: Sequence[Mapping], provenance: Mapping
) -> Iterator[tuple[str, object]]:
    seed = provenance["seed"]
    yield "cite as", _cite(title, inputs, provenance)
    yield "created", provenance["created"]
    yield "facekit", provenance["facekit"]
    yield "git commit", provenance["commit"] or "unknown"
    yield "seed", "none: no random numbers are used" if seed is None else seed
    yield "parameters", ", ".join(f"{key} = {value!r}" for key, value in parameters.items())
    for each in inputs:
        files = f"{each['files']} file{'s' * (each['files'] != 1)}"
        yield "input", f"{each['input']}: {files}, sha256 {each['sha256']}"
    yield "Python", f"{provenance['python']} on {provenance['platform']}"
    packages = provenance["packages"]
    yield "packages", ", ".join(f"{key} {version}" for key, version in packages.items())
