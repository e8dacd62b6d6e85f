import csv
import errno
import functools
import shutil
from dataclasses import replace
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
from facekit.training import export
from facekit.training.course import COURSES, make_course
from facekit.training.export import HELD_OUT_SPLITS, check_shipping, export_network, ship
from facekit.training.origin import Origin
from facekit.training.tasks import TASKS

SPLITS = ["train"] * 6 + ["validation", "calibration"] + ["test"] * 3 + ["excluded"]
SMALL = (4, 4, 6, 8)
BATCH = 32  # crops from which normalisations take their statistics
MANY = 100  # numbers in an array that is worth storing in half precision


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
    """Make patchwork: crops of mere noise all look the same to a network."""
    patches = np.random.default_rng(0).integers(0, 256, (count, 4, 4, 1), np.uint8)
    return patches.repeat(16, axis=1).repeat(16, axis=2)


def make_inputs(count: int) -> np.ndarray:
    return normalise(make_crops(count))


def shake(network: keras.Model) -> keras.Model:
    """Give normalisations a scale, a shift and statistics of some crops, as training does."""
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
    (run / "history.csv").write_text("epoch,loss,val_loss\n0,0.7,0.8\n1,0.6,0.9\n")
    (run / "config.json").write_text("{}\n")
    scores = np.where(np.arange(12) < 3, 0, 0.9)
    command = "facekit train gender --data mine"
    people = make_people()
    people.attrs = {"splits": {"utkface": {"protocol": "group_disjoint", "seed": 5}}}
    ship(
        network,
        build,
        COURSES["gender"],
        people,
        make_crops(12),
        scores,
        run,
        models_dir / "gender",
        Origin(command, seed=7),
    )
    return models_dir


@pytest.fixture(scope="module")
def served(models_dir) -> keras.Model:
    return keras.saving.load_model(models_dir / "gender" / "gender.keras", compile=False)


class TestExport:
    def test_onnx_answers_as_keras_does(self, models_dir, served):
        inputs = make_inputs(5)
        (answers,) = run_session(load_session(models_dir / "gender" / "gender.onnx"), inputs)
        assert answers.std(axis=0).max() > 0.01  # the network distinguishes the crops
        np.testing.assert_allclose(answers, np.asarray(served(inputs)["gender"]), atol=1e-4)

    def test_rounding_changes_little(self, network, served):
        inputs = make_inputs(5)
        np.testing.assert_allclose(
            np.asarray(served(inputs)["gender"]), np.asarray(network(inputs)["gender"]), atol=6e-2
        )

    def test_statistics_follow_so_that_training_can_go_on(self, network, served):
        """With the statistics of a batch, as in training, both networks still give the same."""
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
        """With biases instead, as in the network from dlib's weights, and with bare operations."""
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
        for name, given in zip(names, answers, strict=True):
            np.testing.assert_allclose(given, np.asarray(served(inputs)[name]), atol=1e-4)
            np.testing.assert_allclose(given, np.asarray(network(inputs)[name]), atol=0.02)


class TestShip:
    def test_the_index_lists_the_file(self, models_dir):
        index = load_index(models_dir)
        assert index.defaults == {"gender": "gender"}
        entry = index.models["gender"]
        assert entry.file == "gender/gender.onnx"
        assert entry.sha256 == hash_file(models_dir / entry.file)
        assert entry.input == {
            "size": 64, "channels": 1, "equalise": False, "scale": 1.0, "mirror": False,
        }  # fmt: skip
        assert entry.training_data.startswith("UTKFace (Zhang, Song, Qi, CVPR 2017)")
        assert entry.licence.endswith("utkface (non-commercial research)")
        assert entry.tasks.keys() == {"gender"}
        task = entry.tasks["gender"]
        assert task.labels == list(GENDERS)
        assert task.metrics["seed"] == 7
        assert [figure["figure"] for figure in task.metrics["figures"]] == ["accuracy"]
        assert find_model("gender", models_dir) == (entry, models_dir / entry.file)

    def test_history_and_predictions_lie_beside_it(self, models_dir):
        folder = models_dir / "gender"
        assert {path.name for path in folder.iterdir()} == {
            "gender.keras", "gender.onnx", "history.csv", "config.json", "predictions.parquet",
            "README.md",
        }  # fmt: skip
        with (folder / "history.csv").open(newline="") as file:
            assert [row["val_loss"] for row in csv.DictReader(file)] == ["0.8", "0.9"]
        predictions = pd.read_parquet(folder / "predictions.parquet")
        assert predictions["split"].value_counts().to_dict() == {
            "test": 3,
            "validation": 1,
            "calibration": 1,
        }
        metrics = load_index(models_dir).models["gender"].tasks["gender"].metrics
        (figure,) = metrics["figures"]
        predicted = np.array(GENDERS)[predictions.filter(like="p_").to_numpy().argmax(axis=1)]
        test = predictions["split"] == "test"
        assert figure["value"] == pytest.approx(
            np.mean((predicted == predictions["label"])[test]), abs=1e-4
        )
        assert figure["count"] == 3

    def test_the_card_says_where_it_comes_from(self, network, models_dir):
        card = " ".join((models_dir / "gender" / "README.md").read_text().split())
        for part in (
            "# gender", f"{network.count_params() / 1e6:.2f} million", "64x64",
            "grey face crop", "probabilities of female, male",
            "UTKFace", "`facekit train gender --data mine`", "random weights, seed 7",
            "utkface: protocol group_disjoint, seed 5.",
            "None of 11 groups stands in more than one split.",
            "2; epoch 1 was kept, because it has the least loss on 1 validation face.",
            "every validation, calibration and test image", "| utkface test | 3 | accuracy |",
            "no face in 25.0% of the images", "The lowest recall is", "## Limits",
            "loss weighting: uncertainty", "sources: utkface",
        ):  # fmt: skip
            assert part in card
        assert (
            card.count("| utkface test | 3 | accuracy |") == 2
        )  # as served, and with test-time flipping

    def test_mirror_images_are_served_where_a_course_says_so(self, network, models_dir, tmp_path):
        """What is stored is what an analysis of this model answers."""
        for name in ("history.csv", "config.json"):
            (tmp_path / name).write_bytes((models_dir / "gender" / name).read_bytes())
        course, folder = replace(COURSES["gender"], mirror=True), tmp_path / "gender"
        people, crops = make_people(), make_crops(12)
        ship(network, build, course, people, crops, np.ones(12), tmp_path, folder, Origin(""))
        assert load_index(tmp_path).models["gender"].input["mirror"]
        stored = pd.read_parquet(folder / "predictions.parquet").filter(like="p_").to_numpy()
        held_out = crops[people["split"].isin(HELD_OUT_SPLITS).to_numpy()]
        session = load_session(folder / "gender.onnx")
        views = [
            run_session(session, normalise(view), ["gender"])[0]
            for view in (held_out, held_out[:, :, ::-1])
        ]
        np.testing.assert_allclose(stored, sum(views) / 2, atol=1e-5)
        assert np.abs(stored - views[0]).max() > 1e-5
        assert "as the model is\nserved" in (folder / "README.md").read_text()

    def test_shipping_again_leaves_other_entries_alone(self, models_dir):
        assert set(load_index(models_dir).models) == {"gender"}


class TestRefusals:
    def test_a_model_is_not_shipped_unmeasured(self, network, tmp_path):
        people = make_people()
        people.loc[people["split"] == "test", "split"] = "calibration"
        with pytest.raises(ValueError, match="The test split must hold faces labelled with gender"):
            ship(
                network, build, COURSES["gender"], people, make_crops(12), np.ones(12), tmp_path,
                tmp_path / "models" / "gender", Origin(""),
            )  # fmt: skip
        assert not (tmp_path / "models").exists()

    def test_files_of_listed_models_may_be_replaced(self, models_dir, shared, tmp_path):
        check_shipping(models_dir / "gender", COURSES["gender"])
        check_shipping(shared / "gender", COURSES["gender"])  # its card is that of the faces model
        check_shipping(tmp_path / "gender", COURSES["gender"])

    @pytest.mark.parametrize(
        "file", ["age/README.md", "age/predictions.parquet", "faces/faces.onnx"]
    )
    def test_other_files_may_not(self, file, models_dir, tmp_path):
        shutil.copytree(models_dir, tmp_path / "models")
        path = tmp_path / "models" / file
        path.parent.mkdir()
        path.touch()
        with pytest.raises(ValueError, match=rf"{file}: is in the way, and no model of"):
            check_shipping(tmp_path / "models" / "faces", COURSES["faces"])

    def test_a_failing_export_leaves_the_old_files(
        self, models_dir, network, tmp_path, monkeypatch
    ):
        shutil.copytree(models_dir / "gender", tmp_path / "gender")
        before = {path.name: hash_file(path) for path in (tmp_path / "gender").iterdir()}

        def fill_disk(path):
            raise OSError(errno.ENOSPC, "No space left on device")

        monkeypatch.setattr(export, "compress_archive", fill_disk)
        with pytest.raises(OSError, match=r"gender\.keras"):
            export_network(network, build, tmp_path / "gender")
        assert {path.name: hash_file(path) for path in (tmp_path / "gender").iterdir()} == before


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
    """Ship a network of two attributes; a test image of group 3 has an excluded copy."""
    run, models_dir = tmp_path_factory.mktemp("run"), tmp_path_factory.mktemp("models")
    for name in ("history.csv", "config.json"):
        (run / name).write_text("epoch,val_loss\n0,1\n")
    people = make_people().assign(
        age=[30.0] * 8 + [None] + [30.0] * 3,
        group=[*range(8), 3, 3, 5, 3],
        source=["utkface"] * 9 + ["fairface", "utkface", "utkface"],
    )
    course = make_course(TASKS["age"], TASKS["gender"], name="faces", widths=SMALL)
    build_small = functools.partial(build_attribute_cnn, ("age", "gender"), 1, SMALL)
    ship(
        shake(build_small()),
        build_small,
        course,
        people,
        make_crops(12),
        np.ones(12),
        run,
        models_dir / "faces",
        Origin("facekit train"),
    )
    return models_dir


class TestSeveralAttributes:
    def test_they_share_a_file(self, shared):
        assert {path.name for path in shared.iterdir()} == {"index.json", "faces", "age", "gender"}
        index = load_index(shared)
        assert index.defaults == {"age": "faces", "gender": "faces"}
        assert {entry.file for entry in index.models.values()} == {"faces/faces.onnx"}
        assert {path.name for path in (shared / "faces").iterdir()} == {
            "faces.keras",
            "faces.onnx",
            "history.csv",
            "config.json",
        }
        assert "It also predicts age." in (shared / "gender" / "README.md").read_text()

    def test_each_has_its_own_predictions(self, shared):
        inputs = normalise(make_crops(12)[6:11])
        age, gender = run_session(
            load_session(shared / "faces" / "faces.onnx"), inputs, ["age", "gender"]
        )
        age = np.delete(age, 2, axis=0)  # the third face has no age, so age is not measured on it
        for name, answers in (("age", age), ("gender", gender)):
            table = pd.read_parquet(shared / name / "predictions.parquet")
            np.testing.assert_allclose(table.filter(like="p_").to_numpy(), answers, atol=6e-6)

    def test_copies_of_excluded_images_are_marked(self, shared):
        """But not the image of another dataset whose group has the same number."""
        table = pd.read_parquet(shared / "gender" / "predictions.parquet")
        assert table["copied"].tolist() == [False, False, True, False, False]
