import numpy as np
import pandas as pd
import pytest

from facekit.datasets.catalogue import DATASETS
from facekit.datasets.manifest import VOTES, make_manifest
from facekit.taxonomy import AGES_YEARS, ATTRIBUTES, LABELS
from facekit.training.tasks import (
    LABEL_SMOOTHING,
    TASKS,
    accuracy,
    age_distribution_loss,
    cross_entropy,
    find_labelled,
    years_off,
)

YEARS = np.array(AGES_YEARS)


def list_labels(task: str, labels: list) -> pd.DataFrame:
    return make_manifest(
        [{"path": f"{index}", task: label} for index, label in enumerate(labels)], "mine"
    )


def make_bell(mean: float, spread: float) -> np.ndarray:
    bell = np.exp(-0.5 * ((YEARS - mean) / spread) ** 2)
    return (bell / bell.sum())[None].astype(np.float32)


def make_one_hot(index: int, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[[index]]


def measure(function, targets: np.ndarray, answers: np.ndarray) -> np.ndarray:
    return np.asarray(function(np.float32(targets), np.float32(answers)))


class TestEncode:
    @pytest.mark.parametrize(
        ("task", "labels", "codes"),
        [
            ("age", [0, 1, 35, 100, 101, 116], [0, 1, 35, 100, 100, 100]),
            ("gender", ["male", "female"], [1, 0]),
            ("emotion", ["surprise", "anger", "neutral"], [6, 0, 4]),
            ("ethnicity", ["white", "other", "asian"], [0, 4, 2]),
        ],
    )
    def test_labels_become_distributions_about_their_class(self, task, labels, codes):
        targets = TASKS[task].encode(list_labels(task, labels))
        assert targets.shape == (len(labels), len(LABELS[task]))
        assert targets.dtype == np.float32
        assert targets.argmax(axis=1).tolist() == codes
        assert (targets >= 0).all()
        np.testing.assert_allclose(targets.sum(axis=1), 1, rtol=1e-5)

    @pytest.mark.parametrize("task", ["gender", "emotion", "ethnicity"])
    def test_other_classes_share_the_smoothing(self, task):
        classes = len(LABELS[task])
        (target,) = TASKS[task].encode(list_labels(task, [LABELS[task][1]]))
        expected = np.full(classes, LABEL_SMOOTHING / classes)
        expected[1] += 1 - LABEL_SMOOTHING
        np.testing.assert_allclose(target, expected, rtol=1e-5)

    @pytest.mark.parametrize(
        ("age", "spread"), [(0, 1), (5.5, 1.22), (10, 1.4), (35, 2.4), (80, 4.2)]
    )
    def test_an_age_becomes_a_bell_that_widens(self, age, spread):
        (target,) = TASKS["age"].encode(list_labels("age", [age]))
        np.testing.assert_allclose(target, make_bell(age, spread)[0], atol=1e-6)
        mean = target @ YEARS
        assert mean == pytest.approx(
            age, abs=0.01 if age else 1
        )  # at birth half of the bell is cut
        if age:
            assert np.sqrt(target @ (YEARS - mean) ** 2) == pytest.approx(spread, rel=0.01)

    @pytest.mark.parametrize("task", ATTRIBUTES)
    def test_no_images(self, task):
        targets = TASKS[task].encode(pd.DataFrame({task: []}))
        assert targets.shape == (0, len(LABELS[task]))
        assert targets.dtype == np.float32

    @pytest.mark.parametrize("task", ATTRIBUTES)
    def test_a_missing_label_is_a_row_of_nan(self, task):
        label = 30 if task == "age" else LABELS[task][0]
        targets = TASKS[task].encode(list_labels(task, [label, None]))
        assert np.isfinite(targets[0]).all()
        assert np.isnan(targets[1]).all()
        assert find_labelled(targets).tolist() == [True, False]

    def test_votes_become_their_shares(self):
        votes = dict.fromkeys(VOTES, 0) | {"votes_neutral": 6, "votes_sadness": 2}
        rows = [{"path": "a", "emotion": "neutral", **votes}, {"path": "b", "emotion": "anger"}]
        voted, labelled = TASKS["emotion"].encode(make_manifest(rows, "mine"))
        np.testing.assert_allclose(voted, [0, 0, 0, 0, 0.75, 0.25, 0])
        (alone,) = TASKS["emotion"].encode(list_labels("emotion", ["anger"]))
        np.testing.assert_array_equal(labelled, alone)

    def test_an_unknown_label_is_an_error(self):
        with pytest.raises(ValueError, match="`gender` must be one of female, male; got Female"):
            TASKS["gender"].encode(pd.DataFrame({"gender": ["Female", "male", None]}))


class TestWeigh:
    EMOTIONS = ("happiness",) * 6 + ("anger",) * 3 + ("fear",)

    def weigh(self, balance: float, task: str = "emotion", labels=EMOTIONS) -> np.ndarray:
        return TASKS[task].weigh(TASKS[task].encode(list_labels(task, list(labels))), balance)

    def test_without_balance_all_count_alike(self):
        weights = self.weigh(0)
        assert weights.dtype == np.float32
        np.testing.assert_array_equal(weights, np.ones(10))

    def test_in_balance_all_classes_count_alike(self):
        weights = self.weigh(1)
        totals = [
            weights[[label == name for label in self.EMOTIONS]].sum()
            for name in ("happiness", "anger", "fear")
        ]
        np.testing.assert_allclose(totals, 10 / 3, rtol=1e-5)
        np.testing.assert_allclose(weights[[0, 6, 9]] / weights[0], [1, 2, 6], rtol=1e-5)

    def test_in_between(self):
        weights = self.weigh(0.5)
        np.testing.assert_allclose(weights[[0, 6, 9]] / weights[0], np.sqrt([1, 2, 6]), rtol=1e-5)

    @pytest.mark.parametrize("balance", [0, 0.3, 1, 2])
    @pytest.mark.parametrize(
        ("task", "labels"),
        [("emotion", EMOTIONS), ("age", (1, 1, 1, 50, 116)), ("gender", ("male",))],
    )
    def test_the_mean_is_one(self, task, labels, balance):
        assert self.weigh(balance, task, labels).mean() == pytest.approx(1, rel=1e-5)

    def test_rows_without_a_label_have_no_weight(self):
        weights = self.weigh(1, labels=(*self.EMOTIONS, None, None))
        assert (weights == 0).sum() == 2
        assert weights.mean() == pytest.approx(1, rel=1e-5)
        counted = np.unique(weights[weights > 0])
        np.testing.assert_allclose(counted / counted[0], [1, 2, 6], rtol=1e-5)
        assert self.weigh(1, labels=(None, None)).tolist() == [0, 0]

    def test_no_images(self):
        weights = TASKS["gender"].weigh(np.zeros((0, 2), np.float32), 1)
        assert weights.shape == (0,)
        assert weights.dtype == np.float32


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_loss_is_finite_and_least_at_the_truth(name):
    task, classes = TASKS[name], len(LABELS[name])
    truth = task.encode(list_labels(name, [LABELS[name][classes // 2]]))
    costs = [
        float(measure(task.loss, truth, 0.7 * make_one_hot(index, classes) + 0.3 / classes)[0])
        for index in range(classes)
    ]
    assert np.isfinite(costs).all()
    assert np.argmin(costs) == classes // 2
    assert np.isfinite(
        measure(task.loss, truth, make_one_hot(0, classes))
    ).all()  # confident and wrong
    assert measure(task.loss, truth, truth) <= min(costs)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_there_is_one_loss_per_image(name):
    answers = np.full((3, len(LABELS[name])), 1 / len(LABELS[name]))
    targets = np.eye(len(LABELS[name]))[[0, 1, 1]]
    for function in (TASKS[name].loss, TASKS[name].metric):
        assert measure(function, targets, answers).shape == (3,)
        assert measure(function, targets[:0], answers[:0]).shape == (0,)


class TestCrossEntropy:
    def test_by_hand(self):
        targets, answers = np.array([[1, 0], [0.95, 0.05]]), np.array([[0.8, 0.2]] * 2)
        sure, unsure = -np.log(0.8), -np.log(0.2)
        np.testing.assert_allclose(
            measure(cross_entropy, targets, answers), [sure, 0.95 * sure + 0.05 * unsure], rtol=1e-5
        )

    def test_confident_predictions_cost_where_labels_are_smoothed(self):
        target = TASKS["gender"].encode(list_labels("gender", ["female"]))
        modest, certain = (
            measure(cross_entropy, target, [[share, 1 - share]])[0] for share in (0.95, 0.9999)
        )
        assert modest < certain


class TestAgeLoss:
    @pytest.mark.parametrize("age", [0, 4, 30, 60, 100])
    def test_it_is_least_for_the_bell_itself(self, age):
        spread, target = 1 + 0.04 * age, TASKS["age"].encode(list_labels("age", [age]))
        least = measure(age_distribution_loss, target, target)
        for other in (
            make_bell(age + 5, spread), make_bell(age - 5, spread), make_bell(age, 3 * spread),
            make_bell(age, spread / 3),
            np.full((1, 101), 1 / 101),
        ):  # fmt: skip
            assert measure(age_distribution_loss, target, other) > least

    def test_by_hand(self):
        # Against an even distribution the cross-entropy is log 101 whatever the label; the mean is
        # 50.
        targets = np.concatenate([make_one_hot(30, 101), make_bell(70, 2)])
        costs = measure(age_distribution_loss, targets, np.full((2, 101), 1 / 101))
        np.testing.assert_allclose(costs, np.log(101) + 0.1 * 20, rtol=1e-5)


def test_years_off_by_hand():
    answers = np.zeros((3, 101))
    answers[0, 30] = 1
    answers[1, [20, 40]] = 0.5
    answers[2, [0, 100]] = 0.25, 0.75
    targets = np.concatenate([make_one_hot(30, 101), make_bell(33, 2), make_one_hot(80, 101)])
    np.testing.assert_allclose(measure(years_off, targets, answers), [0, 3, 5], atol=1e-4)


def test_accuracy():
    targets, answers = (
        [[0.95, 0.05], [0.05, 0.95], [0.05, 0.95]],
        [[0.6, 0.4], [0.6, 0.4], [0.3, 0.7]],
    )
    assert measure(accuracy, targets, answers).tolist() == [1, 0, 1]


def test_tasks_cover_the_attributes():
    assert tuple(sorted(TASKS)) == tuple(sorted(ATTRIBUTES))
    for name, task in TASKS.items():
        assert task.name == name
        assert task.sources
        assert all(name in DATASETS[source].labels for source in task.sources)
        assert task.channels == 1 or not task.equalise  # only grey can be equalised
