"""Analyse photos and write a page with the photos, their annotated copies and a table.

The page has the frame and the style of reports. Only files of an earlier demo are replaced: a file
`.facekit-demo.json` in the folder keeps their hashes, and a file with another hash is the user's.
"""

from __future__ import annotations

import hashlib
import html
import itertools
import json
import re
import urllib.parse
from collections.abc import Iterable, Iterator, Sequence
from pathlib import Path

import numpy as np

from facekit.analysis import Analysis
from facekit.demo.portraits import load_portraits
from facekit.drawing import UNSURE_LABEL
from facekit.faces import FACE, Profile, name_answer
from facekit.files import hash_file, replace_file, write_text
from facekit.images import read_image
from facekit.images.encoding import encode_jpeg
from facekit.pipeline import FaceAnalyzer
from facekit.reports.page import render_page
from facekit.tables import save_rows

PAGE, TABLE, RECORD = "index.html", "faces.csv", ".facekit-demo.json"
LONGEST_STEM = 50  # characters of a file's name; file systems allow 255 bytes with the endings
HEADS = ("face", "age", "range", "gender", "emotion", "confidence")

INTRODUCTION = """<h1>facekit demo</h1>
<p>Pictures: {pictures}. Faces: {faces}. The whole table is in <a href="{table}">{table}</a>.
Everything was computed on this machine. Ages, genders and emotions are predicted by a small network
from a face; they are not facts about a person. "Not sure" stands for a label that would be right
less than nine times in ten.</p>
"""
SECTION = """<section><h2>{name}</h2>
<div class="pair"><img src="{original}" alt="{name}, the original">
<img src="{annotated}" alt="{name}, with {faces} marked"></div>
{table}</section>
"""


def run_demo(photos: Sequence[Path], output: Path) -> tuple[Path, int]:
    """Analyse photos and write `index.html`, `faces.csv`, the photos and their annotated copies.

    Args:
        photos: Image files. Without any, the samples of `load_portraits` are analysed.
        output: Folder to write to. It is created if it is missing.

    Returns:
        The path of the page, and the number of faces.

    Raises:
        FileNotFoundError: If a photo does not exist.
        FileExistsError: If the folder holds an `index.html` or a `faces.csv` of the user's.
        NotADirectoryError: If `output` is a file.
        ImageError: If a photo cannot be read.
        ModelError: If a model is missing or damaged.
        ModuleNotFoundError: If there are no photos, and scikit-image or matplotlib is missing.
        OSError: If a file cannot be written.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> _ = (folder / "me.jpg").write_bytes(encode_jpeg(np.zeros((60, 80, 3), np.uint8)))
        >>> page, faces = run_demo([folder / "me.jpg"], folder / "demo")
        >>> page.name, faces
        ('index.html', 0)
    """
    known = _read_record(output)
    if output.exists() and not output.is_dir():
        raise NotADirectoryError(f"{output}: is a file; choose another folder for the demo.")
    for name in (PAGE, TABLE):
        if not _is_free(output / name, known):
            raise FileExistsError(
                f"{output / name}: exists, and no demo wrote it; "
                "choose another folder for the demo."
            )
    analyzer = FaceAnalyzer()
    # The photos may lie in the folder, and may even be files of an earlier demo.
    taken = {path.name.lower() for path in photos if path.resolve().parent == output.resolve()}
    contents: dict[str, bytes] = {}
    sections, rows = [], []
    for path, pixels in _read_pictures(photos):
        analysis = analyzer.analyze(pixels)
        names = _choose_names(path, output, known, taken)
        contents |= zip(names, map(encode_jpeg, (pixels, analysis.draw())), strict=True)
        sections.append(_render_section(path, names, analysis))
        rows += [row | {"image": str(path)} for row in analysis.to_dicts()]
    body = INTRODUCTION.format(pictures=len(sections), faces=len(rows), table=TABLE)
    page = render_page("facekit demo", body + "".join(sections), "facekit demo")
    contents[PAGE] = page.encode("utf-8", "replace")
    with replace_file(output / TABLE) as temporary:
        save_rows(rows, temporary)
        # Before the files themselves, so that an interrupted run knows its own files, too.
        known |= {hash_file(temporary), *map(_hash, contents.values())}
        write_text(output / RECORD, json.dumps(sorted(known)) + "\n")
    for name, content in contents.items():
        with replace_file(output / name) as temporary:
            temporary.write_bytes(content)
    return output / PAGE, len(rows)


def _read_pictures(photos: Sequence[Path]) -> Iterator[tuple[Path, np.ndarray]]:
    if not photos:
        yield from ((Path(name), pixels) for name, pixels in load_portraits().items())
    for path in photos:
        yield path, read_image(path)


def _hash(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


def _read_record(output: Path) -> set[str]:
    """Return the hashes of the files that earlier demos wrote into a folder."""
    try:
        return set(json.loads((output / RECORD).read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):  # there was none, or the user changed it
        return set()


def _is_free(path: Path, known: set[str]) -> bool:
    """Return whether nothing of the user's is at a path."""
    if path.is_file() and not path.is_symlink():
        return hash_file(path) in known
    return not (path.exists() or path.is_symlink())


def _choose_names(path: Path, output: Path, known: set[str], taken: set[str]) -> tuple[str, str]:
    """Return names for a photo and its annotated copy that nobody else uses, and take them."""
    # Letters, digits and a few signs: a web address gives `#`, `?` and `%` a meaning.
    stem = re.sub(r"[^\w .()-]", "_", path.stem).strip(". ")[:LONGEST_STEM] or "photo"
    for number in itertools.count(1):
        base = stem if number == 1 else f"{stem}-{number}"
        names = (f"{base}.jpg", f"{base}-annotated.jpg")
        lower = {name.lower() for name in names}  # some file systems ignore case
        if not lower & taken and all(_is_free(output / name, known) for name in names):
            taken |= lower
            return names
    raise AssertionError("numbers never end")


def _render_section(path: Path, names: tuple[str, str], analysis: Analysis) -> str:
    name = html.escape(path.name.encode("utf-8", "replace").decode())
    original, annotated = map(urllib.parse.quote, names)
    faces = f"{len(analysis)} {'face' if len(analysis) == 1 else 'faces'}"
    table = _render_table(analysis) if len(analysis) else "<p>No face was found.</p>"
    return SECTION.format(
        name=name, original=original, annotated=annotated, faces=faces, table=table
    )


def _render_table(analysis: Analysis) -> str:
    lines = [_render_line("th", HEADS)]
    for index, profile in enumerate(analysis.profiles):
        age, interval = name_answer(profile, "age"), ""
        if profile.is_sure("age"):
            interval = f" ({profile.age_low:.0f} to {profile.age_high:.0f})"
        cells = (
            f"{index}, {UNSURE_LABEL}" if FACE in profile.unsure else str(index),
            age + interval,
            name_answer(profile, "age_range"),
            _name_with_probability(profile, "gender"),
            _name_with_probability(profile, "emotion"),
            f"{profile.confidence_score:.2f}",
        )
        lines.append(_render_line("td", cells))
    return "<table>\n" + "\n".join(lines) + "\n</table>"


def _name_with_probability(profile: Profile, attribute: str) -> str:
    answer = name_answer(profile, attribute)
    if not profile.is_sure(attribute):
        return answer
    return f"{answer} {getattr(profile, f'{attribute}_probability'):.0%}"


def _render_line(tag: str, cells: Iterable[str]) -> str:
    return "<tr>" + "".join(f"<{tag}>{html.escape(cell)}</{tag}>" for cell in cells) + "</tr>"
