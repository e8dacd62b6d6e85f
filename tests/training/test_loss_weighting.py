import keras
import numpy as np
import pytest
import tensorflow as tf

from facekit.networks.attributes import add_heads
from facekit.taxonomy import LABELS
from facekit.training.loss_weighting import (
    LOSS_WEIGHTINGS,
    BalancedModel,
    LabelledMean,
    MultiTaskModel,
    measure_labelled,
)
from facekit.training.tasks import TASKS

NAMES = ("gender", "ethnicity")
GUESS = {"gender": np.log(2), "ethnicity": np.log(5)}  # cross-entropy
FEATURES = 5


def build_network() -> keras.Model:
    """Build a network of nothing but heads."""
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
    """Make features that say the gender; the ethnicity is random."""
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
    """Return each task's losses, one per image."""
    answers = model(features)
    return {name: np.asarray(TASKS[name].loss(targets[name], answers[name])) for name in NAMES}


class TestLoss:
    def test_it_begins_with_each_loss_as_a_share_of_that_of_a_guess(self):
        model, (features, targets) = build_balanced(), make_data(6)
        expected = sum(
            loss.mean() / GUESS[name] + np.log(GUESS[name])
            for name, loss in compute_losses(model, features, targets).items()
        )
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
            (loss * weights).mean() / GUESS[name] + np.log(GUESS[name])
            for name, loss in compute_losses(model, features, targets).items()
        )
        loss = float(model.compute_loss(features, targets, model(features), weights))
        assert loss == pytest.approx(expected, rel=1e-5)


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
    for name, value in get_log_variances(model).items():
        assert abs(value - np.log(GUESS[name])) > 0.01


def test_a_task_whose_loss_stays_large_gets_less_weight():
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
    assert get_log_variances(other) == get_log_variances(model)
    assert get_log_variances(other)["gender"] == 0.5
    for ours, theirs in zip(model.get_weights(), other.get_weights(), strict=True):
        np.testing.assert_array_equal(ours, theirs)


def test_predictions_are_those_of_the_network():
    network, (features, _) = build_network(), make_data(3)
    answers, balanced = network(features), BalancedModel(network)(features)
    assert balanced.keys() == set(NAMES)
    for name in NAMES:
        np.testing.assert_array_equal(np.asarray(answers[name]), np.asarray(balanced[name]))


class TestMissingLabels:
    """A row whose target is NaN has no label for that task."""

    @pytest.mark.parametrize("weighting", list(LOSS_WEIGHTINGS))
    def test_a_row_teaches_only_the_tasks_that_it_labels(self, weighting):
        network, (features, targets) = build_network(), make_data(6)
        model = MultiTaskModel(network, weighting)
        model.compile(loss={name: TASKS[name].loss for name in NAMES})
        targets["gender"][:] = np.nan
        with tf.GradientTape() as tape:
            loss = model.compute_loss(features, targets, model(features))
        heads = [network.get_layer(name).kernel.value for name in NAMES]
        gender, ethnicity = tape.gradient(loss, heads)
        assert np.isfinite(float(loss))
        np.testing.assert_array_equal(gender, np.zeros_like(gender))
        assert np.abs(ethnicity).max() > 0.01

    def test_half_of_the_rows(self):
        """The loss and its gradients are those of the labelled rows."""
        network, (features, targets) = build_network(), make_data(6)
        model = MultiTaskModel(network, "fixed")
        model.compile(loss={name: TASKS[name].loss for name in NAMES})
        expected = TASKS["gender"].loss(targets["gender"][:3], network(features)["gender"][:3])
        targets["gender"][3:] = np.nan
        targets["ethnicity"][:] = np.nan
        weights = {name: TASKS[name].weigh(targets[name], 0) for name in NAMES}
        assert weights["gender"].tolist() == [2, 2, 2, 0, 0, 0]
        loss = model.compute_loss(features, targets, model(features), weights)
        assert float(loss) == pytest.approx(np.mean(expected), rel=1e-5)

    @pytest.mark.parametrize("name", list(TASKS))
    def test_metrics_count_labelled_rows(self, name):
        task, classes = TASKS[name], len(LABELS[name])
        targets = np.eye(classes, dtype=np.float32)[[0, 1, 1]]
        answers = np.eye(classes, dtype=np.float32)[[0, 0, 1]]
        whole, masked = (LabelledMean(task.metric, "figure") for _ in range(2))
        whole.update_state(targets[:2], answers[:2])
        targets[2] = np.nan
        masked.update_state(targets, answers)
        assert float(masked.result()) == pytest.approx(float(whole.result()))

    def test_no_rows(self):
        values, labelled = measure_labelled(
            TASKS["gender"].loss, np.zeros((0, 2), np.float32), np.zeros((0, 2), np.float32)
        )
        assert values.shape == labelled.shape == (0,)


def test_fixed_weights_add_the_losses():
    model, (features, targets) = MultiTaskModel(build_network(), "fixed"), make_data(6)
    model.compile(loss={name: TASKS[name].loss for name in NAMES})
    expected = sum(loss.mean() for loss in compute_losses(model, features, targets).values())
    loss = model.compute_loss(features, targets, model(features))
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert len(model.trainable_weights) == len(build_network().trainable_weights)


def test_an_unknown_weighting():
    with pytest.raises(
        ValueError, match="`weighting` must be one of fixed, uncertainty; got 'sum'"
    ):
        MultiTaskModel(build_network(), "sum")
