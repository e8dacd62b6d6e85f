import itertools
import json
from dataclasses import replace

import keras
import numpy as np
import pytest

from facekit.networks.attributes import add_heads
from facekit.taxonomy import LABELS
from facekit.training import loop
from facekit.training.augmentation import Augmentation
from facekit.training.course import Course, make_course
from facekit.training.loop import LabelledCrops, TrainingConfig, train_model
from facekit.training.loss_weighting import LOSS_WEIGHTINGS, MultiTaskModel
from facekit.training.tasks import TASKS
from facekit.training.transfer import (
    PARTS,
    TRANSFERS,
    list_leaves,
    open_layers,
    plan_stages,
)

SIDE = 8
CONFIG = TrainingConfig(epochs=5, batch_size=4, learning_rate=0.01, weight_decay=0.1)
# Layers of the trunk from the bottom, two in each part.
TRUNK = ("conv1", "norm1", "conv2", "norm2", "conv3", "norm3")
OPENED = {0: (), 1: TRUNK[4:], 2: TRUNK[2:], 3: TRUNK}


def build_network(names=("gender",)) -> keras.Model:
    keras.utils.set_random_seed(0)
    x = inputs = keras.Input((SIDE, SIDE, 1))
    for number in (1, 2, 3):
        x = keras.layers.Conv2D(4, 3, padding="same", name=f"conv{number}")(x)
        x = keras.layers.BatchNormalization(name=f"norm{number}")(x)
    return keras.Model(inputs, add_heads(keras.layers.GlobalAveragePooling2D()(x), names))


def make_data(count: int, seed: int = 0, names=("gender",)) -> LabelledCrops:
    generator = np.random.default_rng(seed)
    crops = generator.integers(0, 256, (count, SIDE, SIDE, 1), np.uint8)
    targets = {
        name: np.eye(len(LABELS[name]), dtype=np.float32)[
            generator.integers(0, len(LABELS[name]), count)
        ]
        for name in names
    }
    return LabelledCrops(crops, targets, np.ones(count, np.float32))


def make_transfer(transfer: str, names=("gender",), weighting="fixed") -> Course:
    tasks = [TASKS[name] for name in names]
    nothing = Augmentation(**dict.fromkeys(vars(Augmentation()), 0))
    return make_course(
        *tasks,
        channels=1,
        equalise=False,
        augmentation=nothing,
        loss_weighting=weighting,
        transfer=transfer,
    )


def read_weights(model: keras.Model) -> dict[str, list[np.ndarray]]:
    return {layer.name: layer.get_weights() for layer in model.layers if layer.weights}


def find_changed(before, after) -> set[str]:
    """Return the layers of which any number changed by any bit."""
    return {
        name
        for name in before
        if any(
            one.tobytes() != other.tobytes()
            for one, other in zip(before[name], after[name], strict=True)
        )
    }


class SpyFiles(loop.RunFiles):
    """Keep the weights after each epoch."""

    seen: list = []  # noqa: RUF012  (filled and emptied by the fixture)

    def on_epoch_end(self, epoch, logs=None):
        super().on_epoch_end(epoch, logs)
        self.seen.append((epoch, read_weights(self.model)))


@pytest.fixture
def seen(monkeypatch):
    SpyFiles.seen.clear()
    monkeypatch.setattr(loop, "RunFiles", SpyFiles)
    return SpyFiles.seen


def train(run, transfer, names=("gender",), weighting="fixed", config=CONFIG):
    network = build_network(names)
    before = read_weights(network)
    model = network if len(names) == 1 else MultiTaskModel(network, weighting)
    course = make_transfer(transfer, names, weighting)
    data = make_data(12, 0, names), make_data(6, 1, names)
    train_model(model, course, *data, config, run, quiet=True)
    return before, network


@pytest.mark.parametrize(
    ("transfer", "epochs", "expected"),
    [
        ("fine_tune", 5, [(0, 5, 3)]),
        ("freeze", 5, [(0, 5, 0)]),
        ("top", 5, [(0, 5, 1)]),
        ("gradual", 5, [(0, 1, 0), (1, 2, 1), (2, 3, 2), (3, 5, 3)]),
        ("gradual", 30, [(0, 6, 0), (6, 12, 1), (12, 18, 2), (18, 30, 3)]),
        ("gradual", 1, [(0, 1, 2)]),
    ],
)
def test_stages_of_a_training(transfer, epochs, expected):
    stages = plan_stages(transfer, epochs)
    assert [(each.first_epoch, each.end_epoch, each.open_parts) for each in stages] == expected


@pytest.mark.parametrize("stages", TRANSFERS.values(), ids=TRANSFERS)
def test_the_shares_of_the_epochs_sum_to_1(stages):
    assert sum(share for share, _ in stages) == pytest.approx(1)
    assert all(0 <= open_parts <= PARTS for _, open_parts in stages)


@pytest.mark.parametrize("open_parts", OPENED)
def test_parts_are_opened_from_the_top(open_parts):
    network = build_network()
    open_layers(network, ["gender"], open_parts)
    trained = {layer.name for layer in network.layers if layer.weights and layer.trainable}
    assert trained == {*OPENED[open_parts], "gender"}
    open_layers(network, ["gender"])
    assert all(layer.trainable for layer in network.layers)


def test_networks_inside_a_network_are_opened_layer_by_layer():
    inner = build_network()
    outer = keras.Model(inner.input, inner(inner.input))
    assert [each.name for each in list_leaves(outer) if each.weights] == [*TRUNK, "gender"]
    open_layers(outer, ["gender"], 0)
    assert len(outer.trainable_weights) == 2  # kernel and bias of the head


def test_a_network_without_heads_cannot_be_frozen():
    with pytest.raises(ValueError, match=r"heads with weights, layers named age, .* fine_tune"):
        open_layers(build_network(), ["age"], 1)


@pytest.mark.parametrize("names", [("gender",), ("gender", "ethnicity")])
@pytest.mark.parametrize(("transfer", "open_parts"), [("freeze", 0), ("top", 1), ("fine_tune", 3)])
def test_frozen_layers_stay_as_they_are_to_the_bit(tmp_path, transfer, open_parts, names):
    before, network = train(tmp_path, transfer, names, config=replace(CONFIG, epochs=2))
    changed = find_changed(before, read_weights(network))
    assert changed == {*OPENED[open_parts], *names}
    # The saved network can be trained further.
    assert all(layer.trainable for layer in network.layers)
    assert not (tmp_path / loop.BACKUP).exists()


@pytest.mark.parametrize("weighting", LOSS_WEIGHTINGS)
def test_every_loss_weighting_trains_a_frozen_network(tmp_path, weighting):
    names = ("gender", "ethnicity")
    before, network = train(tmp_path, "freeze", names, weighting, replace(CONFIG, epochs=1))
    assert find_changed(before, read_weights(network)) == set(names)


def test_parts_open_at_their_epochs(tmp_path, seen):
    before, _ = train(tmp_path, "gradual")
    assert [epoch for epoch, _ in seen] == [0, 1, 2, 3, 4]
    weights = [before, *(each for _, each in seen)]
    changed = [find_changed(*pair) for pair in itertools.pairwise(weights)]
    assert changed == [{*OPENED[number], "gender"} for number in (0, 1, 2, 3, 3)]


@pytest.mark.parametrize("last_epoch", [0, 1, 3])
def test_an_interrupted_run_resumes_in_its_stage(tmp_path, monkeypatch, seen, last_epoch):
    whole, broken = tmp_path / "whole", tmp_path / "broken"
    train(whole, "gradual")
    expected = [epoch for epoch, _ in seen]
    seen.clear()

    class InterruptedFiles(SpyFiles):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            if epoch == last_epoch:
                raise KeyboardInterrupt

    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(loop, "RunFiles", InterruptedFiles)
        train(broken, "gradual")
    before = seen[-1][1]
    train(broken, "gradual")
    assert [epoch for epoch, _ in seen] == expected
    opened = (0, 1, 2, 3, 3)[last_epoch + 1]
    assert find_changed(before, seen[last_epoch + 1][1]) == {*OPENED[opened], "gender"}
    assert not (broken / loop.BACKUP).exists()
    rows = (broken / "history.csv").read_text().splitlines()
    assert [row.split(",")[0] for row in rows[1:]] == [str(epoch) for epoch in expected]


def test_the_transfer_is_kept_with_the_run(tmp_path):
    train(tmp_path, "freeze", config=replace(CONFIG, epochs=1))
    settings = json.loads((tmp_path / "config.json").read_text())
    assert settings["course"]["transfer"] == "freeze"
    with pytest.raises(ValueError, match=r"`transfer` must be one of fine_tune, freeze, top, grad"):
        make_transfer("melt")
