"""Keep the rows of a run that is under way in a file, so that no interruption loses them.

The journal of `faces.csv` is `.faces.csv.partial` beside it: JSON lines, a header first, then for
each input a line with its name, lines of rows, and a line that ends it. Every form of table is
written from it at the end. A killed program leaves it behind, and `--resume` continues from it.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import tempfile
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from facekit.batch.outputs import OptionError
from facekit.batch.walk import InputFile
from facekit.faces import COLUMNS
from facekit.files import replace_file
from facekit.tables import Row, open_table, read_first_line

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

TITLE = "rows of an interrupted run of facekit"
VERSION = 1
LONGEST_NAME = 240  # bytes of the output's name that the journal's name repeats
MAX_PENDING = 64 << 20  # bytes that wait in memory for a full disk to get free space
RESERVE = 32 << 10  # bytes of the disk that drawings cannot take from the table


def get_journal_path(output: Path) -> Path:
    """Return the path of an output's journal.

    Example:
        >>> get_journal_path(Path("faces.csv")).name
        '.faces.csv.partial'
    """
    place = Path(os.path.realpath(output))
    name = os.fsencode(place.name)[:LONGEST_NAME]
    return place.with_name(f".{os.fsdecode(name)}.partial")


class Journal:
    """The rows of a run, on disk.

    Args:
        output: The table that `save` writes at the end.
        options: The options of the run that decide about its rows; plain JSON values.
        resume: The files of this run; rows of those that an interrupted run finished are kept if
            the file has not changed since. `None` starts anew.

    Raises:
        OptionError: If something else has the journal's name, another run is writing the same
            table, or an interrupted run had other options.
        OSError: If the journal cannot be read.

    Attributes:
        path: Of the journal.
        finished: How often each file, name and stamp, was finished by the interrupted run.
        failure: Why rows wait in memory, such as a full disk; `None` if none do.
        has_finished: Whether a finished file is on disk.

    Example:
        >>> journal = Journal(Path(tempfile.mkdtemp(), "faces.csv"), options={})
        >>> journal.start(InputFile("a.jpg", Path("a.jpg")))
        >>> journal.write([dict.fromkeys(COLUMNS) | {"face": 0}])
        >>> journal.end(complete=True)
        >>> [(name, len(rows)) for name, rows in journal.read_rows()]
        [('a.jpg', 1)]
        >>> journal.close(keep=False)
    """

    def __init__(
        self, output: Path, options: dict[str, Any], resume: Sequence[InputFile] | None = None
    ) -> None:
        self._output = output
        self.path = get_journal_path(output)
        self.finished: Counter[tuple[str, tuple[int, int] | None]] = Counter()
        self.failure: OSError | None = None
        self.has_finished = self._has_ended = False
        self._pending = b""
        self._length = 0  # of the file's part that counts; an interruption may leave more
        header = {"facekit": TITLE, "version": VERSION, "options": options}
        earlier = self._read_header()
        self._file = self._open()
        if resume is None or earlier is None:
            self._file.truncate(0)
        elif earlier != header:
            self._file.close()
            raise OptionError(
                "resume",
                f"{output}: the interrupted run had other options; repeat its command, "
                "or start anew without --resume.",
            )
        else:
            self._keep_finished(resume, header)
            self._file.close()
            self._file = self._open()
        self._length = self.path.stat().st_size
        self._reserve = contextlib.ExitStack()
        with contextlib.suppress(OSError):
            # A file without a name, which vanishes with the process however that ends.
            file = self._reserve.enter_context(
                tempfile.TemporaryFile(dir=self.path.parent, buffering=0)  # noqa: SIM115
            )
            file.write(bytes(RESERVE))
        self._append([] if self._length else [header])

    def _open(self) -> io.FileIO:
        # Unbuffered, so that a failed write leaves nothing behind that is written later.
        file = self.path.open("ab", buffering=0)
        if fcntl is None:
            return file
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.close()
            raise OptionError(
                "output",
                f"{self._output}: another run is writing this table; wait for its end, "
                "or name another output.",
            ) from None
        except OSError:  # a network drive without locks
            pass
        return file

    def _read_header(self) -> dict | None:
        if not os.path.lexists(self.path):
            return None
        if self.path.is_file() and self.path.stat().st_size == 0:  # left by a full disk
            return None
        try:
            header = json.loads(read_first_line(self.path)) if self.path.is_file() else None
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("facekit") != TITLE:
            raise OptionError(
                "output", f"{self.path} is in the way; delete it or name another output."
            )
        return header

    def _keep_finished(self, files: Sequence[InputFile], header: dict) -> None:
        """Drop all rows but those of files that were finished and have not changed since."""
        self._length = self.path.stat().st_size
        wanted = Counter((file.name, file.stamp) for file in files if file.stamp)
        with replace_file(self.path) as temporary, temporary.open("wb") as kept:
            kept.write(_encode(header))
            start, key = kept.tell(), None
            for line in self._read_lines():
                if "file" in line:
                    kept.truncate(start)  # rows of a file that was not finished
                    kept.seek(start)
                    stamp = line["stamp"]
                    key = line["file"], stamp and (stamp[0], stamp[1])
                kept.write(_encode(line))
                if line.get("end") and key is not None and self.finished[key] < wanted[key]:
                    self.finished[key] += 1
                    self._has_ended = True
                    start = kept.tell()
            kept.truncate(start)

    def start(self, file: InputFile) -> None:
        """Note that the rows of a file follow."""
        self._append([{"file": file.name, "stamp": file.stamp}])

    def write(self, rows: Sequence[Row]) -> None:
        """Append rows of the file that was started."""
        self._append([{"rows": [[row[name] for name in COLUMNS[1:]] for row in rows]}])

    def end(self, complete: bool) -> None:
        """Note that the file has no more rows, and whether all of it was read and drawn."""
        self._has_ended = True
        self._append([{"end": complete}])

    def read_rows(self) -> Iterator[tuple[str, list[Row]]]:
        """Yield rows of each file, in the order in which they were written, and the file's name."""
        name = ""
        for line in self._read_lines():
            name = line.get("file", name)
            if rows := line.get("rows"):
                yield name, [dict(zip(COLUMNS, (name, *row), strict=True)) for row in rows]

    def save(self) -> None:
        """Write the table.

        Raises:
            OSError: If it cannot be written. The old table stays, and so does the journal.
        """
        self._reserve.close()
        try:
            self._save()
        except OSError:
            if self._length > MAX_PENDING:
                raise
            # The disk may have space for the journal or the table, but not for both.
            content, length = self.path.read_bytes()[: self._length], self._length
            self._length, self._pending = 0, content + self._pending
            self._file.truncate(0)
            try:
                self._save()
            except BaseException:
                with contextlib.suppress(OSError):
                    self.path.write_bytes(content)
                self._length, self._pending = length, self._pending[length:]
                raise

    def _save(self) -> None:
        with open_table(self._output) as table:
            for _, rows in self.read_rows():
                table.write(rows)

    def close(self, keep: bool) -> None:
        """Close the journal; delete it unless it is kept for `--resume`."""
        self._reserve.close()
        self._file.close()
        if not keep:
            with contextlib.suppress(OSError):
                self.path.unlink()

    def _append(self, lines: Sequence[dict]) -> None:
        self._pending += b"".join(map(_encode, lines))
        try:
            written = 0
            while written < len(self._pending):
                written += self._file.write(self._pending[written:])
        except OSError as error:
            self._file.truncate(self._length)
            self.failure = OSError(error.errno, error.strerror, str(self._output))
            if len(self._pending) > MAX_PENDING:
                raise self.failure from None
            return
        self._length, self._pending = self._length + len(self._pending), b""
        self.failure = None
        self.has_finished = self._has_ended

    def _read_lines(self) -> Iterator[dict]:
        """Yield all lines but the header and a last one that was cut off."""
        with self.path.open("rb") as file:
            left = self._length - len(file.readline())
            for line in file:
                left -= len(line)
                if left < 0:
                    break
                try:
                    yield json.loads(line)
                except ValueError:  # cut off, or spoilt by a power failure
                    break
        for line in self._pending.splitlines():
            yield json.loads(line)


def _encode(line: dict) -> bytes:
    # Pure ASCII: names that are not UTF-8 come back as they were.
    return json.dumps(line, separators=(",", ":")).encode() + b"\n"
