"""Compare the figures of two papers with ours, under the protocols of the papers and under ours.

The protocols of the papers leak: images of one person, or changed copies of one photo, stand on
both sides of a split. Ours do not.

Papers: (1) Benchekchou and Rissouni, "Toward Affective Intelligence: Real-Time Age, Gender, and
Emotion Detection via Multi-CNN and MTCNN Integration". The figures are those that its authors
publish beside their code; losses are not among them. (2) Age, ethnicity and emotion of several
people in one photo, by MTCNN, FaceNet and an SVM with an RBF kernel.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facekit.datasets.adapters import DATASETS
from facekit.evaluation.figures import CELLS, PROTOCOLS_FOLDER, format_cells, measure_attribute
from facekit.evaluation.markdown import make_markdown
from facekit.evaluation.runs import find_run, read_history
from facekit.taxonomy import ATTRIBUTES

UNKNOWN = "-"


@dataclass(frozen=True)
class Claim:
    """The accuracy that a paper reports for one attribute.

    Attributes:
        attribute: A key of `taxonomy.LABELS`.
        title: Title of its table.
        accuracy: Accuracy on the validation split, 0 to 1.
        data: The data that it was measured on.
        figure: The name of our figure to compare it with.

    Example:
        >>> {claim.attribute: claim.accuracy for claim in CLAIMS}
        {'age': 0.89, 'gender': 0.88, 'emotion': 0.99}
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
        ('utkface', 'group_disjoint', 0.8403)
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
    return DATASETS[source].protocol if source in DATASETS else UNKNOWN


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
    """Return the training history of a shipped model, one row per epoch.

    Where one network learned several attributes, only the losses and metrics of this attribute are
    returned, under the names that they have in a network of one attribute.

    Args:
        models_dir: Folder of the registry, with histories.
        attribute: A key of `taxonomy.LABELS`.

    Returns:
        `epoch`, from 0; `loss`, the metric (`accuracy`, for age `years_off`) and both on the
        validation split, with the prefix `val_`; and `kept`, whether the weights of this epoch are
        shipped: those with the lowest validation loss, summed over all attributes.

    Raises:
        FileNotFoundError: If the history is missing.

    Example:
        >>> from facekit.registry import get_models_dir
        >>> int(load_history(get_models_dir(), "emotion")["kept"].sum())
        1
    """
    history = read_history(find_run(attribute=attribute, models_dir=models_dir))
    kept = history.index == history["val_loss"].idxmin()
    prefix = f"{attribute}_"
    own = {name: name.replace(prefix, "") for name in map(str, history) if prefix in name}
    if own:
        history = history[["epoch", *own]].rename(columns=own)
    return history.assign(kept=kept)


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
    epoch = f"facekit, epoch {int(course['epoch']) + 1}; training crops are augmented"
    history = [
        (f"paper, {claim.data}", *[UNKNOWN] * 3, f"{claim.accuracy:.0%} correct"),
        (epoch, *(form.format(course[column]) for column, form in forms.items())),
    ]
    header = ("", "training loss", f"training {name}", "validation loss", f"validation {name}")
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
        first = f"{claims[attribute].accuracy:.0%}" if attribute in claims else UNKNOWN
        second = f"{SECOND_PAPER_ACCURACY:.0%}" if attribute in SECOND_PAPER else UNKNOWN
        rows.append((attribute, first, second, "; ".join(ours)))
    header = ("attribute", "first paper", "second paper", "facekit, protocols without leaks")
    return "\n\n".join(
        (
            "## Table 5. Side by side",
            f"The second paper reports {SECOND_PAPER_ACCURACY:.0%} over age, ethnicity and emotion "
            "on 120 photos of DataTurks.",
            make_markdown(rows, header),
        )
    )
