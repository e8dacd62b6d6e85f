import base64
import io
import os
import re
from dataclasses import replace

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.analysis import Analysis
from facekit.faces import COLUMNS, Faces, Profile

# As the contract in DESIGN.md has them, word for word.
CONTRACT = [
    "image", "frame", "face", "x1", "y1", "x2", "y2", "score",
    "age_years", "age_low", "age_high", "age_range", "gender", "gender_probability",
    "emotion", "emotion_probability", "ethnicity", "ethnicity_probability", "confidence_score",
    "left_eye_x", "left_eye_y", "right_eye_x", "right_eye_y", "nose_x", "nose_y",
    "mouth_left_x", "mouth_left_y", "mouth_right_x", "mouth_right_y",
    "emotion_anger", "emotion_disgust", "emotion_fear", "emotion_happiness", "emotion_neutral",
    "emotion_sadness", "emotion_surprise",
]  # fmt: skip

PROFILE = Profile(
    age_years=31.26,
    age_low=25.04,
    age_high=38,
    age_range="28-45",
    gender="female",
    gender_probability=0.98765,
    emotion="happiness",
    emotion_probability=0.7,
    confidence_score=0.81,
    emotion_probabilities=(0.1, 0, 0, 0.7, 0.2, 0, 0),
)


def make_faces(count) -> Faces:
    numbers = np.arange(count, dtype=np.float32)
    boxes = numbers[:, None] + np.array([1.04, 2, 3, 4], np.float32)
    return Faces(
        boxes,
        1 - numbers / 10,
        numbers[:, None, None] + np.arange(10, dtype=np.float32).reshape(5, 2),
    )


@pytest.fixture
def analysis() -> Analysis:
    return Analysis("party/two.jpg", make_faces(2), (PROFILE, Profile()))


def test_columns_are_those_of_the_contract(analysis):
    assert list(COLUMNS) == CONTRACT
    assert list(analysis.to_frame().columns) == CONTRACT
    assert [list(row) for row in analysis.to_dicts()] == [CONTRACT] * 2


def test_each_face_needs_a_profile():
    with pytest.raises(ValueError, match=r"must hold one profile per face \(2\); got 1\."):
        Analysis("", make_faces(2), (PROFILE,))


def test_faces_of_a_video_keep_their_numbers():
    analysis = Analysis("film.mp4", make_faces(2), (Profile(), Profile()), frame=7, numbers=(4, 1))
    assert analysis.to_frame()["face"].tolist() == [4, 1]
    message = r"`numbers` must hold one number per face \(2\), or none at all; got 1\."
    with pytest.raises(ValueError, match=message):
        Analysis("film.mp4", make_faces(2), (Profile(), Profile()), numbers=(4,))


def test_a_row_has_box_profile_and_landmarks(analysis):
    row = analysis.to_dicts()[0]
    expected = {
        "image": "party/two.jpg", "frame": None, "face": 0, "x1": 1.0, "y2": 4.0, "score": 1.0,
        "age_years": 31.3, "age_low": 25.0, "age_high": 38.0, "age_range": "28-45",
        "gender": "female", "gender_probability": 0.9877, "emotion": "happiness", "ethnicity": None,
        "confidence_score": 0.81, "left_eye_x": 0.0, "left_eye_y": 1.0, "mouth_right_y": 9.0,
        "emotion_anger": 0.1, "emotion_happiness": 0.7, "emotion_surprise": 0.0,
    }  # fmt: skip
    assert {name: row[name] for name in expected} == expected
    assert {type(value) for value in row.values()} == {str, int, float, type(None)}, (
        "plain Python, so that JSON takes it"
    )


def test_what_was_not_requested_is_none(analysis):
    row = analysis.to_dicts()[1]
    known = {name for name, value in row.items() if value is not None}
    assert known == {
        "image",
        "face",
        "x1",
        "y1",
        "x2",
        "y2",
        "score",
        *(name for name in CONTRACT if name.endswith(("_x", "_y"))),
    }


def test_unknown_landmarks_are_empty_cells():
    faces = Faces(
        np.zeros((1, 4), np.float32),
        np.zeros(1, np.float32),
        np.full((1, 5, 2), np.nan, np.float32),
    )
    analysis = Analysis("one.jpg", faces, (Profile(),), frame=7)
    assert analysis.to_dicts()[0]["nose_x"] is None
    frame = analysis.to_frame()
    assert frame["nose_x"].isna().all()
    assert frame.to_csv(index=False).splitlines()[1] == "one.jpg,7,0,0.0,0.0,0.0,0.0,0.0" + "," * (
        len(COLUMNS) - 8
    )


def test_types_are_the_same_with_rows_and_without(analysis):
    full, empty = analysis.to_frame(), Analysis("none.jpg", Faces.empty(), ()).to_frame()
    assert (len(full), len(empty)) == (2, 0)
    pd.testing.assert_series_equal(full.dtypes, empty.dtypes)
    assert full["face"].tolist() == [0, 1]
    assert full["frame"].isna().all()
    assert full["gender"].isna().tolist() == [False, True]
    assert full["age_years"].dtype == np.float64


def test_without_the_picture_there_is_nothing_to_draw(analysis):
    with pytest.raises(ValueError, match=r"`analysis` must hold its picture in `pixels`"):
        analysis.draw()


class TestNotebookView:
    def test_the_picture_and_one_row_per_face(self):
        pixels = np.full((1200, 600, 3), 128, np.uint8)
        view = Analysis(
            "<party>.jpg", make_faces(2), (PROFILE, Profile()), pixels=pixels
        )._repr_html_()
        assert 'alt="&lt;party&gt;.jpg, with 2 faces marked"' in view
        encoded = re.search('base64,([^"]+)', view)[1]
        assert Image.open(io.BytesIO(base64.b64decode(encoded))).size == (450, 900)
        assert "28-45" in view
        assert "ethnicity" not in view  # it was not requested

    def test_without_a_picture(self, analysis):
        view = analysis._repr_html_()
        assert view.startswith("<p>2 faces</p><table")

    def test_names_that_are_not_utf8(self):
        name = os.fsdecode(b"caf\xe9.jpg")
        pixels = np.zeros((60, 60, 3), np.uint8)
        analysis = Analysis(name, make_faces(1), (PROFILE,), pixels=pixels)
        assert r'alt="caf\xe9.jpg, with 1 face marked"' in analysis._repr_html_()
        analysis._repr_html_().encode()
        assert repr(analysis) == r"<Analysis of caf\xe9.jpg: 1 face>"
        assert analysis.to_frame()["image"].tolist() == [r"caf\xe9.jpg"]
        assert analysis.to_dicts()[0]["image"] == name, "opens the file"

    def test_labels_that_are_not_sure_are_not_shown(self):
        profiles = (
            replace(PROFILE, unsure=("age", "emotion")),
            replace(PROFILE, unsure=("face", "age", "gender", "emotion")),
        )
        analysis = Analysis("", make_faces(2), profiles)
        view = analysis._repr_html_()
        assert PROFILE.age_range not in view
        assert PROFILE.emotion not in view
        assert view.count(f"<td>{PROFILE.gender}</td>") == 1
        assert view.count("<td>not sure</td>") == 7
        assert "<td>1, face?</td>" in view
        frame = analysis.to_frame()
        assert list(frame.columns) == list(COLUMNS)
        assert frame["emotion"].tolist() == [PROFILE.emotion] * 2  # a table keeps the label

    def test_nobody(self):
        assert "0 faces" in Analysis("", make_faces(0), ())._repr_html_()


@pytest.mark.parametrize(
    ("image", "count", "frame", "expected"),
    [
        ("a.jpg", 2, None, "<Analysis of a.jpg: 2 faces>"),
        ("a.mp4", 1, 7, "<Analysis of a.mp4, frame 7: 1 face>"),
        ("", 0, None, "<Analysis of an array: 0 faces>"),
    ],
)
def test_a_terminal_shows_one_line(image, count, frame, expected):
    assert repr(Analysis(image, make_faces(count), (Profile(),) * count, frame)) == expected
