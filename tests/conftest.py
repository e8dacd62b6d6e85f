"""What tests share: where the research datasets are, and the dependencies' portraits."""

import os
from pathlib import Path

import numpy as np
import pytest

ROOT = Path(__file__).parent.parent
DATA_DIR = Path(os.environ.get("FACEKIT_DATA", ROOT / "data" / "raw"))


@pytest.fixture(scope="session")
def data_dir() -> Path:
    """The folder of research datasets; tests that ask for it are marked `data`."""
    if not DATA_DIR.is_dir():
        pytest.skip(f"{DATA_DIR} is not there; data/README.md says how to fill it")
    return DATA_DIR


@pytest.fixture(scope="session")
def portraits() -> dict[str, np.ndarray]:
    """The demo's pictures by name: two portraits and a group of six."""
    from facekit.demo import load_portraits

    return load_portraits()
