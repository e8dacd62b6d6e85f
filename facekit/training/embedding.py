"""Train the embedding that facekit serves: a student learns the embeddings of dlib's network.

No label is needed: teacher and student see the same crop, and the student's target is the teacher's
embedding of it (Hinton et al., 2015, distillation). Crops are changed anew each time: in other
light, in grey, blurred, turned, cut off at the edges, mixed with another face. Each change is a new
example, and the teacher sees it too, so that the student copies a function and not a list of
answers (Beyer et al., 2022, doi 10.1109/CVPR52688.2022.01065). No face of LFW is used, because LFW
measures the result.
"""

from __future__ import annotations

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

import cv2
import keras
import numpy as np
import pandas as pd
from keras import ops

from facekit.calibration.verification import SOURCE, fit_verification
from facekit.datasets.adapters import read_dataset
from facekit.datasets.catalogue import resolve_name
from facekit.datasets.crops import name_cache, prepare_crops
from facekit.files import hash_file, replace_file
from facekit.images import normalise
from facekit.networks.embedding import (
    DIMENSIONS,
    SCALE,
    SIDE,
    STUDENT_SIDE,
    WEIGHTS,
    build_embedding_network,
    load_dlib_weights,
    take_over_layers,
)
from facekit.registry import ModelEntry, TaskEntry, save_entry
from facekit.training.augmentation import Augmentation
from facekit.training.course import Course, build_network
from facekit.training.data import DataChoice
from facekit.training.export import export_network
from facekit.training.loop import Finish, LabelledCrops, TrainingConfig, train_model
from facekit.training.origin import DLIB, describe_data, describe_licence
from facekit.training.runs import check_run, describe_command
from facekit.training.tasks import Task
from facekit.training.teachers import ANSWER_BATCH

NAME = "embedding"
BATCH = 128  # faces in a step
FITTED = 4000  # faces on which the student's last layer is fitted before training
RIDGE = 1e-3  # of that fit, as a share of the mean variance


def squared_distance(targets, embeddings):
    """Return the squared Euclidean distance of each row, (batch,).

    Example:
        >>> squared_distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])).numpy().tolist()
        [25.0]
    """
    return ops.sum(ops.square(targets - embeddings), axis=-1)


def distance(targets, embeddings):
    """Return the Euclidean distance of each row, (batch,).

    Example:
        >>> distance(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0]])).numpy().tolist()
        [5.0]
    """
    return ops.sqrt(squared_distance(targets, embeddings))


EMBEDDING = Task(NAME, ("utkface", "all_age_faces", "fer2013"), squared_distance, distance)
COURSE = Course(
    NAME,
    (EMBEDDING,),
    EMBEDDING.sources,
    network="student",
    side=STUDENT_SIDE,
    scale=SCALE,
    channels=3,
    augmentation=Augmentation(
        rotation_degrees=8,
        shift=0.04,
        zoom=0.1,
        brightness=0.1,
        contrast=0.25,
        gamma=0.5,
        grey=0.4,
        blur=0.6,
        noise=0.05,
        jpeg=0,
        hidden=0.25,
        mixed=0.5,
        tight=0.2,
    ),
)


def embed_crops(network: keras.Model, crops: np.ndarray) -> np.ndarray:
    """Return a network's embeddings, (faces, 128): means over each crop and its mirror image.

    Args:
        network: Model with the output `embedding`.
        crops: (faces, side, side, 3) uint8.
    """
    parts = []
    for start in range(0, len(crops), ANSWER_BATCH):
        inputs = normalise(crops[start : start + ANSWER_BATCH])
        both = [network.predict_on_batch(view)[NAME] for view in (inputs, inputs[:, :, ::-1])]
        parts.append((both[0] + both[1]) / 2)
    return np.concatenate(parts)


def make_lesson(teacher: keras.Model, side: int) -> Finish:
    """Return a function from changed crops to the crops of the student and the teacher's answers.

    Args:
        teacher: dlib's network.
        side: Side of the student's crops, pixels.
    """

    def finish(crops, targets):
        return ops.image.resize(crops, (side, side), antialias=True), teacher(crops)

    return finish


def begin_student(course: Course, crops: np.ndarray, targets: np.ndarray) -> keras.Model:
    """Build the student with the layers that it shares with dlib's network.

    Its last layer is fitted by least squares, because the layers before it see a smaller face than
    dlib's do. Random weights there would destroy the layers before them in the first steps.

    Args:
        course: As `COURSE`.
        crops: (faces, side, side, 3) uint8 to fit on.
        targets: Their embeddings, (faces, 128).
    """
    network = build_network(course)
    take_over_layers(network, load_dlib_weights(build_embedding_network()))
    head = network.get_layer("embedding")
    body = keras.Model(network.input, head.input)
    features = body.predict(normalise(crops), batch_size=ANSWER_BATCH, verbose=0)
    features = features.astype(np.float64)
    mean, middle = features.mean(axis=0), targets.mean(axis=0)
    spread = features - mean
    squares = spread.T @ spread
    ridge = RIDGE * np.trace(squares) / len(squares) * np.eye(len(squares))
    kernel = np.linalg.solve(squares + ridge, spread.T @ (targets - middle))
    head.set_weights([kernel, middle - mean @ kernel])
    return network


def load_faces(
    data_dir: Path, sources: Sequence[str], seed: int
) -> tuple[pd.DataFrame, np.ndarray]:
    """Return the training and validation faces, in the form that dlib's network takes.

    Args:
        data_dir: Folder of the datasets.
        sources: Their names.
        seed: Of the splits.

    Returns:
        The manifest, and crops (faces, 160, 160, 3) uint8.
    """
    manifests, parts = [], []
    for source in map(resolve_name, sources):
        manifest = read_dataset(source, data_dir, seed)
        crops, _ = prepare_crops(
            manifest, name_cache(data_dir, source, SIDE, 3, SCALE), SIDE, 3, SCALE
        )
        used = manifest["split"].isin(("train", "validation")).to_numpy()
        manifests.append(manifest[used])
        parts.append(crops[used])
    return pd.concat(manifests, ignore_index=True), np.concatenate(parts)


def shrink_crops(crops: np.ndarray, side: int) -> np.ndarray:
    """Return crops resized to another side by averaging, (faces, side, side, channels) uint8."""
    return np.stack([cv2.resize(c, (side, side), interpolation=cv2.INTER_AREA) for c in crops])


def train_embedding(
    data: DataChoice,
    models_dir: Path | None,
    run: Path,
    resume: bool = False,
    course: Course = COURSE,
    **options,
) -> None:
    """Train the student, and add it and dlib's network to the models.

    Both are measured on LFW, and get the thresholds that `embedding.verify` applies.

    Args:
        data: Where the datasets are; `sources` are the course's by default.
        models_dir: Folder of the registry; the run's folder by default.
        run: Folder of the run.
        resume: Whether to resume the interrupted run in `run`.
        course: What the student is, and how faces are changed.
        **options: Fields of `TrainingConfig`.

    Raises:
        FileNotFoundError: If a dataset, LFW among them, does not exist.
        ValueError: If `run` holds another run.

    Example:
        >>> train_embedding(DataChoice(Path("data/raw")), None, Path("run"))  # doctest: +SKIP
    """
    config = TrainingConfig(batch_size=BATCH, **options)
    read_dataset(SOURCE, data.folder, config.seed)  # fail before the work rather than after it
    check_run(run, resume)
    keras.utils.set_random_seed(config.seed)
    faces, crops = load_faces(data.folder, data.sources or course.sources, config.seed)
    learned = (faces["split"] == "train").to_numpy()
    keras.mixed_precision.set_dtype_policy(config.precision)
    teacher = load_dlib_weights(build_embedding_network())
    fitted = np.random.default_rng(config.seed).permutation(np.flatnonzero(learned))[:FITTED]
    network = begin_student(
        course, shrink_crops(crops[fitted], course.side), embed_crops(teacher, crops[fitted])
    )
    train, validation = (
        LabelledCrops(part, {NAME: answers}, np.ones(len(part), np.float32))
        for part, answers in (
            (crops[learned], np.full((learned.sum(), DIMENSIONS), np.nan, np.float32)),
            (shrink_crops(crops[~learned], course.side), embed_crops(teacher, crops[~learned])),
        )
    )
    del crops  # gigabytes
    finish = make_lesson(teacher, course.side)
    notes = {"command": describe_command(course, data, options=options), "start": DLIB}
    train_model(network, course, train, validation, config, run, notes=notes, finish=finish)
    with replace_file(run / "network.keras") as temporary:
        network.save(temporary)
    folder = models_dir or run
    about = f"{describe_data(faces)}, without labels; learned from dlib's network"
    licence = describe_licence(list(dict.fromkeys(faces["source"])))
    save_embedder(network, lambda: build_network(course), folder / NAME, about, licence)
    for name in ("history.csv", "config.json"):
        with replace_file(folder / NAME / name) as temporary:
            shutil.copyfile(run / name, temporary)
    save_dlib(folder)
    fit_verification(data.folder, folder, config.seed)


def save_dlib(models_dir: Path) -> None:
    """Export dlib's network with the published weights, and register it.

    Args:
        models_dir: Folder of the registry.

    Example:
        >>> save_dlib(Path("models"))  # see models/dlib/README.md  # doctest: +SKIP
    """
    network = load_dlib_weights(build_embedding_network())
    folder = models_dir / WEIGHTS.stem
    about = "about three million faces of 7,485 people (King, 2017)"
    save_embedder(network, build_embedding_network, folder, about, "CC0")
    (folder / f"{folder.name}.keras").unlink()  # `weights/dlib.npz` holds the weights


def save_embedder(
    network: keras.Model,
    build: Callable[[], keras.Model],
    folder: Path,
    training_data: str,
    licence: str,
) -> None:
    """Export an embedding network and register it; it has no thresholds yet.

    Args:
        network: Model from crops to a dict with the output `embedding`.
        build: Builds it anew.
        folder: Folder of the model, in that of the registry.
        training_data: What it learned from.
        licence: What weights and data allow.
    """
    file = export_network(network, build, folder)
    _, side, _, channels = network.input_shape
    form = {"size": side, "channels": channels, "scale": SCALE, "mirror": True}
    entry = ModelEntry(
        folder.name, f"{folder.name}/{file.name}", hash_file(file), form, {NAME: TaskEntry()},
        training_data, licence,
    )  # fmt: skip
    default = (NAME,) if folder.name == NAME else None
    save_entry(entry, folder.parent, default_for=default)
