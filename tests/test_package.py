"""The wheel, installed into two clean environments: analysis alone, and with the notebooks.

uv makes the environments and fetches what they need, in the versions of `requirements.txt`. All
commands run outside the checkout, so that nothing but the installed files can be found.
"""

import json
import os
import re
import subprocess
import sys
import time
import urllib.request
import zipfile
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image
from uv import find_uv_bin

ROOT = Path(__file__).parent.parent
LESSONS = sorted(path.name for path in ROOT.glob("notebooks/*.ipynb"))
TOKEN = "facekit"
START_SECONDS = 120  # of JupyterLab, on a busy machine
UNREACHABLE = re.compile(
    r"error sending request|dns error|failed to lookup|connection (refused|reset)|timed out", re.I
)
pytestmark = pytest.mark.slow


class Environment:
    """A virtual environment outside the checkout, and a folder to run commands in."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.work = folder / "work"
        self.work.mkdir(parents=True)
        self.bin = folder / "venv" / ("Scripts" if os.name == "nt" else "bin")
        hidden = ("PYTHON", "JUPYTER", "IPYTHON", "FACEKIT", "VIRTUAL_ENV")
        kept = {name: text for name, text in os.environ.items() if not name.startswith(hidden)}
        homes = ("JUPYTER_CONFIG_DIR", "JUPYTER_RUNTIME_DIR", "JUPYTER_DATA_DIR", "IPYTHONDIR")
        self.variables = kept | {name: str(folder / name.lower()) for name in homes}

    def install(self, requirement: str) -> None:
        """Make the environment and install a requirement; skip where the index is out of reach."""
        self._run_uv("venv", "--python", sys.executable, self.folder / "venv")
        pins = ("--constraint", ROOT / "requirements.txt")
        self._run_uv("pip", "install", "--python", self.folder / "venv", *pins, requirement)

    def run(self, *command: object, succeeds: bool | None = True) -> subprocess.CompletedProcess:
        """Run a program of the environment; with `succeeds=None` it may succeed or fail."""
        program, *arguments = map(str, command)
        finished = subprocess.run(
            [self.bin / program, *arguments],
            cwd=self.work,
            env=self.variables,
            capture_output=True,
            text=True,
            encoding="utf-8",
            check=False,
        )
        if succeeds is not None:
            assert (finished.returncode == 0) == succeeds, finished.stdout + finished.stderr
        return finished

    def _run_uv(self, *arguments: object) -> None:
        uv = subprocess.run(
            [find_uv_bin(), *map(str, arguments)], capture_output=True, text=True, check=False
        )
        if uv.returncode and UNREACHABLE.search(uv.stderr):
            pytest.skip(f"the package index cannot be reached: {uv.stderr.strip()[-300:]}")
        assert uv.returncode == 0, uv.stderr


@pytest.fixture(scope="module")
def wheel(tmp_path_factory) -> Path:
    """The wheel of this checkout, built without a network."""
    folder = tmp_path_factory.mktemp("wheel")
    build = [sys.executable, "-m", "build", "--wheel", "--no-isolation", "--outdir", folder, ROOT]
    built = subprocess.run(build, capture_output=True, text=True, check=False)
    assert built.returncode == 0, built.stdout + built.stderr
    (path,) = folder.glob("*.whl")
    return path


@pytest.fixture(scope="module")
def base(wheel, tmp_path_factory, portraits) -> Environment:
    """An environment with `pip install facekit`, and a photo in its working folder."""
    environment = Environment(tmp_path_factory.mktemp("base"))
    environment.install(str(wheel))
    Image.fromarray(portraits["grace_hopper.jpg"]).save(environment.work / "hopper.jpg")
    return environment


@pytest.fixture(scope="module")
def with_notebooks(wheel, tmp_path_factory) -> Environment:
    """An environment with `pip install facekit[notebooks]`."""
    environment = Environment(tmp_path_factory.mktemp("notebooks"))
    environment.install(f"facekit[notebooks] @ {wheel.as_uri()}")
    return environment


# === The wheel itself ===


def list_wheel(wheel: Path, folder: str) -> set[str]:
    """Return the paths of the wheel's files in one of its folders, relative to that folder."""
    names = zipfile.ZipFile(wheel).namelist()
    return {name.removeprefix(folder) for name in names if name.startswith(folder)}


def list_checkout(folder: str, patterns: tuple[str, ...]) -> set[str]:
    """Return the paths of the checkout's files in one of its folders, relative to that folder."""
    top = ROOT / folder
    paths = (path for pattern in patterns for path in top.glob(pattern) if path.is_file())
    return {path.relative_to(top).as_posix() for path in paths}


@pytest.mark.parametrize(
    ("installed", "source", "patterns"),
    [
        ("facekit/models/", "models", ("**/*",)),
        (
            "facekit/lessons/notebooks/",
            "notebooks",
            ("*.ipynb", "exercises/*.ipynb", "solutions/*.ipynb"),
        ),
        ("facekit/reports/notebooks/", "notebooks/reports", ("*.ipynb",)),
        ("facekit/datasets/datasheets/", "data", ("*.md",)),
    ],
)
def test_the_wheel_holds_what_the_package_reads(wheel, installed, source, patterns):
    expected = list_checkout(source, patterns)
    assert expected
    assert list_wheel(wheel, installed) == expected


def test_the_wheel_is_typed_and_holds_nothing_else(wheel):
    assert "py.typed" in list_wheel(wheel, "facekit/")
    tops = {name.partition("/")[0] for name in zipfile.ZipFile(wheel).namelist()}
    assert {top.partition("-")[0] for top in tops} == {"facekit"}
    assert wheel.stat().st_size < 30_000_000


def test_the_readme_has_absolute_links_to_files_that_exist():
    """Relative ones do not work on the page of the package index."""
    text = (ROOT / "README.md").read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)]+)\)|<img [^>]*src=\"([^\"]+)\"", text)
    for link in ("".join(pair) for pair in links):
        assert link.startswith("https://")
        ours = re.fullmatch(r"https://[\w.]+/facekit/facekit/(?:blob/)?main/(.+)", link)
        assert ours is None or (ROOT / ours[1]).is_file(), link


def test_the_lock_names_no_index():
    assert "://" not in (ROOT / "requirements.txt").read_text(encoding="utf-8")


# === Analysis alone ===


def test_base_has_no_more_than_it_needs(base):
    for package in ("matplotlib", "keras", "tensorflow", "ipywidgets", "jupyterlab", "sklearn"):
        base.run("python", "-c", f"import {package}", succeeds=False)
    where = base.run("python", "-c", "import facekit; print(facekit.__file__)").stdout
    assert str(base.folder) in where


def test_base_help(base):
    text = base.run("facekit", "--help").stdout
    for command in ("analyze", "app", "data", "demo", "evaluate", "lessons", "report", "train"):
        assert re.search(rf"^  {command} ", text, re.MULTILINE)
        base.run("facekit", command, "--help")
    assert base.run("facekit", "--version").stdout.startswith("facekit")


def test_base_analyzes_a_picture(base):
    base.run("facekit", "analyze", "hopper.jpg", "--output", "faces.csv", "--annotate", "drawn")
    header, row = (base.work / "faces.csv").read_text(encoding="utf-8").splitlines()
    face = dict(zip(header.split(","), row.split(","), strict=True))
    assert face["image"] == "hopper.jpg"
    assert (face["age_range"], face["emotion"]) == ("66+", "neutral")
    assert len(list((base.work / "drawn").iterdir())) == 1


def test_base_evaluates_the_shipped_models(base):
    text = base.run("facekit", "evaluate", "gender").stdout
    assert re.search(r"utkface.*accuracy.*\d\d\.\d%", text)
    assert "Table" in base.run("facekit", "evaluate", "paper-tables").stdout


def test_base_makes_a_page_of_ones_own_photo(base):
    base.run("facekit", "demo", "hopper.jpg", "--output", "page")
    assert "hopper.jpg" in (base.work / "page" / "index.html").read_text(encoding="utf-8")


def test_base_lists_datasets(base):
    assert "utkface" in base.run("facekit", "data", "list").stdout
    text = base.run("facekit", "data", "list", "utkface").stdout
    (named,) = re.findall(r"\S+utkface\.md", text)
    assert (base.work / named).is_file()


def test_base_copies_the_lessons(base):
    base.run("facekit", "lessons", "course")
    copied = base.work / "course"
    assert sorted(path.name for path in copied.glob("*.ipynb")) == LESSONS
    for folder in ("exercises", "solutions"):  # the glossary has none
        names = sorted(path.name for path in (copied / folder).glob("*.ipynb"))
        assert names == [name for name in LESSONS if "glossary" not in name]


@pytest.mark.parametrize(
    ("command", "extra"),
    [
        (("demo",), "demo"),
        (("train", "gender"), "train"),
        (("crossvalidate", "age", "--source", "utkface", "--protocol", "group_disjoint"), "train"),
        (("report", "photo", "--parameters", "photo=hopper.jpg", "--output", "out"), "notebooks"),
        (("report", "evaluation", "--output", "out"), "notebooks"),
        (("app", "--no-browser"), "notebooks"),
    ],
    ids=lambda value: value if isinstance(value, str) else "-".join(value[:2]),
)
def test_base_names_the_missing_extra_in_one_line(base, command, extra):
    stderr = base.run("facekit", *command, succeeds=False).stderr
    (line,) = stderr.strip().splitlines()
    assert re.fullmatch(rf"Error: .*pip install 'facekit\[{extra}\]'.*", line)


def test_base_draws_and_audits_a_dataset_or_names_the_extra(base):
    drawn = ("data", "synthesize", "raw/synthetic", "--count", "40")
    plotted = ("data", "audit", "synthetic", "--data", "raw", "--plots", "page.png")
    for command in (drawn, plotted[:-2], plotted):
        finished = base.run("facekit", *command, succeeds=None)
        assert "Traceback" not in finished.stderr
        if finished.returncode:
            line = finished.stderr.strip().splitlines()[-1]
            assert re.fullmatch(r"Error: .*pip install 'facekit\[\w+\]'.*", line), line
            break


# === With the notebooks ===


@pytest.fixture(scope="module")
def lesson(with_notebooks) -> Path:
    """Lesson 00, as `facekit lessons` copies it."""
    with_notebooks.run("facekit", "lessons", "course")
    return with_notebooks.work / "course" / LESSONS[0]


@pytest.fixture
def lab(with_notebooks, lesson) -> Iterator[str]:
    """The address of JupyterLab, with the lessons as its folder."""
    options = ("--no-browser", "--allow-root", "--port=0", f"--IdentityProvider.token={TOKEN}")
    with (with_notebooks.folder / "lab.log").open("w") as log:
        server = subprocess.Popen(
            [with_notebooks.bin / "jupyter", "lab", *options],
            cwd=lesson.parent,
            env=with_notebooks.variables,
            stdout=log,
            stderr=log,
        )
    try:
        yield wait_for_server(Path(with_notebooks.variables["JUPYTER_RUNTIME_DIR"]), server)
    finally:
        server.terminate()
        server.wait(30)


def wait_for_server(runtime: Path, server: subprocess.Popen) -> str:
    """Return the address that a Jupyter server writes into its runtime folder, once it answers."""
    end = time.monotonic() + START_SECONDS
    while time.monotonic() < end and server.poll() is None:
        for file in runtime.glob("jpserver-*.json"):
            try:
                url = json.loads(file.read_text(encoding="utf-8"))["url"].rstrip("/")
                fetch(f"{url}/api")
            except (OSError, ValueError):
                continue
            return url.removesuffix("/lab")
        time.sleep(0.2)
    raise AssertionError("JupyterLab did not start.")


def fetch(url: str) -> str:
    """Return what a server answers."""
    request = urllib.request.Request(url, headers={"Authorization": f"token {TOKEN}"})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return answer.read().decode("utf-8")


def test_jupyterlab_opens_lesson_00(lab, lesson):
    contents = json.loads(fetch(f"{lab}/api/contents/{lesson.name}"))
    assert contents["type"] == "notebook"
    assert contents["content"]["cells"][0]["source"].startswith("# 00 ")
    assert "JupyterLab" in fetch(f"{lab}/lab/tree/{lesson.name}")


def test_lesson_00_runs(with_notebooks, lesson):
    with_notebooks.run("jupyter", "execute", lesson, "--output", lesson.with_name("run.ipynb"))
    notebook = json.loads(lesson.with_name("run.ipynb").read_text(encoding="utf-8"))
    outputs = [output for cell in notebook["cells"] for output in cell.get("outputs", ())]
    assert any("image/png" in output.get("data", {}) for output in outputs)


def test_a_report_is_made(with_notebooks):
    pixels = np.full((80, 80, 3), 128, np.uint8)
    Image.fromarray(pixels).save(with_notebooks.work / "grey.png")
    with_notebooks.run(
        "facekit", "report", "photo", "--parameters", "photo=grey.png", "--output", "out"
    )
    assert list((with_notebooks.work / "out").glob("*.html"))


def test_training_names_its_extra(with_notebooks):
    stderr = with_notebooks.run("facekit", "train", "gender", succeeds=False).stderr
    assert "Traceback" not in stderr
    assert "pip install 'facekit[train]'" in stderr
