import csv
import functools
import json
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.fusion import load_constants
from facekit.networks.attributes import add_mirror, build_attribute_cnn
from facekit.registry import find_model
from facekit.taxonomy import ATTRIBUTES
from facekit.training import command, export
from facekit.training.command import load_data, run_fusion_fit, run_training, take_over_layers

SMALL = (4, 4, 6, 8)


def save_noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(path)


def save_utkface(data_dir: Path, count: int) -> None:
    for index in range(count):
        save_noise(data_dir / "UTKFace" / f"{index + 1}_{index % 2}_{index % 5}_2017{index}.jpg.chip.jpg", index)


class TestTakeOver:
    @pytest.fixture
    def trained(self, tmp_path) -> tuple[keras.Model, Path]:
        network = build_attribute_cnn("gender", SMALL)
        generator = np.random.default_rng(0)
        network.set_weights([generator.uniform(0.1, 1, weights.shape) for weights in network.get_weights()])
        path = tmp_path / "gender.keras"
        add_mirror(network).save(path)
        return network, path

    def find_taken(self, network: keras.Model, source: keras.Model) -> dict[str, bool]:
        """Say for each layer with weights whether it has those of the layer of its name."""
        theirs = {layer.name: layer.get_weights() for layer in source.layers}
        return {
            layer.name: len(theirs.get(layer.name, [])) == len(layer.weights)
            and all(np.array_equal(*pair) for pair in zip(theirs[layer.name], layer.get_weights(), strict=True))
            for layer in network.layers
            if layer.weights
        }

    def test_another_task_takes_the_trunk_but_not_the_head(self, trained):
        source, path = trained
        network = build_attribute_cnn("ethnicity", SMALL)
        head = network.get_layer("ethnicity").get_weights()
        take_over_layers(network, path)
        taken = self.find_taken(network, source)
        assert not taken.pop("ethnicity")
        assert all(taken.values())
        assert len(taken) > 20
        for before, after in zip(head, network.get_layer("ethnicity").get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)

    def test_the_same_task_takes_everything(self, trained):
        source, path = trained
        network = build_attribute_cnn("gender", SMALL)
        take_over_layers(network, path)
        assert all(self.find_taken(network, source).values())

    def test_layers_of_other_shapes_stay(self, trained):
        source, path = trained
        network = build_attribute_cnn("gender", (4, 4, 6, 10))
        take_over_layers(network, path)
        taken = self.find_taken(network, source)
        assert taken["stem_conv"]
        assert taken["stage2b_second_norm"]
        assert not taken["stage3a_first_conv"]
        assert not taken["gender"]

    def test_a_missing_model_says_how_to_train_it(self, tmp_path):
        with pytest.raises(FileNotFoundError, match=r"gender\.keras: no such model; train it first with `facekit train gender`"):
            take_over_layers(build_attribute_cnn("age", SMALL), tmp_path / "gender.keras")


def test_datasets_lie_one_below_the_other(tmp_path):
    for index, label in enumerate(("happy", "sad", "fear")):
        save_noise(tmp_path / "fer2013" / "train" / label / f"Training_{index}.jpg", index)
        save_noise(tmp_path / "fer2013" / "validation" / label / f"PublicTest_{index}.jpg", 10 + index)
        save_noise(tmp_path / "CK+48" / label.replace("sad", "sadness") / f"S00{index}_001_00000001.png", 20 + index)
    manifest, crops, scores = load_data(("fer2013", "ck_plus"), tmp_path, seed=0)
    assert manifest["source"].tolist() == ["fer2013"] * 6 + ["ck_plus"] * 3
    assert manifest.index.tolist() == list(range(9))
    assert crops.shape == (9, 64, 64)
    assert scores.shape == (9,)
    assert {path.name for path in (tmp_path / "prepared").iterdir()} == {"fer2013.npz", "ck_plus.npz"}


@pytest.fixture
def shallow_networks(monkeypatch):
    """One stage in place of three: most of the time goes into compiling the layers."""
    build = functools.partial(build_attribute_cnn, widths=(8, 8))
    for module in (command, export):
        monkeypatch.setattr(module, "build_attribute_cnn", build)


@pytest.mark.usefixtures("shallow_networks")
def test_training_ships_a_model(tmp_path, capsys):
    data_dir, models_dir, run = tmp_path / "data", tmp_path / "models", tmp_path / "run"
    save_utkface(data_dir, 60)
    run.mkdir()
    (run / "notes.txt").write_text("the user's own")
    (run / "backup").mkdir()  # of an earlier run, which is not gone on from
    run_training("gender", data_dir, models_dir, run, start_from=None, resume=False, epochs=1, batch_size=16)
    entry, path = find_model("gender", models_dir)
    assert path == models_dir / "gender" / "gender.onnx"
    assert entry.input["size"] == 64
    (figure,) = entry.metrics["figures"]
    assert (figure["source"], figure["count"], figure["figure"]) == ("utkface", 6, "accuracy")
    assert f"utkface test, 6 images: accuracy {figure['value']}" in capsys.readouterr().out
    assert "`facekit train gender --data data/raw --epochs 1 --batch-size 16`" in (models_dir / "gender" / "README.md").read_text()
    with (models_dir / "gender" / "history.csv").open(newline="") as file:
        assert [row["epoch"] for row in csv.DictReader(file)] == ["0"]
    assert json.loads((run / "config.json").read_text())["batch_size"] == 16
    assert (run / "notes.txt").exists()
    assert not (run / "backup").exists()


def test_missing_data_says_where_to_get_it(tmp_path):
    with pytest.raises(FileNotFoundError, match=r"UTKFace: no files like \*\.jpg; data/README\.md says"):
        run_training("gender", tmp_path, tmp_path, tmp_path / "run", start_from=None, resume=False)


def test_fusion_is_fitted_and_measured(tmp_path, make_tables, capsys):
    data_dir, models_dir = tmp_path / "data", tmp_path / "models"
    save_utkface(data_dir, 40)
    save_noise(data_dir / "fer2013" / "train" / "happy" / "Training_1.jpg", 100)
    save_noise(data_dir / "CK+48" / "anger" / "S001_001_00000001.png", 101)
    tables = [make_tables(100, seed, split) for seed, split in enumerate(("validation", "test"))]
    for name in ATTRIBUTES:
        (models_dir / name).mkdir(parents=True)
        pd.concat([each[name] for each in tables]).to_parquet(models_dir / name / "predictions.parquet")
    run_fusion_fit(data_dir, models_dir, seed=3)
    constants = load_constants(models_dir)
    assert constants.temperatures.keys() == set(ATTRIBUTES)
    assert constants.lifts.keys() == {("age", "gender"), ("age", "ethnicity"), ("gender", "ethnicity")}
    card = (models_dir / "fusion.md").read_text()
    assert card in capsys.readouterr().out
    for part in (
        "100 UTKFace test faces",
        "seed 3",
        "| age mean absolute error |",
        "| gender right |",
        f"labels that meet, {constants.strength}",
    ):
        assert part in card
