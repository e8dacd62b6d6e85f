from pathlib import Path

import pytest

from facekit.lessons import copy_course, courseware
from facekit.lessons.courseware import find_course, list_course


@pytest.fixture
def course(tmp_path, monkeypatch) -> Path:
    """A small course, in the place of the package's."""
    folder = tmp_path / "package" / "notebooks"
    (folder / "solutions").mkdir(parents=True)
    for name in ("00_a.ipynb", "01_b.ipynb", "solutions/00_a.ipynb"):
        (folder / name).write_text(name)
    (folder / "nbval.cfg").touch()
    monkeypatch.setattr(courseware, "_PACKAGE", folder.parent)
    return folder


def list_files(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


def test_the_course_is_whole():
    names = [str(path) for path in list_course(find_course())]
    lessons = [name for name in names if "/" not in name]
    assert (lessons[0], lessons[-1]) == ("00_start_here.ipynb", "99_glossary.ipynb")
    # The glossary has no exercises.
    assert names == [
        *lessons,
        *(f"{folder}/{name}" for folder in ("exercises", "solutions") for name in lessons[:-1]),
    ]


def test_a_copy(course, tmp_path):
    copy = copy_course(tmp_path / "deep" / "mine")
    assert list_files(copy.folder) == ["00_a.ipynb", "01_b.ipynb", "solutions/00_a.ipynb"]
    assert (len(copy.copied), copy.same, copy.kept) == (3, (), ())
    again = copy_course(copy.folder)
    assert (again.copied, len(again.same), again.kept) == ((), 3, ())


def test_files_of_the_user_are_kept(course, tmp_path):
    mine = tmp_path / "mine"
    (mine / "solutions" / "00_a.ipynb").mkdir(parents=True)  # a folder in the way
    (mine / "00_a.ipynb").write_text("my answers")
    (mine / "01_b.ipynb").symlink_to("nowhere")
    copy = copy_course(mine)
    assert (copy.copied, copy.same) == ((), ())
    assert copy.kept == (mine / "00_a.ipynb", mine / "01_b.ipynb", mine / "solutions/00_a.ipynb")
    assert (mine / "00_a.ipynb").read_text() == "my answers"
    assert (mine / "01_b.ipynb").is_symlink()


def test_the_checkouts_own_folder(course):
    copy = copy_course(course)
    assert len(copy.same) == 3
    assert not copy.copied


@pytest.mark.parametrize("there", [False, True])
def test_a_full_disk_leaves_nothing(course, small_disk, there):
    for path in course.rglob("*.ipynb"):
        path.write_bytes(bytes(40_000))
    mine = small_disk / "deep" / "mine"
    if there:
        mine.mkdir(parents=True)
        (mine / "00_a.ipynb").write_text("my answers")
    with pytest.raises(OSError, match="No space left on device") as error:
        copy_course(mine)
    assert Path(error.value.filename).is_relative_to(mine)  # not the file that was copied
    if there:
        assert list_files(mine) == ["00_a.ipynb"]
    else:
        assert not (small_disk / "deep").exists()


def test_a_file_in_place_of_the_folder(course, tmp_path):
    (tmp_path / "mine").touch()
    with pytest.raises(NotADirectoryError, match="mine: is a file; choose a folder"):
        copy_course(tmp_path / "mine")


def test_a_package_without_the_course(tmp_path, monkeypatch):
    monkeypatch.setattr(courseware, "_PACKAGE", tmp_path / "deep" / "package")
    with pytest.raises(FileNotFoundError, match="notebooks of the course are missing; reinstall"):
        find_course()
