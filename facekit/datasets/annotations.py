"""Read datasets whose labels stand in files of their own: csv, JSON lines, `.mat`, and WIDER FACE's
text; write DataTurks' JSON lines.

A reader returns a manifest, as those of `folders` do. Faces whose image is not there stay out of it
and are counted in a warning, so that a part of a dataset can be read, too.
"""

from __future__ import annotations

import io
import json
import shutil
import urllib.request
import warnings
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, unquote, urlsplit

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from facekit.datasets.folders import list_files, read_rows, warn_left_out
from facekit.datasets.manifest import BOX, COLUMNS, OLDEST_YEARS, make_manifest
from facekit.images import read_image
from facekit.taxonomy import (
    DATATURKS_AGES,
    DATATURKS_LABELS,
    FAIRFACE_AGES,
    FAIRFACE_ETHNICITIES,
    FAIRFACE_GENDERS,
    IMDB_WIKI_GENDERS,
)

NOT_A_FACE = "Not_Face"  # DataTurks' label of a box on something else
TIMEOUT_SECONDS = 20
DAYS_BEFORE_1970 = 719_529  # in Matlab's dates, which count from year 0
DAYS_A_YEAR = 365.2425


def read_own_table(path: Path) -> pd.DataFrame:
    """Read a csv of the user's own, whose header names `path` and any other of `COLUMNS`; `source`
    is its name by default.

    Paths are relative to the csv's folder. Images with one `group`, whatever its name, will stand
    on one side of a split.

    Raises:
        FileNotFoundError: If there is no such file, or none of its images.
        ValueError: If a column is unknown, `group` is given for some rows only, or a row breaks a
            rule of `check_manifest`.
    """
    path = Path(path)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; check the spelling.")
    table = [row for _, row in read_rows(path, ("path",))]
    unknown = [column for row in table[:1] for column in row if column not in COLUMNS]
    if unknown:
        raise ValueError(
            f"{path}: unknown column {', '.join(unknown)}; the known ones are {', '.join(COLUMNS)}."
        )
    rows = [
        {column: cell or None for column, cell in row.items()}
        | {"path": str(path.parent / row["path"])}
        for row in table
    ]
    manifest = make_manifest(_keep_present(rows, path, "correct the paths"), path.stem)
    if manifest["group"].notna().any():
        if manifest["group"].isna().any():
            raise ValueError(f"{path}: `group` must be given in every row or in none.")
        manifest["group"] = manifest["group"].factorize()[0]
    return manifest


def read_fairface(folder: Path) -> pd.DataFrame:
    """Read FairFace: `fairface_label_train.csv` and `fairface_label_val.csv` beside `train/` and
    `val/`.

    An age range counts as its middle; the seven groups of people become our five.

    Raises:
        FileNotFoundError: If the folder holds no such files, or none of the images.
        ValueError: If a label is not FairFace's.
    """
    rows = []
    for table in list_files(folder, "fairface_label_*.csv"):
        split = "train" if table.stem.endswith("train") else "validation"
        for line, row in read_rows(table, ("file", "age", "gender", "race")):
            try:
                labels = {
                    "age": FAIRFACE_AGES[row["age"]],
                    "gender": FAIRFACE_GENDERS[row["gender"]],
                    "ethnicity": FAIRFACE_ETHNICITIES[row["race"]],
                }
            except KeyError as error:
                raise ValueError(
                    f"{table}: line {line}: unknown label {error}; download the file again."
                ) from None
            rows.append({"path": str(Path(folder, row["file"])), "split": split, **labels})
    return make_manifest(_keep_present(rows, folder, "unpack the images there"), "fairface")


def read_dataturks(folder: Path, download: bool = False) -> pd.DataFrame:
    """Read DataTurks' JSON lines, whose images are looked up in `images/` by the names in their
    addresses.

    Boxes that are marked as no face, or have no area, are left out. A label that is missing, or
    contradicts another, is left empty.

    Args:
        folder: Holds the `.json` file.
        download: Whether to fetch the images that are not there; those that fail are listed in one
            warning.

    Raises:
        FileNotFoundError: If the folder holds no such file, or none of the images.
        ValueError: If a line is damaged, or a label is unknown.
    """
    table = list_files(folder, "*.json")[0]
    rows, addresses, left_out = [], {}, Counter()
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
        _keep_present(rows, table, f"put the images into {folder}/images, or download them"),
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
    if unknown := labels.difference(*DATATURKS_LABELS.values()):
        raise ValueError(f"unknown label {', '.join(sorted(unknown))}")
    told = {
        attribute: {names[label] for label in labels & names.keys()}
        for attribute, names in DATATURKS_LABELS.items()
    }
    return {attribute: values.pop() for attribute, values in told.items() if len(values) == 1}


def _download_images(addresses: dict[Path, str]) -> None:
    """Fetch what is not there yet, and list all that fails in one warning."""
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
            with Image.open(io.BytesIO(content)) as picture:  # a page that says sorry is no picture
                picture.verify()
        except Exception as error:  # networks, servers and decoders have many ways to fail
            failures.append(f"{address} ({error})")
            continue
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
    if failures:
        warnings.warn(
            f"{len(failures)} of {len(addresses)} images could not be downloaded: {'; '.join(failures)}",
            stacklevel=3,
        )


def write_dataturks(manifest: pd.DataFrame, folder: Path) -> Path:
    """Write a manifest in DataTurks' form, with copies of its images, as `read_dataturks` reads it.

    An age becomes one of DataTurks' five ranges. Faces that are `excluded` and have no label are
    boxes on no face; an image without boxes is one face.

    Args:
        manifest: Of `make_manifest`.
        folder: Gets `faces.json`, one line an image, and `images/`.

    Returns:
        The `.json` file.

    Raises:
        FileNotFoundError: If an image is not there.
        ImageError: If one cannot be read.
    """
    images = Path(folder, "images")
    images.mkdir(parents=True, exist_ok=True)
    lines, taken = [], set()
    for path, faces in manifest.groupby("path", sort=False):
        height, width = read_image(path).shape[:2]
        name, number = Path(path).name, 2
        while name in taken:  # of images in several folders
            name, number = f"{Path(path).stem}-{number}{Path(path).suffix}", number + 1
        taken.add(name)
        shutil.copyfile(path, images / name)
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
        lines.append(
            json.dumps(
                {"content": f"images/{quote(name)}", "annotation": annotation, "extras": None}
            )
        )
    table = Path(folder, "faces.json")
    unfinished = table.with_suffix(".part")
    unfinished.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return unfinished.replace(table)


def _name_for_dataturks(face: dict) -> list[str]:
    names = []
    for attribute in ("gender", "ethnicity", "emotion"):
        known = {
            label: name for name, label in DATATURKS_LABELS[attribute].items()
        }  # of several names for one label the last
        names += [known[face[attribute]]] if pd.notna(face[attribute]) else []
    if pd.notna(face["age"]):
        names.append(
            next(name for name, first in reversed(DATATURKS_AGES.items()) if face["age"] >= first)
        )
    return names or ([NOT_A_FACE] if face["split"] == "excluded" else [])


def read_imdb_wiki(folder: Path) -> pd.DataFrame:
    """Read IMDB-WIKI: `imdb_crop/imdb.mat` or `wiki_crop/wiki.mat`, or both, each beside its
    images.

    The age is that in the middle of the year in which the photo was taken. Left out are images in
    which no face or a second face was found, and ages that cannot be. In folders named `..._crop`
    each image is one face already; in others (`imdb/`, `wiki/`) it has a box.

    Raises:
        FileNotFoundError: If the folder holds no such files, or none of the images.
        ValueError: If a file is not of this form.
    """
    rows, left_out = [], Counter()
    for table in list_files(folder, "*/*.mat"):
        data = _load_struct(table)
        mid_year = (data["photo_taken"].astype(int) - 1970).astype("datetime64[Y]").astype(
            "datetime64[M]"
        ) + 6
        ages = (
            mid_year.astype("datetime64[D]").astype(int) + DAYS_BEFORE_1970 - data["dob"]
        ) // DAYS_A_YEAR
        for index, age in enumerate(ages):
            if not np.isfinite(data["face_score"][index]):
                left_out["images in which no face was found"] += 1
            elif not np.isnan(data["second_face_score"][index]):
                left_out["images with a second face"] += 1
            elif not 0 <= age <= OLDEST_YEARS:
                left_out["impossible ages"] += 1
            else:
                row = {
                    "path": str(table.parent / data["full_path"][index]),
                    "age": age,
                    "subject": data["name"][index],
                }
                if not table.parent.name.endswith("_crop"):
                    row |= dict(
                        zip(BOX, data["face_location"][index] - (1, 1, 0, 0), strict=True)
                    )  # Matlab's first pixel is 1
                rows.append(row | {"gender": IMDB_WIKI_GENDERS.get(data["gender"][index])})
    warn_left_out(folder, left_out)
    return make_manifest(
        _keep_present(rows, folder, "unpack the images beside the .mat file"), "imdb_wiki"
    )


def _load_struct(table: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the one struct of a `.mat` file, an entry a photo."""
    from scipy.io import loadmat

    try:
        struct = loadmat(table)[table.stem][0, 0]
        data = {
            name: struct[name].ravel()
            for name in ("dob", "photo_taken", "gender", "face_score", "second_face_score")
        }
        for name in ("full_path", "name"):  # an unknown name is an empty cell
            data[name] = [
                str(cell.ravel()[0]) if cell.size else None for cell in struct[name].ravel()
            ]
        data["face_location"] = [cell.ravel() for cell in struct["face_location"].ravel()]
    except Exception as error:  # SciPy has many ways to fail on a damaged file
        raise ValueError(
            f"{table}: is not of IMDB-WIKI's form ({error}); download it again."
        ) from None
    return data


def read_wider_face(folder: Path) -> pd.DataFrame:
    """Read WIDER FACE: `WIDER_val/images/`, or another part, with `wider_face_split/` beside that
    folder.

    It labels boxes alone. Those that it calls invalid are left out.

    Raises:
        FileNotFoundError: If the folder holds no such files, or none of the images.
        ValueError: If the ground truth is damaged.
    """
    folder = Path(folder)
    part = folder.name.removeprefix("WIDER_")
    table = list_files(folder.parent, f"wider_face_split/wider_face_{part}_bbx_gt.txt")[0]
    rows, invalid = [], 0
    for name, boxes, valid in read_ground_truth(table):
        invalid += int((~valid).sum())
        about = {
            "path": str(folder / "images" / name),
            "split": "train" if part == "train" else "validation",
        }
        rows += [about | dict(zip(BOX, box, strict=True)) for box in boxes[valid].tolist()]
    warn_left_out(table, {"invalid boxes": invalid})
    return make_manifest(_keep_present(rows, folder, "unpack the images there"), "wider_face")


def read_ground_truth(table: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    """Yield each photo's name, its boxes (n, 4) of x1, y1, x2, y2 and which of them are valid (n,).

    Raises:
        ValueError: If the table is damaged.
    """
    lines = iter(table.read_text().splitlines())
    for name in lines:
        try:
            count = int(next(lines))
            rows = [
                next(lines).split() for _ in range(max(count, 1))
            ]  # a photo without faces has a row of zeros
            x, y, width, height, *_, invalid, _occlusion, _pose = (
                np.array(rows[:count], float).reshape(-1, 10).T
            )
        except (ValueError, StopIteration):
            raise ValueError(
                f"{table}: the rows of {name} are damaged; download wider_face_split.zip again."
            ) from None
        yield (
            name,
            np.stack([x, y, x + width, y + height], axis=1),
            (invalid == 0) & (width > 0) & (height > 0),
        )


def _keep_present(rows: list[dict], place: Path, remedy: str) -> list[dict]:
    """Drop faces whose image is not there, and warn of their count; fail where none is."""
    there = {path: Path(path).is_file() for path in {row["path"] for row in rows}}
    kept = [row for row in rows if there[row["path"]]]
    if rows and not kept:
        raise FileNotFoundError(
            f"{place}: none of the {len(there)} images listed is there, such as {rows[0]['path']}; {remedy}."
        )
    warn_left_out(place, {"faces whose image is not there": len(rows) - len(kept)})
    return kept
