"""The command `facekit report`."""

from __future__ import annotations

from pathlib import Path

import click

from facekit.commands.errors import explain_errors

REPORT_HELP = """Run the notebook of a report and write it as an HTML page, as PDF (if Chromium or
Chrome is installed), as a notebook with its results, and its numbers as JSON.

\b
  facekit report photo --parameters photo=party.jpg --output reports/party
  facekit report dataset --parameters dataset=utkface --output reports/utkface
  facekit report training --parameters run=runs/mine --output reports/mine
  facekit report evaluation --output reports/shipped         the shipped models
  facekit report evaluation --predictions mine.csv --output reports/mine
                                                             any other model

--predictions reads a .csv or .parquet file with one row per image:

\b
  label          the true label; for age, years
  p_<class>      the probability of each class, from 0 to 1, such as p_female
                 and p_male; for age p_0 to p_100
  predicted      if there are no probabilities: the predicted label
  predicted_age  in its place: the predicted years
  group          optional; equal for images that belong together, such as
                 those of one person (by default, rows with the same `image`)
  source         optional; the dataset of the image
  split          optional; one of train, validation, calibration, test,
                 excluded; only test is measured
  copied         optional; True if the model may have seen a copy in training

Other columns can be named by --parameters by=COLUMN,... to break the figures
down. Classes need not be facekit's. Labels that are numbers need
--parameters attribute=age or attribute=label (0 and 1 are always classes).
Labels that differ only in spelling, such as Cat and cat, are refused, except
for labels of facekit, such as Female.

Files of an earlier report in the folder are replaced; other files never are.

\b
Exit status:
  0  the report was written
  1  a parameter or a file does not fit, or a cell failed; then the report up
     to that cell is in NAME-incomplete.html
  2  wrong usage
"""


@click.command(help=REPORT_HELP, short_help="Report on a model, dataset, photo or training run.")
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
    help="A parameter of the notebook; may be repeated. A wrong name lists them all.",
)
@click.option(
    "--predictions",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="For evaluation: the predictions to measure.",
)
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path, file_okay=False),
    required=True,
    help="Folder to write to.",
)
def report(
    name: str,
    more: tuple[str, ...],
    parameters: tuple[str, ...],
    predictions: Path | None,
    output: Path,
) -> None:
    """Make a report, and print where its files are."""
    given = dict(_split_parameter(text) for text in (*parameters, *more))
    if predictions is not None:
        if name != "evaluation":
            raise click.UsageError("--predictions is for evaluation.")
        if "predictions" in given:
            raise click.UsageError("Name one file of predictions, not two.")
        given["predictions"] = str(predictions)
    with explain_errors("notebooks"):
        from facekit.reports import ReportError, run_report

        try:
            made = run_report(name, output, given)
        except ReportError as error:
            raise click.ClickException(str(error)) from None
    printed = (
        f"PDF in {made.printed}"
        if made.printed
        else "no PDF, because no Chromium or Chrome was found; print the page from any browser"
    )
    click.echo(f"{made.page}\nnumbers in {made.numbers}, all cells in {made.notebook}, {printed}")


def _split_parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise click.BadParameter(
            f"{text!r} does not have the form NAME=VALUE.", param_hint="--parameters"
        )
    return name, value
