from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.evaluation.figures import measure_attribute
from facekit.training import crossvalidation
from facekit.training.crossvalidation import cross_validate, run_protocol
from facekit.training.loop import TrainingConfig
from facekit.training.tasks import TASKS

TINY = replace(TASKS["emotion"], widths=(4, 8))
CONFIG = TrainingConfig(epochs=1, batch_size=8)


@pytest.fixture
def data_dir(tmp_path) -> Path:
    """Twenty subjects of CK+48 with two frames each, of noise."""
    for subject in range(20):
        folder = tmp_path / "CK+48" / ("happy", "anger")[subject % 2]
        folder.mkdir(parents=True, exist_ok=True)
        for frame in range(2):
            noise = np.random.default_rng(2 * subject + frame).integers(0, 256, (48, 48), np.uint8)
            Image.fromarray(noise).save(folder / f"S{subject:03}_001_{frame:08}.png")
    return tmp_path


@pytest.fixture
def two_folds(monkeypatch):
    monkeypatch.setattr(crossvalidation, "FOLDS", 2)


def run(data_dir: Path, protocol: str, place: Path, photos: int | None = None) -> pd.DataFrame:
    return cross_validate(TINY, "small", "ck_plus", protocol, data_dir, place, CONFIG, None, photos)


@pytest.mark.usefixtures("two_folds")
@pytest.mark.parametrize("protocol", ["subject_disjoint", "random_frames"])
def test_folds_test_different_faces_and_are_done_once(data_dir, tmp_path, monkeypatch, protocol):
    if protocol == "random_frames":  # to train once is enough
        monkeypatch.setattr(
            crossvalidation, "train_model", lambda *arguments: arguments[-1].mkdir(parents=True)
        )
    table = run(data_dir, protocol, tmp_path / "run")
    assert set(table["fold"]) == {0, 1}
    assert not table["image"].duplicated().any()
    if protocol == "subject_disjoint":
        subjects = table["image"].str[:4].groupby(table["fold"]).agg(set)
        assert not subjects[0] & subjects[1]
    (figure,) = measure_attribute("emotion", table)
    assert figure["count"] == len(table) == 8
    monkeypatch.setattr(
        crossvalidation, "train_model", None
    )  # not callable, so that training again would fail
    pd.testing.assert_frame_equal(run(data_dir, protocol, tmp_path / "run"), table)


def test_copies_are_changed_before_they_are_split(data_dir, tmp_path, monkeypatch):
    seen = {}

    def keep(network, tasks, train, validation, config, place):
        seen["train"] = train
        place.mkdir(parents=True)

    monkeypatch.setattr(crossvalidation, "train_model", keep)
    table = run(data_dir, "augment_then_split", tmp_path / "run", photos=20)
    assert table["fold"].eq(0).all()
    crops = seen["train"].crops
    assert len(np.unique(crops.reshape(len(crops), -1), axis=0)) == len(crops) > 60
    assert len(table) == 10  # a tenth of five copies of twenty photos


def test_predictions_are_named_after_source_and_protocol(data_dir, tmp_path, monkeypatch):
    told = pd.DataFrame({"image": ["a.png"]})
    monkeypatch.setattr(crossvalidation, "cross_validate", lambda *_: told)
    path = run_protocol(
        "emotion",
        "small",
        "ck_plus",
        "random_frames",
        data_dir,
        tmp_path / "models",
        tmp_path / "run",
        None,
        None,
        epochs=1,
    )
    assert path == tmp_path / "models" / "emotion" / "protocols" / "ck_plus-random_frames.parquet"
    pd.testing.assert_frame_equal(pd.read_parquet(path), told)
