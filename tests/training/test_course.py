import csv
import json
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace

import keras
import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.datasets.adapters import read_dataset
from facekit.datasets.manifest import BOX, make_manifest, save_manifest
from facekit.fusion import load_constants
from facekit.images import equalise_crops
from facekit.networks.attributes import add_heads, build_attribute_cnn
from facekit.registry import find_model
from facekit.taxonomy import ATTRIBUTES, LABELS
from facekit.training import course
from facekit.training.course import (
    COURSES,
    DataChoice,
    begin_network,
    blend,
    build_network,
    describe_command,
    load_data,
    read_answers,
    run_fusion_fit,
    run_training,
    save_answers,
    take_over_layers,
)
from facekit.training.tasks import TASKS

SMALL = (4, 4, 6, 8)
SHALLOW = (8, 8)  # one stage in place of three: most of the time goes into compiling the layers
OPTIONS = {"epochs": 1, "batch_size": 16}
FILES = {
    "config.json",
    "history.csv",
    "best.weights.h5",
    "network.keras",
    "answers.npz",
}  # that a run leaves


@pytest.fixture(autouse=True)
def one_process(monkeypatch):
    """Cut faces in this process: starting others takes longer than so few faces do."""
    monkeypatch.setattr(
        "facekit.datasets.crops.ProcessPoolExecutor", lambda mp_context: ThreadPoolExecutor(1)
    )


def save_noise(path: Path, seed: int) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.random.default_rng(seed).integers(0, 256, (48, 48, 3), dtype=np.uint8)).save(
        path
    )


def save_utkface(data_dir: Path, count: int) -> None:
    for index in range(count):
        save_noise(
            data_dir / "UTKFace" / f"{index + 1}_{index % 2}_{index % 5}_2017{index}.jpg.chip.jpg",
            index,
        )


def list_images(*names: str, **columns) -> pd.DataFrame:
    return make_manifest([{"path": f"/data/{name}"} for name in names], "mine").assign(**columns)


def list_heads(network: keras.Model) -> set[str]:
    return {layer.name for layer in network.layers} & set(LABELS)


@pytest.fixture(
    scope="module", params=[("gender",), ("age", "gender", "ethnicity")], ids=["of one", "of three"]
)
def trained(request) -> keras.Model:
    """A network, not to be changed."""
    network = build_attribute_cnn(request.param, 3, SMALL)
    generator = np.random.default_rng(0)
    network.set_weights(
        [generator.uniform(0.1, 1, weights.shape) for weights in network.get_weights()]
    )
    return network


class TestTakeOver:
    def find_taken(self, network: keras.Model, source: keras.Model) -> dict[str, bool]:
        """Say for each layer with weights whether it has those of the layer of its name."""
        theirs = {layer.name: layer.get_weights() for layer in source.layers}
        return {
            layer.name: len(theirs.get(layer.name, [])) == len(layer.weights)
            and all(
                np.array_equal(*pair)
                for pair in zip(theirs[layer.name], layer.get_weights(), strict=True)
            )
            for layer in network.layers
            if layer.weights
        }

    def test_another_task_takes_the_trunk_but_not_the_head(self, trained):
        network = build_attribute_cnn(("emotion",), 3, SMALL)
        head = network.get_layer("emotion").get_weights()
        take_over_layers(network, trained)
        taken = self.find_taken(network, trained)
        assert not taken.pop("emotion")
        assert all(taken.values())
        assert len(taken) > 20
        for before, after in zip(head, network.get_layer("emotion").get_weights(), strict=True):
            np.testing.assert_array_equal(before, after)

    def test_the_same_task_takes_everything(self, trained):
        network = build_attribute_cnn(("gender",), 3, SMALL)
        take_over_layers(network, trained)
        assert all(self.find_taken(network, trained).values())

    @pytest.mark.parametrize(("channels", "stem"), [(3, True), (1, False)])
    def test_layers_of_other_shapes_stay(self, trained, channels, stem):
        network = build_attribute_cnn(("gender",), channels, (4, 4, 6, 10))
        take_over_layers(network, trained)
        taken = self.find_taken(network, trained)
        assert taken["stem_conv"] == stem
        assert taken["stage2b_second_norm"]
        assert not taken["stage3a_first_conv"]
        assert not taken["gender"]

    def test_a_missing_model_says_how_to_train_it(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"gender\.keras: no such model; train it first with `facekit train gender`",
        ):
            begin_network("small", [TASKS["age"]], tmp_path / "gender.keras")


@pytest.mark.parametrize(
    ("name", "tasks", "shape"),
    [
        ("small", ("age",), (64, 64, 1)),
        ("pretrained", ("age", "gender"), (96, 96, 3)),
        ("teacher", ("gender",), (112, 112, 3)),
        ("pretrained", ("emotion",), (64, 64, 1)),
        ("teacher", ("emotion",), (64, 64, 1)),
    ],
)
def test_networks_take_crops_that_suit_the_task(name, tasks, shape):
    network = build_network(name, [TASKS[task] for task in tasks])
    assert network.input_shape == (None, *shape)
    assert set(network.output) == set(tasks)


@pytest.fixture(scope="module")
def emotions(tmp_path_factory) -> Path:
    """Six images of FER2013 and three of CK+."""
    folder = tmp_path_factory.mktemp("emotions")
    for index, label in enumerate(("happy", "sad", "fear")):
        save_noise(folder / "fer2013" / "train" / label / f"Training_{index}.jpg", index)
        save_noise(
            folder / "fer2013" / "validation" / label / f"PublicTest_{index}.jpg", 10 + index
        )
        save_noise(
            folder / "CK+48" / label.replace("sad", "sadness") / f"S00{index}_001_00000001.png",
            20 + index,
        )
    return folder


class TestLoadData:
    def test_datasets_lie_one_below_the_other(self, emotions):
        manifest, crops, scores = load_data(
            [TASKS["emotion"]], DataChoice(emotions), seed=0, side=64, channels=1
        )
        assert manifest["source"].tolist() == ["fer2013"] * 6 + ["ck_plus"] * 3
        assert manifest.index.tolist() == list(range(9))
        assert crops.shape == (9, 64, 64, 1)
        assert scores.shape == (9,)
        kept = [
            np.load(emotions / "prepared" / f"{name}-64x1.npz")["crops"]
            for name in ("fer2013", "ck_plus")
        ]
        np.testing.assert_array_equal(crops, equalise_crops(np.concatenate(kept)))

    def test_other_sources_in_colour(self, emotions):
        task = replace(TASKS["emotion"], equalise=False)
        manifest, crops, _ = load_data(
            [task], DataChoice(emotions, sources=("ck_plus",)), seed=0, side=24, channels=3
        )
        assert manifest["source"].tolist() == ["ck_plus"] * 3
        assert crops.shape == (3, 24, 24, 3)
        np.testing.assert_array_equal(
            crops, np.load(emotions / "prepared" / "ck_plus-24x3.npz")["crops"]
        )

    def test_images_without_all_labels_are_left_out(self, emotions, tmp_path):
        paths = sorted((emotions / "CK+48").rglob("*.png"))
        rows = [
            {"path": str(path), "age": 30, "gender": gender}
            for path, gender in zip(paths, ("male", None, "female"), strict=True)
        ]
        save_manifest(make_manifest(rows, "mine"), tmp_path / "own.parquet")
        data = DataChoice(tmp_path, manifest=tmp_path / "own.parquet")
        for names, count in ((("age",), 3), (("age", "gender"), 2)):
            manifest, crops, scores = load_data(
                [TASKS[name] for name in names], data, seed=0, side=24, channels=1
            )
            assert len(manifest) == len(crops) == len(scores) == count
        assert manifest["gender"].tolist() == ["male", "female"]
        assert manifest.index.tolist() == [0, 1]
        np.testing.assert_array_equal(
            crops, np.load(tmp_path / "prepared" / "own-24x1.npz")["crops"][[0, 2]]
        )
        with pytest.raises(ValueError, match="`sources` must label gender, ethnicity; own do not"):
            load_data(
                [TASKS[name] for name in ("gender", "ethnicity")], data, seed=0, side=24, channels=1
            )

    def test_missing_data_says_where_to_get_it(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"UTKFace: utkface is not there; get it from https://susanqq\.github\.io/UTKFace",
        ):
            load_data([TASKS["gender"]], DataChoice(tmp_path), seed=0, side=64, channels=1)
        with pytest.raises(FileNotFoundError, match=r"own\.parquet: no such manifest"):
            load_data(
                [TASKS["gender"]],
                DataChoice(tmp_path, manifest=tmp_path / "own.parquet"),
                seed=0,
                side=64,
                channels=1,
            )


@pytest.fixture(scope="module")
def answers(tmp_path_factory) -> SimpleNamespace:
    """A network, and what it said of three images."""
    keras.utils.set_random_seed(0)
    inputs = keras.Input((8, 8, 3))
    network = keras.Model(
        inputs, add_heads(keras.layers.Flatten()(inputs), ("gender", "ethnicity"))
    )
    crops = np.random.default_rng(0).integers(0, 256, (3, 8, 8, 3), np.uint8)
    path = tmp_path_factory.mktemp("teacher") / "answers.npz"
    save_answers(network, crops, list_images("a.jpg", "b.jpg", "c.jpg"), path)
    return SimpleNamespace(network=network, crops=crops, path=path)


class TestAnswers:
    def test_they_are_averaged_over_mirror_images(self, answers):
        views = answers.crops / 127.5 - 1, answers.crops[:, :, ::-1] / 127.5 - 1
        for name in ("gender", "ethnicity"):
            expected = np.mean([answers.network(np.float32(view))[name] for view in views], axis=0)
            told = read_answers(answers.path, name, list_images("a.jpg", "b.jpg", "c.jpg"))
            assert told.dtype == np.float32
            np.testing.assert_allclose(told, expected, atol=1e-6)
            np.testing.assert_allclose(told.sum(axis=1), 1, rtol=1e-5)

    def test_batches_are_put_together(self, answers, monkeypatch, tmp_path):
        monkeypatch.setattr(course, "ANSWER_BATCH", 2)
        save_answers(
            answers.network,
            answers.crops,
            list_images("a.jpg", "b.jpg", "c.jpg"),
            tmp_path / "again.npz",
        )
        with np.load(answers.path) as kept, np.load(tmp_path / "again.npz") as again:
            assert set(kept) == set(again) == {"names", "gender", "ethnicity"}
            assert (
                kept["names"].tolist()
                == again["names"].tolist()
                == ["data/a.jpg", "data/b.jpg", "data/c.jpg"]
            )
            np.testing.assert_allclose(kept["gender"], again["gender"], atol=1e-6)

    def test_they_are_found_by_the_names_of_image_and_folder(self, answers):
        """Wherever the datasets lie, and though an image in another folder may have the same name."""
        rows = [
            {"path": path}
            for path in ("/else/data/c.jpg", "/data/a.jpg", "/data/new.jpg", "/data/other/c.jpg")
        ]
        manifest = make_manifest(rows, "mine")
        told = dict(
            zip(manifest["path"], read_answers(answers.path, "gender", manifest), strict=True)
        )
        with np.load(answers.path) as kept:
            np.testing.assert_array_equal(told["/else/data/c.jpg"], kept["gender"][2])
            np.testing.assert_array_equal(told["/data/a.jpg"], kept["gender"][0])
        assert np.isnan([told["/data/new.jpg"], told["/data/other/c.jpg"]]).all()

    def test_images_that_were_learned_from_often_have_one_answer(self, answers, tmp_path):
        crops = answers.crops[[0, 0, 1]]
        save_answers(
            answers.network, crops, list_images("a.jpg", "a.jpg", "b.jpg"), tmp_path / "often.npz"
        )
        told = read_answers(
            tmp_path / "often.npz", "gender", list_images("a.jpg", "b.jpg", "b.jpg")
        )
        with np.load(answers.path) as kept:
            np.testing.assert_allclose(told, kept["gender"][[0, 1, 1]], atol=1e-6)

    def test_faces_of_one_image_have_answers_of_their_own(self, answers, tmp_path):
        boxes = pd.DataFrame(
            [[0, 0, 10, 10], [20.5, 0, 30, 10], [40, 0, 50, 10]], columns=list(BOX), dtype=float
        )
        group = list_images("a.jpg", "a.jpg", "a.jpg", **boxes)
        save_answers(answers.network, answers.crops, group, tmp_path / "group.npz")
        told = read_answers(tmp_path / "group.npz", "gender", group.loc[[2, 0]])
        with np.load(answers.path) as kept:
            np.testing.assert_allclose(told, kept["gender"][[2, 0]], atol=1e-6)

    def test_without_a_teacher_there_are_none(self):
        told = read_answers(None, "gender", list_images("a.jpg", "b.jpg"))
        assert told.shape == (2, 1)
        assert np.isnan(told).all()

    def test_another_attribute_is_an_error(self, answers):
        with pytest.raises(
            ValueError,
            match=r"answers\.npz: holds no answers for age; train a teacher that learns it\.",
        ):
            read_answers(answers.path, "age", list_images("a.jpg"))

    def test_a_missing_file_says_how_to_make_it(self, tmp_path):
        with pytest.raises(
            FileNotFoundError,
            match=r"gone\.npz: no such answers; train the teacher first with `facekit train COURSE",
        ):
            read_answers(tmp_path / "gone.npz", "gender", list_images("a.jpg"))


class TestBlend:
    TARGETS = np.array([[0.95, 0.05], [0.05, 0.95]], np.float32)
    NOTHING = np.full(2, np.nan, np.float32)

    @pytest.mark.parametrize(
        ("share", "expected"), [(0, [0.95, 0.05]), (0.7, [0.425, 0.575]), (1, [0.2, 0.8])]
    )
    def test_labels_and_answers_are_mixed(self, share, expected):
        learned = blend(self.TARGETS, np.array([[0.2, 0.8], self.NOTHING], np.float32), share)
        assert learned.dtype == np.float32
        np.testing.assert_allclose(learned, [expected, self.TARGETS[1]], atol=1e-6)
        np.testing.assert_allclose(learned.sum(axis=1), 1, rtol=1e-5)

    def test_without_answers_labels_stay(self):
        np.testing.assert_array_equal(
            blend(self.TARGETS, np.full((2, 1), np.nan, np.float32), 0.7), self.TARGETS
        )

    def test_no_images(self):
        assert blend(self.TARGETS[:0], np.full((0, 1), np.nan, np.float32), 0.7).shape == (0, 2)


@pytest.mark.parametrize(
    ("network", "data", "start_from", "teacher", "options", "expected"),
    [
        ("small", {}, None, None, {}, ""),
        ("small", {}, None, None, {"epochs": 30, "seed": 0, "balance": 0.0, "precision": "float32"}, ""),
        ("small", {}, None, None, {"epochs": 3, "learning_rate": 0.001}, " --epochs 3 --learning-rate 0.001"),
        ("small", {}, None, None, {"teacher_share": 0.0}, " --teacher-share 0.0"),
        ("pretrained", {"sources": ("utkface", "fairface")}, None, None, {}, " --network pretrained --sources utkface,fairface"),
        (
            "small", {"manifest": Path("all.parquet")}, Path("faces.keras"), Path("answers.npz"), {"balance": 0.5},
            " --manifest all.parquet --start-from faces.keras --teacher answers.npz --balance 0.5",
        ),
    ],
)  # fmt: skip
def test_a_command_tells_what_is_not_as_by_default(
    network, data, start_from, teacher, options, expected
):
    told = describe_command(
        "gender", DataChoice(Path("mine"), **data), network, start_from, teacher, options
    )
    assert told == f"facekit train gender --data data/raw{expected}"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory) -> Path:
    """Sixty faces of noise; their crops are cut once for all trainings."""
    folder = tmp_path_factory.mktemp("data")
    save_utkface(folder, 60)
    return folder


@pytest.fixture
def shallow_networks(monkeypatch):
    for name, task in TASKS.items():
        monkeypatch.setitem(TASKS, name, replace(task, widths=SHALLOW))


@pytest.fixture
def train(data_dir, shallow_networks):
    """Train on `data_dir` as the command does, with what is given in place of its defaults."""

    def run_course(
        course: str, run: Path, network="small", start_from=None, teacher=None, manifest=None
    ) -> None:
        run_training(
            course,
            DataChoice(data_dir, manifest=manifest),
            None,
            run,
            network,
            start_from,
            teacher,
            False,
            **OPTIONS,
        )

    return run_course


def read_history(run: Path) -> list[dict[str, str]]:
    with (run / "history.csv").open(newline="") as file:
        return list(csv.DictReader(file))


class TestTraining:
    def test_three_attributes_teach_one_that_is_shipped(self, train, data_dir, tmp_path, capsys):
        """The course of all faces, from a manifest, then one of its attributes from its layers and its answers."""
        save_manifest(read_dataset("utkface", data_dir), tmp_path / "utkface.parquet")
        faces = tmp_path / "faces"
        train("faces", faces, manifest=tmp_path / "utkface.parquet")
        assert {path.name for path in faces.iterdir()} == {
            *FILES,
            "index.json",
            "faces",
            *COURSES["faces"],
        }
        assert {find_model(name, faces)[1] for name in COURSES["faces"]} == {
            faces / "faces" / "faces.onnx"
        }
        assert list_heads(keras.saving.load_model(faces / "network.keras", compile=False)) == set(
            COURSES["faces"]
        )
        with np.load(faces / "answers.npz") as answers:
            assert set(answers) == {"names", *COURSES["faces"]}
            assert len(answers["names"]) == len(answers["age"]) == 51
        (row,) = read_history(faces)
        assert {
            "val_loss",
            "val_age_loss",
            "val_age_years_off",
            "gender_accuracy",
            "val_ethnicity_accuracy",
        } <= row.keys()

        run = tmp_path / "run"
        (run / "backup").mkdir(parents=True)  # of an earlier run, which is not gone on from
        (run / "notes.txt").write_text("the user's own")
        train("gender", run, start_from=faces / "network.keras", teacher=faces / "answers.npz")
        assert {path.name for path in run.iterdir()} == {
            *FILES,
            "notes.txt",
            "index.json",
            "gender",
        }  # the registry by default
        entry, path = find_model("gender", run)
        assert path == run / "gender" / "gender.onnx"
        assert entry.input == {"size": 64, "channels": 1, "equalise": False}
        (figure,) = entry.metrics["figures"]
        assert (figure["source"], figure["count"], figure["figure"]) == ("utkface", 6, "accuracy")
        assert f"utkface test, 6 images: accuracy {figure['value']}" in capsys.readouterr().out
        taught = f"--start-from {faces / 'network.keras'} --teacher {faces / 'answers.npz'} --epochs 1 --batch-size 16"
        assert (
            f"`facekit train gender --data data/raw {taught}`"
            in (run / "gender" / "README.md").read_text()
        )
        assert [row["epoch"] for row in read_history(run / "gender")] == ["0"]
        assert json.loads((run / "config.json").read_text())["batch_size"] == 16

    def test_a_teacher_is_not_shipped(self, train, data_dir, tmp_path, monkeypatch):
        def build_stand_in(name, tasks) -> keras.Model:
            inputs = keras.Input((64, 64, 1))
            features = keras.layers.GlobalAveragePooling2D(name="features")(inputs)
            return keras.Model(inputs, add_heads(features, [task.name for task in tasks]))

        monkeypatch.setattr(course, "build_network", build_stand_in)
        monkeypatch.setattr(course, "find_weights", lambda: None)
        monkeypatch.setattr(course, "load_dlib_weights", lambda network, path: network)
        train("gender", tmp_path / "run", network="teacher")
        assert {path.name for path in (tmp_path / "run").iterdir()} == FILES
        manifest = read_dataset("utkface", data_dir)
        told = read_answers(tmp_path / "run" / "answers.npz", "gender", manifest)
        in_train = (manifest["split"] == "train").to_numpy()
        assert np.isfinite(told[in_train]).all()
        assert np.isnan(
            told[~in_train]
        ).all()  # no answer to a held-out image reaches whom it teaches


def test_fusion_is_fitted_and_measured(tmp_path, make_tables, capsys):
    data_dir, models_dir = tmp_path / "data", tmp_path / "models"
    save_utkface(data_dir, 40)
    save_noise(data_dir / "fer2013" / "train" / "happy" / "Training_1.jpg", 100)
    save_noise(data_dir / "CK+48" / "anger" / "S001_001_00000001.png", 101)
    tables = [make_tables(100, seed, split) for seed, split in enumerate(("validation", "test"))]
    for name in ATTRIBUTES:
        (models_dir / name).mkdir(parents=True)
        pd.concat([each[name] for each in tables]).to_parquet(
            models_dir / name / "predictions.parquet"
        )
    run_fusion_fit(data_dir, models_dir, seed=3)
    constants = load_constants(models_dir)
    assert constants.temperatures.keys() == set(ATTRIBUTES)
    assert constants.lifts.keys() == {
        ("age", "gender"),
        ("age", "ethnicity"),
        ("gender", "ethnicity"),
    }
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
