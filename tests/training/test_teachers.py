import json
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

from facekit.datasets.adapters import read_dataset
from facekit.datasets.manifest import BOX, make_manifest
from facekit.datasets.synthetic import make_synthetic
from facekit.networks.attributes import add_heads, build_attribute_cnn
from facekit.training import teachers
from facekit.training.course import COURSES, build_network, make_course
from facekit.training.tasks import TASKS
from facekit.training.teachers import (
    answer_datasets,
    average_answers,
    blend,
    read_answers,
    save_answers,
)


def list_images(*names: str, **columns) -> pd.DataFrame:
    return make_manifest([{"path": f"/data/{name}"} for name in names], "mine").assign(**columns)


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> SimpleNamespace:
    """A network, and its predictions for three images."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(
        inputs, add_heads(keras.layers.Flatten()(inputs), ("gender", "ethnicity"))
    )
    crops = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    path = tmp_path_factory.mktemp("teacher") / "answers.npz"
    save_answers(network, crops, list_images("a.jpg", "b.jpg", "c.jpg"), path)
    return SimpleNamespace(network=network, crops=crops, path=path)


class TestAnswers:
    def test_they_are_averaged_over_mirror_images(self, answers):
        views = answers.crops / 127.5 - 1, answers.crops[:, :, ::-1] / 127.5 - 1
        for name in ("gender", "ethnicity"):
            expected = np.mean([answers.network(np.float32(view))[name] for view in views], axis=0)
            given = read_answers(answers.path, name, list_images("a.jpg", "b.jpg", "c.jpg"))
            assert given.dtype == np.float32
            np.testing.assert_allclose(given, expected, atol=1e-6)
            np.testing.assert_allclose(given.sum(axis=1), 1, rtol=1e-5)

    def test_batches_are_put_together(self, answers, monkeypatch, tmp_path):
        monkeypatch.setattr(teachers, "ANSWER_BATCH", 2)
        save_answers(
            answers.network,
            answers.crops,
            list_images("a.jpg", "b.jpg", "c.jpg"),
            tmp_path / "again.npz",
        )
        with np.load(answers.path) as kept, np.load(tmp_path / "again.npz") as again:
            assert set(kept) == set(again) == {"names", "gender", "ethnicity"}
            assert (
                kept["names"].tolist()
                == again["names"].tolist()
                == ["data/a.jpg", "data/b.jpg", "data/c.jpg"]
            )
            np.testing.assert_allclose(kept["gender"], again["gender"], atol=1e-6)

    def test_they_are_found_by_the_names_of_image_and_folder(self, answers):
        """Datasets may move, and images in two folders may have the same name."""
        rows = [
            {"path": path}
            for path in ("/else/data/c.jpg", "/data/a.jpg", "/data/new.jpg", "/data/other/c.jpg")
        ]
        manifest = make_manifest(rows, "mine")
        given = dict(
            zip(manifest["path"], read_answers(answers.path, "gender", manifest), strict=True)
        )
        with np.load(answers.path) as kept:
            np.testing.assert_array_equal(given["/else/data/c.jpg"], kept["gender"][2])
            np.testing.assert_array_equal(given["/data/a.jpg"], kept["gender"][0])
        assert np.isnan([given["/data/new.jpg"], given["/data/other/c.jpg"]]).all()

    def test_repeated_images_have_one_answer(self, answers, tmp_path):
        crops = answers.crops[[0, 0, 1]]
        save_answers(
            answers.network, crops, list_images("a.jpg", "a.jpg", "b.jpg"), tmp_path / "often.npz"
        )
        given = read_answers(
            tmp_path / "often.npz", "gender", list_images("a.jpg", "b.jpg", "b.jpg")
        )
        with np.load(answers.path) as kept:
            np.testing.assert_allclose(given, kept["gender"][[0, 1, 1]], atol=1e-6)

    def test_faces_of_one_image_have_answers_of_their_own(self, answers, tmp_path):
        boxes = pd.DataFrame(
            [[0, 0, 10, 10], [20.5, 0, 30, 10], [40, 0, 50, 10]], columns=list(BOX), dtype=float
        )
        group = list_images("a.jpg", "a.jpg", "a.jpg", **boxes)
        save_answers(answers.network, answers.crops, group, tmp_path / "group.npz")
        given = read_answers(tmp_path / "group.npz", "gender", group.loc[[2, 0]])
        with np.load(answers.path) as kept:
            np.testing.assert_allclose(given, kept["gender"][[2, 0]], atol=1e-6)

    def test_a_file_is_extended_and_the_later_answer_counts(self, answers, tmp_path):
        path, faces = tmp_path / "more.npz", list_images("a.jpg", "b.jpg", "c.jpg")
        save_answers(answers.network, answers.crops[:2], faces[:2], path)
        save_answers(answers.network, answers.crops[[0, 2]], faces[1:], path)
        with np.load(answers.path) as kept:
            np.testing.assert_allclose(
                read_answers(path, "gender", faces), kept["gender"][[0, 0, 2]], atol=1e-6
            )

    def test_another_attribute_has_none(self, answers):
        given = read_answers(answers.path, "age", list_images("a.jpg", "b.jpg"))
        assert given.shape == (2, 1)
        assert np.isnan(given).all()

    def test_a_missing_file_says_how_to_make_it(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"gone\.npz: no such answers; train the teacher first with `facekit train COURSE",
        ):
            read_answers(tmp_path / "gone.npz", "gender", list_images("a.jpg"))


class TestAverage:
    def test_each_face_has_the_mean_of_those_who_know_it(self, answers, tmp_path):
        faces, other = list_images("a.jpg", "b.jpg", "d.jpg"), tmp_path / "other.npz"
        save_answers(answers.network, answers.crops[1:2], faces[:1], other)
        own, others = (read_answers(path, "gender", faces) for path in (answers.path, other))
        given = average_answers([answers.path, other], ["gender", "age"], faces)
        np.testing.assert_allclose(given["gender"][0], (own[0] + others[0]) / 2, rtol=1e-6)
        np.testing.assert_array_equal(given["gender"][1], own[1])
        assert np.isnan(given["gender"][2]).all()
        assert np.isnan(given["age"]).all()

    def test_no_teachers(self):
        given = average_answers([], ["gender"], list_images("a.jpg", "b.jpg"))
        assert given["gender"].shape == (2, 1)
        assert np.isnan(given["gender"]).all()

    def test_a_teacher_of_nothing_wanted_is_an_error(self, answers):
        with pytest.raises(ValueError, match=r"answers\.npz: holds no predictions of age, emotion"):
            average_answers([answers.path], ["age", "emotion"], list_images("a.jpg"))


class TestAnswerDatasets:
    def test_training_faces_of_a_dataset_without_labels(self, tmp_path):
        make_synthetic(tmp_path / "synthetic", count=40, size=48)
        course = make_course(TASKS["emotion"], widths=(4, 4))
        run = tmp_path / "run"
        run.mkdir()
        build_network(course).save(run / "network.keras")
        settings = {"seed": 0, "course": course.describe()}
        (run / "config.json").write_text(json.dumps(settings))
        answer_datasets(run, ["synthetic"], tmp_path)
        faces = read_dataset("synthetic", tmp_path, seed=0)
        given = read_answers(run / "answers.npz", "emotion", faces)
        assert given.shape == (40, 7)
        np.testing.assert_array_equal(np.isfinite(given).all(axis=1), faces["split"] == "train")

    def test_a_run_must_be_finished(self, tmp_path):
        with pytest.raises(FileNotFoundError, match="run: holds no finished run; train one with"):
            answer_datasets(tmp_path / "run", ["synthetic"], tmp_path)


class TestBlend:
    TARGETS = np.array([[0.95, 0.05], [0.05, 0.95]], np.float32)
    NOTHING = np.full(2, np.nan, np.float32)

    @pytest.mark.parametrize(
        ("share", "expected"), [(0, [0.95, 0.05]), (0.7, [0.425, 0.575]), (1, [0.2, 0.8])]
    )
    def test_labels_and_answers_are_mixed(self, share, expected):
        learned = blend(self.TARGETS, np.array([[0.2, 0.8], self.NOTHING], np.float32), share)
        assert learned.dtype == np.float32
        np.testing.assert_allclose(learned, [expected, self.TARGETS[1]], atol=1e-6)
        np.testing.assert_allclose(learned.sum(axis=1), 1, rtol=1e-5)

    def test_without_answers_labels_stay(self):
        np.testing.assert_array_equal(
            blend(self.TARGETS, np.full((2, 1), np.nan, np.float32), 0.7), self.TARGETS
        )

    def test_without_a_label_the_answer_counts_alone(self):
        targets = np.array([[np.nan, np.nan], [0.05, 0.95], [np.nan, np.nan]], np.float32)
        answers = np.array([[0.2, 0.8], [0.5, 0.5], [np.nan, np.nan]], np.float32)
        learned = blend(targets, answers, 0.5)
        np.testing.assert_allclose(learned[:2], [[0.2, 0.8], [0.275, 0.725]], atol=1e-6)
        assert np.isnan(learned[2]).all()

    def test_no_images(self):
        assert blend(self.TARGETS[:0], np.full((0, 1), np.nan, np.float32), 0.7).shape == (0, 2)


def test_a_served_model_answers_the_training_faces_of_a_dataset(tmp_path):
    make_synthetic(tmp_path / "data" / "synthetic", count=40, size=48)
    faces = read_dataset("synthetic", tmp_path / "data", 0)
    course, folder = COURSES["gender"], tmp_path / "models" / "tiny"
    folder.mkdir(parents=True)
    keras.utils.set_random_seed(0)
    build_attribute_cnn(("gender",), course.channels, widths=(4, 4)).save(folder / "tiny.keras")
    settings = {"course": course.describe(), "seed": 0}
    (folder / "config.json").write_text(json.dumps(settings))
    output = tmp_path / "answers.npz"
    answer_datasets(folder, ("synthetic",), tmp_path / "data", output)
    answers = read_answers(output, "gender", faces)
    learned = (faces["split"] == "train").to_numpy()
    np.testing.assert_allclose(answers[learned].sum(axis=1), 1, rtol=1e-5)
    assert np.isnan(answers[~learned]).all()
    assert sorted(path.name for path in folder.iterdir()) == ["config.json", "tiny.keras"]
    with pytest.raises(FileNotFoundError, match="holds no finished run"):
        answer_datasets(tmp_path, ("synthetic",), tmp_path / "data")
