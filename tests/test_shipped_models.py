"""The shipped models: intact, equal in both forms, as good as their cards, and small."""

import json
import re

import numpy as np
import pandas as pd
import pytest

from facekit.calibration import load_calibration, refit_constants
from facekit.calibration.predictions import select_training_labels
from facekit.datasets.adapters import read_unsplit
from facekit.datasets.catalogue import find_dataset
from facekit.datasets.groups import find_groups
from facekit.evaluation.figures import find_right, get_probabilities, measure_attribute
from facekit.faces import Profile
from facekit.fusion import (
    calibrate,
    correlate,
    fuse_profiles,
    index_age_classes,
    load_constants,
    score_confidence,
)
from facekit.inference import run_model
from facekit.registry import find_model, get_models_dir, hash_file, load_index
from facekit.taxonomy import ATTRIBUTES, LABELS, name_age_ranges

MODELS = get_models_dir()


def read_test_split(task: str) -> pd.DataFrame:
    predictions = pd.read_parquet(MODELS / task / "predictions.parquet")
    return predictions[predictions["split"] == "test"].reset_index(drop=True)


def read_common_test_split() -> dict[str, pd.DataFrame]:
    """Return age and gender of the test faces that are labelled with both."""
    age, gender = read_test_split("age"), read_test_split("gender")
    gender = gender[gender["image"].isin(age["image"])].reset_index(drop=True)
    assert age["image"].tolist() == gender["image"].tolist()
    return {"age": age, "gender": gender}


def test_index_lists_what_is_there():
    index = load_index()
    assert set(index.models) == {
        "pnet", "rnet", "onet", "yunet", "faces", "emotion", "dlib",
    }  # fmt: skip
    assert index.defaults.keys() == {*ATTRIBUTES, "embedding"}
    for entry in index.models.values():
        assert hash_file(MODELS / entry.file) == entry.sha256
        assert entry.training_data
        assert entry.licence


@pytest.mark.parametrize("task", ATTRIBUTES)
def test_onnx_answers_as_keras(task):
    keras = pytest.importorskip("keras")
    entry, path = find_model(task)
    model, form = keras.saving.load_model(path.with_suffix(".keras"), compile=False), entry.input
    crops = (
        np.random.default_rng(0)
        .uniform(-1, 1, (5, form["size"], form["size"], form["channels"]))
        .astype(np.float32)
    )
    (served,) = run_model(task, crops, [task])
    np.testing.assert_allclose(served, model.predict(crops, verbose=0)[task], atol=1e-4)
    assert served.shape == (5, len(LABELS[task]))


@pytest.mark.parametrize("task", ATTRIBUTES)
def test_index_and_card_state_what_the_predictions_give(task):
    entry, _ = find_model(task)
    figures = measure_attribute(task, pd.read_parquet(MODELS / task / "predictions.parquet"))
    assert json.loads(json.dumps(figures)) == entry.tasks[task].metrics["figures"]
    card = re.sub(" +", " ", (MODELS / task / "README.md").read_text())  # tables are padded
    for figure in figures:
        value = (
            f"{figure['value']:.2f}" if "years" in figure["figure"] else f"{figure['value']:.1%}"
        )
        assert f"| {figure['figure']} | {value} |" in card


@pytest.mark.parametrize("task", ATTRIBUTES)
def test_no_group_stands_in_two_held_out_splits(task):
    predictions = pd.read_parquet(MODELS / task / "predictions.parquet")
    assert predictions.groupby(["source", "group"])["split"].nunique().max() == 1


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*malformed names left out")
@pytest.mark.parametrize("name", ["ck_plus", "utkface"])
def test_no_group_is_trained_and_held_out(name, data_dir):
    """Tables of predictions do not list the training faces; the datasets at hand do."""
    if not (data_dir / find_dataset(name).folder).is_dir():
        pytest.skip(f"{name} is not there")
    manifest = read_unsplit(name, data_dir).assign(split="train")
    manifest["group"] = find_groups(manifest, join_subjects=True)
    training = select_training_labels(manifest, MODELS)
    held_out = manifest.drop(training.index)
    assert len(training) > len(held_out) > 100
    assert not set(training["group"]) & set(held_out["group"])


@pytest.mark.parametrize(
    ("protocol", "leaks"), [("subject_disjoint", False), ("random_frames", True)]
)
def test_every_image_of_ck_plus_is_tested_in_one_of_ten_folds(protocol, leaks):
    predictions = pd.read_parquet(MODELS / "emotion" / "protocols" / f"ck_plus-{protocol}.parquet")
    assert len(predictions) == 927
    assert predictions["fold"].nunique() == 10
    assert not predictions["image"].duplicated().any()
    assert (predictions.groupby("group")["fold"].nunique().max() > 1) == leaks


@pytest.mark.parametrize(
    ("task", "source", "figure", "mark"),
    [
        ("gender", "utkface", "accuracy", 0.93),
        ("gender", "all_age_faces", "accuracy", 0.95),
        ("gender", "lfw", "accuracy", 0.96),
        ("ethnicity", "utkface", "accuracy", 0.84),
        ("emotion", "ferplus", "accuracy", 0.80),
        ("age", "utkface", "mean absolute error, years", 5.2),
        ("age", "all_age_faces", "mean absolute error, years", 5.5),
    ],
)
def test_marks(task, source, figure, mark):
    figures = measure_attribute(task, pd.read_parquet(MODELS / task / "predictions.parquet"))
    (value,) = (
        row["value"] for row in figures if (row["source"], row["figure"]) == (source, figure)
    )
    assert value <= mark if task == "age" else value >= mark


def test_confidence_rises_with_the_chance_to_be_right():
    """On real test faces, each more confident quarter is more often right."""
    constants = load_constants()
    tables = read_common_test_split()
    answers = {
        task: calibrate(get_probabilities(table), constants.temperatures[task])
        for task, table in tables.items()
    }
    fused = correlate(answers, constants)
    right = np.all(
        [
            find_right(task, fused[task], table["label"].to_numpy())
            for task, table in tables.items()
        ],
        axis=0,
    )
    quarters = [
        part.mean()
        for part in np.array_split(right[np.argsort(-score_confidence(fused, constants))], 4)
    ]
    assert quarters == sorted(quarters, reverse=True)
    assert np.mean(quarters[:2]) > np.mean(quarters[2:]) + 0.1


def test_the_age_interval_holds_what_is_stated():
    """Measured on profiles as they are served, for each class of the true age."""
    tables = read_common_test_split()
    answers = {task: get_probabilities(table) for task, table in tables.items()}
    profiles = fuse_profiles(answers, load_constants())
    ages = tables["age"]["label"].to_numpy(float)
    inside = np.array(
        [
            profile.age_low <= age <= profile.age_high
            for profile, age in zip(profiles, np.minimum(ages, 100), strict=True)
        ]
    )
    shares = {
        name: inside[index_age_classes(ages) == index].mean()
        for index, name in enumerate(name_age_ranges())
    }
    card = (MODELS / "fusion.md").read_text()
    for name, share in (shares | {"all": inside.mean()}).items():
        (row,) = (line for line in card.splitlines() if line.startswith(f"| {name} "))
        assert f"| {share:.1%} " in row
    assert inside.mean() == pytest.approx(0.8, abs=0.03)
    assert min(shares.values()) > 0.75
    # What the docstring of `Profile` and the card of age say.
    least, greatest = min(shares.values()), max(shares.values())
    stated = f"{inside.mean():.0%} of the true ages, {least:.0%} to {greatest:.0%}"
    assert stated in " ".join(Profile.__doc__.split())
    assert stated in " ".join((MODELS / "age" / "README.md").read_text().split())


def test_constants_are_those_of_the_stored_predictions():
    """All but the lifts and their strength, which need the training labels."""
    constants = load_constants()
    again = refit_constants(load_calibration(MODELS), constants)
    for name in ("temperatures", "reliabilities", "certainty_ranges"):
        for attribute, value in getattr(again, name).items():
            assert value == pytest.approx(getattr(constants, name)[attribute], abs=1.5e-3)
    np.testing.assert_allclose(again.age_levels, constants.age_levels, atol=1.5e-3)


def test_served_files_are_small():
    assert (
        sum(path.stat().st_size for path in {find_model(task)[1] for task in ATTRIBUTES})
        < 12_000_000
    )
