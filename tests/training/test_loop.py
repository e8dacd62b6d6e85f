import csv
import json
from dataclasses import asdict

import keras
import numpy as np
import pytest

from facekit.training import loop
from facekit.training.augmentation import Augmentation
from facekit.training.loop import LabelledCrops, TrainingConfig, make_training_batches, train_model
from facekit.training.tasks import TASKS

CONFIG = TrainingConfig(epochs=2, batch_size=4, learning_rate=0.01, warmup_epochs=1)
SIDE = 8  # the loop takes crops of any size
NOTHING = Augmentation(rotation_degrees=0, shift=0, zoom=0, brightness=0, contrast=0, gamma=0, noise=0, hidden=0)


def make_data(count: int, seed: int = 0) -> LabelledCrops:
    generator = np.random.default_rng(seed)
    crops = generator.uniform(-1, 1, (count, SIDE, SIDE, 1)).astype(np.float32)
    return LabelledCrops(crops, generator.integers(0, 2, count).astype(np.float32))


def build_network() -> keras.Model:
    """One dense layer: what is tried is the loop."""
    keras.utils.set_random_seed(0)
    return keras.Sequential([keras.Input((SIDE, SIDE, 1)), keras.layers.Flatten(), keras.layers.Dense(2, activation="softmax")])


def train(run, config: TrainingConfig = CONFIG) -> keras.Model:
    return train_model(build_network(), TASKS["gender"], make_data(14), make_data(6, seed=1), config, run)


def read_history(run) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def load_best(run) -> list[np.ndarray]:
    network = build_network()
    network.load_weights(run / "best.weights.h5")
    return network.get_weights()


@pytest.fixture
def interrupt(monkeypatch):
    """Stop the next training after its first epoch, as Ctrl+C would."""

    class InterruptedLogger(keras.callbacks.CSVLogger):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            self.csv_file.close()
            raise KeyboardInterrupt

    def run_one_epoch(run):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(keras.callbacks, "CSVLogger", InterruptedLogger)
            train(run)

    return run_one_epoch


class TestBatches:
    def get_batches(self, data: LabelledCrops, seed: int = 0, epochs: int = 1) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        batches = make_training_batches(data, TrainingConfig(seed=seed, batch_size=4), Augmentation())
        return [[(crops.numpy(), labels.numpy()) for crops, labels in batches] for _ in range(epochs)]

    def test_what_does_not_fill_a_batch_waits_for_the_next_epoch(self):
        (batches,) = self.get_batches(make_data(14))
        assert [crops.shape for crops, _ in batches] == [(4, SIDE, SIDE, 1)] * 3
        assert [labels.shape for _, labels in batches] == [(4,)] * 3

    def test_a_seed_repeats_itself(self):
        first, again, other = (self.get_batches(make_data(14), seed, epochs=2) for seed in (1, 1, 2))
        for epoch in range(2):
            for (crops, labels), (crops_again, labels_again) in zip(first[epoch], again[epoch], strict=True):
                np.testing.assert_array_equal(crops, crops_again)
                np.testing.assert_array_equal(labels, labels_again)
        assert np.abs(first[0][0][0] - other[0][0][0]).max() > 0.1

    def test_epochs_and_batches_differ(self):
        crops = np.ones((16, SIDE, SIDE, 1), np.float32) * 0.5
        epochs = self.get_batches(LabelledCrops(crops, np.zeros(16, np.float32)), epochs=2)
        means = [round(float(crop.mean()), 5) for batches in epochs for batch, _ in batches for crop in batch]
        assert len(set(means)) == 32

    def test_labels_stay_with_their_crops(self):
        shades = np.linspace(-1, 1, 16, dtype=np.float32)
        data = LabelledCrops(np.ones((16, SIDE, SIDE, 1), np.float32) * shades[:, None, None, None], shades)
        seen = []
        for crops, labels in make_training_batches(data, TrainingConfig(batch_size=4), NOTHING):
            np.testing.assert_allclose(crops.numpy().mean(axis=(1, 2, 3)), labels.numpy(), atol=1e-4)
            seen += labels.numpy().tolist()
        assert sorted(seen) == shades.tolist()
        assert seen != shades.tolist()  # shuffled

    def test_labels_must_be_as_many_as_crops(self):
        with pytest.raises(ValueError, match=r"`labels` must hold one a crop \(3\); got 2"):
            LabelledCrops(np.zeros((3, SIDE, SIDE, 1)), np.zeros(2))


def test_a_run_leaves_its_history_its_config_and_its_best_weights(tmp_path):
    run = tmp_path / "runs" / "gender"
    network = train(run)
    assert {path.name for path in run.iterdir()} == {"config.json", "history.csv", "best.weights.h5"}
    history = read_history(run)
    assert [row["epoch"] for row in history] == ["0", "1"]
    assert {"accuracy", "loss", "val_accuracy", "val_loss"} <= history[0].keys()
    assert json.loads((run / "config.json").read_text()) == asdict(CONFIG) | {"task": "gender"}
    for kept, left in zip(load_best(run), network.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, left)
    # The weights left are those of the best epoch: they give its loss on the validation split.
    loss = float(network.evaluate(make_data(6, seed=1).crops, make_data(6, seed=1).labels, verbose=0, return_dict=True)["loss"])
    assert loss == pytest.approx(min(float(row["val_loss"]) for row in history), abs=1e-4)
    train(tmp_path / "again")
    assert read_history(tmp_path / "again") == history


def test_a_run_that_was_stopped_goes_on(tmp_path, interrupt):
    interrupt(tmp_path)
    assert (tmp_path / loop.BACKUP).is_dir()
    (first,) = read_history(tmp_path)
    train(tmp_path)
    history = read_history(tmp_path)
    assert history[0] == first
    assert [row["epoch"] for row in history] == ["0", "1"]
    assert not (tmp_path / loop.BACKUP).exists()


def test_going_on_keeps_better_weights(tmp_path, interrupt):
    interrupt(tmp_path)
    history = (tmp_path / "history.csv").read_text().splitlines()
    loss = history[0].split(",").index("val_loss")
    (tmp_path / "history.csv").write_text(
        f"{history[0]}\n{','.join('-1' if i == loss else v for i, v in enumerate(history[1].split(',')))}\n"
    )
    best = load_best(tmp_path)
    network = train(tmp_path)  # its second epoch cannot be better than a loss of -1
    for kept, left, told in zip(best, load_best(tmp_path), network.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, left)
        np.testing.assert_array_equal(kept, told)


def test_too_few_crops_are_an_error(tmp_path):
    with pytest.raises(ValueError, match=r"`train` must fill a batch of 64; got 14 crops\. Make `batch_size` smaller"):
        train(tmp_path, TrainingConfig())
    assert not list(tmp_path.iterdir())
