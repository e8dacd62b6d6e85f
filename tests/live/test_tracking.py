import numpy as np
import pytest

from facekit.faces import Faces
from facekit.live.tracking import FaceTracker, Track


def make_faces(*boxes) -> Faces:
    count = len(boxes)
    return Faces(
        np.array(boxes, np.float32).reshape(-1, 4),
        np.ones(count, np.float32),
        np.zeros((count, 5, 2), np.float32),
    )


def place(left: float, size: float = 40) -> list[float]:
    return [left, 10, left + size, 10 + size]


def number(tracks) -> list[int]:
    return [track.number for track in tracks]


def test_without_faces():
    tracker = FaceTracker()
    assert tracker.follow(make_faces(), 0.0) == []
    assert tracker.predict(1.0).shape == (0, 4)


def test_numbers_stay_whatever_the_order():
    tracker = FaceTracker()
    assert number(tracker.follow(make_faces(place(0), place(100)), 0.0)) == [0, 1]
    assert number(tracker.follow(make_faces(place(104), place(2)), 0.1)) == [1, 0]
    assert number(tracker.follow(make_faces(place(108), place(300), place(4)), 0.2)) == [1, 2, 0]


def test_the_greatest_overlap_comes_first():
    tracker = FaceTracker()
    tracker.follow(make_faces(place(0), place(30)), 0.0)
    assert number(tracker.follow(make_faces(place(18), place(28)), 0.1)) == [0, 1]


@pytest.mark.parametrize(("pause", "numbers"), [(1.0, [0]), (2.0, [1])])
def test_patience(pause, numbers):
    tracker = FaceTracker(patience_seconds=1.5)
    tracker.follow(make_faces(place(0)), 0.0)
    assert tracker.follow(make_faces(), pause / 2) == []
    assert number(tracker.follow(make_faces(place(0)), pause)) == numbers


def test_scores_are_smoothed():
    tracker = FaceTracker()
    for step, score in enumerate((0.95, 0.85, 0.95)):
        faces = Faces(
            np.array([place(0)], np.float32),
            np.full(1, score, np.float32),
            np.zeros((1, 5, 2), np.float32),
        )
        (track,) = tracker.follow(faces, step * 0.1)
        assert track.score == pytest.approx((0.95, 0.93, 0.934)[step])


def test_a_clock_that_went_back_begins_anew():
    tracker = FaceTracker()
    tracker.follow(make_faces(place(0)), 10.0)
    assert number(tracker.follow(make_faces(place(0)), 1.0)) == [1]


def test_a_steady_walk_is_foreseen():
    tracker = FaceTracker()
    for step in range(60):
        tracks = tracker.follow(make_faces(place(step * 4.0)), step / 25)
    assert number(tracks) == [0]
    assert tracks[0].velocity_xyxy[0] == pytest.approx(100, rel=0.1)
    ahead = tracker.predict(60 / 25)[0] - tracks[0].box_xyxy
    assert ahead[0] == pytest.approx(4, rel=0.1)
    assert tracks[0].predict(100)[0] - tracks[0].box_xyxy[0] < 50  # it slows down


def test_trembling_boxes_are_calmed():
    random = np.random.default_rng(0)
    tracker = FaceTracker()
    found = 100 + random.normal(0, 2, 200)
    calmed = [
        tracker.follow(make_faces(place(left)), index / 25)[0].box_xyxy[0]
        for index, left in enumerate(found)
    ]
    assert np.abs(np.diff(calmed)).mean() < np.abs(np.diff(found)).mean()
    assert np.mean(calmed[50:]) == pytest.approx(100, abs=0.5)


def test_answers_are_averaged_first_and_fade_then():
    tracker, track = FaceTracker(emotion_seconds=1.0), Track(0, np.zeros(4), 0.0)
    for index, share in enumerate((1.0, 0.0, 0.5)):
        tracker.remember(track, {"emotion": np.array([share, 1 - share])}, index * 0.01)
    np.testing.assert_allclose(track.probabilities["emotion"], [0.5, 0.5])  # the plain mean
    for index in range(1000):
        tracker.remember(track, {"emotion": np.array([1.0, 0.0])}, 0.03 + index * 0.01)
    tracker.remember(track, {"emotion": np.array([0.0, 1.0])}, track.predicted_seconds + 1.0)
    assert track.probabilities["emotion"][0] == pytest.approx(np.exp(-1), abs=1e-3)


def test_each_attribute_fades_in_its_own_time():
    tracker, track = (
        FaceTracker(person_seconds=10.0, emotion_seconds=0.0),
        Track(0, np.zeros(4), 0.0),
    )
    for index, share in enumerate((1.0, 1.0, 0.0)):
        tracker.remember(
            track,
            {name: np.array([share, 1 - share]) for name in ("gender", "emotion")},
            index * 0.1,
        )
    assert track.probabilities["emotion"][0] == 0.0
    assert track.probabilities["gender"][0] == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"person_seconds": -1}, r"`person_seconds` must be 0 or more; got -1\."),
        ({"patience_seconds": float("nan")}, r"`patience_seconds` must be 0 or more; got nan\."),
        ({"min_overlap": 0}, r"`min_overlap` must be above 0 and below 1; got 0\."),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        FaceTracker(**options)
