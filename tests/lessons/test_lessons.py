import importlib.util
import sys
from pathlib import Path
from types import SimpleNamespace

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from facekit import lessons
from facekit.datasets.synthetic import Bias
from facekit.lessons import MissingPackageError, load_faces, require_training, show


def test_a_figure_is_shown_once_with_its_text(monkeypatch):
    display = pytest.importorskip("IPython.display")
    shown = []
    monkeypatch.setattr(display, "display", shown.append)
    figure, ax = plt.subplots()
    for each in (ax, figure):
        show(each, "a line that rises")
    assert [picture.alt for picture in shown] == ["a line that rises"] * 2
    assert shown[0].data == shown[1].data
    assert shown[0].data.startswith(b"\x89PNG")
    assert not plt.fignum_exists(figure.number)  # or the notebook shows it again


def test_lessons_that_train_say_what_is_missing(monkeypatch):
    monkeypatch.setattr(lessons.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"needs TensorFlow: run `make lab`") as caught:
        require_training()
    with pytest.raises(MissingPackageError, match=r"^A preview of it, which needs TensorFlow"):
        require_training("A preview of it")
    assert caught.value._render_traceback_() == [str(caught.value)]  # the sentence alone


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
def test_lessons_that_train_go_on_where_it_is_there():
    require_training()
    assert "keras" in sys.modules


class TestLoadFaces:
    TASK = SimpleNamespace(name="emotion", channels=1, equalise=True, sources=())

    def test_drawn_faces_come_with_their_traits(self):
        manifest, crops = load_faces(self.TASK, "synthetic", "", 20, seed=1)
        assert crops.shape == (20, 64, 64, 1)
        assert {
            "path",
            "age",
            "gender",
            "ethnicity",
            "emotion",
            "subject",
            "group",
            "source",
            "split",
            "skin_tone",
        } <= set(manifest)
        assert manifest["split"].value_counts().to_dict() == {
            "train": 14,
            "test": 4,
            "validation": 2,
        }
        again = load_faces(self.TASK, "synthetic", "", 20, seed=1)
        np.testing.assert_array_equal(crops, again[1])

    @pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
    )
    @pytest.mark.parametrize("own", [True, False])
    def test_a_dataset_gives_a_sample(self, own, tmp_path, monkeypatch):

        whole = pd.DataFrame(
            {
                "gender": ["female", "male"] * 20,
                "split": ["train", "test", "excluded", "validation"] * 10,
            }
        )
        numbered = np.arange(40)[:, None, None, None] * np.ones((1, 64, 64, 1))
        from facekit.training import data

        asked = []
        monkeypatch.setattr(
            data,
            "load_data",
            lambda *given: (asked.append(given), (whole, numbered, np.ones(40)))[1],
        )
        manifest, crops = load_faces(
            self.TASK, "mine.parquet" if own else "utkface", tmp_path, 12, bias=Bias(rare_share=0.0)
        )
        assert asked[0][1].manifest == (Path("mine.parquet") if own else None)
        assert "excluded" not in set(manifest["split"])
        assert not ((manifest["split"] == "train") & (manifest["gender"] == "female")).any()
        chosen = crops[:, 0, 0, 0].astype(int)
        assert whole.loc[chosen, "gender"].tolist() == manifest["gender"].tolist()
        assert len(load_faces(self.TASK, "utkface", tmp_path, 0)[0]) == 30
