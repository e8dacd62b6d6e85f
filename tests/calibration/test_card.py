import pandas as pd
import pytest

from facekit.calibration import fit_fusion
from facekit.fusion import load_constants
from facekit.registry import ModelError
from facekit.taxonomy import ATTRIBUTES

pytestmark = pytest.mark.filterwarnings("ignore:The temperature of .* stopped:UserWarning")


@pytest.fixture
def models_dir(tmp_path, make_tables):
    for name in ATTRIBUTES:
        (tmp_path / name).mkdir()
        tables = [
            make_tables(200, seed, split) for seed, split in enumerate(("calibration", "test"))
        ]
        pd.concat([each[name] for each in tables]).to_parquet(
            tmp_path / name / "predictions.parquet"
        )
    return tmp_path


def test_constants_and_card_are_written(models_dir, make_tables, make_labels):
    card = fit_fusion(models_dir, make_labels(make_tables(200)), seed=3)
    constants = load_constants(models_dir)
    assert (models_dir / "fusion.md").read_text() == card
    for part in (
        "on calibration predictions, the lifts counted on training labels",
        "Measured on 200 test faces, seed 3",
        f"strength of the lifts is {constants.strength}: with it",
        "| age mean absolute error |",
        "| all        | 200     |",
        f"| emotion       | {constants.thresholds['emotion']:<11} | 200     |",
        "| gender, 46-65 |             | ",
        "detector score is below 0.9 is drawn",
        "WIDER FACE was not there",
    ):
        assert part in card
    assert "validation" not in card


def test_the_score_of_faces_is_fitted_on_detections_and_kept_without(
    models_dir, make_tables, make_labels
):
    detections = pd.DataFrame({"image": "a.jpg", "score": [0.7] * 40 + [0.95] * 60})
    detections = detections.assign(is_face=detections["score"] > 0.8)
    card = fit_fusion(models_dir, make_labels(make_tables(200)), detections=detections)
    assert load_constants(models_dir).thresholds["score"] == 0.95
    assert "detector score is below 0.95 is drawn" in card
    assert "on 100 detections in 1 photos of WIDER FACE: 100.0% of those above it" in card
    assert "below 0.95 is drawn" in fit_fusion(models_dir)


@pytest.mark.parametrize("alone", [True, False])
def test_attributes_without_lifts_are_named(alone, models_dir, make_tables, make_labels):
    labels = make_labels(make_tables(200))
    labels["emotion"] = None if alone else "fear"
    card = fit_fusion(models_dir, labels)
    assert ("No training faces are labelled with emotion and another attribute" in card) == alone
    assert card.count("No training faces") == alone


def test_lifts_stay_without_training_labels(models_dir, make_tables, make_labels):
    fit_fusion(models_dir, make_labels(make_tables(200)))
    before = load_constants(models_dir)
    card = fit_fusion(models_dir)
    assert "lifts and strength kept" in card
    assert f"The strength of the lifts is {before.strength}. At 0, the" in card
    assert "most likely" not in card
    after = load_constants(models_dir)
    assert after.strength == before.strength
    assert all((after.lifts[pair] == before.lifts[pair]).all() for pair in before.lifts)


def test_without_training_labels_there_must_be_lifts(models_dir):
    with pytest.raises(ModelError, match=r"fusion\.json: the constants of fusion cannot be read"):
        fit_fusion(models_dir)
