import itertools
import json

import numpy as np
import pytest

from facekit.fusion import (
    AGE_LEVELS,
    AGE_QUANTILES,
    NEVER,
    THRESHOLDS,
    FusionConstants,
    calibrate,
    compute_mean_age,
    correlate,
    find_age_interval,
    fuse_profiles,
    load_constants,
    measure_certainty,
    save_constants,
    scale_certainty,
    score_confidence,
    split_confidence,
)
from facekit.registry import ModelError
from facekit.taxonomy import ATTRIBUTES, EMOTIONS, LABELS, name_age_ranges


def make_constants(**changes) -> FusionConstants:
    """Constants that change nothing, but for what is given."""
    neutral = {
        "temperatures": dict.fromkeys(ATTRIBUTES, 1.0),
        "reliabilities": dict.fromkeys(ATTRIBUTES, 1.0),
        "certainty_ranges": dict.fromkeys(ATTRIBUTES, (0.0, 1.0)),
        "lifts": {},
        "strength": 1.0,
    }
    return FusionConstants(**neutral | changes)


def make_answer(attribute: str, **shares: float) -> np.ndarray:
    """One face's probabilities, (1, classes); labels are written `female=0.6`, years `y30=0.6`."""
    names = [f"y{label}" if attribute == "age" else label for label in LABELS[attribute]]
    return np.array([[shares.get(name, 0.0) for name in names]])


def make_lift(first: str, second: str, **changes: float) -> np.ndarray:
    """A table of ones but for what is given as `row_column=lift`; age classes are `a0` to `a6`."""
    rows, columns = (
        [f"a{index}" for index in range(len(name_age_ranges()))]
        if name == "age"
        else list(LABELS[name])
        for name in (first, second)
    )
    table = np.ones((len(rows), len(columns)))
    for pair, lift in changes.items():
        row, column = pair.split("_")
        table[rows.index(row), columns.index(column)] = lift
    return table


def make_random_answers(count: int, seed: int = 0) -> dict[str, np.ndarray]:
    generator = np.random.default_rng(seed)
    return {name: generator.dirichlet(np.ones(len(LABELS[name])), count) for name in ATTRIBUTES}


class TestConstants:
    @pytest.mark.parametrize("temperature", [0.0, -1.0, float("nan"), float("inf")])
    def test_temperatures_must_be_positive(self, temperature):
        with pytest.raises(ValueError, match=r"`temperatures` must be above 0; got .* for age\."):
            make_constants(temperatures={"age": temperature})

    @pytest.mark.parametrize("levels", [((0.1, 0.9),), ((0.1, 1.1),) * 7, ((float("nan"), 1),) * 7])
    def test_age_levels_must_be_shares(self, levels):
        with pytest.raises(ValueError, match=r"`age_levels` must hold 7 pairs of numbers from 0"):
            make_constants(age_levels=levels)

    @pytest.mark.parametrize("strength", [-0.1, 1.1, float("nan")])
    def test_strength_must_be_a_share(self, strength):
        with pytest.raises(ValueError, match=r"`strength` must be from 0 to 1; got"):
            make_constants(strength=strength)

    def test_lifts_must_fit_the_taxonomy(self):
        with pytest.raises(
            ValueError, match=r"`lifts` of age and gender must have shape \(7, 2\); got \(101, 2\)"
        ):
            make_constants(lifts={("age", "gender"): np.ones((101, 2))})

    def test_a_pair_is_found_whichever_way_round_it_is_kept(self):
        table = make_lift("gender", "ethnicity", female_white=3)
        constants = make_constants(lifts={("gender", "ethnicity"): table})
        np.testing.assert_array_equal(constants.find_lift("gender", "ethnicity"), table)
        np.testing.assert_array_equal(constants.find_lift("ethnicity", "gender"), table.T)
        assert constants.find_lift("gender", "emotion") is None

    def test_saved_constants_are_loaded_again(self, tmp_path):
        constants = make_constants(
            temperatures={"age": 0.8, "gender": 1.3},
            certainty_ranges={"age": (0.2, 0.9), "gender": (0.5, 1.0)},
            lifts={("age", "gender"): make_lift("age", "gender", a0_female=1.125)},
            strength=0.35,
            age_levels=((0.05, 0.95),) * 6 + ((0.2, 0.8),),
            thresholds={"age": 0.7, "score": NEVER},
        )
        save_constants(constants, tmp_path)
        loaded = load_constants(tmp_path)
        assert loaded.temperatures == constants.temperatures
        assert loaded.reliabilities == constants.reliabilities
        assert loaded.certainty_ranges == constants.certainty_ranges
        assert loaded.age_levels == constants.age_levels
        assert loaded.thresholds == THRESHOLDS | {"age": 0.7, "score": NEVER}
        assert loaded.strength == 0.35
        assert loaded.lifts.keys() == {("age", "gender")}
        np.testing.assert_array_equal(
            loaded.lifts["age", "gender"], constants.lifts["age", "gender"]
        )

    def test_constants_of_the_first_release_have_the_plain_age_levels(self, tmp_path):
        save_constants(make_constants(age_levels=((0.2, 0.8),) * 7), tmp_path)
        fields = json.loads((tmp_path / "fusion.json").read_text())
        del fields["age_levels"]
        (tmp_path / "fusion.json").write_text(json.dumps(fields))
        assert load_constants(tmp_path).age_levels == AGE_LEVELS == (AGE_QUANTILES,) * 7

    def test_constants_of_earlier_releases_have_the_plain_thresholds(self, tmp_path):
        save_constants(make_constants(thresholds={"age": 0.5}), tmp_path)
        fields = json.loads((tmp_path / "fusion.json").read_text())
        del fields["thresholds"]
        (tmp_path / "fusion.json").write_text(json.dumps(fields))
        assert load_constants(tmp_path).thresholds == THRESHOLDS

    @pytest.mark.parametrize(
        "thresholds", [{"age": -0.1}, {"age": 2.1}, {"age": float("nan")}, {"height": 0.5}]
    )
    def test_thresholds_must_be_of_attributes(self, thresholds):
        with pytest.raises(ValueError, match=r"`thresholds` must be for age, .*, from 0 to 2; got"):
            make_constants(thresholds=thresholds)

    def test_constants_saved_later_are_loaded_later(self, tmp_path):
        for strength in (0.1, 0.2):
            save_constants(make_constants(strength=strength), tmp_path)
            assert load_constants(tmp_path).strength == strength

    @pytest.mark.parametrize(
        "text",
        [
            None,
            "",
            "{",
            "[]",
            "1",
            "{}",
            '{"lifts": []}',
            '{"lifts": {}, "strength": 0.5}',
            '{"lifts": {"age": [[1]]}, "strength": 0.5, FITTED}',
            '{"lifts": {"age height": [[1]]}, "strength": 0.5, FITTED}',
            '{"lifts": {}, "strength": 0, FITTED, "age_levels": [1]}',
            '{"lifts": {}, "strength": 7, FITTED}',
            '{"lifts": {}, "strength": 0, FITTED, "thresholds": [1]}',
            '{"lifts": {}, "strength": 0, FITTED, "thresholds": {"age": "high"}}',
        ],
    )
    def test_what_cannot_be_read_is_a_model_error(self, tmp_path, text):
        if text is not None:
            fitted = '"temperatures": {}, "reliabilities": {}, "certainty_ranges": {}'
            (tmp_path / "fusion.json").write_text(text.replace("FITTED", fitted))
        with pytest.raises(
            ModelError,
            match=r"fusion\.json: the constants of fusion cannot be read .* reinstall facekit",
        ):
            load_constants(tmp_path)


class TestCalibrate:
    def test_temperature_1_changes_nothing(self):
        answer = make_random_answers(5)["emotion"]
        np.testing.assert_allclose(calibrate(answer, 1.0), answer)

    @pytest.mark.parametrize("temperature", [0.2, 0.5, 2.0, 5.0])
    def test_the_label_stays_and_the_sum_is_1(self, temperature):
        answer = make_random_answers(50)["emotion"]
        calibrated = calibrate(answer, temperature)
        np.testing.assert_array_equal(calibrated.argmax(axis=1), answer.argmax(axis=1))
        np.testing.assert_allclose(calibrated.sum(axis=1), 1)
        sharper = calibrated.max(axis=1) > answer.max(axis=1)
        assert sharper.all() if temperature < 1 else not sharper.any()

    def test_by_hand(self):
        np.testing.assert_allclose(
            calibrate(np.array([[0.9, 0.1]]), 2.0), [[0.75, 0.25]]
        )  # the roots are 3 to 1
        np.testing.assert_allclose(calibrate(np.array([[0.75, 0.25]]), 0.5), [[0.9, 0.1]])

    @pytest.mark.parametrize("temperature", [0.05, 0.001, 20])
    def test_extreme_temperatures_stay_finite(self, temperature):
        calibrated = calibrate(make_random_answers(20)["emotion"], temperature)
        np.testing.assert_allclose(calibrated.sum(axis=1), 1)

    def test_certainty_is_no_trap(self):
        np.testing.assert_allclose(
            calibrate(np.array([[1.0, 0.0]], np.float32), 0.2), [[1, 0]], atol=1e-9
        )

    def test_no_faces(self):
        assert calibrate(np.zeros((0, 7)), 2.0).shape == (0, 7)


class TestCorrelate:
    lifts = {  # noqa: RUF012, read only
        ("age", "gender"): make_lift("age", "gender", a0_female=3, a6_male=0.2),
        ("gender", "ethnicity"): make_lift(
            "gender", "ethnicity", female_white=0.5, female_black=2, male_white=1.5, male_black=0.5
        ),
    }

    def test_strength_0_changes_nothing(self):
        answers = make_random_answers(10)
        fused = correlate(answers, make_constants(lifts=self.lifts, strength=0.0))
        assert fused.keys() == answers.keys()
        for name, answer in answers.items():
            np.testing.assert_allclose(fused[name], answer)

    def test_answers_stay_distributions(self):
        for answer in correlate(make_random_answers(10), make_constants(lifts=self.lifts)).values():
            np.testing.assert_allclose(answer.sum(axis=1), 1)
            assert (answer >= 0).all()

    def test_attributes_without_a_table_stay_untouched(self):
        answers = make_random_answers(10)
        fused = correlate(answers, make_constants(lifts=self.lifts))
        np.testing.assert_allclose(fused["emotion"], answers["emotion"])
        assert np.abs(fused["gender"] - answers["gender"]).max() > 0.01

    @pytest.mark.parametrize(
        ("strength", "female"),
        [(1.0, 0.57 / 1.05), (0.5, 0.6 * 0.95**0.5 / (0.6 * 0.95**0.5 + 0.4 * 1.2**0.5))],
    )
    @pytest.mark.parametrize("turned", [False, True])
    def test_by_hand(self, strength, female, turned):
        # Expected lifts: female 0.7 * 0.5 + 0.3 * 2 = 0.95, male 0.7 * 1.5 + 0.3 * 0.5 = 1.2;
        # white 0.6 * 0.5 + 0.4 * 1.5 = 0.9, black 0.6 * 2 + 0.4 * 0.5 = 1.4.
        answers = {
            "gender": make_answer("gender", female=0.6, male=0.4),
            "ethnicity": make_answer("ethnicity", white=0.7, black=0.3),
        }
        table = self.lifts["gender", "ethnicity"]
        lifts = {("ethnicity", "gender"): table.T} if turned else {("gender", "ethnicity"): table}
        fused = correlate(answers, make_constants(lifts=lifts, strength=strength))
        np.testing.assert_allclose(fused["gender"], [[female, 1 - female]])
        white, black = 0.7 * 0.9**strength, 0.3 * 1.4**strength
        np.testing.assert_allclose(
            fused["ethnicity"],
            make_answer("ethnicity", white=white / (white + black), black=black / (white + black)),
        )

    def test_a_forbidden_pair_parts(self):
        answers = {
            "age": make_answer("age", y1=0.25, y2=0.25, y30=0.2, y40=0.3),
            "gender": make_answer("gender", male=1),
        }
        fused = correlate(
            answers,
            make_constants(lifts={("age", "gender"): make_lift("age", "gender", a0_male=0)}),
        )
        np.testing.assert_allclose(fused["age"], make_answer("age", y30=0.4, y40=0.6))
        np.testing.assert_allclose(fused["gender"], answers["gender"])

    def test_the_years_of_a_class_are_pulled_alike(self):
        answers = {
            "age": make_answer("age", y3=0.1, y9=0.4, y10=0.5),
            "gender": make_answer("gender", female=1),
        }
        fused = correlate(
            answers,
            make_constants(lifts={("age", "gender"): make_lift("age", "gender", a1_female=3)}),
        )
        np.testing.assert_allclose(fused["age"], make_answer("age", y3=0.15, y9=0.6, y10=0.25))

    def test_the_order_of_attributes_changes_no_digit(self):
        answers = make_random_answers(20)
        tables = {
            (first, second): np.exp(
                np.random.default_rng(0).normal(size=make_lift(first, second).shape)
            )
            for first, second in itertools.combinations(ATTRIBUTES, 2)
        }
        constants = make_constants(
            lifts=tables, reliabilities=dict(zip(ATTRIBUTES, (0.7, 0.95, 0.64, 0.86), strict=True))
        )
        profiles = fuse_profiles(answers, constants)
        for order in itertools.permutations(ATTRIBUTES):
            assert fuse_profiles({name: answers[name] for name in order}, constants) == profiles

    def test_labels_that_are_all_forbidden_stay_as_they_are(self):
        answers = {
            "age": make_answer("age", y1=1),
            "gender": make_answer("gender", male=1),
        }
        forbidden = make_constants(lifts={("age", "gender"): make_lift("age", "gender", a0_male=0)})
        fused = correlate(answers, forbidden)
        for name in answers:
            np.testing.assert_array_equal(fused[name], answers[name])

    def test_faces_do_not_affect_each_other(self):
        answers = make_random_answers(6)
        constants = make_constants(lifts=self.lifts)
        together = correlate(answers, constants)
        for face in range(6):
            alone = correlate({name: answer[[face]] for name, answer in answers.items()}, constants)
            for name in ATTRIBUTES:
                np.testing.assert_allclose(alone[name][0], together[name][face])

    def test_no_faces(self):
        fused = correlate(make_random_answers(0), make_constants(lifts=self.lifts))
        assert {name: answer.shape for name, answer in fused.items()} == {
            name: (0, len(LABELS[name])) for name in ATTRIBUTES
        }


class TestCertainty:
    def test_it_is_the_probability_of_the_label(self):
        np.testing.assert_allclose(
            measure_certainty(
                "emotion", make_answer("emotion", fear=0.3, sadness=0.45, anger=0.25)
            ),
            [0.45],
        )

    @pytest.mark.parametrize(
        ("shares", "certainty"),
        [
            ({"y30": 1.0}, 1.0),
            ({"y100": 1.0}, 1.0),
            ({"y0": 1.0}, 1.0),
            ({"y29": 0.5, "y45": 0.4, "y46": 0.1}, 0.9),  # mean 37.1, of the class 28-45
            ({"y20": 0.5, "y30": 0.5}, 0.0),  # mean 25, of a class without any probability
        ],
    )
    def test_age_is_as_certain_as_the_class_of_its_mean(self, shares, certainty):
        np.testing.assert_allclose(
            measure_certainty("age", make_answer("age", **shares)), [certainty], atol=1e-12
        )

    @pytest.mark.parametrize("attribute", ATTRIBUTES)
    def test_no_faces(self, attribute):
        assert measure_certainty(attribute, np.zeros((0, len(LABELS[attribute])))).shape == (0,)


class TestConfidence:
    def test_by_hand(self):
        answers = {
            "gender": make_answer("gender", female=0.75, male=0.25),
            "emotion": make_answer("emotion", fear=0.98, anger=0.02),
        }
        constants = make_constants(
            reliabilities={"gender": 0.9, "emotion": 0.6},
            certainty_ranges={"gender": (0.5, 1.0), "emotion": (0.3, 0.95)},
        )
        # Gender lies halfway in its range, emotion beyond the end of it: (0.9 * 0.5 + 0.6 * 1) /
        # 1.5.
        np.testing.assert_allclose(score_confidence(answers, constants), [0.7])

    def test_it_is_the_sum_of_what_attributes_add(self):
        answers = {
            "gender": make_answer("gender", female=1),
            "emotion": make_answer("emotion", fear=0.5, anger=0.5),
        }
        parts = split_confidence(
            answers, make_constants(reliabilities={"gender": 0.9, "emotion": 0.1})
        )
        assert {name: part.tolist() for name, part in parts.items()} == {
            "gender": [0.9],
            "emotion": [0.05],
        }

    def test_certainty_is_scaled_by_its_range(self):
        answer = np.array([[0.5, 0.5], [0.6, 0.4], [0.3, 0.7], [0.1, 0.9], [1, 0]])
        constants = make_constants(certainty_ranges={"gender": (0.6, 0.8)})
        np.testing.assert_allclose(
            scale_certainty("gender", answer, constants), [0, 0, 0.5, 1, 1], atol=1e-12
        )

    def test_it_lies_between_0_and_1(self):
        confidences = score_confidence(
            make_random_answers(200),
            make_constants(certainty_ranges=dict.fromkeys(ATTRIBUTES, (0.4, 0.6))),
        )
        assert confidences.shape == (200,)
        assert confidences.min() >= 0
        assert confidences.max() <= 1

    def test_it_grows_with_certainty(self):
        shares = np.linspace(0.5, 1, 11)
        confidences = score_confidence(
            {"gender": np.stack([shares, 1 - shares], axis=1)}, make_constants()
        )
        assert (np.diff(confidences) > 0).all()

    def test_the_more_reliable_attribute_weighs_more(self):
        answers = {
            "gender": make_answer("gender", female=1),
            "emotion": make_answer("emotion", fear=0.5, anger=0.5),
        }
        trusted, doubted = (
            score_confidence(
                answers, make_constants(reliabilities={"gender": weight, "emotion": 0.5})
            )[0]
            for weight in (0.9, 0.1)
        )
        assert trusted > doubted

    def test_a_range_without_width_does_not_divide_by_zero(self):
        answers = {"gender": np.array([[0.5, 0.5], [0.9, 0.1]])}
        np.testing.assert_array_equal(
            score_confidence(answers, make_constants(certainty_ranges={"gender": (0.5, 0.5)})),
            [0, 1],
        )

    def test_no_faces(self):
        assert score_confidence(make_random_answers(0), make_constants()).shape == (0,)


class TestAge:
    def test_mean(self):
        answer = np.concatenate([make_answer("age", y20=0.5, y31=0.5), make_answer("age", y100=1)])
        np.testing.assert_allclose(compute_mean_age(answer), [25.5, 100])
        assert compute_mean_age(answer[0]) == pytest.approx(25.5)
        assert compute_mean_age(answer[:0]).shape == (0,)

    def test_the_interval_takes_a_year_by_the_levels_of_its_own_class(self):
        answer = make_answer("age", y5=0.15, y15=0.15, y30=0.55, y40=0.15)
        levels = [
            (0.2, 0.9),
            (0.2, 0.9),
            (0.2, 0.9),
            (0.2, 0.9),
            (0.2, 0.8),
            (0.2, 0.9),
            (0.2, 0.9),
        ]
        low, high = find_age_interval(answer, levels)
        assert (low[0], high[0]) == (15, 30)  # 5 is too low, 40 too high for their classes
        levels[1] = (0.1, 0.9)
        levels[4] = (0.2, 0.9)
        low, high = find_age_interval(answer, levels)
        assert (low[0], high[0]) == (5, 40)

    def test_an_interval_without_any_year_is_that_of_the_mean(self):
        low, high = find_age_interval(make_answer("age", y30=1), [(1.0, 0.0)] * 7)
        assert (low[0], high[0]) == (30, 30)

    def test_no_faces(self):
        assert [ends.shape for ends in find_age_interval(np.zeros((0, 101)))] == [(0,), (0,)]


class TestFuse:
    def test_labels_and_probabilities(self):
        answers = {
            "age": make_answer("age", y20=0.25, y30=0.5, y40=0.25),
            "gender": make_answer("gender", female=0.8, male=0.2),
            "emotion": make_answer("emotion", fear=0.6, surprise=0.4),
            "ethnicity": make_answer("ethnicity", asian=0.9, other=0.1),
        }
        (profile,) = fuse_profiles(answers, make_constants())
        assert (profile.gender, profile.emotion, profile.ethnicity, profile.age_range) == (
            "female",
            "fear",
            "asian",
            "28-45",
        )
        assert profile.gender_probability == pytest.approx(0.8)
        assert profile.emotion_probability == pytest.approx(0.6)
        assert profile.ethnicity_probability == pytest.approx(0.9)
        assert (profile.age_years, profile.age_low, profile.age_high) == (pytest.approx(30), 20, 40)
        assert len(profile.emotion_probabilities) == len(EMOTIONS)
        assert sum(profile.emotion_probabilities) == pytest.approx(1)
        assert profile.emotion_probabilities[EMOTIONS.index("surprise")] == pytest.approx(0.4)
        assert profile.confidence_score == pytest.approx((0.75 + 0.8 + 0.6 + 0.9) / 4)
        assert all(
            type(value) in (float, str, tuple) for value in vars(profile).values()
        )  # no NumPy: JSON must take it

    def test_temperature_and_lifts_take_part(self):
        answers = {
            "gender": make_answer("gender", female=0.9, male=0.1),
            "ethnicity": make_answer("ethnicity", white=1),
        }
        constants = make_constants(
            temperatures={"gender": 2.0, "ethnicity": 1.0},
            lifts={("gender", "ethnicity"): make_lift("gender", "ethnicity", male_white=6)},
        )
        (profile,) = fuse_profiles(answers, constants)
        assert profile.gender == "male"  # softened to 0.75 to 0.25, then pulled to 0.75 to 1.5
        assert profile.gender_probability == pytest.approx(2 / 3, abs=1e-6)

    @pytest.mark.parametrize(
        ("shares", "low", "high"),
        [
            ({"y30": 1.0}, 30, 30),
            ({"y0": 1.0}, 0, 0),
            ({"y100": 1.0}, 100, 100),
            ({"y1": 0.11, "y50": 0.78, "y90": 0.11}, 1, 90),
            ({"y10": 0.09, "y50": 0.82, "y90": 0.09}, 50, 50),
            (
                {"y10": 0.95, "y90": 0.05},
                10,
                14,
            ),  # the mean lies beyond both quantiles, and is taken in
        ],
    )
    def test_the_range_of_age_holds_its_mean(self, shares, low, high):
        (profile,) = fuse_profiles({"age": make_answer("age", **shares)}, make_constants())
        assert profile.age_low == pytest.approx(low, abs=1e-6)
        assert profile.age_high == pytest.approx(high, abs=1e-6)
        assert profile.age_low <= profile.age_years <= profile.age_high

    @pytest.mark.parametrize(
        ("scheme", "name"),
        [("paper", "10-20"), ("decades", "10-19"), ("fairface", "10-19"), ("stages", "13-19")],
    )
    def test_schemes(self, scheme, name):
        (profile,) = fuse_profiles({"age": make_answer("age", y19=1)}, make_constants(), scheme)
        assert profile.age_range == name

    @pytest.mark.parametrize("attribute", ATTRIBUTES)
    def test_what_was_not_requested_is_none(self, attribute):
        (profile,) = fuse_profiles({attribute: make_random_answers(1)[attribute]}, make_constants())
        for name in ATTRIBUTES:
            value = profile.age_years if name == "age" else getattr(profile, name)
            assert (value is not None) == (name == attribute)
        assert len(profile.emotion_probabilities) == (7 if attribute == "emotion" else 0)
        assert 0 <= profile.confidence_score <= 1

    def test_faces_keep_their_order(self):
        answers = {"gender": np.array([[0.9, 0.1], [0.2, 0.8], [0.6, 0.4]], np.float32)}
        assert [profile.gender for profile in fuse_profiles(answers, make_constants())] == [
            "female",
            "male",
            "female",
        ]

    def test_the_age_class_is_that_of_the_rounded_age(self):
        answers = np.concatenate(
            [make_answer("age", y27=1 - share, y28=share) for share in (0.4, 0.47, 0.6)]
        )
        profiles = fuse_profiles({"age": answers}, make_constants())
        # A table holds 27.5 of the second age, and 27.5 is rounded to 28.
        assert [profile.age_range for profile in profiles] == ["21-27", "28-45", "28-45"]

    @pytest.mark.parametrize("attribute", ATTRIBUTES)
    def test_labels_below_their_threshold_are_not_sure(self, attribute):
        answers = {name: np.eye(len(LABELS[name]))[[1]] for name in ATTRIBUTES}
        thresholds = dict.fromkeys(ATTRIBUTES, 0.99) | {attribute: NEVER}
        (profile,) = fuse_profiles(answers, make_constants(thresholds=thresholds))
        assert profile.unsure == (attribute,)

    def test_a_probability_at_the_threshold_is_sure(self):
        answers = {"gender": np.array([[0.75, 0.25], [0.74, 0.26]])}
        constants = make_constants(thresholds={"gender": 0.75})
        sure = [profile.is_sure("gender") for profile in fuse_profiles(answers, constants)]
        assert sure == [True, False]

    def test_an_age_is_sure_by_the_class_of_the_scheme(self):
        answers = {"age": make_answer("age", y31=0.5, y43=0.5)}
        for scheme, unsure in (("paper", ()), ("decades", ("age",))):
            (profile,) = fuse_profiles(answers, make_constants(), scheme)
            assert profile.unsure == unsure

    def test_nothing_is_sure_of_what_may_be_no_face(self):
        answers = {
            "gender": make_answer("gender", male=1),
            "emotion": make_answer("emotion", fear=1),
        }
        constants = make_constants(thresholds={"score": 0.9})
        for score, unsure in ((0.9, ()), (0.89, ("face", "gender", "emotion"))):
            (profile,) = fuse_profiles(answers, constants, scores=np.array([score]))
            assert profile.unsure == unsure

    def test_there_must_be_a_score_for_each_face(self):
        with pytest.raises(ValueError, match=r"`scores` must hold one score per face \(2\); got 1"):
            fuse_profiles({"gender": np.eye(2)}, make_constants(), scores=np.ones(1))

    def test_no_faces(self):
        assert fuse_profiles(make_random_answers(0), make_constants()) == ()
        assert fuse_profiles(make_random_answers(0), make_constants(), scores=np.zeros(0)) == ()

    @pytest.mark.parametrize(
        ("answers", "message"),
        [
            (
                {},
                r"`answers` must hold at least one attribute, .* number of faces; got \[\] faces",
            ),
            (
                {"gender": np.ones((2, 2)), "emotion": np.ones((3, 7))},
                r"the same number of faces; got \[2, 3\] faces",
            ),
            (
                {"gender": np.ones((2, 3))},
                r"`answers` of gender must have shape \(faces, 2\); got \(2, 3\)",
            ),
            (
                {"age": np.ones(101)},
                r"`answers` of age must have shape \(faces, 101\); got \(101,\)",
            ),
            (
                {"height": np.ones((2, 2))},
                r"`answers` must be of age, gender, emotion, ethnicity; got 'height'",
            ),
        ],
    )
    def test_errors(self, answers, message):
        with pytest.raises(ValueError, match=message):
            fuse_profiles(answers, make_constants())

    def test_an_unknown_scheme_is_an_error(self):
        with pytest.raises(ValueError, match=r"`scheme` must be one of paper, .*; got 'zodiac'"):
            fuse_profiles({"age": make_answer("age", y19=1)}, make_constants(), "zodiac")
