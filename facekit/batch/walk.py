"""Find the files that a list of inputs names: pictures, folders (walked recursively) and videos.

What a folder holds besides pictures is counted and named, so that nothing is left out without a
word. Whether a picture can be read shows only when `run` opens it.
"""

from __future__ import annotations

import os
import stat
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from facekit.batch.drawings import JPEG_SUFFIXES, read_mark
from facekit.files import describe_error
from facekit.images import IMAGE_SUFFIXES, UNREAD_SUFFIXES, ImageError
from facekit.images.formats import HEAD_BYTES, name_signed_format
from facekit.video import UNREAD_SUFFIXES as UNREAD_VIDEO_SUFFIXES
from facekit.video import VIDEO_SUFFIXES

MAX_NAMES = 3  # examples that a sentence names


@dataclass(frozen=True)
class InputFile:
    """One file to analyze.

    Attributes:
        name: Its path, starting as the input was given; the column `image`.
        below: Its path below the folder that was given, for its drawing.
        stamp: Size in bytes and time of the last change in nanoseconds; `None` if it is not a
            regular file.

    Example:
        >>> InputFile("holiday/film.mp4", Path("film.mp4")).is_video
        True
    """

    name: str
    below: Path
    stamp: tuple[int, int] | None = None

    @property
    def is_video(self) -> bool:
        """Whether the file's ending is that of a video."""
        return self.name.lower().endswith(VIDEO_SUFFIXES)


def find_files(
    inputs: Sequence[str], fail: Callable[[str, Exception], None], say: Callable[[str], None]
) -> list[InputFile]:
    """Return the files that the inputs name, in the order of the inputs, sorted in a folder.

    Args:
        inputs: Pictures, folders and videos.
        fail: Called with each folder that cannot be read or holds no pictures, and the reason.
        say: Called with a sentence about what a folder holds besides pictures.

    Example:
        >>> find_files(["photo.jpg"], print, print)
        [InputFile(name='photo.jpg', below=...Path('photo.jpg'), stamp=None)]
    """
    files: list[InputFile] = []
    drawings: list[str] = []
    for given in inputs:
        status = _get_status(given)
        if status is not None and stat.S_ISDIR(status.st_mode):
            files += _walk(given, fail, say)
        else:
            files.append(InputFile(given, Path(Path(given).name), _stamp(status)))
            if status is not None and read_mark(Path(given)) is not None:
                drawings.append(given)
    if drawings:
        say(
            f"{len(drawings)} of the inputs are drawings that facekit made ({drawings[0]}); "
            "their labels may hide faces."
        )
    return files


def _get_status(given: str) -> os.stat_result | None:
    try:
        return os.stat(given)  # noqa: PTH116 (the Path of an empty text is the current folder)
    except (OSError, ValueError):  # `images` and `video` explain it when they open the file
        return None


def _stamp(status: os.stat_result | None) -> tuple[int, int] | None:
    if status is None or not stat.S_ISREG(status.st_mode):
        return None
    return status.st_size, status.st_mtime_ns


def _walk(
    given: str, fail: Callable[[str, Exception], None], say: Callable[[str], None]
) -> Iterator[InputFile]:
    """Yield the pictures of a folder, and say what else is in it."""
    pictures: list[str] = []
    left_out = _LeftOut()

    closed: list[OSError] = []

    def explain(error: OSError) -> None:
        closed.append(error)
        fail(os.fsdecode(error.filename), ImageError(describe_error(error)))

    for folder, folders, names in os.walk(given, onerror=explain):
        for name in [*folders]:
            path = os.path.join(folder, name)  # noqa: PTH118 (a Path would change the name given)
            if name.startswith("."):
                left_out.hidden_folders.append(name)
                folders.remove(name)
            elif os.path.islink(path):  # noqa: PTH114
                left_out.linked_folders.append(name)
        pictures += (
            os.path.join(folder, name)  # noqa: PTH118
            for name in names
            if left_out.sort(folder, name)
        )
    if sentence := left_out.describe():
        say(f"{given}: left out {sentence}.")
    if not pictures and not closed:
        fail(given, ImageError(f"{given}: holds no pictures ({', '.join(IMAGE_SUFFIXES)})."))
    for path in sorted(pictures):
        status = _get_status(path)
        if status is not None and not stat.S_ISREG(status.st_mode):
            # Reading a pipe would wait until another program writes to it, perhaps for ever.
            fail(path, ImageError(f"{path}: is not a file."))
            continue
        yield InputFile(path, Path(path).relative_to(given), _stamp(status))


class _LeftOut:
    """Counts what a folder holds besides pictures."""

    def __init__(self) -> None:
        self.hidden_folders: list[str] = []
        self.linked_folders: list[str] = []
        self.misnamed_pictures: list[str] = []
        self._counts: Counter[str] = Counter()
        self._unread: Counter[str] = Counter()

    def sort(self, folder: str, name: str) -> bool:
        """Return whether a file is a picture to analyze; count it if it is not."""
        ending = name.lower()
        if name.startswith("."):
            self._counts["hidden picture"] += ending.endswith((*IMAGE_SUFFIXES, *UNREAD_SUFFIXES))
        elif ending.endswith(VIDEO_SUFFIXES):
            self._counts["video"] += 1
        elif ending.endswith(IMAGE_SUFFIXES):
            if not ending.endswith(JPEG_SUFFIXES) or read_mark(Path(folder, name)) is None:
                return True
            self._counts["drawing"] += 1
        elif ending.endswith((*UNREAD_SUFFIXES, *UNREAD_VIDEO_SUFFIXES)):
            self._unread[Path(ending).suffix] += 1
        elif _is_picture(Path(folder, name)):
            self.misnamed_pictures.append(name)
        return False

    def describe(self) -> str:
        """Return a list of what was counted; an empty text if that is nothing."""
        parts = []
        if count := self._counts["video"]:
            parts.append(f"{_count(count, 'video')} (name a video itself to have it analyzed)")
        if self._unread:
            endings = ", ".join(sorted(self._unread))
            parts.append(
                f"{_count(self._unread.total(), 'file')} that this installation cannot read "
                f"({endings})"
            )
        if count := self._counts["drawing"]:
            parts.append(f"{_count(count, 'drawing')} that facekit made")
        if count := self._counts["hidden picture"]:
            parts.append(_count(count, "hidden picture"))
        for kind, names in (
            ("misnamed picture", sorted(self.misnamed_pictures)),
            ("hidden folder", self.hidden_folders),
            ("linked folder", self.linked_folders),
        ):
            if names:
                shown = [*names[:MAX_NAMES], "..."] if len(names) > MAX_NAMES else names
                parts.append(f"{_count(len(names), kind)} ({', '.join(shown)})")
        return ", ".join(parts)


def _is_picture(path: Path) -> bool:
    """Return whether the first bytes of a file are those of a picture, whatever its name."""
    try:
        if not path.is_file():  # a pipe
            return False
        with path.open("rb") as file:
            return bool(name_signed_format(file.read(HEAD_BYTES)))
    except OSError:
        return False


def _count(count: int, kind: str) -> str:
    return f"{count} {kind}{'s' * (count != 1)}"
