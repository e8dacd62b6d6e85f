"""The command `facekit report`, as users run it: real notebooks on small inputs."""

import json
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from facekit.commands import main
from facekit.files import hash_file


def run(*arguments):
    return CliRunner().invoke(main, ["report", *map(str, arguments)])


def load(path: Path) -> dict:
    return json.loads(path.read_text(encoding="utf-8"))


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (("photo", "--parameters", "photo"), 2, "does not have the form NAME=VALUE"),
        (
            ("photo", "--parameters", "foto=x.jpg"),
            1,
            "no parameter 'foto'; it has photo, attributes, min_face",
        ),
        (("photo", "min_face=tiny"), 1, "min_face must be a whole number; got 'tiny'"),
        (("dataset", "seed=first"), 1, "seed must be a whole number; got 'first'"),
        (("photo", "--predictions", "x.csv"), 2, "--predictions is for evaluation"),
        (("evaluation", "predictions=a", "--predictions", "x.csv"), 2, "not two"),
        (("weather",), 2, "is not one of 'evaluation', 'dataset', 'photo', 'training'"),
    ],
)
def test_wrong_lines(tmp_path, monkeypatch, arguments, code, message):
    monkeypatch.chdir(tmp_path)
    result = run(*arguments, "--output", "made")
    assert (result.exit_code, "Traceback" in result.output) == (code, False)
    assert message in result.output


def test_predictions_that_do_not_fit(tmp_path):
    (tmp_path / "mine.csv").write_text("label,p_male\nmale,0.9\n")
    result = run(
        "evaluation", "--predictions", tmp_path / "mine.csv", "--output", tmp_path / "made"
    )
    assert result.exit_code == 1
    assert (
        "mine.csv: the column `p_male` is alone; add the probability of every other class."
        in result.output
    )
    assert not (tmp_path / "made").exists()


def test_foreign_files_are_named(tmp_path):
    (tmp_path / "evaluation.html").write_text("my own page")
    result = run("evaluation", "--output", tmp_path)
    assert result.exit_code == 1
    assert "evaluation.html: exists, and was not written by a report" in result.output
    assert (tmp_path / "evaluation.html").read_text() == "my own page"


@pytest.mark.slow
@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("photo", "photo=none.png"), "The parameter photo does not fit: none.png: no such file"),
        (("photo", "attributes=age,shoe"), "The parameter attributes must list some of age"),
        (("dataset", "dataset=nowhere"), "The parameter dataset does not fit: "),
        (("dataset", "count=0"), "The parameter count must be a whole number from 1 to"),
        (("training", "run=nowhere"), "The parameter run does not fit: "),
        (("training", "model=height"), "The parameter model does not fit: "),
        (("evaluation", "attribute=height"), "The parameter attribute must be one of age"),
        (
            ("evaluation", "by=camera", "--predictions", "mine.csv"),
            "The parameter by must name columns of the predictions; got 'camera'",
        ),
    ],
)
def test_wrong_parameters_are_one_sentence(tmp_path, monkeypatch, arguments, message):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "mine.csv").write_text("label,predicted\nmale,male\n")
    result = run(*arguments, "--output", "made")
    assert result.exit_code == 1
    assert result.output.startswith(f"Error: {message}")
    assert result.output.count("\n") == 1
    assert not (tmp_path / "made").exists()


def test_missing_packages(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "papermill", None)
    result = run("photo", "--output", tmp_path)
    assert result.exit_code == 1
    assert "This command needs papermill. Run: pip install 'facekit[notebooks]'" in result.output


@pytest.mark.slow
def test_evaluation_of_anybodys_model(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    random = np.random.default_rng(0)
    labels = random.choice(["happy", "other", "sad"], 90)
    table = pd.DataFrame(
        {
            "label": labels,
            "predicted": np.where(random.random(90) < 0.8, labels, "sad"),
            "camera": random.choice(["a", "b"], 90),
        }
    )
    table.to_csv("mine.csv", index=False)
    result = run(
        "evaluation", "--predictions", "mine.csv", "--parameters", "by=camera", "--output", "made"
    )
    assert result.exit_code == 0, result.output
    numbers = load(tmp_path / "made" / "evaluation.json")
    assert numbers["inputs"] == [
        {"input": "mine.csv", "files": 1, "sha256": hash_file(tmp_path / "mine.csv")}
    ]
    (figure,) = numbers["numbers"]["figures"]
    assert figure["value"] == pytest.approx((table["label"] == table["predicted"]).mean(), abs=1e-4)
    assert [row["class"] for row in numbers["numbers"]["classes"]] == ["happy", "other", "sad"]
    for row in numbers["numbers"]["groups"]:
        own = table[table["camera"] == row["group"]]
        assert (row["count"], row["share"]) == (
            len(own),
            pytest.approx((own["label"] == own["predicted"]).mean(), abs=1e-5),
        )
    assert numbers["numbers"]["areas"] == numbers["numbers"]["calibration"] == []


@pytest.mark.slow
def test_photos_with_and_without_faces(tmp_path, monkeypatch, portraits):
    monkeypatch.chdir(tmp_path)
    Image.fromarray(portraits["astronaut.png"]).save("a.png")
    Image.fromarray(np.full((80, 90, 3), 120, np.uint8)).save("flat.png")
    for name, faces in (("a", 1), ("flat", 0)):
        result = run("photo", "--parameters", f"photo={name}.png", "--output", name)
        assert result.exit_code == 0, result.output
        assert len(load(tmp_path / name / "photo.json")["numbers"]["faces"]) == faces
    assert load(tmp_path / "a" / "photo.json")["inputs"][0]["sha256"] == hash_file(
        tmp_path / "a.png"
    )


@pytest.mark.slow
def test_dataset_drawn_and_own(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = run(
        "dataset", "--parameters", "count=40", "--parameters", "pictures=2", "--output", "drawn"
    )
    assert result.exit_code == 0, result.output
    drawn = load(tmp_path / "drawn" / "dataset.json")["numbers"]
    genders = [row for row in drawn["labels"] if row["attribute"] == "gender"]
    splits = genders[0].keys() - {"attribute", "label"}
    assert sum(row[split] for row in genders for split in splits) == 40
    for index in range(6):
        Image.fromarray(np.random.default_rng(index).integers(0, 255, (48, 48, 3), np.uint8)).save(
            f"{index}.png"
        )
    pd.DataFrame(
        {"path": [f"{index}.png" for index in range(6)], "emotion": ["fear", "anger"] * 3}
    ).to_csv("mine.csv", index=False)
    result = run("dataset", "--parameters", "dataset=mine.csv", "--output", "own")
    assert result.exit_code == 0, result.output
    assert [row["input"] for row in load(tmp_path / "own" / "dataset.json")["inputs"]] == [
        "images",
        "mine.csv",
    ]


@pytest.mark.slow
def test_training_of_a_run(tmp_path):
    history = pd.DataFrame(
        {
            "epoch": range(3),
            "loss": [3, 2, 1.5],
            "val_loss": [3, 2, 2.5],
            "years_off": [9, 7, 6],
            "val_years_off": [9, 8, 8.5],
        }
    )
    history.to_csv(tmp_path / "history.csv", index=False)
    (tmp_path / "config.json").write_text(json.dumps({"seed": 3, "epochs": 5, "tasks": ["age"]}))
    result = run("training", "--parameters", f"run={tmp_path}", "--output", tmp_path / "made")
    assert result.exit_code == 0, result.output
    made = json.loads((tmp_path / "made" / "training.json").read_text(encoding="utf-8"))
    assert made["provenance"]["seed"] == 3
    assert made["numbers"]["course"][1] == {
        "metric": "years_off", "training": 7, "validation": 8, "gap": 1,
        "last_training": 6, "last_validation": 8.5,
    }  # fmt: skip
    assert made["numbers"]["figures"] == []
