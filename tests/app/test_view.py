import json
from dataclasses import replace

import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image
from traitlets import TraitError

from facekit.analysis import Analysis
from facekit.app import view as app
from facekit.app.view import (
    FolderWatch,
    ShopBoard,
    ShopCamera,
    Tally,
    describe_face,
    show_app,
    show_served_app,
)
from facekit.commands import main
from facekit.faces import Faces, Profile
from facekit.pipeline import FaceAnalyzer
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


@pytest.mark.parametrize(
    ("profile", "sure"),
    [(HAPPY, True), (DOUBTFUL, False), (Profile(confidence_score=0.5), True), (Profile(), False)],
)
def test_a_card_says_when_it_is_not_sure(profile, sure):
    card = describe_face(3, profile)
    assert card["sure"] is sure
    assert (card["number"], card["age_range"], card["gender"]) == (
        3,
        profile.age_range,
        profile.gender,
    )
    json.dumps(card)


class TestTally:
    def test_nobody(self):
        told = Tally().count(0)
        assert (told["faces"], told["unsure"], sum(told["emotion"].values())) == (0, 0, 0)

    def test_a_face_counts_once_and_as_last_seen(self):
        tally = Tally()
        for second, profile in enumerate((DOUBTFUL, HAPPY, HAPPY)):
            tally.see("a", describe_face(0, profile), second)
        tally.see("b", describe_face(1, DOUBTFUL), 2)
        told = tally.count(2)
        assert (told["faces"], told["unsure"]) == (2, 1)
        assert (
            told["age_range"]["21-27"],
            told["gender"]["female"],
            told["emotion"]["happiness"],
        ) == (1, 1, 1)
        assert (told["age_range"]["66+"], told["gender"]["male"]) == (
            0,
            0,
        )  # what is not sure is not counted as if it were

    def test_what_is_old_is_forgotten(self):
        tally = Tally(minutes=1)
        tally.see("a", describe_face(0, HAPPY), 0)
        assert tally.count(60)["faces"] == 1
        assert tally.count(60.1)["faces"] == 0
        assert tally._seen == {}

    def test_what_flashes_up_does_not_count(self):
        tally = Tally(least_sightings=2)
        tally.see("a", describe_face(0, HAPPY), 0)
        assert tally.count(0)["faces"] == 0
        tally.see("a", describe_face(0, HAPPY), 1)
        assert tally.count(1)["faces"] == 1

    def test_no_time_at_all(self):
        with pytest.raises(ValueError, match="`minutes` must be above 0; got 0"):
            Tally(minutes=0)


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
        told = []
        for second, confidence in enumerate((0.48, 0.5, 0.48, 0.44, 0.48)):
            board.show(make_analysis(replace(HAPPY, confidence_score=confidence)), seconds=second)
            told.append(board.cards[0]["sure"])
        assert told == [False, True, True, False, False]

    def test_what_is_not_sure_is_not_drawn(self):
        assert ShopBoard().hide_unsure(make_analysis(HAPPY, DOUBTFUL)).profiles == (
            HAPPY,
            Profile(),
        )

    @pytest.mark.parametrize("value", [-0.1, 1.1, "high"])
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
        [face] = camera._tell_faces(camera.take(portraits["astronaut.png"], 0.0))
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


class TestFolder:
    def test_pictures_in_turn_and_those_that_come(self, tmp_path, portraits):
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


class TestApp:
    def test_defaults_are_those_that_the_command_tells(self):
        told = CliRunner().invoke(main, ["app", "--help"]).output
        assert f"[default: {app.SURE_FROM:g}]" in told
        assert f"[default: {app.MINUTES:g}]" in told

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
