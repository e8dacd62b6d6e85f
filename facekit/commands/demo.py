"""The command `facekit demo`."""

from __future__ import annotations

from pathlib import Path

import click

from facekit.commands.errors import explain_errors

DEMO_HELP = """Analyse photos and write a page with the photos, boxes, labels and a table.

\b
  facekit demo                       sample photos of scikit-image and matplotlib
  facekit demo party.jpg me.png      your own photos
  facekit demo --output page/        another folder

The folder gets `index.html`, `faces.csv` and the pictures. Files of yours in it are not changed.
The sample photos need: pip install 'facekit[demo]'. Your own photos need no extra.
"""


@click.command(help=DEMO_HELP, short_help="Analyse sample photos and write a page about them.")
@click.argument("photos", metavar="[PHOTO]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default="demo",
    show_default=True,
    help="Folder to write to.",
)
def demo(photos: tuple[Path, ...], output: Path) -> None:
    """Analyse photos, and print where the page is."""
    with explain_errors("demo"):
        from facekit.demo import run_demo

        page, faces = run_demo(photos, output)
    click.echo(f"{faces} {'face' if faces == 1 else 'faces'} found; open {page}")
