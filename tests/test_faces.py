import numpy as np
import pytest

from facekit.faces import Faces


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


@pytest.mark.parametrize(("count", "told"), [(0, "0 faces"), (1, "1 face<"), (2, "2 faces")])
def test_a_notebook_shows_a_line_a_face(count, told):
    faces = Faces(
        np.zeros((count, 4), np.float32),
        np.ones(count, np.float32),
        np.zeros((count, 5, 2), np.float32),
    )
    view = faces._repr_html_()
    assert told in view
    assert view.count("<tr>") == count
