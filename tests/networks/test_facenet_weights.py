import sys
from pathlib import Path
from types import SimpleNamespace

import h5py
import keras
import numpy as np
import pytest

from facekit.files import hash_file
from facekit.networks.facenet import build_facenet, build_facenet_tasks
from facekit.networks.facenet_weights import PUBLISHED, load_published_weights

SIDE, WIDTH, DIMENSIONS = 75, 1 / 16, 512
# Names of the convolutions of keras-facenet and of the modules of facenet-pytorch.
STEM = {
    "Conv2d_1a_3x3": "conv2d_1a",
    "Conv2d_2a_3x3": "conv2d_2a",
    "Conv2d_2b_3x3": "conv2d_2b",
    "Conv2d_3b_1x1": "conv2d_3b",
    "Conv2d_4a_3x3": "conv2d_4a",
    "Conv2d_4b_3x3": "conv2d_4b",
}
BLOCK35 = {
    "Branch_0_Conv2d_1x1": "branch0",
    "Branch_1_Conv2d_0a_1x1": "branch1.0",
    "Branch_1_Conv2d_0b_3x3": "branch1.1",
    "Branch_2_Conv2d_0a_1x1": "branch2.0",
    "Branch_2_Conv2d_0b_3x3": "branch2.1",
    "Branch_2_Conv2d_0c_3x3": "branch2.2",
}
BLOCK17 = {
    "Branch_0_Conv2d_1x1": "branch0",
    "Branch_1_Conv2d_0a_1x1": "branch1.0",
    "Branch_1_Conv2d_0b_1x7": "branch1.1",
    "Branch_1_Conv2d_0c_7x1": "branch1.2",
}
BLOCK8 = {
    "Branch_0_Conv2d_1x1": "branch0",
    "Branch_1_Conv2d_0a_1x1": "branch1.0",
    "Branch_1_Conv2d_0b_1x3": "branch1.1",
    "Branch_1_Conv2d_0c_3x1": "branch1.2",
}
MIXED_6A = {
    "Branch_0_Conv2d_1a_3x3": "branch0",
    "Branch_1_Conv2d_0a_1x1": "branch1.0",
    "Branch_1_Conv2d_0b_3x3": "branch1.1",
    "Branch_1_Conv2d_1a_3x3": "branch1.2",
}
MIXED_7A = {
    "Branch_0_Conv2d_0a_1x1": "branch0.0",
    "Branch_0_Conv2d_1a_3x3": "branch0.1",
    "Branch_1_Conv2d_0a_1x1": "branch1.0",
    "Branch_1_Conv2d_1a_3x3": "branch1.1",
    "Branch_2_Conv2d_0a_1x1": "branch2.0",
    "Branch_2_Conv2d_0b_3x3": "branch2.1",
    "Branch_2_Conv2d_1a_3x3": "branch2.2",
}
BLOCKS = (
    *((f"Block35_{number + 1}", f"repeat_1.{number}", BLOCK35) for number in range(5)),
    ("Mixed_6a", "mixed_6a", MIXED_6A),
    *((f"Block17_{number + 1}", f"repeat_2.{number}", BLOCK17) for number in range(10)),
    ("Mixed_7a", "mixed_7a", MIXED_7A),
    *((f"Block8_{number + 1}", f"repeat_3.{number}", BLOCK8) for number in range(5)),
    ("Block8_6", "block8", BLOCK8),
)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_facenet_tasks(["gender"], DIMENSIONS, side=SIDE, width=WIDTH)


@pytest.fixture(scope="module")
def state(network) -> dict[str, np.ndarray]:
    """Random weights with the names and the order of axes of facenet-pytorch."""
    random = np.random.default_rng(0)
    tensors = {}

    def add_norm(name: str, features: int) -> None:
        for variable in ("bias", "running_mean"):
            tensors[f"{name}.{variable}"] = random.normal(0, 0.3, features).astype(np.float32)
        tensors[f"{name}.running_var"] = random.uniform(0.3, 2, features).astype(np.float32)
        tensors[f"{name}.weight"] = np.ones(features, np.float32)
        tensors[f"{name}.num_batches_tracked"] = np.array(7)

    def add_convolution(name: str, ours: str) -> int:
        height, width, inputs, outputs = network.get_layer(ours).kernel.shape
        shape = outputs, inputs, height, width
        tensors[f"{name}.weight"] = random.normal(0, 0.1, shape).astype(np.float32)
        return outputs

    convolutions = {
        **STEM,
        **{
            f"{ours}_{step}": f"{theirs}.{place}"
            for ours, theirs, steps in BLOCKS
            for step, place in steps.items()
        },
    }
    for ours, theirs in convolutions.items():
        add_norm(f"{theirs}.bn", add_convolution(f"{theirs}.conv", ours))
    for ours, theirs, _ in BLOCKS:
        if ours.startswith("Block"):
            outputs = add_convolution(f"{theirs}.conv2d", f"{ours}_Conv2d_1x1")
            tensors[f"{theirs}.conv2d.bias"] = random.normal(0, 1, outputs).astype(np.float32)
    features = network.get_layer("AvgPool").output.shape[-1]
    tensors["last_linear.weight"] = random.normal(0, 1, (DIMENSIONS, features)).astype(np.float32)
    add_norm("last_bn", DIMENSIONS)
    tensors["logits.weight"] = np.zeros((3, DIMENSIONS), np.float32)
    tensors["logits.bias"] = np.zeros(3, np.float32)
    return tensors


@pytest.fixture(scope="module")
def expected(state) -> dict[str, list[np.ndarray]]:
    """The same weights by our layer, in the order of Keras."""

    def turn(kernel: np.ndarray) -> np.ndarray:  # output, input, height, width to h, w, i, o
        return np.einsum("oihw->hwio", kernel)

    def take_norm(name: str) -> list[np.ndarray]:
        return [state[f"{name}.{each}"] for each in ("bias", "running_mean", "running_var")]

    weights = {
        "Bottleneck": [state["last_linear.weight"].T],
        "Bottleneck_BatchNorm": take_norm("last_bn"),
    }
    for ours, theirs in STEM.items():
        weights[ours] = [turn(state[f"{theirs}.conv.weight"])]
        weights[f"{ours}_BatchNorm"] = take_norm(f"{theirs}.bn")
    for ours, theirs, steps in BLOCKS:
        for step, place in steps.items():
            weights[f"{ours}_{step}"] = [turn(state[f"{theirs}.{place}.conv.weight"])]
            weights[f"{ours}_{step}_BatchNorm"] = take_norm(f"{theirs}.{place}.bn")
        if ours.startswith("Block"):
            kernel = turn(state[f"{theirs}.conv2d.weight"])
            weights[f"{ours}_Conv2d_1x1"] = [kernel, state[f"{theirs}.conv2d.bias"]]
    return weights


def write_npz(path: Path, state: dict[str, np.ndarray]) -> Path:
    np.savez(path, **state)
    return path


def write_h5(path: Path, weights: dict[str, list[np.ndarray]], group: str = "") -> Path:
    """Write weights as Keras 2 does, alone or in the group that a saved model has for them."""
    with h5py.File(path, "w") as file:
        for layer, tensors in weights.items():
            variables = {1: ("kernel",), 2: ("kernel", "bias")}.get(
                len(tensors), ("beta", "moving_mean", "moving_variance")
            )
            for variable, tensor in zip(variables, tensors, strict=True):
                file[f"{group}/{layer}/{layer}/{variable}:0"] = tensor
        file.create_group(f"{group}/Dropout")  # a layer without weights
        if group:
            file["optimizer_weights/Conv2d_1a_3x3/kernel:0"] = np.zeros(3)
    return path


def load_fresh(network: keras.Model, path: Path) -> None:
    """Load a file after setting all weights to 9."""
    network.set_weights([np.full_like(weights, 9) for weights in network.get_weights()])
    assert load_published_weights(network, path) is network


def check_weights(network: keras.Model, expected: dict[str, list[np.ndarray]]) -> None:
    with_weights = {layer.name for layer in network.layers if layer.weights}
    assert with_weights == {*expected, "gender"}
    for name, weights in expected.items():
        for ours, theirs in zip(network.get_layer(name).get_weights(), weights, strict=True):
            np.testing.assert_array_equal(ours, theirs, name)
    for weights in network.get_layer("gender").get_weights():  # the head stays as it was
        np.testing.assert_array_equal(weights, 9)


class TestForms:
    def test_npz_of_a_state_dict(self, network, state, expected, tmp_path):
        load_fresh(network, write_npz(tmp_path / "own.npz", state))
        check_weights(network, expected)

    def test_state_dict(self, network, state, expected, tmp_path, monkeypatch):
        def load(path, map_location, weights_only):
            assert (map_location, weights_only) == ("cpu", True)
            return {
                name: SimpleNamespace(numpy=lambda tensor=tensor: tensor)
                for name, tensor in state.items()
            }

        monkeypatch.setitem(sys.modules, "torch", SimpleNamespace(load=load))
        path = tmp_path / "20180408-102900-casia-webface.pt"  # no checksum of it is known
        path.touch()
        load_fresh(network, path)
        check_weights(network, expected)

    @pytest.mark.parametrize("group", ["", "model_weights"], ids=["weights", "model"])
    def test_h5(self, group, network, expected, tmp_path):
        load_fresh(network, write_h5(tmp_path / "facenet_keras.h5", expected, group))
        check_weights(network, expected)

    def test_a_scale_after_a_convolution_moves_into_it(self, network, state, tmp_path):
        random = np.random.default_rng(1)
        own = state | {
            "conv2d_1a.bn.weight": random.uniform(-2, 2, 2).astype(np.float32),
            "last_bn.weight": random.uniform(-2, 2, DIMENSIONS).astype(np.float32),
        }
        load_fresh(network, write_npz(tmp_path / "own.npz", own))
        crops = random.uniform(-1, 1, (1, SIDE, SIDE, 3)).astype(np.float32)
        names = "Conv2d_1a_3x3_BatchNorm", "AvgPool", "Bottleneck_BatchNorm"
        outputs = keras.Model(
            network.input, {name: network.get_layer(name).output for name in names}
        )(crops)

        def normalise(x, name):
            x = (x - own[f"{name}.running_mean"]) / np.sqrt(own[f"{name}.running_var"] + 0.001)
            return x * own[f"{name}.weight"] + own[f"{name}.bias"]

        # The cell in row 3 and column 5 sees the crop from row 6 and column 10 on.
        seen = crops[0, 6:9, 10:13] * 127.5 / 128
        stem = normalise(
            np.einsum("hwi,oihw->o", seen, own["conv2d_1a.conv.weight"]), "conv2d_1a.bn"
        )
        np.testing.assert_allclose(np.asarray(outputs[names[0]])[0, 3, 5], stem, atol=1e-5)
        last = normalise(np.asarray(outputs["AvgPool"]) @ own["last_linear.weight"].T, "last_bn")
        np.testing.assert_allclose(np.asarray(outputs[names[2]]), last, rtol=1e-3, atol=1e-4)


class TestChecksum:
    NAME = "20180402-114759-weights.h5"

    def test_the_published_file_is_loaded(self, network, expected, tmp_path, monkeypatch):
        path = write_h5(tmp_path / self.NAME, expected)
        monkeypatch.setitem(PUBLISHED, self.NAME, ("https://example.org", hash_file(path)))
        load_fresh(network, path)
        check_weights(network, expected)

    def test_another_file_of_that_name_is_an_error(self, network, expected, tmp_path):
        path = write_h5(tmp_path / self.NAME, expected)
        message = (
            rf"{self.NAME}: its SHA-256 must be .* 8b71e704.*; got {hash_file(path)}; "
            r"download it from https://github\.com/faustomorales/.*, or rename it"
        )
        with pytest.raises(ValueError, match=message):
            load_published_weights(network, path)

    def test_every_file_has_a_page_and_known_checksums_are_of_sha_256(self):
        for page, checksum in PUBLISHED.values():
            assert page.startswith("https://github.com/")
            assert checksum is None or (len(checksum) == 64 and int(checksum, 16))


class TestErrors:
    @pytest.mark.parametrize(
        ("name", "page"),
        [
            ("facenet_keras.h5", r"https://github\.com/nyoki-mtl/keras-facenet\.$"),
            ("20180402-114759-vggface2.pt", r"https://github\.com/timesler/facenet-pytorch/.*"),
            ("own.npz", r".*faustomorales.* or .*nyoki-mtl.* or .*timesler"),
        ],
    )
    def test_missing_files(self, name, page, network, tmp_path):
        with pytest.raises(
            FileNotFoundError, match=rf"{name}: no such file; download it from {page}"
        ):
            load_published_weights(network, tmp_path / name)

    def test_unknown_endings(self, network, tmp_path):
        with pytest.raises(
            ValueError, match=r"must end with one of \.h5, .*; got .*weights\.bin\."
        ):
            load_published_weights(network, tmp_path / "weights.bin")

    def test_without_pytorch(self, network, tmp_path, monkeypatch):
        monkeypatch.setitem(sys.modules, "torch", None)  # importing it fails
        (tmp_path / "own.pt").touch()
        with pytest.raises(
            ModuleNotFoundError, match=r"own\.pt: PyTorch is needed .*pip install torch.*\.npz"
        ):
            load_published_weights(network, tmp_path / "own.pt")

    @pytest.mark.parametrize("content", [b"", b"Dear diary", b"PK\x03\x04 and no more"])
    @pytest.mark.parametrize(
        ("ending", "what"), [("h5", "cannot be read as HDF5"), ("npz", "does not hold arrays")]
    )
    def test_files_of_another_kind(self, ending, what, content, network, tmp_path):
        path = tmp_path / f"own.{ending}"
        path.write_bytes(content)
        with pytest.raises(ValueError, match=rf"own\.{ending}: {what}.*; download it from"):
            load_published_weights(network, path)

    def test_pytorch_files_of_another_kind(self, network, tmp_path, monkeypatch):
        (tmp_path / "own.pt").touch()
        for loaded in ([1, 2], {"state": {}}):
            torch = SimpleNamespace(load=lambda path, loaded=loaded, **options: loaded)
            monkeypatch.setitem(sys.modules, "torch", torch)
            with pytest.raises(ValueError, match=r"own\.pt: does not hold arrays by name"):
                load_published_weights(network, tmp_path / "own.pt")

    def test_missing_layers(self, network, state, expected, tmp_path):
        torch_name, name = "repeat_2.3.branch1.1.bn.running_var", "Block17_4_Conv2d_1x1"
        write_npz(tmp_path / "own.npz", {key: state[key] for key in state if key != torch_name})
        with pytest.raises(ValueError, match=rf"own\.npz: has no weights '{torch_name}'; download"):
            load_published_weights(network, tmp_path / "own.npz")
        write_h5(tmp_path / "own.h5", {key: expected[key] for key in expected if key != name})
        with pytest.raises(ValueError, match=rf"own\.h5: has no weights '{name}/kernel'; download"):
            load_published_weights(network, tmp_path / "own.h5")

    @pytest.mark.parametrize(
        ("name", "tensor", "message"),
        [
            (
                "last_linear.weight",
                np.zeros((128, 112), np.float32),
                r"Bottleneck/kernel has shape \(112, 128\), and in `network` \(112, 512\); "
                r"build the network with dimensions=128\.",
            ),
            (
                "conv2d_1a.conv.weight",
                np.zeros((2, 4, 3, 3), np.float32),
                r"Conv2d_1a_3x3/kernel has shape \(3, 3, 4, 2\), and in `network` \(3, 3, 3, 2\); "
                r"build the network with the default `width`\.",
            ),
        ],
    )
    def test_other_shapes(self, name, tensor, message, network, state, tmp_path):
        before = network.get_weights()
        if name == "last_linear.weight":
            variables = "weight", "bias", "running_mean", "running_var"
            state = state | {f"last_bn.{key}": state[f"last_bn.{key}"][:128] for key in variables}
        with pytest.raises(ValueError, match=rf"own\.npz: {message}"):
            load_published_weights(network, write_npz(tmp_path / "own.npz", state | {name: tensor}))
        for kept, weights in zip(before, network.get_weights(), strict=True):
            np.testing.assert_array_equal(kept, weights)

    def test_networks_with_other_layers(self, state, tmp_path):
        path = write_npz(tmp_path / "own.npz", state)
        short = build_facenet(DIMENSIONS, side=SIDE, width=WIDTH, blocks=(1, 1, 1))
        with pytest.raises(ValueError, match=r"`network` must be .* with \(5, 10, 5\) blocks"):
            load_published_weights(short, path)
