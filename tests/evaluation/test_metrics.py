import numpy as np
import pytest

from facekit.evaluation.metrics import (
    BY_GROUP,
    WILSON,
    WILSON_BY_GROUP,
    bootstrap_interval,
    compute_calibration_error,
    compute_wilson_interval,
    tabulate_calibration,
    tabulate_groups,
    tabulate_thresholds,
)


class TestWilson:
    @pytest.mark.parametrize(
        ("right", "count", "low", "high"),
        [
            (8, 10, 0.4902, 0.9433),
            (0, 10, 0.0, 0.2775),
            (10, 10, 0.7225, 1.0),
            (1, 1, 0.2065, 1.0),
            (50, 100, 0.4038, 0.5962),
            (900, 1000, 0.8799, 0.9171),
        ],
    )
    def test_known_values(self, right, count, low, high):
        assert compute_wilson_interval(right, count) == pytest.approx((low, high), abs=1e-4)

    @pytest.mark.parametrize("count", [1, 7, 29, 1000])
    def test_it_stays_between_0_and_1(self, count):
        for right in range(0, count + 1, max(count // 7, 1)):
            low, high = compute_wilson_interval(right, count)
            assert 0 <= low <= right / count  # also after rounding
            assert right / count <= high <= 1

    def test_less_confidence_is_narrower(self):
        low, high = compute_wilson_interval(8, 10, z=1.0)
        wide_low, wide_high = compute_wilson_interval(8, 10)
        assert wide_low < low < high < wide_high

    @pytest.mark.parametrize(("right", "count"), [(0, 0), (3, 2), (-1, 2)])
    def test_errors(self, right, count):
        with pytest.raises(
            ValueError,
            match=f"`right` must be from 0 to `count`, .* got {right} of {count}",
        ):
            compute_wilson_interval(right, count)


class TestBootstrap:
    def test_it_repeats_itself(self):
        values, groups = np.random.default_rng(0).normal(size=50), np.arange(50)
        assert bootstrap_interval(values, groups, seed=3) == bootstrap_interval(
            values, groups, seed=3
        )
        assert bootstrap_interval(values, groups, seed=3) != bootstrap_interval(
            values, groups, seed=4
        )

    def test_it_agrees_with_the_normal_interval_of_a_mean(self):
        values = np.random.default_rng(1).normal(5, 2, 400)
        low, high = bootstrap_interval(values, np.arange(400))
        half = 1.96 * values.std() / 20
        assert low == pytest.approx(values.mean() - half, abs=0.1 * half)
        assert high == pytest.approx(values.mean() + half, abs=0.1 * half)

    def test_one_group_has_no_width(self):
        values = np.arange(10.0)
        assert bootstrap_interval(values, np.zeros(10)) == (4.5, 4.5)

    def test_groups_are_drawn_whole(self):
        values = np.repeat(np.random.default_rng(2).normal(size=20), 10)
        low, high = bootstrap_interval(values, np.repeat(np.arange(20), 10))
        narrow_low, narrow_high = bootstrap_interval(values, np.arange(200))
        assert high - low > 2 * (narrow_high - narrow_low)  # about the root of ten times as wide

    def test_the_order_of_images_and_the_names_of_groups_do_not_matter(self):
        values = np.array([1.0, 5.0, 1.0, 5.0, 1.0])
        groups = np.array(["b", "a", "b", "a", "b"])
        low, high = bootstrap_interval(values, groups)
        assert (low, high) == (1.0, 5.0)  # a quarter of the draws take one group twice

    def test_any_statistic(self):
        values = np.arange(101.0)
        low, high = bootstrap_interval(values, np.arange(101), np.median)
        assert low < 50 < high
        assert bootstrap_interval(values, np.arange(101), np.size) == (101, 101)


class TestCalibrationError:
    PROBABILITIES = np.array([0.55, 0.5, 0.59, 0.92, 0.98, 1.0])
    RIGHT = np.array([True, False, False, True, True, False])

    def test_it_is_the_mean_gap(self):
        gaps = abs(1.64 / 3 - 1 / 3), abs(2.9 / 3 - 2 / 3)
        assert compute_calibration_error(self.PROBABILITIES, self.RIGHT, bins=2) == pytest.approx(
            np.mean(gaps)
        )
        assert compute_calibration_error(self.PROBABILITIES, self.RIGHT, bins=1) == pytest.approx(
            4.54 / 6 - 0.5
        )

    def test_bins_have_equal_counts(self):
        probabilities = np.random.default_rng(0).beta(8, 1, 1000)  # most are near 1
        table = tabulate_calibration(probabilities, np.ones(1000, bool))
        assert table["count"].tolist() == [100] * 10
        assert table["probability"].is_monotonic_increasing

    def test_equal_probabilities_share_a_bin(self):
        probabilities = np.array([0.5, *[0.9] * 7, 0.95, 0.95])
        table = tabulate_calibration(probabilities, np.ones(10, bool), bins=5)
        assert table["count"].tolist() == [8, 2]
        assert table["probability"].tolist() == pytest.approx([0.85, 0.95])

    def test_a_calibrated_model_has_none(self):
        assert compute_calibration_error(
            np.full(4, 0.75), np.array([True, True, True, False])
        ) == pytest.approx(0)


class TestThresholds:
    PROBABILITIES, IS_POSITIVE = (
        np.array([0.1, 0.4, 0.6, 0.9]),
        np.array([False, True, False, True]),
    )

    def test_counts_and_rates_at_each_threshold(self):
        table = tabulate_thresholds(self.PROBABILITIES, self.IS_POSITIVE, (0.0, 0.5, 0.9, 1.0))
        assert table.index.tolist() == [0.0, 0.5, 0.9, 1.0]
        assert table.loc[0.5].to_dict() == {
            "true_positives": 1, "false_positives": 1, "false_negatives": 1, "true_negatives": 1,
            "accuracy": 0.5, "precision": 0.5, "recall": 0.5, "false_positive_rate": 0.5,
        }  # fmt: skip
        assert table["true_positives"].tolist() == [2, 1, 1, 0]
        assert table["accuracy"].tolist() == [0.5, 0.5, 0.75, 0.5]
        assert table["precision"].fillna(-1).tolist() == [0.5, 0.5, 1, -1]  # at 1 none is predicted
        assert table["recall"].tolist() == [1, 0.5, 0.5, 0]
        assert table["false_positive_rate"].tolist() == [1, 0.5, 0, 0]

    def test_no_images_and_no_thresholds(self):
        empty = tabulate_thresholds(np.zeros(0), np.zeros(0, bool), [0.5])
        assert (
            empty[["accuracy", "precision", "recall", "false_positive_rate"]].isna().all(axis=None)
        )
        assert len(tabulate_thresholds(self.PROBABILITIES, self.IS_POSITIVE, [])) == 0


class TestGroups:
    def test_each_group_has_its_share_and_interval(self):
        table = tabulate_groups(np.array([True, False, True, True]), np.array(["b", "b", "a", "b"]))
        assert table.index.tolist() == ["a", "b"]
        assert table["count"].tolist() == [1, 3]
        assert table["share"].tolist() == pytest.approx([1, 2 / 3])
        assert tuple(table.loc["b", ["low", "high"]]) == pytest.approx(
            compute_wilson_interval(2, 3)
        )

    def test_images_that_belong_together_are_drawn_together(self):
        right = np.array([True, True, False, False] * 5)
        names = np.full(20, "a")
        people = np.array([0, 0, 1, 1] * 5)
        alone = tabulate_groups(right, names, np.arange(20)).loc["a"]
        together = tabulate_groups(right, names, people).loc["a"]
        assert (alone["interval"], together["interval"]) == (WILSON, BY_GROUP)
        assert (alone["low"], alone["high"]) == pytest.approx(compute_wilson_interval(10, 20))
        assert (together["low"], together["high"]) == (0, 1)
        assert "interval" not in tabulate_groups(right, names)

    def test_all_correct_is_only_as_certain_as_there_are_people(self):
        row = tabulate_groups(np.ones(20, bool), np.zeros(20), np.arange(20) % 2).loc[0]
        assert row["interval"] == WILSON_BY_GROUP
        assert (row["low"], row["high"]) == pytest.approx(compute_wilson_interval(2, 2))

    def test_calibration_by_people(self):
        table = tabulate_calibration(np.full(4, 0.9), np.array([1, 1, 0, 0]), 10, [0, 0, 1, 1])
        assert table["interval"].tolist() == [BY_GROUP]

    def test_lengths_must_fit(self):
        with pytest.raises(ValueError, match="one entry per image; got 2, 2 and 1"):
            tabulate_groups(np.ones(2, bool), np.zeros(2), np.zeros(1))
        with pytest.raises(ValueError, match="at least one; got 0 and 0"):
            bootstrap_interval(np.zeros(0), np.zeros(0))

    def test_no_answers_no_groups(self):
        assert tabulate_groups(np.zeros(0, bool), np.zeros(0, str)).empty

    def test_answers_of_like_probability_are_counted_together(self):
        table = tabulate_calibration(
            np.array([1.0, 0.97, 0.55, 0.5]), np.array([True, False, True, True]), bins=2
        )
        assert table.index.tolist() == [0, 1]
        assert table["probability"].tolist() == pytest.approx([0.525, 0.985])
        assert table["share"].tolist() == [1, 0.5]
        assert table["count"].tolist() == [2, 2]
