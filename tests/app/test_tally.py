import json

import pytest

from facekit.app.tally import Tally, describe_face
from facekit.faces import Profile

HAPPY = Profile(
    age_years=25, age_range="21-27", gender="female", emotion="happiness", confidence_score=0.8
)
DOUBTFUL = Profile(
    age_years=85, age_range="66+", gender="male", emotion="neutral", confidence_score=0.3
)


@pytest.mark.parametrize(
    ("profile", "sure"),
    [(HAPPY, True), (DOUBTFUL, False), (Profile(confidence_score=0.5), True), (Profile(), False)],
)
def test_a_card_says_when_it_is_not_sure(profile, sure):
    card = describe_face(3, profile)
    assert card["sure"] is sure
    assert (card["number"], card["age_range"], card["gender"]) == (
        3,
        profile.age_range,
        profile.gender,
    )
    json.dumps(card)


class TestTally:
    def test_nobody(self):
        counts = Tally().count(0)
        assert (counts["faces"], counts["unsure"], sum(counts["emotion"].values())) == (0, 0, 0)

    def test_a_face_counts_once_and_as_last_seen(self):
        tally = Tally()
        for second, profile in enumerate((DOUBTFUL, HAPPY, HAPPY)):
            tally.see("a", describe_face(0, profile), second)
        tally.see("b", describe_face(1, DOUBTFUL), 2)
        counts = tally.count(2)
        assert (counts["faces"], counts["unsure"]) == (2, 1)
        assert (
            counts["age_range"]["21-27"],
            counts["gender"]["female"],
            counts["emotion"]["happiness"],
        ) == (1, 1, 1)
        assert (counts["age_range"]["66+"], counts["gender"]["male"]) == (
            0,
            0,
        )  # what is not sure is not counted as if it were

    def test_what_is_old_is_forgotten(self):
        tally = Tally(minutes=1)
        tally.see("a", describe_face(0, HAPPY), 0)
        assert tally.count(60)["faces"] == 1
        assert tally.count(60.1)["faces"] == 0
        assert tally._seen == {}

    def test_what_flashes_up_does_not_count(self):
        tally = Tally(least_sightings=2)
        tally.see("a", describe_face(0, HAPPY), 0)
        assert tally.count(0)["faces"] == 0
        tally.see("a", describe_face(0, HAPPY), 1)
        assert tally.count(1)["faces"] == 1

    @pytest.mark.parametrize("minutes", [0, -1, float("nan"), float("inf")])
    def test_minutes_out_of_range(self, minutes):
        with pytest.raises(
            ValueError, match=f"`minutes` must be above 0 and finite; got {minutes}"
        ):
            Tally(minutes=minutes)
