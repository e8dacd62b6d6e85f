"""Predictions of any model: the table is read, or an error names file, column and remedy."""

import numpy as np
import pandas as pd
import pytest

from facekit.evaluation.figures import measure_attribute
from facekit.evaluation.predictions import OTHER, join_labels, read_predictions
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
    assert read.probabilities.tolist() == [[0.1, 0.9], [0.6, 0.4], [0.8, 0.2]]
    named = read.name_predictions()
    assert named["predicted"].tolist() == ["male", "female", "female"]
    assert named["correct"].tolist() == [True, True, False]
    assert named["confidence"].tolist() == [0.9, 0.6, 0.8]
    (figure,) = measure_attribute("gender", read.table)
    assert (figure["source"], figure["count"], figure["value"]) == ("mine", 3, 0.666667)


def test_labels_alone(save):
    predicted = pd.DataFrame({"label": ["fear", "anger"], "predicted": ["fear", "fear"]})
    read = read_predictions(save(predicted))
    assert (read.attribute, read.classes, read.has_probabilities) == ("emotion", EMOTIONS, False)
    assert read.name_predictions()["correct"].tolist() == [True, False]


def test_years_keep_their_fractions(save):
    read = read_predictions(save(YEARS), "age")
    assert (read.attribute, read.classes, read.has_probabilities) == ("age", AGES_YEARS, False)
    assert read.probabilities.sum(axis=1) == pytest.approx(1)
    assert read.probabilities @ np.array(AGES_YEARS) == pytest.approx([21.5, 31, 100])
    assert read.name_predictions()["predicted"].tolist() == ["21-27", "28-45", "66+"]
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
    assert read.name_predictions()["predicted"].tolist() == ["cat", "dog", "cat", "eel"]
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
    assert read.select("test").name_predictions()["correct"].mean() > 0.5


@pytest.mark.parametrize(
    ("table", "message"),
    [
        (FACES.drop(columns="label"), "mine.csv: the column `label` is missing"),
        (FACES[["label"]], "mine.csv: has neither probabilities.*nor a column `predicted`"),
        (
            FACES.assign(label=["male", None, "male"]),
            "column `label` must hold a label in every row.*line 3",
        ),
        (
            FACES.assign(label=["male", "femal", "male"]),
            "column `label` must hold one of female, male.*'femal' in line 3",
        ),
        (
            FACES.assign(p_male=["x", 0.4, 0.2]),
            "column `p_male` must hold probabilities from 0 to 1; got 'x' in line 2",
        ),
        (
            FACES.assign(p_male=[90, 40, 20]),
            r"must hold probabilities from 0 to 1 \(percentages .* by 100\); got '90' in line 2",
        ),
        (FACES.assign(p_male=0.5), "must sum to 1 in each row; got 0.600 in line 2"),
        (
            FACES.assign(split="training"),
            "column `split` must hold one of train, .*; got 'training' in line 2",
        ),
        (FACES.assign(copied="perhaps"), "column `copied` must hold True or False"),
        (FACES.assign(group=[1, None, 2]), "column `group` must hold a name in every row"),
        (FACES.drop(columns="p_male"), "column `p_female` is alone"),
        (
            YEARS.rename(columns={"predicted": "predicted_age"}).assign(label=[20, -3, 70]),
            "column `label` must hold years from 0 to 130; got '-3' in line 3",
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
    with pytest.raises(ValueError, match=r"must hold one of female, male; got '20'"):
        read_predictions(save(YEARS.astype(int)), "gender")


def test_files_that_are_no_tables(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"name a \.csv"):
        read_predictions(tmp_path / "none.csv")
    with pytest.raises(FileNotFoundError, match=r"a folder; name a \.csv"):
        read_predictions(tmp_path)
    for name, content, message in (
        ("a.csv", b"", "the file is empty"),
        ("b.csv", b"\xff\xfe\x00\x01", "UTF-16"),
        ("c.parquet", b"no parquet", "not a Parquet table"),
        ("d.csv", "label,predicted\ncaf\xe9,caf\xe9\n".encode("latin-1"), "line 2: .*UTF-8"),
        ("e.csv", b"label;predicted\nmale;male\n", "semicolons"),
        ("f.csv", b"label\tpredicted\nmale\tmale\n", "tabs"),
        ("g.csv", b"label,predicted\nmale,male,\nmale,male,\n", "line 2 must have 2 cells"),
        ("h.csv", b"label,predicted\nmale\n", "line 2 must have 2 cells"),
        ("i.csv", b"label,p_male,p_male\nmale,1,0\n", "p_male, p_male have the same name"),
        ("j.csv", b",label,predicted\n0,male,male\n", "column 1 has no name"),
    ):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f"{name}: .*{message}"):
            read_predictions(tmp_path / name)


def measure(path, attribute=""):
    """Return the attribute and the accuracy of a file of predictions."""
    read = read_predictions(path, attribute)
    return read.attribute, read.name_predictions()["correct"].mean()


def write_pairs(path, pairs, encoding="utf-8"):
    """Write pairs of a true and a predicted label, and return the path."""
    text = "".join(f"{true},{predicted}\n" for true, predicted in pairs)
    path.write_text("label,predicted\n" + text, encoding=encoding)
    return path


@pytest.mark.parametrize(
    ("pairs", "expected"),
    [
        ([("0", "1"), ("1", "0")], (OTHER, 0.0)),  # always wrong, and no ages
        ([("True", "False"), ("False", "True")], (OTHER, 0.0)),
        ([("0", "0"), ("0", "0")], (OTHER, 1.0)),
        ([("0", "1"), ("0", "1")], (OTHER, 0.0)),  # nothing in common, yet two classes
        ([("Female", "female"), ("male", "MALE")], ("gender", 1.0)),
        ([("female ", "female"), (" male", "male")], ("gender", 1.0)),
        ([("fe\u200bmale", "female"), ("male", "male")], ("gender", 1.0)),
        ([("Zo\u00eb", "Zoe\u0308"), ("Ada", "Ada")], (OTHER, 1.0)),
        ([("None", "None"), ("NA", "None"), ("null", "null")], (OTHER, 2 / 3)),
        ([("Happiness", "happiness"), ("dog", "dog")], (OTHER, 1.0)),
        ([("female", "male"), ("female", "male")], ("gender", 0.0)),
    ],
)
@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig"])
def test_labels_are_compared_strictly(tmp_path, pairs, expected, encoding):
    attribute, accuracy = measure(write_pairs(tmp_path / "mine.csv", pairs, encoding))
    assert (attribute, accuracy) == (expected[0], pytest.approx(expected[1]))


@pytest.mark.parametrize(
    ("pairs", "message"),
    [
        ([("Cat", "cat"), ("dog", "dog")], "labels 'Cat' and 'cat' differ only in their spelling"),
        ([("very  sad", "very sad")], "differ only in their spelling"),
        ([("1", "True"), ("0", "False")], "labels '0' and 'False' differ only in their spelling"),
        ([("0", "0.0"), ("1", "1.0")], "labels '0' and '0.0' differ only in their spelling"),
        ([("23", "25"), ("31", "31")], "the labels are numbers, such as 23.*attribute.*age"),
        ([("2", "0"), ("1", "1")], "the labels are numbers"),
        ([("cat", "happy"), ("dog", "sad")], "no label in `predicted` .*happy, sad.* is among"),
        ([("male", ""), ("male", "male")], "`predicted` must hold a label in every row.*line 2"),
    ],
)
def test_ambiguous_labels_are_refused(tmp_path, pairs, message):
    path = write_pairs(tmp_path / "mine.csv", pairs)
    with pytest.raises(ValueError, match=message) as caught:
        read_predictions(path)
    assert str(caught.value).startswith(str(path))


def test_numbers_are_what_the_user_says(tmp_path):
    path = write_pairs(tmp_path / "mine.csv", [("23", "25"), ("31", "31"), ("60", "31")])
    assert measure(path, "age") == ("age", pytest.approx(2 / 3))
    assert measure(path, OTHER) == (OTHER, pytest.approx(1 / 3))
    path.write_text(path.read_text().replace("predicted", "predicted_age"))
    assert measure(path) == ("age", pytest.approx(2 / 3))
    write_pairs(path, [("True", "False"), ("True", "True")])
    with pytest.raises(ValueError, match="must hold years from 0 to 130; got 'True' in line 2"):
        read_predictions(path, "age")


def test_truth_values_of_parquet_are_classes(save):
    true = pd.DataFrame({"label": [True, False], "predicted": [False, True]})
    assert measure(save(true, "mine.parquet")) == (OTHER, 0.0)
    with pytest.raises(ValueError, match=r"'False' and '0' differ|'0' and 'False' differ"):
        read_predictions(save(true.assign(predicted=[1, 0]), "mine.parquet"))
    with pytest.raises(ValueError, match="must hold years"):
        read_predictions(save(true, "mine.parquet"), "age")
    gaps = pd.DataFrame({"label": [1.0, None], "predicted": [1, 0]})
    with pytest.raises(ValueError, match=r"a label in every row.* got nan in row 2"):
        read_predictions(save(gaps, "mine.parquet"))
    whole = pd.DataFrame({"label": [1.0, 0.0], "predicted": [1, 0]})  # floats and integers
    assert measure(save(whole, "mine.parquet")) == (OTHER, 1.0)


def test_classes_of_probabilities_are_compared_as_labels(save):
    table = FACES.rename(columns={"p_male": "p_Male", "p_female": "p_Female"})
    read = read_predictions(save(table))
    assert (read.attribute, read.classes) == ("gender", GENDERS)
    assert read.name_predictions()["correct"].tolist() == [True, True, False]
    binary = FACES.assign(label=["1", "0", "1"]).set_axis(["label", "p_1", "p_0"], axis="columns")
    assert measure(save(binary)) == (OTHER, pytest.approx(2 / 3))
    with pytest.raises(ValueError, match="differ only in their spelling"):
        read_predictions(save(binary.assign(label=["True", "False", "True"])))
    with pytest.raises(ValueError, match="the labels are numbers"):
        read_predictions(save(binary.assign(label=2).set_axis(["label", "p_1", "p_2"], axis=1)))


@pytest.mark.parametrize(
    ("text", "remedy"),
    [
        ("90%", "percentages must be divided by 100"),
        ("0,9", "with a point for the decimal comma"),
        ("", "in every row"),
        ("nan", "probabilities from 0 to 1; got 'nan'"),
        ("inf", "probabilities from 0 to 1; got 'inf'"),
    ],
)
def test_one_bad_probability_in_a_thousand_rows(save, text, remedy):
    table = pd.DataFrame({"label": ["male"] * 1000, "p_male": ["0.9"] * 1000, "p_female": "0.1"})
    table.loc[700, "p_male"] = text
    with pytest.raises(ValueError, match=f"`p_male`.*{remedy}.*line 702"):
        read_predictions(save(table))


def test_optional_columns_are_strict(save):
    for changes, message in (
        ({"group": ["a", "NaN", "b"]}, "`group` must hold a name in every row.*'NaN' in line 3"),
        ({"split": ["test", "Test", "test"]}, "`split` must hold one of .*'Test' in line 3"),
        ({"split": "train"}, "must hold `test` for the images to measure"),
        ({"copied": ["0", "1", "x"]}, "`copied` must hold True or False; got 'x' in line 4"),
    ):
        with pytest.raises(ValueError, match=message):
            read_predictions(save(FACES.assign(**changes)))
    copied = read_predictions(save(FACES.assign(copied=["0", "TRUE", "false"]))).table["copied"]
    assert copied.tolist() == [False, True, False]


def test_faces_of_one_image_belong_together(save):
    read = read_predictions(save(FACES.assign(image=["a.jpg", "a.jpg", "b.jpg"])))
    assert read.table["group"].tolist() == ["a.jpg", "a.jpg", "b.jpg"]


class TestJoinedLabels:
    def test_labels_come_from_the_other_tables(self, save):
        faces = FACES.assign(image=["a.jpg", "b.jpg", "c.jpg"], source="mine")
        years = pd.DataFrame(
            {"label": [20, 70], "predicted": [21, 71], "image": ["b.jpg", "a.jpg"]}
        )
        tables = {
            "gender": read_predictions(save(faces, "gender.csv")),
            "age": read_predictions(save(years.assign(source="mine"), "age.csv"), "age"),
        }
        joined = join_labels(tables)
        assert joined["gender"].table["age_range"].tolist() == ["66+", "10-20", ""]
        assert joined["age"].table["gender"].tolist() == ["female", "male"]
        assert "gender" not in joined["gender"].table
        assert "gender" not in tables["age"].table  # the given tables are left as they are

    def test_the_same_name_in_another_dataset_is_another_image(self, save):
        faces = FACES.assign(image="a.jpg", source=["one", "two", "three"])
        years = pd.DataFrame({"label": [20], "predicted": [21], "image": "a.jpg", "source": "two"})
        tables = {
            "gender": read_predictions(save(faces, "gender.csv")),
            "age": read_predictions(save(years, "age.csv"), "age"),
        }
        assert join_labels(tables)["gender"].table["age_range"].tolist() == ["", "10-20", ""]

    def test_own_columns_are_kept(self, save):
        faces = FACES.assign(age=[30, None, 1], camera="a")
        table = join_labels({"gender": read_predictions(save(faces))})["gender"].table
        assert table["age_range"].tolist() == ["28-45", "", "0-2"]
        assert table["camera"].tolist() == ["a"] * 3


def test_sources_are_separated(save):
    read = read_predictions(save(FACES.assign(source=["one", "two", "one"])))
    parts = read.split_sources()
    assert {name: len(part.table) for name, part in parts.items()} == {"one": 2, "two": 1}
    assert parts["two"].probabilities.tolist() == [[0.6, 0.4]]
