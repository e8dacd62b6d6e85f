"""What `facekit data` does: list, prepare, combine and audit datasets. Pandas and the like are imported only where a command runs."""

from __future__ import annotations

import re
import warnings
from contextlib import contextmanager
from pathlib import Path

import click

DATA_OPTION = click.option(
    "--data", "data_dir", metavar="DIR", type=click.Path(path_type=Path), default="data/raw", show_default=True,
    help="Folder that holds the datasets under their usual names, as data/README.md says.",
)  # fmt: skip

PREPARE_HELP = """Read datasets, split them, cut their faces, and save the manifest.

NAME is a dataset that `facekit data list` names, or a csv of your own with a column `path` and any of age, gender, ethnicity, emotion,
x1, y1, x2, y2, subject, group, split. Faces go to DIR/prepared/, where training finds them, the manifest beside them as NAME.parquet.
"""

COMBINE_HELP = """Merge datasets into one manifest to pre-train on: each photo once, age classes and genders level.

NAME is a dataset that `facekit data list` names, a csv of your own, or a manifest that `facekit data prepare` saved, .parquet; of copies
the one named first is kept. Photos whose copies contradict each other in a label are dropped, and what any of them tests on is not
trained on.
"""

AUDIT_HELP = """Look for what is wrong with a dataset: its files, duplicates, labels, balance, faces and splits.

NAME is a dataset that `facekit data list` names, a csv of your own, or a manifest that `facekit data prepare` saved, .parquet.
"""


SYNTHESIZE_HELP = """Draw faces into FOLDER, whose age, gender, ethnicity and emotion are known: to train on without a download.

Only the faces to train on can be biased; those to validate and to test on stay balanced.

\b
  facekit data synthesize faces/                                              2,000 faces
  facekit data synthesize faces/ --underrepresent gender=female:0.1           one woman in ten is left
  facekit data synthesize faces/ --underrepresent age=66+:0                   nobody is old
  facekit data synthesize faces/ --background-shortcut emotion:0.9            nine backgrounds in ten give the emotion away
"""


@click.group(short_help="List, prepare and audit datasets.")
def data() -> None:
    """List the datasets, prepare them for training, and look for what is wrong with them."""


@data.command("list")
@click.argument("names", metavar="[NAME]...", nargs=-1)
@DATA_OPTION
def list_datasets(names, data_dir) -> None:
    """Tell which datasets there are and how much of each is at hand; with NAMEs, all that is known of these."""
    with _plain_errors():
        from facekit.datasets.adapters import CATALOGUE, find_dataset

        described = [find_dataset(name) for name in names]
    for dataset in described:
        labels = ", ".join(dataset.labels) or "boxes"
        lines = {
            "what": dataset.about, "labels": labels, "protocol": dataset.protocol, "from": dataset.source, "licence": dataset.licence,
            "folder": data_dir / dataset.folder, "complete": f"{dataset.count or 'any number of'} files {dataset.files}",
            "checksum": dataset.checksum, "at hand": _count(dataset, data_dir), "datasheet": f"data/{dataset.name}.md",
        }  # fmt: skip
        click.echo(
            "\n".join(
                (
                    dataset.name,
                    *(f"  {key + ':':11}{value}" for key, value in lines.items() if value),
                    "",
                )
            )
        )
    if not names:
        rows = [("dataset", "at hand", "labels", "protocol", "licence", "from")]
        for each in CATALOGUE:
            labels = ", ".join(each.labels) or "boxes"
            rows.append(
                (
                    each.name,
                    _count(each, data_dir),
                    labels,
                    each.protocol,
                    each.licence,
                    each.source,
                )
            )
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
    "--fold", type=int, help="Of subject_disjoint: which tenth of the subjects is the test, 0 to 9."
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--output",
    metavar="FILE.parquet",
    type=click.Path(path_type=Path),
    help="Write the manifest of one dataset here.",
)
@click.option(
    "--download",
    is_flag=True,
    help="Fetch images that are not there, where a dataset tells their addresses (dataturks).",
)
def prepare(names, data_dir, protocol, fold, seed, output, download) -> None:
    """Take one dataset after the other."""
    if output and len(names) > 1:
        raise click.UsageError("--output takes the manifest of one dataset; name one.")
    with _plain_errors():
        from facekit.datasets.adapters import DATASETS, read_dataset, resolve_name
        from facekit.datasets.crops import CROP_SIDE, name_cache, prepare_crops
        from facekit.datasets.manifest import save_manifest
        from facekit.datasets.protocols import LEAKING

        for name in map(resolve_name, names):
            manifest = read_dataset(name, data_dir, seed, protocol, fold, download)
            channels = DATASETS[name].channels if name in DATASETS else 3
            cache = name_cache(data_dir, Path(name).stem, CROP_SIDE, channels)
            _, scores = prepare_crops(manifest, cache, channels=channels)
            target = output or cache.with_name(f"{Path(name).stem}.parquet")
            save_manifest(manifest, target)
            click.echo(
                f"{name}: {len(manifest)} faces, {(scores == 0).mean():.1%} of them not found and cut along box or edge; {target}"
            )
            if protocol in LEAKING:
                click.echo(
                    f"{protocol} leaks, as in the papers: figures measured on this split flatter."
                )
            click.echo("\n" + tabulate_counts(manifest) + "\n")


def tabulate_counts(manifest) -> str:
    """Return a table of a manifest's faces by split, in all and by label; ages by class."""
    import pandas as pd

    from facekit.datasets.manifest import SPLITS
    from facekit.taxonomy import EMOTIONS, ETHNICITIES, GENDERS, find_age_range, name_age_ranges

    ranges = manifest["age"].map(find_age_range, na_action="ignore")
    tables = {"faces": pd.crosstab(pd.Series("all", manifest.index), manifest["split"])}
    for name, values, order in (
        ("age", ranges, name_age_ranges()), ("gender", manifest["gender"], GENDERS),
        ("ethnicity", manifest["ethnicity"], ETHNICITIES), ("emotion", manifest["emotion"], EMOTIONS),
    ):  # fmt: skip
        if values.notna().any():
            tables[name] = pd.crosstab(values, manifest["split"]).reindex(order, fill_value=0)
    counts = pd.concat(tables).fillna(0).astype(int)
    return (
        counts.reindex(columns=[split for split in SPLITS if split in counts])
        .rename_axis(columns=None)
        .to_string()
    )


@data.command(help=COMBINE_HELP, short_help="Merge datasets into one to pre-train on.")
@click.argument("names", metavar="NAME...", nargs=-1, required=True)
@DATA_OPTION
@click.option(
    "--size",
    type=click.IntRange(min=1),
    required=True,
    help="Training rows wanted; faces are repeated to fill them.",
)
@click.option(
    "--seed",
    type=int,
    default=0,
    show_default=True,
    help="Of the splits, as fine-tuning must have it, and the sampling.",
)
@click.option(
    "--output",
    metavar="FILE.parquet",
    type=click.Path(path_type=Path),
    required=True,
    help="Write the manifest here.",
)
def combine(names, data_dir, size, seed, output) -> None:
    """Merge, and tell what became of the images."""
    with _plain_errors():
        from facekit.datasets.adapters import read_dataset
        from facekit.datasets.combined import combine_manifests
        from facekit.datasets.manifest import load_manifest, save_manifest

        manifests = [
            load_manifest(Path(name))
            if name.endswith(".parquet")
            else read_dataset(name, data_dir, seed)
            for name in names
        ]
        manifest, counts = combine_manifests(manifests, size, seed)
        save_manifest(manifest, output)
    click.echo(
        "\n".join(f"{count:>9,}  {described}" for described, count in counts.items())
        + f"\n{output}"
    )


@data.command(help=AUDIT_HELP, short_help="Look for duplicates, leaks and gaps.")
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
    help="Count images without a face; takes minutes where faces are not cut yet.",
)
def audit(name, data_dir, output, plots, faces) -> None:
    """Read every file of a dataset, and tell the findings."""
    with _plain_errors():
        from facekit.datasets.adapters import DATASETS, read_dataset, resolve_name
        from facekit.datasets.audit import audit_manifest, list_left_out
        from facekit.datasets.crops import CROP_SIDE, name_cache, prepare_crops
        from facekit.datasets.manifest import load_manifest

        name = resolve_name(name)
        manifest = (
            load_manifest(Path(name)) if name.endswith(".parquet") else read_dataset(name, data_dir)
        )
        left_out = (
            list_left_out(data_dir / DATASETS[name].folder, manifest) if name in DATASETS else ()
        )
        scores = None
        try:
            if faces:
                channels = DATASETS[name].channels if name in DATASETS else 3
                _, scores = prepare_crops(
                    manifest,
                    name_cache(data_dir, Path(name).stem, CROP_SIDE, channels),
                    channels=channels,
                )
        except (OSError, ValueError) as error:  # an unreadable file, which is itself a finding
            click.echo(f"facekit: faces were not counted: {error}", err=True)
        audited = audit_manifest(manifest, left_out, scores)
        click.echo(format_findings(audited.findings))
        for path in filter(None, (output, plots)):
            path.parent.mkdir(parents=True, exist_ok=True)
        if output:
            audited.findings.to_csv(output, index=False)
        if plots:
            from facekit.plotting import save_audit_page

            save_audit_page(audited, plots, f"{name}: {len(manifest):,} faces")


def format_findings(findings) -> str:
    """Return findings as text: a line each, and below it what was found where and what to do."""
    lines = []
    for told in findings.fillna({"count": -1, "share": 0}).to_dict("records"):
        measured = (
            f"{told['count']:>9,} of {told['total']:<9,} {told['share']:>6.1%}"
            if told["count"] >= 0
            else f"{'-':>9}{'':20}"
        )
        lines.append(f"{measured}  {told['finding']}{', ' * bool(told['detail'])}{told['detail']}")
        if told["count"] > 0:
            lines.append(
                f"{'':31}{told['examples']}{'; ' * bool(told['examples'])}{told['remedy']}"
            )
    return "\n".join(lines)


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
    help="Let this share of the backgrounds tell the label.",
)
def synthesize(folder, count, size, seed, underrepresent, background_shortcut) -> None:
    """Draw, and tell how many of each label there are."""
    given = _split_option(
        "--underrepresent",
        underrepresent,
        r"(\w+)=(.+):([\d.]+)",
        ("rare_attribute", "rare_label", "rare_share"),
    )
    given |= _split_option(
        "--background-shortcut",
        background_shortcut,
        r"(\w+):([\d.]+)",
        ("shortcut_attribute", "shortcut_strength"),
    )
    with _plain_errors():
        from facekit.datasets.synthetic import Bias, make_synthetic

        numbers = {
            name: float(value)
            for name, value in given.items()
            if name in ("rare_share", "shortcut_strength")
        }
        manifest = make_synthetic(folder, count, size, seed, Bias(**given | numbers))
        click.echo(f"{len(manifest)} faces in {folder}\n\n{tabulate_counts(manifest)}")


def _split_option(
    option: str, value: str | None, form: str, names: tuple[str, ...]
) -> dict[str, str]:
    """Return the parts of an option by name; none where it is not given."""
    if value is None:
        return {}
    match = re.fullmatch(form, value)
    if not match:
        raise click.BadParameter(f"{value!r} has not the form shown by --help.", param_hint=option)
    return dict(zip(names, match.groups(), strict=True))


@contextmanager
def _plain_errors():
    """Show warnings and foreseeable errors as lines for a reader."""
    with warnings.catch_warnings():
        warnings.simplefilter("always", UserWarning)
        warnings.showwarning = lambda message, *_: click.echo(f"facekit: {message}", err=True)
        try:
            yield
        except ModuleNotFoundError as error:
            raise click.ClickException(
                f"Preparing data needs {error.name}; run: pip install 'facekit[train]'"
            ) from None
        except (OSError, ValueError) as error:
            raise click.ClickException(str(error)) from None
