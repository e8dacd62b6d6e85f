import keras
import numpy as np
import pytest

from facekit.inference import load_session, run_session
from facekit.networks.embedding import build_pretrained_network, take_over_layers
from facekit.networks.unified import (
    HEADS,
    LAYERS,
    MAPS,
    SIDE,
    WIDTH,
    build_attention_model,
    build_unified_network,
)
from facekit.taxonomy import LABELS
from facekit.training.export import export_network

TASKS = ("age", "gender", "ethnicity", "emotion")
TINY = ((4, 1, False), (8, 1, True), (8, 1, True))


def make_crops(count: int, channels: int = 3) -> np.ndarray:
    generator = np.random.default_rng(0)
    return generator.uniform(-1, 1, (count, SIDE, SIDE, channels)).astype(np.float32)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    keras.utils.set_random_seed(0)
    return build_unified_network(TASKS, stages=TINY)


def test_probabilities_of_every_task(network):
    answers = network.predict_on_batch(make_crops(2))
    assert {task: each.shape for task, each in answers.items()} == {
        task: (2, len(LABELS[task])) for task in TASKS
    }
    for each in answers.values():
        np.testing.assert_allclose(each.sum(axis=1), 1, rtol=1e-5)


def test_one_attention_layer_by_hand(network):
    """The first attention to the memory, recomputed with NumPy."""
    name = "decoder1_read"
    get = network.get_layer
    inside = keras.Model(
        network.input,
        [get(f"{name}_query").input, get("memory").output, get(f"{name}_softmax").output,
         get(f"{name}_join").output],
    )  # fmt: skip
    tokens, memory, shares, answer = (np.asarray(each) for each in inside(make_crops(2)))

    def project(x, role):
        kernel, bias = get(f"{name}_{role}").get_weights()
        return (x @ kernel + bias).reshape(2, -1, HEADS, WIDTH // HEADS)

    query, key, value = project(tokens, "query"), project(memory, "key"), project(memory, "value")
    fits = np.einsum("bqhd,bmhd->bhqm", query, key) / np.sqrt(WIDTH // HEADS)
    expected = np.exp(fits) / np.exp(fits).sum(axis=-1, keepdims=True)
    np.testing.assert_allclose(shares, expected, atol=1e-5)
    mixed = np.einsum("bhqm,bmhd->bqhd", expected, value).reshape(2, len(TASKS), WIDTH)
    kernel, bias = get(f"{name}_join").get_weights()
    np.testing.assert_allclose(answer, mixed @ kernel + bias, atol=1e-4)


def test_attention_maps_share_one_whole(network):
    maps = build_attention_model(network)(make_crops(2))
    assert set(maps) == set(MAPS)
    assert {name: tuple(each.shape[:2]) for name, each in maps.items()} == dict.fromkeys(
        MAPS, (2, len(TASKS))
    )
    total = sum(np.asarray(each).sum(axis=(2, 3)) for each in maps.values())
    np.testing.assert_allclose(total, 1, atol=1e-5)


def test_tasks_read_each_other(network):
    """A token's answer depends on another task's token, through the attention between tokens."""
    crops = make_crops(1)
    before = network.predict_on_batch(crops)["emotion"]
    tokens = network.get_layer("tokens")
    kept = tokens.get_weights()
    changed = kept[0].copy()
    changed[TASKS.index("age")] += np.linspace(-1, 1, WIDTH)
    tokens.set_weights([changed])
    after = network.predict_on_batch(crops)["emotion"]
    tokens.set_weights(kept)
    assert np.abs(after - before).max() > 1e-6


def test_the_trunk_takes_trained_layers_also_from_inside_an_ensemble():
    member = build_pretrained_network(("gender",), (SIDE, SIDE, 3), SIDE, TINY)
    inputs = keras.Input((SIDE, SIDE, 3))
    ensemble = keras.Model(inputs, member(inputs))
    unified = build_unified_network(TASKS, stages=TINY)
    take_over_layers(unified, ensemble)
    for layer in unified.layers:
        if layer.name.startswith(("stem", "stage")) and layer.weights:
            theirs = member.get_layer(layer.name).get_weights()
            for ours, other in zip(layer.get_weights(), theirs, strict=True):
                np.testing.assert_array_equal(ours, other)


def test_the_exported_network_answers_the_same(network, tmp_path):
    def build() -> keras.Model:
        return build_unified_network(TASKS, stages=TINY)

    session = load_session(export_network(network, build, tmp_path / "unified"))
    served = keras.saving.load_model(tmp_path / "unified" / "unified.keras", compile=False)
    crops = make_crops(3)
    expected = served.predict_on_batch(crops)
    answers = run_session(session, crops, list(TASKS))
    for task, each in zip(TASKS, answers, strict=True):
        np.testing.assert_allclose(each, expected[task], atol=1e-4)
    assert [len(each) for each in run_session(session, crops[:0], list(TASKS))] == [0] * len(TASKS)


def test_grey_crops():
    network = build_unified_network(("emotion",), channels=1, stages=TINY, decoder_layers=1)
    assert network.predict_on_batch(make_crops(1, channels=1))["emotion"].shape == (1, 7)


def test_size():
    network = build_unified_network(TASKS)
    assert network.count_params() < 4_000_000  # bytes, about, when served
    names = [layer.name for layer in network.layers if layer.name.endswith("_read_softmax")]
    assert len(names) == LAYERS


@pytest.mark.parametrize("tasks", [(), "age", ("mood",)])
def test_unknown_tasks(tasks):
    with pytest.raises(ValueError, match="`tasks` must be one or more of age, gender"):
        build_unified_network(tasks)
