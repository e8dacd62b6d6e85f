import contextlib
import errno
import os
from pathlib import Path

import pytest

from facekit.batch import OptionError
from facekit.batch.journal import MAX_PENDING, Journal, get_journal_path
from facekit.batch.walk import InputFile
from facekit.faces import COLUMNS

OPTIONS = {"attributes": ["age"]}
FILES = [InputFile(f"{name}.jpg", Path(f"{name}.jpg"), (10, 20)) for name in "abc"]


@pytest.fixture
def start(output):
    """Open a journal, and close it after the test."""
    with contextlib.ExitStack() as stack:

        def start(resume=None, output=output, options=OPTIONS) -> Journal:
            journal = Journal(output, options, resume)
            stack.callback(journal.close, keep=True)
            return journal

        yield start


def make_row(file: InputFile, face: int = 0) -> dict:
    return dict.fromkeys(COLUMNS) | {"image": file.name, "face": face, "x1": 1.25, "gender": "male"}


@pytest.fixture
def output(tmp_path) -> Path:
    return tmp_path / "faces.csv"


def write(journal: Journal, file: InputFile, count: int = 1, complete: bool | None = True) -> None:
    journal.start(file)
    journal.write([make_row(file, face) for face in range(count)])
    if complete is not None:
        journal.end(complete)


def read(journal: Journal) -> list[tuple[str, int]]:
    return [(name, len(rows)) for name, rows in journal.read_rows()]


def test_rows_come_back_as_they_were(start):
    journal = start()
    odd = InputFile(os.fsdecode(b"\xff.jpg"), Path("x"), None)
    write(journal, FILES[0], 2)
    write(journal, FILES[1], 0)
    write(journal, odd, 1, complete=None)
    assert list(journal.read_rows()) == [
        ("a.jpg", [make_row(FILES[0], 0), make_row(FILES[0], 1)]),
        (odd.name, [make_row(odd)]),
    ]


@pytest.mark.parametrize("keep", [False, True])
def test_it_is_kept_on_request(keep, output, start):
    journal = start()
    assert not journal.has_finished
    write(journal, FILES[0])
    assert journal.has_finished
    journal.close(keep=keep)
    assert get_journal_path(output).exists() == keep


def test_resuming_keeps_what_was_finished_and_is_unchanged(start):
    journal = start()
    changed = InputFile("b.jpg", Path("b.jpg"), (11, 20))
    write(journal, FILES[0], 2)
    write(journal, FILES[1])
    write(journal, FILES[2], complete=False)
    write(journal, InputFile("d.jpg", Path("d.jpg"), (1, 1)))
    write(journal, FILES[2], 7, complete=None)
    journal.close(keep=True)
    journal = start([FILES[0], changed, FILES[2]])
    assert read(journal) == [("a.jpg", 2)]
    assert dict(journal.finished) == {("a.jpg", (10, 20)): 1}
    write(journal, FILES[2], 3)
    assert read(journal) == [("a.jpg", 2), ("c.jpg", 3)]


def test_a_file_that_is_named_twice_has_its_rows_twice(start):
    journal = start()
    for _ in range(3):
        write(journal, FILES[0])
    journal.close(keep=True)
    assert read(start([FILES[0]] * 2)) == [("a.jpg", 1)] * 2


def test_a_line_that_was_cut_off_is_dropped(output, start):
    journal = start()
    write(journal, FILES[0])
    write(journal, FILES[1])
    journal.close(keep=True)
    path = get_journal_path(output)
    path.write_bytes(path.read_bytes()[:-3])
    journal = start(FILES)
    write(journal, FILES[2])
    assert read(journal) == [("a.jpg", 1), ("c.jpg", 1)]


def test_without_resume_it_starts_anew(start):
    journal = start()
    write(journal, FILES[0])
    journal.close(keep=True)
    assert read(start()) == []


@pytest.mark.parametrize("content", [None, b""])
def test_resuming_without_an_interrupted_run_starts_anew(content, output, start):
    if content is not None:
        get_journal_path(output).write_bytes(content)
    journal = start(FILES)
    assert (read(journal), journal.finished.total()) == ([], 0)


def test_other_options_are_refused(output):
    Journal(output, OPTIONS).close(keep=True)
    with pytest.raises(OptionError, match=r"faces\.csv: the interrupted run had other options"):
        Journal(output, {"attributes": ["gender"]}, FILES)


@pytest.mark.parametrize("content", [b"mine", b'{"my": "own"}', b"[]", b"\xff\xd8\xff"])
@pytest.mark.parametrize("resume", [None, FILES])
def test_a_file_of_the_user_is_refused(content, resume, output):
    get_journal_path(output).write_bytes(content)
    with pytest.raises(OptionError, match=r"\.faces\.csv\.partial is in the way"):
        Journal(output, OPTIONS, resume)
    assert get_journal_path(output).read_bytes() == content


@pytest.mark.parametrize("written", [0, 10, 1000])
def test_an_interruption_while_rows_are_written_doubles_none(written, start):
    journal = start()
    write(journal, FILES[0])
    file = journal._file

    class Interrupted:
        def write(self, content):
            file.write(content[:written])
            raise KeyboardInterrupt

    journal._file = Interrupted()
    with pytest.raises(KeyboardInterrupt):
        journal.write([make_row(FILES[0], 1)])
    journal._file = file
    assert read(journal) == [("a.jpg", 1), ("a.jpg", 1)]
    journal.save()
    assert len(journal._output.read_text().splitlines()) == 3


def test_two_runs_do_not_write_one_table(start):
    journal = start()
    for resume in (None, FILES):
        with pytest.raises(OptionError, match=r"faces\.csv: another run is writing this table"):
            start(resume)
    write(journal, FILES[0])
    assert read(journal) == [("a.jpg", 1)]


def test_rows_wait_for_a_full_disk_to_get_space(small_disk, start):
    journal = start(output=small_disk / "faces.csv")
    write(journal, FILES[0])
    ballast = small_disk / "ballast"
    with pytest.raises(OSError, match="No space"):
        ballast.write_bytes(b"x" * 100_000)
    write(journal, FILES[1], 100)
    assert journal.failure.errno == errno.ENOSPC
    assert journal.failure.filename.endswith("faces.csv")
    assert read(journal) == [("a.jpg", 1), ("b.jpg", 100)]
    ballast.unlink()
    write(journal, FILES[2])
    assert journal.failure is None
    journal.close(keep=True)
    resumed = start(FILES, small_disk / "faces.csv")
    assert read(resumed) == [("a.jpg", 1), ("b.jpg", 100), ("c.jpg", 1)]


def test_not_without_end(start, monkeypatch):
    assert MAX_PENDING < 100e6
    monkeypatch.setattr("facekit.batch.journal.MAX_PENDING", 1000)
    journal = start()

    class FullDisk:
        def write(self, _):
            raise OSError(errno.ENOSPC, "No space left on device")

        def truncate(self, _):
            pass

        def close(self):
            pass

    journal._file.close()
    journal._file = FullDisk()
    with pytest.raises(OSError, match=r"No space left on device: .*faces\.csv"):
        write(journal, FILES[0], 100)


def test_long_names(tmp_path):
    assert len(get_journal_path(tmp_path / ("日" * 80 + ".csv")).name.encode()) <= 255
