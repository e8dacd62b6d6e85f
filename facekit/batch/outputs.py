"""Decide and check all output paths of a run, before any work.

No file of the user's is overwritten: a table replaces nothing but an earlier table of facekit, a
drawing nothing but an earlier drawing of the same source that nobody has changed.
"""

from __future__ import annotations

import os
import tempfile
import unicodedata
from collections.abc import Callable, Sequence
from pathlib import Path

from facekit.batch.drawings import JPEG_SUFFIXES, VIDEO_SUFFIX, is_own_drawing
from facekit.batch.result import ERRORS_HEADER
from facekit.batch.walk import InputFile
from facekit.files import number_names
from facekit.tables import WRITERS, is_facekit_table, read_first_line

MAX_SENTENCES = 5  # drawings under another name that are named one by one


class OptionError(ValueError):
    """An option of a run that cannot be followed, such as an output that must not be written to.

    Attributes:
        option: `output`, `errors`, `annotate`, `resume`, `model` or `detector`.

    Example:
        >>> OptionError("output", "faces.doc must end in .csv.").option
        'output'
    """

    def __init__(self, option: str, message: str) -> None:
        super().__init__(message)
        self.option = option


def check_outputs(
    inputs: Sequence[str],
    output: Path | None,
    annotate: Path | None,
    errors: Path | None,
    suffixes: Sequence[str] = tuple(WRITERS),
    is_own: Callable[[Path], bool] = is_facekit_table,
) -> None:
    """Check the output paths against the inputs, each other, and what exists.

    Missing folders are created once everything else is right.

    Args:
        inputs: What is read.
        output: The table to write.
        annotate: The folder of drawings.
        errors: The list of errors to write.
        suffixes: Endings that the output may have.
        is_own: Whether an existing output is one that facekit wrote, and may be replaced.

    Raises:
        OptionError: If a path has the wrong ending, is an input or another output, holds something
            other than an earlier table of facekit, or cannot be written.

    Example:
        >>> check_outputs(["photos"], output=Path("faces.doc"), annotate=None, errors=None)
        Traceback (most recent call last):
        facekit.batch.outputs.OptionError: faces.doc must end in .csv, .parquet, .jsonl.
    """
    if output is not None and output.suffix.lower() not in suffixes:
        raise OptionError("output", f"{output} must end in {', '.join(suffixes)}.")
    if errors is not None and errors.suffix.lower() != ".csv":
        raise OptionError("errors", f"{errors} must end in .csv.")
    if output is not None and errors is not None:
        if _are_one(output, errors):
            raise OptionError("errors", f"{errors} is also the output; name another file.")
        if _contains(output, errors) or _contains(errors, output):
            raise OptionError("errors", f"{errors} and {output} cannot both be files.")
    for option, path in (("output", output), ("errors", errors)):
        if path is None:
            continue
        if any(_are_one(path, Path(given)) for given in inputs):
            raise OptionError(option, f"{path} is also an input; name another file.")
        if annotate is not None and _contains(path, annotate):
            raise OptionError(
                option, f"{path} is also the folder of the drawings; name another file."
            )
        _check_table(option, path, is_own)
    if annotate is not None and os.path.lexists(annotate) and not _is_folder(annotate):
        raise OptionError("annotate", f"{annotate} is a file; name a folder.")
    for option, path in (("output", output), ("errors", errors)):
        if path is not None:
            _check_writable(option, path, path.parent)
    if annotate is not None:
        _check_writable("annotate", annotate, annotate)


def _normalize_path(path: Path) -> str:
    """Return a path's name such that two names of one file are equal on every file system.

    Some file systems do not distinguish capital letters, or forms of an accented letter.
    """
    return unicodedata.normalize("NFC", os.path.realpath(path)).casefold()


def _are_one(path: Path, other: Path) -> bool:
    """Return whether two paths name one file: equal names, links, names that differ in case."""
    try:
        if _normalize_path(path) == _normalize_path(other):
            return True
        return path.samefile(other)
    except (OSError, ValueError):  # one of them does not exist, or is no name at all
        return False


def _contains(path: Path, folder: Path) -> bool:
    """Return whether the place of a table is that of a folder, or of one above it."""
    place, inside = _normalize_path(path), _normalize_path(folder)
    return inside == place or inside.startswith(place + os.sep)


def _is_folder(path: Path) -> bool:
    try:
        return path.is_dir()
    except OSError:
        return False


def _check_table(option: str, path: Path, is_own: Callable[[Path], bool]) -> None:
    """Refuse to replace anything but an earlier table of facekit."""
    try:
        if not os.path.lexists(path):
            return
        if path.exists() and not path.is_file():
            raise OptionError(option, f"{path} is not a file; name another.")
        if not path.exists():  # a link to a file that is not there yet
            return
        if option == "errors":
            known = path.stat().st_size == 0 or read_first_line(path) == ",".join(ERRORS_HEADER)
        else:
            known = is_own(path)
    except OSError as error:
        raise OptionError(option, f"{path} cannot be read ({error.strerror}).") from None
    if not known:
        raise OptionError(
            option,
            f"{path} exists and is not a table that facekit wrote; name another file, "
            "or delete it first.",
        )
    if not os.access(path, os.W_OK):
        raise OptionError(option, f"{path} is protected against writing; name another file.")


def _check_writable(option: str, path: Path, folder: Path) -> None:
    """Fail before the work rather than after it."""
    try:
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile(dir=folder, prefix=".facekit-"):
            pass
        path.exists()  # fails for a name that is too long
    except OSError as error:
        is_blocked = isinstance(error, (FileExistsError, NotADirectoryError))
        reason = "a file is where its folder should be" if is_blocked else error.strerror
        raise OptionError(
            option,
            f"{path} cannot be written ({reason}); name another "
            f"{'folder' if option == 'annotate' else 'file'}.",
        ) from None


def place_drawings(
    files: Sequence[InputFile], folder: Path, say: Callable[[str], None]
) -> list[Path]:
    """Return where the drawing of each file goes, no two at one place and none over a user's file.

    Args:
        files: The pictures and videos.
        folder: The folder of the drawings.
        say: Called with a sentence for drawings that go to another name because theirs is taken.

    Returns:
        One path per file: `.mp4` for a video, `.jpg` or `.jpeg` for a picture. A drawing that
        facekit made earlier of the same source is replaced; every other file stays, and the drawing
        is called `name-2`, or `name-annotated` if the place is that of the source itself.

    Example:
        >>> files = [InputFile(f"{folder}/a.png", Path("a.png")) for folder in ("one", "two")]
        >>> [place.name for place in place_drawings(files, Path("drawings"), print)]
        drawings...a.png.jpg is taken; the drawing of two/a.png goes to drawings...a-2.png.jpg.
        ['a.png.jpg', 'a-2.png.jpg']
    """
    taken = {_normalize_path(Path(file.name)) for file in files if file.stamp}
    places, beside, renamed = [], 0, 0
    for file in files:
        wanted = _complete(folder / file.below, file)
        if _are_one(wanted, Path(file.name)):  # the folder is that of the pictures
            below = file.below.with_stem(f"{file.below.stem}-annotated")
            wanted = _complete(folder / below, file)
            beside += 1
        else:
            below = file.below
        candidates = (_complete(folder / name, file) for name in number_names(below))
        place = next(free for free in candidates if _is_free(free, file.name, taken))
        taken.add(_normalize_path(place))
        places.append(place)
        renamed += place != wanted
        if place != wanted and renamed <= MAX_SENTENCES:
            say(f"{wanted} is taken; the drawing of {file.name} goes to {place}.")
    if renamed > MAX_SENTENCES:
        say(f"{renamed - MAX_SENTENCES} more drawings go to other names, because theirs are taken.")
    if beside:
        say(f"Drawings beside their pictures are called NAME-annotated ({beside} of {len(files)}).")
    return places


def check_drawings(
    places: Sequence[Path], folder: Path, output: Path | None, errors: Path | None
) -> None:
    """Check that no table would stand where drawings need a folder.

    Raises:
        OptionError: If one would.
    """
    folders = {place.parent for place in places}
    for option, path in (("output", output), ("errors", errors)):
        if path is None or not _contains(folder, path):
            continue
        if any(_contains(path, parent) for parent in folders):
            raise OptionError(option, f"{path} would be a folder of drawings; name another file.")


def _complete(place: Path, file: InputFile) -> Path:
    """Return the place of a drawing with an ending that fits its form."""
    suffixes = (VIDEO_SUFFIX,) if file.is_video else JPEG_SUFFIXES
    fits = place.suffix.lower() in suffixes
    return place if fits else place.with_name(place.name + suffixes[0])


def _is_free(place: Path, source: str, taken: set[str]) -> bool:
    if _normalize_path(place) in taken:
        return False
    if not os.path.lexists(place):
        return True
    try:
        return is_own_drawing(place, source)
    except OSError:
        return False
