from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from facekit.lessons import (
    ParameterError,
    check_parameters,
    require_faces,
    require_frames,
    require_index,
)
from facekit.lessons.parameters import CHOICES, NUMBERS
from facekit.registry import get_models_dir


@pytest.fixture
def photo(tmp_path) -> Path:
    Image.fromarray(np.zeros((4, 5, 3), np.uint8)).save(tmp_path / "photo.png")
    return tmp_path / "photo.png"


@pytest.mark.parametrize(
    "parameters",
    [
        {"seed": 0, "count": 600, "dataset": "synthetic", "data_dir": "nowhere"},
        {"photo": "", "source": "", "models": "", "attributes": "age,gender"},
        {"rare_share": 0.0, "seconds": 3, "min_face_size": 20.5, "rare_label": "indian"},
        {"attribute": "gender", "label": "emotion", "face": 0},
        {},
    ],
)
def test_parameters_that_fit(parameters):
    check_parameters(**parameters)


def test_own_files_fit(photo):
    check_parameters(photo=photo, models=str(get_models_dir()))


@pytest.mark.parametrize("name", NUMBERS)
@pytest.mark.parametrize("value", ["5", None, True, float("nan"), float("inf"), -1, [1]])
def test_numbers_that_do_not_fit(name, value):
    with pytest.raises(ParameterError, match=rf"`{name}` must be a .*number .*; got "):
        check_parameters(**{name: value})


@pytest.mark.parametrize("name", CHOICES)
@pytest.mark.parametrize("value", ["mood", "", 3, None, ["gender"]])
def test_choices_that_do_not_fit(name, value):
    with pytest.raises(ParameterError, match=rf"`{name}` must be one of .*; got "):
        check_parameters(**{name: value})


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"seed": 1.5}, "`seed` must be a whole number from 0 to 4,000,000,000; got 1.5"),
        ({"count": 0}, "`count` must be a whole number of 1 or more; got 0"),
        ({"rare_share": 1.5}, "`rare_share` must be a number from 0 to 1; got 1.5"),
        ({"attributes": "age,mood"}, "`attributes` must be text that lists some of age, gender"),
        ({"attributes": ""}, "`attributes` must be text"),
        ({"attributes": ["age"]}, "`attributes` must be text"),
        ({"photo": 3}, "`photo` must be text in quotes; got 3"),
        ({"photo": "gone.jpg"}, "`photo` cannot be used: gone.jpg: no such file"),
        ({"photo": "."}, "`photo` cannot be used: .*folder"),
        ({"source": "gone.mp4"}, "`source` cannot be used: gone.mp4: no such file"),
        ({"source": None}, "`source` must be text in quotes; got None"),
        ({"models": "nowhere"}, "`models` cannot be used: nowhere: no such folder"),
        ({"dataset": 4}, "`dataset` must be text in quotes; got 4"),
        ({"dataset": "mood"}, "`dataset` cannot be used: 'mood' is not a dataset. Choose synth"),
        ({"first_dataset": "my.csv"}, "`first_dataset` cannot be used: my.csv: no such file"),
        ({"dataset": "utkface", "data_dir": "no"}, "`dataset` cannot be used: .*set `data_dir`"),
        ({"data_dir": 3}, "`data_dir` must be text in quotes; got 3"),
    ],
)
def test_other_parameters_that_do_not_fit(parameters, message):
    with pytest.raises(ParameterError, match=message) as caught:
        check_parameters(**parameters)
    assert caught.value._render_traceback_() == [str(caught.value)]  # the sentence alone


def test_files_that_cannot_be_read(tmp_path):
    (tmp_path / "text.jpg").write_text("Dear diary")
    with pytest.raises(ParameterError, match=r"`photo` cannot be used: .*text.jpg"):
        check_parameters(photo=str(tmp_path / "text.jpg"))
    (tmp_path / "text.mp4").write_text("Dear diary")
    with pytest.raises(ParameterError, match=r"`source` cannot be used: .*text.mp4"):
        check_parameters(source=str(tmp_path / "text.mp4"))
    with pytest.raises(ParameterError, match=r"`models` cannot be used: .*lacks fusion.json, age"):
        check_parameters(models=str(tmp_path))


def test_the_least_value_is_the_lessons():
    check_parameters(count=200, least={"count": 200})
    with pytest.raises(ParameterError, match="`count` must be a whole number of 200 or more"):
        check_parameters(count=199, least={"count": 200})


def test_zero_stands_for_all_where_a_lesson_says_so():
    check_parameters(count=0, least={"count": 200}, allow_zero=True)
    for wrong in (-1, False, 0.0):
        with pytest.raises(ParameterError, match="`count` must be"):
            check_parameters(count=wrong, least={"count": 200}, allow_zero=True)


def test_faces():
    require_faces(1)
    with pytest.raises(ParameterError, match=r"`photo` must show at least 1 face .*; no face was"):
        require_faces(0)
    with pytest.raises(
        ParameterError, match=r"`source` must show at least 2 faces .*; only 1 found"
    ):
        require_faces(1, "source", at_least=2)


def test_frames():
    require_frames(32, at_least=32)
    with pytest.raises(
        ParameterError, match=r"`source` must be a film of at least 32 .* it has 20"
    ):
        require_frames(20, at_least=32)


@pytest.mark.parametrize("index", [-1, 1, 7])
def test_an_index_beyond_the_faces(index):
    require_index(0, 1)
    with pytest.raises(ParameterError, match=rf"`face` must be from 0 to 0, .* got {index}"):
        require_index(index, 1)
