"""Read datasets whose labels stand in the names of files and folders.

A reader takes the dataset's own folder and returns a manifest, unsplit but for the dataset's own
split where it has one. What it leaves out it counts in a warning. Datasets with files of labels are
read by `annotations`; all are listed in `adapters`.
"""

from __future__ import annotations

import csv
import re
import shutil
import warnings
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from facekit.datasets.manifest import make_manifest
from facekit.taxonomy import (
    CK_PLUS_CODES,
    CK_PLUS_EMOTIONS,
    FER2013_CODES,
    FER2013_EMOTIONS,
    UTKFACE_ETHNICITIES,
    UTKFACE_GENDERS,
)

UTKFACE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\.")
CK_PLUS_NAME = re.compile(r"(S\d+)_(\d+)_(\d+)\.")
FG_NET_NAME = re.compile(r"(\d{3})[aA](\d{2})[a-zA-Z]?\.")

FER2013_SIDE = 48  # pixels
FER2013_TABLES = ("fer2013.csv", "icml_face_data.csv")
# The challenge's names, and those of the folders in which it is handed round.
FER2013_SPLITS = {
    "Training": "train", "PublicTest": "validation", "PrivateTest": "test", "train": "train", "validation": "validation", "test": "test",
}  # fmt: skip
PEAK_FRAMES = 3  # of a sequence of CK+ show its emotion, as in CK+48


def read_utkface(folder: Path) -> pd.DataFrame:
    """Read UTKFace's aligned and cropped faces, named `AGE_GENDER_RACE_DATE.jpg.chip.jpg`.

    Raises:
        FileNotFoundError: If the folder holds no such files.
    """
    matches = _match_names(folder, "*.jpg", UTKFACE_NAME)
    rows = [
        {
            "path": str(path),
            "age": int(match[1]),
            "gender": UTKFACE_GENDERS[int(match[2])],
            "ethnicity": UTKFACE_ETHNICITIES[int(match[3])],
        }
        for path, match in matches
    ]
    return make_manifest(rows, "utkface")


def read_fer2013(folder: Path) -> pd.DataFrame:
    """Read FER2013 as folders `train/LABEL`, `validation/LABEL` and maybe `test/LABEL`, or as the
    challenge's csv.

    `validation/` is the challenge's PublicTest. A csv is unpacked to PNG files below `unpacked/`,
    once; folders go first.

    Raises:
        FileNotFoundError: If the folder holds no such files.
        ValueError: If a row of the csv is damaged.
    """
    table = next(
        (Path(folder, name) for name in FER2013_TABLES if Path(folder, name).is_file()), None
    )
    if table and not Path(folder, "train").is_dir():
        folder = Path(folder, "unpacked")
        if not folder.is_dir():
            _unpack_fer2013(table, folder)
    rows = [
        {
            "path": str(path),
            "emotion": FER2013_EMOTIONS[path.parent.name],
            "split": FER2013_SPLITS[path.parent.parent.name],
        }
        for path in list_files(folder, "*/*/*.[jp][pn]g")
        if path.parent.name in FER2013_EMOTIONS and path.parent.parent.name in FER2013_SPLITS
    ]
    return make_manifest(rows, "fer2013")


def _unpack_fer2013(table: Path, folder: Path) -> None:
    """Write the pictures of the challenge's csv as files below folders of splits and labels."""
    unfinished = folder.with_name(
        "unpacked.part"
    )  # renamed at the end, so that no half of the pictures is taken for all
    shutil.rmtree(unfinished, ignore_errors=True)
    rows = read_rows(table, ("emotion", "pixels", "Usage"))
    for line, row in tqdm(rows, f"unpacking {table.name}", unit="image", disable=None, leave=False):
        try:
            place = (
                unfinished / row["Usage"] / FER2013_CODES[int(row["emotion"])] / f"{line:05d}.png"
            )
            pixels = np.array(row["pixels"].split(), np.uint8).reshape(FER2013_SIDE, FER2013_SIDE)
            FER2013_SPLITS[row["Usage"]]
        except (ValueError, KeyError, OverflowError) as error:
            raise ValueError(
                f"{table}: line {line} is damaged ({error}); download the file again."
            ) from None
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    if not unfinished.is_dir():
        raise ValueError(f"{table}: holds no pictures; download the file again.")
    unfinished.rename(folder)


def read_ck_plus(folder: Path) -> pd.DataFrame:
    """Read CK+48, folders of labels with files `SUBJECT_SEQUENCE_FRAME.png`.

    Contempt is left out, having no counterpart among the seven emotions.

    Raises:
        FileNotFoundError: If the folder holds no such files.
    """
    rows = [
        {"path": str(path), "emotion": CK_PLUS_EMOTIONS[path.parent.name], "subject": match[1]}
        for path in list_files(folder, "*/*.png")
        if path.parent.name in CK_PLUS_EMOTIONS and (match := CK_PLUS_NAME.match(path.name))
    ]
    return make_manifest(rows, "ck_plus")


def read_ck_plus_original(folder: Path) -> pd.DataFrame:
    """Read CK+ as it is released: `cohn-kanade-images/SUBJECT/SEQUENCE/*.png` beside
    `Emotion/SUBJECT/SEQUENCE/*_emotion.txt`.

    A sequence goes from the neutral face to the peak: its first frame counts as neutral, its last
        `PEAK_FRAMES` show its emotion.
    Those of contempt are left out, and so are sequences without a file of their emotion, which were
    not clear enough to label.

    Raises:
        FileNotFoundError: If the folder holds no such files.
        ValueError: If an emotion's file holds no code from 0 to 7.
    """
    images = Path(folder, "cohn-kanade-images")
    sequences = sorted({path.parent for path in list_files(images, "S*/*/S*.png")})
    rows, unlabelled = [], []
    for sequence in sequences:
        subject = sequence.parent.name
        codes = sorted(Path(folder, "Emotion", subject, sequence.name).glob("*_emotion.txt"))
        if not codes:
            unlabelled.append(f"{subject}/{sequence.name}")
            continue
        label = CK_PLUS_EMOTIONS.get(_read_ck_plus_code(codes[0]))
        first, *later = sorted(sequence.glob("S*.png"))
        rows.append({"path": str(first), "emotion": "neutral", "subject": subject})
        if label:
            rows += [
                {"path": str(path), "emotion": label, "subject": subject}
                for path in later[-PEAK_FRAMES:]
            ]
    warn_left_out(images, {"sequences without a label": len(unlabelled)})
    return make_manifest(rows, "ck_plus_original")


def _read_ck_plus_code(path: Path) -> str:
    try:
        return CK_PLUS_CODES[round(float(path.read_text()))]
    except (ValueError, KeyError, OverflowError):
        raise ValueError(
            f"{path}: must hold one number from 0 to {max(CK_PLUS_CODES)}; copy the file again."
        ) from None


def read_fg_net(folder: Path) -> pd.DataFrame:
    """Read FG-NET, named SUBJECT `A` AGE and maybe a letter, such as `001A43a.JPG`.

    Raises:
        FileNotFoundError: If the folder holds no such files.
    """
    matches = _match_names(folder, "**/*.[jJ][pP][gG]", FG_NET_NAME)
    return make_manifest(
        [{"path": str(path), "subject": match[1], "age": int(match[2])} for path, match in matches],
        "fg_net",
    )


def read_facial_age(folder: Path) -> pd.DataFrame:
    """Read the facial-age folders, `001/` to `110/`, each of PNG files of faces of that age.

    Raises:
        FileNotFoundError: If the folder holds no such files.
    """
    files = list_files(folder, "[0-9][0-9][0-9]/*.png")
    return make_manifest(
        [{"path": str(path), "age": int(path.parent.name)} for path in files], "facial_age"
    )


def list_files(folder: Path, pattern: str) -> list[Path]:
    """Return the files below a folder that a pattern fits, sorted.

    Raises:
        FileNotFoundError: If there are none.
    """
    files = sorted(Path(folder).glob(pattern))
    if not files:
        raise FileNotFoundError(
            f"{folder}: no files like {pattern}; data/README.md says where to get this dataset."
        )
    return files


def read_rows(table: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the line's number and the cells of each row of a csv, without the blanks around names
    and cells.

    Raises:
        ValueError: If a column is missing, or a row is longer or shorter than the header.
    """
    with table.open(
        newline="", encoding="utf-8-sig"
    ) as file:  # spreadsheets put a byte order mark first
        reader = csv.reader(file)
        names = [name.strip() for name in next(reader, [])]
        if missing := [column for column in columns if column not in names]:
            raise ValueError(
                f"{table}: lacks the column {', '.join(missing)}; got {', '.join(names) or 'an empty file'}."
            )
        for cells in reader:
            if cells and len(cells) != len(names):
                raise ValueError(
                    f"{table}: line {reader.line_num} must have {len(names)} cells; got {len(cells)}."
                )
            if cells:
                yield (
                    reader.line_num,
                    dict(zip(names, (cell.strip() for cell in cells), strict=True)),
                )


def warn_left_out(place: Path, counts: dict[str, int]) -> None:
    """Warn of what a reader left out, a count a reason; say nothing where all are 0."""
    told = ", ".join(f"{count} {reason}" for reason, count in counts.items() if count)
    if told:
        warnings.warn(f"{place}: left out: {told}", stacklevel=3)


def _match_names(folder: Path, pattern: str, form: re.Pattern) -> list[tuple[Path, re.Match]]:
    """Return files whose names follow a form, with the match; warn of the others by name."""
    matches = [(path, form.match(path.name)) for path in list_files(folder, pattern)]
    malformed = [path.name for path, match in matches if not match]
    if malformed:
        warnings.warn(
            f"{folder}: {len(malformed)} malformed names left out: {', '.join(malformed)}",
            stacklevel=3,
        )
    return [(path, match) for path, match in matches if match]
