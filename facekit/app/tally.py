"""What a card says of a face, and how many faces were seen in the last minutes.

Nothing is stored: counts are numbers in memory, and faces that were last seen before the minutes
that count are deleted.
"""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Hashable
from dataclasses import dataclass, field

from facekit.faces import Profile, name_unsure
from facekit.taxonomy import EMOTIONS, GENDERS, name_age_ranges

MINUTES = 10.0


def describe_face(number: int, profile: Profile) -> dict:
    """Return the content of a face's card.

    Args:
        number: Number of the face.
        profile: Predicted attributes of the face.

    Returns:
        `number`; the predicted `age_range`, `gender` and `emotion`, which are `None` if they were
        not requested or are not sure; and `unsure`, a note on those that are not sure.

    Example:
        >>> profile = Profile(gender="female", emotion="fear", unsure=("emotion",))
        >>> card = describe_face(3, profile)
        >>> card["gender"], card["emotion"], card["unsure"]
        ('female', None, 'not sure of emotion')
    """
    return {
        "number": number,
        "age_range": profile.age_range if profile.is_sure("age") else None,
        "gender": profile.gender if profile.is_sure("gender") else None,
        "emotion": profile.emotion if profile.is_sure("emotion") else None,
        "unsure": name_unsure(profile),
    }


@dataclass(frozen=True)
class _Sighting:
    """A face as it was last seen."""

    count: int
    seconds: float
    card: dict


@dataclass
class Tally:
    """The faces that were seen in the last minutes.

    Attributes:
        minutes: How long a face counts after it was last seen; above 0 and finite.
        least_sightings: How often a face must be seen until it counts.

    Raises:
        ValueError: If `minutes` is out of its range.

    Example:
        >>> tally = Tally(minutes=1)
        >>> tally.see("a", describe_face(0, Profile(gender="male")), 0)
        >>> tally.count(30)["gender"], tally.count(90)["faces"]
        ({'female': 0, 'male': 1}, 0)
    """

    minutes: float = MINUTES
    least_sightings: int = 1
    _seen: dict[Hashable, _Sighting] = field(default_factory=dict, repr=False)

    def __post_init__(self) -> None:
        if not (self.minutes > 0 and math.isfinite(self.minutes)):
            raise ValueError(f"`minutes` must be above 0 and finite; got {self.minutes}.")

    def see(self, key: Hashable, card: dict, seconds: float) -> None:
        """Record that a face was seen.

        Args:
            key: Identity of the face.
            card: Content of its card, from `describe_face`.
            seconds: The time.
        """
        before = self._seen.get(key)
        self._seen[key] = _Sighting(before.count + 1 if before else 1, seconds, card)

    def count(self, seconds: float) -> dict:
        """Count the faces of the last minutes, and their labels; labels that are not sure are not.

        Args:
            seconds: The time.

        Returns:
            `minutes`, `faces`, and for each of `age_range`, `gender` and `emotion` a dict with one
            number per label, in the order of the labels.
        """
        oldest = seconds - 60 * self.minutes
        self._seen = {key: face for key, face in self._seen.items() if face.seconds >= oldest}
        cards = [face.card for face in self._seen.values() if face.count >= self.least_sightings]
        counts: dict = {"minutes": self.minutes, "faces": len(cards)}
        for name, labels in (
            ("age_range", name_age_ranges()),
            ("gender", GENDERS),
            ("emotion", EMOTIONS),
        ):
            found = Counter(card[name] for card in cards)
            counts[name] = {label: found[label] for label in labels}
        return counts
