"""List the files of a dataset's folder, and say what a reader leaves out.

Names of folders and endings of files count whatever their case, and every picture that `images`
reads is listed. Hidden files and folders are not, nor are those that archivers of macOS add.
"""

from __future__ import annotations

import os
import warnings
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path

from facekit.datasets.csv_reading import iterate_strict_rows
from facekit.images import IMAGE_SUFFIXES

# Endings of files that lie beside pictures and are none: nobody misses them.
DOCUMENT_SUFFIXES = (
    "", ".csv", ".db", ".gz", ".htm", ".html", ".ini", ".json", ".mat", ".md", ".npy", ".npz",
    ".parquet", ".part", ".pdf", ".pts", ".py", ".tar", ".tgz", ".tsv", ".txt", ".xlsx", ".xml",
    ".xz", ".yaml", ".yml", ".zip",
)  # fmt: skip
ADDED_FOLDERS = ("__macosx",)
NAMED = 10  # files or folders that a warning names


def list_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a folder that match a pattern, sorted.

    Raises:
        FileNotFoundError: If there are none.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "labels.csv").touch()
        >>> [file.name for file in list_files(folder, "*.csv")]
        ['labels.csv']
    """
    files = sorted(Path(folder).glob(pattern))
    if not files:
        raise _make_missing_error(folder, pattern)
    return files


def list_pictures(folder: Path, like: str) -> tuple[list[Path], list[Path]]:
    """Return the pictures below a folder, and the files in formats that are not read.

    Args:
        folder: Searched with all its subfolders, also linked ones, except hidden ones.
        like: How such files are usually named, for the error.

    Returns:
        Pictures, sorted; and other files that are not documents either, sorted.

    Raises:
        FileNotFoundError: If there is no picture.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for name in ("a.jpg", "a.psd", "readme.txt"):
        ...     (folder / name).touch()
        >>> pictures, unread = list_pictures(folder, "*.jpg")
        >>> [path.name for path in pictures], [path.name for path in unread]
        (['a.jpg'], ['a.psd'])
    """
    pictures, others = [], []
    seen: set[str] = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        if os.path.realpath(place) in seen:  # a link that leads back, or the same folder again
            folders.clear()
            continue
        seen.add(os.path.realpath(place))
        folders[:] = sorted(name for name in folders if not _is_hidden(name))
        for name in filter(lambda name: not _is_hidden(name), names):
            suffix = Path(name).suffix.lower()
            if suffix in IMAGE_SUFFIXES:
                pictures.append(Path(place, name))
            elif suffix not in DOCUMENT_SUFFIXES:
                others.append(Path(place, name))
    if not pictures:
        raise _make_missing_error(folder, like)
    return sorted(pictures), sorted(others)


def read_rows(table: Path, columns: Sequence[str]) -> Iterator[tuple[int, dict[str, str]]]:
    r"""Yield the line and the cells by column of each row of a csv, see `csv_reading`.

    Raises:
        ValueError: If a column is missing, or the file is ambiguous.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp(), "labels.csv")
        >>> _ = table.write_text("path,age\na.jpg,31\n")
        >>> list(read_rows(table, ("path", "age")))
        [(2, {'path': 'a.jpg', 'age': '31'})]
    """
    rows = iterate_strict_rows(table, columns)
    _, names = next(rows)
    for line, cells in rows:
        yield line, dict(zip(names, cells, strict=True))


def keep_present(rows: list[dict], place: Path, remedy: str) -> list[dict]:
    """Return the rows whose image exists, and warn of the number of others.

    Raises:
        FileNotFoundError: If no image exists.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "a.jpg").touch()
        >>> len(keep_present([{"path": str(folder / "a.jpg")}], folder, "copy the images"))
        1
    """
    exists = {path: Path(path).is_file() for path in {row["path"] for row in rows}}
    kept = [row for row in rows if exists[row["path"]]]
    if rows and not kept:
        raise FileNotFoundError(
            f"{place}: none of the {len(exists)} images listed exists, such as {rows[0]['path']};"
            f" {remedy}."
        )
    warn_left_out(place, {"faces whose image does not exist": len(rows) - len(kept)})
    return kept


def warn_left_out(place: Path, counts: Mapping[str, int]) -> None:
    """Warn of what a reader left out, one count per reason; say nothing if all are 0.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_left_out(Path("photos"), {"impossible ages": 2, "unknown labels": 0})
        >>> str(caught[0].message)
        'photos: left out: 2 impossible ages'
    """
    described = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
    if described:
        warnings.warn(f"{place}: left out: {described}", stacklevel=3)


def warn_unused(
    folder: Path,
    kind: str,
    paths: Sequence[Path],
    name: Callable[[Path], str] = lambda path: path.name,
    consequence: str = "",
) -> None:
    """Warn of files that a reader could not use, with their number and names.

    Args:
        folder: Of the dataset.
        kind: What they are, such as `malformed names`.
        paths: The files; without any there is no warning.
        name: How to name a file. Equal names are named once, with their count.
        consequence: A sentence to add.

    Example:
        >>> with warnings.catch_warnings(record=True) as caught:
        ...     warnings.simplefilter("always")
        ...     warn_unused(Path("photos"), "malformed names", [Path("photos/x.jpg")])
        >>> str(caught[0].message)
        'photos: 1 malformed names left out: x.jpg'
    """
    if not paths:
        return
    counts: dict[str, int] = {}
    for path in paths:
        counts[name(path)] = counts.get(name(path), 0) + 1
    named = [each + f" ({count})" * (count > 1) for each, count in counts.items()]
    more = f" and {len(named) - NAMED} more" if len(named) > NAMED else ""
    warnings.warn(
        f"{folder}: {len(paths)} {kind} left out: {', '.join(named[:NAMED])}{more}"
        + (f". {consequence}" if consequence else ""),
        stacklevel=3,
    )


def _is_hidden(name: str) -> bool:
    return name.startswith(".") or name.lower() in ADDED_FOLDERS


def _make_missing_error(folder: Path, like: str) -> FileNotFoundError:
    return FileNotFoundError(
        f"{folder}: no files like {like}; data/README.md says where to get this dataset."
    )
