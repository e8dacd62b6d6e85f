import numpy as np
import pandas as pd
import pytest

from facekit.evaluation.figures import (
    count_classes_apart,
    find_right,
    get_probabilities,
    index_age_classes,
    measure_attribute,
    measure_classes,
    tabulate_age_classes,
    tabulate_age_errors,
    tabulate_answers,
    tabulate_figures,
)
from facekit.evaluation.metrics import compute_wilson_interval
from facekit.taxonomy import AGES_YEARS, ATTRIBUTES, LABELS, find_age_range, name_age_ranges


def make_predictions(attribute: str, rows: list[tuple]) -> pd.DataFrame:
    """A table out of rows of source, split, label and predicted label, with probability 1."""
    classes = list(LABELS[attribute])
    about = pd.DataFrame([row[:3] for row in rows], columns=["source", "split", "label"])
    about.insert(0, "image", [f"{row}.jpg" for row in range(len(rows))])
    about.insert(2, "group", range(len(rows)))
    about.insert(4, "copied", False)
    answer = np.eye(len(classes), dtype=np.float32)[[classes.index(row[3]) for row in rows]]
    return about.join(pd.DataFrame(answer, columns=[f"p_{label}" for label in classes]))


@pytest.mark.parametrize("attribute", ATTRIBUTES)
def test_probabilities_are_all_that_is_taken(attribute):
    label = LABELS[attribute][1]
    answer = get_probabilities(make_predictions(attribute, [("a", "test", label, label)] * 3))
    assert answer.dtype == np.float64
    np.testing.assert_array_equal(answer, np.eye(len(LABELS[attribute]))[[1, 1, 1]])


def test_age_classes_are_those_of_the_taxonomy():
    names = name_age_ranges()
    for year in (*AGES_YEARS, 116, 2.9, 3.1, 45.99):
        assert names[index_age_classes(np.array([year]))[0]] == find_age_range(year)


class TestRight:
    def test_labels(self):
        answer = np.array([[0.6, 0.4], [0.6, 0.4], [0.2, 0.8]])
        labels = np.array(["female", "male", "male"], object)
        assert find_right("gender", answer, labels).tolist() == [True, False, True]
        assert count_classes_apart("gender", answer, labels).tolist() == [0, 1, 0]

    def test_age_is_right_in_its_class(self):
        answer, labels = (
            np.eye(101)[[30, 30, 30, 100, 0]],
            np.array([28.0, 45.0, 46.0, 116.0, 100.0]),
        )
        assert find_right("age", answer, labels).tolist() == [True, True, False, True, False]
        assert count_classes_apart("age", answer, labels).tolist() == [0, 0, 1, 0, 6]

    @pytest.mark.parametrize("attribute", ATTRIBUTES)
    def test_no_images(self, attribute):
        assert find_right(
            attribute, np.zeros((0, len(LABELS[attribute]))), np.zeros(0, object)
        ).shape == (0,)


class TestMeasure:
    def test_shares_of_each_source(self):
        rows = [("a", "test", "male", "male")] * 8 + [("a", "test", "female", "male")] * 2
        rows += [("b", "test", "female", "female"), ("a", "validation", "female", "male")]
        first, second = measure_attribute("gender", make_predictions("gender", rows))
        assert first == {
            "source": "a",
            "split": "test",
            "count": 10,
            "figure": "accuracy",
            "value": 0.8,
            "interval_95": [0.490157, 0.943319],
        }
        assert second == {
            "source": "b",
            "split": "test",
            "count": 1,
            "figure": "accuracy",
            "value": 1.0,
            "interval_95": [0.206543, 1.0],
        }

    def test_age(self):
        predicted = [(30, 30), (50, 40), (5, 8), (1, 70), (100, 84)]  # years off: 0, 10, 3, 69, 16
        rows = [("utkface", "test", *pair) for pair in predicted] + [
            ("utkface", "validation", 0, 100)
        ]
        error, exact, near = measure_attribute("age", make_predictions("age", rows))
        assert error["figure"] == "mean absolute error, years"
        assert error["value"] == pytest.approx(98 / 5)
        low, high = error["interval_95"]
        assert 0 < low < 98 / 5 < high < 69
        assert (exact["figure"], exact["value"]) == ("accuracy, 7 classes", 0.6)
        assert exact["interval_95"] == pytest.approx(compute_wilson_interval(3, 5), abs=1e-4)
        assert (near["figure"], near["value"]) == (
            "accuracy, 7 classes, within one",
            0.8,
        )  # 50 and 40 are neighbours, 1 and 70 are not
        assert {figure["count"] for figure in (error, exact, near)} == {5}

    def test_duplicates_count_as_one_draw(self):
        predictions = make_predictions(
            "age", [("utkface", "test", 30, 30 + off) for off in (0, 10, 0, 10)]
        )
        (apart, *_), (together, *_) = (
            measure_attribute("age", table) for table in (predictions, predictions.assign(group=0))
        )
        assert apart["interval_95"] == [0.0, 10.0]
        assert together["interval_95"] == [5.0, 5.0]

    def test_shares_of_crowded_groups_are_drawn_by_group(self):
        predictions = make_predictions(
            "gender",
            [
                ("ck", "test", "male", predicted)
                for predicted in ("male", "male", "female", "female") * 5
            ],
        )
        by_image = measure_attribute("gender", predictions)[0]["interval_95"]
        by_group = measure_attribute("gender", predictions.assign(group=[0, 0, 1, 1] * 5))[0][
            "interval_95"
        ]
        assert by_image == pytest.approx(compute_wilson_interval(10, 20), abs=1e-4)
        assert by_group == [0.0, 1.0]

    def test_all_right_in_few_groups_is_not_sure(self):
        predictions = make_predictions("gender", [("ck", "test", "male", "male")] * 20).assign(
            group=[0, 1] * 10
        )
        assert measure_attribute("gender", predictions)[0]["interval_95"] == pytest.approx(
            compute_wilson_interval(2, 2), abs=1e-4
        )

    def test_copies_of_training_images_are_measured_apart(self):
        predictions = make_predictions(
            "gender",
            [("a", "test", "male", predicted) for predicted in ("male", "male", "male", "female")],
        )
        whole, without = measure_attribute(
            "gender", predictions.assign(copied=[True, True, False, False])
        )
        assert (whole["figure"], whole["count"], whole["value"]) == ("accuracy", 4, 0.75)
        assert (without["figure"], without["count"], without["value"]) == (
            "accuracy, without copies",
            2,
            0.5,
        )

    def test_gender_of_grown_ups_is_measured_apart_where_ages_are_known(self):
        rows = [
            ("a", "test", "male", predicted) for predicted in ("female", "male", "male", "male")
        ]
        table = make_predictions("gender", rows).assign(age=[1.0, 4.0, 40.0, np.nan])
        figures = measure_attribute("gender", table)
        assert [(each["figure"], each["count"], each["value"]) for each in figures] == [
            ("accuracy", 4, 0.75),
            ("accuracy, aged 3 and up", 2, 1.0),
            ("accuracy, aged 10 and up", 1, 1.0),
            ("accuracy, aged 13 and up", 1, 1.0),
        ]
        texts = table.assign(age=["1", "4", "40", "unknown"])  # as in a csv
        assert measure_attribute("gender", texts) == figures

    def test_ethnicity_is_measured_without_other_too(self):
        rows = [("a", "test", label, "white") for label in ("white", "white", "other")]
        whole, without = measure_attribute("ethnicity", make_predictions("ethnicity", rows))
        assert (whole["figure"], whole["count"]) == ("accuracy", 3)
        assert (without["figure"], without["count"], without["value"]) == (
            "accuracy, without other",
            2,
            1.0,
        )

    def test_ages_in_bands_have_no_error_in_years(self):
        rows = [("fairface", "test", *pair) for pair in ((15, 9), (25, 29), (35, 55))]
        exact, near = measure_attribute("age", make_predictions("age", rows))
        assert (exact["figure"], exact["value"]) == ("accuracy, 9 bands", 0.333333)
        assert (near["figure"], near["value"]) == ("accuracy, 9 bands, within one", 0.666667)

    def test_nothing_to_measure(self):
        assert (
            measure_attribute(
                "gender", make_predictions("gender", [("a", "validation", "male", "male")])
            )
            == []
        )


def test_figures_become_a_table():
    figures = [
        {
            "source": "a",
            "split": "test",
            "count": 10,
            "figure": "accuracy",
            "value": 0.8,
            "interval_95": [0.490157, 0.943319],
        },
        {
            "source": "a",
            "split": "test",
            "count": 10,
            "figure": "mean absolute error, years",
            "value": 4.5678,
            "interval_95": [4.0, 5.1],
        },
    ]
    assert [" ".join(line.split()) for line in tabulate_figures(figures).splitlines()][::2] == [
        "| data | images | figure | value | 95% interval |",
        "| a test | 10 | accuracy | 80.0% | 49.0% to 94.3% |",
    ]
    assert " ".join(tabulate_figures(figures).splitlines()[3].split()) == (
        "| a test | 10 | mean absolute error, years | 4.57 | 4.00 to 5.10 |"
    )
    assert len(tabulate_figures([]).splitlines()) == 2


class TestAnswers:
    FACES = pd.DataFrame(
        {
            "path": ["in/b.jpg", "in/a.jpg"],
            "source": "mine",
            "group": [1, 2],
            "split": "test",
            "copied": False,
            "gender": ["male", "female"],
            "emotion": "fear",
            "age": [30.0, np.nan],
        },
        index=[7, 9],
    )

    def test_ages_stand_beside_genders_only(self):
        answer = np.array([[0.25, 0.75], [0.123456, 0.876544]])
        table = tabulate_answers("gender", self.FACES, answer)
        about = ["image", "source", "group", "split", "copied", "label"]
        assert table.columns.tolist() == [*about, "age", "p_female", "p_male"]
        assert table["image"].tolist() == ["b.jpg", "a.jpg"]
        assert table["p_female"].tolist() == pytest.approx([0.25, 0.12346])
        unknown = tabulate_answers("gender", self.FACES.assign(age=np.nan), answer)
        assert unknown.columns.tolist() == [*about, "p_female", "p_male"]
        emotions = tabulate_answers("emotion", self.FACES, np.full((2, 7), 1 / 7))
        assert emotions.columns.tolist() == [*about, *(f"p_{each}" for each in LABELS["emotion"])]

    def test_no_faces(self):
        assert tabulate_answers("gender", self.FACES.iloc[:0], np.zeros((0, 2))).empty


class TestAgeClasses:
    PREDICTIONS = make_predictions(
        "age",
        [
            ("a", "test", label, predicted)
            for label, predicted in ((2, 2), (17, 18), (30, 70), (80, 70), (116, 66))
        ],
    )

    def test_another_scheme_is_another_score(self):
        halves = tabulate_age_classes(self.PREDICTIONS, (0, 18, 65))
        assert halves.index.tolist() == halves.columns.tolist() == ["0-17", "18-64", "65+"]
        assert halves.to_numpy().tolist() == [[1, 1, 0], [0, 0, 1], [0, 0, 2]]
        assert measure_classes(halves) == {"right": 0.6, "within_one": 1.0, "by_guessing": 0.4}
        assert tabulate_age_classes(self.PREDICTIONS).index.tolist() == list(name_age_ranges())

    def test_no_images(self):
        empty = tabulate_age_classes(self.PREDICTIONS.iloc[:0], "stages")
        assert empty.shape == (5, 5)
        with pytest.raises(ValueError, match="`counts` must count at least one face; got none"):
            measure_classes(empty)


class TestAgeErrors:
    def test_each_class_of_the_true_age(self):
        rows = [
            ("a", "test", true, predicted)
            for true, predicted in [(1, 3), (30, 30), (40, 30), (30, 34), (70, 60)]
        ]
        table = tabulate_age_errors(make_predictions("age", rows))
        assert table.index.tolist() == ["0-2", "28-45", "66+"]
        assert table["count"].tolist() == [1, 3, 1]
        assert table["off"].tolist() == pytest.approx([2, 14 / 3, 10])
        assert table["bias"].tolist() == pytest.approx([2, -2, -10])
        assert (table.loc["66+", "low"], table.loc["66+", "high"]) == (10, 10)
        assert table.loc["28-45", "low"] < 14 / 3 < table.loc["28-45", "high"]

    def test_no_images(self):
        table = tabulate_age_errors(make_predictions("age", [("a", "test", 1, 3)]).iloc[:0])
        assert table.empty
        assert list(table) == ["count", "off", "low", "high", "bias"]
