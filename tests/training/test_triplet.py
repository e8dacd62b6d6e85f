import json

import keras
import numpy as np
import pandas as pd
import pytest
import tensorflow as tf
from keras import layers

from facekit.training.augmentation import Augmentation
from facekit.training.triplet import (
    TripletConfig,
    TripletLoss,
    active_share,
    make_person_batches,
    measure_triplets,
    scale_embeddings,
    train_triplets,
)


def list_losses(people, embeddings, margin=0.2):
    """Each triplet's loss by three loops: the semi-hard negative, or the farthest of the nearer."""
    losses = []
    for anchor in range(len(people)):
        for positive in range(len(people)):
            if anchor == positive or people[anchor] != people[positive]:
                continue
            near = float(((embeddings[anchor] - embeddings[positive]) ** 2).sum())
            farther, nearer = [], []
            for negative in range(len(people)):
                if people[negative] != people[anchor]:
                    far = float(((embeddings[anchor] - embeddings[negative]) ** 2).sum())
                    (farther if far > near else nearer).append(far)
            if farther or nearer:
                chosen = min(farther) if farther else max(nearer)
                losses.append(max(near - chosen + margin, 0.0))
    return losses


def make_embeddings(count, seed=0):
    values = np.random.default_rng(seed).normal(size=(count, 5)).astype(np.float32)
    return values / np.linalg.norm(values, axis=1, keepdims=True)


class TestTripletLoss:
    @pytest.mark.parametrize("seed", range(5))
    @pytest.mark.parametrize("margin", [0.2, 1.0])
    def test_it_is_the_mean_of_three_loops(self, seed, margin):
        people = np.random.default_rng(seed).integers(0, 4, 12)
        embeddings = make_embeddings(12, seed)
        expected = list_losses(people, embeddings, margin)
        assert float(TripletLoss(margin)(people, embeddings)) == pytest.approx(
            np.mean(expected), rel=1e-5
        )
        assert float(active_share(people, embeddings, margin)) == pytest.approx(
            np.mean(np.array(expected) > 0)
        )

    def test_the_nearest_of_the_farther_is_taken_whatever_is_nearer(self):
        # From 0: the positive at 0.5 (0.25), negatives at 0.1 (0.01), 0.6 (0.36) and 0.7 (0.49).
        embeddings = np.array([[0.0], [0.5], [0.1], [0.6], [0.7]], np.float32)
        losses, pairs = measure_triplets(np.array([0, 0, 1, 2, 3]), embeddings)
        assert float(losses[0, 1]) == pytest.approx(0.25 - 0.36 + 0.2)
        assert np.asarray(pairs).nonzero()[0].tolist() == [0, 1]

    def test_without_a_farther_one_the_farthest_is_taken(self):
        embeddings = np.array([[0.0], [1.0], [0.1], [0.3]], np.float32)
        losses, _ = measure_triplets(np.array([0, 0, 1, 2]), embeddings)
        assert float(losses[0, 1]) == pytest.approx(1.0 - 0.09 + 0.2)

    @pytest.mark.parametrize("people", [[0, 1, 2], [0, 0, 0], [0], []])
    def test_a_batch_without_a_triplet_is_0(self, people):
        embeddings = tf.Variable(make_embeddings(len(people)))
        with tf.GradientTape() as tape:
            loss = TripletLoss()(np.array(people, np.int64), embeddings)
        assert float(loss) == 0
        assert float(active_share(np.array(people), embeddings)) == 0
        assert not np.any(tape.gradient(loss, embeddings))

    def test_a_column_of_people_is_the_same(self):
        people, embeddings = np.array([0, 0, 1, 1, 2]), make_embeddings(5)
        assert float(TripletLoss()(people[:, None], embeddings)) == float(
            TripletLoss()(people, embeddings)
        )

    def test_the_gradient_is_finite_at_equal_embeddings(self):
        embeddings = tf.Variable(np.tile(make_embeddings(1), (4, 1)))
        with tf.GradientTape() as tape:
            loss = TripletLoss()(np.array([0, 0, 1, 1]), embeddings)
        assert float(loss) == pytest.approx(0.2)
        assert np.isfinite(tape.gradient(loss, embeddings)).all()

    def test_the_gradient_is_that_of_small_steps(self):
        people, start = np.array([0, 0, 1, 1, 2, 2]), make_embeddings(6).astype(np.float64)
        embeddings = tf.Variable(start.astype(np.float32))
        with tf.GradientTape() as tape:
            loss = TripletLoss(1.0)(people, embeddings)
        slopes = np.zeros_like(start)
        for place in np.ndindex(start.shape):
            step = np.zeros_like(start)
            step[place] = 1e-5
            ahead, behind = (list_losses(people, start + way * step, 1.0) for way in (1, -1))
            slopes[place] = (np.mean(ahead) - np.mean(behind)) / 2e-5
        assert np.abs(slopes).max() > 0.1
        np.testing.assert_allclose(tape.gradient(loss, embeddings), slopes, atol=1e-4)

    def test_it_is_saved_with_its_margin(self):
        kept = keras.saving.deserialize_keras_object(
            keras.saving.serialize_keras_object(TripletLoss(0.3))
        )
        assert isinstance(kept, TripletLoss)
        assert kept.margin == 0.3

    def test_no_margin(self):
        with pytest.raises(ValueError, match=r"`margin` must be more than 0; got 0\."):
            TripletLoss(0)


class TestBatches:
    def test_each_person_once_in_a_pass_with_several_photos(self):
        people = np.array([0, 1, 2, 3, 4, 0, 1, 2, 3, 0, 1, 2, 3])  # 4 has one photo
        batches = make_person_batches(people, per_person=3, persons=2, seed=1)
        for _ in range(3):
            first, second = next(batches).reshape(2, 3), next(batches).reshape(2, 3)
            photos = np.concatenate([first, second])
            assert (people[photos] == people[photos[:, :1]]).all()
            assert sorted(people[photos[:, 0]]) == [0, 1, 2, 3]
            assert all(len(set(own)) == 3 for own in photos.tolist())

    def test_few_photos_are_repeated(self):
        batch = next(make_person_batches(["a", "b", "a", "b"], per_person=4, persons=2))
        assert np.bincount(batch).tolist() == [2, 2, 2, 2]

    def test_the_seed_says_all(self):
        people = np.repeat(np.arange(9), 3)
        first, same, other = (make_person_batches(people, 2, 3, seed) for seed in (0, 0, 1))
        drawn = [np.stack([next(each) for _ in range(4)]) for each in (first, same, other)]
        assert (drawn[0] == drawn[1]).all()
        assert (drawn[0] != drawn[2]).any()

    @pytest.mark.parametrize(
        ("people", "sizes", "message"),
        [
            ([], (2, 2), "`people` must have 2 people with two photos or more, for one batch; got"),
            (["a", "a", "b"], (2, 2), r"got 1\. Give more people"),
            (["a", "a"], (1, 2), "`per_person` must be 2 or more; got 1"),
            (["a", "a"], (2, 1), "`persons` must be 2 or more; got 1"),
        ],
    )
    def test_errors(self, people, sizes, message):
        with pytest.raises(ValueError, match=message):
            make_person_batches(people, *sizes)


def build_tiny():
    inputs = keras.Input((8, 8, 3))
    x = layers.Dense(6)(layers.Flatten()(inputs))
    return keras.Model(inputs, {"embedding": x})


def draw_people(people, photos, seed):
    """Noise around a pattern of each person's own, hidden by light that changes much more."""
    random = np.random.default_rng(seed)
    patterns = random.normal(0, 12, (people, 1, 8, 8, 3))
    light = random.normal(0, 30, (people, photos, 1, 1, 3))
    crops = 128 + patterns + light + random.normal(0, 3, (people, photos, 8, 8, 3))
    names = np.repeat([f"{seed}-{person}" for person in range(people)], photos)
    return crops.clip(0, 255).astype(np.uint8).reshape(-1, 8, 8, 3), names


STILL = Augmentation(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0)


class TestTraining:
    def test_it_learns_and_writes_as_it_goes(self, tmp_path):
        keras.utils.set_random_seed(0)
        config = TripletConfig(steps=60, every=20, persons=8, per_person=3, learning_rate=0.01)
        network = build_tiny()
        model = train_triplets(
            network, *draw_people(30, 4, 0), *draw_people(40, 3, 1), tmp_path, config, STILL, True
        )
        table = pd.read_csv(tmp_path / "verification.csv")
        assert list(table) == ["step", "loss", "accuracy", "low", "high", "active"]
        assert table["step"].tolist() == [0, 20, 40, 60]
        assert table["loss"].isna().tolist() == [True, False, False, False]
        assert table["accuracy"].iloc[-1] > table["accuracy"].iloc[0] + 0.05
        assert table["loss"].iloc[-1] < table["loss"].iloc[1]
        assert (table["low"] <= table["accuracy"]).all()
        assert table["active"].dropna().between(0, 1).all()
        assert json.loads((tmp_path / "config.json").read_text())["persons"] == 8
        crops = draw_people(2, 2, 5)[0].astype(np.float32)
        kept = keras.models.load_model(tmp_path / "network.keras")
        np.testing.assert_allclose(kept(crops), model(crops), atol=1e-6)
        np.testing.assert_allclose(np.linalg.norm(model(crops), axis=1), 1, atol=1e-5)

    def test_a_person_in_both_parts(self, tmp_path):
        crops, people = draw_people(3, 2, 0)
        with pytest.raises(ValueError, match=r"`held_people` must not be in `people`; 3 are"):
            train_triplets(build_tiny(), crops, people, crops, people, tmp_path)

    def test_steps_that_do_not_end_with_a_measurement(self):
        with pytest.raises(ValueError, match="`steps` must be a multiple of `every`; got 5 and 2"):
            TripletConfig(steps=5, every=2)

    def test_embeddings_of_length_1_stay(self):
        inputs = keras.Input((3,))
        network = keras.Model(inputs, layers.UnitNormalization()(inputs))
        values = make_embeddings(4)[:, :3]
        np.testing.assert_allclose(scale_embeddings(network)(values), network(values), atol=1e-6)
