from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.datasets.manifest import make_manifest
from facekit.evaluation.figures import measure_attribute
from facekit.taxonomy import EMOTIONS
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
        monkeypatch.setattr(crossvalidation, "train_model", lambda *arguments: None)
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

    def keep(network, course, train, validation, config, place):
        seen["train"] = train

    monkeypatch.setattr(crossvalidation, "train_model", keep)
    table = run(data_dir, "augment_then_split", tmp_path / "run", photos=20)
    assert table["fold"].eq(0).all()
    crops = seen["train"].crops
    assert len(np.unique(crops.reshape(len(crops), -1), axis=0)) == len(crops) > 60
    assert 0 < len(table) < 30  # about a tenth of five copies of twenty photos


def test_the_official_split_is_that_of_the_dataset(tmp_path, monkeypatch):
    for number in range(60):
        part = ("train", "validation")[number >= 50]
        folder = tmp_path / "fer2013" / part / ("happy", "angry")[number % 2]
        folder.mkdir(parents=True, exist_ok=True)
        noise = np.random.default_rng(number).integers(0, 256, (48, 48), np.uint8)
        Image.fromarray(noise).save(folder / f"{number}.png")
    monkeypatch.setattr(crossvalidation, "train_model", lambda *arguments: None)
    table = cross_validate(
        TINY, "small", "fer2013", "official", tmp_path, tmp_path / "run", CONFIG, None, None
    )
    assert sorted(table["image"]) == [f"{number}.png" for number in range(50, 60)]
    assert set(table["split"]) == {"test"}


@pytest.mark.usefixtures("two_folds")
def test_folds_of_other_settings_are_not_mixed_in(data_dir, tmp_path, monkeypatch):
    monkeypatch.setattr(crossvalidation, "train_model", lambda *arguments: None)
    run(data_dir, "random_frames", tmp_path / "run")
    with pytest.raises(ValueError, match=r"holds folds with other settings \(protocol\)"):
        run(data_dir, "subject_disjoint", tmp_path / "run")
    with pytest.raises(ValueError, match=r"holds folds with other settings \(photos\)"):
        run(data_dir, "random_frames", tmp_path / "run", photos=10)


def test_more_photos_than_there_are(data_dir, tmp_path):
    with pytest.raises(
        ValueError, match="`photos` must be at most 40, the photos there are; got 41"
    ):
        run(data_dir, "random_frames", tmp_path / "run", photos=41)
    assert not (tmp_path / "run").exists()


def test_a_source_without_the_label(data_dir, tmp_path):
    with pytest.raises(ValueError, match="`source` must label age; ck_plus does not"):
        cross_validate(
            TASKS["age"],
            "small",
            "ck_plus",
            "random_frames",
            data_dir,
            tmp_path,
            CONFIG,
            None,
            None,
        )


@pytest.mark.usefixtures("two_folds")
def test_each_face_of_a_photo_has_its_own_crop_and_label(tmp_path, monkeypatch):
    """A photo with two faces gives two rows, each with the crop of its own box."""
    rows, shades = [], {}
    for number in range(12):
        path = tmp_path / f"{number:02}.png"
        pixels = np.zeros((40, 80), np.uint8)
        pixels[:, :40], pixels[:, 40:] = 2 * number, 128 + 2 * number
        Image.fromarray(pixels).save(path)
        for side, (left, label) in enumerate(((0, "anger"), (40, "fear"))):
            box = {"x1": left, "y1": 0, "x2": left + 40, "y2": 40}
            rows.append({"path": str(path), "emotion": label, **box, "group": number})
            shades[str(path), left] = 128 * side + 2 * number
    manifest = make_manifest(rows, "mine")
    faces = zip(manifest["path"], manifest["x1"], strict=True)
    crops = np.array([shades[path, left] for path, left in faces])
    crops = (np.ones((len(crops), 64, 64, 1)) * crops[:, None, None, None]).astype(np.uint8)
    monkeypatch.setattr(crossvalidation, "read_dataset", lambda *_: manifest)
    monkeypatch.setattr(crossvalidation, "cut_faces", lambda *_: (crops, np.ones(len(crops))))
    seen = []
    monkeypatch.setattr(
        crossvalidation,
        "train_model",
        lambda network, course, train, validation, *_: seen.extend((train, validation)),
    )
    table = cross_validate(
        TINY, "small", "mine", "random_frames", tmp_path, tmp_path / "run", CONFIG, None, None
    )
    assert 0 < len(table) < len(rows)
    for data in seen:
        labels = data.targets["emotion"].argmax(axis=1)
        assert len(data.crops) == len(labels) > 0
        bright = data.crops[:, 0, 0, 0] >= 128
        assert (labels[bright] == EMOTIONS.index("fear")).all()
        assert (labels[~bright] == EMOTIONS.index("anger")).all()
    # Each fold has each face once: in train, in validation, or in the table.
    for fold in range(2):
        count = sum(len(data.crops) for data in seen[2 * fold : 2 * fold + 2])
        assert count + (table["fold"] == fold).sum() <= len(rows)


def test_predictions_are_named_after_source_and_protocol(data_dir, tmp_path, monkeypatch):
    table = pd.DataFrame({"image": ["a.png"]})
    monkeypatch.setattr(crossvalidation, "cross_validate", lambda *_: table)
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
    pd.testing.assert_frame_equal(pd.read_parquet(path), table)


def test_predictions_for_a_users_own_table_go_into_the_models_folder(tmp_path, monkeypatch):
    monkeypatch.setattr(crossvalidation, "cross_validate", lambda *_: pd.DataFrame({"image": [1]}))
    source, models = str(tmp_path / "photos" / "mine.csv"), tmp_path / "models"
    path = run_protocol(
        "gender", "small", source, "group_disjoint", tmp_path, models, tmp_path / "run", None, None
    )
    assert path == models / "gender" / "protocols" / "mine-group_disjoint.parquet"


def test_existing_predictions_are_kept(data_dir, tmp_path, monkeypatch):
    table = pd.DataFrame({"image": ["a.png"]})
    monkeypatch.setattr(crossvalidation, "cross_validate", lambda *_: table)
    monkeypatch.setenv("FACEKIT_MODELS", str(tmp_path / "models"))
    place = Path("emotion", "protocols", "ck_plus-random_frames.parquet")

    def keep(models_dir=None) -> Path:
        return run_protocol(
            "emotion", "small", "ck_plus", "random_frames", data_dir, models_dir, tmp_path / "run",
            None, None,
        )  # fmt: skip

    assert keep() == tmp_path / "models" / place
    (tmp_path / "models" / place).write_text("earlier")
    with pytest.warns(UserWarning, match="exists and is kept; the new predictions go to"):
        assert keep() == tmp_path / "run" / place
    assert (tmp_path / "models" / place).read_text() == "earlier"
    assert keep(tmp_path / "models") == tmp_path / "models" / place
