"""Figures of detectors and profiles; the expected values are computed by hand."""

import numpy as np
import pandas as pd
import pytest

from facekit.datasets.manifest import BOX, COLUMNS, make_manifest
from facekit.evaluation.crowds import (
    compute_average_precision,
    evaluate_photos,
    match_faces,
    measure_profiles,
    name_bins,
    tabulate_boxes,
    tabulate_counts,
    tabulate_precision,
    tabulate_recall,
    trace_precision,
)
from facekit.faces import COLUMNS as ROWS
from facekit.faces import Faces


def make_faces(*rows, **columns) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image", *BOX]).assign(**columns)


def make_boxes(*rows) -> pd.DataFrame:
    return pd.DataFrame(rows, columns=["image", *BOX, "score"])


class TestMatching:
    def test_the_best_box_gets_the_face_and_each_face_one_box(self):
        faces = make_faces(("a", 0, 0, 10, 10), ("b", 0, 0, 10, 10))
        boxes = make_boxes(
            ("a", 0, 0, 10, 10, 0.5),  # exact, but a better box comes first
            ("a", 0, 0, 10, 6, 0.9),  # IoU 0.6
            ("a", 0, 0, 10, 4, 0.8),  # IoU 0.4
        )
        faces, boxes = match_faces(faces, boxes)
        assert boxes["face"].tolist() == [-1, 0, -1]
        assert faces["box"].tolist() == [1, -1]
        assert faces["found"].tolist() == [True, False]
        assert faces["crowd"].tolist() == [1, 1]
        assert boxes["height"].tolist() == [10, 10, 4]  # of the face, or its own

    def test_a_box_gets_the_face_that_it_overlaps_most(self):
        faces = make_faces(("a", 0, 0, 10, 10), ("a", 2, 0, 12, 10))
        boxes = make_boxes(("a", 2, 0, 11, 10, 0.7), ("a", 2, 0, 12, 10, 0.6))
        faces, boxes = match_faces(faces, boxes)
        # The second box has its own face taken, and IoU 8/12 with the other.
        assert boxes["face"].tolist() == [1, 0]
        assert faces["box"].tolist() == [1, 0]

    def test_boxes_on_ignored_faces_are_neither_right_nor_wrong(self):
        faces = make_faces(("a", 0, 0, 10, 10), ("a", 20, 0, 30, 10), ignored=[True, False])
        boxes = make_boxes(
            ("a", 0, 0, 10, 9, 0.9), ("a", 0, 0, 10, 8, 0.8), ("a", 50, 0, 60, 9, 0.7)
        )
        faces, boxes = match_faces(faces, boxes)
        assert boxes["ignored"].tolist() == [True, True, False]
        assert boxes["face"].tolist() == [-1, -1, -1]
        assert faces["found"].tolist() == [False, False]
        assert faces["crowd"].tolist() == [1, 1]

    @pytest.mark.parametrize("overlap", [0.6, 0.61])
    def test_the_overlap_that_is_needed(self, overlap):
        faces, boxes = make_faces(("a", 0, 0, 10, 10)), make_boxes(("a", 0, 0, 10, 6, 0.9))
        assert match_faces(faces, boxes, overlap)[0]["found"].tolist() == [overlap == 0.6]

    def test_nothing_to_match(self):
        faces, boxes = match_faces(make_faces(), make_boxes(("a", 0, 0, 10, 6, 0.9)))
        assert (len(faces), boxes["face"].tolist(), boxes["height"].tolist()) == (0, [-1], [6])
        faces, boxes = match_faces(make_faces(("a", 0, 0, 10, 10)), make_boxes())
        assert (faces["found"].tolist(), len(boxes)) == ([False], 0)

    @pytest.mark.parametrize("overlap", [0, 1.1, float("nan")])
    def test_a_wrong_overlap_is_an_error(self, overlap):
        with pytest.raises(ValueError, match="`least_overlap` must be above 0 and at most 1; got"):
            match_faces(make_faces(), make_boxes(), overlap)

    def test_records_become_tables(self):
        boxes = np.array([[1, 2, 3, 4]], np.float32)
        faces = Faces(boxes, np.array([0.5], np.float32), np.zeros((1, 5, 2), np.float32))
        assert tabulate_boxes("a", faces).values.tolist() == [["a", 1, 2, 3, 4, 0.5]]


class TestDetectors:
    def test_recall_by_bin(self):
        faces = make_faces(
            *(("a", 0, 0, 9, 9) for _ in range(3)),
            *(("b", 0, 0, 9, 9) for _ in range(3)),
            ignored=[False] * 5 + [True],
            height=[20, 39.9, 40, 500, 19, 40],
            found=[True, False, True, True, True, False],
        )
        table = tabulate_recall(faces, "height", (20, 40, 160))
        assert table.index.tolist() == ["20 to 40", "40 to 160", "160 and more"]
        assert table["count"].tolist() == [2, 1, 1]  # the face of 19 pixels is in no bin
        assert table["recall"].tolist() == [0.5, 1, 1]
        assert ((table["low"] <= table["recall"]) & (table["recall"] <= table["high"])).all()

    def test_recall_by_word_and_its_interval_over_photos(self):
        # In one photo all three are found, in the other none: a draw of photos gives 0 or 1.
        faces = make_faces(
            *((photo, 0, 0, 9, 9) for photo in "aaabbb"),
            ignored=False,
            pose="typical",
            found=[True] * 3 + [False] * 3,
        )
        row = tabulate_recall(faces, "pose").loc["typical"]
        assert row[["count", "recall", "low", "high"]].tolist() == [6, 0.5, 0, 1]
        assert row["interval"] == "bootstrap over groups"
        faces["pose"] = pd.Categorical(["typical", "atypical"] * 3, ["typical", "atypical", "odd"])
        assert tabulate_recall(faces, "pose").index.tolist() == ["typical", "atypical"]
        with pytest.raises(ValueError, match=r"`by` must be a column; got 'age'\. There are image"):
            tabulate_recall(faces, "age")

    def test_bins(self):
        bins = name_bins(pd.Series([0.1, 0.5, 0.95]), (0.25, 0.5))
        assert bins.astype(object).tolist()[1:] == ["0.5 and more"] * 2
        assert pd.isna(bins[0])

    def test_average_precision(self):
        # Hit, false, hit, of 4 faces: precision 1 and 2/3, at recall 1/4 and 2/4.
        scores, hits = np.array([0.7, 0.9, 0.8]), np.array([True, True, False])
        assert compute_average_precision(scores, hits, 4) == pytest.approx((1 + 2 / 3) / 4)
        # False, hit, hit: precision is made monotonic, 2/3 for both.
        hits = np.array([True, False, True])
        assert compute_average_precision(scores, hits, 2) == pytest.approx(2 / 3)
        assert compute_average_precision(scores[:0], hits[:0], 2) == 0

    def test_the_curve(self):
        faces = make_faces(*(("a", 0, 0, 9, 9) for _ in range(3)), ignored=[False, False, True])
        boxes = pd.DataFrame({"score": [0.5, 0.9, 0.7, 0.8], "face": [1, 0, -1, -1]})
        curve = trace_precision(faces, boxes.assign(ignored=[False, False, False, True]))
        assert curve["score"].tolist() == [0.9, 0.7, 0.5]
        assert curve["recall"].tolist() == [0.5, 0.5, 1]
        assert curve["precision"].tolist() == pytest.approx([1, 1 / 2, 2 / 3])
        assert len(trace_precision(faces, boxes[:0].assign(ignored=False))) == 0

    def test_precision_by_height(self):
        faces = make_faces(("a", 0, 0, 30, 30), ("a", 100, 0, 150, 50), ("b", 0, 0, 30, 30))
        boxes = make_boxes(
            ("a", 0, 0, 30, 30, 0.9),
            ("a", 100, 0, 150, 35, 0.8),  # 35 pixels high, on a face of 50
            ("b", 90, 90, 130, 130, 0.7),  # on nothing
        )
        table = tabulate_precision(*match_faces(faces, boxes), (20, 40, 160))
        assert table.index.tolist() == ["20 to 40", "40 to 160", "160 and more", "all"]
        assert table["faces"].tolist() == [2, 1, 0, 3]
        assert table["boxes"].tolist() == [1, 2, 0, 3]
        np.testing.assert_allclose(table["recall"], [1 / 2, 1, np.nan, 2 / 3])
        np.testing.assert_allclose(table["precision"], [1, 1 / 2, np.nan, 2 / 3])
        np.testing.assert_allclose(table["average_precision"], [1 / 2, 1, np.nan, 2 / 3])
        # A draw of photo b alone finds nothing, one of photo a alone everything.
        assert table.loc["all", ["low", "high"]].tolist() == [0, 1]

    def test_counts(self):
        faces = make_faces(*((photo, 0, 0, 9, 9) for photo in "aaaabb"), ignored=False)
        faces.loc[5, "ignored"] = True
        boxes = make_boxes(*((photo, 0, 0, 9, 9, 0.5) for photo in "aabbbd")).assign(ignored=False)
        table = tabulate_counts(faces, boxes, photos=["a", "b", "c", "d"])
        # Boxes and faces: 2 and 4, 3 and 1, none and none, 1 and none.
        assert table["count"].tolist() == [4, 2, 4]
        assert table["value"].tolist() == [(2 + 2 + 0 + 1) / 4, (2 / 4 + 2 / 1) / 2, 1 / 4]
        assert table.loc["bias", "low"] < 1 / 4 < table.loc["bias", "high"]

    def test_counts_without_faces_or_photos(self):
        nothing = make_faces(ignored=False), make_boxes().assign(ignored=False)
        table = tabulate_counts(*nothing, photos=["a"])
        assert table["count"].tolist() == [1, 0, 1]
        assert table["value"].isna().tolist() == [False, True, False]
        with pytest.raises(ValueError, match="`photos` must name at least one photo"):
            tabulate_counts(*nothing)


LABELS = ("age", "ethnicity", "emotion", "gender")


def make_truth(*faces) -> pd.DataFrame:
    """Make a manifest from photo, left edge and labels of faces of 10 pixels."""
    rows = [
        {"path": path, "x1": x, "y1": 0, "x2": x + 10, "y2": 10}
        | dict(zip(LABELS, own, strict=True))
        for path, x, *own in faces
    ]
    return make_manifest(rows, "dataturks")


def make_predictions(*faces) -> pd.DataFrame:
    rows = []
    for path, x, age, ethnicity, emotion, gender in faces:
        row = dict.fromkeys(ROWS) | {"image": path, "x1": x, "y1": 0, "x2": x + 10, "y2": 9}
        row |= {"score": 0.9, "age_years": age, "ethnicity": ethnicity, "gender": gender}
        row |= {
            "emotion": emotion,
            "emotion_neutral": 0.3,
            "emotion_fear": 0.5,
            "emotion_anger": 0.2,
        }
        rows.append(row)
    return pd.DataFrame(rows, columns=list(ROWS))


class TestProfiles:
    truth = make_truth(
        ("a", 0, 25, "white", "happiness", "female"),
        ("a", 50, 45, "other", "neutral", "male"),
        ("a", 90, 60, None, "sadness", None),
        ("b", 0, 10, "black", "happiness", "male"),  # missed
        ("b", 50, None, None, None, None),
    )
    predictions = make_predictions(
        ("a", 0, 29.96, "white", "happiness", "female"),  # 30 as views show it
        ("a", 50, 49.4, "other", "neutral", "female"),
        ("a", 90, 50.0, "asian", "anger", "male"),
        ("b", 50, 20.0, "asian", "anger", "male"),
        ("b", 200, 20.0, "asian", "anger", "male"),  # no face
    )

    def test_shares(self):
        table = measure_profiles(self.truth, self.predictions)
        figures = {
            (name, faces): (count, pytest.approx(share))
            for name, faces, count, share in table[["figure", "faces", "count", "share"]].values
        }
        assert figures == {
            ("found", "all"): (5, 4 / 5),
            # Three faces have an age, an ethnicity and an emotion. The age of the first is wrong,
            # the second is right, the third is missed.
            ("exact match", "found"): (2, 1 / 2),
            ("exact match", "all"): (3, 1 / 3),
            ("age class", "found"): (3, 2 / 3),
            ("age class", "all"): (4, 2 / 4),
            ("ethnicity", "found"): (2, 1),
            ("ethnicity", "all"): (3, 2 / 3),
            ("emotion", "found"): (3, 2 / 3),
            ("emotion", "all"): (4, 2 / 4),
            ("gender", "found"): (2, 1 / 2),
            ("gender", "all"): (3, 1 / 3),
        }
        assert ((table["low"] <= table["share"]) & (table["share"] <= table["high"])).all()

    @pytest.mark.parametrize(
        ("years", "label", "right"),
        [(19.4, 10, True), (19.6, 10, False), (20, 25, True), (50, 60, True), (49, 60, False)],
    )
    def test_the_five_age_classes(self, years, label, right):
        truth = make_truth(("a", 0, label, None, None, None))
        table = measure_profiles(truth, make_predictions(("a", 0, years, "asian", "fear", "male")))
        share = table.set_index(["figure", "faces"]).loc[("age class", "all"), "share"]
        assert share == right

    def test_emotions_to_choose_among(self):
        truth = make_truth(("a", 0, None, None, "neutral", None))
        predictions = make_predictions(("a", 0, 30, "asian", "fear", "male"))
        for emotions, share in (({}, 0), ({"emotions": ["neutral", "anger"]}, 1)):
            table = measure_profiles(truth, predictions, **emotions).set_index(["figure", "faces"])
            assert table.loc[("emotion", "found"), "share"] == share

    def test_excluded_faces_do_not_count(self):
        truth = self.truth.assign(split=[None, None, "excluded", "excluded", None])
        table = measure_profiles(truth, self.predictions).set_index(["figure", "faces"])
        assert table.loc[("found", "all"), ["count", "share"]].tolist() == [3, 1]
        with pytest.raises(ValueError, match="`truth` must have at least one face that is not exc"):
            measure_profiles(self.truth.assign(split="excluded"), self.predictions)

    def test_nothing_is_found(self):
        table = measure_profiles(self.truth, make_predictions())
        assert table["faces"].eq("all").all()
        assert table["share"].eq(0).all()
        assert table["figure"].tolist()[:2] == ["found", "exact match"]

    def test_a_face_without_a_box_is_an_error(self):
        truth = make_manifest([{"path": "a.jpg"}], "mine")
        with pytest.raises(ValueError, match=r"`truth` must have a box .* row 0, a\.jpg, has none"):
            measure_profiles(truth, self.predictions)
        assert truth.columns.tolist() == list(COLUMNS)

    @pytest.mark.parametrize("detector", ["mtcnn", "yunet"])
    def test_photos_of_a_table_are_analyzed(self, portraits, detector, tmp_path):
        from PIL import Image

        Image.fromarray(portraits["astronaut.png"]).save(tmp_path / "a.png")
        table = "path,x1,y1,x2,y2,gender,emotion\n"
        table += "a.png,182,64,265,171,female,happiness\na.png,0,300,60,390,male,fear\n"
        (tmp_path / "faces.csv").write_text(table)
        figures = evaluate_photos(str(tmp_path / "faces.csv"), tmp_path, detector)
        assert figures[["figure", "faces", "count", "share"]].values.tolist() == [
            ["found", "all", 2, 0.5],
            ["emotion", "found", 1, 1.0],
            ["emotion", "all", 2, 0.5],
            ["gender", "found", 1, 1.0],
            ["gender", "all", 2, 0.5],
        ]
