from PIL import Image

from facekit.app.folder import FolderWatch
from facekit.app.view import ShopBoard
from facekit.pipeline import FaceAnalyzer


def test_pictures_in_turn_and_those_that_come(tmp_path, portraits):
    board = ShopBoard()
    watch = FolderWatch(tmp_path, board, FaceAnalyzer(min_face_size=60))
    assert not watch.step()
    assert board.message == f"Waiting for pictures in {tmp_path.name}."
    Image.fromarray(portraits["astronaut.png"]).save(tmp_path / "a.png")
    assert watch.step()
    assert (board.caption, board.message, len(board.cards), board.counts["faces"]) == (
        "a.png",
        "",
        1,
        1,
    )
    assert board.picture.startswith(b"\xff\xd8")
    assert not watch.step()
    (tmp_path / "cut.jpg").write_bytes(b"cut")
    assert watch.step()
    assert board.message.startswith("cut.jpg: is not a picture")
    assert (board.caption, board.counts["faces"]) == ("a.png", 1)
    Image.fromarray(portraits["grace_hopper.jpg"]).save(tmp_path / "b.png")
    assert watch.step()
    assert (board.caption, board.message, board.counts["faces"]) == ("b.png", "", 2)


def test_hidden_files_and_folders_are_not_shown(tmp_path, portraits):
    for name in (".a.png", ".ipynb_checkpoints/b.png"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        Image.fromarray(portraits["astronaut.png"]).save(tmp_path / name)
    assert not FolderWatch(tmp_path, ShopBoard()).step()


def test_an_error_that_nobody_foresaw_does_not_end_the_show(tmp_path, portraits):
    class Broken:
        def analyze(self, path):
            raise RuntimeError("no luck")

    Image.fromarray(portraits["astronaut.png"]).save(tmp_path / "a.png")
    board = ShopBoard()
    assert FolderWatch(tmp_path, board, Broken()).step()
    assert board.message == "no luck"
