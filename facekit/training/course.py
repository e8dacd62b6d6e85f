"""Courses: what one network learns, from which datasets, in which form, and how losses combine.

A `Course` is everything about a training except its settings (`loop.TrainingConfig`) and the place
of the data (`data.DataChoice`). It is saved in the run's `config.json` and printed in model cards.
`COURSES` holds the presets; `make_course` makes further ones from tasks.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import keras

from facekit.networks.attributes import INPUT_SIDE, PRESETS, WIDTHS, build_attribute_cnn
from facekit.networks.embedding import SCALE as STUDENT_SCALE
from facekit.networks.embedding import (
    SHORT_STAGES,
    STAGES,
    STUDENT_SIDE,
    build_embedding_network,
    build_pretrained_network,
    build_student,
    load_dlib_weights,
    take_over_layers,
)
from facekit.networks.ensemble import HEAD_SIDE, SCALE, SIDE, build_ensemble
from facekit.networks.mobilenet import build_mobilenet, load_published_weights
from facekit.networks.unified import SCALE as UNIFIED_SCALE
from facekit.networks.unified import SIDE as UNIFIED_SIDE
from facekit.networks.unified import build_unified_network
from facekit.training.augmentation import Augmentation
from facekit.training.loss_weighting import LOSS_WEIGHTINGS, MultiTaskModel
from facekit.training.tasks import TASKS, Task
from facekit.training.transfer import TRANSFERS

# Networks that start from dlib's weights: the side of colour crops, the side to which grey crops
# are enlarged inside the network, and the stages.
PRETRAINED = {"pretrained": (96, 80, SHORT_STAGES), "teacher": (112, 112, STAGES)}
# Side and scale of the crops that each network takes.
FORMS = {
    **{name: (preset["side"], 1.0) for name, preset in PRESETS.items()},
    "full": (PRESETS["full"]["side"], 1.15),  # as much as the frames of FER2013 show
    "mobilenet": (HEAD_SIDE, SCALE),
    "ensemble": (SIDE, SCALE),
    "student": (STUDENT_SIDE, STUDENT_SCALE),
    "unified": (UNIFIED_SIDE, UNIFIED_SCALE),
    **{name: (side, 1.0) for name, (side, _, _) in PRETRAINED.items()},
}
NETWORKS = tuple(FORMS)
# What to do with a row that has some of the course's labels but not all: use it for the tasks that
# it labels, or leave it out. A row without any of the labels is always left out.
MISSING_LABELS = ("mask", "drop")
SHARED = ("channels", "equalise", "widths", "augmentation")  # fields in which tasks must agree


@dataclass(frozen=True)
class Course:
    """What one network learns.

    Attributes:
        name: Name of the run, the model and its files.
        tasks: The attributes, each an output of the network.
        sources: Names of the datasets.
        network: One of `NETWORKS`: `small`, `full` and `mobilenet` start from random weights unless
            the training starts from others, `pretrained` and `unified` from dlib's; `ensemble` is
            the mean of a trained `pretrained` and a trained `mobilenet`; `teacher` is the whole of
            dlib's network, too slow to serve; `student` embeds faces.
        side: Side of the input crops, pixels.
        scale: How much the crops show, as for `images.cut_crops`.
        channels: Channels of the crops: 3 for colour, 1 for grey.
        equalise: Whether the histograms of crops are equalised; for grey crops only.
        widths: Filters of the networks `small` and `full`.
        augmentation: How far training crops are changed.
        loss_weighting: Key of `loss_weighting.LOSS_WEIGHTINGS`; matters with several tasks only.
        missing_labels: One of `MISSING_LABELS`.
        transfer: Key of `transfer.TRANSFERS`: which layers are trained, and when. With any but
            `fine_tune` the training must start from trained weights.
        mirror: Whether the served answers are averaged over a crop and its mirror image, which
            takes twice the time.

    Raises:
        ValueError: If a field breaks its rule.

    Example:
        >>> COURSES["faces"].task_names
        ('age', 'gender', 'ethnicity')
    """

    name: str
    tasks: tuple[Task, ...]
    sources: tuple[str, ...]
    network: str = "small"
    side: int = INPUT_SIDE
    scale: float = 1.0
    channels: int = 1
    equalise: bool = False
    widths: tuple[int, ...] = WIDTHS
    augmentation: Augmentation = field(default_factory=Augmentation)
    loss_weighting: str = "uncertainty"
    missing_labels: str = "mask"
    transfer: str = "fine_tune"
    mirror: bool = False

    def __post_init__(self) -> None:
        if not self.tasks or len(set(self.task_names)) < len(self.tasks):
            raise ValueError(
                "`tasks` must hold one or more different tasks; "
                f"got {', '.join(self.task_names) or 'none'}."
            )
        for name, choices in (
            ("network", NETWORKS),
            ("loss_weighting", tuple(LOSS_WEIGHTINGS)),
            ("missing_labels", MISSING_LABELS),
            ("transfer", tuple(TRANSFERS)),
            ("channels", (1, 3)),
        ):
            if getattr(self, name) not in choices:
                raise ValueError(
                    f"`{name}` must be one of {', '.join(map(str, choices))}; "
                    f"got {getattr(self, name)!r}."
                )
        if self.equalise and self.channels != 1:
            raise ValueError("`equalise` needs grey crops: set `channels` to 1.")

    @property
    def task_names(self) -> tuple[str, ...]:
        """The names of the tasks, in order."""
        return tuple(task.name for task in self.tasks)

    def describe(self) -> dict[str, Any]:
        """Return the fields as plain values, for JSON.

        Example:
            >>> COURSES["emotion"].describe()["sources"]
            ['ferplus', 'ck_plus']
        """
        values = {each.name: getattr(self, each.name) for each in fields(self)}
        return {
            **values,
            "tasks": list(self.task_names),
            "sources": list(self.sources),
            "widths": list(self.widths),
            "augmentation": vars(self.augmentation),
        }


def restore_course(described: Mapping[str, Any]) -> Course:
    """Return the course that `Course.describe` described.

    Example:
        >>> restore_course(COURSES["faces"].describe()) == COURSES["faces"]
        True
    """
    return Course(
        **{
            **described,
            "tasks": tuple(TASKS[name] for name in described["tasks"]),
            "sources": tuple(described["sources"]),
            "widths": tuple(described["widths"]),
            "augmentation": Augmentation(**described["augmentation"]),
        }
    )


def make_course(*tasks: Task, name: str = "", **given: Any) -> Course:
    """Return a course of some tasks, with the fields in which they agree.

    Args:
        *tasks: One or more.
        name: The names of the tasks joined by hyphens by default.
        **given: Further fields of `Course`. A field in which the tasks differ must be given;
            `sources` are those of all tasks by default.

    Raises:
        ValueError: If the tasks differ in a field that is not given.

    Example:
        >>> make_course(TASKS["age"], TASKS["gender"]).name
        'age-gender'
    """
    for each in SHARED:
        values = [getattr(task, each) for task in tasks]
        if each in given or not values:
            continue
        if any(value != values[0] for value in values):
            names = ", ".join(task.name for task in tasks)
            raise ValueError(
                f"`{each}` must be given, because it differs between the tasks {names}."
            )
        given[each] = values[0]
    sources = tuple(dict.fromkeys(source for task in tasks for source in task.sources))
    name = name or "-".join(task.name for task in tasks)
    return Course(name, tasks, **{"sources": sources, **given})


COURSES: Mapping[str, Course] = {
    **{name: make_course(task) for name, task in TASKS.items()},
    "emotion": make_course(
        TASKS["emotion"],
        # Real photos have changes of light, noise and blur of their own.
        augmentation=Augmentation(
            rotation_degrees=12,
            brightness=0.1,
            contrast=0.2,
            gamma=0.4,
            noise=0.02,
            blur=0.15,
            jpeg=0.5,
            hidden=0.35,
            mixed=0.4,
        ),
        mirror=True,  # helps emotion most, and its network is fast (models/README.md)
    ),
    "faces": make_course(
        TASKS["age"],
        TASKS["gender"],
        TASKS["ethnicity"],
        name="faces",
        augmentation=Augmentation(
            brightness=0.1,
            contrast=0.15,
            gamma=0.4,
            tint=0.05,
            grey=0.1,
            blur=0.5,
            noise=0.03,
            jpeg=1,
            hidden=0.25,
        ),
    ),
    "unified": make_course(
        *(TASKS[name] for name in ("age", "gender", "ethnicity", "emotion")),
        name="unified",
        network="unified",
        side=UNIFIED_SIDE,
        scale=UNIFIED_SCALE,
        channels=3,
        # Most photos with a label of emotion have no colours; that must not give the answer away.
        augmentation=Augmentation(
            brightness=0.1,
            contrast=0.2,
            gamma=0.4,
            tint=0.05,
            grey=0.3,
            blur=0.5,
            noise=0.03,
            jpeg=0,
            hidden=0.25,
        ),
    ),
}


def choose_network(course: Course, network: str) -> Course:
    """Return a course with another network and the input form that suits this network.

    Grey equalised crops stay what they are; a network that starts from dlib's weights takes
    colour crops otherwise, as dlib's does.

    Args:
        course: The course to start from; not changed.
        network: One of `NETWORKS`.

    Raises:
        ValueError: If there is no such network.

    Example:
        >>> chosen = choose_network(COURSES["age"], "pretrained")
        >>> chosen.side, chosen.channels
        (96, 3)
    """
    side, scale = FORMS.get(network, (course.side, course.scale))
    chosen = replace(course, network=network, side=side, scale=scale)
    if network in PRESETS:
        return replace(chosen, widths=PRESETS[network]["widths"])
    if course.equalise and network in PRETRAINED:  # grey crops are enlarged inside the network
        return replace(chosen, side=INPUT_SIDE, channels=1)
    # Expressions are visible without colours, and most of their images have none.
    return replace(chosen, channels=1 if course.task_names == ("emotion",) else 3)


def build_network(course: Course) -> keras.Model:
    """Build the network of a course, with weights that mean nothing yet.

    Args:
        course: Says the network, its input form and its outputs.

    Returns:
        Model from crops (batch, side, side, channels), normalised from -1 to 1, to a dict of
        probabilities (batch, classes) for each task.

    Raises:
        ValueError: If the small network is to take crops of another size than its own.

    Example:
        >>> build_network(COURSES["emotion"]).output_shape
        (None, 7)
    """
    if course.network in PRETRAINED:
        _, grey_side, stages = PRETRAINED[course.network]
        shape = (course.side, course.side, course.channels)
        inside = grey_side if course.channels == 1 else course.side
        return build_pretrained_network(course.task_names, shape, inside, stages)
    if course.network == "student":
        return build_student(course.side)
    if course.network == "unified":
        return build_unified_network(course.task_names, course.side, course.channels)
    if course.network == "mobilenet":
        return build_mobilenet(course.task_names, course.side, course.channels)
    if course.network == "ensemble":
        return build_ensemble(course.task_names, course.channels)
    preset = PRESETS[course.network]
    if course.side != preset["side"]:
        raise ValueError(
            f"`side` must be {preset['side']} for the network {course.network}; got {course.side}. "
            "Choose the network `pretrained` for larger crops."
        )
    preset = {**preset, "widths": course.widths}
    return build_attribute_cnn(course.task_names, course.channels, **preset)


def begin_network(course: Course, start_from: Sequence[Path] = ()) -> keras.Model:
    """Build the network of a course with the weights that its training starts from.

    Args:
        course: As for `build_network`.
        start_from: Trained `.keras` models. Their layers are copied where name and shapes are the
            same; an `ensemble` needs both its networks. For `mobilenet` also the published weights,
            `faceres-deep.json`. Without any a network of `PRETRAINED` starts from dlib's weights.

    Raises:
        FileNotFoundError: If a model does not exist.
        ValueError: If the published weights are meant for another network, or a network of the
            ensemble is missing.

    Example:
        >>> begin_network(COURSES["gender"]).input_shape
        (None, 64, 64, 1)
    """
    network = build_network(course)
    members = {layer.name for layer in network.layers if isinstance(layer, keras.Model)}
    for path in start_from:
        if not path.exists():
            raise FileNotFoundError(
                f"{path}: no such model; train it first with `facekit train {path.stem}`."
            )
        if path.suffix != ".json":
            trained = keras.saving.load_model(path, compile=False)
            take_over_layers(network, trained)
            members -= {trained.name, *(layer.name for layer in trained.layers)}
        elif course.network == "mobilenet":
            load_published_weights(network, path)
        else:
            raise ValueError(
                f"{path}: holds weights of the network mobilenet; got {course.network}. "
                "Choose it with --network mobilenet."
            )
    if members:
        raise ValueError(
            f"`start_from` must hold trained networks for {course.network}: "
            f"{' and '.join(sorted(members))}. Train each with --network."
        )
    if course.network in (*PRETRAINED, "unified") and not start_from:
        take_over_layers(network, load_dlib_weights(build_embedding_network()))
    return network


def wrap_network(network: keras.Model, course: Course) -> keras.Model:
    """Return the model to train: a network of several tasks needs a masked, weighted loss.

    Example:
        >>> course = COURSES["faces"]
        >>> isinstance(wrap_network(build_network(course), course), MultiTaskModel)
        True
    """
    if len(course.tasks) == 1:
        return network
    return MultiTaskModel(network, course.loss_weighting)
