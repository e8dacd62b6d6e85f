import numpy as np
import pandas as pd
import pytest

from facekit.evaluation.papers import (
    CLAIMS,
    load_course,
    load_figures,
    load_history,
    tabulate_papers,
)
from facekit.registry import ModelEntry, TaskEntry, save_entry
from facekit.taxonomy import ATTRIBUTES, LABELS

SOURCES = {"age": "utkface", "gender": "utkface", "emotion": "fer2013", "ethnicity": "utkface"}


def make_table(attribute: str, source: str, right: int, count: int = 10) -> pd.DataFrame:
    """Predictions of a first label that is predicted correctly `right` times, else as the last."""
    labels = LABELS[attribute]
    answer = np.zeros((count, len(labels)))
    answer[:right, 0] = answer[right:, -1] = 1
    about = {
        "image": [f"{row}.jpg" for row in range(count)],
        "source": source,
        "group": range(count),
        "split": "test",
        "copied": False,
    }
    return pd.DataFrame(
        {**about, "label": labels[0]}
        | {f"p_{label}": answer[:, column] for column, label in enumerate(labels)}
    )


@pytest.fixture
def models(tmp_path):
    for attribute in ATTRIBUTES:
        folder = tmp_path / attribute
        (folder / "protocols").mkdir(parents=True)
        make_table(attribute, SOURCES[attribute], 7).to_parquet(folder / "predictions.parquet")
        metric = "years_off" if attribute == "age" else "accuracy"
        history = pd.DataFrame(
            {
                "epoch": [0, 1, 2],
                metric: [0.5, 0.6, 0.75],
                "loss": 1.0,
                f"val_{metric}": [0.4, 0.65, 0.6],
            }
        )
        history.assign(val_loss=[1.2, 0.9, 1.1]).to_csv(folder / "history.csv", index=False)
        save_entry(
            ModelEntry(
                attribute, f"{attribute}/{attribute}.onnx", "", {}, {attribute: TaskEntry()}
            ),
            tmp_path,
        )
    make_table("emotion", "ck_plus", 9).to_parquet(
        tmp_path / "emotion" / "protocols" / "ck_plus-subject_disjoint.parquet"
    )
    make_table("emotion", "ck_plus", 10).to_parquet(
        tmp_path / "emotion" / "protocols" / "ck_plus-random_frames.parquet"
    )
    return tmp_path


def test_figures_name_their_protocol(models):
    found = [
        (row["source"], row["protocol"], row["shipped"], row["value"])
        for row in load_figures(models, "emotion")
    ]
    assert found == [
        ("fer2013", "official", True, 0.7),
        ("ck_plus", "random_frames", False, 1.0),
        ("ck_plus", "subject_disjoint", False, 0.9),
    ]


def test_the_course_is_that_of_the_epoch_that_was_kept(models):
    course = load_course(models, "gender")
    assert (course["epoch"], course["val_loss"], course["val_accuracy"]) == (1, 0.9, 0.65)


def test_a_history_marks_the_epoch_that_was_kept(models):
    history = load_history(models, "age")
    assert list(history) == [
        "epoch", "years_off", "loss", "val_years_off", "val_loss", "run", "kept",
    ]  # fmt: skip
    assert history["run"].unique().tolist() == ["served"]
    assert history["kept"].tolist() == [False, True, False]


def test_a_history_of_several_attributes_is_read_for_one(models):
    columns = {
        "epoch": [0, 1],
        "age_loss": 1.5,
        "age_years_off": 4,
        "gender_accuracy": 0.9,
        "gender_loss": 0.5,
        "loss": 3.0,
    }
    validation = {
        "val_age_loss": [1.0, 1.25],
        "val_age_years_off": 5,
        "val_gender_accuracy": 0.8,
        "val_loss": [2.5, 2.0],
    }
    (models / "faces").mkdir()
    pd.DataFrame(columns | validation).to_csv(models / "faces" / "history.csv", index=False)
    save_entry(
        ModelEntry("faces", "faces/faces.onnx", "", {}, {"age": TaskEntry()}), models, ("age",)
    )
    history = load_history(models, "age")
    assert list(history) == [
        "epoch", "loss", "years_off", "val_loss", "val_years_off", "run", "kept",
    ]  # fmt: skip
    assert history["kept"].tolist() == [
        False,
        True,
    ]  # by the loss of all together, not by the one of age
    course = load_course(models, "age")
    assert (course["epoch"], course["loss"], course["val_loss"], course["val_years_off"]) == (
        1,
        1.5,
        1.25,
        5,
    )


def test_earlier_runs_come_first(models):
    part = pd.read_csv(models / "emotion" / "history.csv")
    part.to_csv(models / "emotion" / "history-1-first.csv", index=False)
    part[:2].to_csv(models / "emotion" / "history-1-other.csv", index=False)
    part[:1].to_csv(models / "emotion" / "history-2-second.csv", index=False)
    history = load_history(models, "emotion")
    assert history["run"].tolist() == [*["first"] * 3, *["other"] * 2, "second", *["served"] * 3]
    assert history["epoch"].tolist() == [0, 1, 2, 0, 1, 3, 4, 5, 6]
    assert history.index[history["kept"]].tolist() == [7]
    assert load_course(models, "emotion")["epoch"] == 5


def test_tables_hold_both_sides(models):
    text = "\n".join(" ".join(line.split()) for line in tabulate_papers(models).splitlines())
    assert [line for line in text.splitlines() if line.startswith("## ")] == [
        *(f"## {claim.title}" for claim in CLAIMS),
        "## Table 5. Side by side",
    ]
    assert (
        "| paper, CK+48 (assumed: random frames) | not stated | 5.75% | 100% correct | 8.09% "
        "| 99% correct |" in text
    )
    assert (
        "| paper, UTKFace (assumed: random split) | 30 | 20% | 94% correct | 35% | 88% correct |"
        in text
    )
    assert "| 60 | 25% | 91% correct | 30% | 89% correct |" in text
    assert (
        "| ck_plus, trained for the protocol | subject_disjoint | 10 | accuracy | 90.0% |" in text
    )
    assert "epoch kept, augmented training images | 2 | 1.00 | 60.0% | 0.90 | 65.0% |" in text
    assert "| emotion | 99%, CK+48 | - | fer2013 70.0% |" in text
    assert "| ethnicity | - | - | utkface 70.0% |" in text
    assert "| mean of age, gender and emotion | 92% | - | - |" in text
    assert "| accuracy in low light | 85% | - | not measured |" in text
    assert text.count("58%") == 1  # one figure over all three, not one for each


def test_without_predictions_the_missing_file_is_named(tmp_path):
    with pytest.raises(FileNotFoundError, match="predictions"):
        tabulate_papers(tmp_path)
