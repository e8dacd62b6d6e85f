"""Fixtures that tests share: the folder of research datasets, portraits, synthetic predictions."""

import os
import shutil
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.taxonomy import LABELS

ROOT = Path(__file__).parent.parent
DATA_DIR = Path(os.environ.get("FACEKIT_DATA", ROOT / "data" / "raw"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of research datasets; tests that use it are marked `data`."""
    if not DATA_DIR.is_dir():
        pytest.skip(f"{DATA_DIR} does not exist; data/README.md says how to fill it")
    return DATA_DIR


@pytest.fixture(scope="session")
def portraits() -> dict[str, np.ndarray]:
    """The demo's pictures by name: two portraits and a group of six."""
    from facekit.demo import load_portraits

    return load_portraits()


@pytest.fixture(scope="session")
def make_table() -> Callable[..., pd.DataFrame]:
    """Make a table of predictions from labels and probabilities, (images, classes)."""

    def make(attribute: str, labels, probabilities: np.ndarray, split="validation") -> pd.DataFrame:
        table = pd.DataFrame(probabilities, columns=[f"p_{label}" for label in LABELS[attribute]])
        about = {
            "image": [f"{row}.jpg" for row in range(len(table))],
            "source": "mine",
            "group": range(len(table)),
            "split": split,
        }
        return pd.DataFrame(about | {"label": labels}).join(table)

    return make


@pytest.fixture(scope="session")
def make_tables(make_table) -> Callable[..., dict[str, pd.DataFrame]]:
    """Make synthetic predictions of all attributes.

    Each network gives half of the probability to the true label and spreads the rest at random.
    Every woman is white and under 45, every man is black and over 45. With `blur`, the gender
    network guesses.
    """

    def make(
        count: int, seed: int = 0, split="validation", blur: bool = False
    ) -> dict[str, pd.DataFrame]:
        generator = np.random.default_rng(seed)
        women = generator.random(count) < 0.5
        ages = np.where(women, generator.integers(10, 45, count), generator.integers(46, 90, count))
        labels = {
            "age": ages.astype(float),
            "gender": np.where(women, "female", "male"),
            "emotion": generator.choice(LABELS["emotion"], count),
            "ethnicity": np.where(women, "white", "black"),
        }
        tables = {}
        for name, truth in labels.items():
            classes = len(LABELS[name])
            if name == "age":
                means = np.clip(truth + generator.normal(0, 6, count), 1, 99)
                answers = np.exp(-0.5 * ((np.arange(classes) - means[:, None]) / 6) ** 2)
                answers /= answers.sum(axis=1, keepdims=True)
            elif name == "gender" and blur:
                share = generator.uniform(0.45, 0.55, count)
                answers = np.stack([share, 1 - share], axis=1)
            else:
                index = [LABELS[name].index(label) for label in truth]
                answers = 0.5 * np.eye(classes)[index] + 0.5 * generator.dirichlet(
                    np.ones(classes), count
                )
            tables[name] = make_table(name, truth, answers.astype(np.float32), split)
        return tables

    return make


@pytest.fixture(scope="session")
def make_labels() -> Callable[..., pd.DataFrame]:
    """Join the labels of tables of predictions as a manifest does; emotions are of other images."""

    def make(tables: dict[str, pd.DataFrame]) -> pd.DataFrame:
        faces = pd.DataFrame(
            {name: tables[name]["label"] for name in ("age", "gender", "ethnicity")}
        ).assign(emotion=None)
        others = pd.DataFrame(
            {
                "age": np.nan,
                "gender": None,
                "ethnicity": None,
                "emotion": tables["emotion"]["label"],
            }
        )
        return pd.concat([faces.astype(object), others.astype(object)], ignore_index=True).astype(
            {"age": float}
        )

    return make


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of 64 KB."""
    folder = tmp_path / "small disk"
    folder.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", "size=64k", "tmpfs", str(folder)]
    if shutil.which("mount") is None or subprocess.run(command, capture_output=True).returncode:
        pytest.skip("a small disk can be mounted by root on Linux only")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


@pytest.fixture
def save_noise() -> Callable[..., Path]:
    """Write a picture of noise, which `seed` chooses, made brighter or compressed more."""

    def save(path: Path, seed: int, brighter: int = 0, quality: int = 95) -> Path:
        pixels = np.random.default_rng(seed).integers(
            30, 200, (48, 48, 3), dtype=np.uint8
        ) + np.uint8(brighter)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=quality)
        return path

    return save
