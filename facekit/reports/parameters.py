"""Read, convert and check the parameters of a report.

A wrong parameter gives one sentence that names it: here if its type is wrong, and in the notebook,
by `explain_parameter` and `require_number`, if its value does not fit.
"""

from __future__ import annotations

import ast
import contextlib
from collections.abc import Iterator, Mapping
from typing import TYPE_CHECKING

from facekit.registry import ModelError

if TYPE_CHECKING:
    import nbformat

TYPE_NAMES = {bool: "True or False", int: "a whole number", float: "a number", str: "text"}
TRUTHS = {"true": True, "false": False}


class ReportError(RuntimeError):
    """A report that could not be made. The message says why, and where an incomplete one is.

    Example:
        >>> from nbformat.v4 import new_notebook
        >>> read_parameters(new_notebook())
        Traceback (most recent call last):
        facekit.reports.parameters.ReportError: A report's notebook must have a cell ...
    """


class ParameterError(ReportError):
    """A parameter of a notebook that does not fit; shown as a sentence, without a traceback.

    Example:
        >>> choose_parameters({"count": 3}, {"count": "many"})
        Traceback (most recent call last):
        facekit.reports.parameters.ParameterError: The parameter count must be a whole number; ...
    """

    def _render_traceback_(self) -> list[str]:  # called by IPython
        return [str(self)]


def read_parameters(notebook: nbformat.NotebookNode) -> dict:
    """Return the parameters of a notebook with their defaults.

    Args:
        notebook: A notebook with one cell tagged `parameters`, which assigns plain values.

    Raises:
        ReportError: If it has no such cell.

    Example:
        >>> from nbformat.v4 import new_code_cell, new_notebook
        >>> cell = new_code_cell("count = 3", metadata={"tags": ["parameters"]})
        >>> read_parameters(new_notebook(cells=[cell]))
        {'count': 3}
    """
    cells = [cell for cell in notebook.cells if "parameters" in cell.metadata.get("tags", [])]
    if not cells:
        raise ReportError("A report's notebook must have a cell with the tag `parameters`.")
    return {
        target.id: ast.literal_eval(line.value)
        for line in ast.parse(cells[0].source).body
        if isinstance(line, ast.Assign)
        for target in line.targets
        if isinstance(target, ast.Name)
    }


def choose_parameters(defaults: Mapping, given: Mapping[str, str]) -> dict:
    """Return the given parameters, each in the type of its default.

    Args:
        defaults: From `read_parameters`.
        given: Values as text, by name.

    Raises:
        ParameterError: If a name is unknown, or a value has the wrong type.

    Example:
        >>> choose_parameters({"count": 3, "marked": False}, {"count": "5", "marked": "true"})
        {'count': 5, 'marked': True}
    """
    chosen: dict = {}
    for name, text in given.items():
        if name not in defaults:
            raise ParameterError(
                f"The report has no parameter {name!r}; it has {', '.join(defaults)}."
            )
        kind = type(defaults[name])
        try:
            chosen[name] = TRUTHS[str(text).lower()] if kind is bool else kind(text)
        except (KeyError, ValueError):
            raise ParameterError(
                f"The parameter {name} must be {TYPE_NAMES.get(kind, kind.__name__)}; got {text!r}."
            ) from None
    return chosen


@contextlib.contextmanager
def explain_parameter(name: str) -> Iterator[None]:
    """Turn foreseeable errors of a report's cell into one sentence that names the parameter.

    Args:
        name: The parameter that the cell works with.

    Raises:
        ParameterError: In place of an error of a file, of a value, of a type or of a model.

    Example:
        >>> with explain_parameter("photo"):
        ...     raise FileNotFoundError("me.jpg: no such file")
        Traceback (most recent call last):
        facekit.reports.parameters.ParameterError: The parameter photo does not fit: me.jpg: ...
    """
    try:
        yield
    except ParameterError:
        raise
    except (OSError, ValueError, TypeError, ModelError) as error:
        raise ParameterError(f"The parameter {name} does not fit: {error}") from None


def require_number(name: str, value: object, low: int, high: int) -> None:
    """Check a parameter that is a whole number.

    Args:
        name: Its name.
        value: Its value.
        low: The smallest value allowed.
        high: The largest value allowed.

    Raises:
        ParameterError: If it is not a whole number from `low` to `high`.

    Example:
        >>> require_number("seed", "zero", 0, 9)
        Traceback (most recent call last):
        facekit.reports.parameters.ParameterError: The parameter seed must be a whole number ...
    """
    if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
        raise ParameterError(
            f"The parameter {name} must be a whole number from {low:,} to {high:,}; got {value!r}."
        )
