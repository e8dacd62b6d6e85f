"""Tiny datasets of noise: two noisy pictures are no more alike than two photos of different people."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image


@pytest.fixture
def save_noise() -> Callable[..., Path]:
    """Write a noise picture; `brighter` relights it, `quality` recompresses it, the seed says which picture it is."""

    def save(path: Path, seed: int, brighter: int = 0, quality: int = 95) -> Path:
        pixels = np.random.default_rng(seed).integers(
            30, 200, (48, 48, 3), dtype=np.uint8
        ) + np.uint8(brighter)
        path.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(path, quality=quality)
        return path

    return save
