import subprocess
import sys

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from facekit.commands import main

EXTRAS = ("matplotlib", "skimage", "IPython", "anywidget", "ipywidgets", "nbformat", "jinja2")


def run(*arguments):
    return CliRunner().invoke(main, ["demo", *map(str, arguments)])


@pytest.fixture
def photo(tmp_path):
    Image.fromarray(np.full((40, 60, 3), 90, np.uint8)).save(tmp_path / "me.png")
    return tmp_path / "me.png"


def test_sample_photos(tmp_path):
    result = run("--output", tmp_path)
    assert result.exit_code == 0
    assert f"8 faces found; open {tmp_path / 'index.html'}" in result.stdout
    table = pd.read_csv(tmp_path / "faces.csv")
    assert table["image"].value_counts().to_dict() == {
        "group.jpg": 6,
        "astronaut.png": 1,
        "grace_hopper.jpg": 1,
    }
    page = (tmp_path / "index.html").read_text()
    for name in ("astronaut", "grace_hopper", "group"):
        assert f'src="{name}.jpg"' in page
        assert (tmp_path / f"{name}-annotated.jpg").exists()


def test_a_missing_photo(tmp_path):
    result = run(tmp_path / "me.jpg", "--output", tmp_path / "demo")
    assert result.exit_code == 1
    assert "me.jpg: no such file" in result.stderr
    assert not (tmp_path / "demo").exists()


def test_a_page_of_the_user(tmp_path, photo):
    (tmp_path / "index.html").write_text("my page")
    result = run(photo, "--output", tmp_path)
    assert result.exit_code == 1
    assert "index.html: exists, and no demo wrote it; choose another folder" in result.stderr
    assert (tmp_path / "index.html").read_text() == "my page"


def run_without_extras(*arguments):
    """Run the command in a process where the packages of all extras are missing."""
    code = (
        "import sys\n"
        f"sys.modules |= dict.fromkeys({EXTRAS})\n"
        "from facekit.commands import main; main()"
    )
    command = [sys.executable, "-c", code, "demo", *map(str, arguments)]
    return subprocess.run(command, capture_output=True, text=True, check=False)


def test_sample_photos_without_extras(tmp_path):
    result = run_without_extras("--output", tmp_path / "demo")
    assert result.returncode == 1
    remedy = "This command needs matplotlib. Run: pip install 'facekit[demo]'"
    assert result.stderr.strip() == f"Error: {remedy}"
    assert not (tmp_path / "demo").exists()


def test_own_photos_need_no_extra(tmp_path, photo):
    result = run_without_extras(photo, "--output", tmp_path / "demo")
    assert result.returncode == 0, result.stderr
    assert "0 faces found" in result.stdout
    assert (tmp_path / "demo" / "index.html").exists()
