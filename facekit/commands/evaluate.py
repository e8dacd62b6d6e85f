"""The command `facekit evaluate`."""

from __future__ import annotations

import click

from facekit.registry import get_models_dir
from facekit.taxonomy import ATTRIBUTES


@click.command()
@click.argument(
    "tasks",
    metavar="[ATTRIBUTE|paper-tables]...",
    nargs=-1,
    type=click.Choice((*ATTRIBUTES, "paper-tables")),
)
def evaluate(tasks) -> None:
    """Compute held-out figures afresh, from stored predictions: of attributes, or beside the two papers' tables."""
    from facekit.evaluation.figures import format_figure
    from facekit.evaluation.papers import load_figures, tabulate_papers

    for task in tasks or ATTRIBUTES:
        try:
            if task == "paper-tables":
                click.echo(tabulate_papers(get_models_dir()) + "\n")
                continue
            figures = load_figures(get_models_dir(), task)
        except OSError as error:
            raise click.ClickException(
                f"The predictions of {task} cannot be read ({error}); they come with a git checkout."
            ) from None
        click.echo(
            f"{task}\n\n| data | protocol | images | figure | value | 95% interval |\n|---|---|---|---|---|---|"
        )
        for figure in figures:
            kind = "" if figure["shipped"] else ", trained for the protocol"
            click.echo(
                f"| {figure['source']} {figure['split']}{kind} | {figure['protocol']} | {format_figure(figure)} |"
            )
        click.echo()
