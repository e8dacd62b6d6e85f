import os
from itertools import pairwise
from types import SimpleNamespace

import matplotlib as mpl
import matplotlib.pyplot as plt
import pytest
from matplotlib.patches import FancyArrowPatch, FancyBboxPatch, Rectangle

from facekit.plotting import SPLIT_COLOURS, plot_architecture, plot_flow, plot_splits
from facekit.plotting.diagrams import SIZES

LONG = "six words of text that wrap, and 12 x 12 pixels, 0.709, probabilities"


def get_texts(ax: plt.Axes) -> list[str]:
    return [text.get_text() for text in ax.texts]


def draw(ax: plt.Axes) -> mpl.backend_bases.RendererBase:
    ax.figure.canvas.draw()
    return ax.figure.canvas.get_renderer()


def get_patches(ax: plt.Axes, kind: type) -> list:
    return [patch for patch in ax.patches if isinstance(patch, kind)]


def get_boxes(ax: plt.Axes) -> list:
    return get_patches(ax, FancyBboxPatch)


def find_texts_outside(ax: plt.Axes) -> list[str]:
    """Return the texts that no box holds as a whole."""
    renderer = draw(ax)
    boxes = [box.get_window_extent(renderer) for box in get_boxes(ax)]
    outside = []
    for text in ax.texts:
        extent = text.get_window_extent(renderer)
        held = any(
            box.x0 <= extent.x0
            and extent.x1 <= box.x1
            and box.y0 <= extent.y0
            and extent.y1 <= box.y1
            for box in boxes
        )
        if not held:
            outside.append(text.get_text())
    return outside


class TestFlow:
    @pytest.mark.parametrize("columns", range(1, 7))
    @pytest.mark.parametrize("parallel", range(1, 5))
    def test_text_stays_in_its_box(self, columns: int, parallel: int):
        several = [(f"non-maximum suppression {index}", LONG) for index in range(parallel)]
        steps = [several if index % 2 else ("name", LONG) for index in range(columns)]
        ax = plot_flow(steps)
        assert len(get_boxes(ax)) == -(-columns // 2) + columns // 2 * parallel
        assert not find_texts_outside(ax)
        assert ax.figure.get_figwidth() <= 11.05
        assert " ".join(get_texts(ax)).count("probabilities") == len(get_boxes(ax))

    def test_boxes_do_not_overlap(self):
        ax = plot_flow([[("a", LONG)] * 4, ("b", ""), [("c", LONG)] * 2])
        extents = [box.get_window_extent(draw(ax)) for box in get_boxes(ax)]
        for index, extent in enumerate(extents):
            assert not any(extent.overlaps(other) for other in extents[:index])

    def test_smaller_axes_get_smaller_text(self):
        steps = [("suppression", LONG)] * 5
        figure = plt.figure(figsize=(7, 2.5))
        ax = figure.add_axes((0, 0, 1, 1))
        assert plot_flow(steps, ax=ax) is ax
        assert SIZES[-1] <= ax.texts[0].get_fontsize() < SIZES[0]
        assert not find_texts_outside(ax)
        assert plt.get_fignums() == [figure.number]

    def test_boxes_are_joined_one_to_one_or_all_to_all(self):
        def count(*sizes: int) -> int:
            ax = plot_flow([[("a", "")] * size for size in sizes])
            return len(get_patches(ax, FancyArrowPatch))

        assert count(3) == 0
        assert count(1, 4) == count(4, 1) == count(4, 4) == 4
        assert count(2, 3, 3) == 9

    def test_newlines_and_empty_notes(self):
        assert get_texts(plot_flow([("a\nb", "c\nd"), ("e", "")])) == ["a", "b", "c", "d", "e"]
        assert plot_flow([]).get_xlim()

    def test_prints_in_grey(self):
        (box,) = get_boxes(plot_flow([("a", "")]))
        red, green, blue, _ = box.get_facecolor()
        assert red == green == blue > 0.9
        assert mpl.colors.to_hex(box.get_edgecolor()) == "#000000"

    def test_text_that_cannot_fit(self):
        ax = plt.figure(figsize=(2, 2)).subplots()
        with pytest.raises(ValueError, match=r"`steps` must fit into 1\.\d x 1\.\d inches"):
            plot_flow([("suppression", "")] * 6, ax=ax)


class Layer(SimpleNamespace):
    def count_params(self) -> int:
        return self.parameters


class MaxPooling2D(Layer):
    pass


class Activation(Layer):
    pass


def make_network(layers: list[Layer], outputs: tuple[str, ...]) -> SimpleNamespace:
    named = {layer.name: layer for layer in layers}
    return SimpleNamespace(
        name="net", layers=layers, outputs=[named[name].output for name in outputs]
    )


def make_layer(name: str, shape: tuple, parameters: int = 0, kind: type = Layer) -> Layer:
    output = SimpleNamespace(shape=(None, *shape))
    return kind(name=name, output=output, parameters=parameters)


class TestArchitecture:
    def test_layers_are_grouped_by_name(self):
        layers = [
            make_layer("image", (8, 8, 1)),
            make_layer("stem_conv", (8, 8, 16), 1000),
            make_layer("stem_norm", (8, 8, 16), 64),
            make_layer("max_pooling2d_3", (4, 4, 16), kind=MaxPooling2D),
            make_layer("last_conv", (2, 2, 64), 5),
            make_layer("relu", (2, 2, 64), 1, kind=Activation),
        ]
        ax = plot_architecture(make_network(layers, ("relu",)))
        assert get_texts(ax) == [
            "image", "8 x 8 x 1", "stem", "1,064", "8 x 8 x 16", "max pooling", "4 x 4 x 16",
            "last", "6", "2 x 2 x 64",
        ]  # fmt: skip
        assert ax.get_title(loc="left") == "net: 1,070 parameters"
        blocks = get_patches(ax, Rectangle)
        heights = [block.get_height() for block in blocks]
        assert heights[0] / heights[2] == pytest.approx(2)
        assert heights[0] / heights[3] == pytest.approx(4)
        widths = [block.get_width() for block in blocks]
        assert widths[3] / widths[1] == pytest.approx(2)  # the root of 64 / 16

    def test_heads_lie_above_each_other(self):
        layers = [
            make_layer("features", (64,)),
            *(make_layer(name, (2,), 130) for name in ("age", "gender", "emotion")),
        ]
        ax = plot_architecture(make_network(layers, ("age", "gender", "emotion")))
        _, *heads = get_patches(ax, Rectangle)
        middles = [head.get_y() + head.get_height() / 2 for head in heads]
        assert len({round(head.get_x(), 6) for head in heads}) == 1
        assert middles == sorted(middles, reverse=True)
        assert middles[0] - middles[1] > 0.3

    def test_axes_given_come_back(self):
        ax = plt.figure().subplots()
        settings = dict(mpl.rcParams)
        assert plot_architecture(make_network([make_layer("a", (2,))], ("a",)), ax=ax) is ax
        assert dict(mpl.rcParams) == settings

    def test_real_networks_are_readable(self):
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        pytest.importorskip("keras")
        from facekit.networks.attributes import PRESETS, build_attribute_cnn
        from facekit.networks.mtcnn import BUILDERS

        networks = [build() for build in BUILDERS.values()]
        networks += [build_attribute_cnn(["age", "gender"], 3, **PRESETS[name]) for name in PRESETS]
        networks.append(build_attribute_cnn(["age"], 3, (8, 16, 24, 32, 40, 48), side=64))
        for network in networks:
            ax = plot_architecture(network)
            assert f"{network.count_params():,}" in ax.get_title(loc="left")
            renderer = draw(ax)
            extents = [text.get_window_extent(renderer) for text in ax.texts]
            for index, extent in enumerate(extents):
                assert not any(extent.overlaps(other) for other in extents[:index]), network.name
                assert ax.figure.bbox.x0 <= extent.x0 and extent.x1 <= ax.figure.bbox.x1
        assert "h x w x 32" in get_texts(plot_architecture(networks[0]))


class TestSplits:
    SPLITS = {  # noqa: RUF012
        "random": ["train", "test", "train", "calibration"],
        "by subject": ["train", "train", "test", "test"],
    }

    def test_squares_lie_in_rows_with_gaps_between_groups(self):
        ax = plot_splits(self.SPLITS, ["a", "a", "b", "b"])
        assert len(ax.patches) == 8
        colours = {}
        for square in ax.patches:
            assert square.get_width() == square.get_height() == 1
            place = (square.get_y(), square.get_x())
            colours[place] = mpl.colors.to_hex(square.get_facecolor()).upper()
        in_order = [colours[place] for place in sorted(colours)]
        assert in_order == [SPLIT_COLOURS[name] for names in self.SPLITS.values() for name in names]
        first, second, third, fourth = sorted({x for _, x in colours})
        assert second - first == fourth - third == 1 < third - second
        assert [label.get_text() for label in ax.get_yticklabels()] == list(self.SPLITS)
        legend = [text.get_text() for text in ax.get_legend().get_texts()]
        assert legend == ["train", "calibration", "test"]
        for text, handle in zip(legend, ax.get_legend().get_patches(), strict=True):
            assert mpl.colors.to_hex(handle.get_facecolor()).upper() == SPLIT_COLOURS[text]

    def test_names_of_protocols_do_not_overlap(self):
        names = {f"protocol {index}": ["train"] * 200 for index in range(4)}
        ax = plot_splits(names, list(range(200)))
        renderer = draw(ax)
        extents = [label.get_window_extent(renderer) for label in ax.get_yticklabels()]
        assert not any(above.overlaps(below) for above, below in pairwise(extents))

    def test_axes_given_come_back(self):
        ax = plt.figure().subplots()
        assert plot_splits(self.SPLITS, [1, 1, 2, 2], ax=ax) is ax
        assert plt.get_fignums() == [ax.figure.number]

    def test_nothing_to_plot(self):
        assert not plot_splits({}, []).patches
        assert not plot_splits({"random": []}, []).patches

    def test_wrong_splits(self):
        with pytest.raises(ValueError, match=r"one split per picture \(2\); 'random' has 1"):
            plot_splits({"random": ["train"]}, [1, 2])
        with pytest.raises(ValueError, match=r"'random' has \['learn'\]"):
            plot_splits({"random": ["learn"]}, [1])
