"""Decide which texts name the same class, so that no class is split in two by its spelling.

Blanks around a text are removed before and accented letters have one form (see
`datasets.csv_reading`). Texts that still differ, but only in upper and lower case, in blanks, in
invisible characters or in the way a number or truth value is written (`1`, `1.0`, `True`), are
ambiguous. Where one of the spellings is a facekit label (`Female`, `female`), that label is meant;
otherwise the table is refused.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable

from facekit.taxonomy import LABELS

TRUTHS = {"true": 1.0, "false": 0.0}
KNOWN = {str(label): str(label) for name in LABELS if name != "age" for label in LABELS[name]}


def make_key(text: str) -> str | float:
    r"""Return what all spellings of a class have in common.

    Example:
        >>> make_key("Very  Happy") == make_key("very happy")
        True
        >>> make_key("1") == make_key("1.0") == make_key("True")
        True
    """
    folded = unicodedata.normalize("NFKC", text).casefold()
    visible = "".join(letter for letter in folded if unicodedata.category(letter) != "Cf")
    words = " ".join(visible.split())
    if words in TRUTHS:
        return TRUTHS[words]
    try:
        number = float(words)
    except ValueError:
        return words
    return words if number != number else number  # nan equals nothing, not even itself


def unify_spellings(texts: Iterable[str], attribute: str = "") -> dict[str, str]:
    """Return the class that each text names.

    Args:
        texts: Labels, and names of classes.
        attribute: A key of `taxonomy.LABELS` if the labels are those of facekit.

    Returns:
        For each different text its class. This is the facekit label where all texts are spellings
        of facekit labels, where `attribute` is given, or where a label of facekit has several
        spellings; else the text itself.

    Raises:
        ValueError: If two texts differ only in their spelling and are no facekit label. The message
            is a clause that names them.

    Example:
        >>> unify_spellings(["Female", "male"])
        {'Female': 'female', 'male': 'male'}
        >>> unify_spellings(["Cat", "cat"])
        Traceback (most recent call last):
        ValueError: 'Cat' and 'cat' differ only in their spelling; write each class in one way
    """
    spellings: dict[str | float, list[str]] = {}
    for text in sorted(set(texts)):
        spellings.setdefault(make_key(text), []).append(text)
    ours = attribute in LABELS or all(key in KNOWN for key in spellings)
    classes: dict[str, str] = {}
    for key, different in spellings.items():
        if key in KNOWN and (ours or len(different) > 1):
            name = KNOWN[str(key)]
        elif len(different) == 1:
            name = different[0]
        else:
            raise ValueError(
                f"{' and '.join(map(repr, different))} differ only in their spelling; "
                "write each class in one way"
            )
        classes |= dict.fromkeys(different, name)
    return classes


def are_numbers(classes: Iterable[str]) -> bool:
    """Return whether all classes are numbers other than 0 and 1, or truth values.

    Numbers may be years or the indices of classes. 0 and 1, True and False are always classes.

    Example:
        >>> are_numbers(["23", "31"]), are_numbers(["0", "1"]), are_numbers(["1", "one"])
        (True, False, False)
    """
    keys = {make_key(text) for text in classes}
    return all(isinstance(key, float) for key in keys) and not keys <= {0.0, 1.0}
