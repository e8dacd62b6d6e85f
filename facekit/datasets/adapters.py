"""Read a dataset's own folder into a manifest, split by a protocol that does not leak.

Where each dataset is to be had stands in `data/README.md`. Groups and splits are made by `manifest`.
"""

from __future__ import annotations

import re
import warnings
from pathlib import Path

import pandas as pd

from facekit.datasets.manifest import group_duplicates, make_manifest, split_by_group
from facekit.taxonomy import CK_PLUS_EMOTIONS, FER2013_EMOTIONS, UTKFACE_ETHNICITIES, UTKFACE_GENDERS

UTKFACE_NAME = re.compile(r"(\d{1,3})_([01])_([0-4])_\d+\.")
CK_PLUS_NAME = re.compile(r"(S\d+)_(\d+)_(\d+)\.")
HELD_OUT = {"train": 0.85, "validation": 0.05, "test": 0.10}


def read_utkface(folder: Path, seed: int = 0) -> pd.DataFrame:
    """Read UTKFace's aligned and cropped faces, named `AGE_GENDER_RACE_DATE.jpg.chip.jpg`; protocol `group_disjoint`.

    Files whose names do not follow the form are left out with a warning.

    Raises:
        FileNotFoundError: If the folder holds no such files.
    """
    files = _list_files(folder, "*.jpg")
    matches = [(path, UTKFACE_NAME.match(path.name)) for path in files]
    malformed = [path.name for path, match in matches if not match]
    if malformed:
        warnings.warn(f"{folder}: {len(malformed)} malformed names left out: {', '.join(malformed)}", stacklevel=2)
    rows = [
        {
            "path": str(path),
            "age": int(match[1]),
            "gender": UTKFACE_GENDERS[int(match[2])],
            "ethnicity": UTKFACE_ETHNICITIES[int(match[3])],
        }
        for path, match in matches
        if match
    ]
    manifest = make_manifest(rows, "utkface")
    manifest["group"] = group_duplicates(manifest["path"].tolist())
    manifest["split"] = split_by_group(manifest["group"].to_numpy(), HELD_OUT, seed)
    return manifest


def read_fer2013(folder: Path, seed: int = 0) -> pd.DataFrame:
    """Read FER2013 as folders `train/LABEL` and `validation/LABEL`; protocol `official`.

    The challenge's PublicTest, here `validation/`, is the test split. Images of `train/` that show the same photo as one of it are
    `excluded`, and a twentieth of the other groups is set aside for model selection.

    Raises:
        FileNotFoundError: If the folder holds no such files.
    """
    rows = [
        {"path": str(path), "emotion": FER2013_EMOTIONS[path.parent.name], "split": path.parent.parent.name}
        for path in _list_files(folder, "*/*/*.jpg")
        if path.parent.name in FER2013_EMOTIONS
    ]
    manifest = make_manifest(rows, "fer2013")
    manifest["group"] = group_duplicates(manifest["path"].tolist())
    official_test = manifest["split"] == "validation"
    shares = split_by_group(manifest["group"].to_numpy(), {"train": 0.95, "validation": 0.05}, seed)
    seen_in_test = manifest["group"].isin(manifest.loc[official_test, "group"])
    manifest["split"] = pd.Series(shares).mask(seen_in_test, "excluded").mask(official_test, "test")
    return manifest


def read_ck_plus(folder: Path, seed: int = 0) -> pd.DataFrame:
    """Read CK+48, folders of labels with files `SUBJECT_SEQUENCE_FRAME.png`; protocol `subject_disjoint`.

    Contempt is left out, having no counterpart among the seven emotions.

    Raises:
        FileNotFoundError: If the folder holds no such files.
    """
    rows = [
        {"path": str(path), "emotion": CK_PLUS_EMOTIONS[path.parent.name], "subject": match[1]}
        for path in _list_files(folder, "*/*.png")
        if path.parent.name in CK_PLUS_EMOTIONS and (match := CK_PLUS_NAME.match(path.name))
    ]
    manifest = make_manifest(rows, "ck_plus")
    manifest["group"] = manifest["subject"].factorize()[0]
    manifest["split"] = split_by_group(manifest["group"].to_numpy(), HELD_OUT, seed)
    return manifest


READERS = {"utkface": ("UTKFace", read_utkface), "fer2013": ("fer2013", read_fer2013), "ck_plus": ("CK+48", read_ck_plus)}


def read_dataset(name: str, data_dir: Path, seed: int = 0) -> pd.DataFrame:
    """Read a dataset by name out of a folder that holds it under its usual name, such as `data/raw/UTKFace`."""
    folder, read = READERS[name]
    return read(Path(data_dir) / folder, seed)


def _list_files(folder: Path, pattern: str) -> list[Path]:
    files = sorted(Path(folder).glob(pattern))
    if not files:
        raise FileNotFoundError(f"{folder}: no files like {pattern}; data/README.md says where to get this dataset.")
    return files
