import keras
import numpy as np
import pytest

from facekit.networks.attributes import add_heads
from facekit.taxonomy import LABELS
from facekit.training.loss_weighting import BalancedModel
from facekit.training.tasks import TASKS

NAMES = ("gender", "ethnicity")
FEATURES = 5


def build_network() -> keras.Model:
    """Nothing but heads."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((FEATURES,))
    return keras.Model(inputs, add_heads(inputs, NAMES))


def build_balanced(network: keras.Model | None = None, rate: float = 0.1) -> BalancedModel:
    model = BalancedModel(network or build_network())
    model.compile(
        keras.optimizers.Adam(rate),
        loss={name: TASKS[name].loss for name in NAMES},
        metrics={name: [TASKS[name].metric] for name in NAMES},
    )
    return model


def make_data(count: int) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Features that tell the gender; the ethnicity is chance."""
    generator = np.random.default_rng(0)
    features = generator.normal(size=(count, FEATURES)).astype(np.float32)
    index = {
        "gender": (features[:, 0] > 0).astype(int),
        "ethnicity": generator.integers(0, len(LABELS["ethnicity"]), count),
    }
    return features, {
        name: np.eye(len(LABELS[name]), dtype=np.float32)[index[name]] for name in NAMES
    }


def get_log_variances(model: BalancedModel) -> dict[str, float]:
    return {name: float(value) for name, value in model.log_variances.items()}


def compute_losses(
    model: BalancedModel, features: np.ndarray, targets: dict[str, np.ndarray]
) -> dict[str, np.ndarray]:
    """Each head's losses, one an image."""
    answers = model(features)
    return {name: np.asarray(TASKS[name].loss(targets[name], answers[name])) for name in NAMES}


class TestLoss:
    def test_it_begins_as_the_sum_of_the_heads(self):
        model, (features, targets) = build_balanced(), make_data(6)
        assert get_log_variances(model) == {"gender": 0, "ethnicity": 0}
        expected = sum(loss.mean() for loss in compute_losses(model, features, targets).values())
        assert float(model.compute_loss(features, targets, model(features))) == pytest.approx(
            expected, rel=1e-5
        )

    def test_by_hand(self):
        model, (features, targets) = build_balanced(), make_data(6)
        model.log_variances["gender"].assign(0.5)
        model.log_variances["ethnicity"].assign(-1.0)
        losses = compute_losses(model, features, targets)
        expected = (
            losses["gender"].mean() * np.exp(-0.5)
            + 0.5
            + losses["ethnicity"].mean() * np.exp(1)
            - 1
        )
        assert float(model.compute_loss(features, targets, model(features))) == pytest.approx(
            expected, rel=1e-5
        )

    def test_images_count_by_their_weights(self):
        model, (features, targets) = build_balanced(), make_data(4)
        weights = np.array([0, 1, 3, 0], np.float32)
        expected = sum(
            (loss * weights).mean() for loss in compute_losses(model, features, targets).values()
        )
        told = float(model.compute_loss(features, targets, model(features), weights))
        assert told == pytest.approx(expected, rel=1e-5)


def test_training_moves_weights_and_log_variances():
    network = build_network()
    before, model = network.get_weights(), build_balanced(network)
    features, targets = make_data(64)
    history = model.fit(
        features, targets, validation_data=(features, targets), epochs=8, batch_size=16, verbose=0
    ).history
    assert history["loss"][-1] < history["loss"][0]
    assert {
        "gender_accuracy",
        "ethnicity_accuracy",
        "val_gender_accuracy",
        "val_loss",
    } <= history.keys()
    assert history["val_gender_accuracy"][-1] > 0.9
    assert all(
        np.abs(old - new).max() > 0.01
        for old, new in zip(before, network.get_weights(), strict=True)
    )  # shared with `network`
    assert all(abs(value) > 0.01 for value in get_log_variances(model).values())


def test_a_loss_that_stays_large_is_trusted_less():
    network = build_network()
    network.trainable = False
    model, (features, targets) = build_balanced(network), make_data(64)
    often = np.tile(np.arange(64), 60)
    model.fit(
        features[often],
        {name: values[often] for name, values in targets.items()},
        batch_size=64,
        shuffle=False,
        verbose=0,
    )
    losses = compute_losses(model, features, targets)
    # With all else at rest L / exp(s) + s is least at s = log L. Heads drop features while they are
    # trained.
    for name, value in get_log_variances(model).items():
        assert value == pytest.approx(np.log(losses[name].mean()), abs=0.25)
    assert get_log_variances(model)["gender"] < get_log_variances(model)["ethnicity"]


def test_the_log_variances_are_saved_with_the_weights(tmp_path):
    model = build_balanced()
    model.log_variances["gender"].assign(0.5)
    model.save_weights(tmp_path / "best.weights.h5")
    other = build_balanced()
    other.load_weights(tmp_path / "best.weights.h5")
    assert get_log_variances(other) == {"gender": 0.5, "ethnicity": 0}
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_answers_are_those_of_the_network():
    network, (features, _) = build_network(), make_data(3)
    answers, balanced = network(features), BalancedModel(network)(features)
    assert balanced.keys() == set(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(np.asarray(answers[name]), np.asarray(balanced[name]))
