"""The command `facekit analyze`. The work is done by `batch`."""

from __future__ import annotations

import contextlib
import io
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

import click

from facekit.batch import OptionError, analyze_folder, stop_on_signals
from facekit.commands.errors import explain_errors, say
from facekit.commands.numbers import FiniteRange
from facekit.detection import DEFAULT_DETECTOR, DETECTORS
from facekit.tables import CsvTable, Row, TerminalTable
from facekit.taxonomy import ATTRIBUTES, DEFAULT_ATTRIBUTES

ANALYZE_HELP = """Detect faces in images and videos and predict age, gender and emotion for each.

INPUT is an image, a folder (with all folders in it) or a video. The table has one row per face:
its box, age with a range, gender, emotion, and their probabilities. Without --output the table is
printed, as CSV if it goes into a pipe or a file.

No file of yours is overwritten. A table replaces only an earlier table of facekit, a drawing only
an earlier drawing of the same image. An interrupted run keeps its rows.

\b
Exit status:
  0  every input was read, and everything was written
  1  something failed: each failure is named, and the rest is complete
  2  wrong usage
"""


class AttributeList(click.ParamType):
    """A comma-separated list of attributes."""

    name = "list"

    def convert(self, value, param, ctx):
        """Split and check the list."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        unknown = [name for name in names if name not in ATTRIBUTES]
        if unknown or not names:
            self.fail(f"{value!r} is not a list of {', '.join(ATTRIBUTES)}.", param, ctx)
        return names


@click.command(help=ANALYZE_HELP)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the table to this file: .csv, .parquet or .jsonl.",
)
@click.option(
    "--annotate",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write images with boxes and labels into this folder.",
)
@click.option(
    "--attributes",
    metavar="LIST",
    type=AttributeList(),
    default=",".join(DEFAULT_ATTRIBUTES),
    show_default=True,
    help="Any of age,gender,emotion,ethnicity. Ethnicity is sensitive: predicted only on request.",
)
@click.option(
    "--cropped",
    is_flag=True,
    help="Each image is one face already: exactly one row per image.",
)
@click.option(
    "--min-face",
    metavar="PIXELS",
    type=FiniteRange(min=12),
    default=20,
    show_default=True,
    help="Side of the smallest face to find; 40 takes half the time of 20.",
)
@click.option(
    "--model",
    "models",
    metavar="NAME",
    multiple=True,
    help="Use this model for every attribute that it predicts; can be repeated.",
)
@click.option(
    "--detector",
    type=click.Choice(list(DETECTORS)),
    default=DEFAULT_DETECTOR,
    show_default=True,
    help="Find faces with this detector; yunet finds more small faces in less time.",
)
@click.option(
    "--errors",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="Write a list of the inputs that could not be read or drawn to this file.",
)
@click.option(
    "--resume",
    is_flag=True,
    help="Continue an interrupted run with the same --output: finished files are not repeated.",
)
def analyze(
    inputs, output, annotate, attributes, cropped, min_face, models, detector, errors, resume
) -> None:
    """Hand the options to `analyze_folder`, and print what it reports."""
    table = None if output else _open_stdout()

    def show(rows: Sequence[Row]) -> None:
        assert table is not None
        with _name_stdout():
            table.write(rows)

    with explain_errors(), stop_on_signals():
        try:
            result = analyze_folder(
                inputs,
                output,
                annotate,
                errors,
                attributes=attributes,
                min_face_size=min_face,
                cropped=cropped,
                models=models,
                detector=detector,
                resume=resume,
                on_rows=show if table else None,
                say=say,
            )
        except OptionError as error:
            raise click.BadParameter(str(error), param_hint=f"--{error.option}") from None
        except BaseException:  # an interrupted run prints what it has
            if table:
                table.flush()
            raise
        if table:
            with _name_stdout():
                table.close()
    click.get_current_context().exit(1 if result.failures else 0)


@contextlib.contextmanager
def _name_stdout() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError:
        raise
    except OSError as error:
        raise OSError(error.errno, error.strerror, "standard output") from error


def _open_stdout() -> CsvTable | TerminalTable:
    if isinstance(sys.stdout, io.TextIOWrapper):  # whose encoding may lack a name's characters
        sys.stdout.reconfigure(errors="backslashreplace")
    return TerminalTable(sys.stdout) if sys.stdout.isatty() else CsvTable(sys.stdout)
