import json
from dataclasses import replace

import pytest

from facekit.app.tally import Tally, describe_face
from facekit.faces import Profile

HAPPY = Profile(age_years=25, age_range="21-27", gender="female", emotion="happiness")
DOUBTFUL = Profile(
    age_years=85, age_range="66+", gender="male", emotion="neutral", unsure=("age", "emotion")
)


@pytest.mark.parametrize(
    ("profile", "answers", "note"),
    [
        (HAPPY, ("21-27", "female", "happiness"), ""),
        (DOUBTFUL, (None, "male", None), "not sure of age, emotion"),
        (replace(DOUBTFUL, unsure=("age", "gender", "emotion")), (None, None, None), "not sure"),
        (Profile(), (None, None, None), ""),
    ],
)
def test_a_card_holds_what_is_sure(profile, answers, note):
    card = describe_face(3, profile)
    assert (card["age_range"], card["gender"], card["emotion"]) == answers
    assert (card["number"], card["unsure"]) == (3, note)
    json.dumps(card)


class TestTally:
    def test_nobody(self):
        counts = Tally().count(0)
        assert (counts["faces"], sum(counts["emotion"].values())) == (0, 0)

    def test_a_face_counts_once_and_as_last_seen(self):
        tally = Tally()
        for second, profile in enumerate((DOUBTFUL, HAPPY, HAPPY)):
            tally.see("a", describe_face(0, profile), second)
        tally.see("b", describe_face(1, DOUBTFUL), 2)
        counts = tally.count(2)
        assert counts["faces"] == 2
        assert counts["gender"] == {"female": 1, "male": 1}
        # An age or an emotion that is not sure is not counted.
        assert {name: count for name, count in counts["age_range"].items() if count} == {"21-27": 1}
        assert {name: count for name, count in counts["emotion"].items() if count} == {
            "happiness": 1
        }

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
