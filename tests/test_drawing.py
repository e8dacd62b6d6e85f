from dataclasses import replace

import numpy as np
import pytest
from PIL import ImageColor

from facekit import drawing
from facekit.analysis import Analysis
from facekit.drawing import EMOTION_COLOURS, LEAST_SIDE, PLAIN_COLOUR, write_label
from facekit.faces import Faces, Profile
from facekit.taxonomy import EMOTIONS

GREY = 100
FULL = Profile(
    age_years=31.4, age_low=25, age_high=40, age_range="28-45",
    gender="female", gender_probability=0.9, emotion="happiness", emotion_probability=0.87,
    ethnicity="asian", ethnicity_probability=0.7, confidence_score=0.8,
)  # fmt: skip


def make_analysis(size_hw, boxes=(), profiles=None, landmarks=None) -> Analysis:
    """Faces on plain grey, without landmarks unless they are given."""
    boxes = np.array(boxes, np.float32).reshape(-1, 4)
    if landmarks is None:
        landmarks = np.full((len(boxes), 5, 2), np.nan, np.float32)
    faces = Faces(boxes, np.ones(len(boxes), np.float32), landmarks)
    pixels = np.full((*size_hw, 3), GREY, np.uint8)
    return Analysis("", faces, tuple(profiles or [FULL] * len(boxes)), pixels=pixels)


def find_changed(picture: np.ndarray) -> np.ndarray:
    return (picture != GREY).any(axis=2)


def cover(shape_hw, box, margin: float) -> np.ndarray:
    """A mask of a box, grown by a margin."""
    rows, columns = np.indices(shape_hw)
    return (
        (columns >= box[0] - margin)
        & (columns <= box[2] + margin)
        & (rows >= box[1] - margin)
        & (rows <= box[3] + margin)
    )


@pytest.fixture
def places(monkeypatch) -> list[np.ndarray]:
    """Where the labels of the pictures drawn come to stand, x1, y1, x2, y2."""
    seen: list[np.ndarray] = []
    draw_label = drawing._draw_label

    def watch(*arguments):
        places = draw_label(*arguments)
        seen.extend(places)
        return places

    monkeypatch.setattr(drawing, "_draw_label", watch)
    return seen


def check_places(places: list[np.ndarray], size_hw: tuple[int, int]) -> None:
    """Every label lies within the picture, and no two share any area."""
    corners = np.array(places).reshape(-1, 4)
    assert (corners[:, :2] >= 0).all()
    assert (corners[:, 2:] <= size_hw[::-1]).all()
    shared = np.minimum(corners[:, None, 2:], corners[None, :, 2:]) - np.maximum(
        corners[:, None, :2], corners[None, :, :2]
    )
    overlapping = (shared > 0).all(axis=2)
    assert not overlapping[~np.eye(len(corners), dtype=bool)].any()


def test_every_emotion_has_a_colour_of_its_own():
    assert tuple(EMOTION_COLOURS) == EMOTIONS
    assert len({ImageColor.getrgb(colour) for colour in EMOTION_COLOURS.values()}) == len(EMOTIONS)


def test_only_box_and_label_are_drawn(places):
    box = (300, 200, 500, 420)
    picture = Analysis.draw(make_analysis((800, 1000), [box]))
    assert picture.shape == (800, 1000, 3)
    assert picture.dtype == np.uint8
    changed = find_changed(picture)
    (place,) = places
    label = cover(changed.shape, place, 1)
    edge = cover(changed.shape, box, 4) & ~cover(changed.shape, box, -4)
    assert not changed[~(label | edge)].any()
    assert changed[label].mean() > 0.8
    for x, y in ((300, 300), (500, 300), (400, 200), (400, 420)):
        assert changed[y - 1 : y + 2, x - 1 : x + 2].any()


@pytest.mark.parametrize(("numbers", "expected"), [((), "#1  30"), ((7, 4), "#4  30")])
def test_labels_say_which_face_it_is(numbers, expected, monkeypatch):
    lines = []
    monkeypatch.setattr(
        drawing,
        "write_label",
        lambda profile, number: lines.append(write_label(profile, number)) or lines[-1],
    )
    boxes = [(100, 100, 200, 200), (300, 300, 400, 400)]
    analysis = make_analysis((500, 500), boxes, [Profile(), Profile(age_years=30.2)])
    drawing.draw_faces(analysis.pixels, analysis.faces, analysis.profiles, numbers)
    assert [expected] in lines


@pytest.mark.parametrize("emotion", EMOTIONS)
def test_boxes_have_the_colour_of_the_emotion(emotion):
    picture = Analysis.draw(
        make_analysis(
            (700, 700), [(300, 200, 500, 420)], [Profile(emotion=emotion, emotion_probability=0.5)]
        )
    )
    assert tuple(picture[300, 301]) == ImageColor.getrgb(EMOTION_COLOURS[emotion])


@pytest.mark.parametrize(
    ("unsure", "lines"),
    [
        ((), ["31, female", "happiness 87%", "asian 70%"]),
        (("age",), ["female", "happiness 87%", "asian 70%", "not sure of age (25 to 40)"]),
        (("emotion",), ["31, female", "asian 70%", "not sure of emotion"]),
        (("age", "gender"), ["happiness 87%", "asian 70%", "not sure of age (25 to 40), gender"]),
        (("age", "gender", "emotion", "ethnicity"), ["not sure"]),
        (("face", "age", "gender", "emotion", "ethnicity"), ["face?"]),
    ],
)
def test_labels_say_what_is_not_sure(unsure, lines):
    profile = replace(FULL, unsure=unsure)
    assert write_label(profile, None) == lines
    assert write_label(profile, 3) == [f"#3  {lines[0]}", *lines[1:]]


def test_an_emotion_that_is_not_sure_has_no_colour():
    profile = replace(FULL, unsure=("emotion",))
    picture = Analysis.draw(make_analysis((700, 700), [(300, 200, 500, 420)], [profile]))
    assert tuple(picture[300, 301]) == ImageColor.getrgb(PLAIN_COLOUR)


def test_what_may_be_no_face_has_a_dashed_outline_without_landmarks():
    points = np.array([[[350, 260]] * 5], np.float32)
    profile = replace(FULL, unsure=("face", "age", "gender", "emotion", "ethnicity"))
    box = (300, 200, 500, 420)
    changed = find_changed(
        Analysis.draw(make_analysis((700, 700), [box], [profile], landmarks=points))
    )
    assert not changed[cover(changed.shape, box, -6)].any()
    left = changed[200:420, 299:302].any(axis=1)
    assert 0.3 < left.mean() < 0.7
    assert np.diff(left.astype(int)).any()


def test_the_picture_given_is_not_drawn_into():
    analysis = make_analysis((700, 700), [(300, 200, 500, 420)])
    Analysis.draw(analysis)
    assert (analysis.pixels == GREY).all()


def test_landmarks_are_drawn_where_they_are_known():
    points = np.array(
        [[[350, 260], [450, 260], [np.nan, np.nan], [360, np.nan], [440, 370]]], np.float32
    )
    picture = Analysis.draw(make_analysis((700, 700), [(300, 200, 500, 420)], landmarks=points))
    changed = find_changed(picture)
    for x, y in ((350, 260), (450, 260), (440, 370)):
        assert changed[y, x]
        changed[cover(changed.shape, (x, y, x, y), 6)] = False
    assert not changed[cover(changed.shape, (300, 200, 500, 420), -6)].any()


@pytest.mark.parametrize(
    ("size_hw", "drawn_hw"),
    [
        ((48, 48), (640, 640)),
        ((50, 100), (320, 640)),
        ((600, 200), (640, 213)),
        ((640, 300), (640, 300)),
        ((1, 1), (640, 640)),
    ],
)
def test_small_pictures_are_enlarged(size_hw, drawn_hw):
    assert max(drawn_hw) == LEAST_SIDE
    height, width = size_hw
    picture = Analysis.draw(make_analysis(size_hw, [(0, 0, width - 1, height - 1)]))
    assert picture.shape == (*drawn_hw, 3)
    assert find_changed(picture).any()


def test_boxes_are_enlarged_with_the_picture():
    picture = Analysis.draw(make_analysis((64, 64), [(16, 16, 47, 47)], [Profile()]))
    rows, columns = np.nonzero(find_changed(picture))
    assert (rows.min(), columns.min()) == pytest.approx((165, 165), abs=8)  # 16.5 pixels, ten times
    assert (rows.max(), columns.max()) == pytest.approx((475, 475), abs=8)


def test_a_large_picture_keeps_its_size():
    picture = Analysis.draw(make_analysis((3000, 4000), [(1000, 1000, 1400, 1500)]))
    assert picture.shape == (3000, 4000, 3)
    assert find_changed(picture).any()


def test_without_faces_nothing_is_drawn():
    picture = Analysis.draw(make_analysis((700, 900)))
    assert picture.shape == (700, 900, 3)
    assert not find_changed(picture).any()


def test_a_profile_without_attributes_has_no_label(places):
    box = (300, 200, 500, 420)
    changed = find_changed(
        Analysis.draw(make_analysis((700, 700), [box], [Profile(confidence_score=0.5)]))
    )
    assert places == []
    assert not changed[~cover(changed.shape, box, 4)].any()


@pytest.mark.parametrize(
    "profile",
    [
        Profile(age_years=4.0, age_low=2, age_high=6, age_range="3-9"),
        Profile(gender="male", gender_probability=0.6),
        Profile(emotion="fear", emotion_probability=0.6),
        Profile(ethnicity="other", ethnicity_probability=0.6),
    ],
)
def test_a_profile_of_one_attribute_is_labelled(places, profile):
    Analysis.draw(make_analysis((700, 700), [(300, 200, 500, 420)], [profile]))
    assert len(places) == 1
    check_places(places, (700, 700))


@pytest.mark.parametrize(
    "box",
    [(0, 0, 80, 90), (819, 0, 899, 90), (0, 509, 80, 599), (819, 509, 899, 599), (0, 0, 899, 599)],
)
def test_labels_stay_inside_at_the_edges(places, box):
    Analysis.draw(make_analysis((600, 900), [box]))
    assert len(places) == 1
    check_places(places, (600, 900))


@pytest.mark.parametrize("size_hw", [(2000, 60), (60, 2000), (640, 12)])
def test_narrow_pictures_do_not_cut_labels(places, size_hw):
    height, width = size_hw
    assert Analysis.draw(make_analysis(size_hw, [(0, 0, width - 1, height - 1)])).shape == (
        *size_hw,
        3,
    )
    check_places(places, size_hw)


@pytest.mark.parametrize("seed", range(3))
def test_labels_of_a_crowd_never_overlap(places, seed):
    generator = np.random.default_rng(seed)
    sides = generator.uniform(25, 90, 60)
    corners = generator.uniform(0, 1, (60, 2)) * (np.array([900, 600]) - sides[:, None])
    Analysis.draw(
        make_analysis((600, 900), np.concatenate([corners, corners + sides[:, None]], axis=1))
    )
    assert 20 <= len(places) <= 60
    check_places(places, (600, 900))
