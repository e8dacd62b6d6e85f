import warnings

import numpy as np
import pandas as pd
import pytest

from facekit.calibration import TEMPERATURES, fit_temperature
from facekit.fusion import calibrate
from facekit.taxonomy import EMOTIONS


def make_bells(means: np.ndarray, spread: float) -> np.ndarray:
    answers = np.exp(-0.5 * ((np.arange(101) + 0.5 - means[:, None]) / spread) ** 2)
    return answers / answers.sum(axis=1, keepdims=True)


# The old search was a grid that ended at 3.0.
@pytest.mark.parametrize("overconfidence", [0.3, 0.5, 1.0, 2.0, 4.0, 8.0])
def test_it_undoes_overconfidence(make_table, overconfidence):
    generator = np.random.default_rng(0)
    calibrated = generator.dirichlet(np.ones(7), 4000)
    labels = [generator.choice(EMOTIONS, p=row) for row in calibrated]
    table = make_table("emotion", labels, calibrate(calibrated, 1 / overconfidence))
    assert fit_temperature("emotion", table) == pytest.approx(overconfidence, rel=0.1)


@pytest.mark.parametrize("spread", [3, 4, 6, 8])
def test_four_ages_in_five_lie_in_the_interval(make_table, spread):
    generator = np.random.default_rng(0)
    means = generator.uniform(35, 65, 4000)
    ages = np.floor(generator.normal(means, 6))
    temperature = fit_temperature("age", make_table("age", ages, make_bells(means, spread)))
    # The spread of a bell grows with the root of the temperature.
    assert temperature == pytest.approx((6 / spread) ** 2, rel=0.2)


def test_the_search_is_continuous(make_table):
    shares = np.array([[0.9, 0.1]] * 100)
    labels = ["female"] * 80 + ["male"] * 20
    # 9 to 1 becomes 4 to 1 at this power.
    expected = np.log(9) / np.log(4)
    assert fit_temperature("gender", make_table("gender", labels, shares)) == pytest.approx(
        expected, rel=1e-3
    )


@pytest.mark.parametrize(("right", "end"), [(1.0, TEMPERATURES[0]), (0.5, TEMPERATURES[1])])
def test_an_end_of_the_search_is_reported(make_table, right, end):
    shares = np.array([[0.9, 0.1]] * 100)
    labels = ["female"] * round(100 * right) + ["male"] * round(100 - 100 * right)
    with pytest.warns(UserWarning, match=rf"temperature of gender stopped at the end .*, {end}"):
        temperature = fit_temperature("gender", make_table("gender", labels, shares))
    assert temperature == end


@pytest.mark.parametrize(
    ("ages", "end"), [(np.full(50, 40.0), TEMPERATURES[0]), (np.full(50, 2.0), TEMPERATURES[1])]
)
def test_an_end_is_reported_for_age(make_table, ages, end):
    table = make_table("age", ages, make_bells(np.full(50, 40.5), 3))
    with pytest.warns(UserWarning, match=rf"temperature of age stopped at the end .*, {end}"):
        assert fit_temperature("age", table) == end


def test_ages_above_100_count_as_100(make_table):
    generator = np.random.default_rng(0)
    ages = np.concatenate([np.full(60, 116.0), generator.integers(90, 100, 40)])
    table = make_table("age", ages, make_bells(np.full(100, 100.0), 6))
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        assert TEMPERATURES[0] < fit_temperature("age", table) < TEMPERATURES[1]


def test_no_faces_are_an_error(make_table):
    for attribute, classes in (("age", 101), ("gender", 2)):
        with pytest.raises(ValueError, match=r"`predictions` must have at least one row; got none"):
            fit_temperature(attribute, make_table(attribute, [], np.zeros((0, classes))))


def test_an_unknown_label_is_an_error():
    table = pd.DataFrame({"label": ["Female"], "p_female": [0.5], "p_male": [0.5]})
    with pytest.raises(
        ValueError, match=r"`label` must be one of female, male for gender; got Female\."
    ):
        fit_temperature("gender", table)
