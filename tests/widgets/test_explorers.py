import base64
import importlib.util

import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from facekit.plotting.display import encode_figure
from facekit.taxonomy import AGE_SCHEMES, AGES_YEARS
from facekit.training import backend
from facekit.widgets import explorers
from facekit.widgets.controls import Slider


class TestStill:
    """The picture that stands for an explorer in a page without a kernel."""

    @staticmethod
    def explore(shape: tuple[float, float] | None = (1, 1)) -> explorers.Explorer:
        def draw(size: float) -> tuple[Figure | None, str]:
            return shape and Figure(figsize=shape), f"Size {size:.2f}."

        return explorers.explore(draw, size=Slider(value=0.25, description="size"))

    def test_the_first_figure_is_beside_the_widget(self, shown):
        widget = self.explore()
        get_controls(widget)["size"].value = 0.5
        data, metadata = widget._repr_mimebundle_()
        assert data["application/vnd.jupyter.widget-view+json"]["model_id"] == widget.model_id
        assert base64.b64decode(data["image/png"]) == encode_figure(Figure(figsize=(1, 1)))
        assert metadata["image/png"] == {"alt": "Size 0.25."}
        assert data["text/plain"] == "Run this cell to get the sliders."
        assert [alt for _, alt in shown] == ["Size 0.25.", "Size 0.50."]

    def test_without_a_figure_there_is_no_picture(self, shown):
        data = self.explore(None)._repr_mimebundle_()
        assert not any(kind.startswith("image/") for kind in data)
        assert "application/vnd.jupyter.widget-view+json" in data

    def test_figures_do_not_stay_open(self):
        before = plt.get_fignums()
        explorers.explore_threshold(TestThreshold.PREDICTIONS)
        assert plt.get_fignums() == before


def get_controls(widget) -> dict:
    return {control.description: control for control in widget.kwargs_widgets}


class TestCascade:
    def test_each_stage_is_drawn(self, portraits, shown, capsys):
        widget = explorers.explore_cascade(portraits["astronaut.png"], min_face_size=60)
        widget.update()
        figure, alt = shown[-1]
        titles = [ax.get_title(loc="left") for ax in figure.axes]
        assert [title.split()[0] for title in titles] == ["P-Net", "R-Net", "O-Net"]
        assert titles[2] == "O-Net keeps 1"
        assert [len(ax.patches) for ax in figure.axes] == [
            int(title.split()[-1]) for title in titles
        ]
        assert alt.endswith(
            "O-Net keeps 1. MTCNN(min_face_size=60, scale_factor=0.709, thresholds=(0.6, 0.7, 0.8))"
        )
        assert alt in capsys.readouterr().out  # for readers who do not see the figure
        get_controls(widget)["R-Net threshold"].value = 0.0
        widget.update()
        assert int(shown[-1][0].axes[1].get_title(loc="left").split()[-1]) > len(
            figure.axes[1].patches
        )

    def test_boxes_beyond_counting_are_not_drawn(self, portraits, shown, monkeypatch):
        monkeypatch.setattr(explorers, "MOST_BOXES", 2)
        explorers.explore_cascade(portraits["astronaut.png"], min_face_size=60).update()
        ax = shown[-1][0].axes[0]
        assert len(ax.patches) == 2
        assert ax.get_title(loc="left").endswith("(2 drawn)")

    def test_no_face_is_no_error(self, shown):
        explorers.explore_cascade(np.zeros((100, 120, 3), np.uint8)).update()
        assert shown[-1][0].axes[2].get_title(loc="left") == "O-Net keeps 0"


class TestThreshold:
    PREDICTIONS = pd.DataFrame(
        {
            "label": ["female", "male", "male", "female"],
            "p_female": [0.9, 0.4, 0.1, 0.3],
            "p_male": [0.1, 0.6, 0.9, 0.7],
        }
    )

    def test_mistakes_at_a_threshold(self, shown, capsys):
        widget = explorers.explore_threshold(self.PREDICTIONS, "male")
        widget.update()
        assert (
            shown[-1][1]
            == "At threshold 0.50, 3 faces are predicted as male; 1 of them are false positives, "
            "and 0 other faces are false negatives."
        )
        controls = get_controls(widget)
        controls["threshold"].value = 0.8
        widget.update()
        assert (
            "At threshold 0.80, 1 faces are predicted as male; 0 of them are false positives, "
            "and 1 other faces are false negatives." in capsys.readouterr().out
        )
        controls["label"].value = "female"
        widget.update()
        assert "are predicted as female" in shown[-1][1]
        controls["threshold"].value = 1.0
        widget.update()
        assert "At threshold 1.00, 0 faces" in shown[-1][1]

    def test_the_first_class_is_the_default(self):
        assert (
            get_controls(explorers.explore_threshold(self.PREDICTIONS))["label"].value == "female"
        )


class TestAgeClasses:
    @pytest.fixture
    def predictions(self) -> pd.DataFrame:
        answer = np.eye(len(AGES_YEARS))[[5, 19, 40, 70]]
        return pd.DataFrame(answer, columns=[f"p_{year}" for year in AGES_YEARS]).assign(
            label=[5, 17, 41, 66]
        )

    def test_schemes_fill_the_years_in(self, predictions, shown, capsys):
        widget = explorers.explore_age_classes(predictions)
        controls = get_controls(widget)
        assert controls["first years"].value == "0, 3, 10, 21, 28, 46, 66"
        controls["ranges"].value = "stages"
        widget.update()
        assert controls["first years"].value == ", ".join(map(str, AGE_SCHEMES["stages"]))
        assert shown[-1][1].startswith("5 classes: accuracy 100%, 100% within one class; ")
        controls["first years"].value = "0 18, 65"
        widget.update()
        assert shown[-1][0].get_title(loc="left") == (
            "3 classes: accuracy 75%, 100% within one class"
        )
        assert "always the most frequent class: 50%." in capsys.readouterr().out

    @pytest.mark.parametrize(
        ("text", "message"),
        [
            (
                "0, ten",
                "`first years` must be the first year of each class, such as 0, 13, 20, 40, 60; "
                "got 0, ten.",
            ),
            ("", "`first years` must give 2 to 20 classes; got 0."),
            (" ".join(map(str, range(21))), "`first years` must give 2 to 20 classes; got 21."),
            ("5, 10", "`scheme` must be first years that begin with 0 and rise; got 5, 10."),
        ],
    )
    def test_other_years_are_explained(self, text, message, predictions, shown, capsys):
        widget = explorers.explore_age_classes(predictions)
        get_controls(widget)["first years"].value = text
        before = len(shown)
        widget.update()
        assert capsys.readouterr().out.endswith(f"{message}\n")
        assert len(shown) == before


class TestAugmentation:
    CROP = np.random.default_rng(0).integers(0, 256, (64, 64, 1), np.uint8)

    @pytest.mark.skipif(
        importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
    )
    def test_a_face_and_its_changes(self, shown):
        widget = explorers.explore_augmentation(self.CROP, count=3, blur=0.0)
        controls = get_controls(widget)
        assert controls["blur"].value == 0
        assert controls["rotation degrees"].value == 15
        widget.update()
        images = [image.get_array() for image in shown[-1][0].images]
        assert len(images) == 4
        np.testing.assert_array_equal(images[0], self.CROP[..., 0])
        controls["seed"].value = 7
        widget.update()
        assert (shown[-1][0].images[1].get_array() != images[1]).any()

    def test_without_tensorflow_a_sentence_says_what_to_do(self, monkeypatch):
        monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
        with pytest.raises(
            backend.MissingPackageError,
            match="Augmentation runs as it does in training, which needs TensorFlow: run",
        ):
            explorers.explore_augmentation(self.CROP)
