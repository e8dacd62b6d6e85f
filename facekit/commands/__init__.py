"""The `facekit` command: click and nothing else. Each command has a module of its own."""

from __future__ import annotations

import os
import sys

import click

from facekit.commands.analyze import analyze
from facekit.commands.app import app
from facekit.commands.data import data
from facekit.commands.demo import demo
from facekit.commands.evaluate import evaluate
from facekit.commands.lessons import lessons
from facekit.commands.people import embed, verify
from facekit.commands.report import report
from facekit.commands.train import crossvalidate, teach, train

MAIN_HELP = """Find faces in images and videos, and predict their age, gender and emotion.

\b
  facekit analyze party.jpg                            a table in the terminal
  facekit analyze photos/ --output faces.csv           a folder, into a file
  facekit analyze party.jpg --annotate drawn/          images with boxes and labels
  facekit demo                                         an example, without images of your own

Nothing leaves this machine, and nothing is stored except the files that you name.
"""


@click.group(
    help=MAIN_HELP,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="facekit")
def main() -> None:
    """Group the commands, and open a stream that the program was started without, as by `2>&-`.

    Else the next file that is opened takes its number, and messages of libraries go into that file.
    """
    for name, mode in (("stdin", "r"), ("stdout", "w"), ("stderr", "w")):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode, encoding="utf-8"))  # noqa: PTH123, SIM115


for command in (
    analyze, embed, verify, demo, lessons, evaluate, report, data, train, teach, crossvalidate, app,
):  # fmt: skip
    main.add_command(command)
