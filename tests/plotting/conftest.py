import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pytest

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
def audit(tmp_path, monkeypatch) -> Audit:
    monkeypatch.setattr("facekit.datasets.audit._hash_image", str)
    rows = [
        {
            "path": f"{index}.jpg",
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
def bare_audit(monkeypatch) -> Audit:
    """Of two images without a label."""
    monkeypatch.setattr("facekit.datasets.audit._hash_image", str)
    return audit_manifest(make_manifest([{"path": "a.jpg"}, {"path": "b.jpg"}], "mine"))
