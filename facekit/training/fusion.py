"""Fit the constants of fusion, as `facekit train fusion` does, from predictions and labels.

Fitting, measuring and the card are in `calibration`; `facekit.fusion` applies the constants.
"""

from __future__ import annotations

from pathlib import Path

from facekit.calibration import fit_fusion, read_detections, select_training_labels
from facekit.datasets.adapters import read_dataset
from facekit.registry import get_models_dir

SOURCE = "utkface"  # the dataset whose training labels are counted: its faces have several


def run_fusion_fit(data_dir: Path, models_dir: Path | None, seed: int) -> None:
    """Fit the constants of fusion, write them with their card, and print the card.

    The threshold of the detector's score is fitted on WIDER FACE where it is there.

    Args:
        data_dir: Folder that holds the datasets under their usual names.
        models_dir: Folder of the registry with stored predictions; the shipped one by default.
        seed: Seed of the splits, the one with which the models were trained.

    Raises:
        FileNotFoundError: If a dataset or the predictions of a model do not exist.

    Example:
        >>> run_fusion_fit(Path("data/raw"), Path("models"), seed=0)  # doctest: +SKIP
    """
    models_dir = models_dir or get_models_dir()
    labels = select_training_labels(read_dataset(SOURCE, data_dir, seed), models_dir)
    detections = read_detections(data_dir) if (data_dir / "WIDER_val").is_dir() else None
    print(fit_fusion(models_dir, labels, seed, detections))
