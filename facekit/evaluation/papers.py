"""The two papers' figures beside ours, under the papers' protocols, which leak, and under ours,
which do not.

Papers: (1) Benchekchou and Rissouni, "Toward Affective Intelligence: Real-Time Age, Gender, and
    Emotion Detection via Multi-CNN and
MTCNN Integration"; the figures are those its authors publish beside their code, losses are not
among them. (2) Age, ethnicity and emotion of several people in one photo, by MTCNN, FaceNet and an
RBF SVM.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facekit.evaluation.figures import PROTOCOLS_FOLDER, format_figure, measure_attribute
from facekit.registry import load_index
from facekit.taxonomy import ATTRIBUTES

UNKNOWN = "-"


@dataclass(frozen=True)
class Claim:
    """What a paper says of an attribute.

    Attributes:
        attribute: Key of `taxonomy.LABELS`.
        title: Of its table.
        accuracy: Of validation, as the paper has it.
        data: On what.
        figure: Which of our figures it compares with.
    """

    attribute: str
    title: str
    accuracy: float
    data: str
    figure: str


CLAIMS = (
    Claim(
        "age",
        "Table 2. Age",
        0.89,
        "UTKFace and Combined_Faces, 7 classes, augmented",
        "accuracy, 7 classes",
    ),
    Claim("gender", "Table 3. Gender", 0.88, "UTKFace, random split", "accuracy"),
    Claim("emotion", "Table 4. Emotion", 0.99, "CK+48, random frames", "accuracy"),
)
SECOND_PAPER = ("age", "ethnicity", "emotion")
SECOND_PAPER_ACCURACY = 0.58  # of all three together, on the 120 photos of DataTurks
HONEST = {"utkface": "group_disjoint", "fer2013": "official", "ck_plus": "subject_disjoint"}


def load_figures(models_dir: Path, attribute: str) -> list[dict]:
    """Return the figures of a shipped model, and of each protocol that was run on its task, as
    `measure_attribute` gives them.

    Each gets a `protocol`, and `shipped`, whether it is of the shipped model.

    Raises:
        FileNotFoundError: If the model's predictions are not there.
    """
    folder = models_dir / attribute
    figures = [
        figure | {"protocol": HONEST.get(figure["source"], UNKNOWN), "shipped": True}
        for figure in measure_attribute(attribute, pd.read_parquet(folder / "predictions.parquet"))
    ]
    for path in sorted((folder / PROTOCOLS_FOLDER).glob("*.parquet")):
        protocol = path.stem.partition("-")[2]
        figures += [
            figure | {"protocol": protocol, "shipped": False}
            for figure in measure_attribute(attribute, pd.read_parquet(path))
        ]
    return figures


def load_history(models_dir: Path, attribute: str) -> pd.DataFrame:
    """Return the course of a shipped model's training, a line an epoch.

    Where one network learned several attributes, the losses and metrics are those of this one,
    called as if it had been alone.

    Args:
        models_dir: The registry.
        attribute: A key of `taxonomy.LABELS`.

    Returns:
        `epoch`, from 0; `loss`, the metric (`accuracy`, or for age `years_off`) and both of
        validation, with `val_` before the name; and `kept`, whether the epoch's weights are those
        that are shipped: they have the least validation loss, of all attributes together.
    """
    history = pd.read_csv(
        (models_dir / load_index(models_dir)[attribute].file).parent / "history.csv"
    )
    kept = history.index == history["val_loss"].idxmin()
    own = {name: name.replace(f"{attribute}_", "") for name in history if f"{attribute}_" in name}
    if own:
        history = history[["epoch", *own]].rename(columns=own)
    return history.assign(kept=kept)


def load_course(models_dir: Path, attribute: str) -> dict:
    """Return the line of `load_history` that was kept."""
    history = load_history(models_dir, attribute)
    return history.loc[history["kept"].idxmax()].to_dict()


def tabulate_papers(models_dir: Path) -> str:
    """Return the papers' tables with our figures, as Markdown.

    Args:
        models_dir: The registry, with predictions and histories.

    Raises:
        FileNotFoundError: If a model's predictions are not there.
    """
    figures = {attribute: load_figures(models_dir, attribute) for attribute in ATTRIBUTES}
    return "\n\n".join(
        (
            *(_tabulate_claim(claim, figures[claim.attribute], models_dir) for claim in CLAIMS),
            _compare(figures),
        )
    )


def _tabulate_claim(claim: Claim, figures: list[dict], models_dir: Path) -> str:
    course = load_course(models_dir, claim.attribute)
    metric, told, form = (
        ("years_off", "years off", "{:.2f}")
        if claim.attribute == "age"
        else ("accuracy", "accuracy", "{:.1%}")
    )
    ours = " | ".join(style.format(course[name]) for name, style in _pair(metric, form))
    lines = [
        f"## {claim.title}",
        "",
        f"| | training loss | training {told} | validation loss | validation {told} |",
        "|---|---|---|---|---|",
        f"| paper, {claim.data} | {UNKNOWN} | {UNKNOWN} | {UNKNOWN} | {claim.accuracy:.0%} right |",
        f"| facekit, epoch {int(course['epoch']) + 1}; training crops are changed | {ours} |",
        "",
        "| on images not trained on | protocol | images | figure | value | 95% interval |",
        "|---|---|---|---|---|---|",
    ]
    for figure in figures:
        who = "shipped model" if figure["shipped"] else "trained for the protocol"
        lines.append(
            f"| {figure['source']}, {who} | {figure['protocol']} | {format_figure(figure)} |"
        )
    return "\n".join(lines)


def _pair(metric: str, form: str) -> tuple:
    return ("loss", "{:.2f}"), (metric, form), ("val_loss", "{:.2f}"), (f"val_{metric}", form)


def _compare(figures: dict[str, list[dict]]) -> str:
    lines = [
        "## Table 5. Side by side",
        "",
        f"The second paper has {SECOND_PAPER_ACCURACY:.0%} over age, ethnicity and emotion on 120 photos of DataTurks.",
        "",
        "| attribute | first paper | second paper | facekit, honest protocols |",
        "|---|---|---|---|",
    ]
    claims = {claim.attribute: claim for claim in CLAIMS}
    for attribute, found in figures.items():
        name = claims[attribute].figure if attribute in claims else "accuracy"
        honest = "; ".join(
            f"{each['source']} {each['value']:.1%}"
            for each in found
            if each["shipped"] and each["figure"] == name
        )
        first = f"{claims[attribute].accuracy:.0%}" if attribute in claims else UNKNOWN
        second = f"{SECOND_PAPER_ACCURACY:.0%}" if attribute in SECOND_PAPER else UNKNOWN
        lines.append(f"| {attribute} | {first} | {second} | {honest} |")
    return "\n".join(lines)
