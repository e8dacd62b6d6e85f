"""What `facekit train` does: read the data, cut the faces, fit, ship. Each step lives in a module of its own."""

from __future__ import annotations

import shutil
from pathlib import Path

import keras
import numpy as np
import pandas as pd

from facekit.datasets.adapters import read_dataset
from facekit.datasets.crops import prepare_crops
from facekit.fusion import save_constants
from facekit.images import normalise
from facekit.networks.attributes import build_attribute_cnn
from facekit.registry import get_models_dir
from facekit.training.calibration import fit_constants, load_predictions, measure_fusion
from facekit.training.export import ship
from facekit.training.loop import BACKUP, LabelledCrops, TrainingConfig, train_model
from facekit.training.tasks import TASKS

CROPS_FOLDER = "prepared"  # in the data's folder: cutting takes minutes and is the same for every task

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


def run_training(
    task_name: str, data_dir: Path, models_dir: Path | None, run: Path, start_from: Path | None, resume: bool, **options
) -> None:
    """Train one attribute's network and ship it.

    Args:
        task_name: Key of `tasks.TASKS`.
        data_dir: Holds the datasets under their usual names.
        models_dir: The registry to enter the model into; the one in use by default.
        run: Folder of the run.
        start_from: A trained `.keras` model whose layers are taken over where their shapes fit.
        resume: Whether to go on with what `run` holds; otherwise it is begun anew.
        **options: Fields of `TrainingConfig`.

    Raises:
        FileNotFoundError: If a dataset, or the model to start from, is not there.
    """
    task, config = TASKS[task_name], TrainingConfig(**options)
    if not resume and (run / BACKUP).exists():
        shutil.rmtree(run / BACKUP)
    keras.utils.set_random_seed(config.seed)
    keras.mixed_precision.set_dtype_policy(config.precision)
    network = build_attribute_cnn(task.name)
    if start_from:
        take_over_layers(network, start_from)
    manifest, crops, scores = load_data(task.sources, data_dir, config.seed)
    inputs, labels = normalise(crops, task.equalise), task.encode(manifest)
    splits = {name: (manifest["split"] == name).to_numpy() for name in ("train", "validation")}
    train, validation = (LabelledCrops(inputs[rows], labels[rows]) for rows in splits.values())
    train_model(network, task, train, validation, config, run)
    defaults = vars(TrainingConfig())
    changed = "".join(f" --{name.replace('_', '-')} {value}" for name, value in options.items() if value != defaults[name])
    start = f" --start-from {start_from}" if start_from else ""
    command = f"facekit train {task.name} --data data/raw{start}{changed}"
    for figure in ship(network, task, manifest, inputs, scores, run, models_dir or get_models_dir(), command, config.seed):
        print(f"{figure['source']} {figure['split']}, {figure['count']} images: {figure['figure']} {figure['value']}")


def load_data(sources: tuple[str, ...], data_dir: Path, seed: int) -> tuple[pd.DataFrame, np.ndarray, np.ndarray]:
    """Return the manifest, crops and detection scores of several datasets, one below the other."""
    manifests = [read_dataset(name, data_dir, seed) for name in sources]
    cut = [prepare_crops(manifest, Path(data_dir, CROPS_FOLDER, f"{name}.npz")) for name, manifest in zip(sources, manifests, strict=True)]
    crops, scores = (np.concatenate(parts) for parts in zip(*cut, strict=True))
    return pd.concat(manifests, ignore_index=True), crops, scores


def take_over_layers(network: keras.Model, path: Path) -> None:
    """Copy the weights of every layer of a trained model that has the same name and shapes.

    Args:
        network: Of `build_attribute_cnn`; changed in place.
        path: A `.keras` file of `export.export_network`.

    Raises:
        FileNotFoundError: If there is no such file.
    """
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such model; train it first with `facekit train {path.stem}`.")
    served = keras.saving.load_model(path, compile=False)
    trained = next(layer for layer in served.layers if isinstance(layer, keras.Model))
    theirs = {layer.name: layer.get_weights() for layer in trained.layers}
    for layer in network.layers:
        weights = theirs.get(layer.name, [])
        if [weight.shape for weight in weights] == [weight.shape for weight in layer.get_weights()]:
            layer.set_weights(weights)


def run_fusion_fit(data_dir: Path, models_dir: Path | None, seed: int) -> None:
    """Fit the constants of fusion from the shipped predictions and the training labels, and measure what they do."""
    models_dir = models_dir or get_models_dir()
    manifest = pd.concat([read_dataset(name, data_dir, seed) for name in ("utkface", "fer2013", "ck_plus")])
    constants = fit_constants(load_predictions(models_dir, "validation"), manifest[manifest["split"] == "train"])
    save_constants(constants, models_dir)
    figures = measure_fusion(load_predictions(models_dir, "test"), constants)
    compared = [name.removesuffix(" before") for name in figures if name.endswith(" before")]
    rows = "\n".join(f"| {name} | {figures[f'{name} before']} | {figures[f'{name} after']} |" for name in compared)
    card = FUSION_CARD.format(
        data="data/raw", strength=constants.strength, count=figures["count"], seed=seed, rows=rows,
        more=figures["profile right, more confident half"], less=figures["profile right, less confident half"],
    )  # fmt: skip
    (models_dir / "fusion.md").write_text(card, encoding="utf-8")
    print(card)
