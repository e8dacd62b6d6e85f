import importlib.util

import pytest
from click.testing import CliRunner

from facekit.commands import main
from facekit.lessons.courseware import find_course, list_course

COUNT = len(list_course(find_course()))


def run(*arguments):
    return CliRunner().invoke(main, ["lessons", *map(str, arguments)])


def test_the_course_is_copied(tmp_path):
    result = run(tmp_path / "my course")
    assert result.exit_code == 0, result.output
    assert f"{COUNT} notebooks copied to {tmp_path / 'my course'}.\n" in result.stdout
    assert f"jupyter lab '{tmp_path / 'my course'}'" in result.stdout
    assert (tmp_path / "my course" / "solutions" / "00_start_here.ipynb").is_file()


def test_a_lesson_that_was_changed_is_kept(tmp_path):
    (tmp_path / "00_start_here.ipynb").write_text("my answers")
    result = run(tmp_path)
    assert result.exit_code == 0
    assert f"{COUNT - 1} notebooks copied" in result.stdout
    assert f"{tmp_path / '00_start_here.ipynb'} exists and differs" in result.stderr
    assert "Rename it and run the command again" in result.stderr
    assert (tmp_path / "00_start_here.ipynb").read_text() == "my answers"
    assert "0 notebooks copied" in run(tmp_path).stdout


def test_missing_packages_are_named(tmp_path, monkeypatch):
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    text = run(tmp_path).stdout
    assert "JupyterLab is not installed. Run: pip install 'facekit[notebooks]'" in text
    assert (
        "Lessons 10, 11 and 12 train networks. For them run: pip install 'facekit[train]'" in text
    )


@pytest.mark.parametrize("name", ["file", "file/deeper"])
def test_a_file_in_place_of_the_folder(tmp_path, name):
    (tmp_path / "file").touch()
    result = run(tmp_path / name)
    assert result.exit_code == 1
    assert len(result.stderr.splitlines()) == 1
    assert "file" in result.stderr


def test_without_a_folder():
    result = run()
    assert result.exit_code == 2
    assert "Missing argument 'DIR'" in result.stderr
