"""Check a student's answer, and check a result of training that differs between machines.

Both functions print one sentence where the value is as expected, and stop with one sentence where
it is not.
"""

from __future__ import annotations

import numpy as np
import pandas as pd


class AnswerError(AssertionError):
    """An answer is missing or wrong. Notebooks show its message without a traceback."""

    def _render_traceback_(self) -> list[str]:
        return [str(self)]


def check_answer(name: str, answer: object, expected: object, tolerance: float = 0.0) -> None:
    """Compare an answer with the expected one, and print that it is correct.

    Args:
        name: Name of the variable or the call, for the message.
        answer: The student's value: a number, a text, or a list, array or Series of them.
        expected: The value to compare with, of the same form.
        tolerance: Largest absolute difference of each number that still counts as correct.

    Raises:
        AnswerError: If the answer is still `...`, has another form, or differs.

    Example:
        >>> check_answer("mean_age", 35.21, 35.2, tolerance=0.05)
        `mean_age`: correct.
        >>> check_answer("mean_age", ..., 35.2)
        Traceback (most recent call last):
        ...
        facekit.lessons.checking.AnswerError: `mean_age` has no value yet. Replace `...`...
    """
    if answer is ... or answer is None:
        raise AnswerError(f"`{name}` has no value yet. Replace `...` with your code.")
    given, aim = _flatten(answer), _flatten(expected)
    if given.shape != aim.shape:
        raise AnswerError(
            f"`{name}` must have the shape {aim.shape or 'of one value'}; "
            f"got {given.shape or 'one value'}."
        )
    if _is_numeric(aim):
        if not _is_numeric(given):
            raise AnswerError(f"`{name}` must be numeric; got {type(answer).__name__}.")
        differences = np.abs(given.astype(float) - aim.astype(float))
        if not np.all(differences <= tolerance + 1e-12):
            raise AnswerError(
                f"`{name}` is not correct yet: the largest difference from the expected value is "
                f"{np.nanmax(differences) if np.isfinite(differences).any() else np.nan:.3g}, and "
                f"{tolerance:g} is allowed. Read the hint and try again."
            )
    elif not np.array_equal(given.astype(str), aim.astype(str)):
        raise AnswerError(f"`{name}` is not correct yet. Read the hint and try again.")
    print(f"`{name}`: correct.")


def check_range(name: str, value: float, low: float, high: float, when: bool = True) -> None:
    """Check that a result that differs between machines lies in a range, and print both.

    Networks that are trained on different processors end up with different weights. The text of a
    lesson relies on a range of results, and this function checks the range on every machine.

    Args:
        name: What the value is, as a noun.
        value: The result.
        low: Smallest value that the text of the lesson relies on.
        high: Largest such value.
        when: Whether the range applies; `False` with other data than the lesson's.

    Raises:
        AnswerError: If the value is outside.

    Example:
        >>> check_range("accuracy", 0.66, 0.6, 0.8)
        accuracy: 0.66, expected 0.6 to 0.8.
        >>> check_range("accuracy", 0.4, 0.6, 0.8, when=False)
        accuracy: 0.4, not checked: the expected range is for the lesson's own data.
    """
    if not when:
        print(f"{name}: {value:.4g}, not checked: the expected range is for the lesson's own data.")
        return
    if not low <= value <= high:
        raise AnswerError(f"{name} must be between {low:g} and {high:g}; got {value:.4g}.")
    print(f"{name}: {value:.4g}, expected {low:g} to {high:g}.")


def _flatten(value: object) -> np.ndarray:
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, (set, frozenset)):
        value = sorted(value)
    if isinstance(value, pd.DataFrame | pd.Series | pd.Index):
        value = value.to_numpy()
    return np.asarray(value)


def _is_numeric(values: np.ndarray) -> bool:
    return values.dtype.kind in "biuf"
