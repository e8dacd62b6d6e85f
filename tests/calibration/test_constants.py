import numpy as np
import pandas as pd
import pytest

from facekit.calibration import (
    RANGE_PERCENTILES,
    SMOOTHING,
    STRENGTHS,
    TEMPERATURES,
    count_lifts,
    fit_age_levels,
    fit_constants,
    measure_fusion,
    refit_constants,
    serve_answers,
)
from facekit.evaluation.figures import find_right, get_probabilities
from facekit.fusion import fuse_profiles, load_constants, measure_certainty, save_constants
from facekit.taxonomy import ATTRIBUTES

# The made-up networks are so good, or so bad, that their temperature stops at an end.
pytestmark = pytest.mark.filterwarnings("ignore:The temperature of .* stopped:UserWarning")


class TestLifts:
    def make_labels(self, counts: dict[tuple, int], columns: tuple[str, ...]) -> pd.DataFrame:
        rows = [
            dict(zip(columns, labels, strict=True))
            for labels, count in counts.items()
            for _ in range(count)
        ]
        return pd.DataFrame(rows, columns=list(ATTRIBUTES)).astype({"age": float})

    def test_by_hand(self):
        # By chance each of the four pairs would meet 25 times.
        counts = {
            ("female", "white"): 40,
            ("male", "white"): 10,
            ("female", "black"): 10,
            ("male", "black"): 40,
        }
        lifts = count_lifts(self.make_labels(counts, ("gender", "ethnicity")))
        assert lifts.keys() == {("gender", "ethnicity")}
        often, seldom = (40 + SMOOTHING) / (25 + SMOOTHING), (10 + SMOOTHING) / (25 + SMOOTHING)
        np.testing.assert_allclose(
            lifts["gender", "ethnicity"], [[often, seldom, 1, 1, 1], [seldom, often, 1, 1, 1]]
        )

    def test_age_counts_in_classes(self):
        lifts = count_lifts(
            self.make_labels(
                {(1.0, "female"): 30, (2.0, "female"): 10, (70.0, "male"): 30, (116.0, "male"): 10},
                ("age", "gender"),
            )
        )
        table = lifts["age", "gender"]
        assert table.shape == (7, 2)
        np.testing.assert_allclose(
            table[0], [(40 + SMOOTHING) / (20 + SMOOTHING), SMOOTHING / (20 + SMOOTHING)]
        )
        np.testing.assert_allclose(table[6], table[0][::-1])
        np.testing.assert_allclose(table[1:6], 1)

    def test_no_labels_no_tables(self):
        assert count_lifts(self.make_labels({}, ())) == {}


class TestConstants:
    def test_they_fit_what_they_come_from(self, make_tables, make_labels):
        tables = make_tables(400)
        constants = fit_constants(tables, make_labels(tables))
        for fields in (constants.temperatures, constants.reliabilities, constants.certainty_ranges):
            assert fields.keys() == set(ATTRIBUTES)
        served = serve_answers(tables, constants)
        for name in ATTRIBUTES:
            assert TEMPERATURES[0] <= constants.temperatures[name] <= TEMPERATURES[1]
            right = find_right(name, served[name], tables[name]["label"].to_numpy())
            assert constants.reliabilities[name] == pytest.approx(right.mean(), abs=1e-4)
        assert constants.lifts.keys() == {
            ("age", "gender"),
            ("age", "ethnicity"),
            ("gender", "ethnicity"),
        }
        assert np.isclose(STRENGTHS, constants.strength, atol=1e-3).any()

    def test_all_but_temperatures_are_fitted_on_answers_as_served(self, make_tables, make_labels):
        tables = make_tables(400, blur=True)
        constants = fit_constants(tables, make_labels(tables))
        served, alone = (
            serve_answers(tables, constants, *attributes) for attributes in ((), ((),))
        )
        assert np.abs(served["gender"] - alone["gender"]).max() > 0.1  # correlation matters here
        for name in ATTRIBUTES:
            ends = np.percentile(measure_certainty(name, served[name]), RANGE_PERCENTILES)
            np.testing.assert_allclose(constants.certainty_ranges[name], ends, atol=1e-4)
        ages = tables["age"]["label"].to_numpy()
        assert constants.age_levels == fit_age_levels(served["age"], ages)
        assert constants.age_levels != fit_age_levels(alone["age"], ages)

    def test_refitting_keeps_lifts_and_strength(self, make_tables, make_labels):
        tables = make_tables(300, blur=True)
        constants = fit_constants(tables, make_labels(tables))
        again = refit_constants(tables, constants)
        assert vars(again) == vars(constants)
        other = refit_constants(make_tables(300, seed=1), constants)
        assert other.lifts is constants.lifts
        assert other.strength == constants.strength
        assert other.temperatures != constants.temperatures
        assert other.age_levels != constants.age_levels

    def test_faces_that_differ_between_attributes(self, make_tables, make_labels):
        tables = make_tables(300, blur=True)
        labels = make_labels(tables)
        tables["gender"] = tables["gender"].iloc[100:].reset_index(drop=True)
        assert fit_constants(tables, labels).strength > 0.2
        tables["gender"] = tables["gender"].assign(source="others")
        assert fit_constants(tables, labels).strength == 0

    def test_they_can_be_saved_and_used(self, make_tables, make_labels, tmp_path):
        tables = make_tables(200)
        save_constants(fit_constants(tables, make_labels(tables)), tmp_path)
        profiles = fuse_profiles(
            {name: get_probabilities(table) for name, table in tables.items()},
            load_constants(tmp_path),
        )
        assert len(profiles) == 200
        right = [
            profile.gender == label
            for profile, label in zip(profiles, tables["gender"]["label"], strict=True)
        ]
        assert np.mean(right) > 0.9
        assert all(0 <= profile.confidence_score <= 1 for profile in profiles)

    def test_labels_that_go_together_help_a_network_that_guesses(self, make_tables, make_labels):
        tables = make_tables(400, blur=True)
        constants = fit_constants(tables, make_labels(tables))
        assert constants.strength > 0.2
        figures = measure_fusion(make_tables(400, seed=1, blur=True), constants)
        assert figures["gender right before"] < 0.6
        assert figures["gender right after"] > 0.9

    def test_labels_that_do_not_go_together_have_lifts_near_1(self, make_tables, make_labels):
        tables = make_tables(400)
        shuffled = make_labels(tables)
        generator = np.random.default_rng(0)
        faces = shuffled["gender"].notna()
        for name in ("age", "gender", "ethnicity"):
            shuffled.loc[faces, name] = generator.permutation(shuffled.loc[faces, name])
        for table in count_lifts(shuffled).values():
            assert np.abs(table - 1).max() < 0.5


class TestMeasure:
    def test_figures(self, make_tables, make_labels):
        tables = make_tables(300)
        constants = fit_constants(tables, make_labels(tables))
        figures = measure_fusion(make_tables(300, seed=1, split="test"), constants)
        names = [f"{name} right" for name in ("age", "gender", "ethnicity")] + [
            "age mean absolute error"
        ]
        assert figures.keys() == {
            "count", "strength",
            *(f"{name} {moment}" for name in names for moment in ("before", "after")),
            "profile right, more confident half", "profile right, less confident half",
        }  # fmt: skip
        assert figures["count"] == 300
        assert figures["strength"] == constants.strength
        assert (
            figures["profile right, more confident half"]
            > figures["profile right, less confident half"]
        )
        assert figures["age mean absolute error before"] == pytest.approx(
            6 * 0.8, abs=1
        )  # of a bell whose spread is 6

    def test_no_faces_in_common_is_an_error(self, make_tables, make_labels):
        tables = make_tables(100)
        constants = fit_constants(tables, make_labels(tables))
        tables["gender"] = tables["gender"].assign(source="others")
        with pytest.raises(
            ValueError, match=r"`test` must have faces with predictions of age, gender, ethnicity"
        ):
            measure_fusion(tables, constants)

    def test_without_strength_nothing_changes(self, make_tables, make_labels):
        tables = make_tables(100)
        constants = fit_constants(tables, make_labels(tables))
        object.__setattr__(constants, "strength", 0.0)
        figures = measure_fusion(tables, constants)
        for name in figures:
            if name.endswith(" before"):
                assert figures[name] == figures[name.replace("before", "after")]
