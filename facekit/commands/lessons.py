"""The command `facekit lessons`."""

from __future__ import annotations

import importlib.util
import shlex
from pathlib import Path

import click

from facekit.commands.errors import explain_errors

LESSONS_HELP = """Copy the course into a folder: Jupyter lessons, with the folders `exercises`
and `solutions`.

\b
  facekit lessons course           copy the course into the folder `course`
  jupyter lab course               open it

Files that exist already are never changed. To get a fresh copy of a lesson, rename yours and run
the command again. JupyterLab is part of the extra `notebooks`; lessons 10, 11 and 12 also train
networks and need the extra `train`.
"""


@click.command(help=LESSONS_HELP, short_help="Copy the Jupyter lessons into a folder.")
@click.argument("folder", metavar="DIR", type=click.Path(path_type=Path))
def lessons(folder: Path) -> None:
    """Copy the course, and say how to open it."""
    with explain_errors():
        from facekit.lessons.courseware import copy_course

        course = copy_course(folder)
    for path in course.kept:
        click.echo(
            f"facekit: {path} exists and differs from the lesson that comes with facekit; it was "
            "kept. Rename it and run the command again to get a fresh copy.",
            err=True,
        )
    there = f", {len(course.same)} were there already" if course.same else ""
    click.echo(f"{len(course.copied)} notebooks copied to {folder}{there}.")
    click.echo(f"Open them with: jupyter lab {shlex.quote(str(folder))}")
    if importlib.util.find_spec("jupyterlab") is None:
        click.echo("JupyterLab is not installed. Run: pip install 'facekit[notebooks]'")
    if importlib.util.find_spec("tensorflow") is None:
        click.echo(
            "Lessons 10, 11 and 12 train networks. For them run: pip install 'facekit[train]'"
        )
