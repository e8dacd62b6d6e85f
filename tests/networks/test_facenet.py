import keras
import numpy as np
import pytest
from keras import layers

from facekit.images import normalise
from facekit.inference import load_session
from facekit.networks.facenet import (
    PRESETS,
    SMALLEST_SIDE,
    build_facenet,
    build_facenet_tasks,
)
from facekit.taxonomy import LABELS
from facekit.training.export import _save_onnx

SMALL = {"side": SMALLEST_SIDE, "blocks": (1, 1, 1), "width": 1 / 16}
# Shapes in the comments of the original definition (`inception_resnet_v1.py` of David Sandberg's
# facenet), which are those of crops of 299 pixels; and those of keras-facenet's summary, for 160.
SHAPES = {
    "Conv2d_1a_3x3": ((149, 149, 32), (79, 79, 32)),
    "Conv2d_2a_3x3": ((147, 147, 32), (77, 77, 32)),
    "Conv2d_2b_3x3": ((147, 147, 64), (77, 77, 64)),
    "MaxPool_3a_3x3": ((73, 73, 64), (38, 38, 64)),
    "Conv2d_3b_1x1": ((73, 73, 80), (38, 38, 80)),
    "Conv2d_4a_3x3": ((71, 71, 192), (36, 36, 192)),
    "Conv2d_4b_3x3": ((35, 35, 256), (17, 17, 256)),
    "Block35_1_Concatenate": ((35, 35, 96), (17, 17, 96)),
    "Block35_5_Activation": ((35, 35, 256), (17, 17, 256)),
    "Mixed_6a": ((17, 17, 896), (8, 8, 896)),
    "Block17_1_Concatenate": ((17, 17, 256), (8, 8, 256)),
    "Block17_10_Activation": ((17, 17, 896), (8, 8, 896)),
    "Mixed_7a": ((8, 8, 1792), (3, 3, 1792)),
    "Block8_1_Concatenate": ((8, 8, 384), (3, 3, 384)),
    "Block8_5_Activation": ((8, 8, 1792), (3, 3, 1792)),
    "Block8_6_Add": ((8, 8, 1792), (3, 3, 1792)),
    "AvgPool": ((1792,), (1792,)),
}
# Of facenet-pytorch's modules: parameters, without the scales of its batch normalization (the other
# definitions have none), and with the running means and variances, which Keras counts too.
COUNTS = {
    "Conv2d_1a_3x3": 960,
    "Conv2d_2a_3x3": 9_312,
    "Conv2d_2b_3x3": 18_624,
    "Conv2d_3b_1x1": 5_360,
    "Conv2d_4a_3x3": 138_816,
    "Conv2d_4b_3x3": 443_136,
    **{f"Block35_{number}": 77_632 for number in range(1, 6)},
    "Mixed_6a": 1_711_104,
    **{f"Block17_{number}": 690_560 for number in range(1, 11)},
    "Mixed_7a": 3_348_096,
    **{f"Block8_{number}": 1_601_536 for number in range(1, 7)},
}


def make_crops(count: int, side: int = SMALLEST_SIDE, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, side, side, channels)).astype(np.float32)


def get_output(network: keras.Model, crops: np.ndarray, *names: str) -> list[np.ndarray]:
    outputs = keras.Model(network.input, {name: network.get_layer(name).output for name in names})(
        crops
    )
    return [np.asarray(outputs[name]) for name in names]


@pytest.fixture(scope="module")
def whole() -> keras.Model:
    return build_facenet()


@pytest.fixture(scope="module")
def small() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_facenet(**SMALL)


class TestArchitecture:
    def test_shapes_are_the_published_ones(self, whole):
        large = build_facenet(512, side=299)
        for name, (shape_299, shape_160) in SHAPES.items():
            assert large.get_layer(name).output.shape == (None, *shape_299), name
            assert whole.get_layer(name).output.shape == (None, *shape_160), name
        assert whole.input_shape == (None, 160, 160, 3)
        assert (whole.output_shape, large.output_shape) == ((None, 128), (None, 512))

    def test_each_block_has_the_published_number_of_parameters(self, whole):
        counts = dict.fromkeys(COUNTS, 0)
        for layer in whole.layers:
            name = next((name for name in COUNTS if f"{layer.name}_".startswith(f"{name}_")), None)
            if name is not None:
                counts[name] += layer.count_params()
        assert counts == COUNTS
        assert whole.get_layer("Bottleneck").count_params() == 1792 * 128
        assert whole.get_layer("Bottleneck_BatchNorm").count_params() == 3 * 128

    def test_the_whole_has_the_published_number_of_parameters(self, whole):
        assert whole.count_params() == 22_808_144
        assert (
            sum(weights.shape.num_elements() for weights in whole.trainable_weights) == 22_779_312
        )

    def test_512_dimensions_have_the_number_of_facenet_pytorch(self):
        # Its 23,482,624 parameters without `logits` hold 14,800 scales, and not Keras' 2 x 14,800
        # running means and variances.
        assert build_facenet(512).count_params() == 23_482_624 - 14_800 + 2 * 14_800

    def test_number_of_blocks_and_convolutions(self, whole):
        assert sum(isinstance(layer, layers.Add) for layer in whole.layers) == 5 + 10 + 6
        # 6 in the stem; 7 in a Block35, 5 in Block17 and Block8; 4 and 7 in the reductions
        convolutions = 6 + 5 * 7 + 10 * 5 + 6 * 5 + 4 + 7
        assert sum(isinstance(layer, layers.Conv2D) for layer in whole.layers) == convolutions

    @pytest.mark.parametrize(
        ("before", "block", "scale", "after"),
        [
            ("Conv2d_4b_3x3_Activation", "Block35_1", 0.17, "Block35_1_Activation"),
            ("Mixed_6a", "Block17_1", 0.1, "Block17_1_Activation"),
            ("Mixed_7a", "Block8_1", 0.2, "Block8_1_Activation"),
            ("Block8_1_Activation", "Block8_2", 1.0, None),
        ],
    )
    def test_residuals_are_scaled(self, small, before, block, scale, after):
        x, found, total = get_output(
            small, make_crops(2), before, f"{block}_Conv2d_1x1", f"{block}_Add"
        )
        assert np.abs(found).max() > 0.01
        np.testing.assert_allclose(total, x + scale * found, atol=1e-6)
        if after:
            np.testing.assert_array_equal(
                get_output(small, make_crops(2), after)[0], np.maximum(total, 0)
            )
        else:  # the last block has no activation
            assert total.min() < 0
            np.testing.assert_allclose(
                get_output(small, make_crops(2), "AvgPool")[0], total.mean(axis=(1, 2)), atol=1e-6
            )

    def test_reductions_join_branches_and_pooling(self, small):
        names = "Branch_0_Conv2d_1a_3x3_Activation", "Branch_1_Conv2d_1a_3x3_Activation"
        x, joined, *branches = get_output(
            small,
            make_crops(1),
            "Block35_1_Activation",
            "Mixed_6a",
            *(f"Mixed_6a_{name}" for name in names),
        )
        assert x.shape[1:3] == (7, 7)
        pooled = np.stack(
            [
                [x[:, top : top + 3, left : left + 3].max(axis=(1, 2)) for left in (0, 2, 4)]
                for top in (0, 2, 4)
            ]
        )  # (3, 3, crops, channels)
        np.testing.assert_array_equal(
            joined, np.concatenate([*branches, pooled.transpose(2, 0, 1, 3)], axis=3)
        )

    def test_presets(self):
        assert build_facenet.__defaults__[2:] == (160, 3, (5, 10, 5), 1.0)
        assert PRESETS["full"] == {"side": 160, "blocks": (5, 10, 5), "width": 1.0}
        network = build_facenet(**PRESETS["small"])
        assert network.input_shape == (None, 96, 96, 3)
        assert network.count_params() < 22_808_144 / 20

    def test_crops_that_are_too_small_are_an_error(self):
        with pytest.raises(ValueError, match=r"`side` must be 75 or more; got 74\."):
            build_facenet(side=74)


class TestInput:
    def test_128_dimensions_take_whitened_crops(self, small):
        grey_levels = np.random.default_rng(0).integers(0, 256, (2, 75, 75, 3)).astype(np.uint8)
        grey_levels[1] //= 40  # a dark crop
        (standardised,) = get_output(small, normalise(grey_levels), "standardise")
        mean, deviation = (
            function(grey_levels.astype(float), axis=(1, 2, 3), keepdims=True)
            for function in (np.mean, np.std)
        )
        np.testing.assert_allclose(
            standardised, (grey_levels - mean) / np.maximum(deviation, 1 / 129.9), atol=1e-3
        )  # as facenet's `prewhiten`; 129.9 is the root of a crop's 75 * 75 * 3 values

    def test_512_dimensions_take_scaled_crops(self):
        grey_levels = np.arange(256, dtype=np.uint8).repeat(75)[: 75 * 75 * 3].reshape(1, 75, 75, 3)
        (standardised,) = get_output(
            build_facenet(512, **SMALL), normalise(grey_levels), "standardise"
        )
        np.testing.assert_allclose(standardised, (grey_levels - 127.5) / 128, atol=1e-6)

    def test_a_crop_of_one_colour_is_all_zeros(self, small):
        flat = np.full((1, 75, 75, 3), 0.3, np.float32)
        (standardised,) = get_output(small, flat, "standardise")
        np.testing.assert_allclose(standardised, 0, atol=0.01)
        assert np.isfinite(np.asarray(small(flat))).all()

    def test_a_grey_crop_counts_as_red_green_and_blue(self, small):
        grey_network = build_facenet(channels=1, **SMALL)
        grey_network.set_weights(small.get_weights())
        grey = make_crops(2, channels=1)
        np.testing.assert_allclose(
            np.asarray(grey_network(grey)),
            np.asarray(small(np.repeat(grey, 3, axis=3))),
            atol=1e-5,
        )


class TestEmbedding:
    def test_it_has_length_1(self, small):
        before, embeddings = get_output(small, make_crops(3), "Bottleneck_BatchNorm", "embedding")
        assert embeddings.shape == (3, 128)
        np.testing.assert_allclose(np.linalg.norm(embeddings, axis=1), 1, rtol=1e-5)
        np.testing.assert_allclose(
            embeddings, before / np.linalg.norm(before, axis=1, keepdims=True), atol=1e-6
        )

    def test_a_saved_network_answers_the_same(self, small, tmp_path):
        assert not any(isinstance(layer, layers.Lambda) for layer in small.layers)
        small.save(tmp_path / "network.keras")
        loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False)
        crops = make_crops(2)
        np.testing.assert_allclose(np.asarray(loaded(crops)), np.asarray(small(crops)), atol=1e-6)

    @pytest.mark.slow
    @pytest.mark.parametrize("dimensions", [128, 512])
    def test_an_exported_network_answers_the_same(self, dimensions, tmp_path):
        keras.utils.set_random_seed(0)
        network = build_facenet(dimensions, **PRESETS["small"])
        _save_onnx(network, tmp_path / "network.onnx")
        session = load_session(tmp_path / "network.onnx")
        crops = make_crops(3, side=96)
        (exported,) = session.run(None, {session.get_inputs()[0].name: crops})
        np.testing.assert_allclose(exported, np.asarray(network(crops)), atol=1e-4)
        (none,) = session.run(None, {session.get_inputs()[0].name: crops[:0]})
        assert none.shape == (0, dimensions)


class TestTasks:
    def test_outputs_are_probabilities_of_the_labels(self):
        tasks = ("age", "gender", "ethnicity")
        network = build_facenet_tasks(tasks, **SMALL)
        answers = network(make_crops(2))
        assert tuple(answers) == tasks
        for task, probabilities in answers.items():
            assert probabilities.shape == (2, len(LABELS[task]))
            np.testing.assert_allclose(np.asarray(probabilities).sum(axis=1), 1, rtol=1e-5)
            # one fully connected layer on the embedding
            assert network.get_layer(task).kernel.shape == (128, len(LABELS[task]))
        assert network.get_layer("embedding").output.shape == (None, 128)

    def test_training_drops_features_and_a_part_of_the_embedding(self):
        network = build_facenet_tasks(["gender"], 512, dropout=0.5, **SMALL)
        assert network.get_layer("Dropout").rate == 0.5
        assert network.get_layer("dropout").input is network.get_layer("embedding").output

    @pytest.mark.slow
    def test_it_learns(self):
        keras.utils.set_random_seed(0)
        network = build_facenet_tasks(["gender"], **{**SMALL, "width": 1 / 8})
        crops, labels = make_crops(16), np.arange(16) % 2
        crops[labels == 1, :, :40] += 1  # in every second crop, the upper half is brighter
        network.compile(
            optimizer=keras.optimizers.Adam(0.01),
            loss={"gender": "sparse_categorical_crossentropy"},
            jit_compile=False,
        )
        history = network.fit(crops, {"gender": labels}, epochs=10, batch_size=16, verbose=0)
        assert history.history["loss"][-1] < 0.5 * history.history["loss"][0]

    def test_unknown_tasks_are_an_error(self):
        with pytest.raises(ValueError, match=r"`tasks` must be one or more of .*; got \['shoe'\]"):
            build_facenet_tasks(["shoe"], **SMALL)
