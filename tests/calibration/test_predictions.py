import numpy as np
import pandas as pd
import pytest

from facekit.calibration import (
    load_calibration,
    load_predictions,
    select_training_labels,
    serve_answers,
)
from facekit.calibration.predictions import find_same_faces
from facekit.evaluation.figures import get_probabilities
from facekit.fusion import FusionConstants, fuse_answers
from facekit.taxonomy import ATTRIBUTES, LABELS

LIFTS = {("age", "gender"): np.linspace(0.5, 2, 14).reshape(7, 2)}
CONSTANTS = FusionConstants(dict.fromkeys(ATTRIBUTES, 1.5), {}, {}, LIFTS, strength=1.0)


def save_predictions(models_dir, *parts: dict[str, pd.DataFrame]) -> None:
    for name in ATTRIBUTES:
        (models_dir / name).mkdir()
        pd.concat([tables[name] for tables in parts]).to_parquet(
            models_dir / name / "predictions.parquet"
        )


def test_stored_predictions_are_loaded_by_split(make_tables, tmp_path):
    stored = {
        split: make_tables(20, seed, split) for seed, split in enumerate(("validation", "test"))
    }
    save_predictions(tmp_path, *stored.values())
    for split, tables in stored.items():
        loaded = load_predictions(tmp_path, split)
        assert tuple(loaded) == ATTRIBUTES
        for name in ATTRIBUTES:
            assert loaded[name]["label"].tolist() == tables[name]["label"].tolist()
            np.testing.assert_array_equal(
                get_probabilities(loaded[name]), get_probabilities(tables[name])
            )
            assert get_probabilities(loaded[name]).shape == (20, len(LABELS[name]))


def test_the_calibration_split_is_used(make_tables, tmp_path):
    save_predictions(
        tmp_path, *(make_tables(9, split=split) for split in ("validation", "calibration", "test"))
    )
    for table in load_calibration(tmp_path).values():
        assert table["split"].tolist() == ["calibration"] * 9


def test_without_one_the_validation_split_is_used_with_a_warning(make_tables, tmp_path):
    save_predictions(tmp_path, make_tables(9), make_tables(5, split="test"))
    with pytest.warns(
        UserWarning,
        match=r"age, gender, emotion, ethnicity have no calibration split; .*validation",
    ):
        loaded = load_calibration(tmp_path)
    assert all(table["split"].tolist() == ["validation"] * 9 for table in loaded.values())


def test_neither_split_is_an_error(make_tables, tmp_path):
    save_predictions(tmp_path, make_tables(5, split="test"))
    with pytest.raises(
        ValueError,
        match=r"`predictions` of age must have a calibration or a validation split; got test\.",
    ):
        load_calibration(tmp_path)


def test_training_labels_are_those_without_a_stored_prediction(make_tables, tmp_path):
    save_predictions(tmp_path, make_tables(2))
    rows = [
        ("raw/0.jpg", "mine", "train"),  # held out when the networks were trained
        ("raw/1.jpg", "other", "train"),  # another dataset's file of the same name
        ("raw/2.jpg", "mine", "test"),  # a test face of today's splits, a training face of then
        ("raw/3.jpg", "mine", "excluded"),
    ]
    manifest = pd.DataFrame(rows, columns=["path", "source", "split"])
    selected = select_training_labels(manifest, tmp_path)
    assert selected["path"].tolist() == ["raw/1.jpg", "raw/2.jpg"]
    assert select_training_labels(manifest[:0], tmp_path).empty


class TestSameFaces:
    def make(self, *images: str) -> pd.DataFrame:
        return pd.DataFrame({"source": "mine", "image": list(images)})

    def test_equal_tables_match_row_by_row(self):
        table = self.make("a", "a", "b")
        assert find_same_faces(table, table.copy()).tolist() == [0, 1, 2]

    def test_others_match_by_image(self):
        found = find_same_faces(self.make("a", "b", "c"), self.make("c", "d", "a"))
        assert found.tolist() == [2, -1, 0]

    def test_images_with_several_faces_do_not_match(self):
        assert find_same_faces(self.make("a", "b"), self.make("b", "a", "a")).tolist() == [-1, 0]
        assert find_same_faces(self.make("a", "a"), self.make("a")).tolist() == [-1, -1]

    def test_nothing_in_common(self):
        assert find_same_faces(self.make("a"), self.make()).tolist() == [-1]
        assert find_same_faces(self.make("a"), self.make("b")).tolist() == [-1]
        assert find_same_faces(self.make(), self.make("a")).tolist() == []


class TestServed:
    def test_attributes_are_correlated_as_in_an_analysis(self, make_tables):
        tables = make_tables(30)
        served = serve_answers(tables, CONSTANTS)
        answers = {name: get_probabilities(tables[name]) for name in ("age", "gender", "emotion")}
        for name, expected in fuse_answers(answers, CONSTANTS).items():
            np.testing.assert_allclose(served[name], expected)
        alone = serve_answers(tables, CONSTANTS, attributes=())
        assert np.abs(alone["age"] - served["age"]).max() > 0.001

    def test_faces_that_only_one_attribute_has_are_served_alone(self, make_tables):
        tables = make_tables(30)
        tables["gender"] = tables["gender"].iloc[10:].reset_index(drop=True)
        served, alone = (
            serve_answers(tables, CONSTANTS, attributes) for attributes in (("age", "gender"), ())
        )
        whole = serve_answers(make_tables(30), CONSTANTS)
        np.testing.assert_allclose(served["age"][:10], alone["age"][:10])
        np.testing.assert_allclose(served["age"][10:], whole["age"][10:])
        np.testing.assert_allclose(served["gender"], whole["gender"][10:])

    def test_no_faces(self, make_tables):
        served = serve_answers(make_tables(0), CONSTANTS)
        assert {name: answer.shape for name, answer in served.items()} == {
            name: (0, len(LABELS[name])) for name in ATTRIBUTES
        }
