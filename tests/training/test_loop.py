import csv
import errno
import json
from collections.abc import Sequence
from dataclasses import asdict, replace

import keras
import numpy as np
import pytest

from facekit.images import normalise
from facekit.networks.attributes import add_heads
from facekit.taxonomy import LABELS
from facekit.training import loop
from facekit.training.augmentation import Augmentation
from facekit.training.course import COURSES, make_course
from facekit.training.loop import LabelledCrops, TrainingConfig, make_training_batches, train_model
from facekit.training.loss_weighting import MultiTaskModel
from facekit.training.tasks import TASKS

CONFIG = TrainingConfig(epochs=2, batch_size=4, learning_rate=0.01)
SIDE = 8  # the loop takes crops of any size that augmentation takes
NOTHING = Augmentation(**dict.fromkeys(vars(Augmentation()), 0))


def make_data(count: int, seed: int = 0, names: Sequence[str] = ("gender",)) -> LabelledCrops:
    generator = np.random.default_rng(seed)
    crops = generator.integers(0, 256, (count, SIDE, SIDE, 1), np.uint8)
    targets = {
        name: np.eye(len(LABELS[name]), dtype=np.float32)[
            generator.integers(0, len(LABELS[name]), count)
        ]
        for name in names
    }
    return LabelledCrops(crops, targets, np.ones(count, np.float32))


def build_network(names: Sequence[str] = ("gender",)) -> keras.Model:
    """Build a network of a dense layer per task: the tests are about the loop."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((SIDE, SIDE, 1))
    return keras.Model(inputs, add_heads(keras.layers.Flatten()(inputs), names))


def train(run, config: TrainingConfig = CONFIG, train: LabelledCrops | None = None) -> keras.Model:
    return train_model(
        build_network(),
        [TASKS["gender"]],
        train or make_data(14),
        make_data(6, seed=1),
        config,
        run,
    )


def read_history(run) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def load_best(run) -> list[np.ndarray]:
    network = build_network()
    network.load_weights(run / "best.weights.h5")
    return network.get_weights()


@pytest.fixture
def interrupt(monkeypatch):
    """Stop the next training after its first epoch, as Ctrl+C does."""

    class InterruptedFiles(loop.RunFiles):
        def on_epoch_end(self, epoch, logs=None):
            super().on_epoch_end(epoch, logs)
            raise KeyboardInterrupt

    def run_one_epoch(run):
        with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
            patch.setattr(loop, "RunFiles", InterruptedFiles)
            train(run)

    return run_one_epoch


class TestLabelledCrops:
    @pytest.mark.parametrize(
        ("targets", "weights", "message"),
        [
            (2, 3, r"`gender` must have one row per crop \(3\); got 2\."),
            (3, 4, r"`weights` must have one row per crop \(3\); got 4\."),
            (3, 0, r"`weights` must have one row per crop \(3\); got 0\."),
        ],
    )
    def test_all_arrays_have_one_row_per_crop(self, targets, weights, message):
        with pytest.raises(ValueError, match=message):
            LabelledCrops(
                np.zeros((3, SIDE, SIDE, 1), np.uint8),
                {"gender": np.zeros((targets, 2))},
                np.ones(weights),
            )

    def test_rows_are_selected_together(self):
        data = make_data(6, names=("gender", "ethnicity"))
        mask = np.array([True, False, False, True, True, False])
        chosen = data.select(mask)
        np.testing.assert_array_equal(chosen.crops, data.crops[[0, 3, 4]])
        for name in ("gender", "ethnicity"):
            np.testing.assert_array_equal(chosen.targets[name], data.targets[name][[0, 3, 4]])
        assert chosen.weights.shape == (3,)
        assert len(data.select(np.zeros(6, bool)).crops) == 0

    def test_batches_come_in_order_and_normalised(self):
        data = make_data(7)
        batches = list(data.batch(3))
        assert [len(crops) for crops, _, _ in batches] == [3, 3, 1]
        np.testing.assert_allclose(
            np.concatenate([crops for crops, _, _ in batches]), normalise(data.crops), atol=1e-6
        )
        np.testing.assert_array_equal(
            np.concatenate([targets["gender"] for _, targets, _ in batches]), data.targets["gender"]
        )
        np.testing.assert_array_equal(
            np.concatenate([weights for _, _, weights in batches]), data.weights
        )

    def test_no_crops_no_batches(self):
        assert list(make_data(0).batch(3)) == []


class TestBatches:
    def get_batches(
        self,
        data: LabelledCrops,
        seed: int = 0,
        epochs: int = 1,
        bounds: Augmentation | None = None,
    ) -> list[list[tuple]]:
        """The crops, targets and weights of each batch of each epoch."""
        batches = make_training_batches(
            data, TrainingConfig(seed=seed, batch_size=4), bounds or Augmentation()
        )
        return [
            [
                (crops.numpy(), targets["gender"].numpy(), weights.numpy())
                for crops, targets, weights in batches
            ]
            for _ in range(epochs)
        ]

    def test_what_does_not_fill_a_batch_waits_for_the_next_epoch(self):
        (batches,) = self.get_batches(make_data(14))
        assert [[part.shape for part in batch] for batch in batches] == [
            [(4, SIDE, SIDE, 1), (4, 2), (4,)]
        ] * 3

    def test_a_seed_repeats_itself(self):
        first, again, other = (
            self.get_batches(make_data(14), seed, epochs=2) for seed in (1, 1, 2)
        )
        for epoch in range(2):
            for batch, batch_again in zip(first[epoch], again[epoch], strict=True):
                for part, part_again in zip(batch, batch_again, strict=True):
                    np.testing.assert_array_equal(part, part_again)
        assert np.abs(first[0][0][0] - other[0][0][0]).max() > 0.1

    def test_epochs_and_batches_differ(self):
        data = replace(make_data(16), crops=np.full((16, SIDE, SIDE, 1), 190, np.uint8))
        epochs = self.get_batches(data, epochs=2, bounds=replace(NOTHING, brightness=0.2))
        means = [
            round(float(crop.mean()), 5)
            for batches in epochs
            for crops, _, _ in batches
            for crop in crops
        ]
        assert len(set(means)) == 32

    def test_labels_and_weights_stay_with_their_crops(self):
        shades = np.linspace(0, 255, 16).astype(np.uint8)
        crops = np.ones((16, SIDE, SIDE, 1), np.uint8) * shades[:, None, None, None]
        data = LabelledCrops(
            crops,
            {"gender": np.stack([shades, 255 - shades], axis=1) / 255},
            shades.astype(np.float32),
        )
        seen = []
        for batch, targets, weights in self.get_batches(data, bounds=NOTHING)[0]:
            means = (batch.mean(axis=(1, 2, 3)) + 1) * 127.5
            np.testing.assert_allclose(means, weights, atol=0.5)
            np.testing.assert_allclose(means / 255, targets[:, 0], atol=0.002)
            seen += weights.tolist()
        assert sorted(seen) == shades.tolist()
        assert seen != shades.tolist()  # shuffled


def test_a_run_leaves_its_history_its_config_and_its_best_weights(tmp_path):
    run = tmp_path / "runs" / "gender"
    network = train(run)
    assert {path.name for path in run.iterdir()} == {
        "config.json",
        "history.csv",
        "best.weights.h5",
    }
    history = read_history(run)
    assert [row["epoch"] for row in history] == ["0", "1"]
    assert {"accuracy", "loss", "val_accuracy", "val_loss"} <= history[0].keys()
    assert json.loads((run / "config.json").read_text()) == asdict(CONFIG) | {
        "tasks": ["gender"],
        "course": COURSES["gender"].describe(),
    }
    for kept, left in zip(load_best(run), network.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, left)
    # The weights left are those of the best epoch: they give its loss on the validation split.
    loss = float(
        network.evaluate(make_data(6, seed=1).batch(6), verbose=0, return_dict=True)["loss"]
    )
    assert loss == pytest.approx(min(float(row["val_loss"]) for row in history), abs=1e-4)
    train(tmp_path / "again")
    assert read_history(tmp_path / "again") == history


def test_several_tasks_are_learned_at_once(tmp_path):
    names = ("gender", "ethnicity")
    network = build_network(names)
    model = MultiTaskModel(network)
    course = make_course(*(TASKS[name] for name in names), augmentation=NOTHING)
    learned, validation = (make_data(12, seed, names) for seed in (0, 1))
    assert train_model(model, course, learned, validation, CONFIG, tmp_path) is model
    history = read_history(tmp_path)
    assert {
        "gender_accuracy",
        "ethnicity_accuracy",
        "val_gender_accuracy",
        "val_ethnicity_accuracy",
        "val_loss",
    } <= history[0].keys()
    assert json.loads((tmp_path / "config.json").read_text())["tasks"] == list(names)
    loss = float(model.evaluate(validation.batch(12), verbose=0, return_dict=True)["loss"])
    assert loss == pytest.approx(min(float(row["val_loss"]) for row in history), abs=1e-4)


def test_images_without_weight_are_not_learned_from(tmp_path):
    data = make_data(8)
    ignored = replace(data, weights=np.zeros(8, np.float32))
    before = build_network().get_weights()
    network = train(tmp_path, replace(CONFIG, weight_decay=0.0), ignored)
    for old, new in zip(before, network.get_weights(), strict=True):
        np.testing.assert_allclose(old, new, atol=1e-6)


def test_training_stops_when_it_no_longer_helps(tmp_path):
    # Nothing is learned at this rate, so that every epoch is as good as the first.
    network = train(tmp_path, replace(CONFIG, epochs=9, learning_rate=0.0, patience=2))
    assert [row["epoch"] for row in read_history(tmp_path)] == ["0", "1", "2"]
    for first, left in zip(build_network().get_weights(), network.get_weights(), strict=True):
        np.testing.assert_allclose(first, left, atol=1e-6)
    assert not (tmp_path / loop.BACKUP).exists()


def test_an_interrupted_run_is_resumed(tmp_path, interrupt):
    interrupt(tmp_path)
    assert (tmp_path / loop.BACKUP).is_dir()
    (first,) = read_history(tmp_path)
    train(tmp_path)
    history = read_history(tmp_path)
    assert history[0] == first
    assert [row["epoch"] for row in history] == ["0", "1"]
    assert not (tmp_path / loop.BACKUP).exists()


def test_resuming_keeps_better_weights(tmp_path, interrupt):
    interrupt(tmp_path)
    header, values = (
        line.split(",") for line in (tmp_path / "history.csv").read_text().splitlines()
    )
    values[header.index("val_loss")] = "-1"
    (tmp_path / "history.csv").write_text(f"{','.join(header)}\n{','.join(values)}\n")
    best = load_best(tmp_path)
    network = train(tmp_path)  # its second epoch cannot be better than a loss of -1
    for kept, left, used in zip(best, load_best(tmp_path), network.get_weights(), strict=True):
        np.testing.assert_array_equal(kept, left)
        np.testing.assert_array_equal(kept, used)


def test_few_crops_are_one_batch(tmp_path):
    train(tmp_path, TrainingConfig(epochs=1))  # 14 crops, of a batch of 64
    assert len(read_history(tmp_path)) == 1


@pytest.mark.parametrize(
    ("counts", "message"),
    [
        ((0, 6), r"`train` must hold faces to learn from; got none\. Add images"),
        ((14, 0), r"`validation` must hold faces to choose the epoch by; got none\. Add images"),
    ],
)
def test_no_crops_are_an_error(counts, message, tmp_path):
    data = [make_data(14).select(np.arange(14) < count) for count in counts]
    with pytest.raises(ValueError, match=message):
        train_model(build_network(), COURSES["gender"], *data, CONFIG, tmp_path)
    assert not list(tmp_path.iterdir())


def test_tasks_that_differ_need_a_course(tmp_path):
    names = ("gender", "ethnicity")
    data, tasks = make_data(4, names=names), [TASKS[name] for name in names]
    with pytest.raises(ValueError, match="`augmentation` must be given, because it differs"):
        train_model(MultiTaskModel(build_network(names)), tasks, data, data, CONFIG, tmp_path)


def test_other_settings_do_not_resume_a_run(tmp_path, interrupt):
    interrupt(tmp_path)
    with pytest.raises(
        ValueError, match=r"an interrupted run with other settings \(epochs, seed\)"
    ):
        train(tmp_path, replace(CONFIG, epochs=3, seed=1))
    assert len(read_history(tmp_path)) == 1


@pytest.mark.parametrize("file", ["history.csv", "best.weights.h5"])
def test_a_file_that_cannot_be_written_leaves_the_old_one(file, tmp_path, monkeypatch):
    (tmp_path / "history.csv").write_text("the old one")

    save_weights = keras.Model.save_weights

    def fill_disk(*given, filepath=None, **_):
        if filepath is None:  # not the backup, which Keras writes by itself
            raise OSError(errno.ENOSPC, "No space left on device")
        save_weights(*given, filepath)

    if file == "history.csv":
        monkeypatch.setattr(csv.DictWriter, "writeheader", fill_disk)
    else:
        monkeypatch.setattr(keras.Model, "save_weights", fill_disk)
    with pytest.raises(OSError, match=file) as caught:
        train(tmp_path)
    assert caught.value.errno == errno.ENOSPC
    assert {path.name for path in tmp_path.iterdir() if path.is_file()} == {
        "config.json",
        "history.csv",
    }
    assert ((tmp_path / "history.csv").read_text() == "the old one") == (file == "history.csv")


def test_rows_that_lack_a_label_teach_the_other_task(tmp_path):
    """Half of the rows label the gender only, the others the ethnicity only; both are learned."""
    names, count = ("gender", "ethnicity"), 64
    shades = np.arange(count) % 2
    crops = (np.ones((count, SIDE, SIDE, 1)) * shades[:, None, None, None] * 255).astype(np.uint8)
    targets = {name: np.eye(len(LABELS[name]), dtype=np.float32)[shades] for name in names}
    halves = {"gender": np.arange(count) < count // 2, "ethnicity": np.arange(count) >= count // 2}
    weights = {}
    for name, labelled in halves.items():
        targets[name][~labelled] = np.nan
        weights[name] = TASKS[name].weigh(targets[name], 0)
    data = LabelledCrops(crops, targets, weights)
    course = make_course(*(TASKS[name] for name in names), augmentation=NOTHING)
    config = replace(CONFIG, epochs=8, batch_size=8, learning_rate=0.05)
    network = build_network(names)
    train_model(MultiTaskModel(network), course, data, data, config, tmp_path, quiet=True)
    answers = network.predict(normalise(crops), verbose=0)
    for name in names:
        assert (answers[name].argmax(axis=1) == shades).all()
    history = read_history(tmp_path)
    assert all(np.isfinite(float(value)) for row in history for value in row.values())
    assert float(history[-1]["val_gender_accuracy"]) == 1
    assert float(history[-1]["val_ethnicity_accuracy"]) == 1


@pytest.mark.parametrize("quiet", [True, False])
def test_a_quiet_run_prints_nothing(quiet, tmp_path, capsys):
    train_model(
        build_network(),
        [TASKS["gender"]],
        make_data(14),
        make_data(6, seed=1),
        CONFIG,
        tmp_path,
        quiet,
    )
    printed = capsys.readouterr()
    assert (not printed.out and not printed.err) if quiet else "Epoch 1/2" in printed.out
    assert len(read_history(tmp_path)) == 2
