"""Read and split a dataset by name, or a table of your own by path.

`catalogue` lists the datasets and their readers; `protocols` splits.
"""

from __future__ import annotations

from pathlib import Path

import pandas as pd

from facekit.datasets.catalogue import CATALOGUE, DATASETS, find_dataset
from facekit.datasets.fingerprints import leave_out_outside, leave_out_unreadable
from facekit.datasets.manifest import load_manifest
from facekit.datasets.own_tables import read_own_table
from facekit.datasets.protocols import split_by_protocol


def read_dataset(
    name: str,
    data_dir: Path,
    seed: int = 0,
    protocol: str | None = None,
    fold: int | None = None,
    download: bool = False,
) -> pd.DataFrame:
    r"""Read a dataset by name and split it.

    Faces whose picture cannot be read, or whose box lies outside it, are left out, with a warning.
    A `.parquet` manifest that is split already is returned as it is, unless a protocol or a fold is
    given.

    Args:
        name: Key of `DATASETS`, or the path of a csv of your own (see `own_tables.read_own_table`)
            or of a manifest, `.parquet`.
        data_dir: Holds the datasets under their usual names, such as `data/raw/UTKFace`.
        seed: Of the split.
        protocol: Key of `protocols.PROTOCOLS`; by default that of `choose_protocol`.
        fold: Of a protocol of `protocols.FOLDED`, 0 to 9.
        download: Whether to fetch missing images, for datasets that list their addresses.

    Returns:
        A manifest with `group` and `split`; its `attrs` say the protocol and the seed.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If the name is unknown, or the data or the protocol do not fit.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for group in range(40):
        ...     Image.new("RGB", (48, 48)).save(folder / f"{group}.png")
        >>> rows = [f"{group}.png,{group}" for group in range(40)]
        >>> _ = (folder / "mine.csv").write_text("\n".join(["path,group", *rows]))
        >>> manifest = read_dataset(str(folder / "mine.csv"), Path("data/raw"))
        >>> sorted(manifest["split"].unique())
        ['calibration', 'test', 'train', 'validation']
    """
    return split_dataset(name, read_unsplit(name, data_dir, download), seed, protocol, fold)


def split_dataset(
    name: str,
    manifest: pd.DataFrame,
    seed: int = 0,
    protocol: str | None = None,
    fold: int | None = None,
) -> pd.DataFrame:
    """Split a manifest from `read_unsplit`, or a sample of its rows, as `read_dataset` does.

    Its arguments, and its errors, are those of `read_dataset`.

    Example:
        >>> from facekit.datasets.manifest import make_manifest
        >>> manifest = make_manifest([{"path": "a.jpg", "split": "train"}], "mine")
        >>> split_dataset("mine.parquet", manifest)["split"].tolist()  # split already
        ['train']
    """
    if keeps_split(name, manifest) and protocol is None and fold is None:
        return manifest
    manifest = leave_out_outside(leave_out_unreadable(manifest))
    return split_by_protocol(manifest, protocol or choose_protocol(name, manifest), seed, fold)


def read_unsplit(name: str, data_dir: Path, download: bool = False) -> pd.DataFrame:
    r"""Read a dataset by name as its files have it, without splitting it.

    Args:
        name: As for `read_dataset`.
        data_dir: As for `read_dataset`.
        download: As for `read_dataset`.

    Raises:
        FileNotFoundError: If it does not exist.
        ValueError: If the name is unknown, or the dataset cannot be downloaded.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (48, 48)).save(folder / "a.png")
        >>> _ = (folder / "mine.csv").write_text("path,gender\na.png,female\n")
        >>> read_unsplit(str(folder / "mine.csv"), Path("data/raw"))["gender"].tolist()
        ['female']
    """
    ending = Path(name).suffix.lower()
    if ending == ".csv":
        return read_own_table(Path(name))
    if ending == ".parquet":
        return load_manifest(Path(name))
    dataset = find_dataset(name)
    folder = Path(data_dir, dataset.folder)
    if not folder.is_dir():
        raise FileNotFoundError(
            f"{folder}: {name} is not there; get it from {dataset.source} (see data/README.md)."
        )
    if not download:
        return dataset.read(folder)
    if not dataset.downloads:
        able = ", ".join(each.name for each in CATALOGUE if each.downloads)
        raise ValueError(f"`download` is for {able}; got {name}.")
    return dataset.read(folder, download=True)


def keeps_split(name: str, manifest: pd.DataFrame) -> bool:
    """Return whether a manifest was read from a `.parquet` file that is split already.

    Example:
        >>> from facekit.datasets.manifest import make_manifest
        >>> manifest = make_manifest([{"path": "a.jpg", "split": "train"}], "mine")
        >>> keeps_split("mine.parquet", manifest), keeps_split("mine.csv", manifest)
        (True, False)
    """
    return Path(name).suffix.lower() == ".parquet" and bool(manifest["split"].notna().all())


def choose_protocol(name: str, manifest: pd.DataFrame) -> str:
    """Return the protocol by which a dataset is split unless another is requested.

    It is the dataset's own. A csv or manifest of your own is split `official` if it has a column
    `split`, `subject_disjoint` if it has subjects, `group_disjoint` otherwise.

    Example:
        >>> from facekit.datasets.manifest import make_manifest
        >>> manifest = make_manifest([{"path": "a.jpg", "subject": "Ann"}], "mine")
        >>> choose_protocol("mine.csv", manifest), choose_protocol("fer2013", manifest)
        ('subject_disjoint', 'official')
    """
    if name in DATASETS:
        return DATASETS[name].protocol
    if manifest["split"].notna().any():
        return "official"
    return "subject_disjoint" if manifest["subject"].notna().any() else "group_disjoint"
