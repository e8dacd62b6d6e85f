import errno
import os
from pathlib import Path

import pytest

from facekit.batch.drawings import draw_picture
from facekit.batch.walk import find_files
from facekit.pipeline import FaceAnalyzer


class Finder:
    """Finds files, and keeps what is reported."""

    def __init__(self):
        self.failed: dict[str, str] = {}
        self.said: list[str] = []

    def __call__(self, *inputs: str) -> list[str]:
        def fail(name, error):
            self.failed[name] = str(error)

        self.files = find_files(inputs, fail, self.said.append)
        return [file.name for file in self.files]


@pytest.fixture
def find() -> Finder:
    return Finder()


def touch(*names: str) -> None:
    for name in names:
        Path(name).parent.mkdir(parents=True, exist_ok=True)
        Path(name).touch()


def test_folders_are_read_with_all_their_folders_in_order(find):
    touch("photos/b.jpg", "photos/deep/deeper/A.PNG", "photos/a.jpeg", "photos/notes.txt")
    assert find("photos/", "x.mp4") == [
        "photos/a.jpeg",
        "photos/b.jpg",
        "photos/deep/deeper/A.PNG",
        "x.mp4",
    ]
    assert [str(file.below) for file in find.files[2:]] == ["deep/deeper/A.PNG", "x.mp4"]
    assert [file.is_video for file in find.files] == [False, False, False, True]
    assert (find.failed, find.said) == ({}, [])


def test_what_is_left_out_is_counted_and_named(find, tmp_path):
    touch(
        "photos/a.jpg",
        "photos/film.mp4",
        "photos/other.MOV",
        "photos/raw.CR2",
        "photos/deep/x.jxl",
        "photos/.ipynb_checkpoints/a-checkpoint.jpg",
        "photos/.hidden.jpg",
        "photos/.DS_Store",
        "elsewhere/b.jpg",
    )
    Path("photos/DSC1").write_bytes(b"\xff\xd8\xff")
    Path("photos/x.jpg_large").write_bytes(b"RIFF....WEBP")
    Path("photos/album").symlink_to(tmp_path / "elsewhere")
    assert find("photos") == ["photos/a.jpg"]
    assert find.said == [
        "photos: left out 2 videos (name a video itself to have it analyzed), 2 files that this "
        "installation cannot read (.cr2, .jxl), 1 hidden picture, "
        "2 misnamed pictures (DSC1, x.jpg_large), 1 hidden folder (.ipynb_checkpoints), "
        "1 linked folder (album)."
    ]


def test_a_hidden_folder_that_is_named_is_read(find):
    touch(".thumbnails/a.jpg")
    assert find(".thumbnails") == [".thumbnails/a.jpg"]


def test_a_folder_that_links_to_itself_ends(find):
    touch("photos/a.jpg")
    Path("photos/loop").symlink_to("../photos")
    assert find("photos") == ["photos/a.jpg"]
    assert find.said == ["photos: left out 1 linked folder (loop)."]


def test_a_link_that_is_named_is_read(find, tmp_path):
    touch("elsewhere/b.jpg")
    Path("album").symlink_to(tmp_path / "elsewhere")
    assert find("album") == ["album/b.jpg"]


def test_drawings_of_facekit_are_not_read_again(find, save_face):
    analysis = FaceAnalyzer(("gender",), cropped=True).analyze(save_face(Path("photos/a.png")))
    draw_picture(analysis, Path("photos/a.png.jpg"))
    assert find("photos", "photos/a.png.jpg") == ["photos/a.png", "photos/a.png.jpg"]
    assert find.said == [
        "photos: left out 1 drawing that facekit made.",
        "1 of the inputs are drawings that facekit made (photos/a.png.jpg); their labels may hide "
        "faces.",
    ]


@pytest.mark.parametrize("content", [(), ("notes.txt",), ("film.mp4",), (".hidden.jpg",)])
def test_a_folder_without_pictures_fails(content, find):
    Path("photos").mkdir()
    touch(*(f"photos/{name}" for name in content))
    assert find("photos") == []
    assert find.failed["photos"].startswith("photos: holds no pictures (.jpg, ")


def test_pipes_in_a_folder_are_not_waited_for(find):
    touch("photos/a.jpg")
    os.mkfifo("photos/pipe.jpg")
    assert find("photos") == ["photos/a.jpg"]
    assert find.failed == {"photos/pipe.jpg": "photos/pipe.jpg: is not a file."}


def test_a_folder_that_may_not_be_opened_is_named(find, monkeypatch):
    touch("photos/a.jpg", "photos/locked/b.jpg")
    scan = os.scandir

    def refuse(path):
        if "locked" in os.fspath(path):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return scan(path)

    monkeypatch.setattr(os, "scandir", refuse)
    assert find("photos") == ["photos/a.jpg"]
    assert find.failed == {"photos/locked": "photos/locked: Permission denied"}


@pytest.mark.parametrize(
    "given",
    [
        "x" * 300,
        "/9j/4AAQSkZJRg" * 500,
        "data:image/png;base64,iVBORw0KGgo=",
        "https://example.org/a.jpg",
        "a\0b.jpg",
        "",
        os.fsdecode(b"\xff.jpg"),
    ],
)
def test_whatever_is_given_does_not_stop_the_walk(given, find):
    touch("a.jpg")
    assert find(given, "a.jpg") == [given, "a.jpg"]


def test_a_parent_that_may_not_be_searched_does_not_stop_the_walk(find, monkeypatch):
    stat = os.stat

    def refuse(path, **options):
        if os.fspath(path).endswith("locked.jpg"):
            raise PermissionError(errno.EACCES, "Permission denied", os.fspath(path))
        return stat(path, **options)

    touch("a.jpg")
    monkeypatch.setattr(os, "stat", refuse)
    assert find("private/locked.jpg", "a.jpg") == ["private/locked.jpg", "a.jpg"]


def test_nothing(find):
    assert find() == []
