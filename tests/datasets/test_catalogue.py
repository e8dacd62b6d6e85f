"""The datasets by name."""

import pytest

from facekit.datasets.catalogue import CATALOGUE, DATASETS, find_dataset, resolve_name
from facekit.datasets.manifest import COLUMNS
from facekit.datasets.protocols import PROTOCOLS


def test_names_and_folders_are_unique():
    assert len(DATASETS) == sum(1 + len(dataset.other_names) for dataset in CATALOGUE)
    # FER+ is in the folder of FER2013, whose images it labels.
    assert len(CATALOGUE) - 1 == len({dataset.folder for dataset in CATALOGUE})
    assert find_dataset("ck48") is find_dataset("ck_plus")
    assert [resolve_name(name) for name in ("ck48", "utkface", "mine.csv")] == [
        "ck_plus",
        "utkface",
        "mine.csv",
    ]


@pytest.mark.parametrize("dataset", CATALOGUE, ids=lambda dataset: dataset.name)
def test_records_are_complete(dataset):
    assert dataset.protocol in PROTOCOLS
    assert set(dataset.labels) <= set(COLUMNS)
    assert all((dataset.about, dataset.source, dataset.licence, dataset.files))
    assert dataset.count > 0 or dataset.name == "synthetic"  # of which there may be any number


def test_files_are_counted(save_noise, tmp_path):
    assert find_dataset("fer2013").count_files(tmp_path) == 0
    for name in ("train/happy/1.jpg", "unpacked/Training/sad/2.png", "fer2013.csv.jpg"):
        save_noise(tmp_path / "fer2013" / name, 0)
    (tmp_path / "fer2013" / "fer2013.csv").touch()
    assert find_dataset("fer2013").count_files(tmp_path) == 3


def test_unknown_names_are_errors():
    with pytest.raises(
        ValueError,
        match=r"`name` must be one of utkface, fer2013, .*, or a \.csv or \.parquet "
        r"of your own; got 'celeba'",
    ):
        find_dataset("celeba")
