"""Compare the figures of two papers with ours, under the protocols of the papers and under ours.

A random split leaks where images of one person, or changed copies of one photo, stand in several
splits. Our protocols do not leak.

Papers: (1) Benchechou et al., "Toward Affective Intelligence: Real-Time Age, Gender, and Emotion
Detection via Multi-CNN and MTCNN Integration", Tables 2 to 5. (2) Age, ethnicity and emotion of
many people in one photo, by MTCNN, FaceNet and an SVM with an RBF kernel.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facekit.datasets.catalogue import DATASETS
from facekit.evaluation.figures import CELLS, PROTOCOLS_FOLDER, format_cells, measure_attribute
from facekit.evaluation.markdown import make_markdown
from facekit.evaluation.runs import find_run, read_history
from facekit.taxonomy import ATTRIBUTES

UNKNOWN = "not stated"
NOT_COMPARED = "-"
SERVED = "served"  # the name of the run whose weights are shipped
EARLIER = re.compile(r"history-(\d+)-(.+)\.csv")  # its order and its name


@dataclass(frozen=True)
class Claim:
    """What the first paper reports for one attribute. It prints losses as percentages.

    Attributes:
        attribute: A key of `taxonomy.LABELS`.
        title: Number and subject of the paper's table.
        data: The data that the paper names.
        assumed: What we assume where the paper does not state it.
        epochs: Number of epochs, or `None` where the paper does not state it.
        training_loss: Loss on the training split.
        training_accuracy: Accuracy on the training split, 0 to 1.
        validation_loss: Loss on the validation split.
        accuracy: Accuracy on the validation split, 0 to 1.
        figure: The name of our figure to compare it with.
        source: The dataset of ours to compare it with.

    Example:
        >>> {claim.attribute: claim.accuracy for claim in CLAIMS}
        {'age': 0.89, 'gender': 0.88, 'emotion': 0.99}
    """

    attribute: str
    title: str
    data: str
    assumed: str
    epochs: int | None
    training_loss: float
    training_accuracy: float
    validation_loss: float
    accuracy: float
    figure: str
    source: str


CLAIMS = (
    Claim(
        "age",
        "Table 2. Age",
        "UTKFace and Combined_Faces",
        "7 classes, random split",
        60,
        0.25,
        0.91,
        0.30,
        0.89,
        "accuracy, 7 classes",
        "utkface",
    ),
    Claim(
        "gender",
        "Table 3. Gender",
        "UTKFace",
        "random split",
        30,
        0.20,
        0.94,
        0.35,
        0.88,
        "accuracy",
        "utkface",
    ),
    Claim(
        "emotion",
        "Table 4. Emotion",
        "CK+48",
        "random frames",
        None,
        0.0575,
        1.0,
        0.0809,
        0.99,
        "accuracy",
        "ck_plus",
    ),
)
AVERAGE_ACCURACY = 0.92  # of the three networks of the first paper, its Table 5
LOW_LIGHT_ACCURACY = 0.85
FRAMES_PER_SECOND = 23
SECOND_PAPER_ACCURACY = 0.58  # over age, ethnicity and emotion, on the 120 photos of DataTurks


def load_figures(models_dir: Path, attribute: str) -> list[dict]:
    """Return the figures of the shipped model of an attribute and of each protocol run on its task.

    Args:
        models_dir: Folder of the registry, with predictions.
        attribute: A key of `taxonomy.LABELS`.

    Returns:
        Figures as `measure_attribute` returns them, each with a `protocol` and with `shipped`,
        whether the figure is of the shipped model.

    Raises:
        FileNotFoundError: If the predictions of the model are missing.
        ValueError: If they cannot be read.

    Example:
        >>> from facekit.registry import get_models_dir
        >>> figure = load_figures(get_models_dir(), "ethnicity")[0]
        >>> figure["source"], figure["protocol"], figure["value"]
        ('utkface', 'group_disjoint', 0.840312)
    """
    folder = models_dir / attribute
    shipped = _read_table(folder / "predictions.parquet")
    figures = [
        figure | {"protocol": _find_protocol(figure["source"]), "shipped": True}
        for figure in measure_attribute(attribute, shipped)
    ]
    for path in sorted((folder / PROTOCOLS_FOLDER).glob("*.parquet")):
        protocol = path.stem.partition("-")[2]
        figures += [
            figure | {"protocol": protocol, "shipped": False}
            for figure in measure_attribute(attribute, _read_table(path))
        ]
    return figures


def _find_protocol(source: str) -> str:
    """Return the protocol by which training splits a dataset; none of these leaks."""
    return DATASETS[source].protocol if source in DATASETS else NOT_COMPARED


def _read_table(path: Path) -> pd.DataFrame:
    try:
        return pd.read_parquet(path)
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{path}: the predictions are missing; reinstall facekit, or set FACEKIT_MODELS to a "
            "folder of models with their predictions."
        ) from None
    except (OSError, ValueError) as error:  # the errors of pyarrow are ValueErrors
        raise ValueError(f"{path}: the predictions cannot be read ({error}).") from None


def load_history(models_dir: Path, attribute: str) -> pd.DataFrame:
    """Return the training history of a shipped model, one row per epoch, with its earlier runs.

    A shipped network may have been trained in several runs, one after the other. The file
    `history.csv` is the last one, and `history-1-NAME.csv`, `history-2-NAME.csv` are earlier ones;
    runs with the same number trained separate parts of the network. Where one network learned
    several attributes, only the losses and metrics of this attribute are returned, under the names
    that they have in a network of one attribute.

    Args:
        models_dir: Folder of the registry, with histories.
        attribute: A key of `taxonomy.LABELS`.

    Returns:
        `epoch`, from 0, counted on from run to run; `loss`, the metric (`accuracy`, for age
        `years_off`) and both on the validation split, with the prefix `val_`; `run`, the name of
        the run, `served` for the last one; and `kept`, whether the weights of this epoch are
        shipped: those with the lowest validation loss of the last run, summed over all attributes.

    Raises:
        FileNotFoundError: If the history is missing.

    Example:
        >>> from facekit.registry import get_models_dir
        >>> history = load_history(get_models_dir(), "emotion")
        >>> list(history["run"].unique()), int(history["kept"].sum())
        (['ferplus', 'ck', 'served'], 1)
    """
    folder = find_run(attribute=attribute, models_dir=models_dir)
    last = read_history(folder)
    last = last.assign(run=SERVED, kept=last.index == last["val_loss"].idxmin())
    runs, start = [], 0
    earlier = sorted(
        (int(found[1]), found[2], path)
        for path in folder.glob("history-*.csv")
        if (found := EARLIER.fullmatch(path.name))
    )
    for order in sorted({number for number, _, _ in earlier}):
        parts = [
            read_history(path.parent, path.name).assign(run=name, kept=False)
            for number, name, path in earlier
            if number == order
        ]
        runs += [part.assign(epoch=part["epoch"] + start) for part in parts]
        start += max(map(len, parts))
    history = pd.concat([*runs, last.assign(epoch=last["epoch"] + start)], ignore_index=True)
    prefix = f"{attribute}_"
    own = {name: name.replace(prefix, "") for name in map(str, history) if prefix in name}
    if own:
        history = history[["epoch", *own, "run", "kept"]].rename(columns=own)
    return history


def load_course(models_dir: Path, attribute: str) -> dict:
    """Return the row of `load_history` whose weights are shipped.

    Args:
        models_dir: As for `load_history`.
        attribute: As for `load_history`.

    Example:
        >>> from facekit.registry import get_models_dir
        >>> load_course(get_models_dir(), "emotion")["kept"]
        True
    """
    history = load_history(models_dir, attribute)
    return history.iloc[int(history["kept"].argmax())].to_dict()


def tabulate_papers(models_dir: Path) -> str:
    """Return the tables of the papers with our figures, as Markdown.

    Args:
        models_dir: Folder of the registry, with predictions and histories.

    Raises:
        FileNotFoundError: If the predictions of a model are missing.

    Example:
        >>> from facekit.registry import get_models_dir
        >>> tabulate_papers(get_models_dir()).splitlines()[0]
        '## Table 2. Age'
    """
    figures = {attribute: load_figures(models_dir, attribute) for attribute in ATTRIBUTES}
    claims = [_tabulate_claim(claim, figures[claim.attribute], models_dir) for claim in CLAIMS]
    return "\n\n".join((*claims, _compare(figures)))


def _tabulate_claim(claim: Claim, figures: list[dict], models_dir: Path) -> str:
    course = load_course(models_dir, claim.attribute)
    if claim.attribute == "age":
        metric, name, form = "years_off", "years off", "{:.2f}"
    else:
        metric, name, form = "accuracy", "accuracy", "{:.1%}"
    forms = {"loss": "{:.2f}", metric: form, "val_loss": "{:.2f}", f"val_{metric}": form}
    epochs = UNKNOWN if claim.epochs is None else str(claim.epochs)
    reported = (
        f"{100 * claim.training_loss:g}%",
        f"{claim.training_accuracy:.0%} correct",
        f"{100 * claim.validation_loss:g}%",
        f"{claim.accuracy:.0%} correct",
    )
    ours = "facekit, epoch kept, augmented training images"
    history = [
        (f"paper, {claim.data} (assumed: {claim.assumed})", epochs, *reported),
        (
            ours,
            str(int(course["epoch"]) + 1),
            *(form.format(course[column]) for column, form in forms.items()),
        ),
    ]
    header = ("", "epochs", "training loss", f"training {name}", "validation loss",
              f"validation {name}")  # fmt: skip
    held_out = [
        (
            f"{figure['source']}, "
            + ("shipped model" if figure["shipped"] else "trained for the protocol"),
            figure["protocol"],
            *format_cells(figure),
        )
        for figure in figures
    ]
    measured = make_markdown(held_out, ("on images not trained on", "protocol", *CELLS))
    return "\n\n".join((f"## {claim.title}", make_markdown(history, header), measured))


def _compare(figures: dict[str, list[dict]]) -> str:
    claims = {claim.attribute: claim for claim in CLAIMS}
    rows = []
    for attribute, found in figures.items():
        name = claims[attribute].figure if attribute in claims else "accuracy"
        ours = [
            f"{each['source']} {each['value']:.1%}"
            for each in found
            if each["shipped"] and each["figure"] == name
        ]
        claim = claims.get(attribute)
        first = f"{claim.accuracy:.0%}, {claim.data}" if claim else NOT_COMPARED
        rows.append((attribute, first, NOT_COMPARED, "; ".join(ours)))
    rows += [
        ("mean of age, gender and emotion", f"{AVERAGE_ACCURACY:.0%}", NOT_COMPARED, NOT_COMPARED),
        ("accuracy in low light", f"{LOW_LIGHT_ACCURACY:.0%}", NOT_COMPARED, "not measured"),
        (
            "frames per second",
            str(FRAMES_PER_SECOND),
            NOT_COMPARED,
            "`python benchmarks/webcam.py`",
        ),
        (
            "age, ethnicity and emotion together",
            NOT_COMPARED,
            f"{SECOND_PAPER_ACCURACY:.0%}, 120 photos of DataTurks",
            "not measured",
        ),
    ]
    header = ("figure", "first paper", "second paper", "facekit, protocols without leaks")
    return "\n\n".join(
        (
            "## Table 5. Side by side",
            "The first paper prints its losses as percentages. It does not state how it splits its "
            "images: what is marked as assumed is our reading.",
            make_markdown(rows, header),
        )
    )
