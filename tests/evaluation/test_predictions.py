"""Predictions of anybody's model: what fits is read, what does not is named with its file, its column and the remedy."""

import numpy as np
import pandas as pd
import pytest

from facekit.evaluation.figures import measure_attribute
from facekit.evaluation.predictions import OTHER, read_predictions
from facekit.registry import get_models_dir
from facekit.taxonomy import AGES_YEARS, ATTRIBUTES, EMOTIONS, GENDERS

FACES = pd.DataFrame(
    {"label": ["male", "female", "male"], "p_male": [0.9, 0.4, 0.2], "p_female": [0.1, 0.6, 0.8]}
)
YEARS = pd.DataFrame({"label": [20, 31, 70], "predicted": [21.5, 31, 130]})


@pytest.fixture
def save(tmp_path):
    """Return a function that writes a table and returns its path."""

    def write(table: pd.DataFrame, name: str = "mine.csv"):
        path = tmp_path / name
        if path.suffix == ".csv":
            table.to_csv(path, index=False)
        else:
            table.to_parquet(path)
        return path

    return write


@pytest.mark.parametrize("name", ["mine.csv", "mine.parquet"])
def test_probabilities(save, name):
    read = read_predictions(save(FACES, name))
    assert (read.attribute, read.classes, read.has_probabilities) == ("gender", GENDERS, True)
    assert read.answers.tolist() == [[0.1, 0.9], [0.6, 0.4], [0.8, 0.2]]
    named = read.name_answers()
    assert named["told"].tolist() == ["male", "female", "female"]
    assert named["right"].tolist() == [True, True, False]
    assert named["certainty"].tolist() == [0.9, 0.6, 0.8]
    (figure,) = measure_attribute("gender", read.table)
    assert (figure["source"], figure["count"], figure["value"]) == ("mine", 3, 0.6667)


def test_labels_alone(save):
    told = pd.DataFrame({"label": ["fear", "anger"], "predicted": ["fear", "fear"]})
    read = read_predictions(save(told))
    assert (read.attribute, read.classes, read.has_probabilities) == ("emotion", EMOTIONS, False)
    assert read.name_answers()["right"].tolist() == [True, False]


def test_years_keep_their_fractions(save):
    read = read_predictions(save(YEARS))
    assert (read.attribute, read.classes, read.has_probabilities) == ("age", AGES_YEARS, False)
    assert read.answers.sum(axis=1) == pytest.approx(1)
    assert read.answers @ np.array(AGES_YEARS) == pytest.approx([21.5, 31, 100])
    assert read.name_answers()["told"].tolist() == ["21-27", "28-45", "66+"]
    assert measure_attribute("age", read.table)[0]["value"] == pytest.approx(
        (1.5 + 0 + 30) / 3, abs=1e-4
    )


def test_classes_of_another_model(save):
    table = pd.DataFrame(
        {
            "label": ["cat", "dog", "dog", "eel"],
            "p_eel": [0, 0, 0, 1],
            "p_cat": [0.9, 0.2, 0.5, 0],
            "p_dog": [0.1, 0.8, 0.5, 0],
        }
    )
    read = read_predictions(save(table))
    assert (read.attribute, read.classes) == (OTHER, ("eel", "cat", "dog"))
    assert read.name_answers()["told"].tolist() == ["cat", "dog", "cat", "eel"]
    (figure,) = measure_attribute(read.attribute, read.table)
    assert figure["value"] == 0.75


def test_only_the_test_split_is_selected(save):
    read = read_predictions(
        save(
            FACES.assign(split=["train", "test", "test"], source="b", group=[1, 1, 2], note="kept")
        )
    )
    assert read.select("test").table["label"].tolist() == ["female", "male"]
    assert read.table["note"].tolist() == ["kept"] * 3


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_shipped_predictions(attribute):
    path = get_models_dir() / attribute / "predictions.parquet"
    read = read_predictions(path)
    assert read.attribute == attribute
    assert read.select("test").name_answers()["right"].mean() > 0.5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (FACES.drop(columns="label"), "mine.csv: the column `label` is missing"),
        (FACES[["label"]], "mine.csv: has neither probabilities.*nor a column `predicted`"),
        (
            FACES.assign(label=["male", None, "male"]),
            "column `label` must hold a label in every row.*row 3",
        ),
        (
            FACES.assign(label=["male", "Female", "male"]),
            "column `label` must hold one of female, male.*'Female' in row 3",
        ),
        (
            FACES.assign(p_male=["x", 0.4, 0.2]),
            "column `p_male` must hold probabilities from 0 to 1; got 'x' in row 2",
        ),
        (
            FACES.assign(p_male=[90, 40, 20]),
            "column `p_male` must hold probabilities from 0 to 1; got .*90.* in row 2",
        ),
        (FACES.assign(p_male=0.5), "must sum to 1 in each row; got 0.600 in row 2"),
        (FACES.assign(split="training"), "column `split` must say `test`"),
        (FACES.assign(copied="perhaps"), "column `copied` must hold True or False"),
        (FACES.assign(group=[1, None, 2]), "column `group` must hold a name in every row"),
        (FACES.drop(columns="p_male"), "column `p_female` is alone"),
        (
            YEARS.assign(label=[20, -3, 70]),
            "column `label` must hold years from 0 to 130; got -3 in row 3",
        ),
        (FACES[:0], "holds no rows"),
    ],
)
def test_what_does_not_fit_is_named(save, table, message):
    path = save(table)
    with pytest.raises(ValueError, match=message) as caught:
        read_predictions(path)
    assert str(caught.value).startswith(str(path))


def test_an_attribute_asked_for_must_fit(save):
    with pytest.raises(ValueError, match=r"columns `p_anger`.*are missing"):
        read_predictions(save(FACES), "emotion")
    with pytest.raises(ValueError, match="`attribute` must be one of age"):
        read_predictions(save(FACES), "height")
    with pytest.raises(ValueError, match=r"`label` must hold one of female, male; got '20'"):
        read_predictions(save(YEARS), "gender")


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"name a \.csv"):
        read_predictions(tmp_path / "none.csv")
    for name, content in (
        ("a.csv", b""),
        ("b.csv", b"\xff\xfe\x00\x01"),
        ("c.parquet", b"no parquet"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: is no table"):
            read_predictions(tmp_path / name)
