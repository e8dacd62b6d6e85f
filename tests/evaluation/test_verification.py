import numpy as np
import pandas as pd
import pytest

from facekit.evaluation.verification import (
    FOLDS,
    average_folds,
    choose_threshold,
    compute_roc,
    find_accept_thresholds,
    make_folds,
    make_pairs,
    measure_folds,
    measure_pairs,
)

PEOPLE = np.array([f"p{index // 3}" for index in range(150)])  # 50 people with 3 images each


def test_folds_keep_people_together_and_have_equal_numbers_of_them():
    folds = make_folds(PEOPLE, seed=1)
    table = pd.DataFrame({"person": PEOPLE, "fold": folds})
    assert table.groupby("person")["fold"].nunique().max() == 1
    assert table.groupby("fold")["person"].nunique().tolist() == [5] * FOLDS
    assert not np.array_equal(folds, make_folds(PEOPLE, seed=2))


def test_pairs_are_balanced_distinct_and_inside_their_fold():
    pairs, folds = make_pairs(PEOPLE, count=4), make_folds(PEOPLE)
    assert pairs.groupby(["fold", "same"]).size().tolist() == [4] * 2 * FOLDS
    assert not pairs.duplicated(["first", "second"]).any()
    for side in ("first", "second"):
        assert (folds[pairs[side]] == pairs["fold"]).all()
    same = PEOPLE[pairs["first"]] == PEOPLE[pairs["second"]]
    assert (same == pairs["same"]).all()
    pd.testing.assert_frame_equal(pairs, make_pairs(PEOPLE, count=4))


def test_pairs_need_people_with_several_images():
    with pytest.raises(ValueError, match=r"`people` must have two images of one person.*fold 0"):
        make_pairs(np.arange(100))


def test_distances():
    pairs = pd.DataFrame({"first": [0, 1], "second": [1, 2]})
    assert measure_pairs(np.array([[0.0, 0], [3, 4], [3, 5]]), pairs).tolist() == [5, 1]


@pytest.mark.parametrize(
    ("distances", "same", "threshold"),
    [
        ([0.1, 0.3, 0.7, 0.9], [1, 1, 0, 0], 0.5),
        ([0.1, 0.3, 0.7, 0.9], [1, 0, 1, 0], 0.2),  # the first of two that are equally good
        ([0.1, 0.3], [1, 1], 0.3),
        ([0.1, 0.3], [0, 0], 0.1),
    ],
)
def test_the_threshold_makes_most_pairs_correct(distances, same, threshold):
    chosen = choose_threshold(np.array(distances), np.array(same, bool))
    assert chosen == pytest.approx(threshold)


def test_a_fold_does_not_choose_its_own_threshold():
    pairs = pd.DataFrame({"fold": np.repeat(range(FOLDS), 2), "same": [True, False] * FOLDS})
    distances = np.tile([0.2, 0.8], FOLDS)
    distances[:2] = 3.2, 3.8  # fold 0 alone would choose 3.5
    folds = measure_folds(distances, pairs)
    assert folds["accuracy"].tolist() == [0.5] + [1.0] * 9
    assert folds["threshold"][0] == pytest.approx(0.5)
    assert folds["pairs"].tolist() == [2] * FOLDS


def test_the_interval_is_that_of_students_distribution():
    stats = pytest.importorskip("scipy.stats")
    values = np.linspace(0.9, 0.99, 10)
    expected = stats.t.interval(0.95, 9, values.mean(), stats.sem(values))
    assert average_folds(values) == pytest.approx((values.mean(), *expected), abs=1e-4)
    assert average_folds([1.0] * 10) == (1, 1, 1)
    with pytest.raises(ValueError, match="must hold 10 numbers, one per fold; got 2"):
        average_folds([0.5, 0.6])


def test_roc_as_scikit_learn_computes_it():
    metrics = pytest.importorskip("sklearn.metrics")
    generator = np.random.default_rng(0)
    same = generator.random(200) < 0.5
    distances = np.round(generator.random(200) + ~same * 0.3, 2)  # with equal distances
    roc = compute_roc(distances, same)
    area = np.trapezoid(roc["true_accept_rate"], roc["false_accept_rate"])
    assert area == pytest.approx(metrics.roc_auc_score(same, -distances))
    with pytest.raises(ValueError, match="pairs of one person and pairs of two"):
        compute_roc(distances, np.ones(200, bool))


def test_thresholds_at_false_accept_rates():
    # Eleven points on a line, the first two of one person.
    vectors = np.array([0.0, 0.05, *range(1, 10)])[:, None]
    people = ["a", "a", *"bcdefghij"]
    table = find_accept_thresholds(vectors, people, rates=(0.1, 0.0))
    distances = np.abs(vectors - vectors.T)[np.triu_indices(11, 1)]
    between = np.delete(distances, 0)  # 54 pairs of two people
    assert len(between) == 54
    for rate, threshold, accepted in table.itertuples(index=False):
        assert (between <= threshold).mean() <= rate
        assert accepted == (threshold >= 0.05)
