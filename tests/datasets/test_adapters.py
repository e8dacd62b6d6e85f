import pandas as pd
import pytest

from facekit.datasets.adapters import CATALOGUE, DATASETS, find_dataset, read_dataset, resolve_name
from facekit.datasets.manifest import COLUMNS, SPLITS, make_manifest, save_manifest
from facekit.datasets.protocols import PROTOCOLS
from facekit.registry import get_models_dir


class TestCatalogue:
    def test_names_and_folders_are_unique(self):
        assert len(DATASETS) == sum(1 + len(dataset.other_names) for dataset in CATALOGUE)
        assert len(CATALOGUE) == len({dataset.folder for dataset in CATALOGUE})
        assert find_dataset("ck48") is find_dataset("ck_plus")
        assert [resolve_name(name) for name in ("ck48", "utkface", "mine.csv")] == [
            "ck_plus",
            "utkface",
            "mine.csv",
        ]

    @pytest.mark.parametrize("dataset", CATALOGUE, ids=lambda dataset: dataset.name)
    def test_records_are_complete(self, dataset):
        assert dataset.protocol in PROTOCOLS
        assert set(dataset.labels) <= set(COLUMNS)
        assert all((dataset.about, dataset.source, dataset.licence, dataset.files))
        assert (
            dataset.count > 0 or dataset.name == "synthetic"
        )  # of which there are as many as wanted

    def test_files_are_counted(self, save_noise, tmp_path):
        assert find_dataset("fer2013").count_files(tmp_path) == 0
        for name in ("train/happy/1.jpg", "unpacked/Training/sad/2.png", "fer2013.csv.jpg"):
            save_noise(tmp_path / "fer2013" / name, 0)
        (tmp_path / "fer2013" / "fer2013.csv").touch()
        assert find_dataset("fer2013").count_files(tmp_path) == 3

    def test_unknown_names_are_errors(self):
        with pytest.raises(
            ValueError,
            match=r"`name` must be one of utkface, fer2013, .*, or a \.csv or \.parquet of your own; got 'lfw'",
        ):
            find_dataset("lfw")


class TestReading:
    def test_datasets_are_read_from_their_usual_folders_and_split(self, save_noise, tmp_path):
        save_noise(tmp_path / "UTKFace" / "26_1_2_2017.jpg.chip.jpg", 0)
        save_noise(tmp_path / "fer2013" / "train" / "happy" / "Training_1.jpg", 1)
        save_noise(tmp_path / "CK+48" / "anger" / "S001_001_00000001.png", 2)
        save_noise(tmp_path / "FGNET" / "images" / "001A02.JPG", 3)
        save_noise(tmp_path / "face_age" / "001" / "2.png", 4)
        for name in ("utkface", "fer2013", "ck_plus", "fg_net", "facial_age"):
            manifest = read_dataset(name, tmp_path)
            assert manifest["source"].tolist() == [name]
            assert manifest["split"].isin(SPLITS).all()
            assert manifest["group"].notna().all()

    def test_another_protocol_and_fold(self, save_noise, tmp_path):
        for subject in range(20):
            save_noise(tmp_path / "CK+48" / "fear" / f"S{subject:03d}_001_00000001.png", subject)
        assert len(read_dataset("ck_plus", tmp_path, protocol="augment_then_split")) > 20
        folds = [read_dataset("ck_plus", tmp_path, fold=fold) for fold in (0, 1)]
        assert (folds[0]["split"] != folds[1]["split"]).any()

    def test_missing_data_says_where_to_get_it(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"UTKFace: utkface is not there; get it from https://susanqq\.github\.io/UTKFace",
        ):
            read_dataset("utkface", tmp_path)

    def test_downloading_what_has_no_addresses_is_an_error(self, tmp_path):
        (tmp_path / "UTKFace").mkdir()
        with pytest.raises(ValueError, match="`download` is for dataturks; got utkface"):
            read_dataset("utkface", tmp_path, download=True)

    @pytest.mark.parametrize(
        ("header", "row", "splits", "groups"),
        [
            ("path,age", "{},30", {"train": 17, "validation": 1, "test": 2}, 20),
            ("path,subject", "{},S1", {"train": 20}, 1),
            ("path,subject,split", "{},S1,test", {"test": 20}, 20),
        ],
    )
    def test_an_own_csv_is_split_by_what_it_tells(
        self, header, row, splits, groups, save_noise, tmp_path
    ):
        names = [save_noise(tmp_path / f"{index}.jpg", index).name for index in range(20)]
        (tmp_path / "mine.csv").write_text(
            "\n".join([header, *(row.format(name) for name in names)])
        )
        manifest = read_dataset(str(tmp_path / "mine.csv"), tmp_path / "elsewhere")
        assert manifest["group"].nunique() == groups
        assert manifest["split"].value_counts().to_dict() == splits

    def test_a_manifest_keeps_its_split_unless_another_is_asked_for(self, save_noise, tmp_path):
        rows = [
            {"path": str(save_noise(tmp_path / f"{index}.jpg", index)), "age": 30}
            for index in range(20)
        ]
        manifest = make_manifest(rows, "mine").assign(
            split=["excluded"] + ["test"] * 19, group=range(20)
        )
        save_manifest(manifest, tmp_path / "mine.parquet")
        assert (
            read_dataset(str(tmp_path / "mine.parquet"), tmp_path)["split"].tolist()
            == manifest["split"].tolist()
        )
        dealt = read_dataset(str(tmp_path / "mine.parquet"), tmp_path, protocol="group_disjoint")
        assert dealt["split"].value_counts().to_dict() == {"train": 17, "validation": 1, "test": 2}
        save_manifest(manifest.assign(split=None), tmp_path / "mine.parquet")
        assert read_dataset(str(tmp_path / "mine.parquet"), tmp_path)["split"].notna().all()


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*malformed names left out")
@pytest.mark.parametrize("name", ["utkface", "fer2013", "ck_plus"])
def test_the_splits_are_those_on_which_the_shipped_models_were_measured(name, data_dir):
    dataset = find_dataset(name)
    if not (data_dir / dataset.folder).is_dir():
        pytest.skip(f"{dataset.folder} is not there")
    models = [
        get_models_dir() / task
        for task in ("age", "gender", "emotion", "ethnicity")
        if task in dataset.labels
    ]
    predictions = pd.read_parquet(models[0] / "predictions.parquet").query("source == @name")
    manifest = read_dataset(name, data_dir)
    held_out = manifest[manifest["split"].isin(("validation", "test"))]
    names = held_out["path"].str.rsplit("/", n=1).str[-1]
    if len(held_out) != len(predictions):
        pytest.skip(f"another copy of {name} than the one the models were measured on")
    assert names.tolist() == predictions["image"].tolist()
    assert held_out["split"].tolist() == predictions["split"].tolist()
    assert held_out["group"].tolist() == predictions["group"].tolist()
