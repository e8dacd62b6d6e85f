from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """Cut faces in this process: starting others takes longer than so few faces do."""
    monkeypatch.setattr(
        "facekit.datasets.crops.ProcessPoolExecutor", lambda mp_context: ThreadPoolExecutor(1)
    )


@pytest.fixture(scope="session")
def save_noise() -> Callable[[Path, int], None]:
    """Save a picture of noise."""

    def save(path: Path, seed: int) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)
        Image.fromarray(noise).save(path)

    return save


@pytest.fixture(scope="session")
def save_utkface(save_noise) -> Callable[[Path, int], None]:
    """Save a number of pictures of noise that are named as in UTKFace."""

    def save(data_dir: Path, count: int) -> None:
        for index in range(count):
            name = f"{index + 1}_{index % 2}_{index % 5}_2017{index}.jpg.chip.jpg"
            save_noise(data_dir / "UTKFace" / name, index)

    return save
