"""The record of a run: what was analyzed, what failed, and where the rows are."""

from __future__ import annotations

import csv
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from facekit.faces import COLUMNS, INTEGER_COLUMNS, TEXT_COLUMNS
from facekit.files import describe_error, replace_file, show_name
from facekit.tables import Row

if TYPE_CHECKING:
    import pandas as pd


LONGEST_NAME = 4096  # characters; a longer input is no path, and a sentence shows its beginning
ERRORS_HEADER = ("image", "error")


@dataclass(frozen=True)
class Failure:
    """An input that was not read, or not drawn.

    Attributes:
        image: The input.
        error: The reason, one line that starts with the name of the file.

    Example:
        >>> Failure("a.jpg", "a.jpg: No such file or directory").image
        'a.jpg'
    """

    image: str
    error: str


@dataclass(frozen=True, eq=False)
class BatchResult:
    """What a run has done.

    Attributes:
        files: Number of files that were analyzed.
        faces: Number of faces in them; in a video each frame counts its own.
        failures: Inputs that could not be read, and drawings that could not be written.
        output: The table that was written; `None` without one.
        rows: Without an output, one dict per face with the keys of `faces.COLUMNS`.

    Example:
        >>> row = dict.fromkeys(COLUMNS) | {"image": "a.jpg", "face": 0, "gender": "female"}
        >>> result = BatchResult(files=1, faces=1, rows=(row,))
        >>> result.to_frame()[["image", "gender"]].to_numpy().tolist()
        [['a.jpg', 'female']]
    """

    files: int
    faces: int
    failures: tuple[Failure, ...] = ()
    output: Path | None = None
    rows: tuple[Row, ...] = ()

    def to_frame(self) -> pd.DataFrame:
        """Return one row per face with the columns of `faces.COLUMNS`, read from the output if any.

        Raises:
            OSError: If the output cannot be read.
        """
        import pandas as pd  # takes a third of a second to import

        if self.output is None:
            rows = [row | {"image": show_name(row["image"])} for row in self.rows]
            table = pd.DataFrame(rows, columns=list(COLUMNS))
        elif self.output.suffix.lower() == ".parquet":
            table = pd.read_parquet(self.output)
        elif self.output.suffix.lower() == ".csv":
            table = pd.read_csv(self.output, dtype=dict.fromkeys(TEXT_COLUMNS, "str"))
        else:
            table = pd.read_json(self.output, lines=True, dtype=False).reindex(columns=COLUMNS)
        types = dict.fromkeys(COLUMNS, "float64") | dict.fromkeys(TEXT_COLUMNS, "str")
        return table.astype(types | dict.fromkeys(INTEGER_COLUMNS, "Int64"))


def describe_failure(name: str, error: Exception) -> Failure:
    """Return the record of an input that could not be read, with a message that names it.

    Example:
        >>> describe_failure("a.jpg", ValueError("is empty")).error
        'a.jpg: is empty'
    """
    message = describe_error(error)
    shown = show_name(name if len(name) <= LONGEST_NAME else f"{name[:80]}...")
    if shown[:60] not in message and show_name(str(Path(name)))[:60] not in message:
        message = f"{shown}: {message}"
    return Failure(shown, message)


def write_errors(failures: Iterable[Failure], path: Path) -> None:
    """Write the list of errors as csv, whole or not at all.

    Raises:
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "errors.csv")
        >>> write_errors([Failure("a.jpg", "a.jpg: is empty")], path)
        >>> path.read_text().splitlines()
        ['image,error', 'a.jpg,a.jpg: is empty']
    """
    with (
        replace_file(path) as temporary,
        temporary.open("w", newline="", encoding="utf-8") as file,
    ):
        table = csv.writer(file, lineterminator="\n")
        table.writerow(ERRORS_HEADER)
        table.writerows((failure.image, failure.error) for failure in failures)
