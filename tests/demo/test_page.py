import errno
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.analysis import Analysis
from facekit.demo import page, run_demo
from facekit.faces import Faces, Profile
from facekit.files import hash_file
from facekit.images import ImageError, read_image


@pytest.fixture
def photo(portraits, tmp_path) -> Path:
    """A photo with one face, in a folder of the user's."""
    folder = tmp_path / "photos"
    folder.mkdir()
    Image.fromarray(portraits["astronaut.png"]).save(folder / "me.png")
    return folder / "me.png"


def make_blank(path: Path, grey: int = 90) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(np.full((40, 60, 3), grey, np.uint8)).save(path)
    return path


def list_names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if not path.name.startswith("."))


def test_a_photo(photo, tmp_path):
    index, faces = run_demo([photo], tmp_path / "demo")
    assert (index, faces) == (tmp_path / "demo" / "index.html", 1)
    assert list_names(index.parent) == ["faces.csv", "index.html", "me-annotated.jpg", "me.jpg"]
    assert pd.read_csv(index.parent / "faces.csv")["image"].tolist() == [str(photo)]
    text = index.read_text()
    assert "Pictures: 1. Faces: 1." in text
    assert 'alt="me.png, with 1 face marked"' in text
    assert "<td>happiness " in text
    drawn = read_image(index.parent / "me-annotated.jpg")
    assert (drawn[..., 0].astype(int) - drawn[..., 2] > 100).any()  # the box is coloured


def test_labels_that_are_not_sure_are_not_shown():
    faces = Faces(np.zeros((2, 4)), np.ones(2), np.zeros((2, 5, 2)))
    profile = Profile(
        age_years=38.6, age_low=30, age_high=45, age_range="28-45", gender="male",
        gender_probability=0.97, emotion="fear", emotion_probability=0.4, confidence_score=0.3,
        unsure=("emotion",),
    )  # fmt: skip
    doubted = replace(profile, unsure=("face", "age", "gender", "emotion"))
    table = page._render_table(Analysis("", faces, (profile, doubted)))
    cells = ["0", "39 (30 to 45)", "28-45", "male 97%", "not sure", "0.30"]
    assert "".join(f"<td>{cell}</td>" for cell in cells) in table
    cells = ["1, face?", *["not sure"] * 4, "0.30"]
    assert "".join(f"<td>{cell}</td>" for cell in cells) in table


def test_a_photo_without_faces(tmp_path):
    index, faces = run_demo([make_blank(tmp_path / "blank.png")], tmp_path / "demo")
    assert faces == 0
    assert "No face was found." in index.read_text()
    assert pd.read_csv(index.parent / "faces.csv").empty


def test_a_second_run_replaces_the_first(tmp_path):
    photos = [make_blank(tmp_path / "a.png"), make_blank(tmp_path / "b.png")]
    run_demo(photos, tmp_path / "demo")
    names = list_names(tmp_path / "demo")
    make_blank(photos[0], 200)
    run_demo(photos, tmp_path / "demo")
    assert list_names(tmp_path / "demo") == names
    assert read_image(tmp_path / "demo" / "a.jpg").mean() > 190


def test_photos_in_the_folder_are_kept(tmp_path):
    jpg = make_blank(tmp_path / "me.jpg")
    before = hash_file(jpg)
    for _ in range(2):
        index, _ = run_demo([jpg], tmp_path)
        assert hash_file(jpg) == before
        assert list_names(tmp_path) == [
            "faces.csv", "index.html", "me-2-annotated.jpg", "me-2.jpg", "me.jpg",
        ]  # fmt: skip
    assert 'src="me-2.jpg"' in index.read_text()
    own = tmp_path / "me-2.jpg"  # of the demo, and now an input
    before = hash_file(own)
    run_demo([own], tmp_path)
    assert hash_file(own) == before


@pytest.mark.parametrize("name", ["index.html", "faces.csv"])
def test_files_of_the_user_are_refused(name, tmp_path):
    photo = make_blank(tmp_path / "a.png")
    demo = tmp_path / "demo"
    demo.mkdir()
    (demo / name).write_text("mine")
    with pytest.raises(FileExistsError, match=f"{name}: exists, and no demo wrote it"):
        run_demo([photo], demo)
    assert list_names(demo) == [name]


def test_a_page_that_the_user_changed_is_kept(tmp_path):
    photo = make_blank(tmp_path / "a.png")
    index, _ = run_demo([photo], tmp_path / "demo")
    index.write_text(index.read_text() + "my notes")
    with pytest.raises(FileExistsError, match=r"index\.html: exists, and no demo wrote it"):
        run_demo([photo], tmp_path / "demo")


def test_pictures_that_the_user_changed_are_kept(tmp_path):
    photo = make_blank(tmp_path / "a.png")
    run_demo([photo], tmp_path / "demo")
    (tmp_path / "demo" / "a-annotated.jpg").write_bytes(b"my drawing")
    run_demo([photo], tmp_path / "demo")
    assert (tmp_path / "demo" / "a-annotated.jpg").read_bytes() == b"my drawing"
    assert (tmp_path / "demo" / "a-2-annotated.jpg").exists()


def test_like_names_keep_apart(tmp_path):
    names = ("one/a.png", "two/a.png", "a-2.png", "A.png", "a-annotated.png")
    photos = [make_blank(tmp_path / name, 10 * place) for place, name in enumerate(names)]
    index, _ = run_demo(photos, tmp_path / "demo")
    pictures = [name.lower() for name in list_names(index.parent) if name.endswith(".jpg")]
    assert len(set(pictures)) == 10


@pytest.mark.parametrize("name", ["a#b?c%d.png", "日本語.png", "a&b<i>.png", f"{'x' * 250}.png"])
def test_odd_names(name, tmp_path):
    index, _ = run_demo([make_blank(tmp_path / name)], tmp_path / "demo")
    text = index.read_text()
    assert not {"#", "?", "<i>"} & {sign for sign in ("#b", "?c", "<i>") if f'src="{sign}' in text}
    assert len([name for name in list_names(index.parent) if name.endswith(".jpg")]) == 2


def test_a_name_that_is_no_text(tmp_path):
    name = b"caf\xe9.png".decode("utf-8", "surrogateescape")
    try:
        photo = make_blank(tmp_path / "a.png").rename(tmp_path / name)
    except OSError:
        pytest.skip("the file system takes no such name")
    index, _ = run_demo([photo], tmp_path / "demo")
    index.read_text(encoding="utf-8")
    assert "caf_.jpg" in list_names(index.parent)


def test_a_broken_photo_writes_nothing(tmp_path):
    photo = make_blank(tmp_path / "a.png")
    (tmp_path / "b.png").write_text("no picture")
    with pytest.raises(ImageError, match=r"b\.png: "):
        run_demo([photo, tmp_path / "b.png"], tmp_path / "demo")
    assert not (tmp_path / "demo").exists()


def test_a_full_disk_names_the_file(tmp_path, monkeypatch):
    photo = make_blank(tmp_path / "a.png")
    run_demo([photo], tmp_path / "demo")
    before = {path.name: path.read_bytes() for path in (tmp_path / "demo").iterdir()}
    make_blank(photo, 200)

    def fill(path, content):
        path.touch()
        raise OSError(errno.ENOSPC, "No space left on device", str(path))

    with monkeypatch.context() as patch:
        patch.setattr(Path, "write_bytes", fill)
        with pytest.raises(OSError, match=r"No space left on device: .*a\.jpg"):
            run_demo([photo], tmp_path / "demo")
    after = {path.name: path.read_bytes() for path in (tmp_path / "demo").iterdir()}
    assert after.keys() == before.keys()
    assert after["a.jpg"] == before["a.jpg"]
    run_demo([photo], tmp_path / "demo")  # the files are still known
    assert sorted(path.name for path in (tmp_path / "demo").iterdir()) == sorted(before)


def test_a_file_in_place_of_the_folder(tmp_path):
    photo = make_blank(tmp_path / "a.png")
    with pytest.raises(NotADirectoryError, match="is a file; choose another folder"):
        run_demo([photo], photo)


def test_a_record_that_the_user_changed(tmp_path):
    photo = make_blank(tmp_path / "a.png")
    run_demo([photo], tmp_path / "demo")
    (tmp_path / "demo" / page.RECORD).write_text("not json")
    with pytest.raises(FileExistsError, match="no demo wrote it"):
        run_demo([photo], tmp_path / "demo")
