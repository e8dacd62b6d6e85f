"""The datasets by name: where to download each, which labels it has, how it is read and split.

`adapters` reads and splits a dataset of this catalogue. To add a dataset, write one reader, add one
entry to `CATALOGUE`, and write one datasheet:

1. The reader takes the dataset's folder and returns a manifest (`manifest.make_manifest`). Where
   the labels stand in names of files and folders, it goes into `folders`, otherwise into
   `annotations`. It counts and names what it leaves out (`file_lists`). Mappings between labels
   stand in `taxonomy`.
2. The entry below names the reader and the default protocol of `protocols`.
3. The datasheet is `data/NAME.md`, and a row of the table in `data/README.md`.

Everything else follows: `facekit data list`, `prepare`, `audit` and `combine`, and training with
`--sources NAME`.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pandas as pd

from facekit.datasets.annotations import (
    read_fairface,
    read_imdb_wiki,
    read_lfw,
    read_wider_face,
)
from facekit.datasets.dataturks import read_dataturks
from facekit.datasets.ferplus import read_ferplus
from facekit.datasets.file_lists import list_pictures
from facekit.datasets.folders import (
    read_all_age_faces,
    read_ck_plus,
    read_ck_plus_original,
    read_facial_age,
    read_fer2013,
    read_fg_net,
    read_utkface,
)
from facekit.datasets.synthetic import read_synthetic


@dataclass(frozen=True)
class Dataset:
    """What is known of a dataset before it is read.

    Attributes:
        name: Its name in commands.
        folder: Its usual folder, below the folder of all data.
        read: Takes that folder, returns a manifest whose `split` is the dataset's own or empty.
        protocol: The default protocol for splitting it.
        about: What it is, in one line.
        labels: The manifest's columns that it fills.
        source: Where to download it.
        licence: What it may be used for.
        files: What its pictures are called; where labels stand in text files, the pattern of these.
        count: How many such files a complete copy has; 0 if there is no such number.
        channels: Of the crops made from it: 1 if its pictures are grey, 3 otherwise.
        checksum: Of the files in circulation, where one is known.
        downloads: Whether `read` takes `download`, to fetch images by their addresses.
        other_names: Other names that commands accept.

    Example:
        >>> dataset = DATASETS["utkface"]
        >>> dataset.folder, dataset.labels
        ('UTKFace', ('age', 'gender', 'ethnicity'))
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

    @property
    def datasheet(self) -> Path:
        """The file of its datasheet, in the installed package or else in the checkout."""
        installed = Path(__file__).parent / "datasheets"
        return (installed if installed.is_dir() else Path("data")) / f"{self.name}.md"

    def count_files(self, data_dir: Path) -> int:
        """Return how many of its files exist below a folder of data."""
        folder = Path(data_dir, self.folder)
        if self.files.endswith(".txt"):
            return sum(1 for _ in folder.glob(self.files))
        try:
            return len(list_pictures(folder, self.files)[0])
        except FileNotFoundError:
            return 0


CATALOGUE = (
    Dataset(
        name="utkface",
        folder="UTKFace",
        read=read_utkface,
        protocol="group_disjoint",
        about="aligned and cropped faces from 0 to 116 years",
        labels=("age", "gender", "ethnicity"),
        source="https://susanqq.github.io/UTKFace",
        licence="non-commercial research",
        files="*.jpg",
        count=23_708,
    ),
    Dataset(
        name="fer2013",
        folder="fer2013",
        read=read_fer2013,
        protocol="official",
        about="grey 48x48 faces from image search, as folders or the challenge's csv",
        labels=("emotion",),
        source="https://www.kaggle.com/c/"
        "challenges-in-representation-learning-facial-expression-recognition-challenge",
        licence="research",
        files="*/*/*.png",
        count=35_887,
        channels=1,
        checksum="md5 f8428a1edbd21e88f42c73edd2a14f95 fer2013.csv,"
        " b114b9e04e6949e5fe8b6a98b3892b1d icml_face_data.csv",
    ),
    Dataset(
        name="ferplus",
        folder="fer2013",
        read=read_ferplus,
        protocol="official",
        about="FER2013's images with the votes of ten people each, ferplus.csv",
        labels=("emotion",),
        source="https://github.com/microsoft/FERPlus",
        licence="votes: MIT; images: as fer2013",
        files="*/*/*.png",
        count=35_887,
        channels=1,
        other_names=("fer+", "FER+"),
    ),
    Dataset(
        name="ck_plus",
        folder="CK+48",
        read=read_ck_plus,
        protocol="subject_disjoint",
        about="grey 48x48 faces, the last three frames of CK+'s posed sequences",
        labels=("emotion", "subject"),
        source="https://www.jeffcohn.net/Resources (CK+)",
        licence="research, on request",
        files="*/*.png",
        count=981,
        channels=1,
        other_names=("ck48", "CK+48"),
    ),
    Dataset(
        name="ck_plus_original",
        folder="CK+",
        read=read_ck_plus_original,
        protocol="subject_disjoint",
        about="CK+ as released: whole frames and files of emotions",
        labels=("emotion", "subject"),
        source="https://www.jeffcohn.net/Resources (CK+)",
        licence="research, on request",
        files="Emotion/*/*/*_emotion.txt",
        count=327,
        channels=1,
    ),
    Dataset(
        name="dataturks",
        folder="dataturks",
        read=read_dataturks,
        protocol="group_disjoint",
        about="web photos of several faces with boxes, as JSON lines",
        labels=("age", "gender", "ethnicity", "emotion"),
        source="Face_Recognition.json of DataTurks' project Face Recognition (2018)",
        licence="not stated",
        files="images/*",
        count=120,
        checksum="sha256 5b3b43c3d9d16fb47f5ad70f7ffc2a5d5f4c2383ae7e4f85ac8e0b5dfed70757"
        " Face_Recognition.json",
        downloads=True,
    ),
    Dataset(
        name="fairface",
        folder="fairface",
        read=read_fairface,
        protocol="official",
        about="faces balanced over seven groups of people, ages in ranges",
        labels=("age", "gender", "ethnicity"),
        source="https://github.com/joojs/fairface",
        licence="CC BY 4.0",
        files="*/*.jpg",
        count=97_698,
    ),
    Dataset(
        name="all_age_faces",
        folder="all_age_faces",
        read=read_all_age_faces,
        protocol="group_disjoint",
        about="mostly Asian faces from 2 to 80 years, with hair and background",
        labels=("age", "gender"),
        source="https://github.com/JingchunCheng/All-Age-Faces-Dataset",
        licence="published for research, none stated",
        files="*.jpg",
        count=13_322,
        other_names=("aaf",),
    ),
    Dataset(
        name="lfw",
        folder="lfw",
        read=read_lfw,
        protocol="subject_disjoint",
        about="people in the news of 2002 and 2003, in grey, with their gender",
        labels=("gender", "subject"),
        source="http://vis-www.cs.umass.edu/lfw",
        licence="research",
        files="*.jpg",
        count=13_233,
    ),
    Dataset(
        name="imdb_wiki",
        folder="imdb_wiki",
        read=read_imdb_wiki,
        protocol="subject_disjoint",
        about="celebrities, ages computed from dates of birth, noisy",
        labels=("age", "gender", "subject"),
        source="https://data.vision.ee.ethz.ch/cvl/rrothe/imdb-wiki",
        licence="research",
        files="*/*/*.jpg",
        count=523_051,
    ),
    Dataset(
        name="fg_net",
        folder="FGNET",
        read=read_fg_net,
        protocol="subject_disjoint",
        about="82 people from childhood to old age",
        labels=("age", "subject"),
        source="https://yanweifu.github.io/FG_NET_data",
        licence="research",
        files="images/*.JPG",
        count=1_002,
    ),
    Dataset(
        name="facial_age",
        folder="face_age",
        read=read_facial_age,
        protocol="group_disjoint",
        about="cropped faces, one folder per year of age",
        labels=("age",),
        source="https://www.kaggle.com/datasets/frabbisw/facial-age",
        licence="not stated",
        files="*/*.png",
        count=9_778,
    ),
    Dataset(
        name="wider_face",
        folder="WIDER_val",
        read=read_wider_face,
        protocol="official",
        about="photos with many faces, boxes alone, beside wider_face_split/",
        labels=(),
        source="http://shuoyang1213.me/WIDERFACE",
        licence="research",
        files="images/*/*.jpg",
        count=3_226,
        checksum="md5 dfa7d7e790efa35df3788964cf0bbaea WIDER_val.zip,"
        " 0e3767bcf0e326556d407bf5bff5d27c wider_face_split.zip",
    ),
    Dataset(
        name="synthetic",
        folder="synthetic",
        read=read_synthetic,
        protocol="official",
        about="drawn faces with known labels, as many as you want",
        labels=("age", "gender", "ethnicity", "emotion", "subject"),
        source="facekit data synthesize data/raw/synthetic",
        licence="free",
        files="*.png",
        count=0,
    ),
)
DATASETS = {name: dataset for dataset in CATALOGUE for name in (dataset.name, *dataset.other_names)}


def find_dataset(name: str) -> Dataset:
    """Return a dataset by name.

    Raises:
        ValueError: If it is unknown.

    Example:
        >>> find_dataset("ck48").folder
        'CK+48'
    """
    if name not in DATASETS:
        known = ", ".join(dataset.name for dataset in CATALOGUE)
        raise ValueError(
            f"`name` must be one of {known}, or a .csv or .parquet of your own; got {name!r}."
        )
    return DATASETS[name]


def resolve_name(name: str) -> str:
    """Return a dataset's name in the catalogue, under which its crops are kept.

    Any other text, such as the path of a file, is returned as it is.

    Example:
        >>> resolve_name("ck48"), resolve_name("mine.csv")
        ('ck_plus', 'mine.csv')
    """
    return DATASETS[name].name if name in DATASETS else name
