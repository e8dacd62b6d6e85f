"""Read datasets whose labels stand in the names of files and folders.

A reader takes the dataset's own folder and returns a manifest. Its `split` is the dataset's own, or
empty. Names of folders may be written in capitals, and pictures may be of any format that `images`
reads. What a reader cannot use it counts and names in a warning. Datasets with annotation files are
read by `annotations` and `dataturks`; all are listed in `adapters`.
"""

from __future__ import annotations

import re
import shutil
from collections.abc import Iterable
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from facekit.datasets.file_lists import list_pictures, read_rows, warn_left_out, warn_unused
from facekit.datasets.manifest import OLDEST_YEARS, make_manifest
from facekit.taxonomy import (
    CK_PLUS_CODES,
    CK_PLUS_EMOTIONS,
    EMOTIONS,
    FER2013_CODES,
    FER2013_EMOTIONS,
    UTKFACE_ETHNICITIES,
    UTKFACE_GENDERS,
)

UTKFACE_NAME = re.compile(r"(?P<age>\d{1,3})_([01])_([0-4])_\d+\.")
CK_PLUS_NAME = re.compile(r"(S\d+)_(\d+)_(\d+)\.", re.IGNORECASE)
ALL_AGE_FACES_NAME = re.compile(r"(?P<serial>\d{5})A(?P<age>\d{2,3})\.", re.IGNORECASE)
# The last serial number of a female person; those after it are male.
ALL_AGE_FACES_LAST_FEMALE = 7380
FG_NET_NAME = re.compile(r"(\d{3})A(\d{2})[A-Z]?\.", re.IGNORECASE)

FER2013_SIDE = 48  # pixels
FER2013_TABLES = ("fer2013.csv", "icml_face_data.csv")
# The names of its parts in the challenge, and in folders in circulation.
FER2013_SPLITS = {
    "training": "train", "publictest": "validation", "privatetest": "test",
    "train": "train", "validation": "validation", "val": "validation", "test": "test",
}  # fmt: skip
# Folders are named as FER2013 or as facekit names emotions.
FER2013_FOLDERS = FER2013_EMOTIONS | {emotion: emotion for emotion in EMOTIONS}
CK_PLUS_FOLDERS = CK_PLUS_EMOTIONS | {emotion: emotion for emotion in EMOTIONS}
CONTEMPT = "contempt"  # of CK+; it has no counterpart among the seven emotions
UNPACKED = "unpacked"  # below FER2013's folder, the pictures of its csv
PEAK_FRAMES = 3  # the last frames of a sequence of CK+ show its emotion, as in CK+48
UNREAD = "files in formats that are not read"
MALFORMED = "malformed names"


def read_utkface(folder: Path) -> pd.DataFrame:
    """Read UTKFace's aligned and cropped faces, named `AGE_GENDER_RACE_DATE.jpg.chip.jpg`.

    Raises:
        FileNotFoundError: If the folder holds no such files.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "26_1_0_20170116.jpg.chip.jpg").touch()
        >>> read_utkface(folder)[["age", "gender", "ethnicity"]].to_numpy().tolist()
        [[26.0, 'female', 'white']]
    """
    rows = [
        {
            "path": str(path),
            "age": int(match[1]),
            "gender": UTKFACE_GENDERS[int(match[2])],
            "ethnicity": UTKFACE_ETHNICITIES[int(match[3])],
        }
        for path, match in _match_names(folder, UTKFACE_NAME, "AGE_GENDER_RACE_DATE.jpg.chip.jpg")
    ]
    return make_manifest(rows, "utkface")


def read_fer2013(folder: Path) -> pd.DataFrame:
    """Read FER2013 as folders, or as the challenge's csv.

    Folders are `train/LABEL`, `validation/LABEL` and maybe `test/LABEL`; `validation` is the
    challenge's PublicTest. Without folders, the csv is unpacked once, to PNG files below
    `unpacked/`.

    Raises:
        FileNotFoundError: If the folder holds no such files.
        ValueError: If a row of the csv is damaged, or no picture is in a known folder.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for emotion in EMOTIONS:
        ...     (folder / "train" / emotion).mkdir(parents=True)
        ...     (folder / "train" / emotion / "1.png").touch()
        >>> read_fer2013(folder)["split"].value_counts().to_dict()
        {'train': 7}
    """
    folder = Path(folder)
    table = next((folder / name for name in FER2013_TABLES if (folder / name).is_file()), None)
    if table and not _has_split_folders(folder):
        folder = folder / UNPACKED
        if not folder.is_dir():
            _unpack_fer2013(table, folder)
    pictures, unread = list_pictures(folder, "train/LABEL/*.png")
    pictures, unread = (
        [path for path in paths if UNPACKED not in path.relative_to(folder).parts]
        for paths in (pictures, unread)
    )
    rows, unused = [], []
    for path in pictures:
        label, split = path.parent.name.casefold(), path.parent.parent.name.casefold()
        if label in FER2013_FOLDERS and split in FER2013_SPLITS:
            about = {"emotion": FER2013_FOLDERS[label], "split": FER2013_SPLITS[split]}
            rows.append({"path": str(path), **about})
        else:
            unused.append(path)
    _warn_of_folders(folder, unused, unread, rows, EMOTIONS)
    return make_manifest(rows, "fer2013")


def _has_split_folders(folder: Path) -> bool:
    return any(each.name.casefold() in FER2013_SPLITS for each in folder.iterdir() if each.is_dir())


def _unpack_fer2013(table: Path, folder: Path) -> None:
    """Write the pictures of the challenge's csv as files below folders of splits and labels."""
    # Renamed at the end, so that half of the pictures is never taken for all.
    unfinished = folder.with_name(f"{UNPACKED}.part")
    shutil.rmtree(unfinished, ignore_errors=True)
    rows = read_rows(table, ("emotion", "pixels", "Usage"))
    for line, row in tqdm(rows, f"unpacking {table.name}", unit="image", disable=None, leave=False):
        try:
            label = FER2013_CODES[int(row["emotion"])]
            pixels = np.array(row["pixels"].split(), np.uint8).reshape(FER2013_SIDE, FER2013_SIDE)
            if row["Usage"].casefold() not in FER2013_SPLITS:
                raise KeyError(row["Usage"])
        except (ValueError, KeyError, OverflowError) as error:
            raise ValueError(
                f"{table}: line {line} is damaged ({error}); download the file again."
            ) from None
        place = unfinished / row["Usage"] / label / f"{line:05d}.png"
        place.parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pixels).save(place)
    if not unfinished.is_dir():
        raise ValueError(f"{table}: holds no pictures; download the file again.")
    unfinished.rename(folder)


def read_ck_plus(folder: Path) -> pd.DataFrame:
    """Read CK+48, folders of labels with files `SUBJECT_SEQUENCE_FRAME.png`.

    Contempt is left out, because it has no counterpart among the seven emotions. CK+48 has no
    neutral faces.

    Raises:
        FileNotFoundError: If the folder holds no such files.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> for emotion in CK_PLUS_EMOTIONS:
        ...     (folder / emotion).mkdir()
        ...     (folder / emotion / "S010_002_00000014.png").touch()
        >>> read_ck_plus(folder)["subject"].unique().tolist()
        ['S010']
    """
    pictures, unread = list_pictures(folder, "LABEL/SUBJECT_SEQUENCE_FRAME.png")
    rows, unused, malformed = [], [], []
    for path in pictures:
        label, match = path.parent.name.casefold(), CK_PLUS_NAME.match(path.name)
        if label not in CK_PLUS_FOLDERS:
            unused += [path] * (label != CONTEMPT)
        elif match:
            about = {"emotion": CK_PLUS_FOLDERS[label], "subject": match[1].upper()}
            rows.append({"path": str(path), **about})
        else:
            malformed.append(path)
    warn_unused(folder, MALFORMED, malformed)
    _warn_of_folders(folder, unused, unread, rows, [e for e in EMOTIONS if e != "neutral"])
    return make_manifest(rows, "ck_plus")


def read_ck_plus_original(folder: Path) -> pd.DataFrame:
    """Read CK+ as it is released: sequences of frames, and a file with the emotion of each.

    They are `cohn-kanade-images/SUBJECT/SEQUENCE/*.png` and
    `Emotion/SUBJECT/SEQUENCE/*_emotion.txt`. A sequence begins with a neutral face and ends at the
    peak of its emotion: its first frame counts as neutral, its last `PEAK_FRAMES` show its emotion.
    Frames of contempt are left out, and so are sequences without a file of their emotion, which
    were not clear enough to label.

    Raises:
        FileNotFoundError: If the folder holds no such files.
        ValueError: If an emotion's file holds no code from 0 to 7.

    Example:
        >>> import tempfile
        >>> folder, sequence = Path(tempfile.mkdtemp()), Path("S010", "002")
        >>> for part in ("cohn-kanade-images", "Emotion"):
        ...     (folder / part / sequence).mkdir(parents=True)
        >>> for number in range(1, 6):
        ...     (folder / f"cohn-kanade-images/S010/002/S010_002_{number:08d}.png").touch()
        >>> _ = (folder / "Emotion/S010/002/S010_002_00000005_emotion.txt").write_text("5.0")
        >>> read_ck_plus_original(folder)["emotion"].tolist()
        ['neutral', 'happiness', 'happiness', 'happiness']
    """
    images = Path(folder, "cohn-kanade-images")
    pictures, unread = list_pictures(images, "SUBJECT/SEQUENCE/SUBJECT_SEQUENCE_FRAME.png")
    frames = [path for path in pictures if CK_PLUS_NAME.match(path.name)]
    warn_unused(images, MALFORMED, sorted(set(pictures).difference(frames)))
    warn_unused(images, UNREAD, unread)
    rows, unlabelled = [], []
    for sequence in sorted({path.parent for path in frames}):
        subject = sequence.parent.name
        codes = sorted(Path(folder, "Emotion", subject, sequence.name).glob("*_emotion.txt"))
        if not codes:
            unlabelled.append(sequence)
            continue
        label = CK_PLUS_EMOTIONS.get(_read_ck_plus_code(codes[0]))
        first, *later = [path for path in frames if path.parent == sequence]
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


def read_all_age_faces(folder: Path) -> pd.DataFrame:
    """Read All-Age-Faces, named SERIAL `A` AGE, such as `00000A02.jpg`; serials say the gender.

    Each picture shows another person. The pictures may lie in any subfolder.

    Raises:
        FileNotFoundError: If the folder holds no such files.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "07380A02.jpg").touch()
        >>> (folder / "07381A31.jpg").touch()
        >>> read_all_age_faces(folder)[["age", "gender"]].to_numpy().tolist()
        [[2.0, 'female'], [31.0, 'male']]
    """
    rows = [
        {
            "path": str(path),
            "age": int(match["age"]),
            "gender": "female" if int(match["serial"]) <= ALL_AGE_FACES_LAST_FEMALE else "male",
        }
        for path, match in _match_names(folder, ALL_AGE_FACES_NAME, "00000A02.jpg")
    ]
    return make_manifest(rows, "all_age_faces")


def read_fg_net(folder: Path) -> pd.DataFrame:
    """Read FG-NET, named SUBJECT `A` AGE and maybe a letter, such as `001A43a.JPG`.

    Raises:
        FileNotFoundError: If the folder holds no such files.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "001A43a.JPG").touch()
        >>> read_fg_net(folder)[["subject", "age"]].to_numpy().tolist()
        [['001', 43.0]]
    """
    matches = _match_names(folder, FG_NET_NAME, "001A43a.JPG")
    return make_manifest(
        [{"path": str(path), "subject": match[1], "age": int(match[2])} for path, match in matches],
        "fg_net",
    )


def read_facial_age(folder: Path) -> pd.DataFrame:
    """Read the facial-age folders, `001/` to `110/`, each with faces of that age.

    Raises:
        FileNotFoundError: If the folder holds no such files.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> (folder / "031").mkdir()
        >>> (folder / "031" / "a.png").touch()
        >>> read_facial_age(folder)["age"].tolist()
        [31.0]
    """
    pictures, unread = list_pictures(folder, "001/*.png")
    used = [
        path for path in pictures
        if re.fullmatch(r"[0-9]{1,3}", path.parent.name) and int(path.parent.name) <= OLDEST_YEARS
    ]  # fmt: skip
    rows = [{"path": str(path), "age": int(path.parent.name)} for path in used]
    _warn_of_folders(folder, sorted(set(pictures).difference(used)), unread, rows)
    return make_manifest(rows, "facial_age")


def _match_names(folder: Path, form: re.Pattern, like: str) -> list[tuple[Path, re.Match]]:
    """Return the pictures whose names follow a form, with the match; warn of the others by name."""
    pictures, unread = list_pictures(folder, like)
    matches = [(path, match) for path in pictures if (match := form.match(path.name))]
    if "age" in form.groupindex:
        matches = [each for each in matches if int(each[1]["age"]) <= OLDEST_YEARS]
    warn_unused(folder, MALFORMED, sorted(set(pictures).difference(path for path, _ in matches)))
    warn_unused(folder, UNREAD, unread)
    return matches


def _warn_of_folders(
    folder: Path,
    unused: list[Path],
    unread: list[Path],
    rows: list[dict],
    emotions: Iterable[str] = (),
) -> None:
    """Warn of pictures in unknown folders and of unread files; name emotions without an image."""
    found = {row["emotion"] for row in rows if "emotion" in row}
    empty = [emotion for emotion in emotions if emotion not in found]
    consequence = f"No image is labelled {', '.join(empty)}." if empty else ""
    warn_unused(
        folder,
        "images in unknown folders",
        unused,
        lambda path: path.parent.relative_to(folder).as_posix(),
        consequence,
    )
    warn_unused(folder, UNREAD, unread, consequence="" if unused else consequence)
