"""Turn a trained network into a shipped model: `.keras` and `.onnx`, its history, its predictions, its figures, its card."""

from __future__ import annotations

import shutil
import zipfile
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
from facekit.networks.attributes import INPUT_SIDE, add_mirror, build_attribute_cnn
from facekit.registry import ModelEntry, hash_file, save_entry
from facekit.taxonomy import LABELS
from facekit.training.tasks import Task

ROUNDING = 1e-5  # share of the largest weight by which the exporter's arithmetic may miss a number of half precision
LICENCE = "code and weights MIT; learned from data that allow research and teaching only"
SOURCES = {
    "utkface": "UTKFace (Zhang, Song, Qi, CVPR 2017)",
    "fer2013": "FER2013 (Goodfellow et al., 2013)",
    "ck_plus": "CK+48 (Lucey et al., CVPRW 2010)",
}

CARD = """# {name}

A residual CNN of {parameters:.2f} million parameters that tells {name} from an upright {colour} face crop of {side}x{side} pixels.

- **Output**: {outputs}
- **Learned from**: {data}, split as `data/README.md` says: no group of duplicate images, and no CK+ subject, stands on two sides. The
  validation split chose the epoch.
- **Made by**: `{command}`
- **Licence**: {licence}

## Held-out figures (test split, seed {seed})

{figures}

Recompute them with `facekit evaluate {name}`, from `predictions.parquet`: every validation and test image with its label and the
probabilities that the shipped ONNX file gave it. `history.csv` is the training's course, `config.json` its settings.

The served network averages its answers to a crop and to its mirror image (test-time flipping). Without, in half the time:

{single}

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


def export_network(network: keras.Model, task: Task, folder: Path) -> Path:
    """Save a trained network as it is served: averaged with its answer to the mirror image, in half precision to halve the files.

    Args:
        network: Of `build_attribute_cnn`, trained in any precision.
        task: Whose network it is.
        folder: Where `TASK.keras` and `TASK.onnx` go.

    Returns:
        The ONNX file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    precision = keras.mixed_precision.dtype_policy()
    keras.mixed_precision.set_dtype_policy("float32")
    single = build_attribute_cnn((task.name,), task.channels, task.widths)
    single.set_weights([np.float32(weights) for weights in network.get_weights()])
    _round_weights(single)
    served = add_mirror(single)
    served(np.zeros((1, *served.input_shape[1:]), np.float32))  # the exporter wants a model that has been called
    keras.mixed_precision.set_dtype_policy(precision)
    keras_file, onnx_file = folder / f"{task.name}.keras", folder / f"{task.name}.onnx"
    served.save(keras_file)
    _deflate(keras_file)
    served.export(onnx_file, format="onnx", verbose=False)
    _halve(onnx_file)
    return onnx_file


def _round_weights(network: keras.Model) -> None:
    """Round what the exporter will find to half precision: kernels times the scale of the normalisation after them, and its shift.

    The scale is moved into the kernel, and the normalisation's statistics follow, so that the network can be trained on.
    """
    for layer in network.layers:
        if isinstance(layer, keras.layers.BatchNormalization):
            convolution = network.get_layer(layer.name.replace("_norm", "_conv"))
            (kernel,), (gamma, beta, mean, variance) = convolution.get_weights(), layer.get_weights()
            scale = gamma / np.sqrt(variance + layer.epsilon)
            by_filter = scale[:, None] if isinstance(convolution, keras.layers.DepthwiseConv2D) else scale
            shift, mean, variance = _round(beta - mean * scale), mean * scale, variance * scale**2
            convolution.set_weights([_round(kernel * by_filter)])
            layer.set_weights([np.sqrt(variance + layer.epsilon), shift + mean, mean, variance])
        elif isinstance(layer, keras.layers.Dense):
            layer.set_weights([_round(weights) for weights in layer.get_weights()])


def _round(weights: np.ndarray) -> np.ndarray:
    return weights.astype(np.float16).astype(np.float32)


def _deflate(path: Path) -> None:
    """Compress a `.keras` file, which is a ZIP archive that Keras leaves uncompressed."""
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


def _halve(path: Path) -> None:
    """Store an ONNX file's weights in half precision; a cast each, which ONNX Runtime does once on opening, restores them."""
    model = onnx.load(path)
    graph = model.graph
    for weights in list(graph.initializer):
        if weights.data_type != onnx.TensorProto.FLOAT or len(weights.dims) == 0:
            continue
        values = onnx.numpy_helper.to_array(weights)
        half = onnx.numpy_helper.from_array(values.astype(np.float16), f"{weights.name}_half")
        if np.abs(_round(values) - values).max() <= ROUNDING * np.abs(values).max():
            graph.initializer.remove(weights)
            graph.initializer.append(half)
            graph.node.insert(0, onnx.helper.make_node("Cast", [half.name], [weights.name], to=onnx.TensorProto.FLOAT))
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


def predict_splits(onnx_file: Path, task: Task, manifest: pd.DataFrame, crops: np.ndarray) -> pd.DataFrame:
    """Return the served model's probabilities for the validation and test splits.

    Args:
        onnx_file: Of `export_network`.
        task: Whose model it is.
        manifest: With splits.
        crops: (images, side, side, channels) uint8, one a row of the manifest.

    Returns:
        A table of predictions, as `evaluation.figures` reads it.
    """
    held_out = manifest["split"].isin(("validation", "test")).to_numpy()
    photos = manifest["source"] + " " + manifest["group"].astype(str)  # each dataset numbers its groups from 0
    copied = photos.isin(photos[manifest["split"] == "excluded"])
    answers = run_session(load_session(onnx_file), normalise(crops[held_out]))[0]
    return tabulate_predictions(task, manifest[held_out].assign(copied=copied[held_out]), answers)


def tabulate_predictions(task: Task, manifest: pd.DataFrame, probabilities: np.ndarray) -> pd.DataFrame:
    """Return the table of predictions that `evaluation.figures` reads.

    Args:
        task: Whose answers they are.
        manifest: The images answered to, with a column `copied`.
        probabilities: (images, classes).
    """
    names = [f"p_{label}" for label in LABELS[task.name]]
    table = pd.DataFrame(probabilities.astype(np.float32).round(5), columns=names, index=manifest.index)
    about = manifest[["source", "group", "split", "copied"]].assign(
        image=manifest["path"].map(lambda path: Path(path).name), label=manifest[task.name]
    )
    return about[["image", "source", "group", "split", "copied", "label"]].join(table).reset_index(drop=True)


def ship(
    network: keras.Model, task: Task, manifest: pd.DataFrame, crops: np.ndarray, scores: np.ndarray,
    run: Path, models_dir: Path, command: str, seed: int,
) -> list[dict]:  # fmt: skip
    """Export a trained network, measure it and enter it into the index.

    Args:
        network: As trained.
        task: Whose network it is.
        manifest: The images, with splits.
        crops: Of each, as cut, equalised if the task wants it, (images, side, side, channels) uint8.
        scores: (images,) of detection, 0 where no face was found.
        run: The training's folder, for its history.
        models_dir: The registry's folder.
        command: What reproduces the training, for the card.
        seed: Of the split and the training.

    Returns:
        The figures of the test split.
    """
    folder = models_dir / task.name
    onnx_file = export_network(network, task, folder)
    predictions = predict_splits(onnx_file, task, manifest, crops)
    predictions.to_parquet(folder / "predictions.parquet", index=False, compression="zstd")
    for name in ("history.csv", "config.json"):
        shutil.copy(run / name, folder / name)
    figures = measure_attribute(task.name, predictions)
    single = predictions.copy()
    held_out = manifest["split"].isin(("validation", "test")).to_numpy()
    columns = [name for name in single if name.startswith("p_")]
    single[columns] = network.predict(normalise(crops[held_out]), verbose=0)[task.name]
    data = "; ".join(SOURCES.get(source, source) for source in manifest["source"].unique())
    entry = ModelEntry(
        task.name, task.name, f"{task.name}/{onnx_file.name}", hash_file(onnx_file),
        {"size": INPUT_SIDE, "channels": task.channels, "equalise": task.equalise},
        list(LABELS[task.name]), data, LICENCE, {"seed": seed, "figures": figures},
    )  # fmt: skip
    save_entry(entry, models_dir)
    labels = LABELS[task.name]
    outputs = "a probability for each year from 0 to 100" if task.name == "age" else f"probabilities of {', '.join(labels)}"
    card = CARD.format(
        name=task.name, parameters=network.count_params() / 1e6, side=INPUT_SIDE,
        colour="colour" if task.channels == 3 else "grey", outputs=outputs, data=data, command=command,
        licence=LICENCE, seed=seed, figures=tabulate_figures(figures), single=tabulate_figures(measure_attribute(task.name, single)),
        lost=float(np.mean(scores == 0)), limits=LIMITS[task.name],
    )  # fmt: skip
    (folder / "README.md").write_text(card, encoding="utf-8")
    return figures
