import numpy as np
import pytest

from facekit.calibration import fit_age_levels, tabulate_coverage
from facekit.fusion import AGE_QUANTILES, find_age_interval, index_age_classes
from facekit.taxonomy import name_age_ranges


def make_faces(count: int, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    """True ages, and a network that sees everybody nearer to 40 than they are."""
    generator = np.random.default_rng(seed)
    ages = generator.integers(0, 101, count).astype(float)
    means = 40 + 0.8 * (ages - 40) + generator.normal(0, 4 + ages / 10)
    answers = np.exp(-0.5 * ((np.arange(101) - means[:, None]) / 5) ** 2)
    return ages, answers / answers.sum(axis=1, keepdims=True)


def test_four_ages_in_five_of_each_class_lie_in_the_interval(make_table):
    ages, answers = make_faces(6000)
    levels = fit_age_levels(answers, ages)
    ages, answers = make_faces(1000, seed=1)
    table = make_table("age", ages, answers)
    plain = tabulate_coverage(answers, table)
    assert plain["inside"].min() < 0.6
    fitted = tabulate_coverage(answers, table, levels)
    assert tuple(fitted.index) == (*name_age_ranges(), "all")
    assert (fitted["inside"] > 0.7).all()
    assert (fitted["low"] < fitted["inside"]).all()
    assert (fitted["inside"] < fitted["high"]).all()
    assert fitted.loc["all", "count"] == 1000
    assert fitted["count"].iloc[:-1].sum() == 1000


def test_levels_leave_out_one_in_ten_at_either_end():
    ages, answers = make_faces(999)
    levels = np.array(fit_age_levels(answers, ages))
    low, high = find_age_interval(answers, levels)
    for index in range(7):
        own = index_age_classes(ages) == index
        upto = np.cumsum(answers[own], axis=1)[np.arange(own.sum()), ages[own].astype(int)]
        assert np.mean(upto < levels[index, 0]) <= 0.1
        assert np.mean((ages >= low)[own]) >= 0.9 - 1 / own.sum()
        assert np.mean((ages <= np.floor(high))[own]) >= 0.9 - 1 / own.sum()


def test_a_class_with_few_faces_has_the_levels_of_all():
    ages, answers = make_faces(500)
    kept = ages >= 3
    levels = fit_age_levels(answers[kept], ages[kept])
    fewer = (ages < 3) & (np.cumsum(ages < 3) <= 5)
    with_few = fit_age_levels(answers[kept | fewer], ages[kept | fewer])
    assert levels[0] not in levels[1:]
    assert with_few[1:] == levels[1:]
    assert with_few[0] != with_few[1]


def test_so_few_faces_have_the_plain_levels():
    ages, answers = make_faces(5)
    assert fit_age_levels(answers, ages) == (AGE_QUANTILES,) * 7


def test_no_faces(make_table):
    with pytest.raises(ValueError, match=r"`ages_years` must hold at least one age; got none"):
        fit_age_levels(np.zeros((0, 101)), np.zeros(0))
    assert tabulate_coverage(np.zeros((0, 101)), make_table("age", [], np.zeros((0, 101)))).empty
