"""Check the files that commands of `datasets` write, before any work: nothing else is overwritten.

An earlier result of the same kind may be replaced. Inputs, and files of any other kind, may not.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from pathlib import Path

from facekit.datasets.audit import FINDING_COLUMNS
from facekit.datasets.manifest import load_manifest

PAGE_SUFFIXES = (".png", ".svg", ".pdf")


def check_manifest_output(path: Path, inputs: Iterable[str | Path]) -> None:
    """Check the path of a manifest to write.

    Args:
        path: The file to write.
        inputs: Files that are read. Names of datasets may stand among them.

    Raises:
        FileExistsError: If the file exists and is not a manifest.
        ValueError: If it does not end in `.parquet`, or is an input.

    Example:
        >>> check_manifest_output(Path("new.parquet"), ["mine.csv"])
        >>> check_manifest_output(Path("new.csv"), ["mine.csv"])
        Traceback (most recent call last):
        ValueError: new.csv: the output must end in .parquet.
    """
    _check(path, inputs, (".parquet",), _is_manifest, "a manifest of facekit")


def check_findings_output(path: Path, inputs: Iterable[str | Path]) -> None:
    """Check the path of an audit's findings, as `check_manifest_output` does.

    Raises:
        FileExistsError: If the file exists and is not a table of findings.
        ValueError: If it does not end in `.csv`, or is an input.

    Example:
        >>> check_findings_output(Path("findings.txt"), [])
        Traceback (most recent call last):
        ValueError: findings.txt: the output must end in .csv.
    """
    _check(path, inputs, (".csv",), _is_findings, "a table of findings of facekit")


def check_page_output(path: Path, inputs: Iterable[str | Path]) -> None:
    """Check the path of a page of an audit's plots, as `check_manifest_output` does.

    Raises:
        FileExistsError: If the file exists and is not a page of plots.
        ValueError: If its ending is not that of a page, or it is an input.

    Example:
        >>> check_page_output(Path("audit.doc"), [])
        Traceback (most recent call last):
        ValueError: audit.doc: the output must end in .png or .svg or .pdf.
    """
    _check(path, inputs, PAGE_SUFFIXES, _is_page, "a page of plots")


def _check(
    path: Path,
    inputs: Iterable[str | Path],
    suffixes: tuple[str, ...],
    is_earlier: Callable[[Path], bool],
    kind: str,
) -> None:
    if path.suffix.lower() not in suffixes:
        raise ValueError(f"{path}: the output must end in {' or '.join(suffixes)}.")
    if any(path.resolve() == Path(each).resolve() for each in inputs):
        raise ValueError(f"{path}: the output must be another file than the inputs.")
    if path.is_dir() or (path.exists() and not is_earlier(path)):
        raise FileExistsError(
            f"{path}: exists and is not {kind}, so it is not replaced; move it, or choose another"
            " name."
        )


def _is_manifest(path: Path) -> bool:
    try:
        load_manifest(path)
    except ValueError:
        return False
    return True


def _is_findings(path: Path) -> bool:
    with path.open("rb") as file:
        return file.readline().strip() == ",".join(FINDING_COLUMNS).encode()


def _is_page(path: Path) -> bool:
    return b"atplotlib" in path.read_bytes()  # it signs PNG, SVG and PDF files
