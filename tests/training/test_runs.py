import csv
import json
import shlex
from dataclasses import replace
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import pytest

from facekit.datasets.adapters import read_dataset
from facekit.datasets.manifest import save_manifest
from facekit.networks.attributes import add_heads
from facekit.registry import find_model, load_index
from facekit.taxonomy import EMOTIONS, LABELS
from facekit.training import course as course_module
from facekit.training import runs
from facekit.training.course import COURSES, choose_network
from facekit.training.data import DataChoice
from facekit.training.loop import BACKUP
from facekit.training.runs import check_run, describe_command, find_run_folder, run_training
from facekit.training.teachers import read_answers

SHALLOW = (8, 8)  # one stage instead of three: most of the time is the compiling of layers
OPTIONS = {"epochs": 1, "batch_size": 16}
FILES = {"config.json", "history.csv", "best.weights.h5", "network.keras", "answers.npz"}


def list_heads(network: keras.Model) -> set[str]:
    return {layer.name for layer in network.layers} & set(LABELS)


@pytest.mark.parametrize(
    ("network", "data", "start_from", "teachers", "options", "expected"),
    [
        ("small", {}, (), (), {}, ""),
        ("small", {}, (), (), {"epochs": 30, "seed": 0, "precision": "float32"}, ""),
        ("small", {}, (), (), {"learning_rate": 0.001}, " --learning-rate 0.001"),
        ("small", {}, (), (), {"teacher_share": 0.0}, " --teacher-share 0.0"),
        (
            "pretrained", {"sources": ("utkface", "fairface")}, (), (), {},
            " --network pretrained --sources utkface,fairface",
        ),
        (
            "small", {"manifest": Path("all of them.parquet")},
            (Path("faces.keras"), Path("more.keras")),
            (Path("a.npz"), Path("b.npz")), {"balance": 0.5},
            " --manifest 'all of them.parquet' --balance 0.5 --start-from faces.keras"
            " --start-from more.keras --teacher a.npz --teacher b.npz",
        ),
    ],
)  # fmt: skip
def test_a_command_has_the_options_that_differ(
    network, data, start_from, teachers, options, expected
):
    course = choose_network(COURSES["gender"], network)
    command = describe_command(
        course, DataChoice(Path("my data"), **data), start_from, teachers, options
    )
    assert command == f"facekit train gender --data 'my data'{expected}"


def test_a_command_names_another_loss_weighting():
    course = replace(COURSES["faces"], loss_weighting="fixed")
    command = describe_command(course, DataChoice(Path("raw")))
    assert command == "facekit train faces --data raw --loss-weighting fixed"


@pytest.mark.parametrize("file", sorted(FILES))
@pytest.mark.parametrize("resume", [True, False])
def test_a_finished_run_is_not_overwritten(file, resume, tmp_path):
    (tmp_path / "run").mkdir()
    (tmp_path / "run" / file).touch()
    message = "so there is nothing to resume" if resume else "holds another run"
    with pytest.raises(ValueError, match=rf"run: holds .*{file}\)\. Choose another folder"):
        check_run(tmp_path / "run", resume)
    with pytest.raises(ValueError, match=message):
        check_run(tmp_path / "run", resume)


def test_an_interrupted_run_is_resumed_or_kept(tmp_path):
    (tmp_path / BACKUP).mkdir()
    (tmp_path / "history.csv").touch()
    check_run(tmp_path, resume=True)
    with pytest.raises(ValueError, match=r"holds an interrupted run\. Add --resume to continue it"):
        check_run(tmp_path, resume=False)


@pytest.mark.parametrize("resume", [True, False])
def test_a_folder_without_a_run_may_be_used(resume, tmp_path):
    (tmp_path / "notes.txt").touch()
    check_run(tmp_path, resume)
    # Of a run that was interrupted in its first epoch, from which nothing is left but settings.
    (tmp_path / "config.json").write_text('{"epochs": 3, "course": {}}')
    check_run(tmp_path, resume)
    assert find_run_folder(tmp_path, resume) == tmp_path
    check_run(tmp_path / "new", resume)


def test_the_usual_folder_or_the_next_free_one(tmp_path):
    usual = tmp_path / "gender"
    assert find_run_folder(usual) == usual
    for number, name in enumerate(("gender", "gender-2")):
        (tmp_path / name).mkdir()
        assert find_run_folder(usual).name == name  # empty
        (tmp_path / name / "config.json").touch()
        assert find_run_folder(usual).name == f"gender-{number + 2}"
    assert find_run_folder(usual, resume=True) == usual
    (tmp_path / "gender-2" / BACKUP).mkdir()
    assert find_run_folder(usual, resume=True).name == "gender-2"


@pytest.fixture(scope="module")
def data_dir(tmp_path_factory, save_utkface) -> Path:
    """Save sixty faces of noise; their crops are cut once for all trainings."""
    folder = tmp_path_factory.mktemp("data")
    save_utkface(folder, 60)
    return folder


@pytest.fixture(autouse=True)
def shallow_networks(monkeypatch):
    for name, course in COURSES.items():
        monkeypatch.setitem(COURSES, name, replace(course, widths=SHALLOW))


@pytest.fixture
def train(data_dir):
    """Train on `data_dir` as the command does, with the given arguments instead of defaults."""

    def run_course(course: str, run: Path, manifest: Path | None = None, **given) -> None:
        data = DataChoice(data_dir, manifest=manifest)
        run_training(course, data, None, run, **given, **OPTIONS)

    return run_course


@pytest.fixture
def faces(data_dir) -> pd.DataFrame:
    """Read sixty faces, some of each split."""
    splits = ["train"] * 40 + ["validation"] * 6 + ["calibration"] * 6 + ["test"] * 8
    emotions = np.resize(EMOTIONS, len(splits))
    return read_dataset("utkface", data_dir).assign(split=splits, emotion=emotions)


@pytest.fixture
def stub_training(monkeypatch) -> list[tuple]:
    """Do not train: keep what `train_model` was given, and write an empty run."""
    calls = []

    def keep(model, course, train, validation, config, run, **given):
        calls.append((course, train, validation))
        run.mkdir(parents=True, exist_ok=True)
        (run / "history.csv").write_text("epoch,val_loss\n0,1\n")
        (run / "config.json").write_text("{}\n")

    monkeypatch.setattr(runs, "train_model", keep)
    return calls


class TestTraining:
    def test_all_attributes_teach_one_that_is_shipped(self, train, faces, tmp_path, capsys):
        """Train `faces` from a manifest, then one task from its layers and predictions."""
        faces.loc[:19, "gender"] = None  # these still teach age and ethnicity
        save_manifest(faces, tmp_path / "own.parquet")
        run = tmp_path / "faces"
        train("faces", run, manifest=tmp_path / "own.parquet")
        tasks = COURSES["faces"].task_names
        assert {path.name for path in run.iterdir()} == {*FILES, "index.json", "faces", *tasks}
        assert {find_model(name, run)[1] for name in tasks} == {run / "faces" / "faces.onnx"}
        assert list_heads(keras.saving.load_model(run / "network.keras", compile=False)) == set(
            tasks
        )
        with np.load(run / "answers.npz") as answers:
            assert set(answers) == {"names", *tasks}
            assert len(answers["names"]) == len(answers["age"]) == 40
        with (run / "history.csv").open(newline="") as file:
            (row,) = csv.DictReader(file)
        assert {
            "val_loss", "val_age_loss", "val_age_years_off", "gender_accuracy",
            "val_ethnicity_accuracy",
        } <= row.keys()  # fmt: skip
        assert all(np.isfinite(float(value)) for value in row.values())
        card = (run / "gender" / "README.md").read_text()
        assert "own (20 training faces)" not in card  # the source is UTKFace
        assert "UTKFace (Zhang, Song, Qi, CVPR 2017) (20 training faces)" in card
        assert "loss weighting: uncertainty" in card
        kept = json.loads((run / "faces" / "config.json").read_text())
        assert kept["course"]["tasks"] == list(tasks)
        assert kept["course"]["sources"] == ["own"]
        table = pd.read_parquet(run / "age" / "predictions.parquet")
        assert table["split"].value_counts().to_dict() == {
            "test": 8, "validation": 6, "calibration": 6,
        }  # fmt: skip

        again = tmp_path / "run"
        again.mkdir()
        (again / "notes.txt").write_text("the user's own")
        taught = {"start_from": (run / "network.keras",), "teachers": (run / "answers.npz",)}
        train("gender", again, manifest=tmp_path / "own.parquet", **taught)
        assert {path.name for path in again.iterdir()} == {
            *FILES,
            "notes.txt",
            "index.json",
            "gender",
        }
        entry, path = find_model("gender", again)
        assert path == again / "gender" / "gender.onnx"
        assert entry.input == {
            "size": 64, "channels": 1, "equalise": False, "scale": 1.0, "mirror": False,
        }  # fmt: skip
        figure, *grown = entry.tasks["gender"].metrics["figures"]
        assert [each["figure"] for each in grown] == [
            "accuracy, aged 10 and up", "accuracy, aged 13 and up",
        ]  # fmt: skip
        assert (figure["source"], figure["count"], figure["figure"]) == ("utkface", 8, "accuracy")
        assert f"utkface test, 8 images: accuracy {figure['value']}" in capsys.readouterr().out
        command = json.loads((again / "config.json").read_text())["command"]
        assert shlex.split(command)[-8:] == [
            "--epochs", "1", "--batch-size", "16",
            "--start-from", str(run / "network.keras"), "--teacher", str(run / "answers.npz"),
        ]  # fmt: skip
        card = (again / "gender" / "README.md").read_text()
        assert f"`{command}`" in card
        assert "layers of `network.keras`" in card

    def test_only_the_train_split_is_learned_from(self, train, faces, stub_training, tmp_path):
        """And only the validation split chooses the epoch; calibration and test do neither."""
        save_manifest(faces, tmp_path / "own.parquet")
        train("gender", tmp_path / "run", manifest=tmp_path / "own.parquet", network_name="small")
        ((_, learned, validation),) = stub_training
        assert (len(learned.crops), len(validation.crops)) == (40, 6)
        with np.load(tmp_path / "run" / "answers.npz") as answers:
            assert len(answers["names"]) == 40

    def test_a_teacher_is_not_shipped(self, train, faces, stub_training, tmp_path, monkeypatch):
        def build_stand_in(course) -> keras.Model:
            inputs = keras.Input((course.side, course.side, course.channels))
            features = keras.layers.GlobalAveragePooling2D(name="features")(inputs)
            return keras.Model(inputs, add_heads(features, course.task_names))

        monkeypatch.setattr(course_module, "build_network", build_stand_in)
        monkeypatch.setattr(course_module, "load_dlib_weights", lambda network: network)
        faces.loc[faces["split"] == "test", "split"] = "excluded"  # a teacher needs no test split
        save_manifest(faces, tmp_path / "own.parquet")
        run, manifest = tmp_path / "run", tmp_path / "own.parquet"
        train("gender", run, manifest, network_name="teacher")
        assert {path.name for path in run.iterdir()} == FILES - {"best.weights.h5"}
        answers = read_answers(run / "answers.npz", "gender", faces)
        in_train = (faces["split"] == "train").to_numpy()
        assert np.isfinite(answers[in_train]).all()
        assert np.isnan(answers[~in_train]).all()  # no held-out face is taught

    @pytest.mark.parametrize("split", ["train", "validation", "test"])
    def test_an_empty_split_is_found_before_training(
        self, split, train, faces, stub_training, tmp_path
    ):
        faces = faces[faces["split"] != split].reset_index(drop=True)
        save_manifest(faces, tmp_path / "own.parquet")
        with pytest.raises(
            ValueError, match=f"The {split} split must hold faces labelled with gender"
        ):
            train("gender", tmp_path / "run", manifest=tmp_path / "own.parquet")
        assert not stub_training
        assert not (tmp_path / "run").exists()

    def test_few_faces_ship_no_model(self, save_utkface, stub_training, tmp_path):
        save_utkface(tmp_path, 3)
        with pytest.raises(ValueError, match=r"needs 4 groups or more|split must hold faces"):
            run_training("gender", DataChoice(tmp_path), tmp_path / "models", tmp_path / "run")
        assert not stub_training
        assert not (tmp_path / "models").exists()

    def test_a_users_file_is_not_overwritten(self, data_dir, stub_training, tmp_path):
        own = tmp_path / "models" / "gender" / "README.md"
        own.parent.mkdir(parents=True)
        own.write_text("mine")
        with pytest.raises(ValueError, match=r"README\.md: is in the way, and no model of"):
            run_training("gender", DataChoice(data_dir), tmp_path / "models", tmp_path / "run")
        assert own.read_text() == "mine"
        assert not stub_training

    def test_a_listed_model_is_replaced(self, faces, data_dir, stub_training, tmp_path):
        save_manifest(faces, tmp_path / "own.parquet")
        data, models_dir = DataChoice(data_dir, manifest=tmp_path / "own.parquet"), tmp_path / "m"
        for number in range(2):
            run_training("gender", data, models_dir, tmp_path / f"run{number}", seed=number)
        index = load_index(models_dir)
        assert index.defaults == {"gender": "gender"}
        assert index.models["gender"].tasks["gender"].metrics["seed"] == 1
        assert find_model("gender", models_dir)
