"""Figures of models on any dataset: which faces, which models, which groups of people."""

import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import make_manifest, save_manifest
from facekit.datasets.synthetic import make_synthetic
from facekit.evaluation.manifests import (
    choose_split,
    find_shown,
    find_worst_groups,
    measure_faces,
    measure_models,
    plan_models,
    predict_faces,
    read_labelled_faces,
)
from facekit.fusion import FusionConstants
from facekit.pipeline import FaceAnalyzer
from facekit.registry import ModelError
from facekit.taxonomy import AGES_YEARS, LABELS


def make_faces(count: int, source: str = "mine", **labels) -> pd.DataFrame:
    """A manifest of faces that are groups of their own, without copies."""
    rows = [
        {"path": f"{index:03d}.jpg", "group": index, "split": "test", "source": source}
        | {name: values[index % len(values)] for name, values in labels.items()}
        for index in range(count)
    ]
    return make_manifest(rows, source).assign(copied=False)


def answer_with(attribute: str, labels) -> np.ndarray:
    """Probabilities that are all for these labels."""
    classes = list(LABELS[attribute])
    return np.eye(len(classes))[[classes.index(label) for label in labels]]


def get_values(figures: list[dict]) -> dict[str, tuple[int, float]]:
    return {figure["figure"]: (figure["count"], figure["value"]) for figure in figures}


class TestFaces:
    def test_an_own_csv_is_measured_whole(self, save_noise, tmp_path):
        rows = [f"{save_noise(tmp_path / f'{index}.jpg', index).name},male" for index in range(6)]
        save_noise(tmp_path / "5.jpg", 0, quality=70)  # a copy of 0.jpg
        (tmp_path / "mine.csv").write_text("\n".join(["path,gender", *rows]))
        manifest = read_labelled_faces(str(tmp_path / "mine.csv"), tmp_path)
        assert manifest["split"].isna().all()
        assert manifest["group"].nunique() == 5
        assert choose_split(manifest).all()

    def test_splits_of_a_manifest_are_kept_and_copies_are_marked(self, save_noise, tmp_path):
        splits = ["train", "test", "excluded", "validation"]
        rows = [
            {"path": str(save_noise(tmp_path / f"{index}.jpg", index)), "group": group}
            for index, group in enumerate((1, 2, 2, 3))
        ]
        path = tmp_path / "mine.parquet"
        save_manifest(make_manifest(rows, "mine").assign(split=splits), path)
        manifest = read_labelled_faces(str(path), tmp_path)
        assert manifest["split"].tolist() == splits
        assert manifest["copied"].tolist() == [False, True, True, False]

    def test_splits(self):
        manifest = pd.DataFrame({"split": ["train", "test", "excluded", "validation"]})
        for split, chosen in (
            ("", [1, ]), ("train", [0]), ("all", [0, 1, 3]), ("excluded", [2]),
        ):  # fmt: skip
            assert np.flatnonzero(choose_split(manifest, split)).tolist() == chosen
        assert choose_split(manifest.iloc[[0, 2, 3]]).tolist() == [True, False, True]
        message = r"`split` must have faces; calibration has none\. There are 1 of train, "
        with pytest.raises(ValueError, match=message):
            choose_split(manifest, "calibration")


class TestPlan:
    def test_models_and_attributes(self):
        assert plan_models([], ["age", "gender", "emotion"]) == {
            "faces": ["age", "gender"],
            "emotion": ["emotion"],
        }
        assert plan_models(["gender", "faces", "gender"], ["age", "gender"]) == {
            "faces": ["gender", "age"]
        }

    def test_what_is_not_there(self):
        with pytest.raises(ModelError, match="no model is listed for 'shoes'"):
            plan_models(["shoes"], ["age"])
        message = "`manifest` must have labels that emotion predicts; it has age, gender"
        with pytest.raises(ValueError, match=message):
            plan_models(["emotion"], ["age", "gender"])
        with pytest.raises(ValueError, match="labels that a model predicts; it has none"):
            plan_models([], [])

    def test_a_folder_of_one_model(self, monkeypatch, tmp_path):
        index = '{"version": 2, "models": {}, "defaults": {}}'
        (tmp_path / "index.json").write_text(index)
        monkeypatch.setenv("FACEKIT_MODELS", str(tmp_path))
        with pytest.raises(ValueError, match="labels that a model predicts; it has age"):
            plan_models([], ["age"])


def test_predictions_are_those_of_the_analyzer(tmp_path):
    manifest = make_synthetic(tmp_path / "synthetic", count=4, size=64)
    cache, chosen = (tmp_path, "synthetic"), np.array([True, False, True, True])
    answers = predict_faces(manifest, chosen, ["age", "gender"], "faces", cache)
    profiles = [
        FaceAnalyzer(("gender",), cropped=True).analyze(path).profiles[0]
        for path in manifest.loc[chosen, "path"]
    ]
    labels = np.array(LABELS["gender"])[answers["gender"].argmax(axis=1)]
    assert labels.tolist() == [profile.gender for profile in profiles]
    assert answers["age"].shape == (3, len(AGES_YEARS))
    assert predict_faces(manifest, ~chosen & chosen, ["age"], "faces", cache)["age"].shape[0] == 0


class TestFigures:
    def test_gender_by_age_and_label(self):
        faces = make_faces(40, age=[1, 5, 11, 30], gender=["female", "male"])
        predicted = faces["gender"].where(faces["age"] > 2, "male")  # wrong for the infants
        values = get_values(measure_faces("gender", faces, answer_with("gender", predicted)))
        assert values == {
            "accuracy": (40, 0.75),
            "accuracy, aged 3 and up": (30, 1.0),
            "accuracy, aged 10 and up": (20, 1.0),
            "accuracy, aged 13 and up": (10, 1.0),
            "balanced accuracy": (40, 0.75),
            "recall, female": (20, 0.5),
            "recall, male": (20, 1.0),
        }

    def test_ages_in_bands(self):
        faces = make_faces(9, "fairface", age=[1.5, 6.5, 15, 25, 35, 45, 55, 65, 75])
        predicted = (2, 10, 19, 39, 41, 69, 55, 65, 99)  # bands off: 0 1 0 1 1 2 0 0 0
        values = get_values(measure_faces("age", faces, answer_with("age", predicted)))
        assert values["accuracy, 9 bands"] == (9, pytest.approx(5 / 9, abs=1e-4))
        assert values["accuracy, 9 bands, within one"] == (9, pytest.approx(8 / 9, abs=1e-4))
        assert not any("years" in name for name in values)

    def test_nobody_younger_is_counted_in_a_band(self):
        faces = make_faces(9, "fairface", age=[1.5, 6.5, 15], gender=["male"])
        values = get_values(measure_faces("gender", faces, answer_with("gender", ["male"] * 9)))
        assert values["accuracy, aged 3 and up"] == (6, 1.0)
        assert values["accuracy, aged 10 and up"] == (3, 1.0)
        assert "accuracy, aged 13 and up" not in values  # 10-19 holds people of 10 to 12 years

    def test_ages_in_years(self):
        faces = make_faces(4, age=[20, 30, 40, 70])
        values = get_values(measure_faces("age", faces, answer_with("age", (22, 30, 44, 60))))
        assert values["mean absolute error, years"] == (4, 4.0)
        assert values["accuracy, 7 classes, within one"] == (4, 1.0)

    def test_ethnicity_without_other(self):
        faces = make_faces(10, ethnicity=["white", "other"])
        values = get_values(
            measure_faces("ethnicity", faces, answer_with("ethnicity", ["white"] * 10))
        )
        assert values["accuracy"] == (10, 0.5)
        assert values["accuracy, without other"] == (5, 1.0)
        assert values["recall, other"] == (5, 0.0)

    def test_balanced_accuracy_counts_each_class_once(self):
        faces = make_faces(10, emotion=["fear", *["happiness"] * 4])
        figures = measure_faces("emotion", faces, answer_with("emotion", ["happiness"] * 10))
        values = get_values(figures)
        assert values["balanced accuracy"] == (10, 0.5)
        low, high = next(
            figure["interval_95"] for figure in figures if figure["figure"] == "balanced accuracy"
        )
        assert low == 0.5
        assert high == 1.0  # a draw without fear

    def test_shown_labels(self):
        faces = make_faces(4, gender=["male"])
        answer = np.array([[0.9, 0.1], [0.4, 0.6], [0.1, 0.9], [0.05, 0.95]])
        constants = FusionConstants({"gender": 1.0}, {}, {}, {}, strength=0)
        shown = find_shown({"gender": answer}, {"gender": 0.85}, constants)["gender"]
        assert shown.tolist() == [True, False, True, True]
        values = get_values(measure_faces("gender", faces, answer, shown))
        assert values["share shown"] == (4, 0.75)
        assert values["accuracy, shown"] == (3, 0.666667)
        values = get_values(measure_faces("gender", faces, answer, np.zeros(4, bool)))
        assert values["share shown"] == (4, 0.0)
        assert "accuracy, shown" not in values
        assert find_shown({"gender": answer}, {"age": 0.9}, constants) == {}

    def test_sources_are_measured_apart(self):
        faces = pd.concat(
            [make_faces(2, "a", gender=["male"]), make_faces(2, "b", gender=["male"])]
        )
        figures = measure_faces(
            "gender", faces, answer_with("gender", ["male"] * 2 + ["female"] * 2)
        )
        accuracies = {
            each["source"]: each["value"] for each in figures if each["figure"] == "accuracy"
        }
        assert accuracies == {"a": 1.0, "b": 0.0}

    def test_no_faces(self):
        faces = make_faces(1, gender=["male"]).iloc[:0]
        assert measure_faces("gender", faces, np.zeros((0, 2))) == []


class TestWorstGroups:
    def test_small_groups_are_not_named(self):
        faces = make_faces(62, age=[30], gender=["female", "male"], ethnicity=["white"])
        faces.loc[:1, "ethnicity"] = "black"
        right = np.arange(62) % 2 == 0
        right[:2] = False
        table = find_worst_groups(right, faces, np.arange(62), "age")
        assert table.index.tolist() == ["male, 28-45", "male, white", "white"]
        assert table["count"].tolist() == [31, 30, 60]
        assert table["share"].tolist() == [0, 0, 0.5]
        assert (table["low"] <= table["share"]).all()
        assert (table["high"] >= table["share"]).all()

    def test_without_ages_and_ethnicities_nobody_is_named(self):
        faces = make_faces(80, gender=["female", "male"])
        assert find_worst_groups(np.ones(80, bool), faces, np.arange(80), "gender").empty


class TestModels:
    def test_each_labelled_attribute_is_measured(self, tmp_path):
        make_synthetic(tmp_path / "synthetic", count=20, size=48)
        measured = list(measure_models([], "synthetic", tmp_path))
        assert [(attribute, model) for attribute, model, _ in measured] == [
            ("age", "faces"),
            ("gender", "faces"),
            ("ethnicity", "faces"),
            ("emotion", "emotion"),
        ]
        tests = len(read_labelled_faces("synthetic", tmp_path).query("split == 'test'"))
        for _, _, figures in measured:
            assert figures[0]["count"] == tests
            assert figures[0]["source"] == "synthetic"

    def test_the_split(self, tmp_path):
        manifest = make_synthetic(tmp_path / "synthetic", count=20, size=48)
        ((_, _, figures),) = measure_models(["gender"], "synthetic", tmp_path, "all")
        assert figures[0]["count"] == len(manifest)
