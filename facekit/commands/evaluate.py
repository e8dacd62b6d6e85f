"""The command `facekit evaluate`."""

from __future__ import annotations

from pathlib import Path

import click

from facekit.commands.data import DATA_OPTION
from facekit.commands.errors import explain_errors
from facekit.detection import DEFAULT_DETECTOR, DETECTORS
from facekit.registry import get_models_dir
from facekit.taxonomy import ATTRIBUTES

TABLES = "paper-tables"
PHOTOS = "photos"
VERIFICATION = "verification"
STORED = (*ATTRIBUTES, TABLES, VERIFICATION)


EVALUATE_HELP = """Compute figures on held-out images.

Without --manifest they come from the stored predictions of the shipped models: ATTRIBUTE is age,
gender, emotion or ethnicity; all four by default. paper-tables prints the figures beside those of
the two papers. verification compares the models that say whether two photos show one person. No
image and no network is needed. Only the test split is measured.

With --manifest the models predict the faces of a dataset. MODEL is the name of a model, or an
attribute for its default model. NAME is a dataset that `facekit data list` lists, a csv of your
own, or a manifest, .parquet. Groups of people with the lowest accuracy are named.

photos MODEL... --manifest NAME analyzes photos of many faces whose boxes are known, such as those
of dataturks: faces are found by --detector and matched to the boxes, then age class, ethnicity,
emotion and gender are compared, each alone and all of the first three together (exact match).

\b
  facekit evaluate gender
  facekit evaluate paper-tables
  facekit evaluate faces --manifest fairface
  facekit evaluate --manifest mine.csv
  facekit evaluate photos --manifest dataturks --detector yunet
"""


@click.command(
    help=EVALUATE_HELP,
    short_help="Compute the figures of models on held-out images.",
)
@click.argument("names", metavar=f"[ATTRIBUTE|{TABLES}|{VERIFICATION}|{PHOTOS}|MODEL]...", nargs=-1)
@click.option("--manifest", metavar="NAME", help="Measure the models on the faces of this dataset.")
@click.option(
    "--split",
    metavar="SPLIT",
    default="",
    help="With --manifest: train, validation, calibration, test, excluded or all.  [default: test "
    "if there is one, else all]",
)
@click.option(
    "--detector",
    type=click.Choice(list(DETECTORS)),
    help=f"With {PHOTOS}: what finds the faces.  [default: {DEFAULT_DETECTOR}]",
)
@DATA_OPTION
def evaluate(
    names: tuple[str, ...], manifest: str | None, split: str, detector: str | None, data_dir: Path
) -> None:
    """Print the figures of attributes, the tables of the papers, or figures on a dataset."""
    if PHOTOS in names[:1]:
        if manifest is None or split:
            raise click.UsageError(f"{PHOTOS} needs --manifest, and does not take --split.")
        _evaluate_photos(names[1:], manifest, detector or DEFAULT_DETECTOR, data_dir)
        return
    if detector is not None:
        raise click.UsageError(f"--detector is for {PHOTOS}; other images are cropped.")
    if manifest is not None:
        _evaluate_dataset(names, manifest, split, data_dir)
        return
    for name in names:
        if name not in STORED:
            known = ", ".join(map(repr, STORED))
            raise click.UsageError(f"{name!r} is not one of {known}; models need --manifest.")
    if split:
        raise click.UsageError("--split needs --manifest: stored predictions are of the test.")

    from facekit.evaluation.figures import CELLS, format_cells
    from facekit.evaluation.markdown import make_markdown
    from facekit.evaluation.papers import load_figures, tabulate_papers

    with explain_errors():
        for task in names or ATTRIBUTES:
            if task == TABLES:
                click.echo(tabulate_papers(get_models_dir()) + "\n")
                continue
            if task == VERIFICATION:
                _show_verification()
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


def _evaluate_dataset(names: tuple[str, ...], manifest: str, split: str, data_dir: Path) -> None:
    with explain_errors("train"):
        from facekit.evaluation.figures import CELLS, format_cells
        from facekit.evaluation.manifests import CHOICES, measure_models
        from facekit.evaluation.markdown import make_markdown
        from facekit.fusion import load_constants

        if taken := {TABLES, VERIFICATION}.intersection(names):
            raise click.UsageError(f"{taken.pop()} does not take --manifest.")
        if split and split not in CHOICES:
            raise click.UsageError(f"--split must be one of {', '.join(CHOICES)}; got {split}.")
        # The models of a single training run have no constants.
        has_constants = (get_models_dir() / "fusion.json").is_file()
        constants = load_constants() if has_constants else None
        for attribute, model, figures in measure_models(
            names, manifest, data_dir, split, constants
        ):
            rows = [(figure["source"], *format_cells(figure)) for figure in figures]
            table = make_markdown(rows, ("data", *CELLS))
            click.echo(f"{attribute}, model {model}\n\n{table}\n")


def _evaluate_photos(models: tuple[str, ...], manifest: str, detector: str, data_dir: Path) -> None:
    with explain_errors("train"):
        from facekit.evaluation.crowds import evaluate_photos
        from facekit.evaluation.markdown import make_markdown

        table = evaluate_photos(manifest, data_dir, detector, models)
        rows = [
            (
                row["figure"],
                row["faces"],
                str(row["count"]),
                f"{row['share']:.1%}",
                f"{row['low']:.1%} to {row['high']:.1%}",
            )
            for row in table.to_dict("records")
        ]
        header = ("figure", "of faces", "count", "right", "95% interval")
        click.echo(make_markdown(rows, header))


def _show_verification() -> None:
    from facekit.calibration.verification import SOURCE, tabulate_verification
    from facekit.evaluation.markdown import make_markdown

    table = tabulate_verification(get_models_dir())
    accepted = [str(name) for name in table if str(name).startswith("accepted")]
    rows = [
        [
            row["model"],
            f"{row['pairs']}",
            f"{row['accuracy']:.1%} ({row['low']:.1%} to {row['high']:.1%})",
            *(f"{row[name]:.1%}" for name in accepted),
        ]
        for row in table.to_dict("records")
    ]
    rates = [float(name.split()[-1]) for name in accepted]
    header = ["model", f"pairs of {SOURCE}", "accuracy, ten folds of people"]
    header += [f"same person accepted at {rate:.1%} false accepts" for rate in rates]
    click.echo(f"{VERIFICATION}\n\n{make_markdown(rows, tuple(header))}\n")
