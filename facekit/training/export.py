"""Turn a trained network into a served model: files, predictions, figures, card, registry entry.

How weights are made small is left to `packing`, the words of cards to `cards`.
"""

from __future__ import annotations

import shutil
import warnings
from collections.abc import Callable
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from facekit.datasets.protocols import find_copied
from facekit.evaluation.figures import measure_attribute, tabulate_answers
from facekit.files import hash_file, replace_file, write_text
from facekit.images import normalise
from facekit.inference import load_session, run_session
from facekit.networks import mtcnn
from facekit.registry import ModelEntry, TaskEntry, load_index, save_entry
from facekit.taxonomy import LABELS
from facekit.training.cards import write_card
from facekit.training.course import Course
from facekit.training.data import check_splits
from facekit.training.origin import Origin, describe_data, describe_licence, describe_start
from facekit.training.packing import compress_archive, pack_weights, round_weights
from facekit.training.tasks import Task

# Splits whose predictions are stored: calibration is fitted on the one of that name.
HELD_OUT_SPLITS = ("validation", "calibration", "test")


def export_network(network: keras.Model, build: Callable[[], keras.Model], folder: Path) -> Path:
    """Save a trained network as it is served, with rounded weights for small files.

    Args:
        network: The trained network, in any precision.
        build: Builds it anew.
        folder: Folder of the `.keras` and `.onnx` files, which have its name.

    Returns:
        The ONNX file.

    Raises:
        OSError: If a file cannot be written; earlier files of that name stay as they were.

    Example:
        >>> import tempfile
        >>> def build():
        ...     inputs = keras.Input((8, 8, 1))
        ...     return keras.Model(inputs, keras.layers.Conv2D(1, 3)(inputs))
        >>> export_network(build(), build, Path(tempfile.mkdtemp(), "tiny")).name
        'tiny.onnx'
    """
    precision = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("float32")
    served = build()
    keras.mixed_precision.set_dtype_policy(precision)
    served.set_weights([np.float32(weights) for weights in network.get_weights()])
    round_weights(served)
    keras_file, onnx_file = folder / f"{folder.name}.keras", folder / f"{folder.name}.onnx"
    with replace_file(keras_file) as temporary:
        served.save(temporary)
        compress_archive(temporary)
    with replace_file(onnx_file) as temporary:
        _save_onnx(served, temporary)
        pack_weights(temporary)
    return onnx_file


def _save_onnx(network: keras.Model, path: Path) -> None:
    _, height, width, channels = network.input_shape
    # The exporter wants a model that was called once. P-Net takes any size from 12 pixels.
    network(np.zeros((1, height or 12, width or 12, channels), np.float32))
    with warnings.catch_warnings():
        # The copy of tf2onnx in Keras 3.15 asks NumPy 2 for the `np.object` of NumPy 1.
        warnings.filterwarnings("ignore", "In the future `np.object`", FutureWarning)
        network.export(path, format="onnx", verbose=False)


def export_mtcnn(models_dir: Path) -> None:
    """Export the three networks of MTCNN with the published weights, and register them.

    Args:
        models_dir: Folder of the registry.

    Example:
        >>> export_mtcnn(Path("models"))  # see models/mtcnn/README.md  # doctest: +SKIP
    """
    for name, build in mtcnn.BUILDERS.items():
        network = mtcnn.load_published_weights(build())
        path = models_dir / "mtcnn" / f"{name}.onnx"
        with replace_file(path) as temporary:
            _save_onnx(network, temporary)
        entry = ModelEntry(
            name,
            f"mtcnn/{path.name}",
            hash_file(path),
            {"size": network.input_shape[1], "channels": 3},
            {"detection": TaskEntry()},
            training_data="WIDER FACE and CelebA, by the authors of MTCNN",
            licence="MIT, from the mtcnn package 1.0.0, "
            "Copyright (c) 2019-2024 Iván de Paz Centeno",
        )
        save_entry(entry, models_dir)


def tabulate_predictions(
    task: Task, manifest: pd.DataFrame, probabilities: np.ndarray
) -> pd.DataFrame:
    """Return the table of predictions that `evaluation.figures` reads.

    Args:
        task: The task that was predicted.
        manifest: The faces, with a column `copied`.
        probabilities: (faces, classes).

    Returns:
        As `evaluation.figures.tabulate_answers`.

    Example:
        >>> from facekit.training.tasks import TASKS
        >>> faces = pd.DataFrame({
        ...     "path": ["a.jpg"], "source": "mine", "group": 1, "split": "test", "copied": False,
        ...     "gender": "male",
        ... })
        >>> table = tabulate_predictions(TASKS["gender"], faces, np.array([[0.25, 0.75]]))
        >>> list(table.columns[-3:])
        ['label', 'p_female', 'p_male']
    """
    return tabulate_answers(task.name, manifest, probabilities)


def _list_outputs(folder: Path, course: Course) -> list[Path]:
    """Return the files that `ship` writes, without the index.

    Args:
        folder: Folder of the model, in that of the registry.
        course: What the model learned.
    """
    model = [f"{folder.name}.keras", f"{folder.name}.onnx", "history.csv", "config.json"]
    of_tasks = (
        folder.parent / name / file
        for name in course.task_names
        for file in ("predictions.parquet", "README.md")
    )
    return [*(folder / name for name in model), *of_tasks]


def check_shipping(folder: Path, course: Course) -> None:
    """Check, before a training, that shipping will replace only files of models that are listed.

    Args:
        folder: Folder of the model, in that of the registry.
        course: What the model will learn.

    Raises:
        ValueError: If a file is in the way that belongs to no model of the registry.

    Example:
        >>> from facekit.training.course import COURSES
        >>> check_shipping(Path("no such folder", "age"), COURSES["age"])
    """
    models_dir = folder.parent
    index = load_index(models_dir) if (models_dir / "index.json").exists() else None
    # A listed model has its own folder, and one for the card of each task that it serves.
    known = set()
    for entry in index.models.values() if index else ():
        known |= {Path(entry.file).parent.as_posix(), *entry.tasks}
    for path in _list_outputs(folder, course):
        if path.exists() and path.parent.name not in known:
            raise ValueError(
                f"{path}: is in the way, and no model of {models_dir / 'index.json'} owns it. Move "
                "it, or choose another folder with --models."
            )


def ship(
    network: keras.Model,
    build: Callable[[], keras.Model],
    course: Course,
    manifest: pd.DataFrame,
    crops: np.ndarray,
    scores: np.ndarray,
    run: Path,
    folder: Path,
    origin: Origin,
) -> list[dict]:
    """Export a trained network, measure it and enter it into the registry.

    The model becomes the default model of each of its tasks. The registry is changed last, when
    all files are in place.

    Args:
        network: The trained network.
        build: Builds it anew.
        course: What it learned.
        manifest: The faces, with splits.
        crops: Crops of all faces, (faces, side, side, channels) uint8.
        scores: (faces,) detection scores, 0 where no face was found.
        run: Folder of the run, for its history and settings.
        folder: Folder of the model, in that of the registry. Predictions and card of each task go
            into a folder of the task beside it.
        origin: How the model came about, for the card.

    Returns:
        The figures of the test split, one task after the other.

    Raises:
        ValueError: If a task has no test faces with a label: a model is not shipped unmeasured.
        OSError: If a file cannot be written.

    Example:
        >>> ship(...)  # see tests/training/test_export.py  # doctest: +SKIP
    """
    check_splits(manifest, course.tasks, ("test",))
    onnx_file = export_network(network, build, folder)
    for name in ("history.csv", "config.json"):
        with replace_file(folder / name) as temporary:
            shutil.copyfile(run / name, temporary)
    held_out = manifest["split"].isin(HELD_OUT_SPLITS).to_numpy()
    about = manifest.assign(copied=find_copied(manifest))[held_out]
    inputs, session = normalise(crops[held_out]), load_session(onnx_file)
    straight, mirrored = (
        run_session(session, view, list(course.task_names)) for view in (inputs, inputs[:, :, ::-1])
    )
    file, served = f"{folder.name}/{onnx_file.name}", {}
    for task, alone, flipped in zip(course.tasks, straight, mirrored, strict=True):
        labelled = about[task.name].notna().to_numpy()
        views = alone, (alone + flipped) / 2
        # As served, and the other way.
        predictions, others = (
            tabulate_predictions(task, about[labelled], views[choice][labelled])
            for choice in (course.mirror, not course.mirror)
        )
        figures = [measure_attribute(task.name, table) for table in (predictions, others)]
        served[task.name] = TaskEntry(
            list(LABELS[task.name]), {"seed": origin.seed, "figures": figures[0]}
        )
        with replace_file(folder.parent / task.name / "predictions.parquet") as temporary:
            predictions.to_parquet(temporary, index=False, compression="zstd")
        card = write_card(
            course, task.name, file, network.count_params(), manifest, scores, predictions,
            (figures[0], figures[1]), run / "history.csv", origin,
        )  # fmt: skip
        write_text(folder.parent / task.name / "README.md", card)
    form = {
        "size": course.side, "channels": course.channels, "equalise": course.equalise,
        "scale": course.scale, "mirror": course.mirror,
    }  # fmt: skip
    data = f"{describe_data(manifest)}; started from {describe_start(course, origin)}"
    licence = describe_licence(list(dict.fromkeys(manifest["source"])))
    entry = ModelEntry(folder.name, file, hash_file(onnx_file), form, served, data, licence)
    save_entry(entry, folder.parent, default_for=course.task_names)
    return [figure for each in served.values() for figure in each.metrics["figures"]]
