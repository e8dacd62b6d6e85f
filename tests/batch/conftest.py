"""Shared by the tests of batch: small pictures, and runs that analyze them quickly."""

import functools
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facekit.batch import analyze_folder


@pytest.fixture(autouse=True)
def _in_a_folder_of_its_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def save_face() -> Callable[..., Path]:
    """Write a small picture that `cropped` takes for one face; the seed decides its content."""

    def save(path: Path, seed: int = 0) -> Path:
        pixels = np.random.default_rng(seed).integers(0, 256, (24, 24, 3), np.uint8)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path)
        return path

    return save


@pytest.fixture
def run() -> Callable:
    """Analyze with the fastest options; what is said is in the list `run.said`."""

    said: list[str] = []
    options = {"attributes": ("gender",), "cropped": True, "progress": False, "say": said.append}
    run = functools.partial(analyze_folder, **options)
    run.said = said
    return run
