from datetime import date
from pathlib import Path

import numpy as np
import pytest
import scipy.io

from facekit.datasets.annotations import (
    read_fairface,
    read_ground_truth,
    read_imdb_wiki,
    read_lfw,
    read_wider_face,
)
from facekit.datasets.manifest import BOX

LABELS = ["age", "gender", "ethnicity", "emotion"]


def get_stems(manifest) -> list[str]:
    return [Path(path).stem for path in manifest["path"]]


class TestFairface:
    @pytest.fixture
    def folder(self, save_noise, tmp_path) -> Path:
        header = "file,age,gender,race,service_test\n"
        (tmp_path / "fairface_label_train.csv").write_text(
            header + "train/1.jpg,50-59,Male,East Asian,True\n"
            "train/2.jpg,more than 70,Female,Latino_Hispanic,False\n"
            "train/3.jpg,0-2,Female,Southeast Asian,False\ntrain/4.jpg,3-9,Female,White,False\n"
        )
        (tmp_path / "fairface_label_val.csv").write_text(
            header + "val/1.jpg,10-19,Male,Middle Eastern,False\n"
            "val/2.jpg,20-29,Male,Black,True\nval/3.jpg,60-69,Female,Indian,True\n"
        )
        for seed, name in enumerate(("train/1", "train/2", "train/3", "val/1", "val/2", "val/3")):
            save_noise(tmp_path / f"{name}.jpg", seed)
        return tmp_path

    def test_labels_and_split(self, folder):
        with pytest.warns(UserWarning, match="left out: 1 faces whose image does not exist"):
            manifest = read_fairface(folder)
        assert manifest[["age", "gender", "ethnicity", "split"]].to_numpy().tolist() == [
            [55, "male", "asian", "train"],
            [75, "female", "other", "train"],
            [1.5, "female", "asian", "train"],
            [15, "male", "other", "validation"],
            [25, "male", "black", "validation"],
            [65, "female", "indian", "validation"],
        ]

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            (
                "train/1.jpg,03-Sep,Male,White,True",
                r"fairface_label_train\.csv: line 2: unknown label '03-Sep'; download",
            ),
            ("train/1.jpg,3-9,male,White,True", "unknown label 'male'"),
            ("train/1.jpg,3-9,Male,Martian,True", "unknown label 'Martian'"),
            ("train/1.jpg,3-9,Male", "line 2 must have 5 cells, as the header has; got 3"),
        ],
    )
    def test_damage_is_named(self, row, message, folder):
        (folder / "fairface_label_train.csv").write_text(
            f"file,age,gender,race,service_test\n{row}\n"
        )
        with pytest.raises(ValueError, match=message):
            read_fairface(folder)


class TestLfw:
    def test_people_and_genders(self, save_noise, tmp_path):
        for seed, name in enumerate(("p0_01", "p0_02", "p1_01")):
            save_noise(tmp_path / f"{name}.jpg", seed)
        (tmp_path / "labels.csv").write_text(
            "image,person,gender\np0_01.jpg,p0,male\np0_02.jpg,p0,male\n"
            "p1_01.jpg,p1,female\np2_01.jpg,p2,female\n"
        )
        with pytest.warns(UserWarning, match="left out: 1 faces whose image does not exist"):
            manifest = read_lfw(tmp_path)
        assert manifest[["subject", "gender"]].to_numpy().tolist() == [
            ["p0", "male"],
            ["p0", "male"],
            ["p1", "female"],
        ]
        assert manifest[["age", "split"]].isna().all(axis=None)

    def test_an_unknown_gender_is_an_error(self, save_noise, tmp_path):
        save_noise(tmp_path / "a.jpg", 0)
        (tmp_path / "labels.csv").write_text("image,person,gender\na.jpg,p0,man\n")
        with pytest.raises(ValueError, match="`gender` must be one of female, male; got man"):
            read_lfw(tmp_path)


class TestImdbWiki:
    @staticmethod
    def write_mat(folder: Path, name: str, photos: list[dict]) -> None:
        def make_cells(values: list) -> np.ndarray:
            cells = np.empty((1, len(values)), object)
            cells[0, :] = [np.array([]) if value is None else value for value in values]
            return cells

        def take(key: str, kind=float) -> np.ndarray:
            return np.array([[photo[key] for photo in photos]], kind)

        struct = {
            "dob": take("dob"), "photo_taken": take("taken", np.uint16),
            "full_path": make_cells([photo["path"] for photo in photos]),
            "gender": take("gender"), "name": make_cells([photo["name"] for photo in photos]),
            "face_location": make_cells([np.array([photo["box"]], float) for photo in photos]),
            "face_score": take("score"), "second_face_score": take("second"),
        }  # fmt: skip
        folder.mkdir(parents=True, exist_ok=True)
        scipy.io.savemat(folder / f"{name}.mat", {name: struct})

    @staticmethod
    def make_photo(path: str, born=date(1980, 7, 2), **changes) -> dict:
        """Describe a photo; Matlab counts days from the year 0, Python from the year 1."""
        photo = {
            "dob": born.toordinal() + 366,
            "taken": 2010,
            "path": path,
            "gender": 1.0,
            "name": "Ann",
        }
        return photo | {"box": (11, 21, 50, 60), "score": 4.2, "second": np.nan} | changes

    def test_ages_boxes_and_what_is_left_out(self, save_noise, tmp_path):
        photos = [
            self.make_photo("17/a.jpg"),  # 29 for one more day
            self.make_photo("17/b.jpg", born=date(1980, 6, 30), gender=0.0, name=None),
            self.make_photo(
                "17/c.jpg", gender=np.nan, taken=1980, born=date(1980, 1, 1), name="Bob"
            ),
            self.make_photo("17/d.jpg", score=-np.inf),
            self.make_photo("17/e.jpg", second=2.1),
            self.make_photo("17/f.jpg", born=date(1850, 1, 1)),
            self.make_photo("17/g.jpg", taken=1970),
            self.make_photo("17/h.jpg"),
        ]
        for seed, letter in enumerate("abcdefg"):
            save_noise(tmp_path / "wiki" / "17" / f"{letter}.jpg", seed)
        self.write_mat(tmp_path / "wiki", "wiki", photos)
        with pytest.warns(UserWarning) as warned:
            manifest = read_imdb_wiki(tmp_path)
        assert [str(warning.message).split("left out: ")[1] for warning in warned] == [
            "1 images in which no face was found, 1 images with a second face, 2 impossible ages",
            "1 faces whose image does not exist",
        ]
        assert get_stems(manifest) == ["a", "b", "c"]
        assert manifest["age"].tolist() == [29, 30, 0]
        assert manifest["gender"].fillna("").tolist() == ["male", "female", ""]
        assert manifest["subject"].fillna("").tolist() == ["Ann", "", "Bob"]
        assert manifest.loc[0, list(BOX)].tolist() == [10, 20, 50, 60]
        assert set(manifest["source"]) == {"imdb_wiki"}

    def test_cropped_images_have_no_box_and_both_parts_are_read(self, save_noise, tmp_path):
        for name in ("imdb", "wiki"):
            save_noise(tmp_path / f"{name}_crop" / "01" / "a.jpg", 0)
            self.write_mat(tmp_path / f"{name}_crop", name, [self.make_photo("01/a.jpg")])
        manifest = read_imdb_wiki(tmp_path)
        assert len(manifest) == 2
        assert manifest[list(BOX)].isna().all(axis=None)

    @pytest.mark.parametrize(
        "content", [b"", b"no matlab file", {"other": 1}, {"wiki": {"dob": 1}}]
    )
    def test_other_files_are_named(self, content, tmp_path):
        path = tmp_path / "wiki_crop" / "wiki.mat"
        path.parent.mkdir()
        if isinstance(content, bytes):
            path.write_bytes(content)
        else:
            scipy.io.savemat(path, content)
        with pytest.raises(
            ValueError, match=r"wiki\.mat: is not in IMDB-WIKI's form .*; download it again"
        ):
            read_imdb_wiki(tmp_path)


class TestWiderFace:
    TRUTH = (
        "0--Parade/0_Parade_a_1.jpg\n3\n10 20 30 40 0 0 0 0 0 0 \n"
        "5 5 9 9 2 0 0 1 0 0 \n7 7 0 5 0 0 0 0 0 0 \n"
        "1--Handshaking/b.jpg\n0\n0 0 0 0 0 0 0 0 0 0 \n"
        "2--Demonstration/c.jpg\n2\n1 2 3 4 0 0 0 0 0 0 \n100 200 10 20 0 0 0 0 2 1 \n"
    )

    @pytest.fixture
    def folder(self, save_noise, tmp_path) -> Path:
        (tmp_path / "wider_face_split").mkdir()
        for part in ("val", "train"):
            (tmp_path / "wider_face_split" / f"wider_face_{part}_bbx_gt.txt").write_text(self.TRUTH)
            for seed, name in enumerate(("0--Parade/0_Parade_a_1.jpg", "1--Handshaking/b.jpg")):
                save_noise(tmp_path / f"WIDER_{part}" / "images" / name, seed)
        return tmp_path / "WIDER_val"

    def test_valid_boxes_of_the_images_there(self, folder):
        with pytest.warns(UserWarning) as warned:
            manifest = read_wider_face(folder)
        assert [str(warning.message).split("left out: ")[1] for warning in warned] == [
            "2 invalid boxes",
            "2 faces whose image does not exist",
        ]
        assert manifest[list(BOX)].to_numpy().tolist() == [[10, 20, 40, 60]]
        assert manifest[LABELS].isna().all(axis=None)
        assert manifest["split"].tolist() == ["validation"]

    def test_the_training_part(self, folder):
        with pytest.warns(UserWarning):
            assert read_wider_face(folder.with_name("WIDER_train"))["split"].tolist() == ["train"]

    def test_ground_truth(self, folder):
        photos = list(
            read_ground_truth(folder.parent / "wider_face_split" / "wider_face_val_bbx_gt.txt")
        )
        assert [name for name, _, _ in photos] == [
            "0--Parade/0_Parade_a_1.jpg",
            "1--Handshaking/b.jpg",
            "2--Demonstration/c.jpg",
        ]
        assert [boxes.shape for _, boxes, _ in photos] == [(3, 4), (0, 4), (2, 4)]
        assert photos[0][2].tolist() == [True, False, False]

    @pytest.mark.parametrize(
        "text", ["a.jpg\n", "a.jpg\nmany\n", "a.jpg\n2\n1 2 3 4 0 0 0 0 0 0\n", "a.jpg\n1\n1 2 3\n"]
    )
    def test_damage_is_named(self, text, tmp_path):
        (tmp_path / "truth.txt").write_text(text)
        with pytest.raises(
            ValueError, match=r"truth\.txt: the rows of a\.jpg are damaged; download"
        ):
            list(read_ground_truth(tmp_path / "truth.txt"))

    @pytest.mark.data
    def test_the_sample(self, data_dir):
        if not (data_dir / "WIDER_val").is_dir():
            pytest.skip("WIDER_val is not there")
        with pytest.warns(UserWarning):
            manifest = read_wider_face(data_dir / "WIDER_val")
        assert (manifest["x2"] - manifest["x1"]).min() >= 1
        assert manifest["path"].nunique() >= 100


@pytest.mark.parametrize("read", [read_fairface, read_imdb_wiki, read_lfw, read_wider_face])
@pytest.mark.parametrize("name", [".", "missing"])
def test_an_empty_folder_says_where_to_get_the_data(read, name, tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"no files like \S+; data/README\.md says where to get this dataset",
    ):
        read(tmp_path / name)
