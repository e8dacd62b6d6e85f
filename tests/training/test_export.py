import csv
import functools
from pathlib import Path

import keras
import numpy as np
import onnx
import pandas as pd
import pytest

from facekit.datasets.manifest import make_manifest
from facekit.images import normalise
from facekit.inference import load_session, run_session
from facekit.networks.attributes import build_attribute_cnn
from facekit.networks.embedding import build_pretrained_network
from facekit.registry import find_model, hash_file, load_index
from facekit.taxonomy import EMOTIONS, GENDERS
from facekit.training.export import export_network, ship
from facekit.training.tasks import TASKS

SPLITS = ["train"] * 6 + ["validation"] * 2 + ["test"] * 3 + ["excluded"]
SMALL = (4, 4, 6, 8)
BATCH = 32  # crops that tell the statistics of normalisations
MANY = 100  # numbers from which halving an array is worth its while


def make_people() -> pd.DataFrame:
    rows = [
        {
            "path": f"/data/{index:02d}.jpg",
            "gender": GENDERS[index % 2],
            "group": index,
            "split": split,
        }
        for index, split in enumerate(SPLITS)
    ]
    return make_manifest(rows, "utkface")


def make_crops(count: int) -> np.ndarray:
    """Patchwork: of mere noise all crops look alike to a network."""
    patches = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), np.uint8)
    return patches.repeat(16, axis=1).repeat(16, axis=2)


def make_inputs(count: int) -> np.ndarray:
    return normalise(make_crops(count))


def shake(network: keras.Model) -> keras.Model:
    """Give every normalisation a scale, a shift, and the statistics of some crops, as training does."""
    generator = np.random.default_rng(0)
    normalisations = [
        layer for layer in network.layers if isinstance(layer, keras.layers.BatchNormalization)
    ]
    for layer in normalisations:
        count = layer.gamma.shape[0]
        layer.gamma.assign(
            generator.uniform(0.5, 1.5, count) * generator.choice([-1, 1], count, p=[0.1, 0.9])
        )
        layer.beta.assign(generator.normal(0, 0.3, count))
        layer.momentum = 0
    network(make_inputs(BATCH)[..., : network.input_shape[3]], training=True)
    return network


def build() -> keras.Model:
    return build_attribute_cnn(("gender",), 1)


@pytest.fixture(scope="module")
def network() -> keras.Model:
    """A gender network of the size that is served."""
    keras.utils.set_random_seed(0)
    return shake(build())


@pytest.fixture(scope="module")
def models_dir(network, tmp_path_factory) -> Path:
    """A registry in which it was shipped without training."""
    run, models_dir = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("models")
    (run / "history.csv").write_text("epoch,loss\n0,0.7\n")
    (run / "config.json").write_text("{}\n")
    scores = np.where(np.arange(12) < 3, 0, 0.9)
    command = "facekit train gender --data mine"
    ship(
        network,
        build,
        [TASKS["gender"]],
        make_people(),
        make_crops(12),
        scores,
        run,
        models_dir / "gender",
        command,
        seed=7,
    )
    return models_dir


@pytest.fixture(scope="module")
def served(models_dir) -> keras.Model:
    return keras.saving.load_model(models_dir / "gender" / "gender.keras", compile=False)


class TestExport:
    def test_onnx_answers_as_keras_does(self, models_dir, served):
        inputs = make_inputs(5)
        (answers,) = run_session(load_session(models_dir / "gender" / "gender.onnx"), inputs)
        assert answers.std(axis=0).max() > 0.01  # the network tells the crops apart
        np.testing.assert_allclose(answers, np.asarray(served(inputs)["gender"]), atol=1e-4)

    def test_rounding_changes_little(self, network, served):
        inputs = make_inputs(5)
        np.testing.assert_allclose(
            np.asarray(served(inputs)["gender"]), np.asarray(network(inputs)["gender"]), atol=6e-2
        )

    def test_statistics_follow_so_that_training_can_go_on(self, network, served):
        """With the statistics of a batch in place of their own, as in training, both still see the same."""
        seen = []
        for each in (network, served):
            copy = build()  # calling it so moves its statistics
            copy.set_weights(each.get_weights())
            seen.append(
                np.asarray(
                    keras.Model(copy.input, copy.get_layer("features").output)(
                        make_inputs(BATCH), training=True
                    )
                )
            )
        assert np.abs(seen[0] - seen[1]).mean() < 0.1 * seen[0].std()

    def test_convolutions_are_held_in_8_bits_and_the_rest_in_half_precision(
        self, network, models_dir
    ):
        path = models_dir / "gender" / "gender.onnx"
        weights = onnx.load(path).graph.initializer
        sizes = {
            kind: [int(np.prod(each.dims)) for each in weights if each.data_type == kind]
            for kind in {w.data_type for w in weights}
        }
        kernels = [
            layer
            for layer in network.layers
            if isinstance(layer, keras.layers.Conv2D | keras.layers.DepthwiseConv2D)
        ]
        assert sum(sizes[onnx.TensorProto.INT8]) >= sum(
            layer.get_weights()[0].size for layer in kernels
        )
        assert sum(sizes[onnx.TensorProto.FLOAT16]) > MANY
        assert max(sizes[onnx.TensorProto.FLOAT]) <= 128  # a step for each filter
        assert path.stat().st_size < 0.35 * 4 * network.count_params()

    def test_the_keras_file_is_compressed(self, network, models_dir):
        assert (
            models_dir / "gender" / "gender.keras"
        ).stat().st_size < 0.5 * 4 * network.count_params()

    def test_it_takes_any_number_of_faces(self, models_dir):
        session = load_session(models_dir / "gender" / "gender.onnx")
        for count in (0, 1, 70):
            assert run_session(session, make_inputs(count))[0].shape == (count, 2)

    def test_a_network_trained_in_low_precision_is_served_in_full(self, tmp_path):
        build_small = functools.partial(build_attribute_cnn, ("emotion",), 1, SMALL)
        keras.mixed_precision.set_dtype_policy("mixed_bfloat16")
        try:
            trained = shake(build_small())
            onnx_file = export_network(trained, build_small, tmp_path / "emotion")
            assert keras.mixed_precision.dtype_policy().name == "mixed_bfloat16"  # as it was
        finally:
            keras.mixed_precision.set_dtype_policy("float32")
        assert onnx_file == tmp_path / "emotion" / "emotion.onnx"
        served = keras.saving.load_model(tmp_path / "emotion" / "emotion.keras", compile=False)
        assert {layer.compute_dtype for layer in served.layers} == {"float32"}
        inputs = make_inputs(4)
        (answers,) = run_session(load_session(onnx_file), inputs)
        assert answers.shape == (4, len(EMOTIONS))
        np.testing.assert_allclose(answers, np.asarray(served(inputs)["emotion"]), atol=1e-4)
        np.testing.assert_allclose(
            answers, np.asarray(trained(inputs)["emotion"]), atol=0.05
        )  # bfloat16 keeps about two digits

    def test_a_network_without_normalisations(self, tmp_path):
        """With biases in their place, as that on dlib's weights has them, and all that is no layer."""
        build_pretrained = functools.partial(
            build_pretrained_network,
            ("emotion", "gender"),
            (32, 32, 1),
            48,
            ((8, 1, False), (16, 1, True)),
        )
        network = build_pretrained()
        export_network(network, build_pretrained, tmp_path / "both")
        served = keras.saving.load_model(tmp_path / "both" / "both.keras", compile=False)
        inputs, names = make_inputs(4)[:, ::2, ::2], ["gender", "emotion"]
        answers = run_session(load_session(tmp_path / "both" / "both.onnx"), inputs, names)
        for name, told in zip(names, answers, strict=True):
            np.testing.assert_allclose(told, np.asarray(served(inputs)[name]), atol=1e-4)
            np.testing.assert_allclose(told, np.asarray(network(inputs)[name]), atol=0.02)


class TestShip:
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
        assert figure["value"] == pytest.approx(
            np.mean((told == predictions["label"])[test]), abs=1e-4
        )
        assert figure["count"] == 3

    def test_the_card_says_where_it_comes_from(self, network, models_dir):
        card = (models_dir / "gender" / "README.md").read_text()
        for part in (
            "# gender", f"{network.count_params() / 1e6:.2f} million", "grey face crop of 64x64", "probabilities of female, male",
            "UTKFace", "`facekit train gender --data mine`", "seed 7", "| utkface test | 3 | accuracy |",
            "25.0% of the images had no face", "## Limits",
        ):  # fmt: skip
            assert part in card
        assert (
            card.count("| utkface test | 3 | accuracy |") == 2
        )  # as served, and with test-time flipping

    def test_shipping_again_leaves_other_entries_alone(self, models_dir):
        assert set(load_index(models_dir)) == {"gender"}


class TestPredictions:
    def test_held_out_rows_in_their_order(self, models_dir):
        table = pd.read_parquet(models_dir / "gender" / "predictions.parquet")
        assert table.columns.tolist() == [
            "image",
            "source",
            "group",
            "split",
            "copied",
            "label",
            "p_female",
            "p_male",
        ]
        assert table.index.tolist() == [0, 1, 2, 3, 4]
        assert table["image"].tolist() == ["06.jpg", "07.jpg", "08.jpg", "09.jpg", "10.jpg"]
        assert table["label"].tolist() == ["female", "male", "female", "male", "female"]
        assert table["group"].tolist() == [6, 7, 8, 9, 10]
        assert table["split"].tolist() == SPLITS[6:11]
        assert set(table["source"]) == {"utkface"}
        assert not table["copied"].any()
        probabilities = table[["p_female", "p_male"]].to_numpy()
        assert probabilities.dtype == np.float32
        answers = run_session(
            load_session(models_dir / "gender" / "gender.onnx"), normalise(make_crops(12)[6:11])
        )[0]
        np.testing.assert_allclose(probabilities, answers, atol=6e-6)
        np.testing.assert_allclose(
            probabilities * 1e5, np.round(probabilities * 1e5), atol=0.02
        )  # five digits


@pytest.fixture(scope="module")
def shared(tmp_path_factory) -> Path:
    """A registry with a network of two attributes, in which the test image of group 3 has a copy that was left out."""
    run, models_dir = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("models")
    for name in ("history.csv", "config.json"):
        (run / name).write_text("\n")
    people = make_people().assign(
        age=30.0,
        group=[*range(8), 3, 3, 5, 3],
        source=["utkface"] * 9 + ["fairface", "utkface", "utkface"],
    )
    tasks = [TASKS["age"], TASKS["gender"]]
    build_small = functools.partial(build_attribute_cnn, ("age", "gender"), 1, SMALL)
    ship(
        shake(build_small()),
        build_small,
        tasks,
        people,
        make_crops(12),
        np.ones(12),
        run,
        models_dir / "faces",
        "facekit train",
        0,
    )
    return models_dir


class TestSeveralAttributes:
    def test_they_share_a_file(self, shared):
        assert {path.name for path in shared.iterdir()} == {"index.json", "faces", "age", "gender"}
        assert {entry.file for entry in load_index(shared).values()} == {"faces/faces.onnx"}
        assert {path.name for path in (shared / "faces").iterdir()} == {
            "faces.keras",
            "faces.onnx",
            "history.csv",
            "config.json",
        }
        assert "It tells age and gender at once" in (shared / "gender" / "README.md").read_text()

    def test_each_has_its_own_predictions(self, shared):
        inputs = normalise(make_crops(12)[6:11])
        age, gender = run_session(
            load_session(shared / "faces" / "faces.onnx"), inputs, ["age", "gender"]
        )
        for name, answers in (("age", age), ("gender", gender)):
            table = pd.read_parquet(shared / name / "predictions.parquet")
            np.testing.assert_allclose(table.filter(like="p_").to_numpy(), answers, atol=6e-6)

    def test_copies_of_excluded_images_are_marked(self, shared):
        """But not the image of another dataset whose group has the same number."""
        table = pd.read_parquet(shared / "gender" / "predictions.parquet")
        assert table["copied"].tolist() == [False, False, True, False, False]
