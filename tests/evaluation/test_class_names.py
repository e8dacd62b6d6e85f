"""Spellings of classes: which are the same, which are refused."""

import pytest

from facekit.evaluation.class_names import are_numbers, make_key, unify_spellings


@pytest.mark.parametrize(
    ("first", "second", "same"),
    [
        ("Cat", "cat", True),
        ("very  sad", "very sad", True),
        ("fe\u200bmale", "female", True),
        ("\uff43\uff41\uff54", "cat", True),  # wide letters
        ("1", "1.0", True),
        ("True", "1", True),
        ("nan", "NaN", True),
        ("cat", "cats", False),
        ("Zo\u00eb", "Zoe", False),
        ("0", "False", True),
        ("None", "NA", False),
    ],
)
def test_keys(first, second, same):
    assert (make_key(first) == make_key(second)) is same


@pytest.mark.parametrize(
    ("texts", "attribute", "expected"),
    [
        ([], "", {}),
        (["Male", "female"], "", {"Male": "male", "female": "female"}),
        (["Male", "dog"], "", {"Male": "Male", "dog": "dog"}),
        (["Male", "male", "dog"], "", {"Male": "male", "male": "male", "dog": "dog"}),
        (["Male", "dog"], "gender", {"Male": "male", "dog": "dog"}),
    ],
)
def test_labels_of_facekit_win(texts, attribute, expected):
    assert unify_spellings(texts, attribute) == expected


def test_other_spellings_are_refused():
    with pytest.raises(ValueError, match="'Dog' and 'dog' differ only in their spelling"):
        unify_spellings(["dog", "Dog", "Male"])


@pytest.mark.parametrize(
    ("classes", "expected"),
    [(["0", "1"], False), (["True"], False), (["2", "1"], True), (["2", "two"], False)],
)
def test_numbers(classes, expected):
    assert are_numbers(classes) is expected
