"""`facekit data`: list, prepare, combine, audit and draw datasets.

Pandas and the like are imported only when a command runs, so that `--help` is quick.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import click

from facekit.commands.errors import explain_errors

DATA_OPTION = click.option(
    "--data",
    "data_dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default="data/raw",
    show_default=True,
    help="Folder that holds the datasets under their usual names, see data/README.md.",
)

NAME_HELP = """NAME is a dataset that `facekit data list` lists, a csv of your own, or a manifest
that `facekit data prepare` saved, .parquet."""

PREPARE_HELP = """Read datasets, split them, cut their faces, and save the manifest.

NAME is a dataset that `facekit data list` lists, or a csv of your own with a column `path` and any
of age, gender, ethnicity, emotion, x1, y1, x2, y2, subject, group, split. Faces go to
DIR/prepared/, where training finds them, with the manifest beside them as NAME.parquet.
"""

COMBINE_HELP = f"""Merge datasets into one manifest to pre-train on.

Each photo is kept once, and age classes and genders are balanced. {NAME_HELP} Of several copies,
the one in the dataset named first is kept. Photos whose copies have contradictory labels are
dropped. No photo on which any of the datasets tests is used for training.
"""

AUDIT_HELP = f"""Find what is wrong with a dataset.

Checks its files, duplicates, labels, balance, faces and splits. {NAME_HELP}
"""

SYNTHESIZE_HELP = """Draw faces with known age, gender, ethnicity and emotion into FOLDER.

They are for training without a download. Only the training split can be biased; the validation and
test splits stay balanced.

\b
  facekit data synthesize faces/
      2,000 faces
  facekit data synthesize faces/ --underrepresent gender=female:0.1
      keeps one woman in ten
  facekit data synthesize faces/ --underrepresent age=66+:0
      keeps nobody of 66 years or more
  facekit data synthesize faces/ --background-shortcut emotion:0.9
      nine backgrounds in ten reveal the emotion
"""


@click.group(short_help="List, prepare and audit datasets.")
def data() -> None:
    """List datasets, prepare them for training, and find what is wrong with them."""


@data.command("list")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@DATA_OPTION
def list_datasets(names, data_dir) -> None:
    """List the datasets, and how many files of each exist.

    With NAMEs, print all that is known of these datasets.
    """
    with explain_errors("train"):
        from facekit.datasets.catalogue import CATALOGUE, find_dataset

        described = [find_dataset(name) for name in names]
    for dataset in described:
        complete = f"{dataset.count or 'any number of'} files such as {dataset.files}"
        lines = {
            "what": dataset.about,
            "labels": ", ".join(dataset.labels) or "boxes",
            "protocol": dataset.protocol,
            "from": dataset.source,
            "licence": dataset.licence,
            "folder": data_dir / dataset.folder,
            "complete": complete,
            "checksum": dataset.checksum,
            "at hand": _count(dataset, data_dir),
            "datasheet": dataset.datasheet,
        }
        click.echo(dataset.name)
        for key, value in lines.items():
            if value:
                click.echo(f"  {key + ':':11}{value}")
        click.echo()
    if not names:
        rows = [("dataset", "at hand", "labels", "protocol", "licence", "from")]
        for each in CATALOGUE:
            labels, count = ", ".join(each.labels) or "boxes", _count(each, data_dir)
            rows.append((each.name, count, labels, each.protocol, each.licence, each.source))
        widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
        click.echo("\n".join("  ".join(map(str.ljust, row, widths)).rstrip() for row in rows))


def _count(dataset, data_dir: Path) -> str:
    if not (data_dir / dataset.folder).is_dir():
        return "-"
    return f"{dataset.count_files(data_dir)}" + f" of {dataset.count}" * bool(dataset.count)


@data.command(help=PREPARE_HELP, short_help="Read, split and cut datasets.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@DATA_OPTION
@click.option("--protocol", metavar="NAME", help="How to split.  [default: the dataset's own]")
@click.option(
    "--fold",
    type=int,
    help="Of subject_disjoint and random_frames: which of ten folds is the test, 0 to 9.",
)
@click.option("--seed", type=int, default=0, show_default=True, help="Of the splits.")
@click.option(
    "--output",
    metavar="FILE.parquet",
    type=click.Path(path_type=Path),
    help="Write the manifest of one dataset here.",
)
@click.option(
    "--download",
    is_flag=True,
    help="Fetch missing images, for datasets that list their addresses (dataturks).",
)
def prepare(names, data_dir, protocol, fold, seed, output, download) -> None:
    """Prepare one dataset after the other."""
    if output and len(names) > 1:
        raise click.UsageError("--output takes the manifest of one dataset; name one.")
    with explain_errors("train"):
        from facekit.datasets.adapters import read_dataset
        from facekit.datasets.catalogue import DATASETS, resolve_name
        from facekit.datasets.crops import CROP_SIDE, name_cache, prepare_crops
        from facekit.datasets.manifest import save_manifest, tabulate_counts
        from facekit.datasets.outputs import check_manifest_output
        from facekit.datasets.protocols import LEAKING

        targets: dict[Path, str] = {}
        for name in map(resolve_name, names):
            channels = DATASETS[name].channels if name in DATASETS else 3
            cache = name_cache(data_dir, Path(name).stem, CROP_SIDE, channels)
            target = output or cache.with_name(f"{Path(name).stem}.parquet")
            check_manifest_output(target, names)
            if target in targets:
                raise click.UsageError(
                    f"{targets[target]} and {name} would both be saved as {target}; name them in"
                    " two commands, each with --output."
                )
            targets[target] = name
        for target, name in targets.items():
            manifest = read_dataset(name, data_dir, seed, protocol, fold, download)
            channels = DATASETS[name].channels if name in DATASETS else 3
            cache = name_cache(data_dir, Path(name).stem, CROP_SIDE, channels)
            _, scores = prepare_crops(manifest, cache, channels=channels)
            save_manifest(manifest, target)
            click.echo(
                f"{name}: {len(manifest)} faces, {(scores == 0).mean():.1%} of them not found and"
                f" cut along box or edge; {target}"
            )
            if protocol in LEAKING:
                click.echo(
                    f"{protocol} leaks, as in the papers: figures measured on this split are too"
                    " good."
                )
            click.echo("\n" + tabulate_counts(manifest) + "\n")


@data.command(help=COMBINE_HELP, short_help="Merge datasets into one to pre-train on.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@DATA_OPTION
@click.option(
    "--size",
    type=click.IntRange(min=1),
    required=True,
    help="Number of training rows; faces are repeated to fill them.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of the splits and the sampling; use the same one for fine-tuning.",
)
@click.option(
    "--output",
    metavar="FILE.parquet",
    type=click.Path(path_type=Path),
    required=True,
    help="Write the manifest here.",
)
def combine(names, data_dir, size, seed, output) -> None:
    """Merge datasets, and print how many images were kept and dropped, and why."""
    with explain_errors("train"):
        from facekit.datasets.adapters import read_dataset
        from facekit.datasets.combined import combine_manifests
        from facekit.datasets.manifest import load_manifest, save_manifest
        from facekit.datasets.outputs import check_manifest_output

        check_manifest_output(output, names)
        manifests = [
            load_manifest(Path(name))
            if name.endswith(".parquet")
            else read_dataset(name, data_dir, seed)
            for name in names
        ]
        manifest, counts = combine_manifests(manifests, size, seed)
        save_manifest(manifest, output)
    click.echo("\n".join(f"{count:>9,}  {described}" for described, count in counts.items()))
    click.echo(output)


@data.command(help=AUDIT_HELP, short_help="Find duplicates, leaks and gaps.")
@click.argument("name", metavar="NAME")
@DATA_OPTION
@click.option(
    "--output", metavar="FILE.csv", type=click.Path(path_type=Path), help="Write the table here."
)
@click.option(
    "--plots",
    metavar="FILE.png",
    type=click.Path(path_type=Path),
    help="Write a page of plots here: .png, .svg or .pdf.",
)
@click.option(
    "--faces/--no-faces",
    default=True,
    help="Count images without a face; takes minutes if the faces are not cut yet.",
)
def audit(name, data_dir, output, plots, faces) -> None:
    """Read every file of a dataset once, and print the findings."""
    with explain_errors("train"):
        from facekit.datasets.adapters import choose_protocol, keeps_split, read_unsplit
        from facekit.datasets.audit import audit_manifest, format_findings, list_left_out
        from facekit.datasets.catalogue import DATASETS, resolve_name
        from facekit.datasets.crops import CROP_SIDE, name_cache, score_faces
        from facekit.datasets.outputs import check_findings_output, check_page_output
        from facekit.datasets.protocols import split_by_protocol
        from facekit.files import replace_file

        if output:
            check_findings_output(output, [name])
        if plots:
            check_page_output(plots, [name])
            from facekit.plotting import save_audit_page  # before the work, as it may be missing

        name = resolve_name(name)
        manifest = read_unsplit(name, data_dir)
        # Cutting decodes the pictures; splitting and auditing use the fingerprints it takes.
        scores = None
        if faces:
            channels = DATASETS[name].channels if name in DATASETS else 3
            cache = name_cache(data_dir, Path(name).stem, CROP_SIDE, channels)
            scores = score_faces(manifest, cache, channels=channels)
        if not keeps_split(name, manifest):
            try:
                manifest = split_by_protocol(manifest, choose_protocol(name, manifest))
            except ValueError as error:  # too few images; the other findings are still worth it
                click.echo(f"facekit: not split: {error}", err=True)
        folder = data_dir / DATASETS[name].folder if name in DATASETS else None
        left_out = list_left_out(folder, manifest) if folder else ()
        audited = audit_manifest(manifest, left_out, scores)
        click.echo(format_findings(audited.findings))
        if output:
            with replace_file(output) as temporary:
                audited.findings.to_csv(temporary, index=False)
        if plots:
            with replace_file(plots) as temporary:
                save_audit_page(audited, temporary, f"{name}: {len(manifest):,} faces")


@data.command(help=SYNTHESIZE_HELP, short_help="Draw faces to train on.")
@click.argument("folder", metavar="FOLDER", type=click.Path(path_type=Path))
@click.option(
    "--count",
    type=click.IntRange(min=1),
    default=2000,
    show_default=True,
    help="Faces to draw, for all splits together.",
)
@click.option(
    "--size",
    metavar="PIXELS",
    type=int,
    default=96,
    show_default=True,
    help="Side of the pictures, from 48 to 200.",
)
@click.option("--seed", type=click.IntRange(min=0), default=0, show_default=True)
@click.option(
    "--underrepresent", metavar="ATTRIBUTE=LABEL:SHARE", help="Keep only this share of a group."
)
@click.option(
    "--background-shortcut",
    metavar="ATTRIBUTE:SHARE",
    help="Let this share of the backgrounds reveal the label.",
)
def synthesize(folder, count, size, seed, underrepresent, background_shortcut) -> None:
    """Draw faces, and print how many of each label there are."""
    given = _split_option(
        "--underrepresent",
        underrepresent,
        r"(\w+)=(.+):(\d*\.?\d+)",
        ("rare_attribute", "rare_label", "rare_share"),
    )
    given |= _split_option(
        "--background-shortcut",
        background_shortcut,
        r"(\w+):(\d*\.?\d+)",
        ("shortcut_attribute", "shortcut_strength"),
    )
    with explain_errors("train"):
        from facekit.datasets.manifest import tabulate_counts
        from facekit.datasets.synthetic import Bias, make_synthetic

        numbers = ("rare_share", "shortcut_strength")
        options: dict[str, Any] = {
            name: float(value) if name in numbers else value for name, value in given.items()
        }
        manifest = make_synthetic(folder, count, size, seed, Bias(**options))
        click.echo(f"{len(manifest)} faces in {folder}\n\n{tabulate_counts(manifest)}")


def _split_option(
    option: str, value: str | None, form: str, names: tuple[str, ...]
) -> dict[str, str]:
    """Return the parts of an option by name; none if the option is not given."""
    if value is None:
        return {}
    match = re.fullmatch(form, value)
    if not match:
        raise click.BadParameter(
            f"{value!r} does not have the form shown by --help.", param_hint=option
        )
    return dict(zip(names, match.groups(), strict=True))
