"""What `facekit train` does: read the data, cut the faces, fit, ship. Each step lives in a module of its own."""

from __future__ import annotations

import functools
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from facekit.calibration import fit_constants, load_predictions, measure_fusion
from facekit.datasets.adapters import read_dataset, resolve_name
from facekit.datasets.crops import name_cache, prepare_crops
from facekit.datasets.manifest import BOX, load_manifest
from facekit.fusion import save_constants
from facekit.images import equalise_crops, normalise
from facekit.networks.attributes import INPUT_SIDE, build_attribute_cnn
from facekit.networks.embedding import (
    SHORT_STAGES,
    STAGES,
    build_embedding_network,
    build_pretrained_network,
    find_weights,
    load_dlib_weights,
    take_over_layers,
)
from facekit.registry import get_models_dir
from facekit.training.export import ship
from facekit.training.loop import BACKUP, LabelledCrops, TrainingConfig, train_model
from facekit.training.loss_weighting import BalancedModel
from facekit.training.tasks import TASKS, Task

COURSES = {name: (name,) for name in TASKS} | {
    "faces": ("age", "gender", "ethnicity")
}  # what one network learns at a time
# Of networks that begin with dlib's weights: the side of colour crops, that of grey ones after they
# are enlarged, and the stages.
PRETRAINED = {"pretrained": (96, 80, SHORT_STAGES), "teacher": (112, 112, STAGES)}
ANSWER_BATCH = 256

FUSION_CARD = """# Fusion

Constants of `facekit.fusion`, fitted on validation predictions and training labels by `facekit train fusion --data {data}`.
The strength of the table of labels that meet, {strength}, is where validation labels are likeliest; 0 would leave it out.
No dataset here labels emotion together with age, gender or ethnicity, so emotion neither pulls nor is pulled.

Measured on {count} UTKFace test faces (protocol group_disjoint), seed {seed}:

| figure | without fusion | with fusion |
|---|---|---|
{rows}

Age class and gender are both right on {more:.1%} of the more confident half of these faces, and on {less:.1%} of the less confident.
"""


@dataclass(frozen=True)
class DataChoice:
    """What to learn from.

    Attributes:
        folder: Holds the datasets under their usual names, and the faces cut out of them.
        sources: Names of datasets; those of the task where there are none.
        manifest: A manifest of one's own, in place of them.
    """

    folder: Path
    sources: tuple[str, ...] = ()
    manifest: Path | None = None


def run_training(
    course: str, data: DataChoice, models_dir: Path | None, run: Path, network_name: str, start_from: Path | None, teacher: Path | None,
    resume: bool, **options,
) -> None:  # fmt: skip
    """Train a network, and ship it unless it is a teacher, which is too slow to serve.

    The run's folder gets the trained network as `network.keras`, and its answers to the training
    images as `answers.npz`, to teach others with.

    Args:
        course: Key of `COURSES`.
        data: What to learn from.
        models_dir: The registry to enter the model into; one in the run's folder by default.
        run: Folder of the run.
        network_name: As for `build_network`.
        start_from: A trained `.keras` model whose layers are taken over where their shapes fit.
        teacher: An `answers.npz` to learn from beside the labels.
        resume: Whether to go on with what `run` holds; otherwise it is begun anew.
        **options: Fields of `TrainingConfig`.

    Raises:
        FileNotFoundError: If a dataset, the model to start from, dlib's weights, or the teacher's
            answers are not there.
        ValueError: If no image has the labels asked for.
    """
    tasks, config = [TASKS[name] for name in COURSES[course]], TrainingConfig(**options)
    if not resume and (run / BACKUP).exists():
        shutil.rmtree(run / BACKUP)
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_dtype_policy(config.precision)
    network = begin_network(network_name, tasks, start_from)
    manifest, crops, scores = load_data(tasks, data, config.seed, *network.input_shape[2:])
    targets = {task.name: task.encode(manifest) for task in tasks}
    learned = {
        name: blend(values, read_answers(teacher, name, manifest), config.teacher_share)
        for name, values in targets.items()
    }
    in_train, in_validation = (
        (manifest["split"] == name).to_numpy() for name in ("train", "validation")
    )
    weights = np.ones(len(crops), np.float32)
    weights[in_train] = tasks[0].weigh(targets[tasks[0].name][in_train], config.balance)
    train_model(
        BalancedModel(network) if len(tasks) > 1 else network, tasks,
        LabelledCrops(crops, learned, weights).select(in_train), LabelledCrops(crops, targets, weights).select(in_validation), config, run,
    )  # fmt: skip
    network.save(run / "network.keras")
    save_answers(network, crops[in_train], manifest[in_train], run / "answers.npz")
    if network_name == "teacher":
        return
    command = describe_command(course, data, network_name, start_from, teacher, options)
    build = functools.partial(build_network, network_name, tasks)
    folder = (models_dir or run) / course
    for figure in ship(
        network, build, tasks, manifest, crops, scores, run, folder, command, config.seed
    ):
        print(
            f"{figure['source']} {figure['split']}, {figure['count']} images: {figure['figure']} {figure['value']}"
        )


def describe_command(
    course: str,
    data: DataChoice,
    network_name: str,
    start_from: Path | None,
    teacher: Path | None,
    options: dict,
) -> str:
    """Return the command that trains so, without what it does by default."""
    defaults = vars(TrainingConfig())
    given = {
        "network": None if network_name == "small" else network_name,
        "sources": ",".join(data.sources) or None,
    }
    given |= {"manifest": data.manifest, "start_from": start_from, "teacher": teacher}
    given |= {name: value for name, value in options.items() if value != defaults[name]}
    changed = "".join(
        f" --{name.replace('_', '-')} {value}" for name, value in given.items() if value is not None
    )
    return f"facekit train {course} --data data/raw{changed}"


def build_network(name: str, tasks: Sequence[Task]) -> keras.Model:
    """Build a network for some tasks, without weights worth keeping.

    Args:
        name: `small`; `pretrained`, which is to begin with dlib's weights; or `teacher`, which is
            that one whole.
        tasks: What it is to learn; the first one tells the form of the crops.
    """
    names, first = [task.name for task in tasks], tasks[0]
    if name not in PRETRAINED:
        return build_attribute_cnn(names, first.channels, first.widths)
    colour_side, grey_side, stages = PRETRAINED[name]
    if first.equalise:
        return build_pretrained_network(names, (INPUT_SIDE, INPUT_SIDE, 1), grey_side, stages)
    return build_pretrained_network(names, (colour_side, colour_side, 3), colour_side, stages)


def begin_network(name: str, tasks: Sequence[Task], start_from: Path | None) -> keras.Model:
    """Build a network with the weights that its training begins with.

    Args:
        name: As for `build_network`.
        tasks: What it is to learn.
        start_from: A trained `.keras` model whose layers are taken over where their shapes fit;
            without it, dlib's weights are, unless the network is small.

    Raises:
        FileNotFoundError: If the model, or dlib's weights, are not there.
    """
    network = build_network(name, tasks)
    if start_from and not start_from.exists():
        raise FileNotFoundError(
            f"{start_from}: no such model; train it first with `facekit train {start_from.stem}`."
        )
    if start_from:
        take_over_layers(network, keras.saving.load_model(start_from, compile=False))
    elif name in PRETRAINED:
        take_over_layers(network, load_dlib_weights(build_embedding_network(), find_weights()))
    return network


def load_data(
    tasks: Sequence[Task], data: DataChoice, seed: int, side: int, channels: int
) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the manifest of all images that have the tasks' labels, their crops, and detection's
    scores.

    Args:
        tasks: What is to be learned; the first one tells the sources, and whether crops are
            equalised.
        data: What to learn from.
        seed: Of the splits.
        side: Of the crops, pixels.
        channels: Of the crops.

    Returns:
        The manifest; crops (images, side, side, channels) uint8, equalised if the task wants it;
        scores (images,).

    Raises:
        FileNotFoundError: If a dataset is not there.
        ValueError: If no image has the labels.
    """
    first = tasks[0]
    if data.manifest:
        manifests = {data.manifest.stem: load_manifest(data.manifest)}
    else:
        sources = map(resolve_name, data.sources or first.sources)
        manifests = {name: read_dataset(name, data.folder, seed) for name in sources}
    cut = [
        cut_faces(each, data, name, side, channels, first.equalise)
        for name, each in manifests.items()
    ]
    crops, scores = (np.concatenate(parts) for parts in zip(*cut, strict=True))
    manifest = pd.concat(manifests.values(), ignore_index=True)
    labelled = manifest[[task.name for task in tasks]].notna().all(axis=1).to_numpy()
    if not labelled.any():
        raise ValueError(
            f"`sources` must label {', '.join(task.name for task in tasks)}; {', '.join(manifests)} do not."
        )
    return manifest[labelled].reset_index(drop=True), crops[labelled], scores[labelled]


def cut_faces(
    manifest: pd.DataFrame, data: DataChoice, name: str, side: int, channels: int, equalise: bool
) -> tuple[np.ndarray, np.ndarray]:
    """Return the crops of a manifest in the form that a network takes, and detection's scores."""
    crops, scores = prepare_crops(
        manifest, name_cache(data.folder, name, side, channels), side, channels
    )
    return equalise_crops(crops) if equalise else crops, scores


def save_answers(
    network: keras.Model, crops: np.ndarray, manifest: pd.DataFrame, path: Path
) -> None:
    """Keep a network's answers, averaged over each crop and its mirror image, with the images' names."""
    parts = []
    for start in range(0, len(crops), ANSWER_BATCH):
        inputs = normalise(crops[start : start + ANSWER_BATCH])
        both = [network.predict_on_batch(view) for view in (inputs, inputs[:, :, ::-1])]
        parts.append({name: (both[0][name] + both[1][name]) / 2 for name in both[0]})
    answers = {name: np.concatenate([part[name] for part in parts]) for name in parts[0]}
    np.savez(path, names=_name_faces(manifest), **answers)


def read_answers(path: Path | None, task: str, manifest: pd.DataFrame) -> np.ndarray:
    """Return a teacher's answers for the images of a manifest, (images, classes), NaN where it has
    none.

    Args:
        path: Of `save_answers`; without it there are none.
        task: The attribute.
        manifest: Whose images.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the teacher did not learn this attribute.
    """
    names = _name_faces(manifest)
    if path is None:
        return np.full((len(names), 1), np.nan, np.float32)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such answers; train the teacher first with `facekit train COURSE --network teacher`."
        )
    with np.load(path) as kept:
        if task not in kept:
            raise ValueError(
                f"{path}: holds no answers for {task}; train a teacher that learns it."
            )
        answers = pd.DataFrame(kept[task], index=kept["names"])
    return answers[~answers.index.duplicated()].reindex(names).to_numpy(np.float32)


def _name_faces(manifest: pd.DataFrame) -> list[str]:
    """Name each row's face: its image and the folder of it, and its box where it has one, since an image may show several faces."""
    faces = zip(manifest["path"], manifest[list(BOX)].to_numpy(), strict=True)
    return [
        "/".join(Path(path).parts[-2:])
        + "".join(f" {side:g}" for side in box if not np.isnan(side))
        for path, box in faces
    ]


def blend(targets: np.ndarray, answers: np.ndarray, share: float) -> np.ndarray:
    """Mix labels with a share of a teacher's answers (Hinton et al., 2015); where it has none, labels stay as they are."""
    return np.where(np.isnan(answers), targets, (1 - share) * targets + share * answers).astype(
        np.float32
    )


def run_fusion_fit(data_dir: Path, models_dir: Path | None, seed: int) -> None:
    """Fit the constants of fusion from the shipped predictions and the training labels, and measure what they do."""
    models_dir = models_dir or get_models_dir()
    manifest = pd.concat(
        [read_dataset(name, data_dir, seed) for name in ("utkface", "fer2013", "ck_plus")]
    )
    constants = fit_constants(
        load_predictions(models_dir, "validation"), manifest[manifest["split"] == "train"]
    )
    save_constants(constants, models_dir)
    figures = measure_fusion(load_predictions(models_dir, "test"), constants)
    compared = [name.removesuffix(" before") for name in figures if name.endswith(" before")]
    rows = "\n".join(
        f"| {name} | {figures[f'{name} before']} | {figures[f'{name} after']} |"
        for name in compared
    )
    card = FUSION_CARD.format(
        data="data/raw", strength=constants.strength, count=figures["count"], seed=seed, rows=rows,
        more=figures["profile right, more confident half"], less=figures["profile right, less confident half"],
    )  # fmt: skip
    (models_dir / "fusion.md").write_text(card, encoding="utf-8")
    print(card)
