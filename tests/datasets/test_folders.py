import shutil
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.datasets.folders import (
    read_all_age_faces,
    read_ck_plus,
    read_ck_plus_original,
    read_facial_age,
    read_fer2013,
    read_fg_net,
    read_rows,
    read_utkface,
)
from facekit.datasets.manifest import COLUMNS
from facekit.datasets.protocols import split_by_protocol


def get_names(manifest: pd.DataFrame, split: str) -> set[str]:
    return {Path(path).name for path in manifest.loc[manifest["split"] == split, "path"]}


def get_folders(manifest: pd.DataFrame) -> pd.Series:
    return manifest["path"].map(lambda path: Path(path).parent.name)


class TestUtkface:
    @pytest.fixture
    def folder(self, save_noise, tmp_path) -> Path:
        for index in range(60):
            save_noise(
                tmp_path / f"{index + 1}_{index % 2}_{index % 5}_201701{index:011d}.jpg.chip.jpg",
                index,
            )
        return tmp_path

    def test_labels_come_from_names(self, folder):
        manifest = read_utkface(folder)
        assert tuple(manifest.columns) == COLUMNS
        assert len(manifest) == 60
        assert set(manifest["source"]) == {"utkface"}
        assert manifest[["emotion", "subject", "x1", "group", "split"]].isna().all(axis=None)
        rows = manifest.set_index(
            manifest["path"].map(lambda path: Path(path).name.split("_2017")[0])
        )
        labels = ["age", "gender", "ethnicity"]
        assert rows.loc["1_0_0", labels].tolist() == [1, "male", "white"]
        assert rows.loc["12_1_1", labels].tolist() == [12, "female", "black"]
        assert rows.loc["13_0_2", labels].tolist() == [13, "male", "asian"]
        assert rows.loc["14_1_3", labels].tolist() == [14, "female", "indian"]
        assert rows.loc["15_0_4", labels].tolist() == [15, "male", "other"]

    def test_malformed_names_are_left_out_and_named(self, folder, save_noise):
        malformed = [
            "39_1_20170116174525125.jpg.chip.jpg",
            "61_3_0_2017.jpg.chip.jpg",
            "1_1_7_2017.jpg.chip.jpg",
            "200_0_0_2017.jpg.chip.jpg",
            "photo.jpg",
        ]
        for seed, name in enumerate(malformed, 100):
            save_noise(folder / name, seed)
        with pytest.warns(UserWarning, match="5 malformed names left out") as warned:
            manifest = read_utkface(folder)
        assert len(manifest) == 60
        assert all(name in str(warned[0].message) for name in malformed)

    def test_any_case_and_format_of_pictures(self, save_noise, tmp_path):
        names = ("1_0_0_2017.JPG", "2_1_1_2017.jpeg", "3_0_2_2017.jpg.chip.PNG", "4_1_3_2017.bmp")
        for seed, name in enumerate(names):
            save_noise(tmp_path / ("part1" if seed % 2 else ".") / name, seed)
        assert sorted(read_utkface(tmp_path)["age"]) == [1, 2, 3, 4]

    def test_hidden_files_and_documents_are_passed_over_and_other_formats_named(
        self, folder, save_noise
    ):
        save_noise(folder / ".ipynb_checkpoints" / "9_0_0_2017.jpg", 500)
        (folder / "._1_0_0_2017.jpg").touch()
        (folder / "readme.txt").touch()
        (folder / "1_0_0_2017.raw").touch()
        with pytest.warns(
            UserWarning, match=r"1 files in formats that are not read left out: 1_0_0_2017\.raw$"
        ):
            assert len(read_utkface(folder)) == 60


class TestFer2013:
    @pytest.fixture
    def folder(self, save_noise, tmp_path) -> Path:
        for index, label in enumerate(
            ("angry", "disgust", "fear", "happy", "neutral", "sad", "surprise")
        ):
            for number in range(6):
                save_noise(
                    tmp_path / "train" / label / f"Training_{index}{number}.jpg",
                    10 * index + number,
                )
            for number in range(2):
                save_noise(
                    tmp_path / "validation" / label / f"PublicTest_{index}{number}.jpg",
                    1000 + 10 * index + number,
                )
        return tmp_path

    def test_labels_and_the_datasets_own_split(self, folder):
        manifest = read_fer2013(folder)
        assert manifest["split"].value_counts().to_dict() == {"train": 42, "validation": 14}
        for given, label in (
            ("angry", "anger"),
            ("happy", "happiness"),
            ("sad", "sadness"),
            ("disgust", "disgust"),
        ):
            assert set(manifest.loc[get_folders(manifest) == given, "emotion"]) == {label}

    def test_the_public_test_is_the_test_and_what_it_shows_too_is_excluded(
        self, folder, save_noise
    ):
        shutil.copy(
            folder / "validation" / "fear" / "PublicTest_20.jpg",
            folder / "train" / "fear" / "Training_copied.jpg",
        )
        save_noise(
            folder / "train" / "sad" / "Training_relit.jpg", 1030, brighter=30, quality=70
        )  # of PublicTest_30
        manifest = split_by_protocol(read_fer2013(folder), "official")
        assert get_names(manifest, "test") == {
            f"PublicTest_{index}{number}.jpg" for index in range(7) for number in range(2)
        }
        assert get_names(manifest, "excluded") == {"Training_copied.jpg", "Training_relit.jpg"}
        assert manifest["split"].eq("train").sum() >= 32

    def test_other_folders_are_left_out(self, folder, save_noise):
        save_noise(folder / "train" / "bored" / "Training_99.jpg", 500)
        save_noise(folder / "spare" / "happy" / "Training_98.jpg", 501)
        with pytest.warns(
            UserWarning, match="2 images in unknown folders left out: spare/happy, train/bored$"
        ):
            assert len(read_fer2013(folder)) == 56

    def test_capitals_and_any_format(self, save_noise, tmp_path):
        places = (
            "Train/Happy/1.jpeg",
            "TRAIN/SAD/2.PNG",
            "Validation/Anger/3.bmp",
            "test/fear/4.jpg",
        )
        for seed, place in enumerate(places):
            save_noise(tmp_path / place, seed)
        manifest = read_fer2013(tmp_path)
        assert sorted(zip(manifest["split"], manifest["emotion"], strict=True)) == [
            ("test", "fear"),
            ("train", "happiness"),
            ("train", "sadness"),
            ("validation", "anger"),
        ]

    def test_a_class_whose_folder_is_not_understood_is_named(self, folder):
        (folder / "train" / "happy").rename(folder / "train" / "glad")
        (folder / "validation" / "happy").rename(folder / "validation" / "glad")
        with pytest.warns(UserWarning) as warned:
            assert len(read_fer2013(folder)) == 48
        assert str(warned[0].message).endswith(
            "8 images in unknown folders left out: train/glad (6), validation/glad (2)."
            " No image is labelled happiness."
        )

    def test_a_class_in_a_format_that_is_not_read_is_named(self, folder):
        for path in folder.glob("*/sad/*.jpg"):
            path.rename(path.with_suffix(".heif2"))
        with pytest.warns(UserWarning) as warned:
            assert len(read_fer2013(folder)) == 48
        assert "8 files in formats that are not read left out: " in str(warned[0].message)
        assert str(warned[0].message).endswith(". No image is labelled sadness.")

    @staticmethod
    def write_csv(path: Path, header: str, rows: list[tuple], order=(0, 1, 2)) -> None:
        lines = [",".join(str(row[column]) for column in order) for row in rows]
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text("\n".join([header, *lines]) + "\n")

    @staticmethod
    def draw_pixels(seed: int) -> np.ndarray:
        return np.random.default_rng(seed).integers(0, 256, (48, 48), dtype=np.uint8)

    def make_rows(self) -> list[tuple]:
        usages = (
            "Training",
            "Training",
            "Training",
            "Training",
            "PublicTest",
            "PrivateTest",
            "PrivateTest",
        )
        return [
            (code, " ".join(map(str, self.draw_pixels(code).ravel())), usage)
            for code, usage in enumerate(usages)
        ]

    @pytest.mark.parametrize(
        ("name", "header", "order"),
        [
            ("fer2013.csv", "emotion,pixels,Usage", (0, 1, 2)),
            ("icml_face_data.csv", "emotion, Usage, pixels", (0, 2, 1)),
        ],
    )
    def test_the_challenges_csv(self, name, header, order, tmp_path):
        self.write_csv(tmp_path / name, header, self.make_rows(), order)
        manifest = read_fer2013(tmp_path)
        emotions = ["anger", "disgust", "fear", "happiness", "sadness", "surprise", "neutral"]
        manifest = manifest.set_index(
            manifest["path"].map(lambda path: int(Path(path).stem) - 2)
        )  # the first line is the header
        assert manifest["emotion"].sort_index().tolist() == emotions
        assert (
            manifest["split"].sort_index().tolist() == ["train"] * 4 + ["validation"] + ["test"] * 2
        )
        for code, path in manifest["path"].items():
            np.testing.assert_array_equal(np.asarray(Image.open(path)), self.draw_pixels(code))
        manifest = split_by_protocol(manifest.reset_index(drop=True), "official")
        assert manifest["split"].value_counts().to_dict() == {
            "train": 3,
            "test": 2,
            "validation": 1,
            "calibration": 1,
        }

    def test_the_csv_is_unpacked_once(self, tmp_path):
        self.write_csv(tmp_path / "fer2013.csv", "emotion,pixels,Usage", self.make_rows())
        first = read_fer2013(tmp_path)
        (tmp_path / "fer2013.csv").write_text("damaged since")
        pd.testing.assert_frame_equal(read_fer2013(tmp_path), first)

    @pytest.mark.parametrize(
        ("row", "message"),
        [
            (
                (0, "1 2 3", "Training"),
                r"fer2013\.csv: line 2 is damaged \(.*\); download the file again",
            ),
            ((0, " ".join(["256"] * 2304), "Training"), "line 2 is damaged"),
            ((7, " ".join(["0"] * 2304), "Training"), r"line 2 is damaged \(7\)"),
            ((-1, " ".join(["0"] * 2304), "Training"), "line 2 is damaged"),
            ((0, " ".join(["0"] * 2304), "Holiday"), "line 2 is damaged .*Holiday"),
        ],
    )
    def test_a_damaged_csv_leaves_nothing_behind(self, row, message, tmp_path):
        self.write_csv(tmp_path / "fer2013.csv", "emotion,pixels,Usage", [row])
        with pytest.raises(ValueError, match=message):
            read_fer2013(tmp_path)
        assert not (tmp_path / "unpacked").exists()

    @pytest.mark.parametrize(
        ("header", "message"),
        [
            ("emotion,pixels,Usage", "holds no pictures"),
            ("pixels", "the column emotion, Usage is missing"),
        ],
    )
    def test_an_empty_csv(self, header, message, tmp_path):
        self.write_csv(tmp_path / "fer2013.csv", header, [])
        with pytest.raises(ValueError, match=message):
            read_fer2013(tmp_path)

    def test_folders_go_before_the_csv(self, folder):
        self.write_csv(folder / "fer2013.csv", "emotion,pixels,Usage", self.make_rows())
        assert len(read_fer2013(folder)) == 56


class TestCkPlus:
    def test_labels_and_subjects(self, save_noise, tmp_path):
        labels = ("anger", "contempt", "disgust", "fear", "happy", "sadness", "surprise")
        for subject, label in enumerate(labels):
            for frame in range(3):
                save_noise(
                    tmp_path / label / f"S{subject:03d}_001_{frame:08d}.png", 10 * subject + frame
                )
        manifest = read_ck_plus(tmp_path)
        assert len(list(tmp_path.glob("*/*.png"))) == 21
        assert len(manifest) == 18
        assert "contempt" not in set(get_folders(manifest))
        assert set(manifest["emotion"]) == {
            "anger",
            "disgust",
            "fear",
            "happiness",
            "sadness",
            "surprise",
        }
        assert set(manifest["subject"]) == {f"S{subject:03d}" for subject in (0, 2, 3, 4, 5, 6)}

    def test_what_is_not_understood_is_named(self, save_noise, tmp_path):
        save_noise(tmp_path / "Fear" / "s001_001_00000001.PNG", 0)
        save_noise(tmp_path / "fear" / "portrait.png", 1)
        save_noise(tmp_path / "bored" / "S002_001_00000001.png", 2)
        with pytest.warns(UserWarning) as warned:
            manifest = read_ck_plus(tmp_path)
        assert manifest[["emotion", "subject"]].to_numpy().tolist() == [["fear", "S001"]]
        messages = [str(warning.message) for warning in warned]
        assert messages[0].endswith("1 malformed names left out: portrait.png")
        assert "1 images in unknown folders left out: bored. No image is labelled " in messages[1]


class TestCkPlusOriginal:
    @pytest.fixture
    def folder(self, save_noise, tmp_path) -> Path:
        """Two subjects' sequences: disgust, contempt, an empty label folder, no label folder."""
        for number, (subject, sequence, frames) in enumerate(
            [("S005", "001", 11), ("S010", "001", 6), ("S010", "002", 5), ("S010", "003", 2)]
        ):
            for frame in range(1, frames + 1):
                name = f"{subject}_{sequence}_{frame:08d}.png"
                save_noise(
                    tmp_path / "cohn-kanade-images" / subject / sequence / name,
                    100 * number + frame,
                )
        (tmp_path / "cohn-kanade-images" / "S005" / "001" / ".DS_Store").touch()
        for subject, sequence, frame, code in [
            ("S005", "001", 11, 3),
            ("S010", "001", 6, 2),
            ("S010", "003", 2, 5),
        ]:
            emotion = (
                tmp_path
                / "Emotion"
                / subject
                / sequence
                / f"{subject}_{sequence}_{frame:08d}_emotion.txt"
            )
            emotion.parent.mkdir(parents=True)
            emotion.write_text(f"   {code:.7e}\n")
        (tmp_path / "Emotion" / "S010" / "002").mkdir()
        return tmp_path

    def test_the_peak_shows_the_emotion_and_the_start_is_neutral(self, folder):
        with pytest.warns(UserWarning, match="left out: 1 sequences without a label"):
            manifest = read_ck_plus_original(folder)
        labels = dict(
            zip(
                manifest["path"].map(lambda path: Path(path).stem), manifest["emotion"], strict=True
            )
        )
        assert labels == {
            "S005_001_00000001": "neutral",
            "S005_001_00000009": "disgust",
            "S005_001_00000010": "disgust",
            "S005_001_00000011": "disgust",
            "S010_001_00000001": "neutral",  # of contempt, which has no counterpart
            "S010_003_00000001": "neutral",
            "S010_003_00000002": "happiness",  # a short sequence's first frame stays neutral
        }
        assert manifest["subject"].tolist() == ["S005"] * 4 + ["S010"] * 3

    @pytest.mark.parametrize("text", ["", "happy", "8.0", "-1", "nan", "inf"])
    def test_a_damaged_emotion_is_named(self, text, folder):
        path = folder / "Emotion" / "S005" / "001" / "S005_001_00000011_emotion.txt"
        path.write_text(text)
        with pytest.raises(
            ValueError, match=r"S005_001_00000011_emotion\.txt: must hold one number from 0 to 7"
        ):
            read_ck_plus_original(folder)


def test_fg_net(save_noise, tmp_path):
    for seed, name in enumerate(("001A02.JPG", "001A43a.JPG", "082A00.jpg", "mugshot.JPG")):
        save_noise(tmp_path / "images" / name, seed)
    with pytest.warns(UserWarning, match=r"1 malformed names left out: mugshot\.JPG"):
        manifest = read_fg_net(tmp_path)
    assert manifest[["subject", "age"]].to_numpy().tolist() == [
        ["001", 2.0],
        ["001", 43.0],
        ["082", 0.0],
    ]


def test_all_age_faces(save_noise, tmp_path):
    names = ("00000A02.jpg", "more/07380A80.jpg", "more/07381A02.JPG", "13321A45.png", "7A2.jpg")
    for seed, name in enumerate(names):
        save_noise(tmp_path / name, seed)
    with pytest.warns(UserWarning, match=r"1 malformed names left out: 7A2\.jpg"):
        manifest = read_all_age_faces(tmp_path)
    assert manifest[["age", "gender"]].to_numpy().tolist() == [
        [2.0, "female"],
        [45.0, "male"],
        [80.0, "female"],
        [2.0, "male"],
    ]
    assert manifest[["ethnicity", "subject", "split"]].isna().all(axis=None)


def test_facial_age(save_noise, tmp_path):
    for seed, name in enumerate(
        ("001/1.png", "001/10.png", "110/9.png", "200/3.png", "readme/2.png")
    ):
        save_noise(tmp_path / name, seed)
    with pytest.warns(UserWarning, match="2 images in unknown folders left out: 200, readme$"):
        assert read_facial_age(tmp_path)["age"].tolist() == [1, 1, 110]


@pytest.mark.parametrize(
    "read",
    [
        read_utkface,
        read_fer2013,
        read_ck_plus,
        read_ck_plus_original,
        read_all_age_faces,
        read_fg_net,
        read_facial_age,
    ],
)
@pytest.mark.parametrize("name", [".", "missing"])
def test_an_empty_folder_says_where_to_get_the_data(read, name, tmp_path):
    with pytest.raises(
        FileNotFoundError,
        match=r"no files like \S+; data/README\.md says where to get this dataset",
    ):
        read(tmp_path / name)


class TestRows:
    def test_blanks_and_byte_order_marks_are_dropped(self, tmp_path):
        (tmp_path / "a.csv").write_text("\ufeffa, b \n1, 2\n\n3,4\n", encoding="utf-8")
        assert list(read_rows(tmp_path / "a.csv", ("a",))) == [
            (2, {"a": "1", "b": "2"}),
            (4, {"a": "3", "b": "4"}),
        ]

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            ("", r"a\.csv: the file is empty"),
            ("a\n1\n", r"a\.csv: line 1: the column b is missing; the file has a\."),
            ("a,b\n1\n", r"a\.csv: line 2 must have 2 cells, as the header has; got 1"),
            ("a,b\n1,2,3\n", r"a\.csv: line 2 must have 2 cells, as the header has; got 3"),
        ],
    )
    def test_damage_is_named(self, text, message, tmp_path):
        (tmp_path / "a.csv").write_text(text)
        with pytest.raises(ValueError, match=message):
            list(read_rows(tmp_path / "a.csv", ("b",)))
