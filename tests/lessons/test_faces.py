import importlib.util
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest

from facekit.datasets.synthetic import Bias
from facekit.lessons import ParameterError, load_faces, read_dataset, require_labels

TASK = SimpleNamespace(name="emotion", channels=1, equalise=True, sources=())


def test_drawn_faces_come_with_their_traits():
    manifest, crops = load_faces(TASK, "synthetic", "", 20, seed=1)
    assert crops.shape == (20, 64, 64, 1)
    assert {
        "path",
        "age",
        "gender",
        "ethnicity",
        "emotion",
        "subject",
        "group",
        "source",
        "split",
        "skin_tone",
    } <= set(manifest)
    assert manifest["split"].value_counts().to_dict() == {
        "train": 14,
        "test": 4,
        "validation": 2,
    }
    again = load_faces(TASK, "synthetic", "", 20, seed=1)
    np.testing.assert_array_equal(crops, again[1])


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
@pytest.mark.parametrize("own", [True, False])
def test_a_dataset_gives_a_sample(own, tmp_path, monkeypatch):

    whole = pd.DataFrame(
        {
            "gender": ["female", "male"] * 20,
            "split": ["train", "test", "excluded", "validation"] * 10,
        }
    )
    numbered = np.arange(40)[:, None, None, None] * np.ones((1, 64, 64, 1))
    asked = []
    monkeypatch.setattr(
        "facekit.training.data.load_data",
        lambda *given: (asked.append(given), (whole, numbered, np.ones(40)))[1],
    )
    manifest, crops = load_faces(
        TASK, "mine.parquet" if own else "utkface", tmp_path, 12, bias=Bias(rare_share=0.0)
    )
    assert asked[0][1].manifest == (Path("mine.parquet") if own else None)
    assert "excluded" not in set(manifest["split"])
    assert not ((manifest["split"] == "train") & (manifest["gender"] == "female")).any()
    chosen = crops[:, 0, 0, 0].astype(int)
    assert whole.loc[chosen, "gender"].tolist() == manifest["gender"].tolist()
    assert len(load_faces(TASK, "utkface", tmp_path, 0)[0]) == 30


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
def test_a_missing_dataset_names_the_parameter(tmp_path):
    from facekit.training.tasks import TASKS

    with pytest.raises(ParameterError, match=r"`first_dataset` cannot be used: .*utkface"):
        load_faces(TASKS["emotion"], "utkface", tmp_path, 12, parameter="first_dataset")


@pytest.mark.parametrize(
    ("name", "message"),
    [("utkface", "UTKFace"), ("nonsense", "must be one of"), ("mine.csv", "mine.csv")],
)
def test_reading_names_the_parameter(name, message, tmp_path):
    with pytest.raises(ParameterError, match=rf"`dataset` cannot be used: .*{message}"):
        read_dataset(name, tmp_path)


FACES = pd.DataFrame(
    {
        "split": ["train", "train", "validation", "test"],
        "gender": ["female", "male", "male", "female"],
    }
)


@pytest.mark.parametrize(
    ("change", "splits", "message"),
    [
        ({}, ("train", "test"), ""),
        ({"gender": None}, (), "two or more labels of gender to learn from; it gives 0"),
        ({"gender": "male"}, ("train",), "two or more labels of gender to learn from; it gives 1"),
        ({"split": "train"}, ("train", "test"), "no faces with gender in the split test"),
        (
            {"gender": ["female", "male", None, None]},
            ("train", "validation", "test"),
            "in the split validation and test",
        ),
        (
            {"split": ["train", "train", "train", "test"], "gender": ["a", "b", "b", "c"]},
            ("train", "test"),
            "no training faces with gender c",
        ),
    ],
)
def test_labels_that_a_lesson_needs(change, splits, message):
    manifest = FACES.assign(**change)
    if not message:
        require_labels(manifest, "gender", splits)
        return
    with pytest.raises(ParameterError, match=rf"`dataset` .*{message}"):
        require_labels(manifest, "gender", splits)
