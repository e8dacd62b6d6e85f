"""The names that notebooks import."""

import subprocess
import sys

import pytest

import facekit.lessons


@pytest.mark.parametrize("name", facekit.lessons.__all__)
def test_names_are_importable(name):
    pytest.importorskip("matplotlib")
    assert getattr(facekit.lessons, name).__name__ == name


def test_an_unknown_name():
    with pytest.raises(AttributeError, match="has no attribute 'nothing'"):
        facekit.lessons.nothing  # noqa: B018


def test_copying_the_course_needs_no_extra():
    code = (
        "import sys\n"
        "sys.modules |= dict.fromkeys(('matplotlib', 'keras', 'IPython', 'anywidget'))\n"
        "from facekit.lessons import copy_course"
    )
    result = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False
    )
    assert result.returncode == 0, result.stderr
