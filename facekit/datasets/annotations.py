"""Read datasets whose labels stand in annotation files: FairFace, IMDB-WIKI and WIDER FACE.

A reader returns a manifest, as those of `folders` do. Faces whose image does not exist are left out
and counted in a warning, so that a part of a dataset can be read, too. DataTurks' annotation files
are in `dataturks`, a user's own in `own_tables`; their names stay importable from here.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.dataturks import NOT_A_FACE, read_dataturks, write_dataturks
from facekit.datasets.file_lists import keep_present, list_files, read_rows, warn_left_out
from facekit.datasets.manifest import BOX, OLDEST_YEARS, make_manifest
from facekit.datasets.own_tables import read_own_table
from facekit.datasets.wider_flags import read_wider_flags
from facekit.taxonomy import (
    FAIRFACE_AGES,
    FAIRFACE_ETHNICITIES,
    FAIRFACE_GENDERS,
    IMDB_WIKI_GENDERS,
)

__all__ = [
    "NOT_A_FACE",
    "read_dataturks",
    "read_fairface",
    "read_ground_truth",
    "read_imdb_wiki",
    "read_lfw",
    "read_own_table",
    "read_wider_face",
    "write_dataturks",
]

DAYS_BEFORE_1970 = 719_529  # in Matlab's dates, which count from year 0
DAYS_A_YEAR = 365.2425


def read_fairface(folder: Path) -> pd.DataFrame:
    r"""Read FairFace: `fairface_label_train.csv`, `fairface_label_val.csv`, and their images.

    The images lie in `train/` and `val/` beside the tables. An age range counts as its middle; the
    seven groups of people become the five of `taxonomy`.

    Raises:
        FileNotFoundError: If the folder holds no such files, or none of the images.
        ValueError: If a label is not FairFace's.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "train").mkdir()
        >>> (folder / "train" / "1.jpg").touch()
        >>> table = "file,age,gender,race\ntrain/1.jpg,20-29,Female,Indian\n"
        >>> _ = (folder / "fairface_label_train.csv").write_text(table)
        >>> read_fairface(folder)[["age", "gender", "split"]].to_numpy().tolist()
        [[25.0, 'female', 'train']]
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
    return make_manifest(keep_present(rows, folder, "unpack the images there"), "fairface")


def read_lfw(folder: Path) -> pd.DataFrame:
    r"""Read Labeled Faces in the Wild: `labels.csv` with `image`, `person` and `gender`.

    Raises:
        FileNotFoundError: If the folder holds no such file, or none of the images.
        ValueError: If a gender is not one of `taxonomy.GENDERS`.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "p0000_01.jpg").touch()
        >>> table = "image,person,gender\np0000_01.jpg,p0000,male\n"
        >>> _ = (folder / "labels.csv").write_text(table)
        >>> read_lfw(folder)[["subject", "gender"]].to_numpy().tolist()
        [['p0000', 'male']]
    """
    table = list_files(folder, "labels.csv")[0]
    rows = [
        {"path": str(Path(folder, row["image"])), "subject": row["person"], "gender": row["gender"]}
        for _, row in read_rows(table, ("image", "person", "gender"))
    ]
    return make_manifest(keep_present(rows, folder, "unpack the images there"), "lfw")


def read_imdb_wiki(folder: Path) -> pd.DataFrame:
    """Read IMDB-WIKI: `imdb_crop/imdb.mat`, `wiki_crop/wiki.mat`, or both, with their images.

    The age is the one in the middle of the year in which the photo was taken. Images in which no
    face or a second face was found are left out, and so are impossible ages. In folders named
    `..._crop` each image is one face; in others (`imdb/`, `wiki/`) it has a box.

    Raises:
        FileNotFoundError: If the folder holds no such files, or none of the images.
        ValueError: If a file is not of this form.

    Example:
        >>> import tempfile
        >>> from scipy.io import savemat
        >>> folder = Path(tempfile.mkdtemp(), "wiki_crop")
        >>> folder.mkdir()
        >>> (folder / "a.jpg").touch()
        >>> photo = {"dob": 723000.0, "photo_taken": 2010, "gender": 1.0, "face_score": 4.2}
        >>> photo |= {"second_face_score": np.nan, "face_location": 0}
        >>> photo |= {"full_path": np.array(["a.jpg"], object), "name": np.array(["Ann"], object)}
        >>> savemat(folder / "wiki.mat", {"wiki": photo})
        >>> read_imdb_wiki(folder.parent)[["age", "gender", "subject"]].to_numpy().tolist()
        [[30.0, 'male', 'Ann']]
    """
    rows: list[dict] = []
    left_out: Counter[str] = Counter()
    for table in list_files(folder, "*/*.mat"):
        data = _load_struct(table)
        years = (data["photo_taken"].astype(int) - 1970).astype("datetime64[Y]")
        mid_years = (years.astype("datetime64[M]") + 6).astype("datetime64[D]").astype(int)
        ages = (mid_years + DAYS_BEFORE_1970 - data["dob"]) // DAYS_A_YEAR
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
        keep_present(rows, folder, "unpack the images beside the .mat file"), "imdb_wiki"
    )


def _load_struct(table: Path) -> dict[str, np.ndarray]:
    """Return the arrays of the one struct of a `.mat` file, one entry per photo."""
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
            f"{table}: is not in IMDB-WIKI's form ({error}); download it again."
        ) from None
    return data


def read_wider_face(folder: Path) -> pd.DataFrame:
    r"""Read WIDER FACE: `WIDER_val/images/` or another part, and `wider_face_split/` beside it.

    It has boxes and no labels. Boxes that it marks as invalid are left out.

    Raises:
        FileNotFoundError: If the folder holds no such files, or none of the images.
        ValueError: If the ground truth is damaged.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for part in ("WIDER_val/images", "wider_face_split"):
        ...     (folder / part).mkdir(parents=True)
        >>> (folder / "WIDER_val/images/a.jpg").touch()
        >>> truth = folder / "wider_face_split" / "wider_face_val_bbx_gt.txt"
        >>> _ = truth.write_text("a.jpg\n1\n10 20 30 40 0 0 0 0 0 0\n")
        >>> read_wider_face(folder / "WIDER_val")[list(BOX)].to_numpy().tolist()
        [[10.0, 20.0, 40.0, 60.0]]
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
    return make_manifest(keep_present(rows, folder, "unpack the images there"), "wider_face")


def read_ground_truth(table: Path) -> Iterator[tuple[str, np.ndarray, np.ndarray]]:
    r"""Yield each photo's name, its boxes, and which of them are valid.

    Yields:
        The name; boxes (n, 4) of x1, y1, x2, y2 in pixels; and (n,) bool.

    Raises:
        ValueError: If the table is damaged.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp(), "truth.txt")
        >>> _ = table.write_text("a.jpg\n1\n10 20 30 40 0 0 0 0 0 0\n")
        >>> list(read_ground_truth(table))
        [('a.jpg', array([[10., 20., 40., 60.]]), array([ True]))]
    """
    photos, faces = read_wider_flags(table)
    rows = faces.groupby("image").indices
    boxes, valid = faces[list(BOX)].to_numpy(np.float64), ~faces["ignored"].to_numpy(bool)
    for name in photos:
        own = rows.get(name, np.zeros(0, int))
        yield name, boxes[own], valid[own]
