import numpy as np
import pandas as pd
import pytest

from facekit.calibration import (
    fit_constants,
    fit_threshold,
    fit_thresholds,
    serve_answers,
    tabulate_shown,
    tabulate_shown_by_age,
)
from facekit.fusion import NEVER, FusionConstants
from facekit.taxonomy import ATTRIBUTES

pytestmark = pytest.mark.filterwarnings("ignore:The temperature of .* stopped:UserWarning")


def draw(seed: int, count: int = 3000, low: float = 0.5) -> tuple[np.ndarray, np.ndarray]:
    """Calibrated probabilities, and whether each label is right."""
    generator = np.random.default_rng(seed)
    probabilities = generator.uniform(low, 1, count)
    return probabilities, generator.random(count) < probabilities


class TestThreshold:
    @pytest.mark.parametrize("seed", range(10))
    def test_nine_in_ten_shown_labels_are_right_on_fresh_faces(self, seed):
        threshold = fit_threshold(*draw(seed))
        probabilities, right = draw(seed + 100, 20_000)
        is_shown = probabilities >= threshold
        assert is_shown.mean() > 0.1
        assert right[is_shown].mean() >= 0.9
        least_sure = is_shown & (probabilities < threshold + 0.02)
        assert right[least_sure].mean() > 0.83  # also at the threshold itself

    def test_many_easy_faces_do_not_let_hard_ones_pass(self):
        easy = np.full(9000, 0.99), np.arange(9000) % 100 > 0
        hard = draw(0, 500, low=0.5)
        threshold = fit_threshold(*(np.concatenate(each) for each in zip(easy, hard, strict=True)))
        assert 0.8 < threshold < 0.99  # although 97% of all labels are right

    def test_where_all_labels_are_right_all_are_shown(self):
        probabilities, _ = draw(0)
        assert fit_threshold(probabilities, np.ones(3000, bool)) == pytest.approx(0.5, abs=1e-3)

    def test_the_least_shown_probability_is_not_below_the_threshold_fitted(self):
        threshold = fit_threshold(np.full(50, 1 / 3), np.ones(50, bool))
        assert threshold == 0.3334  # rounded up

    @pytest.mark.parametrize(
        ("probabilities", "right"),
        [
            ([], []),
            ([0.99] * 10, [True] * 10),  # ten lucky faces prove nothing
            ([0.9] * 500, [True, False] * 250),
            ([0.6] * 500, [False] * 500),
        ],
    )
    def test_nothing_qualifies(self, probabilities, right):
        assert fit_threshold(np.array(probabilities), np.array(right, bool)) == NEVER


def test_each_attribute_has_its_own(make_tables):
    tables = make_tables(400, blur=True)
    labels = {name: table["label"].to_numpy() for name, table in tables.items()}
    constants = FusionConstants(dict.fromkeys(ATTRIBUTES, 1.0), {}, {}, {}, strength=0)
    thresholds = fit_thresholds(serve_answers(tables, constants), labels)
    assert list(thresholds) == list(ATTRIBUTES)
    assert thresholds["gender"] == NEVER  # this network guesses
    assert thresholds["emotion"] < 0.6  # half of each probability is on the true label


def test_the_age_shown_is_the_class_of_the_rounded_age():
    answer = np.tile(0.55 * np.eye(101)[28] + 0.45 * np.eye(101)[27], (100, 1))  # mean 27.55
    for age, expected in ((30.0, 0.55), (25.0, NEVER)):
        assert fit_thresholds({"age": answer}, {"age": np.full(100, age)}) == {"age": expected}


class TestTables:
    constants = FusionConstants({}, {}, {}, {}, strength=0, thresholds={"gender": 0.8, "age": 2})

    def test_shares(self):
        answer = np.array([[0.9, 0.1], [0.2, 0.8], [0.1, 0.9], [0.6, 0.4]])
        labels = np.array(["female", "male", "female", "male"])
        table = tabulate_shown(
            {"gender": answer, "age": np.eye(101)[:3]},
            {"gender": labels, "age": np.arange(3.0)},
            self.constants,
        )
        gender, age = table.to_dict("records")
        assert (gender["threshold"], gender["faces"], gender["shown"]) == (0.8, 4, 0.75)
        assert gender["right"] == pytest.approx(2 / 3)
        assert (age["faces"], age["shown"]) == (3, 0)
        assert np.isnan(age["right"])

    def test_ages_that_are_unknown_are_left_out(self):
        answer, labels = np.array([[0.9, 0.1]] * 3), np.array(["female"] * 3)
        table = tabulate_shown_by_age(answer, labels, np.array([np.nan, 2.0, 70.0]), self.constants)
        assert table[["age", "faces"]].to_numpy().tolist() == [["0-2", 1], ["66+", 1]]

    def test_no_faces(self):
        empty = tabulate_shown(
            {"gender": np.zeros((0, 2))}, {"gender": np.zeros(0)}, self.constants
        )
        assert empty["faces"].tolist() == [0]
        by_age = tabulate_shown_by_age(np.zeros((0, 2)), np.zeros(0), np.zeros(0), self.constants)
        assert by_age.empty


def test_constants_hold_thresholds_of_what_is_served(make_tables, make_labels):
    tables = make_tables(400)
    constants = fit_constants(tables, make_labels(tables))
    labels = {name: table["label"].to_numpy() for name, table in tables.items()}
    expected = fit_thresholds(serve_answers(tables, constants), labels)
    assert {name: constants.thresholds[name] for name in ATTRIBUTES} == expected
    fresh = make_tables(2000, seed=1)
    labels = {name: table["label"].to_numpy() for name, table in fresh.items()}
    shown = tabulate_shown(serve_answers(fresh, constants), labels, constants)
    assert isinstance(shown, pd.DataFrame)
    assert (shown["right"].dropna() >= 0.9).all()
