import json
import math
from dataclasses import replace

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf

from facekit.datasets.synthetic.drawing import draw_crops
from facekit.datasets.synthetic.sampling import sample_traits, tabulate_traits
from facekit.networks.attributes import add_heads
from facekit.taxonomy import LABELS
from facekit.training import loop, run_files
from facekit.training.augmentation import Augmentation
from facekit.training.course import Course, make_course
from facekit.training.loop import LabelledCrops, TrainingConfig, train_model
from facekit.training.loss_weighting import (
    LEARNED_NAME,
    LOSS_WEIGHTINGS,
    BalancedModel,
    LabelledMean,
    MultiTaskModel,
    make_grid,
    measure_labelled,
    search,
    search_weights,
)
from facekit.training.tasks import TASKS

NAMES = ("gender", "ethnicity")
GUESS = {"gender": np.log(2), "ethnicity": np.log(5)}  # cross-entropy
FEATURES = 5
START = {"gender": 1, "ethnicity": 3}


def build_network() -> keras.Model:
    """Build a network of nothing but heads."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((FEATURES,))
    return keras.Model(inputs, add_heads(inputs, NAMES))


def build_shared() -> keras.Model:
    """Build a linear layer and heads without dropout, so that a step can be done by hand."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((FEATURES,))
    shared = keras.layers.Dense(3, use_bias=False, name="shared")(inputs)
    heads = {
        name: keras.layers.Dense(len(LABELS[name]), "softmax", dtype="float32", name=name)(shared)
        for name in NAMES
    }
    return keras.Model(inputs, heads)


def build_weighted(
    weighting: str, start: dict[str, float] | None = None, rate: float = 0.1
) -> MultiTaskModel:
    model = MultiTaskModel(build_shared(), weighting, start)
    model.compile(
        keras.optimizers.SGD(rate),
        loss={name: TASKS[name].loss for name in NAMES},
        metrics={name: [LabelledMean(TASKS[name].loss, "loss")] for name in NAMES},
    )
    return model


def softmax(logits: np.ndarray) -> np.ndarray:
    powers = np.exp(logits - logits.max(axis=-1, keepdims=True))
    return powers / powers.sum(axis=-1, keepdims=True)


def compute_by_hand(model: MultiTaskModel, x: np.ndarray, targets: dict) -> dict[str, np.ndarray]:
    """Return the loss of each task, and its gradient with respect to the shared layer."""
    shared = model.get_layer("shared").get_weights()[0]
    losses, gradients = [], []
    for name in NAMES:
        kernel, bias = model.get_layer(name).get_weights()
        answers = softmax(x @ shared @ kernel + bias)
        losses.append(-(targets[name] * np.log(answers)).sum(axis=1).mean())
        gradients.append(x.T @ ((answers - targets[name]) / len(x) @ kernel.T))
    return {"losses": np.array(losses), "gradients": np.array(gradients), "features": x @ shared}


def get_weights(model: MultiTaskModel) -> np.ndarray:
    return np.array([model.weighting.weights[name] for name in NAMES])


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
        model, (features, targets) = build_weighted(weighting), make_data(6)
        targets["gender"][:] = np.nan
        with tf.GradientTape() as tape:
            loss = model.compute_loss(features, targets, model(features))
        heads = [model.get_layer(name).kernel.value for name in NAMES]
        gender, ethnicity = tape.gradient(loss, heads)
        assert np.isfinite(float(loss))
        np.testing.assert_array_equal(gender, np.zeros_like(gender))
        assert np.abs(ethnicity).max() > 0.01

    @pytest.mark.parametrize("weighting", list(LOSS_WEIGHTINGS))
    def test_steps_without_a_label(self, weighting):
        """Of one task in the first step, of any in the second."""
        model, (features, targets) = build_weighted(weighting), make_data(18)
        targets["gender"][:12] = np.nan
        targets["ethnicity"][6:12] = np.nan
        for _ in range(3):
            history = model.fit(features, targets, batch_size=6, shuffle=False, verbose=0).history
            model.weighting.on_epoch_end()
            assert np.isfinite(history["loss"]).all()
            assert (get_weights(model) > 0.1).all()
        assert all(np.isfinite(values).all() for values in model.get_weights())

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


def test_given_weights():
    start = {"ethnicity": 0.25, "gender": 3}
    model, (features, targets) = build_weighted("fixed", start), make_data(6)
    losses = compute_losses(model, features, targets)
    loss = model.compute_loss(features, targets, model(features))
    expected = 3 * losses["gender"].mean() + 0.25 * losses["ethnicity"].mean()
    assert float(loss) == pytest.approx(expected, rel=1e-5)
    assert model.weighting.weights == {"gender": 3, "ethnicity": 0.25}


class TestJointDynamic:
    def prepare(self, weighting: str) -> tuple[MultiTaskModel, np.ndarray, dict, dict, np.ndarray]:
        """A model with a trained branch, a batch, its losses by hand, the softmax by hand."""
        model, (x, targets) = build_weighted(weighting, START), make_data(6)
        generator = np.random.default_rng(1)
        kernel, bias = generator.normal(size=(3, 2)), generator.normal(size=2)
        model.weighting.kernel.assign(kernel)
        model.weighting.bias.assign(bias)
        by_hand = compute_by_hand(model, x, targets)
        return model, x, targets, by_hand, softmax(by_hand["features"] @ kernel + bias)

    def differentiate(self, model, x, targets) -> tuple[float, list[np.ndarray]]:
        """The loss of a step, its gradients for the branch's kernel, bias, and the shared layer."""
        sources = [model.weighting.kernel, model.weighting.bias, model.get_layer("shared").kernel]
        with tf.GradientTape() as tape:
            answers, features = model.weighting.forward(x, training=True)
            loss = model.weighting.combine(model.measure_losses(targets, answers), features)
        return float(loss), [gradient.numpy() for gradient in tape.gradient(loss, sources)]

    @pytest.mark.parametrize("weighting", ["joint_dynamic", "joint_dynamic_fixed"])
    @pytest.mark.parametrize(("start", "expected"), [(START, [0.25, 0.75]), (None, [0.5, 0.5])])
    def test_the_first_step_has_the_start_weights(self, weighting, start, expected):
        model, (x, targets) = build_weighted(weighting, start, rate=0.0), make_data(6)
        by_hand = compute_by_hand(model, x, targets)
        history = model.fit(x, targets, batch_size=6, verbose=0).history
        np.testing.assert_allclose(get_weights(model), expected, rtol=1e-6)
        assert history["loss"][0] == pytest.approx(by_hand["losses"] @ expected, rel=1e-5)
        assert history["weight_gender"][0] == pytest.approx(expected[0])

    def test_softmax_mean_and_gradient_by_hand(self):
        model, x, targets, by_hand, shares = self.prepare("joint_dynamic")
        losses, features = by_hand["losses"], by_hand["features"]
        weights = shares.mean(axis=0)
        loss, (kernel, bias, shared) = self.differentiate(model, x, targets)
        assert weights.sum() == pytest.approx(1)
        assert loss == pytest.approx(weights @ losses, rel=1e-5)
        np.testing.assert_allclose(get_weights(model), weights, rtol=1e-5)
        slopes = shares * (losses - (shares @ losses)[:, None]) / len(x)  # of the logits
        np.testing.assert_allclose(kernel, features.T @ slopes, atol=1e-5)
        np.testing.assert_allclose(bias, slopes.sum(axis=0), atol=1e-5)
        # The gradient flows through the branch into the network, too.
        through_branch = x.T @ slopes @ model.weighting.kernel.numpy().T
        expected = np.tensordot(weights, by_hand["gradients"], 1) + through_branch
        np.testing.assert_allclose(shared, expected, atol=1e-5)

    def test_the_other_objective_by_hand(self):
        model, x, targets, by_hand, shares = self.prepare("joint_dynamic_fixed")
        losses, first = by_hand["losses"], np.array([1.0, 2.0])
        model.weighting.first_losses.assign(first)
        weights = shares.mean(axis=0)
        loss, (kernel, bias, shared) = self.differentiate(model, x, targets)
        assert loss == pytest.approx(weights @ losses, rel=1e-5)
        np.testing.assert_allclose(get_weights(model), weights, rtol=1e-5)
        costs = np.log(shares / [0.25, 0.75]) - losses / first / 0.5
        slopes = shares * (costs - (shares * costs).sum(axis=1, keepdims=True)) / len(x)
        np.testing.assert_allclose(kernel, by_hand["features"].T @ slopes, atol=1e-5)
        np.testing.assert_allclose(bias, slopes.sum(axis=0), atol=1e-5)
        np.testing.assert_allclose(
            shared, np.tensordot(weights, by_hand["gradients"], 1), atol=1e-5
        )

    def test_the_branch_favours_the_easy_task_unless_it_is_fixed(self):
        """The features say the gender; the ethnicity is random."""
        x, targets = make_data(32)
        ends, ratios = {}, {}
        for weighting in ("joint_dynamic", "joint_dynamic_fixed"):
            model = build_weighted(weighting, rate=0.5)
            first = compute_by_hand(model, x, targets)["losses"]
            often = np.tile(np.arange(32), 300)
            repeated = {name: values[often] for name, values in targets.items()}
            model.fit(x[often], repeated, batch_size=32, shuffle=False, verbose=0)
            ends[weighting] = get_weights(model)
            ratios[weighting] = compute_by_hand(model, x, targets)["losses"] / first
        assert ends["joint_dynamic"][0] > 0.97  # the gender
        # What minimises the other objective, with equal start weights.
        expected = softmax(ratios["joint_dynamic_fixed"] / 0.5)
        np.testing.assert_allclose(ends["joint_dynamic_fixed"], expected, atol=0.03)
        assert 0.05 < ends["joint_dynamic_fixed"][0] < 0.5
        # The hard task is learned better when it has a weight.
        assert ratios["joint_dynamic_fixed"][1] < ratios["joint_dynamic"][1] - 0.03

    def test_heads_that_read_different_features(self):
        inputs = keras.Input((FEATURES,))
        outputs = {
            name: keras.layers.Dense(2, name=name)(keras.layers.Dense(2)(inputs)) for name in NAMES
        }
        network = keras.Model(inputs, outputs)
        with pytest.raises(ValueError, match="must have heads that all read the same features"):
            MultiTaskModel(network, "joint_dynamic")
        MultiTaskModel(network, "gradnorm")  # needs a shared layer only


class TestGradNorm:
    def test_two_steps_by_hand(self):
        model, (x, targets) = build_weighted("gradnorm"), make_data(6)
        weights, first = np.ones(2), None
        for _ in range(2):
            by_hand = compute_by_hand(model, x, targets)
            losses = by_hand["losses"]
            first = losses if first is None else first
            norms = np.sqrt((by_hand["gradients"] ** 2).sum(axis=(1, 2)))
            ratios = losses / first
            target = (weights * norms).mean() * (ratios / ratios.mean()) ** 1.5
            # Move each norm towards its target.
            moved = weights - 0.025 * np.sign(weights * norms - target) * norms
            history = model.fit(x, targets, batch_size=6, verbose=0).history
            assert history["loss"][0] == pytest.approx(weights @ losses, rel=1e-5)
            weights = 2 * moved / moved.sum()
            np.testing.assert_allclose(get_weights(model), weights, rtol=1e-5)
        assert abs(weights[0] - 1) > 0.003

    def test_the_gradients_are_balanced(self):
        """With the network at rest all ratios are 1, so the norms become equal."""
        start = {"gender": 9, "ethnicity": 1}
        model, (x, targets) = build_weighted("gradnorm", start, rate=0.0), make_data(6)
        assert get_weights(model) == pytest.approx([1.8, 0.2])
        often = np.tile(np.arange(6), 400)
        repeated = {name: values[often] for name, values in targets.items()}
        model.fit(x[often], repeated, batch_size=6, shuffle=False, verbose=0)
        norms = np.sqrt((compute_by_hand(model, x, targets)["gradients"] ** 2).sum(axis=(1, 2)))
        sizes = get_weights(model) * norms
        assert sizes[0] == pytest.approx(sizes[1], rel=0.1)

    def test_a_network_without_a_shared_layer(self):
        with pytest.raises(ValueError, match="must have a layer with weights to train before its"):
            MultiTaskModel(build_network(), "gradnorm")


class TestDynamicWeightAverage:
    def test_three_epochs_by_hand(self):
        weighting = build_weighted("dwa").weighting
        epochs = [[(2.0, 1.6), (4.0, 1.4)], [(1.0, 1.0), (2.0, 1.0)], [(1.0, 0.5), (0.5, 0.5)]]
        seen = []
        for steps in epochs:
            for losses in steps:
                loss = weighting.combine(dict(zip(NAMES, losses, strict=True)))
                weights = np.array(list(weighting.weights.values()))
                assert float(loss) == pytest.approx(weights @ losses)
            seen.append(weights)
            weighting.on_epoch_end()
        # Mean losses: 3 and 1.5, then 1.5 and 1, then 0.75 and 0.5.
        third = 2 * softmax(np.array([1.5 / 3, 1 / 1.5]) / 2)
        fourth = 2 * softmax(np.array([0.75 / 1.5, 0.5 / 1]) / 2)
        np.testing.assert_allclose(seen, [[1, 1], [1, 1], third], rtol=1e-6)
        np.testing.assert_allclose(list(weighting.weights.values()), fourth, rtol=1e-6)

    def test_an_epoch_without_a_label(self):
        weighting = build_weighted("dwa", {"gender": 1, "ethnicity": 2}).weighting
        for losses in ((2.0, 0.0), (1.0, 3.0)):
            weighting.combine(dict(zip(NAMES, losses, strict=True)))
            weighting.on_epoch_end()
        expected = 2 * softmax(np.array([0.5, 1.0]) / 2) * [1, 2]
        np.testing.assert_allclose(list(weighting.weights.values()), expected, rtol=1e-6)


class TestSearch:
    def test_a_grid(self):
        grid = make_grid(("age", "gender", "ethnicity"))
        assert len(grid) == 10
        assert all(sum(weights.values()) == pytest.approx(1, abs=1e-3) for weights in grid)
        assert all(weight > 0.16 for weights in grid for weight in weights.values())
        assert make_grid(("age",)) == [{"age": 1}]
        with pytest.raises(ValueError, match=r"at least the number of tasks \(2\).*; got 1\."):
            make_grid(NAMES, parts=1)

    def test_the_lowest_score_is_chosen(self, tmp_path):
        folders = []

        def try_weights(weights, folder):
            folders.append(folder)
            gender = abs(weights["gender"] - 0.75)
            return {"gender": gender, "ethnicity": math.nan if gender > 0.4 else 0.2}

        best, table = search_weights(NAMES, try_weights, tmp_path, parts=4)
        assert best == {"gender": 0.75, "ethnicity": 0.25}
        assert table["weight_gender"].tolist() == [0.25, 0.5, 0.75]
        assert table["relative_loss_gender"].tolist() == [0.5, 0.25, 0]
        assert table["score"].tolist() == pytest.approx([0.5, 0.225, 0.1])
        assert len(set(folders)) == 3

    def test_no_loss_at_all(self, tmp_path):
        with pytest.raises(ValueError, match="must return at least one loss that is a number"):
            search_weights(NAMES, lambda weights, folder: dict.fromkeys(NAMES, math.nan), tmp_path)

    def test_an_interrupted_run_of_another_weighting(self, tmp_path):
        weighting = build_weighted("search").weighting
        with pytest.raises(ValueError, match=r"without search\.csv, so it has another loss weight"):
            weighting.prepare(lambda weights, folder: {}, tmp_path, resumed=True)


def draw_data(seed: int, count: int = 24) -> LabelledCrops:
    """Draw faces, of which some lack an ethnicity."""
    faces = sample_traits(count, seed)
    table = tabulate_traits(faces)
    table.loc[::4, "ethnicity"] = None
    targets = {name: TASKS[name].encode(table) for name in NAMES}
    weights = {name: TASKS[name].weigh(targets[name], 0) for name in NAMES}
    return LabelledCrops(draw_crops(faces, SIDE), targets, weights)


SIDE = 16
CONFIG = TrainingConfig(epochs=3, batch_size=8, learning_rate=0.01)


@pytest.fixture(scope="module")
def drawn() -> tuple[LabelledCrops, LabelledCrops]:
    """Faces to learn from and to choose the epoch by."""
    return draw_data(0), draw_data(1, 12)


class TestTraining:
    """`train_model` with each weighting."""

    @pytest.fixture(autouse=True)
    def two_tries(self, monkeypatch):
        """A search of two trainings: most of the time is their compiling."""
        grid = [{"gender": 0.4, "ethnicity": 0.6}, {"gender": 0.9, "ethnicity": 0.1}]
        monkeypatch.setattr(search, "make_grid", lambda names, parts: grid)
        monkeypatch.setattr(run_files, "STEPS_PER_ROW", 2)

    def build(self, weighting: str, start: dict[str, float] | None = None) -> MultiTaskModel:
        keras.utils.set_random_seed(0)
        inputs = keras.Input((SIDE, SIDE, 1))
        shared = keras.layers.Dense(4, "relu", name="shared")(keras.layers.Flatten()(inputs))
        network = keras.Model(inputs, add_heads(shared, NAMES))
        return MultiTaskModel(network, weighting, start)

    def make_course(self, weighting: str) -> Course:
        nothing = Augmentation(**dict.fromkeys(vars(Augmentation()), 0))
        tasks = (TASKS[name] for name in NAMES)
        return make_course(*tasks, augmentation=nothing, loss_weighting=weighting)

    def train(self, model, drawn, run, weighting="fixed", config=CONFIG) -> pd.DataFrame:
        train_model(model, self.make_course(weighting), *drawn, config, run, quiet=True)
        return pd.read_csv(run / "history.csv")

    @pytest.mark.parametrize("weighting", sorted(set(LOSS_WEIGHTINGS) - {"search"}))
    def test_each_weighting_leaves_its_weights(self, weighting, drawn, tmp_path):
        branch = weighting.startswith("joint_dynamic")  # searches for its start unless it is given
        model = self.build(weighting, dict.fromkeys(NAMES, 1) if branch else None)
        history = self.train(model, drawn, tmp_path, weighting)
        columns = [f"weight_{name}" for name in NAMES]
        assert np.isfinite(history.to_numpy()).all()
        assert (history[columns] > 0).all(axis=None)
        assert not any(name.startswith("val_weight") for name in history)
        steps = pd.read_csv(tmp_path / "weights.csv")
        assert list(steps) == ["epoch", "step", *columns]
        assert steps[["epoch", "step"]].to_numpy().tolist() == [[0, 1], [1, 3], [1, 5], [2, 7]]
        means = history[columns].sum(axis=1)
        if branch:
            assert means.to_numpy() == pytest.approx(1, abs=1e-3)
        elif weighting != "uncertainty":
            assert means.to_numpy() == pytest.approx(2)
        changes = history[columns].diff().abs().max(axis=None)
        assert (changes > 1e-4) == (weighting != "fixed")
        described = json.loads((tmp_path / "config.json").read_text())
        assert described["course"]["loss_weighting"] == weighting
        assert "loss_weights" not in described

    def test_the_validation_loss_keeps_the_start_weights(self, drawn, tmp_path):
        model = self.build("joint_dynamic", {"gender": 1, "ethnicity": 3})
        history = self.train(model, drawn, tmp_path)
        losses = history[["val_gender_loss", "val_ethnicity_loss"]].to_numpy()
        # The metric counts labelled rows, the loss all rows with their weights: of 12, 3 lack one.
        np.testing.assert_allclose(history["val_loss"], losses @ [0.25, 0.75], rtol=1e-5)
        assert abs(history["weight_gender"].iloc[-1] - 0.25) > 0.001

    def test_a_search_comes_first_and_leaves_the_network_as_it_was(self, drawn, tmp_path):
        searched = self.train(self.build("search"), drawn, tmp_path / "a", "search")
        table = pd.read_csv(tmp_path / "a" / "search.csv")
        found = json.loads((tmp_path / "a" / "config.json").read_text())["loss_weights"]
        best = table.loc[table["score"].idxmin()]
        assert len(table) == 2
        assert found == {name: best[f"weight_{name}"] for name in NAMES}
        assert not (tmp_path / "a" / "search").exists()
        fixed = self.train(self.build("fixed", found), drawn, tmp_path / "b")
        pd.testing.assert_frame_equal(searched, fixed, rtol=1e-5)

    def test_the_branch_starts_from_a_search(self, drawn, tmp_path, monkeypatch):
        model = self.build("joint_dynamic")
        relative = iter([{"gender": 0.9, "ethnicity": 0.9}, {"gender": 0.3, "ethnicity": 0.5}])
        monkeypatch.setattr(loop, "_try_weights", lambda *given: next(relative))
        self.train(model, drawn, tmp_path, "joint_dynamic")
        first = pd.read_csv(tmp_path / "weights.csv").iloc[0]
        assert first["weight_gender"] == pytest.approx(0.9, abs=0.02)  # the second of the grid
        described = json.loads((tmp_path / "config.json").read_text())
        assert described["loss_weights"] == {"gender": 0.9, "ethnicity": 0.1}
        assert model.weighting.start == described["loss_weights"]

    def test_the_losses_of_a_search_are_shares_of_that_of_a_guess(self, drawn, tmp_path):
        model, (train, validation) = self.build("search"), drawn
        answers = model.predict(validation.crops / 127.5 - 1, verbose=0)
        # At this rate nothing is learned, so the losses are those of the first network.
        config = replace(CONFIG, learning_rate=0.0)
        weights, course = {"gender": 0.5, "ethnicity": 0.5}, self.make_course("search")
        relative = loop._try_weights(model, course, *drawn, config, True, weights, tmp_path)
        assert len(pd.read_csv(tmp_path / "history.csv")) == 1  # a tenth of the epochs, at least 1
        for name in NAMES:
            known = ~np.isnan(validation.targets[name][:, 0])
            targets, guess = validation.targets[name][known], train.targets[name]
            guess = guess[~np.isnan(guess[:, 0])].mean(axis=0)
            loss, of_guess = (
                -(targets * np.log(probabilities)).sum(axis=1).mean()
                for probabilities in (answers[name][known], guess)
            )
            assert relative[name] == pytest.approx(loss / of_guess, rel=1e-4)

    @pytest.mark.parametrize("weighting", ["search", "gradnorm", "dwa"])
    def test_an_interrupted_run_goes_on_with_its_weights(
        self, weighting, drawn, tmp_path, monkeypatch
    ):
        def get_state(model) -> list[np.ndarray]:
            return [
                np.asarray(variable)
                for variable in model.non_trainable_variables
                if LEARNED_NAME in variable.name
            ]

        class Interrupted(loop.RunFiles):
            def on_epoch_end(self, epoch, logs=None):
                super().on_epoch_end(epoch, logs)
                if epoch == 1:
                    raise KeyboardInterrupt

        begun, states = self.build(weighting), []
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(loop, "RunFiles", Interrupted)
            self.train(begun, drawn, tmp_path, weighting)

        class Watched(loop.WeightFile):
            def on_epoch_begin(self, epoch, logs=None):
                super().on_epoch_begin(epoch, logs)
                states.append((epoch, get_state(self.model)))

        monkeypatch.setattr(loop, "WeightFile", Watched)
        searches = []
        monkeypatch.setattr(loop, "_try_weights", lambda *given: searches.append(given))
        self.train(self.build(weighting), drawn, tmp_path, weighting)
        (epoch, state), before = states[0], get_state(begun)
        assert epoch == 2 and not searches
        for kept, restored in zip(before, state, strict=True):
            np.testing.assert_allclose(kept, restored)
        assert pd.read_csv(tmp_path / "weights.csv")["epoch"].tolist() == [0, 1, 1, 2]

    def test_the_branch_is_not_decayed(self, drawn, tmp_path):
        """Without a loss nothing else moves it."""
        model = self.build("joint_dynamic", {"gender": 1, "ethnicity": 3})
        unweighted = replace(drawn[0], weights=np.zeros(len(drawn[0].crops), np.float32))
        config = replace(CONFIG, weight_decay=0.9, learning_rate=0.1)
        history = self.train(model, (unweighted, drawn[1]), tmp_path, config=config)
        assert history["weight_gender"].to_numpy() == pytest.approx(0.25)

    @pytest.mark.parametrize("weighting", ["joint_dynamic", "gradnorm"])
    def test_mixed_precision(self, weighting, drawn, tmp_path):
        keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
        try:
            model = self.build(weighting, dict.fromkeys(NAMES, 1))
            history = self.train(model, drawn, tmp_path, config=replace(CONFIG, epochs=1))
        finally:
            keras.mixed_precision.set_dtype_policy("float32")
        assert np.isfinite(history.to_numpy()).all()
        learned = [variable for variable in model.variables if LEARNED_NAME in variable.name]
        assert learned and all(variable.dtype == "float32" for variable in learned)


@pytest.mark.parametrize(
    ("start", "message"),
    [
        ({"gender": 1}, r"one weight for each task \(gender, ethnicity\); got gender"),
        ({}, "one weight for each task .*; got none"),
        ({"gender": 1, "ethnicity": 0}, "must hold positive numbers; got 0 for ethnicity"),
        ({"gender": math.inf, "ethnicity": 1}, "must hold positive numbers; got inf for gender"),
    ],
)
def test_wrong_start_weights(start, message):
    with pytest.raises(ValueError, match=message):
        MultiTaskModel(build_network(), "fixed", start)


def test_outputs_without_a_layer_of_their_name():
    inputs = keras.Input((FEATURES,))
    network = keras.Model(inputs, {name: keras.layers.Dense(2)(inputs) for name in NAMES})
    with pytest.raises(ValueError, match="of the same name; got none for ethnicity, gender"):
        MultiTaskModel(network, "joint_dynamic")


def test_an_unknown_weighting():
    with pytest.raises(ValueError, match=r"`weighting` must be one of fixed, .*, dwa; got 'sum'"):
        MultiTaskModel(build_network(), "sum")
