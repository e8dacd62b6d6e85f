from dataclasses import replace

import numpy as np
import pytest

from facekit.faces import NOT_SURE, Faces, Profile, name_answer, name_unsure, round_ages


def make_faces(count) -> Faces:
    numbers = np.arange(count, dtype=np.float32)
    boxes = numbers[:, None] + np.array([1.04, 2, 3, 4], np.float32)
    return Faces(
        boxes,
        1 - numbers / 10,
        numbers[:, None, None] + np.arange(10, dtype=np.float32).reshape(5, 2),
    )


@pytest.mark.parametrize(
    ("shapes", "message"),
    [
        (((2, 5), (2,), (2, 5, 2)), r"`boxes_xyxy` must have shape \(2, 4\); got \(2, 5\)\."),
        (((2, 4), (3,), (2, 5, 2)), r"`scores` must have shape \(2,\); got \(3,\)\."),
        (((2, 4), (2, 1), (2, 5, 2)), r"`scores` must have shape \(2,\); got \(2, 1\)\."),
        (((2, 4), (2,), (2, 10)), r"`landmarks_xy` must have shape \(2, 5, 2\); got \(2, 10\)\."),
        (
            ((0, 4), (0,), (1, 5, 2)),
            r"`landmarks_xy` must have shape \(0, 5, 2\); got \(1, 5, 2\)\.",
        ),
    ],
)
def test_shapes_that_do_not_belong_together_are_an_error(shapes, message):
    with pytest.raises(ValueError, match=message):
        Faces(*(np.zeros(shape, np.float32) for shape in shapes))


def test_no_face_is_an_empty_record():
    faces = Faces.empty()
    assert len(faces) == 0
    assert faces.boxes_xyxy.dtype == faces.scores.dtype == faces.landmarks_xy.dtype == np.float32
    assert len(faces[:3]) == 0


@pytest.mark.parametrize("index", [slice(1, None), np.array([False, True, True]), [1, 2]])
def test_some_of_the_faces(index):
    faces = make_faces(3)
    some = faces[index]
    assert isinstance(some, Faces)
    np.testing.assert_array_equal(some.scores, faces.scores[1:])
    np.testing.assert_array_equal(some.boxes_xyxy, faces.boxes_xyxy[1:])
    np.testing.assert_array_equal(some.landmarks_xy, faces.landmarks_xy[1:])


@pytest.mark.parametrize("index", [1, -2, np.int64(1), np.array(1)])
def test_one_index_gives_a_record_of_one_face(index):
    faces = make_faces(3)
    face = faces[index]
    assert isinstance(face, Faces)
    assert len(face) == 1
    assert face.scores[0] == faces.scores[1]
    np.testing.assert_array_equal(face.boxes_xyxy, faces.boxes_xyxy[1:2])
    np.testing.assert_array_equal(face.landmarks_xy, faces.landmarks_xy[1:2])


def test_iterating_gives_records_of_one_face():
    faces = make_faces(3)
    assert [len(face) for face in faces] == [1, 1, 1]
    assert [face.scores[0] for face in faces] == faces.scores.tolist()
    assert list(Faces.empty()) == []
    assert len(faces[[]]) == len(faces[np.zeros(3, bool)]) == 0


@pytest.mark.parametrize(
    ("count", "index", "message"),
    [
        (3, 3, r"There is no face 3; the record holds 3 faces, from 0 up\."),
        (3, -4, r"There is no face -4; the record holds 3 faces"),
        (3, [0, 7], r"There is no face 7; the record holds 3 faces"),
        (1, 1, r"There is no face 1; the record holds 1 face, from 0 up\."),
        (0, 0, r"There is no face 0; the record holds 0 faces"),
        (3, np.array([True]), r"A mask must have one value per face, 3; got 1 values\."),
    ],
)
def test_faces_that_are_not_there_are_an_error(count, index, message):
    with pytest.raises(IndexError, match=message):
        make_faces(count)[index]


@pytest.mark.parametrize("index", ["0", 0.5, (0, slice(None)), None, [[0]], True])
def test_what_is_no_index_is_an_error(index):
    with pytest.raises(TypeError, match=r"`index` must be an integer, a slice, integers or a mask"):
        make_faces(3)[index]


@pytest.mark.parametrize(("count", "heading"), [(0, "0 faces"), (1, "1 face<"), (2, "2 faces")])
def test_a_notebook_shows_a_line_per_face(count, heading):
    faces = Faces(
        np.zeros((count, 4), np.float32),
        np.ones(count, np.float32),
        np.zeros((count, 5, 2), np.float32),
    )
    view = faces._repr_html_()
    assert heading in view
    assert view.count("<tr>") == count


@pytest.mark.parametrize(
    ("attribute", "label"),
    [
        ("age", "39"),
        ("age_range", "28-45"),
        ("gender", "male"),
        ("emotion", "fear"),
        ("ethnicity", "asian"),
    ],
)
def test_an_answer_is_its_label_or_not_sure(attribute, label):
    profile = Profile(
        age_years=38.6, age_range="28-45", gender="male", emotion="fear", ethnicity="asian"
    )
    assert name_answer(profile, attribute) == label
    name = attribute.removesuffix("_range")
    doubted = replace(profile, unsure=(name,))
    assert name_answer(doubted, attribute) == NOT_SURE == "not sure"
    assert (name_unsure(profile), name_unsure(doubted)) == ("", f"not sure of {name}")
    assert name_answer(Profile(unsure=(name,)), attribute) == ""  # it was not requested
    assert (profile.is_sure(name), doubted.is_sure(name), Profile().is_sure(name)) == (
        True,
        False,
        False,
    )


@pytest.mark.parametrize(
    ("age_years", "years"),
    [(0.0, 0), (27.44, 27), (27.46, 28), (27.5, 28), (38.6, 39), (100.0, 100)],
)
def test_ages_are_rounded_as_in_the_table(age_years, years):
    assert round_ages(age_years) == years
    assert round_ages(np.array([age_years])).tolist() == [years]
    assert name_answer(Profile(age_years=age_years), "age") == str(years)
