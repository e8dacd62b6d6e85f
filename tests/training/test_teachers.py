from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import BOX, make_manifest
from facekit.networks.attributes import add_heads
from facekit.training import teachers
from facekit.training.teachers import blend, read_answers, save_answers


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

    def test_without_a_teacher_there_are_none(self):
        given = read_answers(None, "gender", list_images("a.jpg", "b.jpg"))
        assert given.shape == (2, 1)
        assert np.isnan(given).all()

    def test_another_attribute_is_an_error(self, answers):
        with pytest.raises(
            ValueError,
            match=r"answers\.npz: holds no predictions of age; train a teacher of age\.",
        ):
            read_answers(answers.path, "age", list_images("a.jpg"))

    def test_a_missing_file_says_how_to_make_it(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"gone\.npz: no such answers; train the teacher first with `facekit train COURSE",
        ):
            read_answers(tmp_path / "gone.npz", "gender", list_images("a.jpg"))


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

    def test_a_missing_label_stays_missing(self):
        targets = np.array([[np.nan, np.nan], [0.05, 0.95]], np.float32)
        learned = blend(targets, np.full((2, 2), 0.5, np.float32), 0.5)
        assert np.isnan(learned[0]).all()
        np.testing.assert_allclose(learned[1], [0.275, 0.725], atol=1e-6)

    def test_no_images(self):
        assert blend(self.TARGETS[:0], np.full((0, 1), np.nan, np.float32), 0.7).shape == (0, 2)
