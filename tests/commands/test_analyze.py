"""The command as users meet it: a process of its own, real files, real models."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from facekit.commands import main
from facekit.evaluation.figures import format_figure
from facekit.faces import COLUMNS
from facekit.registry import find_model
from facekit.video import VideoWriter


@pytest.fixture
def folder(portraits, tmp_path) -> Path:
    """A folder of two good pictures, one of them deeper, and several bad ones."""
    root = tmp_path / "photos"
    (root / "deep" / "deeper").mkdir(parents=True)
    Image.fromarray(portraits["astronaut.png"]).save(root / "a.png")
    Image.fromarray(portraits["grace_hopper.jpg"]).save(root / "deep" / "deeper" / "b.JPG")
    (root / "empty.jpg").touch()
    (root / "text.jpg").write_text("no picture")
    (root / "cut.jpg").write_bytes((root / "deep" / "deeper" / "b.JPG").read_bytes()[:9000])
    (root / "notes.txt").write_text("not to be read")
    return root


def run(*arguments):
    return CliRunner().invoke(main, [str(argument) for argument in arguments])


def test_folder_with_bad_files(folder, tmp_path):
    output, errors = tmp_path / "out" / "faces.csv", tmp_path / "errors.csv"
    result = run("analyze", folder, "--output", output, "--errors", errors)
    assert result.exit_code == 1
    table = pd.read_csv(output)
    assert table.columns.tolist() == list(COLUMNS)
    assert table["image"].tolist() == [
        str(folder / "a.png"),
        str(folder / "deep" / "deeper" / "b.JPG"),
    ]
    assert table["frame"].isna().all()
    assert table["ethnicity"].isna().all()
    failed = pd.read_csv(errors)
    assert sorted(Path(path).name for path in failed["image"]) == [
        "cut.jpg",
        "empty.jpg",
        "text.jpg",
    ]
    for path, message in zip(failed["image"], failed["error"], strict=True):
        assert message.startswith(path)
        assert f"facekit: {message}" in result.stderr
    assert "Traceback" not in result.output


@pytest.mark.parametrize("suffix", [".csv", ".parquet", ".jsonl"])
def test_formats_hold_the_same(folder, tmp_path, suffix):
    output = tmp_path / f"faces{suffix}"
    assert run("analyze", folder / "a.png", "--output", output).exit_code == 0
    readers = {
        ".csv": pd.read_csv,
        ".parquet": pd.read_parquet,
        ".jsonl": lambda path: pd.read_json(path, lines=True),
    }
    table = readers[suffix](output)
    assert table.columns.tolist() == list(COLUMNS)
    assert table.loc[0, "gender"] == "female"
    assert table.loc[0, "left_eye_x"] < table.loc[0, "right_eye_x"]


def test_without_output_csv_is_printed(folder):
    result = run("analyze", folder / "a.png", "--attributes", "gender,ethnicity")
    assert result.exit_code == 0
    header, row = result.stdout.strip().splitlines()
    assert header == ",".join(COLUMNS)
    assert row.startswith(str(folder / "a.png"))


def test_cropped_gives_one_row_an_image(folder, tmp_path):
    Image.fromarray(np.full((48, 48), 120, np.uint8)).save(folder / "flat.png")
    output = tmp_path / "faces.jsonl"
    assert (
        run(
            "analyze", folder / "flat.png", folder / "a.png", "--cropped", "--output", output
        ).exit_code
        == 0
    )
    rows = [json.loads(line) for line in output.read_text().splitlines()]
    assert [(row["face"], row["score"] > 0) for row in rows] == [(0, False), (0, True)]
    assert rows[0]["left_eye_x"] is None


def test_no_faces_give_an_empty_table(tmp_path):
    picture, output = tmp_path / "wall.png", tmp_path / "faces.csv"
    Image.fromarray(np.full((60, 60, 3), 180, np.uint8)).save(picture)
    assert run("analyze", picture, "--output", output).exit_code == 0
    assert output.read_text().strip() == ",".join(COLUMNS)


def test_annotated_pictures_keep_their_places(folder, tmp_path):
    drawn = tmp_path / "drawn"
    assert run("analyze", folder, "--annotate", drawn, "--min-face", 60).exit_code == 1
    assert sorted(str(path.relative_to(drawn)) for path in drawn.rglob("*.*")) == [
        "a.png.jpg",
        "deep/deeper/b.JPG",
    ]


def test_drawings_of_like_names_keep_apart(folder, tmp_path):
    drawn = tmp_path / "drawn"
    (folder / "deep" / "a.png").write_bytes((folder / "a.png").read_bytes())
    assert (
        run(
            "analyze",
            folder / "a.png",
            folder / "deep" / "a.png",
            "--annotate",
            drawn,
            "--min-face",
            60,
        ).exit_code
        == 0
    )
    assert sorted(path.name for path in drawn.iterdir()) == ["a-2.png.jpg", "a.png.jpg"]


@pytest.mark.parametrize(
    "output",
    [[], ["--output", "faces.csv"], ["--output", "faces.jsonl"], ["--output", "faces.parquet"]],
)
def test_names_that_are_no_text(folder, monkeypatch, output):
    monkeypatch.chdir(folder)
    odd = os.fsencode(folder) + b"/caf\xe9.png"
    Path(os.fsdecode(odd)).write_bytes((folder / "a.png").read_bytes())
    result = run("analyze", os.fsdecode(odd), "--attributes", "gender", *output)
    assert result.exit_code == 0, result.output


def test_annotating_never_overwrites_a_source(folder):
    before = (folder / "deep" / "deeper" / "b.JPG").read_bytes()
    assert run("analyze", folder / "deep", "--annotate", folder / "deep").exit_code == 0
    assert (folder / "deep" / "deeper" / "b.JPG").read_bytes() == before
    assert (folder / "deep" / "deeper" / "b-annotated.JPG").exists()


def test_video_and_its_broken_end(portraits, tmp_path):
    like = tmp_path / "still.mp4"
    frames = [np.ascontiguousarray(portraits["astronaut.png"][:300, 60:360]) for _ in range(4)]
    with VideoWriter(like, frames_per_second=10) as writer:
        for frame in frames:
            writer.write(frame)
    broken = tmp_path / "broken.mp4"
    broken.write_bytes(like.read_bytes()[:2000])
    output, drawn = tmp_path / "faces.csv", tmp_path / "drawn"
    result = run("analyze", like, broken, "--output", output, "--annotate", drawn)
    assert result.exit_code == 1
    assert str(broken) in result.stderr
    table = pd.read_csv(output)
    assert table["frame"].tolist() == [0, 1, 2, 3]
    assert (drawn / "still.mp4").stat().st_size > 0


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ("nowhere.jpg", "nowhere.jpg: no such file"),
        ("empty", "holds no pictures"),
        ("empty.mp4", "the file is empty"),
    ],
)
def test_inputs_that_cannot_be_read(tmp_path, monkeypatch, given, message):
    monkeypatch.chdir(tmp_path)
    Path("empty").mkdir()
    Path("empty.mp4").touch()
    result = run("analyze", given)
    assert result.exit_code == 1
    assert message in result.stderr


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "Missing argument"),
        (
            ["x.jpg", "--attributes", "age,height"],
            "'age,height' is not a list of age, gender, emotion, ethnicity",
        ),
        (["x.jpg", "--output", "faces.xls"], "must end in .csv, .parquet, .jsonl"),
        (["x.jpg", "--min-face", "3"], "--min-face"),
        (["x.jpg", "--annotate", __file__], "is a file; name a folder"),
    ],
)
def test_wrong_usage(arguments, message):
    result = run("analyze", *arguments)
    assert result.exit_code == 2
    assert message in result.stderr


@pytest.mark.parametrize(
    ("damage", "message"),
    [(Path.unlink, "is missing"), (lambda path: path.write_bytes(b"x"), "damaged")],
)
def test_broken_model(folder, tmp_path, monkeypatch, damage, message):
    models = tmp_path / "models"
    source = Path(__file__).parents[2] / "models"
    for name in (
        "index.json",
        "fusion.json",
        *(f"mtcnn/{net}.onnx" for net in ("pnet", "rnet", "onet")),
        "faces/faces.onnx",
    ):
        (models / name).parent.mkdir(parents=True, exist_ok=True)
        (models / name).write_bytes((source / name).read_bytes())
    damage(models / "faces" / "faces.onnx")
    monkeypatch.setenv("FACEKIT_MODELS", str(models))
    result = run("analyze", folder / "a.png", "--attributes", "age")
    assert result.exit_code == 1
    assert message in result.stderr
    assert str(models / "faces" / "faces.onnx") in result.stderr


def test_help_names_what_there_is():
    text = run("--help").stdout
    assert all(
        name in text
        for name in ("analyze", "demo", "train", "facekit analyze photos/ --output faces.csv")
    )


def test_evaluate_prints_the_figures_of_the_index():
    result = run("evaluate", "gender")
    assert result.exit_code == 0
    figures = find_model("gender")[0].metrics["figures"]
    assert figures
    for figure in figures:
        assert f"| utkface test | group_disjoint | {format_figure(figure)} |" in result.stdout


def test_evaluate_prints_the_papers_tables():
    result = run("evaluate", "paper-tables")
    assert result.exit_code == 0
    assert (
        next(line for line in result.stdout.splitlines() if line.startswith("## Table"))
        == "## Table 2. Age"
    )


class TestCrossvalidate:
    def test_options_are_handed_over(self, monkeypatch, tmp_path):
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
        assert "ck_plus is not there; get it from" in result.stderr


class TestTrain:
    @pytest.fixture
    def calls(self, monkeypatch) -> list[tuple[tuple, dict]]:
        """What is handed to the training, which does not run."""

        calls = []
        from facekit.training import course

        for name in ("run_training", "run_fusion_fit"):
            monkeypatch.setattr(
                course, name, lambda *arguments, **options: calls.append((arguments, options))
            )
        return calls

    def test_without_its_data(self, tmp_path):
        result = run("train", "gender", "--data", tmp_path, "--run", tmp_path / "run")
        assert result.exit_code == 1
        assert (
            f"Error: {tmp_path / 'UTKFace'}: utkface is not there; get it from https://"
            in result.stderr
        )

    def test_defaults(self, calls):
        from facekit.training.course import DataChoice
        from facekit.training.loop import TrainingConfig

        assert run("train", "gender", "--data", "raw").exit_code == 0
        ((arguments, options),) = calls
        assert arguments == (
            "gender",
            DataChoice(Path("raw")),
            None,
            Path("runs/gender"),
            "small",
            None,
            None,
            False,
        )
        assert vars(TrainingConfig()).items() >= options.items()

    def test_every_option_is_handed_over(self, calls):
        from facekit.training.course import DataChoice

        chosen = {
            "models": "m", "run": "r", "network": "teacher", "sources": "utkface,fairface", "manifest": "all.parquet",
            "teacher": "answers.npz", "start-from": "faces.keras", "epochs": 3, "learning-rate": 0.01, "balance": 0.5,
            "teacher-share": 0, "seed": 7, "precision": "mixed_bfloat16",
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
            Path("faces.keras"),
            Path("answers.npz"),
            True,
        )
        assert options == {
            "epochs": 3, "learning_rate": 0.01, "balance": 0.5, "teacher_share": 0, "seed": 7,
            "precision": "mixed_bfloat16",
        }  # fmt: skip

    def test_a_teachers_run_has_a_folder_of_its_own(self, calls):
        assert run("train", "faces", "--data", "raw", "--network", "teacher").exit_code == 0
        assert calls[0][0][3] == Path("runs/faces-teacher")

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
        ],
    )
    def test_wrong_usage(self, calls, arguments, message):
        result = run("train", *arguments)
        assert result.exit_code == 2
        assert message in result.stderr
        assert not calls


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux tells a process its peak memory"
)
def test_a_hundred_megapixels_fit_in_a_laptop(portraits, tmp_path):
    """Three bytes a pixel are 300 MB; Pillow needs four, and two copies while it hands them over."""
    photo = tmp_path / "large.jpg"
    wall = Image.new("RGB", (10_000, 10_000), (90, 110, 130))
    wall.paste(Image.fromarray(portraits["astronaut.png"]).resize((4000, 4000)), (3000, 5000))
    wall.save(photo)
    program = (
        "import sys; from facekit.commands import main; main(sys.argv[1:], standalone_mode=False); "
        "print(*[line.split()[1] for line in open('/proc/self/status') if line.startswith('VmHWM')])"
    )
    arguments = ["analyze", photo, "--min-face", "100", "--output", tmp_path / "faces.csv"]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 1_500_000  # kilobytes
    table = pd.read_csv(tmp_path / "faces.csv")
    assert len(table) == 1
    assert 3000 < table.loc[0, "x1"] < table.loc[0, "x2"] < 7000


def test_analysis_imports_nothing_heavy(folder):
    program = "import sys; from facekit.commands import main; main(sys.argv[1:], standalone_mode=False); print(*sys.modules)"
    arguments = [
        "analyze",
        folder / "a.png",
        "--output",
        folder / "faces.parquet",
        "--annotate",
        folder / "drawn",
    ]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    loaded = set(result.stdout.split())
    heavy = {
        "tensorflow",
        "keras",
        "pandas.plotting",
        "matplotlib",
        "IPython",
        "jupyter_client",
        "ipywidgets",
        "scipy",
        "skimage",
    }
    assert not loaded & heavy
    assert "onnxruntime" in loaded
