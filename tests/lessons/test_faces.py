import warnings
from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.datasets import adapters
from facekit.datasets.crops import prepare_crops
from facekit.datasets.synthetic import Bias
from facekit.lessons import ParameterError, faces, load_faces, read_dataset, require_labels
from facekit.lessons.faces import load_crops

TASK = SimpleNamespace(name="emotion", channels=1, equalise=True)


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


def test_crops_of_any_form():
    manifest, crops = load_crops("gender", "synthetic", "", 4, seed=1, side=48, channels=3)
    assert crops.shape == (4, 48, 48, 3)
    assert manifest["gender"].notna().all()


@pytest.fixture
def photos(tmp_path):
    """A dataset of 60 small pictures named as UTKFace's are, one of them with a malformed name."""
    folder = tmp_path / "UTKFace"
    folder.mkdir()
    random = np.random.default_rng(0)
    for number in range(60):
        name = f"{20 + number}_{number % 2}_0_20170101{number:04d}.jpg.chip.jpg"
        pixels = random.integers(0, 256, (48, 48, 3), np.uint8)
        Image.fromarray(pixels).save(folder / name)
    Image.fromarray(pixels).save(folder / "61_1_nonsense.jpg.chip.jpg")
    return tmp_path


def test_a_sample_is_drawn_before_faces_are_split_and_cut(photos, monkeypatch):
    cut, fingerprinted = [], []
    prepare, split = faces.prepare_crops, adapters.split_by_protocol
    monkeypatch.setattr(
        faces, "prepare_crops", lambda rows, *form: (cut.append(len(rows)), prepare(rows, *form))[1]
    )
    monkeypatch.setattr(
        adapters,
        "split_by_protocol",
        lambda rows, *how: (fingerprinted.append(len(rows)), split(rows, *how))[1],
    )
    gender = SimpleNamespace(name="gender", channels=1, equalise=False)
    manifest, crops = load_faces(gender, "utkface", photos, 20)
    assert (cut, fingerprinted) == ([20], [40])
    assert len(manifest) == 20
    assert crops.shape == (20, 64, 64, 1)
    assert set(manifest["split"]) == {"train", "validation", "test"}
    whole = read_dataset("utkface", photos).set_index("path")
    assert manifest["split"].tolist() == whole.loc[manifest["path"], "split"].tolist()
    again = load_faces(gender, "utkface", photos, 20)
    np.testing.assert_array_equal(crops, again[1])


def test_all_faces_of_a_dataset(photos):
    manifest, crops = load_crops("gender", "utkface", photos, 0, side=32)
    whole = read_dataset("utkface", photos)
    assert len(manifest) == len(crops) == (whole["split"] != "calibration").sum()


def test_a_bias_thins_out_a_group_of_the_training_split(photos):
    manifest, crops = load_crops("gender", "utkface", photos, 0, bias=Bias(rare_share=0.3), side=32)
    assert len(manifest) == len(crops)
    shares = manifest["gender"].eq("female").groupby(manifest["split"]).mean()
    assert shares["train"] < 0.35


def test_crops_belong_to_their_rows(photos):
    manifest, crops = load_crops("gender", "utkface", photos, 20, side=48)
    for path, crop in zip(manifest["path"], crops, strict=True):
        alone, _ = prepare_crops(manifest[manifest["path"] == path], photos / "one.npz", 48)
        np.testing.assert_array_equal(crop, alone[0])


@pytest.mark.parametrize("read", ["load", "read"])
def test_notes_name_no_absolute_path(read, photos, capsys):
    if read == "load":
        load_crops("gender", "utkface", photos, 20, side=32)
    else:
        read_dataset("utkface", photos)
    written = capsys.readouterr()
    assert written.out == "Note: UTKFace: 1 malformed names left out: 61_1_nonsense.jpg.chip.jpg\n"
    assert str(photos) not in written.out + written.err


def test_other_warnings_are_passed_on(photos, monkeypatch):
    def warn(*given):
        warnings.warn("old", DeprecationWarning, stacklevel=2)
        return pd.DataFrame()

    monkeypatch.setattr("facekit.datasets.adapters.read_dataset", warn)
    with pytest.raises(DeprecationWarning, match="old"):
        read_dataset("utkface", photos)


def test_a_missing_dataset_names_the_parameter(tmp_path):
    with pytest.raises(ParameterError, match=r"`first_dataset` cannot be used: .*utkface"):
        load_faces(TASK, "utkface", tmp_path, 12, parameter="first_dataset")


def test_missing_labels_name_the_parameter(photos):
    with pytest.raises(ParameterError, match="`dataset` gives no faces with emotion"):
        load_faces(TASK, "utkface", photos, 12)


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
