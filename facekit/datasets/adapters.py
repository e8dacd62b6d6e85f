"""The datasets by name: where each is to be had, what it labels, how it is read and split.

The readers are in `folders` and `annotations`, the splits in `protocols`; `data/` holds a datasheet
for each dataset.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facekit.datasets.annotations import (
    read_dataturks,
    read_fairface,
    read_imdb_wiki,
    read_own_table,
    read_wider_face,
)
from facekit.datasets.folders import (
    read_ck_plus,
    read_ck_plus_original,
    read_facial_age,
    read_fer2013,
    read_fg_net,
    read_utkface,
)
from facekit.datasets.manifest import load_manifest
from facekit.datasets.protocols import split_by_protocol
from facekit.datasets.synthetic import read_synthetic


@dataclass(frozen=True)
class Dataset:
    """What there is to know of a dataset before it is read.

    Attributes:
        name: By which commands call it.
        folder: Its usual one, below the folder of all data.
        read: Takes that folder, returns an unsplit manifest.
        protocol: By which it is split by default.
        about: What it is, in a line.
        labels: The manifest's columns that it fills.
        source: Where to get it.
        licence: For what it may be used.
        files: A pattern of files below its folder, of which a complete copy holds `count`.
        count: How many; 0 where there is no such number.
        channels: Of the crops made of it: 1 where its pictures are grey, 3 otherwise.
        checksum: Of the files handed round, where one is known.
        downloads: Whether `read` takes `download`, to fetch images by their addresses.
        other_names: By which it may be called, too.
    """

    name: str
    folder: str
    read: Callable[..., pd.DataFrame]
    protocol: str
    about: str
    labels: tuple[str, ...]
    source: str
    licence: str
    files: str
    count: int
    channels: int = 3
    checksum: str = ""
    downloads: bool = False
    other_names: tuple[str, ...] = ()

    def count_files(self, data_dir: Path) -> int:
        """Return how many of its files are there."""
        return sum(1 for _ in Path(data_dir, self.folder).glob(self.files))


CATALOGUE = (
    Dataset(
        "utkface", "UTKFace", read_utkface, "group_disjoint", "aligned and cropped faces from 0 to 116 years",
        ("age", "gender", "ethnicity"), "https://susanqq.github.io/UTKFace", "non-commercial research", "*.jpg", 23_708,
    ),
    Dataset(
        "fer2013", "fer2013", read_fer2013, "official", "grey 48x48 faces from image search, as folders or the challenge's csv",
        ("emotion",), "https://www.kaggle.com/c/challenges-in-representation-learning-facial-expression-recognition-challenge",
        "research", "**/*.[jp][pn]g", 35_887, 1,
        "md5 f8428a1edbd21e88f42c73edd2a14f95 fer2013.csv, b114b9e04e6949e5fe8b6a98b3892b1d icml_face_data.csv",
    ),
    Dataset(
        "ck_plus", "CK+48", read_ck_plus, "subject_disjoint", "grey 48x48 faces, the last three frames of CK+'s posed sequences",
        ("emotion", "subject"), "https://www.jeffcohn.net/Resources (CK+)", "research, on request", "*/*.png", 981, 1,
        other_names=("ck48", "CK+48"),
    ),
    Dataset(
        "ck_plus_original", "CK+", read_ck_plus_original, "subject_disjoint", "CK+ as released: whole frames and files of emotions",
        ("emotion", "subject"), "https://www.jeffcohn.net/Resources (CK+)", "research, on request", "Emotion/*/*/*_emotion.txt", 327, 1,
    ),
    Dataset(
        "dataturks", "dataturks", read_dataturks, "group_disjoint", "web photos of several faces with boxes, as JSON lines",
        ("age", "gender", "ethnicity", "emotion"), "Face_Recognition.json of DataTurks' project Face Recognition (2018)", "not stated",
        "images/*", 120,
        checksum="sha256 5b3b43c3d9d16fb47f5ad70f7ffc2a5d5f4c2383ae7e4f85ac8e0b5dfed70757 Face_Recognition.json", downloads=True,
    ),
    Dataset(
        "fairface", "fairface", read_fairface, "official", "faces balanced over seven groups of people, ages in ranges",
        ("age", "gender", "ethnicity"), "https://github.com/joojs/fairface", "CC BY 4.0", "*/*.jpg", 97_698,
    ),
    Dataset(
        "imdb_wiki", "imdb_wiki", read_imdb_wiki, "subject_disjoint", "celebrities, ages computed from dates of birth, noisy",
        ("age", "gender", "subject"), "https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki", "research", "*/*/*.jpg", 523_051,
    ),
    Dataset(
        "fg_net", "FGNET", read_fg_net, "subject_disjoint", "82 people from childhood to old age",
        ("age", "subject"), "https://yanweifu.github.io/FG_NET_data", "research", "**/*.[jJ][pP][gG]", 1_002,
    ),
    Dataset(
        "facial_age", "face_age", read_facial_age, "group_disjoint", "cropped faces in a folder an age",
        ("age",), "https://www.kaggle.com/datasets/frabbisw/facial-age", "not stated", "*/*.png", 9_778,
    ),
    Dataset(
        "wider_face", "WIDER_val", read_wider_face, "official", "photos with many faces, boxes alone, beside wider_face_split/",
        (), "http://shuoyang1213.me/WIDERFACE", "research", "images/*/*.jpg", 3_226,
        checksum="md5 dfa7d7e790efa35df3788964cf0bbaea WIDER_val.zip, 0e3767bcf0e326556d407bf5bff5d27c wider_face_split.zip",
    ),
    Dataset(
        "synthetic", "synthetic", read_synthetic, "official", "drawn faces of known labels, as many as wanted",
        ("age", "gender", "ethnicity", "emotion", "subject"), "facekit data synthesize data/raw/synthetic", "free", "*.png", 0,
    ),
)  # fmt: skip
DATASETS = {name: dataset for dataset in CATALOGUE for name in (dataset.name, *dataset.other_names)}


def read_dataset(
    name: str,
    data_dir: Path,
    seed: int = 0,
    protocol: str | None = None,
    fold: int | None = None,
    download: bool = False,
) -> pd.DataFrame:
    """Read a dataset by name and split it.

    Args:
        name: Key of `DATASETS`, or the path of a csv of one's own (see
            `annotations.read_own_table`), or of a manifest, `.parquet`.
        data_dir: Holds the datasets under their usual names, such as `data/raw/UTKFace`.
        seed: Of the split.
        protocol: Key of `protocols.PROTOCOLS`; the dataset's own by default. A csv's is `official`
            where it has a column `split`, `subject_disjoint` where it has subjects,
            `group_disjoint` otherwise; a manifest that is split stays as it is.
        fold: Of `subject_disjoint`, 0 to 9.
        download: Whether to fetch missing images, for datasets that tell their addresses.

    Raises:
        FileNotFoundError: If it is not there.
        ValueError: If the name is unknown, or the data or the protocol do not fit.
    """
    ending = Path(name).suffix.lower()
    if ending in (".csv", ".parquet"):
        manifest = read_own_table(Path(name)) if ending == ".csv" else load_manifest(Path(name))
        if (
            ending == ".parquet"
            and protocol is None
            and fold is None
            and manifest["split"].notna().all()
        ):
            return manifest
        fitting = (
            "official"
            if manifest["split"].notna().any()
            else "subject_disjoint"
            if manifest["subject"].notna().any()
            else None
        )
        return split_by_protocol(manifest, protocol or fitting or "group_disjoint", seed, fold)
    dataset = find_dataset(name)
    folder = Path(data_dir, dataset.folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: {name} is not there; get it from {dataset.source} (see data/README.md)."
        )
    if download and not dataset.downloads:
        raise ValueError(
            f"`download` is for {', '.join(each.name for each in CATALOGUE if each.downloads)}; got {name}."
        )
    manifest = dataset.read(folder, download=True) if download else dataset.read(folder)
    return split_by_protocol(manifest, protocol or dataset.protocol, seed, fold)


def find_dataset(name: str) -> Dataset:
    """Return a dataset by name.

    Raises:
        ValueError: If it is unknown.
    """
    if name not in DATASETS:
        known = ", ".join(dataset.name for dataset in CATALOGUE)
        raise ValueError(
            f"`name` must be one of {known}, or a .csv or .parquet of your own; got {name!r}."
        )
    return DATASETS[name]


def resolve_name(name: str) -> str:
    """Return a dataset's name in the catalogue, by which its cut faces are kept; what is no such name, as a file's path, stays as it is."""
    return DATASETS[name].name if name in DATASETS else name
