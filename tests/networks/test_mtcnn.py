import keras
import numpy as np
import pytest
from mtcnn.stages import StageONet, StagePNet, StageRNet

from facekit.inference import run_model
from facekit.networks.mtcnn import BUILDERS, load_published_weights

SHAPES = {  # input, then outputs
    "pnet": [(None, None, None, 3), (None, None, None, 2), (None, None, None, 4)],
    "rnet": [(None, 24, 24, 3), (None, 2), (None, 4)],
    "onet": [(None, 48, 48, 3), (None, 2), (None, 4), (None, 10)],
}
# The package's classes, and the order of our outputs among theirs.
REFERENCES = {
    "pnet": (StagePNet, (1, 0)),
    "rnet": (StageRNet, (1, 0)),
    "onet": (StageONet, (2, 0, 1)),
}


@pytest.fixture(scope="module", params=BUILDERS)
def network(request) -> keras.Model:
    return load_published_weights(BUILDERS[request.param]())


@pytest.fixture
def inputs(network) -> np.ndarray:
    """Three pictures of noise, of P-Net's an odd size."""
    height, width = network.input_shape[1:3]
    return (
        np.random.default_rng(0)
        .uniform(-1, 1, (3, height or 31, width or 42, 3))
        .astype(np.float32)
    )


def test_shapes(network):
    assert [network.input_shape, *network.output_shape] == SHAPES[network.name]


def test_pnet_has_a_cell_for_each_window_at_stride_two():
    probabilities, offsets = BUILDERS["pnet"]()(np.zeros((1, 12 + 2 * 4, 12, 3), np.float32))
    assert probabilities.shape == (1, 5, 1, 2)
    assert offsets.shape == (1, 5, 1, 4)


def test_probabilities_sum_to_one(network, inputs):
    probabilities = keras.ops.convert_to_numpy(network(inputs)[0])
    np.testing.assert_allclose(probabilities.sum(axis=-1), 1, atol=1e-5)


def test_outputs_are_those_of_the_mtcnn_package(network, inputs):
    stage, order = REFERENCES[network.name]
    theirs = stage().model(inputs)
    for ours, index in zip(network(inputs), order, strict=True):
        np.testing.assert_allclose(ours, theirs[index], atol=1e-5)


def test_shipped_file_answers_as_the_network(network, inputs):
    for shipped, own in zip(run_model(network.name, inputs), network(inputs), strict=True):
        np.testing.assert_allclose(shipped, own, atol=1e-4)


def test_save_and_reload(network, inputs, tmp_path):
    network.save(tmp_path / "network.keras")
    reloaded = keras.saving.load_model(tmp_path / "network.keras")
    for own, other in zip(network(inputs), reloaded(inputs), strict=True):
        np.testing.assert_allclose(own, other, atol=1e-6)
