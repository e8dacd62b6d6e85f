import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest
from PIL import Image

from facekit.datasets.audit import Audit, audit_manifest
from facekit.datasets.manifest import make_manifest


@pytest.fixture(autouse=True)
def agg():
    """No window, and none left open."""
    backend = mpl.get_backend()
    plt.switch_backend("agg")
    yield
    plt.close("all")
    plt.switch_backend(backend)


@pytest.fixture
def photos(tmp_path) -> list[str]:
    """Five pictures, each different."""
    paths = [str(tmp_path / f"{index}.png") for index in range(5)]
    for index, path in enumerate(paths):
        pixels = np.random.default_rng(index).integers(0, 255, (32, 32, 3), np.uint8)
        Image.fromarray(pixels).save(path)
    return paths


@pytest.fixture
def audit(photos) -> Audit:
    rows = [
        {
            "path": photos[index],
            "age": age,
            "gender": gender,
            "ethnicity": "black",
            "group": index // 2,
            "split": split,
        }
        for index, (age, gender, split) in enumerate(
            [
                (30, "female", "train"),
                (50, "female", "train"),
                (31, "male", "test"),
                (2, "male", "train"),
                (31, "male", "validation"),
            ]
        )
    ]
    return audit_manifest(make_manifest(rows, "mine"), scores=np.array([1, 1, 0, 1, 1]))


@pytest.fixture
def bare_audit(photos) -> Audit:
    """Of two images without a label."""
    return audit_manifest(make_manifest([{"path": path} for path in photos[:2]], "mine"))
