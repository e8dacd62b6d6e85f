"""Copy the course out of the package into a folder of the user: lessons, exercises, solutions."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from pathlib import Path

from facekit.files import replace_file

_PACKAGE = Path(__file__).parent
FOLDERS = ("exercises", "solutions")  # beside the lessons


@dataclass(frozen=True)
class CourseCopy:
    """Result of copying the course.

    Attributes:
        folder: The folder with the course.
        copied: Files that were written.
        same: Files that were there already, and are the same as in the course.
        kept: Files that were there already and differ from the course's. They were left as they
            are.

    Example:
        >>> CourseCopy(Path("course"), copied=(), same=(), kept=()).folder.name
        'course'
    """

    folder: Path
    copied: tuple[Path, ...]
    same: tuple[Path, ...]
    kept: tuple[Path, ...]


def find_course() -> Path:
    """Return the folder of the course: the installed package's, or else the checkout's.

    Raises:
        FileNotFoundError: If neither exists.

    Example:
        >>> (find_course() / "00_start_here.ipynb").is_file()
        True
    """
    for folder in (_PACKAGE / "notebooks", _PACKAGE.parents[1] / "notebooks"):
        if list_course(folder):
            return folder
    raise FileNotFoundError("The notebooks of the course are missing; reinstall facekit.")


def list_course(folder: Path) -> tuple[Path, ...]:
    """Return the paths of lessons, exercises and solutions, relative to the course's folder.

    Example:
        >>> list_course(find_course())[0].name
        '00_start_here.ipynb'
    """
    found = [path for each in ("", *FOLDERS) for path in sorted((folder / each).glob("*.ipynb"))]
    return tuple(path.relative_to(folder) for path in found)


def copy_course(folder: str | Path) -> CourseCopy:
    """Copy the course into a folder, without changing any file in it.

    A file that exists already is kept, whatever it holds: it may be a lesson that the user has
    worked on. Either all missing files are written, or none.

    Args:
        folder: Folder to copy to. It is created if it is missing.

    Returns:
        What was written and what was kept.

    Raises:
        FileNotFoundError: If the course is missing from the installation.
        NotADirectoryError: If `folder` is a file.
        OSError: If a file cannot be written. The files that this call had written are removed.

    Example:
        >>> import tempfile
        >>> course = copy_course(tempfile.mkdtemp())
        >>> len(course.copied) == len(list_course(find_course())), course.kept
        (True, ())
    """
    folder, source = Path(folder), find_course()
    if folder.exists() and not folder.is_dir():
        raise NotADirectoryError(f"{folder}: is a file; choose a folder for the course.")
    copied: list[Path] = []
    same: list[Path] = []
    kept: list[Path] = []
    created = [
        path
        for path in (*(folder / each for each in FOLDERS), folder, *folder.parents)
        if not _exists(path)
    ]
    try:
        for name in list_course(source):
            target = folder / name
            if not _exists(target):
                with replace_file(target) as temporary:
                    temporary.write_bytes((source / name).read_bytes())
                copied.append(target)
            elif target.is_file() and target.read_bytes() == (source / name).read_bytes():
                same.append(target)
            else:
                kept.append(target)
    except OSError:
        for path in copied:
            path.unlink(missing_ok=True)
        for path in created:  # the innermost first
            with contextlib.suppress(OSError):  # another program may have written into it
                path.rmdir()
        raise
    return CourseCopy(folder, tuple(copied), tuple(same), tuple(kept))


def _exists(path: Path) -> bool:
    return path.exists() or path.is_symlink()
