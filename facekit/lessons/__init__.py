"""What lessons need besides the subject they teach, and the course itself as files.

`parameters` checks what a user sets, `faces` gives faces to learn from, `films` reads a film,
`checking` checks answers and ranges of results, `exercises` makes the exercises from the solutions,
`courseware` copies the course out of the package. `require_training` comes from
`training.backend`, and `show` from `plotting.display`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from facekit.lessons.checking import AnswerError, check_answer, check_range
from facekit.lessons.courseware import copy_course
from facekit.lessons.faces import load_faces, read_dataset, require_labels
from facekit.lessons.films import read_film
from facekit.lessons.parameters import (
    ParameterError,
    check_parameters,
    require_faces,
    require_frames,
    require_index,
)
from facekit.training.backend import MissingPackageError, require_training

if TYPE_CHECKING:
    from facekit.plotting.display import show

__all__ = [
    "AnswerError",
    "MissingPackageError",
    "ParameterError",
    "check_answer",
    "check_parameters",
    "check_range",
    "copy_course",
    "load_faces",
    "read_dataset",
    "read_film",
    "require_faces",
    "require_frames",
    "require_index",
    "require_labels",
    "require_training",
    "show",
]


def __getattr__(name: str) -> object:
    """Import `show` on use: matplotlib is in an extra, and copying the course needs no extra."""
    if name == "show":
        from facekit.plotting.display import show

        return show
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
