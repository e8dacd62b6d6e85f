"""Lessons with a user's own photo or film, as papermill runs them."""

import logging
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facekit.lessons.courseware import find_course
from facekit.video import VideoWriter

papermill = pytest.importorskip(
    "papermill", reason="papermill is not installed: pip install 'facekit[notebooks]'"
)


@pytest.fixture
def files(tmp_path, portraits) -> dict[str, str]:
    """Paths of small files of a user's."""
    Image.fromarray(np.full((200, 300, 3), 90, np.uint8)).save(tmp_path / "blank.png")
    Image.fromarray(portraits["astronaut.png"]).save(tmp_path / "selfie.png")
    with VideoWriter(tmp_path / "short.mp4", 10) as film:
        for _ in range(20):
            film.write(np.zeros((48, 64, 3), np.uint8))
    return {path.stem: str(path) for path in tmp_path.iterdir()}


def run(name: str, folder: Path, **parameters) -> None:
    logging.getLogger("papermill").setLevel(logging.ERROR)
    papermill.execute_notebook(
        find_course() / name,
        folder / name.replace("/", "-"),
        parameters,
        cwd=find_course(),
        progress_bar=False,
    )


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the warnings of kernels are not ours
@pytest.mark.parametrize(
    ("name", "parameters", "message"),
    [
        ("00_start_here.ipynb", {"photo": "blank"}, "`photo` must show at least 1 face"),
        ("02_face_detection.ipynb", {"photo": "blank"}, "`photo` must show at least 1 face"),
        ("20_fusion.ipynb", {"photo": "blank"}, "`photo` must show at least 1 face"),
        ("20_fusion.ipynb", {"photo": "selfie", "face": 1}, "`face` must be from 0 to 0"),
        ("21_live_webcam.ipynb", {"source": "short"}, "`source` must be a film of at least 32"),
        ("01_datasets.ipynb", {"seed": "first"}, "`seed` must be a whole number"),
        ("10_emotion.ipynb", {"count": -1}, "`count` must be a whole number of 200 or more"),
    ],
)
def test_a_wrong_parameter_gives_one_sentence(name, parameters, message, files, tmp_path):
    given = {key: files.get(value, value) for key, value in parameters.items()}
    with pytest.raises(papermill.PapermillExecutionError) as caught:
        run(name, tmp_path, **given)
    assert caught.value.ename == "ParameterError"
    assert caught.value.evalue.startswith(message)
    assert caught.value.traceback == [caught.value.evalue]  # no traceback


@pytest.mark.slow
@pytest.mark.filterwarnings("default")  # the warnings of kernels are not ours
@pytest.mark.parametrize(
    "name", ["00_start_here.ipynb", "20_fusion.ipynb", "solutions/00_start_here.ipynb"]
)
def test_a_selfie(name, files, tmp_path):
    run(name, tmp_path, photo=files["selfie"])
