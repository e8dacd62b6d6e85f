"""Read and write faces in DataTurks' form: one JSON line per image, with boxes and labels."""

from __future__ import annotations

import io
import json
import shutil
import urllib.request
import warnings
from collections import Counter
from pathlib import Path
from typing import Any
from urllib.parse import quote, unquote, urlsplit

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from facekit.datasets.file_lists import keep_present, list_files, warn_left_out
from facekit.datasets.manifest import BOX, make_manifest
from facekit.files import hash_file, replace_file, write_text
from facekit.images import read_image
from facekit.taxonomy import DATATURKS_AGES, DATATURKS_LABELS

NOT_A_FACE = "Not_Face"  # the label of a box around something else
TIMEOUT_SECONDS = 20
NAMES: dict[str, Any] = dict(DATATURKS_LABELS)  # of each attribute, our labels by DataTurks' names


def read_dataturks(folder: Path, download: bool = False) -> pd.DataFrame:
    """Read DataTurks' JSON lines; the images lie in `images/`, under the names in their addresses.

    Boxes that are marked as no face, or have no area, are left out. A label that is missing, or
    contradicts another, is left empty.

    Args:
        folder: Holds the `.json` file.
        download: Whether to fetch missing images; those that fail are listed in one warning.

    Raises:
        FileNotFoundError: If the folder holds no such file, or none of the images.
        ValueError: If a line is damaged, or a label is unknown.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "images").mkdir()
        >>> (folder / "images" / "a.jpg").touch()
        >>> about = {"label": ["Emotion_Happy"], "imageWidth": 100, "imageHeight": 50}
        >>> face = about | {"points": [{"x": 0, "y": 0}, {"x": 0.5, "y": 1}]}
        >>> line = {"content": "https://example.org/a.jpg", "annotation": [face]}
        >>> _ = (folder / "faces.json").write_text(json.dumps(line))
        >>> read_dataturks(folder)[["x2", "y2", "emotion"]].to_numpy().tolist()
        [[50.0, 50.0, 'happiness']]
    """
    table = list_files(folder, "*.json")[0]
    rows: list[dict] = []
    addresses: dict[Path, str] = {}
    left_out: Counter[str] = Counter()
    for line, text in enumerate(table.read_text(encoding="utf-8").splitlines(), 1):
        if not text.strip():
            continue
        try:
            record = json.loads(text)
            image = Path(folder, "images", Path(unquote(urlsplit(record["content"]).path)).name)
            addresses[image] = record["content"]
            for face in record["annotation"] or []:
                labels = {label.replace(" ", "") for label in face["label"]}
                box = _scale_box(face)
                if NOT_A_FACE in labels:
                    left_out["boxes of no face"] += 1
                elif box["x1"] == box["x2"] or box["y1"] == box["y2"]:
                    left_out["boxes without area"] += 1
                else:
                    rows.append({"path": str(image), **box, **_translate_dataturks(labels)})
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise ValueError(
                f"{table}: line {line} is damaged ({error}); download the file again."
            ) from None
    warn_left_out(table, left_out)
    if download:
        _download_images(addresses)
    return make_manifest(
        keep_present(rows, table, f"put the images into {folder}/images, or download them"),
        "dataturks",
    )


def _scale_box(face: dict) -> dict[str, float]:
    """Return the box, in pixels, of two relative points."""
    points = np.array([[point["x"], point["y"]] for point in face["points"]]) * (
        face["imageWidth"],
        face["imageHeight"],
    )
    return dict(zip(BOX, (*points.min(axis=0), *points.max(axis=0)), strict=True))


def _translate_dataturks(labels: set[str]) -> dict[str, str | float]:
    if unknown := labels.difference(*NAMES.values()):
        raise ValueError(f"unknown label {', '.join(sorted(unknown))}")
    named = {
        attribute: {names[label] for label in labels & names.keys()}
        for attribute, names in NAMES.items()
    }
    return {attribute: values.pop() for attribute, values in named.items() if len(values) == 1}


def _download_images(addresses: dict[Path, str]) -> None:
    """Fetch missing images, and list all that fail in one warning."""
    failures = []
    for path, address in tqdm(
        addresses.items(), "downloading", unit="image", disable=None, leave=False
    ):
        if path.is_file():
            continue
        try:
            if not address.startswith(("http://", "https://")):
                raise ValueError("not an address on the web")
            with urllib.request.urlopen(address, timeout=TIMEOUT_SECONDS) as answer:
                content = answer.read()
            with Image.open(io.BytesIO(content)) as picture:
                picture.verify()  # a server may send a page of text in place of a picture
        except Exception as error:  # networks, servers and decoders have many ways to fail
            failures.append(f"{address} ({error})")
            continue
        with replace_file(path) as temporary:
            temporary.write_bytes(content)
    if failures:
        warnings.warn(
            f"{len(failures)} of {len(addresses)} images could not be downloaded:"
            f" {'; '.join(failures)}",
            stacklevel=3,
        )


def write_dataturks(manifest: pd.DataFrame, folder: Path) -> Path:
    """Write a manifest in DataTurks' form, with copies of its images, as `read_dataturks` reads it.

    An age becomes one of DataTurks' five ranges. Faces that are `excluded` and have no label are
    boxes around no face; an image without boxes is one face. A picture of another content that lies
    in `images/` already is kept, and the copy gets a free name.

    Args:
        manifest: From `make_manifest`.
        folder: Gets `faces.json`, one line per image, and `images/`.

    Returns:
        The `.json` file.

    Raises:
        FileExistsError: If `faces.json` exists and is not in DataTurks' form.
        FileNotFoundError: If an image does not exist.
        ImageError: If one cannot be read.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (48, 48)).save(folder / "a.png")
        >>> manifest = make_manifest([{"path": str(folder / "a.png"), "gender": "female"}], "mine")
        >>> write_dataturks(manifest, folder / "copy").name
        'faces.json'
        >>> read_dataturks(folder / "copy")["gender"].tolist()
        ['female']
    """
    table, images = Path(folder, "faces.json"), Path(folder, "images")
    if table.exists() and not _is_dataturks(table):
        raise FileExistsError(
            f"{table}: exists and is not in DataTurks' form; move it, or choose another folder."
        )
    lines: list[str] = []
    taken: set[str] = set()
    for key, faces in manifest.groupby("path", sort=False):
        path = str(key)
        height, width = read_image(path).shape[:2]
        name = _copy_image(Path(path), images, taken)
        taken.add(name)
        about = {"notes": "", "imageWidth": width, "imageHeight": height}
        annotation = []
        for face in faces.to_dict("records"):
            left, top, right, bottom = (
                (0, 0, width, height) if pd.isna(face["x1"]) else (face[side] for side in BOX)
            )
            points = [
                {"x": left / width, "y": top / height},
                {"x": right / width, "y": bottom / height},
            ]
            annotation.append(
                {"label": _name_for_dataturks(face), "shape": "rectangle", "points": points} | about
            )
        line = {"content": f"images/{quote(name)}", "annotation": annotation, "extras": None}
        lines.append(json.dumps(line))
    write_text(table, "\n".join(lines) + "\n")
    return table


def _copy_image(path: Path, folder: Path, taken: set[str]) -> str:
    """Copy an image under its own name, or under a free one; return the name."""
    target, number = folder / path.name, 1
    while target.name in taken or (target.exists() and hash_file(target) != hash_file(path)):
        number += 1
        target = folder / f"{path.stem}-{number}{path.suffix}"
    if not target.exists():
        with replace_file(target) as temporary:
            shutil.copyfile(path, temporary)
    return target.name


def _is_dataturks(table: Path) -> bool:
    """Return whether each line of a file has the form of DataTurks."""
    try:
        lines = filter(str.strip, table.read_text(encoding="utf-8").splitlines())
        return all({"content", "annotation"} <= json.loads(line).keys() for line in lines)
    except (ValueError, AttributeError):
        return False


def _name_for_dataturks(face: dict) -> list[str]:
    names = []
    for attribute in ("gender", "ethnicity", "emotion"):
        # of several names for one label the last
        known = {label: name for name, label in NAMES[attribute].items()}
        names += [known[face[attribute]]] if pd.notna(face[attribute]) else []
    if pd.notna(face["age"]):
        names.append(
            next(name for name, first in reversed(DATATURKS_AGES.items()) if face["age"] >= first)
        )
    return names or ([NOT_A_FACE] if face["split"] == "excluded" else [])
