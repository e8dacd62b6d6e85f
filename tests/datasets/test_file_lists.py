"""Lists of a dataset's files, and warnings of what is left out."""

from pathlib import Path

import pytest

from facekit.datasets.file_lists import keep_present, list_pictures, warn_left_out, warn_unused


class TestPictures:
    def test_pictures_documents_and_other_formats(self, tmp_path):
        names = ("b.JPG", "a/c.png", "a/readme.md", "a/d.xyz", ".hidden.jpg", ".git/e.jpg",
                 "__MACOSX/f.jpg", "labels.csv")  # fmt: skip
        for name in names:
            (tmp_path / name).parent.mkdir(exist_ok=True)
            (tmp_path / name).touch()
        pictures, others = list_pictures(tmp_path, "*.jpg")
        assert pictures == [tmp_path / "a" / "c.png", tmp_path / "b.JPG"]
        assert others == [tmp_path / "a" / "d.xyz"]

    def test_linked_folders_are_read_once(self, tmp_path):
        (tmp_path / "elsewhere").mkdir()
        (tmp_path / "elsewhere" / "a.jpg").touch()
        (tmp_path / "data").mkdir()
        (tmp_path / "data" / "train").symlink_to(tmp_path / "elsewhere")
        (tmp_path / "elsewhere" / "loop").symlink_to(tmp_path / "data")
        pictures, _ = list_pictures(tmp_path / "data", "*.jpg")
        assert pictures == [tmp_path / "data" / "train" / "a.jpg"]

    @pytest.mark.parametrize("name", [".", "missing"])
    def test_no_picture_is_an_error(self, name, tmp_path):
        (tmp_path / "notes.txt").touch()
        with pytest.raises(FileNotFoundError, match=r"no files like \*\.jpg; data/README\.md"):
            list_pictures(tmp_path / name, "*.jpg")


class TestWarnings:
    def test_nothing_left_out_is_not_mentioned(self, tmp_path, recwarn):
        warn_left_out(tmp_path, {"boxes": 0})
        warn_unused(tmp_path, "malformed names", [])
        assert not recwarn.list

    def test_many_names_are_cut_and_equal_ones_counted(self, tmp_path):
        paths = [Path(f"{number}.jpg") for number in range(12)] + [Path("a/0.jpg")]
        with pytest.warns(UserWarning, match=r": 13 names left out: 0\.jpg \(2\), .* and 2 more$"):
            warn_unused(tmp_path, "names", paths)

    def test_missing_images(self, tmp_path):
        (tmp_path / "a.jpg").touch()
        rows = [{"path": str(tmp_path / name)} for name in ("a.jpg", "b.jpg")]
        with pytest.warns(UserWarning, match="left out: 1 faces whose image does not exist"):
            assert keep_present(rows, tmp_path, "unpack them") == rows[:1]
        with pytest.raises(FileNotFoundError, match=r"none of the 1 images .*; unpack them\."):
            keep_present(rows[1:], tmp_path, "unpack them")
        assert keep_present([], tmp_path, "unpack them") == []
