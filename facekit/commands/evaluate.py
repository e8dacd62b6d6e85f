"""The command `facekit evaluate`."""

from __future__ import annotations

import click

from facekit.commands.errors import explain_errors
from facekit.registry import get_models_dir
from facekit.taxonomy import ATTRIBUTES

TABLES = "paper-tables"


EVALUATE_HELP = """Compute figures on held-out images from the stored predictions of the shipped
models.

ATTRIBUTE is age, gender, emotion or ethnicity; all four by default. paper-tables prints the figures
beside those of the two papers. No image and no network is needed. Only the test split is measured.

\b
  facekit evaluate gender
  facekit evaluate paper-tables
"""


@click.command(
    help=EVALUATE_HELP,
    short_help="Compute the figures of the shipped models on held-out images.",
)
@click.argument(
    "tasks",
    metavar=f"[ATTRIBUTE|{TABLES}]...",
    nargs=-1,
    type=click.Choice((*ATTRIBUTES, TABLES)),
)
def evaluate(tasks: tuple[str, ...]) -> None:
    """Print the figures of attributes, or the tables of the papers."""
    from facekit.evaluation.figures import CELLS, format_cells
    from facekit.evaluation.markdown import make_markdown
    from facekit.evaluation.papers import load_figures, tabulate_papers

    with explain_errors():
        for task in tasks or ATTRIBUTES:
            if task == TABLES:
                click.echo(tabulate_papers(get_models_dir()) + "\n")
                continue
            rows = [
                (
                    f"{figure['source']} {figure['split']}"
                    + ("" if figure["shipped"] else ", trained for the protocol"),
                    figure["protocol"],
                    *format_cells(figure),
                )
                for figure in load_figures(get_models_dir(), task)
            ]
            click.echo(f"{task}\n\n{make_markdown(rows, ('data', 'protocol', *CELLS))}\n")
