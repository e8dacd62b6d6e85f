"""Turn a trained network into a shipped model: `.keras` and `.onnx`, its history, its predictions, its figures, its card."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from facekit.evaluation.figures import measure_attribute, tabulate_figures
from facekit.inference import load_session, run_session
from facekit.networks import mtcnn
from facekit.networks.attributes import INPUT_SIDE, add_mirror, build_attribute_cnn
from facekit.registry import ModelEntry, hash_file, save_entry
from facekit.taxonomy import LABELS
from facekit.training.tasks import Task

LICENCE = "code and weights MIT; learned from data that allow research and teaching only"
SOURCES = {
    "utkface": "UTKFace (Zhang, Song, Qi, CVPR 2017), protocol group_disjoint",
    "fer2013": "FER2013 (Goodfellow et al., 2013), protocol official",
    "ck_plus": "CK+48 (Lucey et al., CVPRW 2010), protocol subject_disjoint",
}

CARD = """# {name}

A residual CNN of {parameters:.2f} million parameters that tells {name} from an upright grey face crop of {side}x{side} pixels.

- **Output**: {outputs}
- **Learned from**: {data}. No group of duplicate images, and no CK+ subject, stands on two sides of a split; the validation
  split chose the epoch.
- **Made by**: `{command}`
- **Licence**: {licence}

## Held-out figures (test split, seed {seed})

{figures}

Recompute them with `facekit evaluate {name}`, from `predictions.parquet`: every validation and test image with its label and the
probabilities that the shipped ONNX file gave it. `history.csv` is the training's course, `config.json` its settings.

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
    """Save a trained network as it is served: in float32, averaged with its answer to the mirror image.

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
    single = build_attribute_cnn(task.name)
    single.set_weights(network.get_weights())
    served = add_mirror(single)
    served(np.zeros((1, INPUT_SIDE, INPUT_SIDE, 1), np.float32))  # the exporter wants a model that has been called
    keras.mixed_precision.set_dtype_policy(precision)
    served.save(folder / f"{task.name}.keras")
    path = folder / f"{task.name}.onnx"
    served.export(path, format="onnx", verbose=False)
    return path


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


def predict_splits(onnx_file: Path, task: Task, manifest: pd.DataFrame, inputs: np.ndarray) -> pd.DataFrame:
    """Return the served model's probabilities for the validation and test splits.

    Args:
        onnx_file: Of `export_network`.
        task: Whose model it is.
        manifest: With splits.
        inputs: (images, side, side, 1) float32, one a row of the manifest.

    Returns:
        Columns `image` (the file's name), `source`, `group`, `split`, `label`, then `p_<class>` for each class.
    """
    held_out = manifest["split"].isin(("validation", "test")).to_numpy()
    rows = manifest[held_out]
    probabilities = run_session(load_session(onnx_file), inputs[held_out])[0]
    names = [f"p_{label}" for label in LABELS[task.name]]
    table = pd.DataFrame(probabilities.astype(np.float32).round(5), columns=names, index=rows.index)
    about = rows[["source", "group", "split"]].assign(image=rows["path"].map(lambda path: Path(path).name), label=rows[task.name])
    return about[["image", "source", "group", "split", "label"]].join(table).reset_index(drop=True)


def ship(
    network: keras.Model, task: Task, manifest: pd.DataFrame, inputs: np.ndarray, scores: np.ndarray,
    run: Path, models_dir: Path, command: str, seed: int,
) -> list[dict]:  # fmt: skip
    """Export a trained network, measure it and enter it into the index.

    Args:
        network: As trained.
        task: Whose network it is.
        manifest: The images, with splits.
        inputs: What the network takes for each, (images, side, side, 1) float32.
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
    predictions = predict_splits(onnx_file, task, manifest, inputs)
    predictions.to_parquet(folder / "predictions.parquet", index=False, compression="zstd")
    for name in ("history.csv", "config.json"):
        shutil.copy(run / name, folder / name)
    figures = measure_attribute(task.name, predictions)
    data = "; ".join(SOURCES[source] for source in task.sources)
    entry = ModelEntry(
        task.name, task.name, f"{task.name}/{onnx_file.name}", hash_file(onnx_file),
        {"size": INPUT_SIDE, "channels": 1, "equalise": task.equalise},
        list(LABELS[task.name]), data, LICENCE, {"seed": seed, "figures": figures},
    )  # fmt: skip
    save_entry(entry, models_dir)
    labels = LABELS[task.name]
    outputs = "a probability for each year from 0 to 100" if task.name == "age" else f"probabilities of {', '.join(labels)}"
    card = CARD.format(
        name=task.name, parameters=network.count_params() / 1e6, side=INPUT_SIDE, outputs=outputs, data=data, command=command,
        licence=LICENCE, seed=seed, figures=tabulate_figures(figures), lost=float(np.mean(scores == 0)), limits=LIMITS[task.name],
    )  # fmt: skip
    (folder / "README.md").write_text(card, encoding="utf-8")
    return figures
