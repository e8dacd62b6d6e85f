"""Write parts of pages at build, so that no copy grows old: `<!-- insert: NAME -->`."""

from __future__ import annotations

import itertools
import json
import re
from collections.abc import Iterator
from pathlib import Path

import click
from sphinx.application import Sphinx
from sphinx.environment import BuildEnvironment

MARKER = re.compile(r"^<!-- insert: (.+) -->$", re.MULTILINE)
WITH_INSERTS = (
    "docs/lessons",
    "docs/papers",
    "docs/reference/columns_and_labels",
    "docs/reference/command_line",
)
# What each column of a table holds. A column that is missing here stops the build.
MEANINGS = {
    "image": "the path as given; for a folder, joined with the path below it",
    "frame": "number of the frame, from 0; empty for a still",
    "face": "number of the face in the picture, from 0, best detection first",
    **dict.fromkeys(("x1", "y1", "x2", "y2"), "the box: left, top, right, bottom"),
    "score": "probability that this is a face, 0 to 1",
    "age_years": "predicted age",
    **dict.fromkeys(
        ("age_low", "age_high"), "range that is meant to hold the true age four times in five"
    ),
    "age_range": "age class of the rounded age",
    "gender": "predicted label",
    "emotion": "predicted label",
    "ethnicity": "predicted label; only on request",
    **{
        f"{name}_probability": "probability of the predicted label, 0 to 1, calibrated"
        for name in ("gender", "emotion", "ethnicity")
    },
    "confidence_score": "0 to 1; the higher, the more likely all attributes are right",
}


def tabulate_papers(root: Path) -> str:
    """Return the tables of the papers with our figures beside them."""
    from facekit.evaluation.papers import tabulate_papers
    from facekit.registry import get_models_dir

    return tabulate_papers(get_models_dir())


def tabulate_lessons(root: Path) -> str:
    """Return a table with one row per lesson, with links."""
    from facekit.evaluation.markdown import make_markdown

    folder = root / "notebooks"
    rows = []
    for path in sorted(folder.glob("[0-9]*.ipynb")):
        first = "".join(json.loads(path.read_text(encoding="utf-8"))["cells"][0]["source"])
        title = first.splitlines()[0].removeprefix("# ").strip()
        minutes = re.search(r"\*\*Minutes\*\*: (\d+)", first)
        practice = [
            f"[{name}](../notebooks/{name}/{path.name})"
            for name in ("exercises", "solutions")
            if (folder / name / path.name).exists()
        ]
        tensorflow = "yes" if "TensorFlow must be installed" in first else ""
        link = f"[{title}](../notebooks/{path.name})"
        rows.append((link, minutes[1] if minutes else "", tensorflow, ", ".join(practice)))
    return make_markdown(rows, ("lesson", "minutes", "TensorFlow", "practice"))


def tabulate_columns(root: Path) -> str:
    """Return a table of the columns with their meanings; neighbours of one meaning share a row."""
    from facekit.evaluation.markdown import make_markdown
    from facekit.faces import COLUMNS
    from facekit.taxonomy import EMOTIONS, LANDMARKS

    meanings = (
        MEANINGS
        | {
            f"{name}_{axis}": "the five landmarks; left and right as the viewer sees them"
            for name in LANDMARKS
            for axis in "xy"
        }
        | {f"emotion_{label}": "probability of each emotion, 0 to 1" for label in EMOTIONS}
    )
    rows = [
        (", ".join(f"`{name}`" for name in names), meaning)
        for meaning, names in itertools.groupby(COLUMNS, meanings.__getitem__)
    ]
    return make_markdown(rows, ("column", "content"))


def tabulate_labels(root: Path) -> str:
    """Return a table of the labels of each attribute."""
    from facekit import taxonomy
    from facekit.evaluation.markdown import make_markdown

    rows = [("age", "`AGES_YEARS`", "one class per year, 0 to 100")]
    for name in ("GENDERS", "EMOTIONS", "ETHNICITIES", "LANDMARKS"):
        values = getattr(taxonomy, name)
        attribute = next((key for key, labels in taxonomy.LABELS.items() if labels is values), "")
        rows.append((attribute, f"`{name}`", ", ".join(values)))
    return make_markdown(rows, ("attribute", "in `facekit.taxonomy`", "labels"))


def tabulate_age_schemes(root: Path) -> str:
    """Return a table of the age classes of each scheme."""
    from facekit.evaluation.markdown import make_markdown
    from facekit.taxonomy import AGE_SCHEMES, name_age_ranges

    rows = [(f"`{scheme}`", ", ".join(name_age_ranges(scheme))) for scheme in AGE_SCHEMES]
    return make_markdown(rows, ("scheme", "classes, years"))


def describe_commands(root: Path) -> str:
    """Return the help of every command, each under a heading."""
    from facekit.commands import main

    context = click.Context(main, info_name="facekit", **main.context_settings)
    return "\n\n".join(_describe_command(context))


def _describe_command(context: click.Context) -> Iterator[str]:
    command = context.command
    yield f"## {context.command_path}\n\n```text\n{command.get_help(context)}\n```"
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            below = command.get_command(context, name)
            yield from _describe_command(click.Context(below, info_name=name, parent=context))


INSERTS = {
    "age schemes": tabulate_age_schemes,
    "columns": tabulate_columns,
    "commands": describe_commands,
    "labels": tabulate_labels,
    "lessons": tabulate_lessons,
    "papers": tabulate_papers,
}


def _insert(app: Sphinx, name: str, source: list[str]) -> None:
    if name in WITH_INSERTS:
        root = Path(app.srcdir)
        source[0] = MARKER.sub(lambda found: INSERTS[found[1]](root), source[0])


def _list_outdated(
    app: Sphinx, env: BuildEnvironment, added: set, changed: set, removed: set
) -> list[str]:
    return [name for name in WITH_INSERTS if name in env.found_docs]


def setup(app: Sphinx) -> dict:
    """Insert when a page is read, and read these pages at every build."""
    app.connect("source-read", _insert)
    app.connect("env-get-outdated", _list_outdated)
    return {"parallel_read_safe": True, "parallel_write_safe": True}
