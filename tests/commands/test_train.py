"""`facekit train` and `facekit crossvalidate`, without training."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner

from facekit.commands import main


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


@pytest.mark.parametrize("line", [
    ["train", "gender"],
    ["crossvalidate", "emotion", "--source", "ck_plus", "--protocol", "random_frames"],
])  # fmt: skip
def test_without_keras_the_extra_is_named(line, tmp_path):
    """In a process of its own, in which Keras cannot be imported."""
    code = (
        "import sys; sys.modules['keras'] = None; from facekit.commands import main; "
        f"main({[*line, '--data', str(tmp_path)]!r})"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 1
    assert "Run: pip install 'facekit[train]'" in result.stderr
    assert len(result.stderr.splitlines()) == 1


@pytest.mark.parametrize("command", ["train", "crossvalidate"])
def test_the_help_page_is_there_without_keras(command):
    code = (
        "import sys; sys.modules['keras'] = None; from facekit.commands import main; "
        f"main(['{command}', '--help'])"
    )
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True)
    assert result.returncode == 0
    assert "pip install 'facekit[train]'" in result.stdout


class TestCrossvalidate:
    def test_options_are_passed_on(self, monkeypatch, tmp_path):
        from facekit.training import crossvalidation

        calls = []
        monkeypatch.setattr(
            crossvalidation,
            "run_protocol",
            lambda *args, **options: calls.append((args, options)) or "there.parquet",
        )
        line = [
            "emotion",
            "--data",
            "raw",
            "--source",
            "ck_plus",
            "--protocol",
            "random_frames",
            "--models",
            tmp_path,
            "--photos",
            200,
        ]
        result = run("crossvalidate", *line, "--epochs", 2)
        assert (result.exit_code, result.stdout) == (0, "there.parquet\n")
        run_folder = Path("runs/emotion-ck_plus-random_frames")
        options = {"epochs": 2, "learning_rate": 1e-3, "seed": 0, "precision": "float32"}
        assert calls == [
            (
                (
                    "emotion",
                    "small",
                    "ck_plus",
                    "random_frames",
                    Path("raw"),
                    tmp_path,
                    run_folder,
                    None,
                    200,
                ),
                options,
            )
        ]

    def test_data_that_is_not_there(self, tmp_path):
        result = run(
            "crossvalidate",
            "emotion",
            "--data",
            tmp_path,
            "--source",
            "ck_plus",
            "--protocol",
            "random_frames",
        )
        assert result.exit_code == 1
        assert f"Error: {tmp_path / 'CK+48'}: ck_plus " in result.stderr


class TestTrain:
    @pytest.fixture
    def calls(self, monkeypatch, tmp_path) -> list[tuple[tuple, dict]]:
        """Keep the arguments of the training, which does not run."""
        monkeypatch.chdir(tmp_path)
        calls = []
        from facekit.training import fusion, runs

        for module, name in ((runs, "run_training"), (fusion, "run_fusion_fit")):
            monkeypatch.setattr(
                module, name, lambda *arguments, **options: calls.append((arguments, options))
            )
        return calls

    def test_without_its_data(self, tmp_path):
        result = run("train", "gender", "--data", tmp_path, "--run", tmp_path / "run")
        assert result.exit_code == 1
        assert f"Error: {tmp_path / 'UTKFace'}: utkface " in result.stderr
        assert "https://" in result.stderr
        assert "Traceback" not in result.stderr

    def test_defaults(self, calls):
        from facekit.training.data import DataChoice
        from facekit.training.loop import TrainingConfig

        assert run("train", "gender", "--data", "raw").exit_code == 0
        ((arguments, options),) = calls
        assert arguments == (
            "gender",
            DataChoice(Path("raw")),
            None,
            Path("runs/gender"),
            None,  # the network of the course
            (),
            (),
            False,
        )
        assert options.pop("loss_weighting") is None
        assert options.pop("transfer") is None
        assert vars(TrainingConfig()).items() >= options.items()

    def test_every_option_is_passed_on(self, calls):
        from facekit.training.data import DataChoice

        chosen = {
            "models": "m", "run": "r", "network": "teacher", "sources": "utkface,fairface",
            "manifest": "all.parquet", "teacher": "answers.npz", "start-from": "faces.keras",
            "epochs": 3, "learning-rate": 0.01, "balance": 0.5,
            "teacher-share": 0, "seed": 7, "precision": "mixed_bfloat16", "loss-weighting": "fixed",
            "transfer": "gradual",
        }  # fmt: skip
        line = [word for name, value in chosen.items() for word in (f"--{name}", value)]
        assert run("train", "faces", "--data", "raw", *line, "--resume").exit_code == 0
        ((arguments, options),) = calls
        data = DataChoice(Path("raw"), ("utkface", "fairface"), Path("all.parquet"))
        assert arguments == (
            "faces",
            data,
            Path("m"),
            Path("r"),
            "teacher",
            (Path("faces.keras"),),
            (Path("answers.npz"),),
            True,
        )
        assert options == {
            "epochs": 3, "learning_rate": 0.01, "balance": 0.5, "teacher_share": 0, "seed": 7,
            "precision": "mixed_bfloat16", "loss_weighting": "fixed", "transfer": "gradual",
        }  # fmt: skip

    def test_every_loss_weighting_has_its_name(self, calls):
        from facekit.commands.train import train
        from facekit.training.loss_weighting import LOSS_WEIGHTINGS

        (option,) = (each for each in train.params if each.name == "loss_weighting")
        assert tuple(option.type.choices) == tuple(LOSS_WEIGHTINGS)
        for name in LOSS_WEIGHTINGS:
            assert run("train", "faces", "--data", "raw", "--loss-weighting", name).exit_code == 0
        assert [options["loss_weighting"] for _, options in calls] == list(LOSS_WEIGHTINGS)

    def test_every_transfer_has_its_name(self):
        from facekit.commands.train import train
        from facekit.training.transfer import TRANSFERS

        (option,) = (each for each in train.params if each.name == "transfer")
        assert tuple(option.type.choices) == tuple(TRANSFERS)

    def test_svm(self, monkeypatch, tmp_path):
        from facekit.training import svm
        from facekit.training.data import DataChoice

        calls = []
        monkeypatch.chdir(tmp_path)
        monkeypatch.setattr(svm, "train_svm", lambda *arguments: calls.append(arguments))
        line = ("--data", "raw", "--seed", 3, "--embedder", "dlib", "--models", "m")
        result = run("train", "svm", *line)
        assert result.exit_code == 0, result.output
        assert calls == [(DataChoice(Path("raw")), Path("m"), Path("runs/svm"), 3, "dlib")]

    def test_a_teachers_run_has_a_folder_of_its_own(self, calls):
        assert run("train", "faces", "--data", "raw", "--network", "teacher").exit_code == 0
        assert calls[0][0][3] == Path("runs/faces-teacher")

    def test_a_finished_run_keeps_its_folder(self, calls):
        for number in range(2):
            Path("runs", f"gender-{number + 1}" if number else "gender").mkdir(parents=True)
        Path("runs/gender/history.csv").touch()
        result = run("train", "gender", "--data", "raw")
        assert calls[0][0][3] == Path("runs/gender-2")
        assert "runs/gender holds a run already; this run goes to runs/gender-2." in result.stderr
        assert Path("runs/gender/history.csv").exists()

    def test_the_latest_interrupted_run_is_resumed(self, calls):
        for name in ("gender", "gender-2"):
            Path("runs", name, "backup").mkdir(parents=True)
        assert run("train", "gender", "--data", "raw", "--resume").exit_code == 0
        assert calls[0][0][3] == Path("runs/gender-2")

    def test_a_run_that_is_named_is_not_overwritten(self, tmp_path):
        (tmp_path / "history.csv").write_text("kept")
        result = run("train", "gender", "--data", tmp_path, "--run", tmp_path)
        assert result.exit_code == 1
        assert (
            f"Error: {tmp_path}: holds another run (history.csv). Choose another" in result.stderr
        )
        assert (tmp_path / "history.csv").read_text() == "kept"

    def test_fusion(self, calls):
        assert run("train", "fusion", "--data", "raw", "--seed", 3).exit_code == 0
        assert calls == [((Path("raw"), None, 3), {})]

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["height", "--data", "raw"], "'height' is not one of"),
            (["gender", "--data", "raw", "--epochs", "0"], "--epochs"),
            (["gender", "--data", "raw", "--teacher-share", "2"], "--teacher-share"),
            (["gender", "--data", "raw", "--network", "huge"], "'huge' is not one of"),
            (["faces", "--data", "raw", "--loss-weighting", "sum"], "'sum' is not one of"),
            (["faces", "--data", "raw", "--transfer", "melt"], "'melt' is not one of"),
            (["gender", "--data", "raw", "--learning-rate", "0"], "--learning-rate"),
            (["gender", "--data", "raw", "--balance", "-1"], "--balance"),
        ],
    )
    def test_wrong_usage(self, calls, arguments, message):
        result = run("train", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr
        assert not calls
