"""What a training left: read, or named where it is missing; and what its course says."""

import json

import pandas as pd
import pytest

from facekit.evaluation.runs import (
    find_predictions,
    find_run,
    judge_course,
    read_history,
    read_settings,
    summarise_course,
)
from facekit.registry import get_models_dir
from facekit.taxonomy import ATTRIBUTES

COURSE = pd.DataFrame({
    "epoch": range(4), "loss": [2.0, 1.5, 1.0, 0.5], "val_loss": [2.0, 1.6, 1.2, 1.5],
    "accuracy": [0.2, 0.4, 0.6, 0.9], "val_accuracy": [0.2, 0.4, 0.5, 0.55],
})  # fmt: skip


def test_summary_is_of_the_epoch_kept():
    table = summarise_course(COURSE).set_index("metric")
    assert table.loc["accuracy"].to_dict() == pytest.approx(
        {
            "training": 0.6,
            "validation": 0.5,
            "gap": -0.1,
            "last_training": 0.9,
            "last_validation": 0.55,
        }
    )
    assert table.index.tolist() == ["loss", "accuracy"]


@pytest.mark.parametrize(
    ("rows", "reading"),
    [
        (COURSE, "overfitting"),
        (COURSE[:3], "more epochs may improve"),
        (COURSE.assign(val_loss=[2, 1.6, 1.2, 1.21]), "was stable at the end"),
    ],
)
def test_judgement(rows, reading):
    signs = judge_course(rows.reset_index(drop=True), {"epochs": 4})
    assert reading in signs["reading"].iloc[-1]
    assert signs["value"].iloc[0] == f"{len(rows)} of 4"
    assert signs["value"].iloc[1] == "3"


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_shipped_runs(attribute):
    folder = find_run(attribute=attribute)
    assert len(read_history(folder)) > 1
    assert "seed" in read_settings(folder)
    assert (
        find_predictions(folder)[attribute] == get_models_dir() / attribute / "predictions.parquet"
    )


def test_what_is_not_there_is_named(tmp_path):
    assert find_run(tmp_path) == tmp_path
    assert read_settings(tmp_path) == {}
    assert find_predictions(tmp_path) == {}
    with pytest.raises(
        FileNotFoundError,
        match=r"history.csv: no such file. Name the folder that `facekit train --run` wrote",
    ):
        read_history(tmp_path)
    with pytest.raises(ValueError, match="`attribute` must be one of"):
        find_run(attribute="height")


def test_folders_and_texts_in_place_of_numbers(tmp_path):
    with pytest.raises(
        FileNotFoundError, match=r"`run` must be a folder .*nowhere is not a folder"
    ):
        find_run(tmp_path / "nowhere")
    (tmp_path / "history.csv").write_text("epoch,loss,val_loss\n0,low,1\n")
    with pytest.raises(ValueError, match=r"history.csv: the column `loss` must hold numbers"):
        read_history(tmp_path)
    (tmp_path / "history.csv").write_text("epoch,loss,val_loss\n0,1,\n")
    with pytest.raises(ValueError, match=r"history.csv: the column `val_loss` must hold numbers"):
        read_history(tmp_path)


@pytest.mark.parametrize(
    ("content", "message"), [("[1]", "must hold a JSON object"), ("{", "not JSON")]
)
def test_settings_that_do_not_fit(tmp_path, content, message):
    (tmp_path / "config.json").write_text(content)
    with pytest.raises(ValueError, match=f"config.json: {message}"):
        read_settings(tmp_path)


@pytest.mark.parametrize("content", ["epoch,loss\n0,1\n", "epoch,loss,val_loss\n", ""])
def test_histories_that_do_not_fit(tmp_path, content):
    (tmp_path / "history.csv").write_text(content)
    with pytest.raises(ValueError, match=r"history.csv: (must have one row per epoch|not a table)"):
        read_history(tmp_path)


def test_predictions_of_a_run(tmp_path):
    (tmp_path / "config.json").write_text(json.dumps({"tasks": ["age", "gender"]}))
    (tmp_path / "age").mkdir()
    (tmp_path / "age" / "predictions.parquet").touch()
    assert find_predictions(tmp_path) == {"age": tmp_path / "age" / "predictions.parquet"}
