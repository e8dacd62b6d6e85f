"""The commands `facekit embed` and `facekit verify`: options in, sentences out."""

from __future__ import annotations

from pathlib import Path

import click

from facekit.batch import OptionError, stop_on_signals
from facekit.commands.errors import explain_errors, say
from facekit.commands.numbers import FiniteRange

PRIVACY = """Embeddings are biometric data: they recognise a person in other photos. Keep them only
with the consent of the people, delete them when they are no longer needed, and do not use them to
find out who a stranger is."""

EMBED_HELP = f"""Compute the embedding of every face: 128 numbers that are alike for one person.

INPUT is an image or a folder (with all folders in it). The table has one row per face: image, face,
box, score, and the embedding as a list. The Euclidean distance compares two embeddings.

{PRIVACY} Nothing is stored except FILE.

\b
Exit status:
  0  every input was read, and the table was written
  1  something failed: each failure is named, and the rest is complete
  2  wrong usage
"""

VERIFY_HELP = f"""Say whether two photos show one person.

A and B are images. Where a photo shows several faces, the largest counts. The answer is "same
person", "different people" or "not sure"; the distance of the two embeddings and the thresholds are
printed, too. Lookalikes and relatives are often taken for one person: make no decision about
anybody from this answer.

{PRIVACY} Nothing is stored.

\b
Exit status:
  0  the photos were compared, whatever the answer
  1  a photo could not be read, or shows no face
  2  wrong usage
"""

MODEL_OPTION = click.option(
    "--model", metavar="NAME", help="Use this model.  [default: the default one for embeddings]"
)
CROPPED_OPTION = click.option("--cropped", is_flag=True, help="Each image is one face already.")


@click.command(help=EMBED_HELP, short_help="Compute the embeddings of faces.")
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--output",
    metavar="FILE.parquet",
    type=click.Path(path_type=Path),
    required=True,
    help="Write the table to this file. It may replace an earlier table of embeddings only.",
)
@click.option(
    "--group",
    is_flag=True,
    help="Add a column `person`: faces of one person get the same number. Needs: pip install "
    "'facekit[groups]'.",
)
@MODEL_OPTION
@CROPPED_OPTION
@click.option(
    "--min-face",
    metavar="PIXELS",
    type=FiniteRange(min=12),
    default=20,
    show_default=True,
    help="Side of the smallest face to find.",
)
@click.option(
    "--errors",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="Write a list of the inputs that could not be read to this file.",
)
def embed(inputs, output, group, model, cropped, min_face, errors) -> None:
    """Hand the options to `embed_folder`, and print what it reports."""
    with explain_errors("groups"), stop_on_signals():
        from facekit.batch.people import embed_folder

        try:
            result = embed_folder(
                inputs,
                output,
                errors,
                model=model,
                cropped=cropped,
                min_face_size=min_face,
                group=group,
                progress=True,
                say=say,
            )
        except OptionError as error:
            raise click.BadParameter(str(error), param_hint=f"--{error.option}") from None
    people = f" of {result.table['person'].nunique()} people" if group else ""
    click.echo(f"{output}: {len(result.table)} faces{people} in {result.files} images.", err=True)
    click.get_current_context().exit(1 if result.failures else 0)


@click.command(help=VERIFY_HELP, short_help="Say whether two photos show one person.")
@click.argument("a", type=click.Path(path_type=Path))
@click.argument("b", type=click.Path(path_type=Path))
@MODEL_OPTION
@CROPPED_OPTION
def verify(a, b, model, cropped) -> None:
    """Print the answer of `embedding.verify`."""
    with explain_errors():
        from facekit.embedding import verify as compare

        found = compare(a, b, model=model, cropped=cropped)
    click.echo(found.answer)
    click.echo(
        f"distance {found.distance:.3f}; same person up to {found.same_below:.3f}, different "
        f"people above {found.different_above:.3f} (model {found.model})"
    )
