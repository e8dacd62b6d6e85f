"""Turn a trained network into a shipped model: `.keras` and `.onnx`, its history, its predictions, its figures, its card."""

from __future__ import annotations

import shutil
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path

import keras
import numpy as np
import onnx
import onnx.helper
import onnx.numpy_helper
import pandas as pd

from facekit.evaluation.figures import measure_attribute, tabulate_figures
from facekit.images import normalise
from facekit.inference import load_session, run_session
from facekit.networks import mtcnn
from facekit.registry import ModelEntry, hash_file, save_entry
from facekit.taxonomy import LABELS
from facekit.training.tasks import Task

ROUNDING = (
    1e-5  # share of the largest weight by which the exporter's arithmetic may miss a rounded number
)
LICENCE = "code and weights MIT; learned from data that allow research and teaching only"
SOURCES = {
    "utkface": "UTKFace (Zhang, Song, Qi, CVPR 2017)",
    "fer2013": "FER2013 (Goodfellow et al., 2013)",
    "ck_plus": "CK+48 (Lucey et al., CVPRW 2010)",
}

# What a network that begins with dlib's weights knows before it sees the data. It learned to tell
# people apart, from no labels but names.
BEGUN = "; begun with dlib's face recognition network (King, 2017; CC0), which learned from about 3 million faces"

CARD = """# {name}

`{network}`, a residual CNN of {parameters:.2f} million parameters, tells {name} from an upright {colour} face crop of {side}x{side}
pixels.{also}

- **Output**: {outputs}
- **Learned from**: {data}
- **Split**: as `data/README.md` says; no group of duplicate images, and no CK+ subject, stands on two sides. Validation chose the epoch.
- **Made by**: `{command}`
- **Licence**: {licence}

## Held-out figures (test split, seed {seed})

{figures}

Recompute them with `facekit evaluate {name}`, from `predictions.parquet`: every validation and test image with its label and the
probabilities that the shipped ONNX file gave it. `{folder}/history.csv` is the training's course, `{folder}/config.json` its settings.

Averaged over a crop and its mirror image (test-time flipping), which takes twice the time and is not how the network is served:

{flipped}

{lost:.1%} of the images had no face that MTCNN found, and were cut as the dataset cuts them.

## Limits

{limits}
"""

LIMITS = {
    "age": "Labels of UTKFace are themselves estimates; errors grow with age, and children are told better than adults. What is told "
    "is how old a face looks, not how old a person is.",
    "gender": "Two classes, as the datasets have them; the network tells how a face reads, not who somebody is. It errs most on "
    "infants and on the old.",
    "emotion": "About two people in three agree with FER2013's labels. The network tells the expression shown, not what is felt; "
    "disgust and fear are rare in the data and told worst.",
    "ethnicity": "UTKFace's five classes are coarse, assigned by appearance, and contested. The model is for audits and research, "
    "is never run by default, and must not decide anything about anybody.",
}


def export_network(network: keras.Model, build: Callable[[], keras.Model], folder: Path) -> Path:
    """Save a trained network as it is served: convolutions in 8 bits and the rest in half
    precision, for small files.

    Args:
        network: Trained, in any precision.
        build: Builds it anew.
        folder: Where the `.keras` and `.onnx` files go, which are called like it.

    Returns:
        The ONNX file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    precision = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("float32")
    served = build()
    keras.mixed_precision.set_dtype_policy(precision)
    served.set_weights([np.float32(weights) for weights in network.get_weights()])
    _round_weights(served)
    served(
        np.zeros((1, *served.input_shape[1:]), np.float32)
    )  # the exporter wants a model that has been called
    keras_file, onnx_file = folder / f"{folder.name}.keras", folder / f"{folder.name}.onnx"
    served.save(keras_file)
    _compress(keras_file)
    served.export(onnx_file, format="onnx", verbose=False)
    _pack(onnx_file)
    return onnx_file


def _round_weights(network: keras.Model) -> None:
    """Round what the exporter will find: kernels to 8 bits, after the scale of a normalisation that
    follows; all else to half precision.

    The scale is moved into the kernel, and the normalisation's statistics follow, so that the
    network can be trained on.
    """
    scales = {}
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            gamma, beta, mean, variance = layer.get_weights()
            scale = scales[layer.name.replace("_norm", "_conv")] = gamma / np.sqrt(
                variance + layer.epsilon
            )
            shift, mean, variance = _halve(beta - mean * scale), mean * scale, variance * scale**2
            layer.set_weights([np.sqrt(variance + layer.epsilon), shift + mean, mean, variance])
    for layer in network.layers:
        if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D):
            kernel, *bias = layer.get_weights()
            filters = 2 if isinstance(layer, keras.layers.DepthwiseConv2D) else 3  # the axis
            kernel = (
                np.moveaxis(kernel, filters, 0)
                * scales.get(layer.name, np.ones(1))[:, None, None, None]
            )
            numbers, steps = _quantise(kernel)
            layer.set_weights([np.moveaxis(numbers * steps, 0, filters), *map(_halve, bias)])
        elif isinstance(layer, keras.layers.Dense):
            layer.set_weights([_halve(weights) for weights in layer.get_weights()])


def _halve(weights: np.ndarray) -> np.ndarray:
    return weights.astype(np.float16).astype(np.float32)


def _quantise(kernel: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return integers from -127 to 127 and steps, a power of two for each row of the first axis, whose product is about the kernel."""
    largest = np.abs(kernel).max(axis=(1, 2, 3), keepdims=True)
    steps = 2 ** np.ceil(np.log2(np.maximum(largest, 1e-12) / 127) - ROUNDING)
    return np.round(kernel / steps), steps.astype(np.float32)


def _compress(path: Path) -> None:
    """Compress a `.keras` file, which is a ZIP archive that Keras leaves uncompressed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_BZIP2) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _pack(path: Path) -> None:
    """Store an ONNX file's weights as they were rounded; a cast each, which ONNX Runtime does once on opening, restores them."""
    model = onnx.load(path)
    graph = model.graph
    for weights in list(graph.initializer):
        values = onnx.numpy_helper.to_array(weights)
        if values.dtype != np.float32 or values.ndim == 0 or values.size == 0:
            continue
        numbers, steps = _quantise(values) if values.ndim == 4 else (values, np.float32(1))
        packed = numbers.astype(np.int8 if values.ndim == 4 else np.float16)
        if (
            np.abs(packed.astype(np.float32) * steps - values).max()
            > ROUNDING * np.abs(values).max()
        ):
            continue  # the exporter's own, which nobody rounded
        graph.initializer.remove(weights)
        parts = {"packed": packed, "steps": steps} if values.ndim == 4 else {"packed": packed}
        graph.initializer.extend(
            onnx.numpy_helper.from_array(part, f"{weights.name}_{name}")
            for name, part in parts.items()
        )
        whole = f"{weights.name}_whole" if values.ndim == 4 else weights.name
        nodes = [
            onnx.helper.make_node(
                "Cast", [f"{weights.name}_packed"], [whole], to=onnx.TensorProto.FLOAT
            )
        ]
        if values.ndim == 4:
            nodes.append(
                onnx.helper.make_node("Mul", [whole, f"{weights.name}_steps"], [weights.name])
            )
        for node in reversed(nodes):
            graph.node.insert(0, node)
    onnx.save(model, path)


def export_mtcnn(models_dir: Path) -> None:
    """Export the three networks of MTCNN with the published weights, and enter them into the index."""
    (models_dir / "mtcnn").mkdir(parents=True, exist_ok=True)
    for name, build in mtcnn.BUILDERS.items():
        network = mtcnn.load_published_weights(build())
        side = network.input_shape[1]
        network(np.zeros((1, side or 12, side or 12, 3), np.float32))
        path = models_dir / "mtcnn" / f"{name}.onnx"
        network.export(path, format="onnx", verbose=False)
        entry = ModelEntry(
            name,
            "detection",
            f"mtcnn/{path.name}",
            hash_file(path),
            {"size": side, "channels": 3},
            training_data="WIDER FACE and CelebA, by the authors of MTCNN",
            licence="MIT, from the mtcnn package 1.0.0, Copyright (c) 2019-2024 Iván de Paz Centeno",
        )
        save_entry(entry, models_dir)


def tabulate_predictions(
    task: Task, manifest: pd.DataFrame, probabilities: np.ndarray
) -> pd.DataFrame:
    """Return the table of predictions that `evaluation.figures` reads.

    Args:
        task: Whose answers they are.
        manifest: The images answered to, with a column `copied`.
        probabilities: (images, classes).
    """
    names = [f"p_{label}" for label in LABELS[task.name]]
    table = pd.DataFrame(
        probabilities.astype(np.float32).round(5), columns=names, index=manifest.index
    )
    about = manifest[["source", "group", "split", "copied"]].assign(
        image=manifest["path"].map(lambda path: Path(path).name), label=manifest[task.name]
    )
    return (
        about[["image", "source", "group", "split", "copied", "label"]]
        .join(table)
        .reset_index(drop=True)
    )


def ship(
    network: keras.Model, build: Callable[[], keras.Model], tasks: Sequence[Task], manifest: pd.DataFrame, crops: np.ndarray,
    scores: np.ndarray, run: Path, folder: Path, command: str, seed: int,
) -> list[dict]:  # fmt: skip
    """Export a trained network, measure it and enter each of its attributes into the index.

    Args:
        network: As trained.
        build: Builds it anew.
        tasks: What it tells.
        manifest: The images, with splits.
        crops: Of each, as the network takes them, (images, side, side, channels) uint8.
        scores: (images,) of detection, 0 where no face was found.
        run: The training's folder, for its history.
        folder: Of the network, in the registry's; each attribute's predictions and card go into one
            of its own beside it.
        command: What reproduces the training, for the card.
        seed: Of the split and the training.

    Returns:
        The figures of the test split, of each attribute after the other.
    """
    onnx_file = export_network(network, build, folder)
    for name in ("history.csv", "config.json"):
        shutil.copy(run / name, folder / name)
    held_out = manifest["split"].isin(("validation", "test")).to_numpy()
    photos = (
        manifest["source"] + " " + manifest["group"].astype(str)
    )  # each dataset numbers its groups from 0
    copied = photos.isin(photos[manifest["split"] == "excluded"])
    about = manifest.assign(copied=copied)[held_out]
    names, inputs, session = (
        [task.name for task in tasks],
        normalise(crops[held_out]),
        load_session(onnx_file),
    )
    straight, mirrored = (
        run_session(session, view, names) for view in (inputs, inputs[:, :, ::-1])
    )
    data = "; ".join(SOURCES.get(source, source) for source in manifest["source"].unique())
    data += BEGUN if network.name == "pretrained" else ""
    _, side, _, channels = network.input_shape
    shipped = []
    for task, answers, others in zip(tasks, straight, mirrored, strict=True):
        place = folder.parent / task.name
        place.mkdir(exist_ok=True)
        predictions = tabulate_predictions(task, about, answers)
        predictions.to_parquet(place / "predictions.parquet", index=False, compression="zstd")
        figures = measure_attribute(task.name, predictions)
        flipped = measure_attribute(
            task.name, tabulate_predictions(task, about, (answers + others) / 2)
        )
        entry = ModelEntry(
            task.name, task.name, f"{folder.name}/{onnx_file.name}", hash_file(onnx_file),
            {"size": side, "channels": channels, "equalise": task.equalise},
            list(LABELS[task.name]), data, LICENCE, {"seed": seed, "figures": figures},
        )  # fmt: skip
        save_entry(entry, folder.parent)
        labels = LABELS[task.name]
        card = CARD.format(
            name=task.name, network=f"{folder.name}/{onnx_file.name}", parameters=network.count_params() / 1e6, side=side,
            colour="colour" if channels == 3 else "grey", also=f" It tells {' and '.join(names)} at once." if len(names) > 1 else "",
            outputs="a probability for each year from 0 to 100" if task.name == "age" else f"probabilities of {', '.join(labels)}",
            data=data, command=command, licence=LICENCE, seed=seed, figures=tabulate_figures(figures), flipped=tabulate_figures(flipped),
            lost=float(np.mean(scores == 0)), limits=LIMITS[task.name], folder=folder.name,
        )  # fmt: skip
        (place / "README.md").write_text(card, encoding="utf-8")
        shipped += figures
    return shipped
