import keras
import numpy as np
import pytest
from keras import layers

from facekit.networks.attributes import INPUT_SIDE, add_heads, build_attribute_cnn
from facekit.taxonomy import ATTRIBUTES, LABELS

SMALL = (4, 4, 6, 8)  # filters: enough to have every layer, few enough to be quick


def make_crops(count: int, channels: int) -> np.ndarray:
    return (
        np.random.default_rng(0)
        .uniform(-1, 1, (count, INPUT_SIDE, INPUT_SIDE, channels))
        .astype(np.float32)
    )


def answer(network: keras.Model, crops: np.ndarray) -> dict[str, np.ndarray]:
    return {name: np.asarray(probabilities) for name, probabilities in network(crops).items()}


@pytest.mark.parametrize(
    ("tasks", "channels"),
    [
        *(((task,), 3) for task in ATTRIBUTES),
        (("emotion",), 1),
        (("age", "gender", "ethnicity"), 3),
    ],
)
def test_outputs_are_probabilities_of_the_labels(tasks, channels):
    network = build_attribute_cnn(tasks, channels, SMALL)
    assert network.input_shape == (None, 64, 64, channels)
    answers = answer(network, make_crops(3, channels))
    assert tuple(answers) == tasks
    for task, probabilities in answers.items():
        assert probabilities.shape == (3, len(LABELS[task]))
        assert probabilities.dtype == np.float32
        assert (probabilities >= 0).all()
        np.testing.assert_allclose(probabilities.sum(axis=1), 1, rtol=1e-5)
        assert network.get_layer(task).output.shape == (None, len(LABELS[task]))


@pytest.mark.parametrize("tasks", [("age",), ("emotion",)])
def test_served_networks_are_small(tasks):
    network = build_attribute_cnn(tasks, 1)
    assert network.name == "attribute_cnn"
    assert 300_000 < network.count_params() < 1_500_000


def test_widths_set_the_size():
    small = build_attribute_cnn(("gender",), 3, SMALL)
    assert small.count_params() < 10_000
    assert small.get_layer("stem_conv").filters == SMALL[0]
    assert small.get_layer("stage3b_second_conv").filters == SMALL[3]
    assert small.get_layer("pool_conv").kernel_size == (4, 4)  # the whole of the last map
    assert small.get_layer("features").output.shape == (None, SMALL[3])


def test_several_heads_share_all_but_themselves():
    one, three = (
        build_attribute_cnn(tasks, 3, SMALL) for tasks in (("age",), ("age", "gender", "ethnicity"))
    )
    own = {layer.name for layer in three.layers} - {layer.name for layer in one.layers}
    assert own == {"gender", "ethnicity"}
    assert three.count_params() == one.count_params() + (SMALL[3] + 1) * (2 + 5)


def test_a_saved_network_answers_the_same(tmp_path):
    network = build_attribute_cnn(("emotion", "age"), 3, SMALL)
    network.save(tmp_path / "emotion.keras")
    loaded = keras.saving.load_model(tmp_path / "emotion.keras", compile=False)
    for name, probabilities in answer(loaded, make_crops(2, 3)).items():
        np.testing.assert_allclose(
            probabilities, answer(network, make_crops(2, 3))[name], atol=1e-6
        )


class TestHeads:
    def test_they_fit_any_features(self):
        features = keras.Input((7,))
        heads = add_heads(features, ("gender", "emotion"))
        assert {name: head.shape for name, head in heads.items()} == {
            "gender": (None, 2),
            "emotion": (None, 7),
        }

    def test_probabilities_keep_full_precision(self):
        features = layers.Dense(4, dtype="mixed_bfloat16")(keras.Input((7,)))
        assert features.dtype == "bfloat16"
        assert add_heads(features, ("age",))["age"].dtype == "float32"

    @pytest.mark.parametrize("tasks", [(), ("height",), ("age", "height"), "age"])
    def test_unknown_tasks_are_an_error(self, tasks):
        with pytest.raises(
            ValueError,
            match=r"`tasks` must be one or more of age, gender, emotion, ethnicity; "
            r"got .*(\(|'age')",
        ):
            build_attribute_cnn(tasks, 3, SMALL)
