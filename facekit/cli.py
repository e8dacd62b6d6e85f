"""The `facekit` command. It reads the line, walks the inputs and writes the results; the work is done by `pipeline` and `training`."""

from __future__ import annotations

import csv
import os
import secrets
import sys
from collections.abc import Iterable, Iterator
from pathlib import Path

import click
from tqdm import tqdm

from facekit.analysis import Analysis
from facekit.datasets.command import DATA_OPTION, data
from facekit.images import IMAGE_SUFFIXES, ImageError
from facekit.pipeline import FaceAnalyzer
from facekit.registry import ModelError, get_models_dir
from facekit.tables import WRITERS, format_rows, save_rows, write_csv
from facekit.taxonomy import ATTRIBUTES, DEFAULT_ATTRIBUTES
from facekit.video import VIDEO_SUFFIXES, VideoError, VideoWriter, measure_frame_rate

MAIN_HELP = """Find every face in pictures and videos; tell its age, gender and emotion.

\b
  facekit analyze party.jpg                            a table in the terminal
  facekit analyze photos/ --output faces.csv           a folder, into a file
  facekit analyze party.jpg --annotate drawn/          pictures with boxes and labels
  facekit demo                                         see it work, without a picture of your own

Nothing leaves this machine, and nothing is stored but the files you name.
"""


ANALYZE_HELP = """Analyse pictures, folders (walked recursively) and videos.

One row a face: where it is, age with its range, gender, emotion, how sure. Without --output the table is printed; as CSV where it is
piped on.

\b
Exit status:
  0  every input was read
  1  some were not: each is named, and the rest is complete
  2  wrong usage
"""

TRAIN_HELP = """Train an attribute's network and put it into the models, or fit the constants of fusion.

The network is measured on its test split, which neither training nor the choice of the epoch saw. Needs: pip install 'facekit[train]'.
"""


APP_HELP = """Serve a page that shows who is in view: a large card for each face with age range, gender, emotion and confidence, and counts
over the last minutes.

\b
  facekit app                      the browser's camera
  facekit app photos/              a folder: its pictures in turn, and those that come
  facekit app film.mp4             a film in the camera's place
  facekit app --host 0.0.0.0       for other devices, such as a phone in the same network

The page is open to who has its token, and asks for it otherwise. Pictures go to this machine alone, and nothing is stored. Browsers give
their cameras to https pages and to localhost alone: for a phone's camera, put a server with a certificate before this one (Caddy,
nginx), or forward the port to the device itself.
Needs: pip install 'facekit[notebooks]'.
"""


REPORT_HELP = """Run a report's notebook into a page (HTML, and PDF where Chromium or Chrome is found), the notebook with its results, and a
JSON of its numbers.

\b
  facekit report photo --parameters photo=party.jpg --output reports/party
  facekit report dataset --parameters dataset=utkface --output reports/utkface
  facekit report training --parameters run=runs/mine --output reports/mine
  facekit report evaluation --output reports/shipped                      the shipped models
  facekit report evaluation --predictions mine.csv --output reports/mine  any model: its answers to labelled images

--predictions takes a .csv (or .parquet) with one row an image:

\b
  label      the true label; for age, years
  p_<class>  the probability of each class, such as p_female,p_male; for age p_0 to p_100
  predicted  in place of those, where a model gives none: the label told, or years
  group      if images belong together, such as those of one person: equal for these
  source     if there are several datasets: which one
  split      if there are several: only `test` is measured
  copied     if some may have been trained on: True for these

Other columns can be named by --parameters by=COLUMN,... to break the figures down. Classes need not be facekit's.

\b
Exit status:
  0  the report is there
  1  a cell failed (it is named, and the report up to there is kept), or an input does not fit
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


@click.group(
    help=MAIN_HELP,
    context_settings={"max_content_width": 100, "help_option_names": ["-h", "--help"]},
)
@click.version_option(package_name="facekit")
def main() -> None:
    """Hold the commands together."""


main.add_command(data)


@main.command(help=ANALYZE_HELP)
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


@main.command(short_help="Analyse sample photos and make a page of it.")
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


NETWORK_OPTION = click.option(
    "--network", type=click.Choice(("small", "pretrained", "teacher")), default="small", show_default=True,
    help="One from scratch; one that begins with dlib's weights, as served; or that one whole, too slow to serve, to teach others.",
)  # fmt: skip


@main.command(help=TRAIN_HELP, short_help="Train a network, or fit fusion.")
@click.argument("task", type=click.Choice((*ATTRIBUTES, "faces", "fusion")))
@DATA_OPTION
@click.option(
    "--models",
    "models_dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Enter the model here.  [default: the run's folder]",
)
@click.option(
    "--run",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Where to keep the run.  [default: runs/TASK]",
)
@NETWORK_OPTION
@click.option(
    "--sources",
    metavar="LIST",
    default="",
    help="Datasets to learn from, comma-separated.  [default: those of the task]",
)
@click.option(
    "--manifest",
    metavar="FILE.parquet",
    type=click.Path(path_type=Path),
    help="Learn from this manifest in place of datasets.",
)
@click.option(
    "--teacher",
    metavar="ANSWERS.npz",
    type=click.Path(path_type=Path),
    help="Learn from a teacher's answers, too.",
)
@click.option(
    "--start-from",
    metavar="MODEL.keras",
    type=click.Path(path_type=Path),
    help="Take over the layers of a trained model.",
)
@click.option("--epochs", type=click.IntRange(min=1), default=30, show_default=True)
@click.option("--learning-rate", type=float, default=2e-3, show_default=True)
@click.option(
    "--balance",
    type=float,
    default=0.0,
    show_default=True,
    help="Count rare classes more: 1 makes all classes count alike.",
)
@click.option(
    "--teacher-share",
    type=click.FloatRange(0, 1),
    default=0.7,
    show_default=True,
    help="Of a teacher's answer beside the label.",
)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--precision", type=click.Choice(("float32", "mixed_bfloat16")), default="float32", show_default=True,
    help="mixed_bfloat16 is faster on processors with AMX or AVX512-BF16.",
)  # fmt: skip
@click.option("--resume", is_flag=True, help="Go on with a run that was stopped.")
def train(
    task,
    data_dir,
    models_dir,
    run,
    network,
    sources,
    manifest,
    teacher,
    start_from,
    resume,
    **options,
) -> None:
    """Hand over to `training.command`, which alone needs Keras."""
    try:
        from facekit.training.command import DataChoice, run_fusion_fit, run_training
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"Training needs {error.name}; run: pip install 'facekit[train]'"
        ) from None
    try:
        if task == "fusion":
            run_fusion_fit(data_dir, models_dir, options["seed"])
        else:
            run = run or Path("runs", task if network == "small" else f"{task}-{network}")
            chosen = DataChoice(data_dir, tuple(filter(None, sources.split(","))), manifest)
            run_training(
                task, chosen, models_dir, run, network, start_from, teacher, resume, **options
            )
    except (OSError, ValueError, ModelError) as error:
        raise click.ClickException(str(error)) from None


@main.command()
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


@main.command()
@click.argument("task", type=click.Choice(ATTRIBUTES))
@DATA_OPTION
@NETWORK_OPTION
@click.option("--source", metavar="NAME", required=True, help="The dataset.")
@click.option(
    "--protocol",
    metavar="NAME",
    required=True,
    help="How to split: subject_disjoint, random_frames, augment_then_split, ...",
)
@click.option(
    "--models",
    "models_dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="Keep predictions here.  [default: models]",
)
@click.option(
    "--run",
    metavar="DIR",
    type=click.Path(path_type=Path),
    help="[default: runs/TASK-SOURCE-PROTOCOL]",
)
@click.option(
    "--start-from",
    metavar="MODEL.keras",
    type=click.Path(path_type=Path),
    help="A model that has not seen this dataset.",
)
@click.option("--photos", type=click.IntRange(min=100), help="Take only so many.")
@click.option("--epochs", type=click.IntRange(min=1), default=12, show_default=True)
@click.option("--learning-rate", type=float, default=1e-3, show_default=True)
@click.option("--seed", type=int, default=0, show_default=True)
@click.option(
    "--precision",
    type=click.Choice(("float32", "mixed_bfloat16")),
    default="float32",
    show_default=True,
)
def crossvalidate(
    task, network, source, protocol, data_dir, models_dir, run, start_from, photos, **options
) -> None:
    """Train and test once a fold under a protocol, and keep the predictions for `facekit evaluate`."""
    try:
        from facekit.training.crossvalidation import run_protocol
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"Training needs {error.name}; run: pip install 'facekit[train]'"
        ) from None
    run = run or Path("runs", f"{task}-{source}-{protocol}")
    try:
        models_dir = models_dir or get_models_dir()
        click.echo(
            run_protocol(
                task,
                network,
                source,
                protocol,
                data_dir,
                models_dir,
                run,
                start_from,
                photos,
                **options,
            )
        )
    except (OSError, ValueError) as error:
        raise click.ClickException(str(error)) from None


@main.command(help=APP_HELP, short_help="Serve a page that shows who is in view.")
@click.argument(
    "source", metavar="[FOLDER|VIDEO]", required=False, type=click.Path(exists=True, path_type=Path)
)
@click.option(
    "--host",
    metavar="ADDRESS",
    default="localhost",
    show_default=True,
    help="Address to listen on; 0.0.0.0 for other devices.",
)
@click.option("--port", type=click.IntRange(1, 65535), default=8866, show_default=True)
@click.option(
    "--token",
    metavar="TEXT",
    default="",
    help="What opens the page, 8 characters or more.  [default: a random one]",
)
@click.option(
    "--sure",
    type=click.FloatRange(0, 1),
    help="Confidence below which a card says 'Not sure'.  [default: 0.5]",
)
@click.option(
    "--minutes", type=click.FloatRange(0, min_open=True), help="That a face counts.  [default: 10]"
)
@click.option("--theme", type=click.Choice(("light", "dark")), default="light", show_default=True)
@click.option("--browser/--no-browser", default=True, help="Open the page here.")
def app(source, host, port, token, sure, minutes, theme, browser) -> None:
    """Check what can be checked before the page is there, and serve it."""
    if token and len(token) < 8:
        raise click.BadParameter(
            "must have 8 characters or more; leave it out for a random one.", param_hint="--token"
        )
    if source and not source.is_dir() and not source.name.lower().endswith(VIDEO_SUFFIXES):
        raise click.BadParameter(
            f"{source} is neither a folder nor a video ({', '.join(VIDEO_SUFFIXES)}).",
            param_hint="SOURCE",
        )
    try:
        import voila  # noqa: F401 (what follows needs it)

        from facekit.widgets.serving import LOOPBACK, check_address, make_url, serve_app
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"The app needs {error.name}; run: pip install 'facekit[notebooks]'"
        ) from None
    try:
        check_address(host, port)
    except OSError as error:
        raise click.ClickException(
            f"{host}:{port} cannot be listened on ({error.strerror}); give another --host or --port."
        ) from None
    token = token or secrets.token_urlsafe(16)
    click.echo(f"Open {make_url(host, port, token)}\nCtrl+C ends it. Nothing is stored.")
    if host not in LOOPBACK:
        click.echo(
            "facekit: others in the network can reach this page; only who has the token can open it. Browsers give their cameras to https "
            "pages and to localhost alone: through this address a camera stays dark, unless a server with a certificate is put before it.",
            err=True,
        )
    options = {"source": source and str(source.resolve()), "sure_from": sure, "minutes": minutes}
    serve_app(
        {name: value for name, value in options.items() if value is not None},
        host,
        port,
        token,
        theme,
        browser,
    )


@main.command(help=REPORT_HELP, short_help="Make a report of a model, dataset, photo or training.")
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
    help="Of the notebook; may be given often. A wrong name lists them all.",
)
@click.option(
    "--predictions",
    metavar="FILE.csv",
    type=click.Path(path_type=Path),
    help="For evaluation: whose answers to measure.",
)
@click.option(
    "--output", metavar="DIR", type=click.Path(path_type=Path, file_okay=False), required=True, help="Folder to write to."
)  # fmt: skip
def report(name, more, parameters, predictions, output) -> None:
    """Make a report, and tell where it is."""
    given = dict(_split_parameter(text) for text in (*parameters, *more))
    if predictions:
        if name != "evaluation":
            raise click.UsageError("--predictions is for evaluation.")
        given["predictions"] = str(predictions)
    try:
        from facekit.reports import ReportError, run_report

        if given.get("predictions") and name == "evaluation":
            from facekit.evaluation.predictions import read_predictions

            read_predictions(
                given["predictions"], given.get("attribute", "")
            )  # what is wrong with them is told without a report
        made = run_report(name, output, given)
    except ModuleNotFoundError as error:
        raise click.ClickException(
            f"Reports need {error.name}; run: pip install 'facekit[notebooks]'"
        ) from None
    except (OSError, ValueError, ReportError) as error:
        raise click.ClickException(str(error)) from None
    click.echo(
        f"{made.page}\nnumbers in {made.numbers}, all cells in {made.notebook}, "
        + _tell_print(made.printed)
    )


def _split_parameter(text: str) -> tuple[str, str]:
    name, equals, value = text.partition("=")
    if not (equals and name.isidentifier()):
        raise click.BadParameter(
            f"{text!r} has not the form NAME=VALUE.", param_hint="--parameters"
        )
    return name, value


def _tell_print(printed: Path | None) -> str:
    return (
        f"PDF in {printed}"
        if printed
        else "no PDF: no Chromium or Chrome that prints was found; print the page from any browser"
    )
