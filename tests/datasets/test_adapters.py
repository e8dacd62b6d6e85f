"""Datasets are read and split by name."""

import pytest

from facekit.datasets.adapters import read_dataset
from facekit.datasets.catalogue import find_dataset
from facekit.datasets.manifest import SPLITS, make_manifest, save_manifest
from facekit.datasets.protocols import SHARES
from facekit.images import ImageError


class TestReading:
    def test_datasets_are_read_from_their_usual_folders_and_split(self, save_noise, tmp_path):
        for index in range(5):
            save_noise(tmp_path / "UTKFace" / f"2{index}_1_2_2017.jpg.chip.jpg", index)
            split = "train" if index else "validation"
            save_noise(tmp_path / "fer2013" / split / "happy" / f"{index}.jpg", index)
            save_noise(tmp_path / "CK+48" / "anger" / f"S00{index}_001_00000001.png", index)
            save_noise(tmp_path / "FGNET" / "images" / f"00{index}A02.JPG", index)
            save_noise(tmp_path / "face_age" / "001" / f"{index}.png", index)
        for name in ("utkface", "fer2013", "ck_plus", "fg_net", "facial_age"):
            manifest = read_dataset(name, tmp_path)
            assert manifest["source"].tolist() == [name] * 5
            assert manifest["split"].isin(SPLITS).all()
            assert manifest["group"].notna().all()
            assert manifest.attrs == {"protocol": find_dataset(name).protocol, "seed": 0}

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
        ("header", "row", "protocol", "groups"),
        [
            ("path,age", "{},30", "group_disjoint", 20),
            ("path,subject", "{},S{}", "subject_disjoint", 7),
            ("path,subject,split", "{},S1,test", "official", 1),
        ],
    )
    def test_an_own_csv_is_split_by_its_columns(
        self, header, row, protocol, groups, save_noise, tmp_path
    ):
        names = [save_noise(tmp_path / f"{index}.jpg", index).name for index in range(20)]
        rows = [row.format(name, index // 3) for index, name in enumerate(names)]
        (tmp_path / "mine.csv").write_text("\n".join([header, *rows]))
        manifest = read_dataset(str(tmp_path / "mine.csv"), tmp_path / "elsewhere")
        assert manifest["group"].nunique() == groups
        assert manifest["split"].notna().all()
        assert manifest.attrs["protocol"] == protocol

    @pytest.mark.parametrize("column", ["", ",group"])
    def test_unreadable_pictures_are_left_out_and_named(self, column, save_noise, tmp_path):
        names = [save_noise(tmp_path / f"{index}.jpg", index).name for index in range(8)]
        (tmp_path / "2.jpg").write_bytes((tmp_path / "2.jpg").read_bytes()[:300])
        (tmp_path / "5.jpg").write_text("no picture")
        rows = [name + f",{index}" * bool(column) for index, name in enumerate(names)]
        (tmp_path / "mine.csv").write_text("\n".join([f"path{column}", *rows]))
        with pytest.warns(UserWarning) as warned:
            manifest = read_dataset(str(tmp_path / "mine.csv"), tmp_path)
        assert len(manifest) == 6
        message = str(warned[0].message)
        assert message.startswith("2 of 8 faces are left out, because 2 pictures cannot be read.")
        assert "2.jpg: the picture is damaged" in message
        assert "5.jpg: is not a picture" in message
        for name in names:
            (tmp_path / name).write_text("no picture")
        with pytest.raises(ImageError, match=r"None of the 8 pictures can be read\..*And 5 more\."):
            read_dataset(str(tmp_path / "mine.csv"), tmp_path)

    def test_a_manifest_keeps_its_split_unless_another_is_requested(self, save_noise, tmp_path):
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
        split = read_dataset(str(tmp_path / "mine.parquet"), tmp_path, protocol="group_disjoint")
        assert set(split["split"]) == {"train", "validation", "calibration", "test"}
        save_manifest(manifest.assign(split=None), tmp_path / "mine.parquet")
        assert read_dataset(str(tmp_path / "mine.parquet"), tmp_path)["split"].notna().all()


@pytest.mark.data
@pytest.mark.slow
@pytest.mark.filterwarnings("ignore:.*malformed names left out")
@pytest.mark.filterwarnings("ignore:.*left out. 162 images that are not a face")
@pytest.mark.parametrize(
    "name", ["utkface", "fer2013", "ferplus", "ck_plus", "all_age_faces", "lfw"]
)
def test_the_splits_of_the_datasets_at_hand(name, data_dir):
    dataset = find_dataset(name)
    if not (data_dir / dataset.folder).is_dir():
        pytest.skip(f"{dataset.folder} is not there")
    manifest = read_dataset(name, data_dir)
    used = manifest[manifest["split"] != "excluded"]
    key = "subject" if dataset.protocol == "subject_disjoint" else "group"
    assert (used.groupby(key)["split"].nunique() == 1).all()
    assert (used.groupby("group")["split"].nunique() == 1).all()
    assert set(used["split"]) == set(SHARES)
    training = used if dataset.protocol != "official" else used[used["split"] != "test"]
    assert (training["split"] == "train").mean() == pytest.approx(0.8, abs=0.1)


@pytest.mark.data
def test_the_sample_of_fairface_is_a_test(data_dir):
    if not (data_dir / "fairface").is_dir():
        pytest.skip("fairface is not there")
    manifest = read_dataset("fairface", data_dir)
    assert len(manifest) >= 1000
    assert manifest[["age", "gender", "ethnicity"]].notna().all(axis=None)
    assert set(manifest["split"]) == {"test"}
