import keras
import numpy as np
import pytest

from facekit.networks.attributes import INPUT_SIDE, add_mirror, build_attribute_cnn
from facekit.taxonomy import ATTRIBUTES, LABELS

SMALL = (4, 4, 6, 8)  # filters: enough to have every layer, few enough to be quick


def make_crops(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, INPUT_SIDE, INPUT_SIDE, 1)).astype(np.float32)


@pytest.mark.parametrize("task", ATTRIBUTES)
def test_outputs_are_probabilities_of_the_labels(task):
    network = build_attribute_cnn(task)
    assert network.input_shape == (None, 64, 64, 1)
    assert network.name == f"{task}_cnn"
    assert 100_000 < network.count_params() < 1_000_000
    answers = np.asarray(network(make_crops(3)))
    assert answers.shape == (3, len(LABELS[task]))
    assert answers.dtype == np.float32
    assert (answers >= 0).all()
    np.testing.assert_allclose(answers.sum(axis=1), 1, rtol=1e-5)
    assert network.get_layer(task).output.shape == (None, len(LABELS[task]))


def test_widths_set_the_size():
    small = build_attribute_cnn("gender", SMALL)
    assert small.count_params() < 10_000
    assert small.get_layer("stem_conv").filters == SMALL[0]
    assert small.get_layer("stage3b_second_conv").filters == SMALL[3]
    assert small.get_layer("features").output.shape == (None, SMALL[3])


def test_a_saved_network_answers_the_same(tmp_path):
    network = add_mirror(build_attribute_cnn("emotion", SMALL))
    network.save(tmp_path / "emotion.keras")
    loaded = keras.saving.load_model(tmp_path / "emotion.keras", compile=False)
    np.testing.assert_allclose(np.asarray(loaded(make_crops(2))), np.asarray(network(make_crops(2))), atol=1e-6)


def test_mirror_images_are_answered_alike():
    single = build_attribute_cnn("emotion", SMALL)
    crops = make_crops(4)
    mirrored = crops[:, :, ::-1]
    served = add_mirror(single)
    assert served.name == "emotion_cnn_served"
    np.testing.assert_allclose(np.asarray(served(crops)), np.asarray(served(mirrored)), atol=1e-6)
    one, other = np.asarray(single(crops)), np.asarray(single(mirrored))
    assert np.abs(one - other).max() > 1e-5  # the network alone tells them apart
    np.testing.assert_allclose(np.asarray(served(crops)), (one + other) / 2, atol=1e-6)


def test_an_unknown_task_is_an_error():
    with pytest.raises(ValueError, match="`task` must be one of age, gender, emotion, ethnicity; got 'height'"):
        build_attribute_cnn("height")
