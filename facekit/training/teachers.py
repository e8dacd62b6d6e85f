"""Learn from the predictions of a teacher beside the labels (Hinton et al., 2015, distillation).

A run keeps its network's predictions for the training images in `answers.npz`; a later run blends
them into its targets.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras
import numpy as np
import pandas as pd

from facekit.datasets.manifest import BOX
from facekit.files import replace_file
from facekit.images import normalise

ANSWER_BATCH = 256  # crops predicted at once, so that a large dataset fits in memory


def save_answers(
    network: keras.Model, crops: np.ndarray, manifest: pd.DataFrame, path: Path
) -> None:
    """Save a network's predictions, averaged over each crop and its mirror image.

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
    with replace_file(path) as temporary:
        np.savez(temporary, **arrays)


def read_answers(path: Path | None, task: str, manifest: pd.DataFrame) -> np.ndarray:
    """Return a teacher's predictions for the faces of a manifest.

    Args:
        path: A file of `save_answers`; `None` if there is no teacher.
        task: The attribute.
        manifest: The faces.

    Returns:
        (faces, classes) float32, NaN for faces without a prediction.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the teacher did not learn this attribute.

    Example:
        >>> faces = pd.DataFrame({"path": ["a.jpg"], **dict.fromkeys(BOX, np.nan)})
        >>> read_answers(None, "gender", faces)
        array([[nan]], dtype=float32)
    """
    names = _name_faces(manifest)
    if path is None:
        return np.full((len(names), 1), np.nan, np.float32)
    if not path.exists():
        raise FileNotFoundError(
            f"{path}: no such answers; train the teacher first with "
            "`facekit train COURSE --network teacher`."
        )
    with np.load(path) as kept:
        if task not in kept:
            raise ValueError(f"{path}: holds no predictions of {task}; train a teacher of {task}.")
        answers = pd.DataFrame(kept[task], index=kept["names"])
    return answers[~answers.index.duplicated()].reindex(names).to_numpy(np.float32)


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
        targets: (faces, classes); NaN rows have no label, and stay NaN.
        answers: (faces, classes) or (faces, 1); where they are NaN, targets stay as they are.
        share: From 0 to 1.

    Returns:
        (faces, classes) float32.

    Example:
        >>> blend(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]), 0.5)
        array([[0.75, 0.25]], dtype=float32)
    """
    mixed = np.where(np.isnan(answers), targets, (1 - share) * targets + share * answers)
    return mixed.astype(np.float32)
