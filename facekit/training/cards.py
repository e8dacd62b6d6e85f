"""Write the card of a model. Every sentence comes from what was run, never from what is usual.

Where the model comes from is left to `origin`; weak spots come from the test predictions.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from facekit.evaluation.figures import get_probabilities, tabulate_figures
from facekit.fusion import compute_mean_age
from facekit.taxonomy import LABELS, find_age_range
from facekit.training.course import Course
from facekit.training.origin import (
    USED_SPLITS,
    Origin,
    count_faces,
    describe_data,
    describe_epochs,
    describe_licence,
    describe_split,
    describe_start,
)

# What holds of a task whatever it was trained on, and what holds of the labels of one dataset.
LIMITS = {
    "age": "The model predicts how old a face looks, not how old a person is.",
    "gender": "The model knows two classes, as the datasets do. It predicts how a face looks, not "
    "who somebody is.",
    "emotion": "The model predicts the expression of a face, not the feeling of a person.",
    "ethnicity": "The classes are coarse, assigned by appearance, and contested. The model is for "
    "audits and research. It is never run by default and must not decide anything about anybody.",
}
SOURCE_LIMITS = {
    ("age", "utkface"): "The ages of UTKFace are estimates themselves.",
    ("age", "all_age_faces"): "Most people of All-Age-Faces are Asian; how their ages were found "
    "is unknown.",
    ("gender", "all_age_faces"): "Most people of All-Age-Faces are Asian.",
    ("gender", "lfw"): "Most people of LFW are white, male and grown-up.",
    ("ethnicity", "utkface"): "The five classes are those of UTKFace.",
    ("emotion", "ferplus"): "Ten people voted on each face of FER2013; the label is the majority.",
    ("emotion", "fer2013"): "About two people in three agree with the labels of FER2013.",
}

CARD = """# {name}

`{file}`, {kind} of {parameters:.2f} million parameters, predicts {name} from an upright
{colour} face crop of {side}x{side} pixels.{also}

- **Output**: {outputs}
- **Training data**: {data}
- **Started from**: {start}
- **Split**: {split}
- **Epochs**: {epochs}
- **Made by**: `{command}`
- **Licence**: {licence}

## Held-out figures (test split)

{figures}

`facekit evaluate {name}` computes them again from `predictions.parquet`, which holds the label of
every {held_out} image and the probabilities that the ONNX file gave it. `{folder}/history.csv` is
the training history, `{folder}/config.json` the settings.

{views}

{others}

{weakest} {lost}

## Course

{course}

## Limits

{limits}
"""


ALONE = """\
Averaged over a crop and its mirror image (test-time flipping), which takes twice the time and is
not how the model is served:"""
MIRRORED = """\
The figures are averages over a crop and its mirror image (test-time flipping), as the model is
served. From the crop alone, in half the time:"""

KINDS = {
    "mobilenet": "a MobileNet",
    "ensemble": "the mean of a residual CNN and a MobileNet, together",
}


def write_card(
    course: Course,
    task_name: str,
    file: str,
    count_parameters: int,
    manifest: pd.DataFrame,
    scores: np.ndarray,
    predictions: pd.DataFrame,
    figures: tuple[list[dict], list[dict]],
    history: Path,
    origin: Origin,
) -> str:
    """Return the card of a task of a model, as Markdown.

    Args:
        course: What the model learned.
        task_name: The task that the card is about.
        file: The ONNX file, relative to the registry, `FOLDER/FILE.onnx`.
        count_parameters: Number of the network's parameters.
        manifest: All faces, with splits; `load_data` made it.
        scores: (faces,) detection scores, 0 where no face was found.
        predictions: Table of predictions of the held-out faces.
        figures: Figures of the test split as served, and the other way: with or without test-time
            flipping.
        history: The run's `history.csv`.
        origin: How the model came about.

    Example:
        >>> write_card(...)  # see tests/training/test_export.py  # doctest: +SKIP
    """
    others = [name for name in course.task_names if name != task_name]
    sources = list(dict.fromkeys(manifest["source"]))
    limits = [LIMITS[task_name], *(SOURCE_LIMITS.get((task_name, name), "") for name in sources)]
    splits = [name for name in USED_SPLITS if (predictions["split"] == name).any()]
    return CARD.format(
        name=task_name,
        file=file,
        folder=Path(file).parent.as_posix(),
        kind=KINDS.get(course.network, "a residual CNN"),
        parameters=count_parameters / 1e6,
        side=course.side,
        colour="colour" if course.channels == 3 else "grey",
        also=f" It also predicts {' and '.join(others)}." if others else "",
        outputs="a probability for each year from 0 to 100"
        if task_name == "age"
        else f"probabilities of {', '.join(map(str, LABELS[task_name]))}",
        data=describe_data(manifest, task_name),
        start=describe_start(course, origin),
        split=describe_split(manifest),
        epochs=describe_epochs(history, int((manifest["split"] == "validation").sum())),
        command=origin.command,
        licence=describe_licence(sources),
        figures=tabulate_figures(figures[0]),
        views=MIRRORED if course.mirror else ALONE,
        others=tabulate_figures(figures[1]),
        held_out=" and ".join(filter(None, (", ".join(splits[:-1]), splits[-1]))),
        weakest=describe_weakest(task_name, predictions),
        lost=describe_lost(scores),
        course="\n".join(f"- {name}: {_format(value)}" for name, value in _list_course(course)),
        limits=" ".join(filter(None, limits)),
    )


def _list_course(course: Course) -> list[tuple[str, object]]:
    return [(name.replace("_", " "), value) for name, value in course.describe().items()]


def _format(value: object) -> str:
    if isinstance(value, dict):
        return ", ".join(f"{name.replace('_', ' ')} {each}" for name, each in value.items())
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def describe_weakest(task_name: str, predictions: pd.DataFrame) -> str:
    """Return the class, or the range of ages, that is predicted worst on each test split.

    Args:
        task_name: The task.
        predictions: Table of predictions; only its test rows count.

    Example:
        >>> faces = pd.DataFrame({
        ...     "split": "test", "source": "mine", "label": ["female", "male"],
        ...     "p_female": [0.9, 0.6], "p_male": [0.1, 0.4],
        ... })
        >>> describe_weakest("gender", faces)
        'The lowest recall is 0% on mine test, for male (1 face).'
    """
    test = predictions[predictions["split"] == "test"]
    labels, probabilities = test["label"].to_numpy(), get_probabilities(test)
    if task_name == "age":
        ages = labels.astype(float)
        groups = np.array([f"ages {find_age_range(age)}" for age in ages])
        values = -np.abs(compute_mean_age(probabilities) - ages)  # the lowest is the worst
        name, form = "The largest mean error is", "{:.1f} years"
    else:
        groups = labels
        values = np.array(LABELS[task_name])[probabilities.argmax(axis=1)] == labels
        name, form = "The lowest recall is", "{:.0%}"
    by_group = pd.Series(values).groupby([test["source"].to_numpy(), groups])
    figures = by_group.agg(["mean", "count"])
    parts = []
    for source, group in figures["mean"].groupby(level=0).idxmin():
        mean, count = figures.loc[(source, group)]
        parts.append(
            f"{form.format(abs(mean))} on {source} test, for {group} ({count_faces(count)})"
        )
    return f"{name} {'; '.join(parts)}."


def describe_lost(scores: np.ndarray) -> str:
    """Return in how many images no face was found.

    Args:
        scores: (images,) detection scores, 0 where no face was found.

    Example:
        >>> describe_lost(np.array([0.9, 1.0]))
        'MTCNN found a face in every image.'
    """
    lost = scores == 0
    if not lost.any():
        return "MTCNN found a face in every image."
    return (
        f"MTCNN found no face in {lost.mean():.1%} of the images; these were cropped as their "
        "dataset crops them."
    )
