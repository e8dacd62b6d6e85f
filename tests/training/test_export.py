import csv

import keras
import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import make_manifest
from facekit.inference import load_session, run_session
from facekit.networks.attributes import build_attribute_cnn
from facekit.registry import find_model, hash_file, load_index
from facekit.taxonomy import GENDERS
from facekit.training.export import predict_splits, ship
from facekit.training.tasks import TASKS

SPLITS = ["train"] * 6 + ["validation"] * 2 + ["test"] * 3 + ["excluded"]


def make_people() -> pd.DataFrame:
    rows = [
        {"path": f"/data/{index:02d}.jpg", "gender": GENDERS[index % 2], "group": index, "split": split}
        for index, split in enumerate(SPLITS)
    ]
    return make_manifest(rows, "utkface")


def make_inputs(count: int) -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (count, 64, 64, 1)).astype(np.float32)


@pytest.fixture(scope="module")
def models_dir(tmp_path_factory):
    """A registry with a gender network that was shipped without training."""
    keras.utils.set_random_seed(0)
    network = build_attribute_cnn("gender")
    generator = np.random.default_rng(0)
    network.set_weights([weights + 0.1 * generator.normal(size=weights.shape) for weights in network.get_weights()])  # opinions
    run, models_dir = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("models")
    (run / "history.csv").write_text("epoch,loss\n0,0.7\n")
    (run / "config.json").write_text("{}\n")
    scores = np.where(np.arange(12) < 3, 0, 0.9)
    ship(network, TASKS["gender"], make_people(), make_inputs(12), scores, run, models_dir, "facekit train gender --data mine", seed=7)
    return models_dir


class TestShip:
    def test_onnx_answers_as_keras_does(self, models_dir):
        served = keras.saving.load_model(models_dir / "gender" / "gender.keras", compile=False)
        inputs = make_inputs(5)
        (answers,) = run_session(load_session(models_dir / "gender" / "gender.onnx"), inputs)
        assert answers.std(axis=0).max() > 0.01  # the network tells the crops apart
        np.testing.assert_allclose(answers, np.asarray(served(inputs)), atol=1e-4)
        (mirrored,) = run_session(load_session(models_dir / "gender" / "gender.onnx"), inputs[:, :, ::-1])
        np.testing.assert_allclose(answers, mirrored, atol=1e-5)

    def test_the_exported_network_takes_any_number_of_faces(self, models_dir):
        session = load_session(models_dir / "gender" / "gender.onnx")
        for count in (0, 1, 70):
            assert run_session(session, make_inputs(count))[0].shape == (count, 2)

    def test_the_index_lists_the_file(self, models_dir):
        entry = load_index(models_dir)["gender"]
        assert entry.task == "gender"
        assert entry.file == "gender/gender.onnx"
        assert entry.sha256 == hash_file(models_dir / entry.file)
        assert entry.input == {"size": 64, "channels": 1, "equalise": False}
        assert entry.labels == list(GENDERS)
        assert "UTKFace" in entry.training_data
        assert entry.metrics["seed"] == 7
        assert [figure["figure"] for figure in entry.metrics["figures"]] == ["accuracy"]
        assert find_model("gender", models_dir) == (entry, models_dir / entry.file)

    def test_history_and_predictions_lie_beside_it(self, models_dir):
        folder = models_dir / "gender"
        assert {path.name for path in folder.iterdir()} == {
            "gender.keras", "gender.onnx", "history.csv", "config.json", "predictions.parquet", "README.md",
        }  # fmt: skip
        with (folder / "history.csv").open(newline="") as file:
            assert list(csv.DictReader(file)) == [{"epoch": "0", "loss": "0.7"}]
        predictions = pd.read_parquet(folder / "predictions.parquet")
        assert predictions["split"].value_counts().to_dict() == {"validation": 2, "test": 3}
        (figure,) = load_index(models_dir)["gender"].metrics["figures"]
        told = np.array(GENDERS)[predictions.filter(like="p_").to_numpy().argmax(axis=1)]
        test = predictions["split"] == "test"
        assert figure["value"] == pytest.approx(np.mean((told == predictions["label"])[test]), abs=1e-4)
        assert figure["count"] == 3

    def test_the_card_says_where_it_comes_from(self, models_dir):
        card = (models_dir / "gender" / "README.md").read_text()
        for part in (
            "# gender", "0.8", "64x64", "probabilities of female, male", "UTKFace", "`facekit train gender --data mine`", "seed 7",
            "| utkface test | 3 | accuracy |", "25.0% of the images had no face", "## Limits",
        ):  # fmt: skip
            assert part in card

    def test_shipping_again_leaves_other_entries_alone(self, models_dir):
        assert set(load_index(models_dir)) == {"gender"}


class TestPredict:
    def test_held_out_rows_in_their_order(self, models_dir):
        onnx_file, people, inputs = models_dir / "gender" / "gender.onnx", make_people(), make_inputs(12)
        table = predict_splits(onnx_file, TASKS["gender"], people, inputs)
        assert table.columns.tolist() == ["image", "source", "group", "split", "label", "p_female", "p_male"]
        assert table.index.tolist() == [0, 1, 2, 3, 4]
        assert table["image"].tolist() == ["06.jpg", "07.jpg", "08.jpg", "09.jpg", "10.jpg"]
        assert table["label"].tolist() == ["female", "male", "female", "male", "female"]
        assert table["group"].tolist() == [6, 7, 8, 9, 10]
        assert table["split"].tolist() == SPLITS[6:11]
        assert set(table["source"]) == {"utkface"}
        probabilities = table[["p_female", "p_male"]].to_numpy()
        assert probabilities.dtype == np.float32
        np.testing.assert_allclose(probabilities, run_session(load_session(onnx_file), inputs[6:11])[0], atol=6e-6)
        np.testing.assert_allclose(probabilities * 1e5, np.round(probabilities * 1e5), atol=0.02)  # five digits

    def test_nothing_held_out(self, models_dir):
        people = make_people().assign(split="train")
        table = predict_splits(models_dir / "gender" / "gender.onnx", TASKS["gender"], people, make_inputs(12))
        assert table.shape == (0, 7)
