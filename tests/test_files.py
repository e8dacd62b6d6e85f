import errno
import os

import pytest

from facekit.files import (
    describe_error,
    find_free_path,
    hash_file,
    replace_file,
    show_name,
    write_text,
)


class TestReplaceFile:
    def test_puts_the_new_file_in_place(self, tmp_path):
        target = tmp_path / "deep" / "table.csv"
        with replace_file(target) as temporary:
            assert temporary.parent == target.parent
            assert temporary.suffix == ".csv"
            temporary.write_text("new")
        assert target.read_text() == "new"
        assert list(target.parent.iterdir()) == [target]

    @pytest.mark.parametrize("error", [ValueError("no"), KeyboardInterrupt(), OSError("disk")])
    def test_keeps_the_old_file_when_writing_fails(self, error, tmp_path):
        target = tmp_path / "table.csv"
        target.write_text("old")
        with pytest.raises(type(error)), replace_file(target) as temporary:
            temporary.write_text("half")
            raise error
        assert target.read_text() == "old"
        assert list(tmp_path.iterdir()) == [target]

    def test_names_the_file_when_the_disk_is_full(self, tmp_path):
        target = tmp_path / "table.csv"
        with pytest.raises(OSError, match=r"table\.csv") as caught, replace_file(target):
            raise OSError(errno.ENOSPC, "No space left on device")
        assert caught.value.errno == errno.ENOSPC

    def test_keeps_permissions(self, tmp_path):
        target = tmp_path / "table.csv"
        target.write_text("old")
        target.chmod(0o640)
        write_text(target, "new")
        assert target.stat().st_mode & 0o777 == 0o640

    def test_a_folder_in_its_place_is_an_error(self, tmp_path):
        with pytest.raises(OSError, match=str(tmp_path)):
            write_text(tmp_path, "text")

    def test_a_link_stays_and_its_file_is_replaced(self, tmp_path):
        (tmp_path / "real").mkdir()
        (tmp_path / "link.csv").symlink_to("real/table.csv")
        for text in ("first", "second"):
            write_text(tmp_path / "link.csv", text)
        assert (tmp_path / "link.csv").is_symlink()
        assert (tmp_path / "real" / "table.csv").read_text() == "second"

    def test_a_device_is_not_replaced(self, tmp_path):
        os.mkfifo(tmp_path / "pipe")
        with pytest.raises(OSError, match=r"is there already and is not a file.*pipe"):
            write_text(tmp_path / "pipe", "text")
        assert (tmp_path / "pipe").is_fifo()

    def test_a_file_in_place_of_the_folder_is_an_error(self, tmp_path):
        (tmp_path / "file").touch()
        with pytest.raises(OSError, match=r"file.table\.csv"):
            write_text(tmp_path / "file" / "table.csv", "")


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (OSError(28, "No space left on device", "a.csv"), "a.csv: No space left on device"),
        (OSError(28, "No space left on device", b"a\xff"), r"a\xff: No space left on device"),
        (OSError(9, "Bad file descriptor", 3), "[Errno 9] Bad file descriptor: 3"),
        (OSError("why"), "why"),
        (ValueError("one\ntwo"), "one two"),
        (KeyError(), "KeyError"),
        (MemoryError(), "needs more memory than there is"),
    ],
)
def test_errors_are_one_line(error, expected):
    assert describe_error(error) == expected


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        (b"a.jpg", "a.jpg"),
        ("größe 日本.jpg".encode(), "größe 日本.jpg"),
        (b"caf\xe9.jpg", r"caf\xe9.jpg"),
        (b"", ""),
    ],
)
def test_names_can_be_shown(name, shown):
    assert show_name(os.fsdecode(name)) == shown


def test_text_may_hold_file_names_that_are_not_utf8(tmp_path):
    write_text(tmp_path / "names.txt", os.fsdecode(b"\xff.jpg"))
    assert (tmp_path / "names.txt").read_bytes() == b"\xff.jpg"


def test_find_free_path(tmp_path):
    path = tmp_path / "photo.jpg"
    assert find_free_path(path) == path
    path.touch()
    assert find_free_path(path) == tmp_path / "photo-2.jpg"
    (tmp_path / "photo-2.jpg").symlink_to(tmp_path / "nowhere")
    assert find_free_path(path) == tmp_path / "photo-3.jpg"


def test_hash_file(tmp_path):
    (tmp_path / "empty").touch()
    assert hash_file(tmp_path / "empty").startswith("e3b0c44298fc1c14")
