import numpy as np
import pandas as pd
import pytest

from facekit.lessons import check_answer, check_range
from facekit.lessons.checking import AnswerError


@pytest.mark.parametrize(
    ("answer", "expected", "tolerance"),
    [
        (3, 3, 0),
        (np.float32(0.301), 0.3, 0.01),
        (True, True, 0),
        ("fear", "fear", 0),
        ([1, 2], np.array([1.0, 2.0]), 0),
        (pd.Series([0.5, 0.25]), [0.5, 0.2], 0.06),
        ({"a": 1.0}, {"a": 1.0}, 0),
        ({"b", "a"}, {"a", "b"}, 0),
        (["fear", "anger"], pd.Index(["fear", "anger"]), 0),
        ([], [], 0),
    ],
)
def test_correct(answer, expected, tolerance, capsys):
    check_answer("mine", answer, expected, tolerance)
    assert capsys.readouterr().out == "`mine`: correct.\n"


@pytest.mark.parametrize(
    ("answer", "expected", "message"),
    [
        (..., 3, "`mine` has no value yet. Replace `...` with your code."),
        (None, 3, "`mine` has no value yet"),
        (4, 3, r"the largest difference from the expected value is 1, and 0 is allowed"),
        (float("nan"), 3, "is not correct yet"),
        ([1, 2], 3, r"must have the shape of one value; got \(2,\)"),
        ([1, 2], [1, 2, 3], r"must have the shape \(3,\); got \(2,\)"),
        ("three", 3, "must be numeric; got str"),
        ("anger", "fear", "is not correct yet. Read the hint"),
        (False, True, "is not correct yet"),
    ],
)
def test_wrong(answer, expected, message):
    with pytest.raises(AnswerError, match=message):
        check_answer("mine", answer, expected)


def test_a_notebook_shows_one_sentence():
    error = AnswerError("Wrong.")
    assert error._render_traceback_() == ["Wrong."]


def test_range(capsys):
    check_range("accuracy", 0.66, 0.5, 0.8)
    check_range("accuracy", 0.9, 0.5, 0.8, when=False)
    assert capsys.readouterr().out == (
        "accuracy: 0.66, expected 0.5 to 0.8.\n"
        "accuracy: 0.9, not checked: the expected range is for the lesson's own data.\n"
    )
    with pytest.raises(AnswerError, match=r"accuracy must be between 0.5 and 0.8; got 0.81"):
        check_range("accuracy", 0.81, 0.5, 0.8)
    with pytest.raises(AnswerError, match="got nan"):
        check_range("accuracy", float("nan"), 0.5, 0.8)
