from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import make_manifest, save_manifest
from facekit.images import equalise_crops
from facekit.training import data as data_module
from facekit.training.course import COURSES, make_course
from facekit.training.data import DataChoice, check_splits, find_rows, load_data
from facekit.training.tasks import TASKS

BOTH = make_course(TASKS["emotion"], sources=("fer2013", "ck_plus"))
BOXES = ({"x1": 0, "y1": 0, "x2": 9, "y2": 9}, {"x1": 20.5, "y1": 0, "x2": 30, "y2": 9})


@pytest.fixture(scope="module")
def emotions(tmp_path_factory, save_noise) -> Path:
    """Save ten images of FER2013 and five of CK+."""
    folder = tmp_path_factory.mktemp("emotions")
    for index, label in enumerate(("happy", "sad", "fear", "surprise", "disgust")):
        fer, ck_plus = folder / "fer2013", folder / "CK+48"
        save_noise(fer / "train" / label / f"Training_{index}.jpg", index)
        save_noise(fer / "validation" / label / f"PublicTest_{index}.jpg", 10 + index)
        label = label.replace("sad", "sadness")
        save_noise(ck_plus / label / f"S00{index}_001_00000001.png", 20 + index)
    return folder


@pytest.fixture
def own(emotions, tmp_path) -> DataChoice:
    """Choose a manifest of three faces with ages, two of which have a gender."""
    paths = sorted((emotions / "CK+48").rglob("*.png"))[:3]
    rows = [
        {"path": str(path), "age": 30, "gender": gender}
        for path, gender in zip(paths, ("male", None, "female"), strict=True)
    ]
    save_manifest(make_manifest(rows, "mine"), tmp_path / "own.parquet")
    return DataChoice(tmp_path, manifest=tmp_path / "own.parquet")


class TestLoadData:
    def test_datasets_follow_each_other(self, emotions):
        manifest, crops, scores = load_data(BOTH, DataChoice(emotions), seed=0)
        assert manifest["source"].tolist() == ["fer2013"] * 10 + ["ck_plus"] * 5
        assert manifest.index.tolist() == list(range(15))
        assert crops.shape == (15, 64, 64, 1)
        assert scores.shape == (15,)
        assert set(manifest.attrs["splits"]) == {"fer2013", "ck_plus"}

    def test_the_course_says_the_form(self, emotions):
        grey = make_course(TASKS["emotion"], sources=("ck_plus",), equalise=False)
        colour = replace(grey, side=24, channels=3)
        plain, equalised, coloured = (
            load_data(course, DataChoice(emotions), seed=0)[1]
            for course in (grey, replace(grey, equalise=True), colour)
        )
        np.testing.assert_array_equal(equalised, equalise_crops(plain))
        assert coloured.shape == (5, 24, 24, 3)

    def test_other_sources(self, emotions):
        data = DataChoice(emotions, sources=("CK+48",))
        manifest, crops, _ = load_data(COURSES["emotion"], data, seed=0)
        assert manifest["source"].tolist() == ["ck_plus"] * 5
        assert len(crops) == 5

    @pytest.mark.parametrize(
        ("names", "missing_labels", "count"),
        [(("age",), "mask", 3), (("age", "gender"), "mask", 3), (("age", "gender"), "drop", 2),
         (("gender",), "mask", 2)],
    )  # fmt: skip
    def test_rows_that_lack_labels(self, own, names, missing_labels, count):
        """They stay where they teach another task, unless the course drops them."""
        course = make_course(*(TASKS[name] for name in names), missing_labels=missing_labels)
        manifest, crops, scores = load_data(course, own, seed=0)
        assert len(manifest) == len(crops) == len(scores) == count
        assert manifest.index.tolist() == list(range(count))
        genders = ["male", "female"] if count == 2 else ["male", None, "female"]
        assert [None if pd.isna(label) else label for label in manifest["gender"]] == genders

    def test_crops_stay_with_their_rows(self, own):
        everything = load_data(COURSES["age"], own, seed=0)[1]
        np.testing.assert_array_equal(
            load_data(COURSES["gender"], own, seed=0)[1], everything[[0, 2]]
        )

    @pytest.mark.parametrize("missing_labels", ["mask", "drop"])
    def test_a_task_without_any_label_is_an_error(self, own, missing_labels):
        course = make_course(
            TASKS["gender"], TASKS["emotion"], equalise=False,
            augmentation=TASKS["gender"].augmentation, missing_labels=missing_labels,
        )  # fmt: skip
        with pytest.raises(
            ValueError, match=r"`sources` must label .*emotion; no face of own does"
        ):
            load_data(course, own, seed=0)

    def test_protocol_and_seed_are_kept(self, own, monkeypatch):
        stated = data_module.load_manifest(own.manifest)
        stated.attrs = {"protocol": "random_frames", "seed": 3}
        monkeypatch.setattr(data_module, "load_manifest", lambda path: stated)
        manifest, _, _ = load_data(COURSES["gender"], own, seed=0)
        assert manifest.attrs == {"splits": {"own": {"protocol": "random_frames", "seed": 3}}}

    def test_missing_data_says_where_to_get_it(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"UTKFace: utkface .*https://susanqq\.github"):
            load_data(COURSES["gender"], DataChoice(tmp_path), seed=0)
        own = DataChoice(tmp_path, manifest=tmp_path / "own.parquet")
        with pytest.raises(FileNotFoundError, match=r"own\.parquet: no such manifest"):
            load_data(COURSES["gender"], own, seed=0)


class TestFindRows:
    def test_faces_of_one_photo_differ_by_their_boxes(self):
        rows = [{"path": "a.jpg", **box} for box in BOXES] + [{"path": "b.jpg"}]
        whole = make_manifest(rows, "mine")
        chosen = whole.iloc[[2, 1, 1, 0]].reset_index(drop=True)
        assert find_rows(chosen, whole).tolist() == [2, 1, 1, 0]

    def test_repeated_rows_are_the_same_face(self):
        whole = make_manifest([{"path": "a.jpg"}] * 2, "mine")
        assert find_rows(whole, whole).tolist() == [0, 0]

    def test_no_rows(self):
        whole = make_manifest([{"path": "a.jpg"}], "mine")
        assert find_rows(whole[:0], whole).tolist() == []


class TestCheckSplits:
    FACES = pd.DataFrame(
        {
            "split": ["train", "train", "validation", "test"],
            "age": [1, 2, 3, 4],
            "gender": ["male", "male", None, "male"],
        }
    )

    def test_every_task_needs_every_split(self):
        check_splits(self.FACES, [TASKS["age"]], ("train", "validation", "test"))
        with pytest.raises(
            ValueError,
            match=r"The validation split must hold faces labelled with gender; it holds none of 4 "
            r"\(2 train, 1 validation, 1 test\).*add images, or give a manifest",
        ):
            check_splits(self.FACES, [TASKS["age"], TASKS["gender"]])

    def test_the_calibration_split_does_not_count_as_validation(self):
        faces = self.FACES.replace({"split": {"validation": "calibration"}})
        with pytest.raises(ValueError, match="The validation split must hold faces"):
            check_splits(faces, [TASKS["age"]])
