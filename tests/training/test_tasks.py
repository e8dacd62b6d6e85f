import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import make_manifest
from facekit.taxonomy import ATTRIBUTES, LABELS
from facekit.training.tasks import TASKS, accuracy, age_distribution_loss, make_smoothed_cross_entropy, years_off


def make_bell(mean: float, spread: float) -> np.ndarray:
    bell = np.exp(-0.5 * ((np.arange(101) - mean) / spread) ** 2)
    return (bell / bell.sum())[None].astype(np.float32)


def make_one_hot(index: int, classes: int) -> np.ndarray:
    return np.eye(classes, dtype=np.float32)[[index]]


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
    def test_labels_become_class_indices(self, task, labels, codes):
        manifest = make_manifest([{"path": f"{index}", task: label} for index, label in enumerate(labels)], "mine")
        encoded = TASKS[task].encode(manifest)
        assert encoded.dtype == np.float32
        assert encoded.tolist() == codes

    @pytest.mark.parametrize("task", ATTRIBUTES)
    def test_no_images(self, task):
        assert TASKS[task].encode(pd.DataFrame({task: []})).shape == (0,)


@pytest.mark.parametrize("name", ATTRIBUTES)
def test_each_loss_is_finite_and_least_at_the_truth(name):
    task, classes = TASKS[name], len(LABELS[name])
    truth = np.array([classes // 2], np.float32)
    even = np.full((1, classes), 1 / classes, np.float32)
    costs = {}
    for index in range(classes):
        costs[index] = float(np.squeeze(task.loss(truth, 0.7 * make_one_hot(index, classes) + 0.3 * even)))
    assert np.isfinite(list(costs.values())).all()
    assert min(costs, key=costs.get) == classes // 2
    assert np.isfinite(np.asarray(task.loss(truth, make_one_hot(0, classes)))).all()  # sure and wrong


def test_losses_are_told_one_an_image():
    for name, task in TASKS.items():
        answers = np.full((3, len(LABELS[name])), 1 / len(LABELS[name]), np.float32)
        labels = np.array([0, 1, 1], np.float32)
        for function in (task.loss, task.metric):
            flat, column = (np.asarray(function(given, answers)) for given in (labels, labels[:, None]))
            assert flat.shape == (3,)
            np.testing.assert_allclose(flat, column)


class TestAgeLoss:
    @pytest.mark.parametrize("age", [0, 4, 30, 60, 100])
    def test_it_is_least_for_a_bell_at_the_label(self, age):
        label = np.array([age], np.float32)
        spread = 1 + 0.04 * age
        least = float(np.squeeze(age_distribution_loss(label, make_bell(age, spread))))
        for other in (
            make_bell(age + 5, spread), make_bell(age - 5, spread), make_bell(age, 3 * spread), make_bell(age, spread / 3),
            np.full((1, 101), 1 / 101, np.float32),
        ):  # fmt: skip
            # At the ends of life a bell is cut, so that its mean is a little off.
            assert float(np.squeeze(age_distribution_loss(label, other))) > least - (0.4 if age in (0, 100) else 0)

    def test_by_hand(self):
        # Against an even distribution the cross-entropy is log 101 whatever the label; the mean is 50.
        answer = np.full((2, 101), 1 / 101, np.float32)
        costs = np.asarray(age_distribution_loss(np.array([30, 70], np.float32), answer))
        np.testing.assert_allclose(costs, np.log(101) + 0.1 * 20, rtol=1e-5)


def test_years_off_by_hand():
    answers = np.zeros((3, 101), np.float32)
    answers[0, 30] = 1
    answers[1, [20, 40]] = 0.5
    answers[2, [0, 100]] = 0.25, 0.75
    np.testing.assert_allclose(np.asarray(years_off(np.array([30, 33, 80], np.float32), answers)), [0, 3, 5], atol=1e-5)


class TestSmoothing:
    def test_by_hand(self):
        answers = np.array([[0.8, 0.2], [0.8, 0.2]], np.float32)
        costs = np.asarray(make_smoothed_cross_entropy(0.1, 2)(np.array([0, 1], np.float32), answers))
        sure, unsure = -np.log(0.8), -np.log(0.2)
        np.testing.assert_allclose(costs, [0.95 * sure + 0.05 * unsure, 0.05 * sure + 0.95 * unsure], rtol=1e-5)

    def test_without_smoothing_it_is_the_cross_entropy(self):
        answers = np.array([[0.8, 0.2]], np.float32)
        np.testing.assert_allclose(np.asarray(make_smoothed_cross_entropy(0, 2)(np.array([0.0]), answers)), [-np.log(0.8)], rtol=1e-5)

    def test_certainty_costs(self):
        loss, truth = make_smoothed_cross_entropy(0.1, 2), np.array([0.0])
        modest, certain = (float(np.squeeze(loss(truth, np.array([[share, 1 - share]], np.float32)))) for share in (0.95, 0.9999))
        assert modest < certain


def test_accuracy():
    answers = np.array([[0.6, 0.4], [0.6, 0.4], [0.3, 0.7]], np.float32)
    assert np.asarray(accuracy(np.array([0, 1, 1], np.float32), answers)).tolist() == [1, 0, 1]


def test_tasks_cover_the_attributes():
    assert tuple(sorted(TASKS)) == tuple(sorted(ATTRIBUTES))
    assert all(task.name == name and task.sources for name, task in TASKS.items())
