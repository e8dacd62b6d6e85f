from dataclasses import replace

import cv2
import numpy as np
import pytest

from facekit import FaceAnalyzer
from facekit.detection import MTCNN
from facekit.fusion import load_constants
from facekit.live import LiveAnalyzer, analyzer
from facekit.video import VideoWriter


def shift(pixels: np.ndarray, by: float) -> np.ndarray:
    moved = cv2.warpAffine(
        pixels,
        np.float32([[1, 0, by], [0, 1, 0]]),
        pixels.shape[1::-1],
        borderMode=cv2.BORDER_REPLICATE,
    )
    return np.ascontiguousarray(moved)


@pytest.fixture(scope="module")
def portrait(portraits) -> np.ndarray:
    return cv2.resize(portraits["astronaut.png"], (480, 480), interpolation=cv2.INTER_AREA)


@pytest.fixture
def searches(monkeypatch) -> list[tuple]:
    """Sizes of the images that were searched."""
    sizes, detect = [], MTCNN.detect

    def count(self, image):
        sizes.append(image.shape[:2])
        return detect(self, image)

    monkeypatch.setattr(MTCNN, "detect", count)
    return sizes


def test_a_face_keeps_its_number_and_is_predicted_as_alone(portrait):
    live = LiveAnalyzer()
    for index in range(12):
        pixels = shift(portrait, 20 * np.sin(index / 3))
        analysis = live.analyze(pixels, index / 10, index, "camera")
        assert analysis.numbers == (0,)
        alone = FaceAnalyzer(min_face_size=72).analyze(pixels)
        np.testing.assert_allclose(analysis.faces.boxes_xyxy, alone.faces.boxes_xyxy, atol=16)
    assert (analysis.profiles[0].gender, analysis.profiles[0].emotion) == ("female", "happiness")
    row = analysis.to_dicts()[0]
    assert (row["image"], row["frame"], row["face"]) == ("camera", 11, 0)


@pytest.mark.parametrize("step_xy", [(-14, 0), (14, 0), (0, -12), (-30, -30)])
@pytest.mark.parametrize("search_seconds", [0.0, 10.0])
def test_boxes_stay_inside_the_frame(portrait, step_xy, search_seconds):
    live = LiveAnalyzer(("gender",), search_seconds=search_seconds)
    seen = 0
    for index in range(14):
        matrix = np.float32([[1, 0, index * step_xy[0]], [0, 1, index * step_xy[1]]])
        pixels = cv2.warpAffine(portrait, matrix, portrait.shape[1::-1])
        boxes = live.analyze(pixels, index / 10).faces.boxes_xyxy
        assert (boxes >= 0).all()
        assert (boxes <= 479).all()
        assert (boxes[:, 2:] > boxes[:, :2]).all()
        seen += len(boxes)
    assert seen > 2


def test_a_smoothed_box_that_lags_outside_is_the_detected_one(portrait):
    live = LiveAnalyzer(("gender",))
    detected = live.analyze(portrait, 0.0).faces
    (track,) = live.tracks
    track.velocity_xyxy = np.full(4, -30_000, np.float32)  # far out of the frame by the next one
    boxes = live.analyze(portrait, 0.05).faces.boxes_xyxy
    assert (boxes >= 0).all()
    assert (boxes[:, 2:] > boxes[:, :2]).all()
    np.testing.assert_allclose(boxes, detected.boxes_xyxy, atol=25)


def test_models_can_be_named(portrait):
    live = LiveAnalyzer(("gender",), models=["faces"])
    assert live.analyze(portrait, 0.0).profiles[0].gender == "female"


def test_it_searches_seldom_and_small(portrait, searches):
    live = LiveAnalyzer(("emotion",), search_seconds=0.5)
    for index in range(11):
        live.analyze(portrait, index / 10)
    assert searches == [(320, 320)] * 3  # at 0, 0.5 and 1 s


def test_a_lost_face_is_searched_for_at_once(portrait, searches):
    live = LiveAnalyzer(("emotion",), search_seconds=10)
    grey = np.full_like(portrait, 128)
    assert [
        len(live.analyze(pixels, index / 10))
        for index, pixels in enumerate((portrait, portrait, grey, grey, portrait))
    ] == [
        1,
        1,
        0,
        0,
        1,
    ]
    assert len(searches) == 3  # at first, and where it was lost; then it is where it was
    assert live.tracks[0].number == 0


def test_faces_are_predicted_in_turn(portraits):
    group = cv2.resize(portraits["group.jpg"], (640, 427), interpolation=cv2.INTER_AREA)
    live = LiveAnalyzer(("gender",), predicted_per_frame=2)
    counts = []
    for index in range(4):
        count = len(live.analyze(group, index / 10))
        counts.append(sum(track.predictions for track in live.tracks))
    assert count == 6
    assert counts == [6, 8, 10, 12]
    assert [track.predictions for track in live.tracks] == [2] * 6


@pytest.mark.parametrize(("threshold", "unsure"), [(0.0, ()), (2.0, ("emotion",))])
def test_thresholds_apply_to_smoothed_probabilities(portrait, monkeypatch, threshold, unsure):
    constants = replace(load_constants(), thresholds={"emotion": threshold})
    monkeypatch.setattr(analyzer, "load_constants", lambda: constants)
    assert LiveAnalyzer(("emotion",)).analyze(portrait, 0.0).profiles[0].unsure == unsure


def test_what_may_be_no_face_is_marked(portrait, monkeypatch):
    constants = replace(load_constants(), thresholds={"score": 2.0})
    monkeypatch.setattr(analyzer, "load_constants", lambda: constants)
    (profile,) = LiveAnalyzer(("emotion",)).analyze(portrait, 0.0).profiles
    assert profile.unsure == ("face", "emotion")


def test_attributes_may_change(portrait):
    live = LiveAnalyzer(("gender",))
    assert live.analyze(portrait, 0.0).profiles[0].emotion is None
    live.attributes = ("emotion",)
    profile = live.analyze(portrait, 0.1).profiles[0]
    assert (profile.gender, profile.emotion) == (None, "happiness")


@pytest.mark.parametrize("size_hw", [(8, 8), (480, 640), (3, 700)])
def test_no_face(size_hw):
    analysis = LiveAnalyzer().analyze(np.zeros((*size_hw, 3), np.uint8), 0.0)
    assert len(analysis) == 0
    assert analysis.to_frame().empty


def test_a_video(portrait, tmp_path):
    with VideoWriter(tmp_path / "film.mp4", 10) as writer:
        for index in range(4):
            writer.write(shift(portrait, 3 * index))
    analyses = list(LiveAnalyzer(("gender",)).analyze_video(tmp_path / "film.mp4"))
    assert [(analysis.frame, analysis.numbers) for analysis in analyses] == [
        (index, (0,)) for index in range(4)
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"attributes": ("mood",)}, r"`attributes` must be one or more of age,"),
        ({"min_face_share": 0}, r"`min_face_share` must be above 0, and 1 at most; got 0\."),
        ({"search_seconds": -1}, r"`search_seconds` must be 0 or more; got -1\."),
        ({"search_seconds": float("nan")}, r"`search_seconds` must be 0 or more; got nan\."),
        ({"models": ("emotion",), "attributes": ("age",)}, r"`models` must serve age; emotion"),
        ({"predicted_per_frame": 0}, r"`predicted_per_frame` must be 1 or more; got 0\."),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        LiveAnalyzer(**options)
