"""The command `facekit demo`."""

from __future__ import annotations

from pathlib import Path

import click

from facekit.images import ImageError
from facekit.registry import ModelError


@click.command(short_help="Analyse sample photos and make a page of it.")
@click.argument("photos", metavar="[PHOTO]...", nargs=-1, type=click.Path(path_type=Path))
@click.option(
    "--output",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default="demo",
    show_default=True,
    help="Folder to write to.",
)
def demo(photos, output) -> None:
    """Analyse photos that come with scikit-image and matplotlib, or your own, and make a page of it."""
    from facekit.demo import run_demo

    try:
        page, faces = run_demo(photos, output)
    except (ImageError, ModelError, OSError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(f"{faces} faces found; open {page}")
