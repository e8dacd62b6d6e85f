import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from traitlets import TraitError

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

HAPPY = Profile(
    age_years=25, age_range="21-27", gender="female", emotion="happiness", confidence_score=0.8
)
DOUBTFUL = Profile(
    age_years=85, age_range="66+", gender="male", emotion="neutral", confidence_score=0.3
)


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
        assert [(card["number"], card["sure"]) for card in board.cards] == [(2, False), (7, True)]
        assert (board.counts["faces"], board.counts["unsure"]) == (2, 1)

    def test_cards_change_at_a_pace_that_can_be_read(self):
        board = ShopBoard()
        board.show(make_analysis(HAPPY), seconds=0)
        board.show(make_analysis(), seconds=0.1)
        assert len(board.cards) == 1
        board.show(make_analysis(), seconds=0.6)
        assert board.cards == []
        assert board.counts["faces"] == 1

    def test_who_was_sure_does_not_flicker(self):
        board = ShopBoard(sure_from=0.5)
        sure = []
        for second, confidence in enumerate((0.48, 0.5, 0.48, 0.44, 0.48)):
            board.show(make_analysis(replace(HAPPY, confidence_score=confidence)), seconds=second)
            sure.append(board.cards[0]["sure"])
        assert sure == [False, True, True, False, False]

    def test_what_is_not_sure_is_not_drawn(self):
        assert ShopBoard().hide_unsure(make_analysis(HAPPY, DOUBTFUL)).profiles == (
            HAPPY,
            Profile(),
        )

    @pytest.mark.parametrize("value", [-0.1, 1.1, float("nan"), "high"])
    def test_wrong_confidence(self, value):
        with pytest.raises(TraitError, match="sure_from"):
            ShopBoard(sure_from=value)


class TestCamera:
    def test_tells_the_board(self, portraits):
        board = ShopBoard(Tally())
        camera = ShopCamera(board, running=True)
        camera.take(portraits["astronaut.png"], 0.0)
        assert [(card["gender"], card["emotion"]) for card in board.cards] == [
            ("female", "happiness")
        ]
        camera.running = False
        assert board.cards == []
        camera.take(portraits["astronaut.png"], 1.0)  # it was under way
        assert board.cards == []
        camera.close()

    def test_the_picture_says_when_it_is_not_sure(self, portraits):
        camera = ShopCamera(ShopBoard(sure_from=1))
        [face] = camera._describe_faces(camera.take(portraits["astronaut.png"], 0.0))
        assert (face["lines"], face["emotion"]) == (["not sure"], None)
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
        assert f"[default: {app.SURE_FROM:g}]" in text
        assert f"[default: {app.MINUTES:g}]" in text

    def test_camera(self):
        camera, board = show_app(sure_from=0.7, minutes=3).children
        assert isinstance(camera, ShopCamera)
        assert (board.sure_from, board.tally.minutes) == (0.7, 3)
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
        monkeypatch.setenv(app.OPTIONS, json.dumps({"source": "", "sure_from": 0.9, "minutes": 1}))
        camera, board = show_served_app().children
        assert (board.sure_from, board.counts["minutes"]) == (0.9, 1)
        camera.close()
