"""Label sets, and the mappings from each dataset's labels to them.

The order of a tuple is the class index everywhere: in the networks' outputs, in tables, in legends.
How labels are drawn is left to `drawing` and `plotting`.
"""

import itertools
from collections.abc import Sequence

ATTRIBUTES = ("age", "gender", "emotion", "ethnicity")
# Ethnicity is sensitive: it is predicted only on request.
DEFAULT_ATTRIBUTES = ("age", "gender", "emotion")

GENDERS = ("female", "male")
EMOTIONS = ("anger", "disgust", "fear", "happiness", "neutral", "sadness", "surprise")
ETHNICITIES = ("white", "black", "asian", "indian", "other")
AGES_YEARS = tuple(range(101))  # one class per year; the last one means 100 and older

LABELS = {"age": AGES_YEARS, "gender": GENDERS, "emotion": EMOTIONS, "ethnicity": ETHNICITIES}

# First year of each class; a class ends where the next one begins, and the last one is open.
AGE_SCHEMES = {
    "paper": (0, 3, 10, 21, 28, 46, 66),  # the seven classes of "Toward Affective Intelligence"
    "decades": tuple(range(0, 80, 10)),
    "fairface": (0, 3, 10, 20, 30, 40, 50, 60, 70),
    "stages": (0, 13, 20, 40, 60),  # child, teenager, young adult, middle-aged, senior
}
DEFAULT_AGE_SCHEME = "paper"

# Left and right as the viewer sees them.
LANDMARKS = ("left_eye", "right_eye", "nose", "mouth_left", "mouth_right")

UTKFACE_GENDERS = {0: "male", 1: "female"}
UTKFACE_ETHNICITIES = {0: "white", 1: "black", 2: "asian", 3: "indian", 4: "other"}
# In the original csv.
FER2013_CODES = dict(enumerate(("angry", "disgust", "fear", "happy", "sad", "surprise", "neutral")))
FER2013_EMOTIONS = {
    "angry": "anger", "disgust": "disgust", "fear": "fear", "happy": "happiness",
    "neutral": "neutral", "sad": "sadness", "surprise": "surprise",
}  # fmt: skip
# In the folder `Emotion`.
CK_PLUS_CODES = dict(
    enumerate(("neutral", "anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise"))
)
# Contempt has no counterpart among the seven emotions and is left out.
CK_PLUS_EMOTIONS = {
    "neutral": "neutral", "anger": "anger", "disgust": "disgust", "fear": "fear",
    "happy": "happiness", "sadness": "sadness", "surprise": "surprise",
}  # fmt: skip
IMDB_WIKI_GENDERS = {0: "female", 1: "male"}
FAIRFACE_GENDERS = {"Female": "female", "Male": "male"}
FAIRFACE_ETHNICITIES = {
    "White": "white", "Black": "black", "East Asian": "asian", "Southeast Asian": "asian",
    "Indian": "indian", "Middle Eastern": "other", "Latino_Hispanic": "other",
}  # fmt: skip
# The middle of each range, years. For an open range, the age is five years from its bound in
# FairFace and ten in DataTurks, whose ranges are wider.
FAIRFACE_AGES = {
    "0-2": 1.5, "3-9": 6.5, "10-19": 15.0, "20-29": 25.0, "30-39": 35.0, "40-49": 45.0,
    "50-59": 55.0, "60-69": 65.0, "more than 70": 75.0,
}  # fmt: skip
# Each label belongs to one attribute, except `others`, which annotators used for ethnicity and for
# gender.
DATATURKS_LABELS = {
    "gender": {"G_Female": "female", "G_Male": "male"},
    "ethnicity": {
        "E_White": "white", "E_Black": "black", "E_Asian": "asian", "E_Indian": "indian",
        "E_Hispanic": "other", "E_Arab": "other", "others": "other",
    },
    "emotion": {
        "Emotion_Angry": "anger", "Emotion_Happy": "happiness", "Emotion_Neutral": "neutral",
        "Emotion_Sad": "sadness",
        # Not in the file of 2018:
        "Emotion_Disgust": "disgust", "Emotion_Fear": "fear", "Emotion_Surprise": "surprise",
    },
    "age": {
        "Age_below20": 10.0, "Age_20_30": 25.0, "Age_30_40": 35.0, "Age_40_50": 45.0,
        "Age_above_50": 60.0,
    },
}  # fmt: skip
# The first year of each range.
DATATURKS_AGES = {
    "Age_below20": 0,
    "Age_20_30": 20,
    "Age_30_40": 30,
    "Age_40_50": 40,
    "Age_above_50": 50,
}
# First year of each band, for datasets whose ages are bands: the age in a manifest is the middle.
AGE_BANDS = {"fairface": AGE_SCHEMES["fairface"], "dataturks": tuple(DATATURKS_AGES.values())}


def find_first_years(scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME) -> tuple[int, ...]:
    """Return the first year of each age class of a scheme.

    Args:
        scheme: A key of `AGE_SCHEMES`, or your own first years, from 0 up.

    Raises:
        ValueError: If it is neither.

    Example:
        >>> find_first_years("stages")
        (0, 13, 20, 40, 60)
    """
    if isinstance(scheme, str):
        if scheme not in AGE_SCHEMES:
            raise ValueError(f"`scheme` must be one of {', '.join(AGE_SCHEMES)}; got {scheme!r}.")
        return AGE_SCHEMES[scheme]
    starts = tuple(scheme)
    if starts[:1] != (0,) or any(first >= after for first, after in itertools.pairwise(starts)):
        raise ValueError(
            "`scheme` must be first years that begin with 0 and rise; "
            f"got {', '.join(map(str, starts)) or 'none'}."
        )
    return starts


def name_age_ranges(scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME) -> tuple[str, ...]:
    """Return the names of the age classes of a scheme.

    Args:
        scheme: As for `find_first_years`.

    Raises:
        ValueError: As `find_first_years`.

    Example:
        >>> name_age_ranges("paper")
        ('0-2', '3-9', '10-20', '21-27', '28-45', '46-65', '66+')
    """
    starts = find_first_years(scheme)
    ends = (
        f"{first}-{after - 1}" if after - first > 1 else f"{first}"
        for first, after in itertools.pairwise(starts)
    )
    return (*ends, f"{starts[-1]}+")


def find_age_range(age_years: float, scheme: str | Sequence[int] = DEFAULT_AGE_SCHEME) -> str:
    """Return the name of the age class of an age.

    Args:
        age_years: 0 or more; fractions are rounded down.
        scheme: As for `find_first_years`.

    Raises:
        ValueError: If the age is negative, or the scheme unknown.

    Example:
        >>> find_age_range(9.9), find_age_range(9.9, "decades")
        ('3-9', '0-9')
    """
    names = name_age_ranges(scheme)
    if not age_years >= 0:
        raise ValueError(f"`age_years` must be 0 or more; got {age_years}.")
    return names[sum(int(age_years) >= first for first in find_first_years(scheme)) - 1]
