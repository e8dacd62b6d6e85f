"""The command `facekit report`."""

from __future__ import annotations

from pathlib import Path

import click

REPORT_HELP = """Run a report's notebook into a page (HTML, and PDF where Chromium or Chrome is found), the notebook with its results, and a
JSON of its numbers.

\b
  facekit report photo --parameters photo=party.jpg --output reports/party
  facekit report dataset --parameters dataset=utkface --output reports/utkface
  facekit report training --parameters run=runs/mine --output reports/mine
  facekit report evaluation --output reports/shipped                      the shipped models
  facekit report evaluation --predictions mine.csv --output reports/mine  any model: its answers to labelled images

--predictions takes a .csv (or .parquet) with one row an image:

\b
  label      the true label; for age, years
  p_<class>  the probability of each class, such as p_female,p_male; for age p_0 to p_100
  predicted  in place of those, where a model gives none: the label told, or years
  group      if images belong together, such as those of one person: equal for these
  source     if there are several datasets: which one
  split      if there are several: only `test` is measured
  copied     if some may have been trained on: True for these

Other columns can be named by --parameters by=COLUMN,... to break the figures down. Classes need not be facekit's.

\b
Exit status:
  0  the report is there
  1  a cell failed (it is named, and the report up to there is kept), or an input does not fit
  2  wrong usage
"""


@click.command(help=REPORT_HELP, short_help="Make a report of a model, dataset, photo or training.")
@click.argument(
    "name",
    metavar="evaluation|dataset|photo|training",
    type=click.Choice(("evaluation", "dataset", "photo", "training")),
)
@click.argument("more", metavar="[NAME=VALUE]...", nargs=-1)
@click.option(
    "--parameters",
    metavar="NAME=VALUE",
    multiple=True,
    help="Of the notebook; may be given often. A wrong name lists them all.",
)
@click.option(
    "--predictions",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="For evaluation: whose answers to measure.",
)
@click.option(
    "--output", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to."
)  # fmt: skip
def report(name, more, parameters, predictions, output) -> None:
    """Make a report, and tell where it is."""
    given = dict(_split_parameter(text) for text in (*parameters, *more))
    if predictions:
        if name != "evaluation":
            raise click.UsageError("--predictions is for evaluation.")
        given["predictions"] = str(predictions)
    try:
        from facekit.reports import ReportError, run_report

        if given.get("predictions") and name == "evaluation":
            from facekit.evaluation.predictions import read_predictions

            read_predictions(
                given["predictions"], given.get("attribute", "")
            )  # what is wrong with them is told without a report
        made = run_report(name, output, given)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"Reports need {error.name}; run: pip install 'facekit[notebooks]'"
        ) from None
    except (OSError, ValueError, ReportError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{made.page}\nnumbers in {made.numbers}, all cells in {made.notebook}, "
        + _tell_print(made.printed)
    )


def _split_parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise click.BadParameter(
            f"{text!r} has not the form NAME=VALUE.", param_hint="--parameters"
        )
    return name, value


def _tell_print(printed: Path | None) -> str:
    return (
        f"PDF in {printed}"
        if printed
        else "no PDF: no Chromium or Chrome that prints was found; print the page from any browser"
    )
