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
from facekit.faces import COLUMNS
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


def test_another_detector(folder, tmp_path):
    tables = {}
    for detector in ("mtcnn", "yunet"):
        output = tmp_path / f"{detector}.csv"
        arguments = ["--output", output, "--detector", detector, "--min-face", 60]
        assert run("analyze", folder / "a.png", *arguments).exit_code == 0
        tables[detector] = pd.read_csv(output)
    assert tables["yunet"].loc[0, "gender"] == "female"
    assert tables["yunet"].loc[0, "score"] != tables["mtcnn"].loc[0, "score"]


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


def test_two_inputs_of_one_name_beside_one_of_them(folder, monkeypatch):
    monkeypatch.chdir(folder)
    Path("sub").mkdir()
    Path("sub/a.jpg").write_bytes(Path("deep/deeper/b.JPG").read_bytes())
    Path("a.jpg").write_bytes(Path("deep/deeper/b.JPG").read_bytes())
    before = Path("a.jpg").read_bytes()
    result = run("analyze", "sub/a.jpg", "a.jpg", "--annotate", ".", "--min-face", 60)
    assert result.exit_code == 0
    assert Path("a.jpg").read_bytes() == before
    assert "a.jpg is taken; the drawing of sub/a.jpg goes to a-2.jpg" in result.stderr
    assert Path("a-2.jpg").exists()
    assert Path("a-annotated.jpg").exists()


class TestOutputsAreCheckedFirst:
    """Wrong usage, found before any picture is read."""

    @pytest.fixture(autouse=True)
    def _in_a_folder_without_models(self, folder, monkeypatch):
        monkeypatch.chdir(folder)
        monkeypatch.setattr("facekit.batch.run.read_image", None)

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--errors", "a.png"], "--errors: a.png must end in .csv"),
            (["--errors", "mine.csv"], "mine.csv exists and is not a table that facekit wrote"),
            (["--output", "mine.csv"], "--output: mine.csv exists and is not a table"),
            (["--output", "e.csv", "--errors", "e.csv"], "e.csv is also the output"),
            (["--output", "d.csv", "--annotate", "d.csv"], "is also the folder of the drawings"),
            (["--annotate", "notes.txt"], "notes.txt is a file; name a folder"),
            (["--annotate", "notes.txt/drawn"], "--annotate: notes.txt/drawn cannot be written"),
            (["--resume"], "--resume: Only a run with an output can be resumed"),
        ],
    )
    def test_wrong_outputs(self, arguments, message, folder):
        Path("mine.csv").write_text("my,own\n1,2\n")
        before = {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}
        result = run("analyze", "a.png", *arguments)
        assert (result.exit_code, result.stdout) == (2, "")
        assert message in " ".join(result.stderr.split())
        assert before == {path: path.read_bytes() for path in folder.rglob("*") if path.is_file()}


def test_a_typo_keeps_last_weeks_table(folder, tmp_path):
    output = tmp_path / "faces.csv"
    run("analyze", folder / "a.png", "--output", output, "--min-face", 60)
    before = output.read_bytes()
    result = run("analyze", folder / "typo.png", "--output", output)
    assert result.exit_code == 1
    assert output.read_bytes() == before
    assert "faces.csv keeps the table of an earlier run: no input was read." in result.stderr


def test_a_full_disk_is_one_line(folder, small_disk):
    with pytest.raises(OSError, match="No space"):
        (small_disk / "ballast").write_bytes(b"x" * 100_000)
    arguments = ["--output", small_disk / "faces.csv", "--errors", folder / "errors.csv"]
    result = run("analyze", folder / "text.jpg", folder / "a.png", *arguments, "--min-face", 60)
    assert result.exit_code == 1
    assert f"Error: {small_disk / 'faces.csv'}: No space left on device\n" in result.stderr
    assert "text.jpg" in (folder / "errors.csv").read_text()
    assert [path.name for path in small_disk.iterdir()] == ["ballast"]


PROGRAM = "from facekit.commands import main; main()"


@pytest.mark.parametrize("stream", ["2>&-", "2>/dev/full"])
def test_sentences_that_cannot_be_shown_cost_no_rows(stream, folder):
    arguments = f"analyze {folder}/a.png typo.png --min-face 60"
    program = f"{sys.executable} -c '{PROGRAM}' {arguments} {stream}"
    result = subprocess.run(program, shell=True, capture_output=True, text=True)
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 2


@pytest.mark.parametrize(
    ("stream", "status", "message"),
    [(">&-", 0, ""), (">/dev/full", 1, "Error: standard output: No space left on device\n")],
)
def test_rows_that_cannot_be_printed(stream, status, message, folder):
    arguments = f"analyze {folder}/a.png --min-face 60"
    program = f"{sys.executable} -c '{PROGRAM}' {arguments} {stream}"
    result = subprocess.run(program, shell=True, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (status, message)


@pytest.mark.parametrize("kind", ["SIGTERM", "SIGINT"])
def test_a_run_that_is_ended_keeps_its_rows(kind, folder, tmp_path):
    output = tmp_path / "faces.csv"
    program = """
import os, signal, sys
from facekit.batch import run
from facekit.commands import main
read = run.read_image
def interrupt(path):
    if path.endswith("b.JPG"):
        run.GROUP_FILES = 1
        os.kill(os.getpid(), getattr(signal, sys.argv.pop()))
    return read(path)
run.read_image, run.GROUP_FILES = interrupt, 1
main(sys.argv[1:-1])
"""
    arguments = ["analyze", folder, "--output", output, "--min-face", "60", kind]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True
    )
    assert result.returncode == 1
    assert "Traceback" not in result.stderr
    assert "with --resume" in result.stderr
    assert len(pd.read_csv(output)) == 1
    arguments = ["--output", output, "--min-face", 60, "--resume"]
    assert run("analyze", folder, *arguments).exit_code == 1, "three pictures are broken"
    assert len(pd.read_csv(output)) == 2


def test_a_terminal_without_the_characters_of_a_name(folder):
    name = folder / "日本語.png"
    name.write_bytes((folder / "a.png").read_bytes())
    result = subprocess.run(
        [
            sys.executable,
            "-c",
            PROGRAM,
            "analyze",
            name,
            folder / "無し.png",
            "--min-face",
            "60",
        ],
        capture_output=True,
        env=os.environ | {"PYTHONIOENCODING": "cp1252"},
    )
    assert result.returncode == 1
    assert rb"\u65e5\u672c\u8a9e.png,,0," in result.stdout
    assert rb"\u7121\u3057.png: no such file" in result.stderr
    assert b"Traceback" not in result.stderr


def test_pictures_come_through_pipes(folder):
    program = f"cat {folder / 'a.png'} | {sys.executable} -c '{PROGRAM}' analyze /dev/stdin"
    result = subprocess.run(program, shell=True, capture_output=True, text=True)
    assert (result.returncode, result.stderr) == (0, "")
    assert result.stdout.splitlines()[1].startswith("/dev/stdin,,0,")


def test_odd_inputs_lose_nothing_of_the_others(folder):
    odd = ["x" * 300 + ".png", "/9j/4AAQSkZJRg" * 300, "https://example.org/a.jpg", ""]
    result = run("analyze", *odd, folder / "a.png", "--min-face", 60)
    assert result.exit_code == 1
    assert len(result.stdout.splitlines()) == 2
    assert len(result.stderr.splitlines()) == 4


@pytest.mark.skipif(not hasattr(os, "geteuid") or os.geteuid() != 0, reason="needs another user")
def test_a_parent_that_may_not_be_searched(folder, tmp_path):
    from facekit.registry import get_models_dir

    # Permissions do not hold for root.
    locked = tmp_path / "locked"
    locked.mkdir()
    (locked / "a.png").write_bytes((folder / "a.png").read_bytes())
    locked.chmod(0)
    for path in (tmp_path, *tmp_path.parents[:-2]):
        path.chmod(path.stat().st_mode | 0o755)
    program = """
import os, sys
from facekit.commands import main
from PIL import Image; Image.init()
import asyncio, tqdm.auto  # files that the other user may not be able to read
os.setgroups([])
os.setgid(65534)
os.setuid(65534)
if not os.access(sys.argv.pop(), os.R_OK):
    sys.exit(77)
main(sys.argv[1:])
"""
    arguments = ["analyze", locked / "a.png", locked, folder / "a.png", "--min-face", "60"]
    command = [sys.executable, "-c", program, *arguments, get_models_dir() / "index.json"]
    result = subprocess.run(command, capture_output=True, text=True)
    if result.returncode == 77:
        pytest.skip("other users may not read facekit here")
    assert result.returncode == 1
    assert len(result.stdout.splitlines()) == 2
    assert f"{locked / 'a.png'}: " in result.stderr
    assert "Traceback" not in result.stderr


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
        (["x.jpg", "--min-face", "nan"], "'nan' is not a finite number"),
        (["x.jpg", "--min-face", "inf"], "'inf' is not a finite number"),
        (["x.jpg", "--annotate", __file__], "is a file; name a folder"),
        (["x.jpg", "--detector", "haar"], "'haar' is not one of 'mtcnn', 'yunet', 'viola_jones'"),
        (["x.jpg", "--detector", "yunet", "--cropped"], "must be mtcnn if the images are cropped"),
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


@pytest.mark.slow
@pytest.mark.skipif(
    not Path("/proc/self/status").exists(), reason="only Linux reports the peak memory of a process"
)
def test_a_hundred_megapixels_fit_in_a_laptop(portraits, tmp_path):
    """Three bytes per pixel are 300 MB; Pillow needs four, and two copies for a moment."""
    photo = tmp_path / "large.jpg"
    wall = Image.new("RGB", (10_000, 10_000), (90, 110, 130))
    wall.paste(Image.fromarray(portraits["astronaut.png"]).resize((4000, 4000)), (3000, 5000))
    wall.save(photo)
    program = """
import re, sys
from facekit.commands import main
main(sys.argv[1:], standalone_mode=False)
print(re.search(r"VmHWM:\\s+(\\d+)", open("/proc/self/status").read())[1])
"""
    arguments = ["analyze", photo, "--min-face", "100", "--output", tmp_path / "faces.csv"]
    result = subprocess.run(
        [sys.executable, "-c", program, *arguments], capture_output=True, text=True, check=True
    )
    assert int(result.stdout) < 1_500_000  # kilobytes
    table = pd.read_csv(tmp_path / "faces.csv")
    assert len(table) == 1
    assert 3000 < table.loc[0, "x1"] < table.loc[0, "x2"] < 7000


def test_analysis_imports_nothing_heavy(folder):
    program = """
import sys
from facekit.commands import main
main(sys.argv[1:], standalone_mode=False)
print(*sys.modules)
"""
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
        "pandas",
        "matplotlib",
        "IPython",
        "jupyter_client",
        "ipywidgets",
        "scipy",
        "skimage",
    }
    assert not loaded & heavy
    assert "onnxruntime" in loaded
