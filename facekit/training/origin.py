"""Describe where a model comes from: its data, their splits and licences, its start, its epochs.

Every sentence comes from what was run. How the faces were split comes from the manifest: its
protocol and seed as stated, and a count of groups in several splits as measured. The epoch comes
from the history, licences from the catalogue of datasets.
"""

from __future__ import annotations

import csv
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.catalogue import DATASETS
from facekit.datasets.protocols import LEAKING
from facekit.training.course import PRETRAINED, Course
from facekit.training.data import SPLITS_NOTE

# Splits between which nothing may be shared; `excluded` faces are not used at all.
USED_SPLITS = ("train", "validation", "calibration", "test")

CITATIONS = {
    "utkface": "UTKFace (Zhang, Song, Qi, CVPR 2017)",
    "all_age_faces": "All-Age-Faces (Cheng et al., 2019)",
    "lfw": "Labeled Faces in the Wild (Huang et al., 2007)",
    "ferplus": "FER2013 with the votes of FER+ (Barsoum et al., ICMI 2016)",
    "fer2013": "FER2013 (Goodfellow et al., 2013)",
    "ck_plus": "CK+48 (Lucey et al., CVPRW 2010)",
}
PUBLISHED = (
    "the published weights of a MobileNet that predicts age and gender (Savchenko, 2019, doi "
    "10.7717/peerj-cs.197; Apache 2.0), trained on VGGFace2, IMDB-WIKI and Adience"
)
DLIB = (
    "dlib's face recognition network (King, 2017; CC0), which learned from about 3 million faces "
    "with no labels but names"
)


@dataclass(frozen=True)
class Origin:
    """How a model came about.

    Attributes:
        command: The command that trains it.
        seed: Seed of the training.
        start_from: The models whose layers it started from.
        teachers: The teachers' predictions that it learned from.
        teacher_share: Share of these in the targets.

    Example:
        >>> Origin("facekit train age").seed
        0
    """

    command: str
    seed: int = 0
    start_from: tuple[Path, ...] = ()
    teachers: tuple[Path, ...] = ()
    teacher_share: float = 0.0


def describe_data(manifest: pd.DataFrame, task_name: str | None = None) -> str:
    """Return the datasets with the number of their training faces.

    Args:
        manifest: The faces, with splits.
        task_name: Count only faces with a label for this task.

    Example:
        >>> describe_data(pd.DataFrame({"source": ["mine"], "split": ["train"], "age": [3]}), "age")
        'mine (1 training face)'
    """
    rows = manifest[manifest["split"] == "train"]
    rows = rows if task_name is None else rows[rows[task_name].notna()]
    counts = rows["source"].value_counts(sort=False)
    return "; ".join(
        f"{CITATIONS.get(str(name), name)} ({count_faces(count, 'training ')})"
        for name, count in counts.items()
    )


def describe_start(course: Course, origin: Origin) -> str:
    """Return what the weights started from, and the teachers.

    Example:
        >>> from facekit.training.course import COURSES
        >>> describe_start(COURSES["age"], Origin("facekit train age --seed 7", seed=7))
        'random weights, seed 7'
    """
    if origin.start_from:
        start = "; ".join(
            PUBLISHED
            if path.suffix == ".json"
            else f"the layers of `{path.name}` that have the same name and shapes"
            f"{_describe_earlier(path)}"
            for path in origin.start_from
        )
    elif course.network in (*PRETRAINED, "unified"):
        start = DLIB
    else:
        start = f"random weights, seed {origin.seed}"
    if origin.teachers:
        names = ", ".join(f"`{path.parent.name}`" for path in origin.teachers)
        start += (
            f". The targets contain the predictions of {names}, with a share of "
            f"{origin.teacher_share:g}; faces without a label learn from these alone"
        )
    return start


def _describe_earlier(model: Path) -> str:
    """Return how a model that is started from was made, as far as its run's settings say it."""
    try:
        settings = json.loads(model.with_name("config.json").read_text(encoding="utf-8"))
        return f", made by `{settings['command']}` from {settings['start']}"
    except (OSError, ValueError, KeyError):
        return "; what that model learned from is in its own card"


def describe_licence(sources: Sequence[str]) -> str:
    """Return the licence of the weights and those of the datasets.

    Args:
        sources: Names of datasets; others than facekit's have a licence that facekit cannot know.

    Example:
        >>> describe_licence(["fairface", "mine"])
        'code and weights MIT; training data: fairface (CC BY 4.0), mine (licence not known)'
    """
    known = {name: DATASETS[name].licence for name in sources if name in DATASETS}
    each = (f"{name} ({known.get(name, 'licence not known')})" for name in sources)
    return f"code and weights MIT; training data: {', '.join(each)}"


def describe_split(manifest: pd.DataFrame) -> str:
    """Return how the faces were split: the stated protocol and seed, and what leaks, as measured.

    Args:
        manifest: The faces, with splits; `attrs["splits"]` has protocol and seed of each dataset,
            as far as they are known.

    Example:
        >>> faces = pd.DataFrame({
        ...     "path": ["a"], "source": "mine", "group": [1], "subject": None, "split": ["test"],
        ... })
        >>> faces.attrs["splits"] = {"mine": {"protocol": "group_disjoint", "seed": 7}}
        >>> describe_split(faces)
        'mine: protocol group_disjoint, seed 7. None of 1 groups stands in more than one split.'
    """
    sentences = []
    for name, notes in manifest.attrs.get(SPLITS_NOTE, {}).items():
        protocol = notes.get("protocol")
        if protocol is None:
            sentences.append(f"The manifest of {name} does not state how it was split.")
            continue
        seed = f", seed {notes['seed']}" if notes.get("seed") is not None else ""
        sentences.append(f"{name}: protocol {protocol}{seed}.")
        if protocol in LEAKING:
            sentences.append(
                f"This protocol leaks: it divides the images of {name} at random, without regard "
                "to their groups."
            )
    return " ".join((*sentences, *(measure_leaks(manifest))))


def measure_leaks(manifest: pd.DataFrame) -> list[str]:
    """Return sentences on the groups, subjects and photos that stand in more than one split.

    Args:
        manifest: The faces, with splits.

    Example:
        >>> faces = pd.DataFrame({
        ...     "path": ["a", "b"], "source": "mine", "group": [1, 1], "subject": None,
        ...     "split": ["train", "test"],
        ... })
        >>> measure_leaks(faces)[0]
        '1 of 1 groups stands in more than one split, so the held-out figures are too good.'
    """
    used = manifest[manifest["split"].isin(USED_SPLITS)]
    sentences = []
    for column, plural in (("group", "groups"), ("subject", "subjects"), ("path", "photos")):
        known = used[used[column].notna()]
        # Two datasets may use the same number for different groups.
        splits = known.groupby(["source", column])["split"].nunique()
        torn = int((splits > 1).sum())
        if torn:
            sentences.append(
                f"{torn} of {len(splits)} {plural} {'stands' if torn == 1 else 'stand'} in more "
                "than one split, so the held-out figures are too good."
            )
        elif column == "group" and len(splits):
            sentences.append(f"None of {len(splits)} groups stands in more than one split.")
        elif column == "subject" and len(splits):
            sentences.append(f"None of {len(splits)} subjects stands in more than one split.")
        if column == "group" and len(known) < len(used):
            sentences.append(
                f"{len(used) - len(known)} of {len(used)} faces have no group, so facekit could "
                "not check whether copies of them stand in several splits."
            )
    return sentences


def describe_epochs(history: Path, validation_count: int) -> str:
    """Return which epoch was kept, and what chose it.

    Args:
        history: The run's `history.csv`.
        validation_count: Number of validation faces.

    Example:
        >>> import tempfile
        >>> history = Path(tempfile.mkdtemp(), "history.csv")
        >>> pd.DataFrame({"val_loss": [0.9, 0.7]}).to_csv(history)
        >>> describe_epochs(history, 50)
        '2; epoch 2 was kept, because it has the least loss on 50 validation faces.'
    """
    with history.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    if not rows or "val_loss" not in rows[0]:
        return f"{len(rows)}; the history has no validation loss, so nothing chose the epoch."
    losses = [float(row["val_loss"]) for row in rows]
    if len(rows) == 1:
        return "1, so there was no choice between epochs."
    return (
        f"{len(rows)}; epoch {int(np.argmin(losses)) + 1} was kept, because it has the least loss "
        f"on {count_faces(validation_count, 'validation ')}."
    )


def count_faces(count: float, kind: str = "") -> str:
    """Return a number of faces in words.

    Example:
        >>> count_faces(1200, "test ")
        '1,200 test faces'
    """
    return f"{count:,.0f} {kind}face{'' if count == 1 else 's'}"
