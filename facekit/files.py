"""Write files whole or not at all, find free names, and take fingerprints.

Every file that facekit writes goes through `replace_file`: it is written beside its place and then
renamed, so that a full disk or an interrupted program leaves the old file as it was.
"""

from __future__ import annotations

import contextlib
import hashlib
import itertools
import os
import secrets
from collections.abc import Iterator
from pathlib import Path


@contextlib.contextmanager
def replace_file(path: str | Path) -> Iterator[Path]:
    """Give a temporary path to write to, and put the finished file in place of `path`.

    Args:
        path: The file to create or to replace. Its folder is created if it is missing.

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
    # The name of the file may be as long as the file system allows, so it is not repeated here.
    temporary = path.with_name(f".{secrets.token_hex(8)}{path.suffix}")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        yield temporary
        if path.exists():  # keep its permissions, as writing into it would
            temporary.chmod(path.stat().st_mode)
        temporary.replace(path)
    except OSError as error:
        if error.filename in (None, str(temporary), os.fspath(temporary)):
            reason = error.strerror or str(error)
            raise type(error)(error.errno, reason, str(path)) from error
        raise
    finally:
        with contextlib.suppress(OSError):
            temporary.unlink(missing_ok=True)


def write_text(path: str | Path, text: str) -> None:
    """Write a UTF-8 text file whole or not at all.

    Args:
        path: The file to create or to replace.
        text: Its content. File names that are not UTF-8 may stand in it.

    Raises:
        OSError: If the file cannot be written.
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
    numbered = (path.with_stem(f"{path.stem}-{number}") for number in itertools.count(2))
    return next(free for free in itertools.chain((path,), numbered) if not os.path.lexists(free))


def hash_file(path: str | Path) -> str:
    """Return the SHA-256 of a file as hexadecimal text.

    Raises:
        OSError: If the file cannot be read.
    """
    with Path(path).open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
