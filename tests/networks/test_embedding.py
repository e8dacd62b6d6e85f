import keras
import numpy as np
import pytest

from facekit.detection import MTCNN
from facekit.images import cut_crops, normalise
from facekit.networks import embedding
from facekit.networks.embedding import (
    DIMENSIONS,
    SCALE,
    SHORT_STAGES,
    SIDE,
    STAGES,
    STUDENT_SIDE,
    WEIGHTS,
    build_embedding_network,
    build_pretrained_network,
    build_student,
    load_dlib_weights,
    take_over_layers,
)
from facekit.taxonomy import LABELS

SMALL_SIDE = 104  # pixels; about the smallest that is left with a cell after all halvings
TASKS = ("age", "gender")


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_embedding_network()


def get_convolutions(network: keras.Model) -> list[keras.layers.Conv2D]:
    return [layer for layer in network.layers if isinstance(layer, keras.layers.Conv2D)]


def make_crops(count: int, side: int = SIDE, channels: int = 3) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, side, side, channels)).astype(np.float32)


class TestShapes:
    def test_dlibs_own(self, network):
        assert network.input_shape == (None, SIDE, SIDE, 3)
        assert network.output_shape == (None, DIMENSIONS)
        assert network.get_layer("chip").output.shape == (None, 150, 150, 3)
        assert len(get_convolutions(network)) == 29
        assert network.get_layer("features").output.shape == (None, 256)

    def test_the_student_is_smaller(self, network):
        student = build_student()
        assert student.input_shape == (None, STUDENT_SIDE, STUDENT_SIDE, 3)
        assert student.output_shape == (None, DIMENSIONS)
        assert student.count_params() < 0.8 * network.count_params()

    def test_embeddings(self, network):
        answers = np.asarray(network(make_crops(2))["embedding"])
        assert answers.shape == (2, DIMENSIONS)
        assert np.isfinite(answers).all()


class TestWeights:
    def test_every_layer_gets_its_own(self, network):
        assert load_dlib_weights(network) is network
        with np.load(WEIGHTS) as kept:
            names = [
                f"{layer.name}/{weight.name}"
                for layer in network.layers
                for weight in layer.weights
            ]
            assert sorted(names) == sorted(kept)
            for name, weights in zip(names, network.get_weights(), strict=True):
                np.testing.assert_array_equal(weights, kept[name])

    def test_scale_and_shift_come_before_the_stem(self, network):
        # A crop of the mean colour is 0 after rescaling, so that the stem answers with its bias.
        load_dlib_weights(network)
        mean = (np.array(embedding.MEAN_RGB, np.float32) / 127.5 - 1) * np.ones(
            (1, SIDE, SIDE, 3), np.float32
        )
        layer = network.get_layer("stem_conv")
        stem = np.asarray(keras.Model(network.input, layer.output)(mean))
        np.testing.assert_allclose(stem[0, 3, 4], layer.get_weights()[1], atol=1e-5)

    @pytest.mark.parametrize("content", [b"", b"Dear diary, today"])
    def test_another_file_is_an_error(self, content, network, tmp_path):
        before = network.get_weights()
        (tmp_path / "wrong.npz").write_bytes(content)
        with pytest.raises(
            ValueError,
            match=r"wrong\.npz: does not hold the weights of dlib's .*; download https://",
        ):
            load_dlib_weights(network, tmp_path / "wrong.npz")
        for kept, weights in zip(before, network.get_weights(), strict=True):
            np.testing.assert_array_equal(kept, weights)

    def test_a_missing_file_is_an_error(self, network, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"dlib\.npz: no such file; download https://"):
            load_dlib_weights(network, tmp_path / "dlib.npz")

    def test_they_tell_people_apart(self, network, portraits):
        load_dlib_weights(network)
        images = portraits["astronaut.png"], portraits["grace_hopper.jpg"]
        crops = [cut_crops(image, MTCNN(80).detect(image), SIDE, 3, SCALE) for image in images]
        inputs = normalise(np.concatenate([*crops, crops[0][:, :, ::-1]]))
        astronaut, hopper, mirrored = np.asarray(network(inputs)["embedding"])
        assert np.linalg.norm(astronaut - mirrored) < 0.4
        assert np.linalg.norm(astronaut - hopper) > 0.6  # dlib's own bound between two people


@pytest.fixture(scope="module")
def colour_network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_pretrained_network(TASKS, (SMALL_SIDE, SMALL_SIDE, 3), SMALL_SIDE)


class TestPretrained:
    def predict(self, network: keras.Model, crops: np.ndarray) -> np.ndarray:
        return np.concatenate([np.asarray(network(crops)[name]) for name in TASKS], axis=1)

    def test_a_head_for_each_attribute(self, colour_network):
        answers = colour_network(make_crops(2, SMALL_SIDE))
        assert {name: tuple(each.shape) for name, each in answers.items()} == {
            "age": (2, len(LABELS["age"])),
            "gender": (2, 2),
        }
        for probabilities in answers.values():
            np.testing.assert_allclose(np.asarray(probabilities).sum(axis=1), 1, rtol=1e-5)

    def test_grey_crops_are_taken_as_pictures_without_colour(self, colour_network):
        grey_network = build_pretrained_network(TASKS, (SMALL_SIDE, SMALL_SIDE, 1), SMALL_SIDE)
        grey_network.set_weights(colour_network.get_weights())
        grey = make_crops(1, SMALL_SIDE, channels=1)
        np.testing.assert_allclose(
            self.predict(grey_network, grey),
            self.predict(colour_network, np.repeat(grey, 3, axis=3)),
            atol=1e-5,
        )

    def test_small_crops_are_made_larger_inside(self, colour_network):
        small_network = build_pretrained_network(TASKS, (56, 56, 3), SMALL_SIDE)
        small_network.set_weights(colour_network.get_weights())
        small, large = (np.full((1, side, side, 3), 0.3, np.float32) for side in (56, SMALL_SIDE))
        np.testing.assert_allclose(
            self.predict(small_network, small), self.predict(colour_network, large), atol=1e-5
        )

    def test_a_saved_network_answers_the_same(self, tmp_path):
        network = build_pretrained_network(
            TASKS, (32, 32, 1), 80
        )  # with all that is no layer: repeating, resizing, filling up
        network.save(tmp_path / "network.keras")
        loaded = keras.saving.load_model(tmp_path / "network.keras", compile=False)
        crops = make_crops(2, side=32, channels=1)
        np.testing.assert_allclose(
            self.predict(loaded, crops), self.predict(network, crops), atol=1e-6
        )

    @pytest.mark.parametrize(
        ("stages", "convolutions"), [(STAGES, 29), (SHORT_STAGES, 21)], ids=["whole", "short"]
    )
    def test_every_convolution_takes_dlibs_weights(self, network, stages, convolutions):
        fine_tuned = build_pretrained_network(
            TASKS, (SMALL_SIDE, SMALL_SIDE, 3), SMALL_SIDE, stages
        )
        heads = [fine_tuned.get_layer(name).get_weights() for name in TASKS]
        take_over_layers(fine_tuned, network)
        assert len(get_convolutions(fine_tuned)) == convolutions
        for layer in get_convolutions(fine_tuned):
            for ours, theirs in zip(
                layer.get_weights(), network.get_layer(layer.name).get_weights(), strict=True
            ):
                np.testing.assert_array_equal(ours, theirs)
        for before, name in zip(heads, TASKS, strict=True):
            np.testing.assert_array_equal(before[0], fine_tuned.get_layer(name).get_weights()[0])
