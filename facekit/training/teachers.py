"""Learn from the predictions of teachers beside the labels (Hinton et al., 2015, distillation).

A run keeps its network's predictions for the training images in `answers.npz`; a later run blends
those of one or more teachers into its targets. `answer_datasets` adds the predictions for further
datasets, which need not be labelled.
"""

from __future__ import annotations

import json
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from facekit.datasets.adapters import read_dataset
from facekit.datasets.catalogue import resolve_name
from facekit.datasets.manifest import BOX
from facekit.files import replace_file
from facekit.images import normalise
from facekit.training.course import restore_course
from facekit.training.data import cut_faces

ANSWERS = "answers.npz"  # in a run's folder
ANSWER_BATCH = 256  # crops predicted at once, so that a large dataset fits in memory


def save_answers(
    network: keras.Model, crops: np.ndarray, manifest: pd.DataFrame, path: Path
) -> None:
    """Save a network's predictions, averaged over each crop and its mirror image.

    A file that exists is extended.

    Args:
        network: A trained network with a dict of outputs.
        crops: (faces, side, side, channels) uint8, one or more.
        manifest: The faces, in the same order.
        path: The `.npz` file: an array for each task, and `names` of the faces.

    Raises:
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> inputs = keras.Input((8, 8, 1))
        >>> network = keras.Model(inputs, {"gender": keras.layers.Flatten()(inputs)[:, :2]})
        >>> faces = pd.DataFrame({"path": ["a.jpg"], **dict.fromkeys(BOX, np.nan)})
        >>> path = Path(tempfile.mkdtemp(), "answers.npz")
        >>> save_answers(network, np.zeros((1, 8, 8, 1), np.uint8), faces, path)
        >>> read_answers(path, "gender", faces)
        array([[-1., -1.]], dtype=float32)
    """
    parts = []
    for start in range(0, len(crops), ANSWER_BATCH):
        inputs = normalise(crops[start : start + ANSWER_BATCH])
        both = [network.predict_on_batch(view) for view in (inputs, inputs[:, :, ::-1])]
        parts.append({name: (both[0][name] + both[1][name]) / 2 for name in both[0]})
    arrays: dict[str, Any] = {
        name: np.concatenate([part[name] for part in parts]) for name in parts[0]
    }
    arrays["names"] = np.array(_name_faces(manifest))
    if path.exists():
        with np.load(path) as kept:
            arrays = {name: np.concatenate([kept[name], arrays[name]]) for name in arrays}
    with replace_file(path) as temporary:
        np.savez(temporary, **arrays)


def answer_datasets(
    run: Path, sources: Sequence[str], data_dir: Path, output: Path | None = None
) -> None:
    """Add a trained network's predictions for the training images of datasets to its answers.

    The datasets need not be labelled with what the network predicts. Their other splits are not
    predicted: no held-out face is taught.

    Args:
        run: Folder of a finished run, or of a served model, such as `models/faces`.
        sources: Names of datasets.
        data_dir: Folder of the datasets.
        output: File of the answers; `answers.npz` in `run` by default. A file that exists is
            extended.

    Raises:
        FileNotFoundError: If `run` holds no trained network, or a dataset does not exist.
        OSError: If the file cannot be written.

    Example:
        >>> run = Path("runs/emotion")
        >>> answer_datasets(run, ("utkface", "lfw"), Path("data/raw"))  # doctest: +SKIP
    """
    files = run / "network.keras", run / f"{run.resolve().name}.keras"
    file = next((each for each in files if each.exists()), None)
    if file is None:
        raise FileNotFoundError(f"{run}: holds no finished run; train one with `facekit train`.")
    network = keras.saving.load_model(file, compile=False)
    settings = json.loads((run / "config.json").read_text(encoding="utf-8"))
    course = restore_course(settings["course"])
    for source in map(resolve_name, sources):
        manifest = read_dataset(source, data_dir, settings["seed"])
        crops, _ = cut_faces(course, manifest, data_dir, source)
        learned = (manifest["split"] == "train").to_numpy()
        save_answers(network, crops[learned], manifest[learned], output or run / ANSWERS)


def read_answers(path: Path, task: str, manifest: pd.DataFrame) -> np.ndarray:
    """Return a teacher's predictions for the faces of a manifest.

    Args:
        path: A file of `save_answers`.
        task: The attribute.
        manifest: The faces.

    Returns:
        (faces, classes) float32, NaN for faces without a prediction; (faces, 1) of NaN if the
        teacher does not predict the attribute.

    Raises:
        FileNotFoundError: If there is no such file.

    Example:
        >>> faces = pd.DataFrame({"path": ["a.jpg"], **dict.fromkeys(BOX, np.nan)})
        >>> read_answers(Path("answers.npz"), "gender", faces)
        Traceback (most recent call last):
        FileNotFoundError: answers.npz: no such answers; train the teacher first with ...
    """
    names = _name_faces(manifest)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such answers; train the teacher first with `facekit train COURSE`."
        )
    with np.load(path) as kept:
        if task not in kept:
            return np.full((len(names), 1), np.nan, np.float32)
        answers = pd.DataFrame(kept[task], index=kept["names"])
    return answers[~answers.index.duplicated(keep="last")].reindex(names).to_numpy(np.float32)


def average_answers(
    teachers: Sequence[Path], tasks: Sequence[str], manifest: pd.DataFrame
) -> dict[str, np.ndarray]:
    """Return the mean prediction of all teachers that predict a face's attribute.

    Args:
        teachers: Files of `save_answers`.
        tasks: The attributes.
        manifest: The faces.

    Returns:
        For each task (faces, classes) float32, NaN for faces without a prediction; (faces, 1) of
        NaN if no teacher predicts it.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If a teacher predicts none of the tasks.

    Example:
        >>> faces = pd.DataFrame({"path": ["a.jpg"], **dict.fromkeys(BOX, np.nan)})
        >>> average_answers([], ["gender"], faces)
        {'gender': array([[nan]], dtype=float32)}
    """
    given = {
        path: {task: read_answers(path, task, manifest) for task in tasks} for path in teachers
    }
    for path, answers in given.items():
        if all(answer.shape[1] == 1 for answer in answers.values()):
            raise ValueError(f"{path}: holds no predictions of {', '.join(tasks)}.")
    averages = {}
    for task in tasks:
        known = [answers[task] for answers in given.values() if answers[task].shape[1] > 1]
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", RuntimeWarning)  # no teacher knows this face
            averages[task] = (
                np.nanmean(known, axis=0)
                if known
                else np.full((len(manifest), 1), np.nan, np.float32)
            )
    return averages


def _name_faces(manifest: pd.DataFrame) -> list[str]:
    """Return a name for each row's face: its image, the image's folder, and its box if it has one.

    Datasets may move to another place between two runs, so the whole path is not part of it.
    """
    faces = zip(manifest["path"], manifest[list(BOX)].to_numpy(), strict=True)
    return [
        "/".join(Path(path).parts[-2:])
        + "".join(f" {side:g}" for side in box if not np.isnan(side))
        for path, box in faces
    ]


def blend(targets: np.ndarray, answers: np.ndarray, share: float) -> np.ndarray:
    """Mix targets with a share of a teacher's predictions (Hinton et al., 2015).

    Args:
        targets: (faces, classes); the answer alone takes the place of a NaN row, without a label.
        answers: (faces, classes) or (faces, 1); where they are NaN, targets stay as they are.
        share: From 0 to 1.

    Returns:
        (faces, classes) float32.

    Example:
        >>> blend(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), 0.5)
        array([[0.75, 0.25]], dtype=float32)
    """
    labels = np.where(np.isnan(targets), answers, targets)
    mixed = np.where(np.isnan(answers), targets, (1 - share) * labels + share * answers)
    return mixed.astype(np.float32)
