"""The command `facekit analyze`."""

from __future__ import annotations

import csv
import os
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from tqdm import tqdm

from facekit.analysis import Analysis
from facekit.images import IMAGE_SUFFIXES, ImageError
from facekit.pipeline import FaceAnalyzer
from facekit.registry import ModelError
from facekit.tables import WRITERS, format_rows, save_rows, write_csv
from facekit.taxonomy import ATTRIBUTES, DEFAULT_ATTRIBUTES
from facekit.video import VIDEO_SUFFIXES, VideoError, VideoWriter, measure_frame_rate

ANALYZE_HELP = """Analyse pictures, folders (walked recursively) and videos.

One row a face: where it is, age with its range, gender, emotion, how sure. Without --output the table is printed; as CSV where it is
piped on.

\b
Exit status:
  0  every input was read
  1  some were not: each is named, and the rest is complete
  2  wrong usage
"""


class AttributeList(click.ParamType):
    """A comma-separated list of attributes."""

    name = "list"

    def convert(self, value, param, ctx):
        """Split and check the list."""
        if isinstance(value, tuple):
            return value
        names = tuple(name.strip() for name in value.split(",") if name.strip())
        unknown = [name for name in names if name not in ATTRIBUTES]
        if unknown or not names:
            self.fail(f"{value!r} is not a list of {', '.join(ATTRIBUTES)}.", param, ctx)
        return names


@click.command(help=ANALYZE_HELP)
@click.argument("inputs", metavar="INPUT...", nargs=-1, required=True)
@click.option(
    "--output",
    metavar="FILE",
    type=click.Path(path_type=Path),
    help="Write the table here: .csv, .parquet or .jsonl.",
)
@click.option(
    "--annotate",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Write pictures with boxes and labels into DIR.",
)
@click.option(
    "--attributes", metavar="LIST", type=AttributeList(), default=",".join(DEFAULT_ATTRIBUTES), show_default=True,
    help="Any of age,gender,emotion,ethnicity. Ethnicity is sensitive: told only where asked for.",
)  # fmt: skip
@click.option(
    "--cropped", is_flag=True, help="Each picture is one face already: one row each, found or not."
)
@click.option(
    "--min-face", metavar="PIXELS", type=click.FloatRange(min=12), default=20, show_default=True,
    help="Side of the smallest face to look for; 40 takes half the time of 20.",
)  # fmt: skip
@click.option(
    "--errors",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="List the inputs that could not be read here.",
)
def analyze(inputs, output, annotate, attributes, cropped, min_face, errors) -> None:
    """Walk the inputs and write what was found."""
    if output and output.suffix.lower() not in WRITERS:
        raise click.BadParameter(
            f"{output} must end in {', '.join(WRITERS)}.", param_hint="--output"
        )
    if annotate and annotate.exists() and not annotate.is_dir():
        raise click.BadParameter(f"{annotate} is a file; name a folder.", param_hint="--annotate")
    for path in (output, errors):
        _check_writable(path)
    analyzer = FaceAnalyzer(attributes, min_face, cropped)
    rows: list[dict] = []
    failures: list[dict] = []
    files = _make_distinct(_list_files(inputs, failures))
    try:
        for name, below in tqdm(
            files, "analysing", unit="file", disable=None if len(files) > 1 else True, leave=False
        ):
            try:
                for analysis in _analyze_file(analyzer, name, annotate and annotate / below):
                    rows += analysis.to_dicts()
            except (ImageError, VideoError, OSError, MemoryError) as error:
                _report(failures, name, error)
    except ModelError as error:  # no other file would fare better
        raise click.ClickException(str(error)) from None
    finally:  # an interrupted run keeps what it has
        _write_table(rows, output)
        if errors:
            with errors.open("w", newline="", encoding="utf-8", errors="surrogateescape") as file:
                table = csv.DictWriter(file, ("image", "error"))
                table.writeheader()
                table.writerows(failures)
    click.get_current_context().exit(1 if failures else 0)


def _check_writable(path: Path | None) -> None:
    """Fail before the work rather than after it."""
    if path is None:
        return
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        with path.open("a"):
            pass
    except OSError as error:
        raise click.BadParameter(
            f"{path} cannot be written ({error.strerror}); name another file."
        ) from None


def _report(failures: list[dict], name: str, error: Exception) -> None:
    message = str(error) or type(error).__name__
    if str(Path(name)) not in message:
        message = f"{name}: {message}"
    failures.append({"image": name, "error": message})
    tqdm.write(f"facekit: {message}", file=sys.stderr)


def _list_files(inputs: tuple[str, ...], failures: list[dict]) -> Iterator[tuple[str, Path]]:
    """Yield each file's name, beginning as its input was given, and where it lies below that."""
    for given in inputs:
        if not Path(given).is_dir():
            yield given, Path(Path(given).name)
            continue
        found = [
            os.path.join(folder, name)  # noqa: PTH118 (a Path would change the name given)
            for folder, _, names in os.walk(
                given, onerror=lambda error: _report(failures, error.filename, error)
            )
            for name in names
            if not name.startswith(".")
        ]
        pictures = sorted(name for name in found if name.lower().endswith(IMAGE_SUFFIXES))
        yield from ((name, Path(name).relative_to(given)) for name in pictures)
        videos = sum(name.lower().endswith(VIDEO_SUFFIXES) for name in found)
        if videos:
            click.echo(
                f"facekit: {given}: {videos} videos left out; name a video itself to have it analysed.",
                err=True,
            )
        if not pictures:
            _report(
                failures, given, ImageError(f"holds no pictures ({', '.join(IMAGE_SUFFIXES)}).")
            )


def _make_distinct(files: Iterable[tuple[str, Path]]) -> list[tuple[str, Path]]:
    """Tell apart the places below that several files would share, so that no annotated picture overwrites another."""
    distinct: dict[Path, str] = {}
    for name, below in files:
        place, number = below, 2
        while place in distinct:
            place, number = below.with_stem(f"{below.stem}-{number}"), number + 1
        distinct[place] = name
    return [(name, place) for place, name in distinct.items()]


def _analyze_file(analyzer: FaceAnalyzer, name: str, drawn: Path | None) -> Iterator[Analysis]:
    """Yield the analysis of a picture, or of each frame of a video; draw them where asked to."""
    if not name.lower().endswith(VIDEO_SUFFIXES):
        analysis = analyzer.analyze(name)
        if drawn:
            _save_picture(analysis, Path(name), drawn)
        yield analysis
        return
    frames = tqdm(
        analyzer.analyze_video(name), Path(name).name, unit="frame", disable=None, leave=False
    )
    if not drawn:
        yield from frames
        return
    target = _place_drawing(Path(name), drawn, (".mp4",))
    with VideoWriter(target, measure_frame_rate(name)) as writer:
        for analysis in frames:
            writer.write(analysis.draw())
            yield analysis


def _save_picture(analysis: Analysis, path: Path, drawn: Path) -> None:
    from PIL import Image

    Image.fromarray(analysis.draw()).save(
        _place_drawing(path, drawn, (".jpg", ".jpeg")), quality=92
    )


def _place_drawing(source: Path, drawn: Path, suffixes: tuple[str, ...]) -> Path:
    """Return where a drawing goes: with an ending that fits, in a folder that is there, and never over the source itself."""
    drawn.parent.mkdir(parents=True, exist_ok=True)
    target = (
        drawn if drawn.suffix.lower() in suffixes else drawn.with_name(drawn.name + suffixes[0])
    )
    if target.exists() and target.samefile(source):
        return target.with_stem(f"{target.stem}-annotated")
    return target


def _write_table(rows: list[dict], output: Path | None) -> None:
    if output is not None:
        save_rows(rows, output)
    elif sys.stdout.isatty():
        click.echo(format_rows(rows))
    else:
        sys.stdout.reconfigure(errors="surrogateescape")  # a file name need not be text
        write_csv(rows, sys.stdout)
