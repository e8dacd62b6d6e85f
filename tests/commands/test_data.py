"""`facekit data` as users meet it."""

import subprocess
import sys
from pathlib import Path

import pytest
from click.testing import CliRunner
from PIL import Image

from facekit.commands import main
from facekit.datasets.manifest import load_manifest


def run(*arguments):
    return CliRunner().invoke(main, ["data", *map(str, arguments)])


@pytest.fixture
def data_folder(save_noise, tmp_path) -> Path:
    """UTKFace of 20 pictures and a misnamed one."""
    for index in range(20):
        save_noise(
            tmp_path / "UTKFace" / f"{index + 1}_{index % 2}_{index % 5}_2017{index}.jpg.chip.jpg",
            index,
        )
    save_noise(tmp_path / "UTKFace" / "selfie.jpg", 99)
    return tmp_path


def test_list_tells_what_is_at_hand(data_folder):
    result = run("list", "--data", data_folder)
    assert result.exit_code == 0
    lines = {line.split()[0]: line for line in result.output.splitlines()}
    assert "21 of 23708" in lines["utkface"]
    assert lines["fairface"].split()[1] == "-"
    assert "https://susanqq.github.io/UTKFace" in lines["utkface"]


def test_list_tells_all_of_one(data_folder):
    result = run("list", "wider_face", "utkface", "--data", data_folder)
    assert result.exit_code == 0
    for text in (
        "md5 dfa7d7e790efa35df3788964cf0bbaea WIDER_val.zip",
        "3226 files images/*/*.jpg",
        "licence:   non-commercial research",
    ):
        assert text in result.output


def test_prepare_saves_manifest_and_faces(data_folder):
    result = run("prepare", "utkface", "--data", data_folder)
    assert result.exit_code == 0
    assert "facekit: " in result.stderr
    assert "1 malformed names left out: selfie.jpg" in result.stderr
    manifest = load_manifest(data_folder / "prepared" / "utkface.parquet")
    assert len(manifest) == 20
    assert (data_folder / "prepared" / "utkface-64x3.npz").is_file()
    assert "utkface: 20 faces" in result.stdout
    rows = {
        tuple(line.split()[:-3])[-1]: line.split()[-3:]
        for line in result.stdout.splitlines()
        if line.split()[3:]
    }
    assert rows["all"] == ["17", "1", "2"]
    assert sum(map(int, rows["female"] + rows["male"])) == 20
    assert sum(map(int, rows["0-2"])) == 2


def test_prepare_an_own_csv_by_another_protocol(portraits, tmp_path):
    Image.fromarray(portraits["group.jpg"]).save(tmp_path / "group.png")
    rows = (
        "group.png,923,211,1025,342,female",
        "group.png,450,507,550,641,",
        "group.png,2,2,40,40,male",
    )
    (tmp_path / "mine.csv").write_text("\n".join(("path,x1,y1,x2,y2,gender", *rows)))
    target = tmp_path / "out" / "manifest.parquet"
    result = run(
        "prepare",
        tmp_path / "mine.csv",
        "--data",
        tmp_path,
        "--output",
        target,
        "--protocol",
        "random_frames",
    )
    assert result.exit_code == 0
    assert "3 faces, 33.3% of them not found" in result.output
    assert "random_frames leaks" in result.output
    assert len(load_manifest(target)) == 3


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["fairface"], 1, "fairface is not there; get it from https://github.com/joojs/fairface"),
        (["lfw"], 1, "`name` must be one of utkface"),
        (
            ["utkface", "--protocol", "official"],
            1,
            "official needs a split of the dataset's own, which utkface has not",
        ),
        (["utkface", "--protocol", "stratified"], 1, "`name` must be one of the protocols"),
        (
            ["utkface", "--fold", "3"],
            1,
            "`fold` must be from 0 to 9, and is for subject_disjoint and random_frames",
        ),
        (["utkface", "--download"], 1, "`download` is for dataturks"),
        (
            ["utkface", "fairface", "--output", "a.parquet"],
            2,
            "--output takes the manifest of one dataset",
        ),
        ([], 2, "Missing argument"),
    ],
)
def test_mistakes_are_named(arguments, code, message, data_folder):
    result = run("prepare", *arguments, "--data", data_folder)
    assert result.exit_code == code
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert not (data_folder / "prepared").exists()


def test_help_does_without_pandas():
    script = (
        "import sys, facekit.commands; print(*{'pandas', 'scipy', 'pyarrow'} & set(sys.modules))"
    )
    assert (
        subprocess.run(
            [sys.executable, "-c", script], capture_output=True, text=True, check=True
        ).stdout.strip()
        == ""
    )
