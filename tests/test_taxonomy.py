import pytest

from facekit.taxonomy import (
    AGE_SCHEMES,
    CK_PLUS_CODES,
    CK_PLUS_EMOTIONS,
    DATATURKS_LABELS,
    EMOTIONS,
    ETHNICITIES,
    FAIRFACE_AGES,
    FAIRFACE_ETHNICITIES,
    FAIRFACE_GENDERS,
    FER2013_CODES,
    FER2013_EMOTIONS,
    GENDERS,
    IMDB_WIKI_GENDERS,
    LABELS,
    UTKFACE_ETHNICITIES,
    UTKFACE_GENDERS,
    find_age_range,
    find_first_years,
    name_age_ranges,
)


@pytest.mark.parametrize(
    ("scheme", "names"),
    [
        ("paper", ("0-2", "3-9", "10-20", "21-27", "28-45", "46-65", "66+")),
        ("decades", ("0-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")),
        ("fairface", ("0-2", "3-9", "10-19", "20-29", "30-39", "40-49", "50-59", "60-69", "70+")),
        ("stages", ("0-12", "13-19", "20-39", "40-59", "60+")),
    ],
)
def test_names_of_age_ranges(scheme, names):
    assert name_age_ranges(scheme) == names


def test_the_papers_ranges_are_the_default():
    assert name_age_ranges() == name_age_ranges("paper")
    assert find_age_range(27) == "21-27"


@pytest.mark.parametrize(
    ("age_years", "name"),
    [
        (0, "0-2"),
        (2.9, "0-2"),
        (3, "3-9"),
        (20.99, "10-20"),
        (21, "21-27"),
        (45.5, "28-45"),
        (65.99, "46-65"),
        (66, "66+"),
        (116, "66+"),
    ],
)
def test_a_fraction_of_a_year_is_rounded_down(age_years, name):
    assert find_age_range(age_years) == name


@pytest.mark.parametrize("scheme", AGE_SCHEMES)
def test_each_range_holds_its_ends(scheme):
    for name in name_age_ranges(scheme):
        for year in name.rstrip("+").split("-"):
            assert find_age_range(int(year), scheme) == name


def test_ranges_of_ones_own():
    assert find_first_years((0, 18, 65)) == (0, 18, 65)
    assert name_age_ranges([0, 1, 18, 65]) == ("0", "1-17", "18-64", "65+")
    assert name_age_ranges((0,)) == ("0+",)
    assert find_age_range(64.9, (0, 18, 65)) == "18-64"


@pytest.mark.parametrize("years", [(), (5, 10), (0, 10, 10), (0, 20, 10)])
def test_first_years_must_rise_from_0(years):
    with pytest.raises(
        ValueError,
        match=r"`scheme` must be first years that begin with 0 and rise; got (none|[\d, ]+)\.",
    ):
        name_age_ranges(years)


@pytest.mark.parametrize("function", [name_age_ranges, lambda scheme: find_age_range(30, scheme)])
def test_unknown_scheme_is_an_error(function):
    with pytest.raises(
        ValueError,
        match=r"`scheme` must be one of paper, decades, fairface, stages; got 'zodiac'\.",
    ):
        function("zodiac")


@pytest.mark.parametrize("age_years", [-0.1, float("nan")])
def test_impossible_age_is_an_error(age_years):
    with pytest.raises(ValueError, match=rf"`age_years` must be 0 or more; got {age_years}\."):
        find_age_range(age_years)


@pytest.mark.parametrize(
    ("mapping", "labels"),
    [
        (UTKFACE_GENDERS, GENDERS),
        (UTKFACE_ETHNICITIES, ETHNICITIES),
        (FER2013_EMOTIONS, EMOTIONS),
        (CK_PLUS_EMOTIONS, EMOTIONS),
        (FAIRFACE_GENDERS, GENDERS),
        (IMDB_WIKI_GENDERS, GENDERS),
    ],
)
def test_datasets_labels_map_onto_ours(mapping, labels):
    assert sorted(mapping.values()) == sorted(labels)


def test_coarser_and_finer_labels_map_onto_ours():
    assert set(FAIRFACE_ETHNICITIES.values()) == set(ETHNICITIES)
    for attribute in ("gender", "ethnicity", "emotion"):
        assert set(DATATURKS_LABELS[attribute].values()) <= set(LABELS[attribute])


def test_codes_name_what_is_mapped():
    assert set(FER2013_CODES.values()) == set(FER2013_EMOTIONS)
    assert set(CK_PLUS_CODES.values()) - set(CK_PLUS_EMOTIONS) == {"contempt"}


@pytest.mark.parametrize("name", FAIRFACE_AGES)
def test_the_middle_of_a_range_lies_in_it(name):
    assert find_age_range(FAIRFACE_AGES[name], "fairface") == {"more than 70": "70+"}.get(
        name, name
    )
