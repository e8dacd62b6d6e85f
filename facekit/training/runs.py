"""Do a whole training, as `facekit train` does: data, network, fit, answers, shipped model."""

from __future__ import annotations

import functools
import itertools
import json
import shlex
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np

from facekit.files import replace_file
from facekit.training.course import (
    COURSES,
    PRETRAINED,
    Course,
    begin_network,
    build_network,
    choose_network,
    wrap_network,
)
from facekit.training.data import DataChoice, check_splits, load_data
from facekit.training.export import check_shipping, ship
from facekit.training.loop import BACKUP, LabelledCrops, TrainingConfig, train_model
from facekit.training.origin import Origin, describe_start
from facekit.training.teachers import ANSWERS, average_answers, blend, save_answers

CONFIG = "config.json"
# Files that show that a folder holds a run.
RUN_FILES = (CONFIG, "history.csv", "best.weights.h5", "network.keras", ANSWERS)


def run_training(
    course: str | Course,
    data: DataChoice,
    models_dir: Path | None,
    run: Path,
    network_name: str | None = None,
    start_from: Sequence[Path] = (),
    teachers: Sequence[Path] = (),
    resume: bool = False,
    loss_weighting: str | None = None,
    transfer: str | None = None,
    **options,
) -> None:
    """Train a network, and ship it unless it is a teacher, which is too slow to serve.

    The run's folder gets the trained network as `network.keras`, and its predictions for the
    training images as `answers.npz`, from which other networks can learn.

    Args:
        course: A course, or a key of `COURSES`.
        data: What to learn from.
        models_dir: Folder of the registry to enter the model into; the run's folder by default.
        run: Folder of the run.
        network_name: One of `course.NETWORKS`; the course's own by default.
        start_from: Trained models, as for `course.begin_network`.
        teachers: Files `answers.npz` to learn from beside the labels.
        resume: Whether to resume the interrupted run in `run`.
        loss_weighting: Key of `LOSS_WEIGHTINGS`; the course's own by default.
        transfer: Key of `transfer.TRANSFERS`; the course's own by default.
        **options: Fields of `TrainingConfig`.

    Raises:
        FileNotFoundError: If a dataset, the model to start from, dlib's weights or the teacher's
            answers do not exist.
        ValueError: If a split has no faces with a label, if `run` holds another run, if a file in
            `models_dir` is not one that facekit wrote there, or if layers are to be frozen that
            start from random weights.

    Example:
        >>> data = DataChoice(Path("data/raw"))
        >>> run_training("gender", data, models_dir=None, run=Path("run"))  # doctest: +SKIP
    """
    course = COURSES[course] if isinstance(course, str) else course
    config = TrainingConfig(**options)
    course = choose_network(course, network_name) if network_name else course
    sources = (data.manifest.stem,) if data.manifest else data.sources or course.sources
    weighting = loss_weighting or course.loss_weighting
    transfer = transfer or course.transfer
    course = replace(course, sources=sources, loss_weighting=weighting, transfer=transfer)
    if transfer != "fine_tune" and not start_from and course.network not in PRETRAINED:
        raise ValueError(
            f"`transfer` must be fine_tune if the network {course.network} starts from random "
            f"weights; got {transfer!r}. Name a trained model with --start-from, or choose the "
            "network pretrained."
        )
    command = describe_command(course, data, start_from, teachers, options)
    origin = Origin(command, config.seed, tuple(start_from), tuple(teachers), config.teacher_share)
    served = course.network != "teacher"
    folder = (models_dir or run) / course.name
    check_run(run, resume)
    if served:
        check_shipping(folder, course)
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_dtype_policy(config.precision)
    network = begin_network(course, start_from)
    manifest, crops, scores = load_data(course, data, config.seed)
    check_splits(manifest, course.tasks, ("train", "validation", *(["test"] if served else ())))
    in_train, in_validation = (
        (manifest["split"] == name).to_numpy() for name in ("train", "validation")
    )
    targets = {task.name: task.encode(manifest) for task in course.tasks}
    answers = average_answers(teachers, course.task_names, manifest)
    learned = {
        name: blend(values, answers[name], config.teacher_share) for name, values in targets.items()
    }
    weights = {name: np.zeros(len(crops), np.float32) for name in targets}
    # Only training is balanced: the validation loss counts all faces the same.
    for task in course.tasks:
        own = weights[task.name]
        own[in_train] = task.weigh(learned[task.name][in_train], config.balance)
        own[in_validation] = task.weigh(targets[task.name][in_validation], 0.0)
    train_model(
        wrap_network(network, course),
        course,
        LabelledCrops(crops, learned, weights).select(in_train),
        LabelledCrops(crops, targets, weights).select(in_validation),
        config,
        run,
        notes={"command": origin.command, "start": describe_start(course, origin)},
    )
    with replace_file(run / "network.keras") as temporary:
        network.save(temporary)
    save_answers(network, crops[in_train], manifest[in_train], run / ANSWERS)
    if not served:
        return
    build = functools.partial(build_network, course)
    for figure in ship(network, build, course, manifest, crops, scores, run, folder, origin):
        print(
            f"{figure['source']} {figure['split']}, {figure['count']} images: "
            f"{figure['figure']} {figure['value']}"
        )


def check_run(run: Path, resume: bool) -> None:
    """Check that a training may use a folder without destroying another run in it.

    Args:
        run: The folder; it need not exist.
        resume: Whether an interrupted run in it is to be resumed.

    Raises:
        ValueError: If the folder holds a finished run, or an interrupted one that is not to be
            resumed.

    Example:
        >>> check_run(Path("no such folder"), resume=False)
    """
    present = _list_run_files(run)
    if (run / BACKUP).exists():
        if not resume:
            raise ValueError(
                f"{run}: holds an interrupted run. Add --resume to continue it, or choose another "
                "folder with --run."
            )
    elif present:
        state = "a finished run, so there is nothing to resume" if resume else "another run"
        raise ValueError(
            f"{run}: holds {state} ({', '.join(present)}). Choose another folder with --run, or "
            "remove this one."
        )


def find_run_folder(wanted: Path, resume: bool = False) -> Path:
    """Return the folder for a run: `wanted`, or a numbered one beside it.

    Args:
        wanted: The usual folder.
        resume: Whether to return the folder of the latest interrupted run instead.

    Returns:
        `wanted` or the first of `wanted-2`, `wanted-3`, ... without a run; to resume, the last
        of these that holds an interrupted run, and `wanted` if none does.

    Example:
        >>> find_run_folder(Path("no such folder")).name
        'no such folder'
    """
    numbered = (wanted.with_name(f"{wanted.name}-{number}") for number in itertools.count(2))
    candidates = itertools.chain((wanted,), numbered)
    taken = list(itertools.takewhile(_holds_run, candidates))
    if resume:
        return next((run for run in reversed(taken) if (run / BACKUP).exists()), wanted)
    return wanted.with_name(f"{wanted.name}-{len(taken) + 1}") if taken else wanted


def _holds_run(folder: Path) -> bool:
    return bool(_list_run_files(folder)) or (folder / BACKUP).exists()


def _list_run_files(folder: Path) -> list[str]:
    """Return the files of a run in a folder; none if the run ended before its first epoch did."""
    present = [name for name in RUN_FILES if (folder / name).exists()]
    if present == [CONFIG]:
        try:
            settings = json.loads((folder / CONFIG).read_text(encoding="utf-8"))
        except (OSError, ValueError):
            return present  # not a file of facekit's
        if isinstance(settings, dict) and {"course", "epochs"} <= settings.keys():
            return []
    return present


def describe_command(
    course: Course,
    data: DataChoice,
    start_from: Sequence[Path] = (),
    teachers: Sequence[Path] = (),
    options: dict | None = None,
) -> str:
    """Return the command of a training, without the options that have their default.

    Args:
        course: The course as it was trained.
        data: What it learned from.
        start_from: As for `run_training`.
        teachers: As for `run_training`.
        options: Fields of `TrainingConfig`.

    Example:
        >>> describe_command(COURSES["age"], DataChoice(Path("data/raw")), options={"epochs": 3})
        'facekit train age --data data/raw --epochs 3'
    """
    preset, defaults = COURSES.get(course.name, course), vars(TrainingConfig())
    given = {
        "network": None if course.network == preset.network else course.network,
        "sources": ",".join(data.sources) or None,
        "manifest": data.manifest,
        "loss_weighting": (
            None if course.loss_weighting == preset.loss_weighting else course.loss_weighting
        ),
        "transfer": None if course.transfer == preset.transfer else course.transfer,
    }
    given |= {name: value for name, value in (options or {}).items() if value != defaults[name]}
    words = ["facekit", "train", course.name, "--data", data.folder.as_posix()]
    chosen = [(name, value) for name, value in given.items() if value is not None]
    several = [("start_from", path) for path in start_from]
    several += [("teacher", path) for path in teachers]
    for name, value in chosen + several:
        words += [f"--{name.replace('_', '-')}", str(value)]
    return shlex.join(words)
