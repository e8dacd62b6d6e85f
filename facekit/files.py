"""Write files whole or not at all, find free names, name files in text, and take fingerprints.

Every file that facekit writes goes through `replace_file`: it is written beside its place and then
renamed, so that a full disk or an interrupted program leaves the old file as it was.
"""

from __future__ import annotations

import contextlib
import errno
import hashlib
import itertools
import os
import re
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to, and put the finished file in place of `path`.

    Args:
        path: The file to create or to replace. Its folder is created if it is missing. If it is a
            symbolic link, the file that the link points to is replaced, and the link stays.

    Yields:
        A path in the same folder, with the same ending, that does not exist yet.

    Raises:
        OSError: If the file cannot be written. The message names `path`, the old file stays as it
            was, and no temporary file is left behind.

    Example:
        >>> import tempfile
        >>> target = Path(tempfile.mkdtemp(), "notes.txt")
        >>> with replace_file(target) as temporary:
        ...     _ = temporary.write_text("whole")
        >>> target.read_text()
        'whole'
    """
    path = Path(path)
    place = Path(os.path.realpath(path))
    # The name of the file may be as long as the file system allows, so it is not repeated here.
    temporary = place.with_name(f".{os.urandom(8).hex()}{place.suffix}")
    try:
        _prepare_place(place, path)
        yield temporary
        if place.exists():  # keep its permissions, as writing into it would
            with contextlib.suppress(OSError):  # some network drives have none
                temporary.chmod(place.stat().st_mode)
        temporary.replace(place)
    except OSError as error:
        if error.filename in (None, str(temporary)):
            reason = error.strerror or str(error)
            raise OSError(error.errno or errno.EIO, reason, str(path)) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def _prepare_place(place: Path, path: Path) -> None:
    """Create the folder, and refuse to replace a folder or a device such as `/dev/null`."""
    try:
        place.parent.mkdir(parents=True, exist_ok=True)
        if place.exists() and not place.is_file():
            raise OSError(errno.EINVAL, "is there already and is not a file")
    except OSError as error:
        raise OSError(error.errno, error.strerror, str(path)) from error


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all.

    Args:
        path: The file to create or to replace.
        text: Its content. File names that are not UTF-8 may stand in it.

    Raises:
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "new folder", "notes.txt")
        >>> write_text(path, "whole")
        >>> path.read_text()
        'whole'
    """
    with replace_file(path) as temporary:
        temporary.write_text(text, encoding="utf-8", errors="surrogateescape")


def find_free_path(path: str | Path) -> Path:
    """Return `path`, or if that exists the first of `name-2`, `name-3`, ... that does not.

    Example:
        >>> find_free_path("no such folder/photo.jpg").name
        'photo.jpg'
    """
    path = Path(path)
    return next(free for free in number_names(path) if not os.path.lexists(free))


def number_names(path: Path) -> Iterator[Path]:
    """Yield `path` and then, without end, `name-2`, `name-3`, ... with the same ending.

    Example:
        >>> names = number_names(Path("photo.jpg"))
        >>> [next(names).name for _ in range(3)]
        ['photo.jpg', 'photo-2.jpg', 'photo-3.jpg']
    """
    yield path
    yield from (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))


def show_name(name: str) -> str:
    r"""Return a file's name as text that can be printed, stored and parsed.

    A name on Linux is a row of bytes. Bytes that are not UTF-8 stand as `\xe9` in the text that
    is returned. All other names are returned as they are.

    Example:
        >>> print(show_name("caf\udce9.jpg"))
        caf\xe9.jpg
    """
    escaped = re.sub("[\udc80-\udcff]", lambda found: f"\\x{ord(found[0]) - 0xDC00:02x}", name)
    return escaped.encode("utf-8", "backslashreplace").decode()


def describe_error(error: BaseException) -> str:
    """Return an error as one line; an error of a file starts with the file's name.

    Example:
        >>> describe_error(OSError(28, "No space left on device", "faces.csv"))
        'faces.csv: No space left on device'
        >>> describe_error(ValueError("`size` must be 1 or more; got 0."))
        '`size` must be 1 or more; got 0.'
    """
    if isinstance(error, MemoryError):
        return "needs more memory than there is"
    if isinstance(error, OSError) and isinstance(error.filename, (str, bytes)) and error.strerror:
        text = f"{os.fsdecode(error.filename)}: {error.strerror}"
    else:
        text = str(error) or type(error).__name__
    return " ".join(show_name(text).split("\n"))


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text.

    Raises:
        OSError: If the file cannot be read.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "empty.txt")
        >>> path.touch()
        >>> hash_file(path)[:16]
        'e3b0c44298fc1c14'
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
