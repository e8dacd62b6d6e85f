import json

import numpy as np
from click.testing import CliRunner

from facekit.analysis import Analysis
from facekit.app import view as app
from facekit.app.view import (
    FolderWatch,
    ShopBoard,
    ShopCamera,
    Tally,
    show_app,
    show_served_app,
)
from facekit.commands import main
from facekit.faces import Faces, Profile
from facekit.video import VideoWriter

HAPPY = Profile(age_years=25, age_range="21-27", gender="female", emotion="happiness")
DOUBTFUL = Profile(
    age_years=85, age_range="66+", gender="male", emotion="neutral", unsure=("age", "emotion")
)
NO_FACE = Profile(gender="male", emotion="fear", unsure=("face", "gender", "emotion"))


def make_analysis(*profiles: Profile, numbers: tuple[int, ...] = ()) -> Analysis:
    count = len(profiles)
    faces = Faces(
        np.zeros((count, 4), np.float32),
        np.ones(count, np.float32),
        np.zeros((count, 5, 2), np.float32),
    )
    return Analysis("", faces, profiles, numbers=numbers)


class TestBoard:
    def test_faces_keep_their_numbers(self):
        board = ShopBoard()
        board.show(make_analysis(HAPPY, DOUBTFUL, numbers=(7, 2)), seconds=0)
        assert [(card["number"], card["emotion"]) for card in board.cards] == [
            (2, None),
            (7, "happiness"),
        ]
        assert board.counts["faces"] == 2

    def test_what_may_be_no_face_is_neither_shown_nor_counted(self):
        board = ShopBoard()
        board.show(make_analysis(NO_FACE, HAPPY), seconds=0)
        assert [card["number"] for card in board.cards] == [1]
        assert (board.counts["faces"], sum(board.counts["gender"].values())) == (1, 1)

    def test_cards_change_at_a_pace_that_can_be_read(self):
        board = ShopBoard()
        board.show(make_analysis(HAPPY), seconds=0)
        board.show(make_analysis(), seconds=0.1)
        assert len(board.cards) == 1
        board.show(make_analysis(), seconds=0.6)
        assert board.cards == []
        assert board.counts["faces"] == 1


class TestCamera:
    def test_tells_the_board(self, portraits):
        board = ShopBoard(Tally())
        camera = ShopCamera(board, running=True)
        camera.take(portraits["astronaut.png"], 0.0)
        assert [card["emotion"] for card in board.cards] == ["happiness"]
        camera.running = False
        assert board.cards == []
        camera.take(portraits["astronaut.png"], 1.0)  # it was under way
        assert board.cards == []
        camera.close()

    def test_stores_nothing_whatever_the_page_asks_for(self, tmp_path, monkeypatch, portraits):
        monkeypatch.chdir(tmp_path)
        camera = ShopCamera(ShopBoard())
        camera.set_state({"recording": True})
        camera.take(portraits["astronaut.png"], 0.0)
        camera._receive(None, {"kind": "snapshot"}, [])
        assert (camera.recording, camera.snapshots, list(tmp_path.iterdir())) == (False, [], [])
        assert "ethnicity" not in camera.choices
        camera.close()


class TestApp:
    def test_defaults_are_those_that_the_command_tells(self):
        text = CliRunner().invoke(main, ["app", "--help"]).output
        assert f"[default: {app.MINUTES:g}]" in text

    def test_camera(self):
        camera, board = show_app(minutes=3).children
        assert isinstance(camera, ShopCamera)
        assert board.tally.minutes == 3
        camera.close()

    def test_film(self, tmp_path):
        with VideoWriter(tmp_path / "film.mp4", 10) as film:
            film.write(np.zeros((48, 64, 3), np.uint8))
        camera, _ = show_app(tmp_path / "film.mp4").children
        assert camera.film == "film.mp4"
        camera.close()

    def test_folder(self, tmp_path, monkeypatch):
        started = []
        monkeypatch.setattr(FolderWatch, "start", lambda watch: started.append(watch.folder))
        assert len(show_app(tmp_path).children) == 1
        assert started == [tmp_path]

    def test_served(self, monkeypatch):
        monkeypatch.setenv(app.OPTIONS, json.dumps({"source": "", "minutes": 1}))
        camera, board = show_served_app().children
        assert board.counts["minutes"] == 1
        camera.close()
