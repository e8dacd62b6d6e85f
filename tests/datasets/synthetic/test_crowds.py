"""Composed photos; geometry is checked against numbers computed by hand."""

from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from PIL import Image

from facekit.datasets.dataturks import read_dataturks
from facekit.datasets.manifest import BOX, COLUMNS, check_manifest, make_manifest
from facekit.datasets.own_tables import read_own_table
from facekit.datasets.synthetic import (
    DETAILS,
    PLACES_TABLE,
    compose_crowds,
    make_synthetic,
    read_crowds,
)
from facekit.datasets.synthetic.pasting import (
    FACE_BOX,
    HEAD,
    HEIGHTS,
    LEAST_HEAD,
    Cutout,
    Place,
    paste_faces,
    place_faces,
)
from facekit.detection import detect_faces
from facekit.evaluation.crowds import match_faces, tabulate_boxes
from facekit.images import TEMPLATE_XY, read_image


def make_cutout(side: int = 100, value: int = 250, margin: float = 1.0) -> Cutout:
    """A plain picture; its face has the landmarks of the template, with a margin around it."""
    size = round(side * (1 + 2 * margin))
    return Cutout(0, np.full((size, size, 3), value, np.uint8), (TEMPLATE_XY + margin) * side)


@pytest.fixture(scope="module")
def drawn(tmp_path_factory) -> pd.DataFrame:
    return make_synthetic(tmp_path_factory.mktemp("drawn"), count=12, size=120, seed=2)


@pytest.fixture(scope="module")
def crowds(drawn, tmp_path_factory) -> tuple[pd.DataFrame, Path]:
    folder = tmp_path_factory.mktemp("crowds") / "new"
    return compose_crowds(drawn, folder, 6, seed=1, faces=(1, 4), size_hw=(300, 400)), folder


class TestPlace:
    def test_an_upright_box(self):
        # 0.78 wide and 1.06 high in the template: 39 by 53 pixels.
        place = Place(make_cutout(), np.array([100.0, 80.0]), height=53, roll=0)
        np.testing.assert_allclose(place.box_xyxy, [80.5, 53.5, 119.5, 106.5])
        # The eyes are 0.36 apart, in units of 50 pixels.
        assert place.landmarks_xy[1, 0] - place.landmarks_xy[0, 0] == pytest.approx(18)

    def test_a_quarter_turn(self):
        upright, turned = (
            Place(make_cutout(), np.array([100.0, 80.0]), height=53, roll=roll) for roll in (0, 90)
        )
        np.testing.assert_allclose(turned.box_xyxy, [73.5, 60.5, 126.5, 99.5])
        # Clockwise, with y downwards: what was above is to the right.
        away = upright.landmarks_xy - (100, 80)
        np.testing.assert_allclose(
            turned.landmarks_xy - (100, 80), np.stack([-away[:, 1], away[:, 0]], axis=1), atol=1e-5
        )

    @pytest.mark.parametrize("roll", [0, 30, -45])
    def test_the_box_is_tight_around_the_ellipse(self, roll):
        place = Place(make_cutout(), np.array([200.0, 200.0]), height=150, roll=roll)
        points = np.stack(np.meshgrid(np.arange(400.0), np.arange(400.0)), axis=-1)
        rows, columns = np.nonzero(place.measure_radius(points, (1, 1)) <= 1)
        found = [columns.min(), rows.min(), columns.max(), rows.max()]
        np.testing.assert_allclose(place.box_xyxy, found, atol=1)

    def test_the_head_is_cut_smaller_where_its_picture_ends(self):
        assert make_cutout(margin=1.0).head == HEAD
        # The picture is 1 wide, the face 0.78; below the face there is no room.
        assert make_cutout(margin=0.0).head == (pytest.approx(1 / 0.78, abs=1e-3), LEAST_HEAD[1])
        across, down = make_cutout(margin=0.05).head
        # The middle is at (0.55, 0.53), sides of 1.1: 2 * 0.55 / 0.78 and 2 * 0.53 / 1.06.
        assert across == pytest.approx(1.1 / 0.78, abs=1e-3)
        assert down == LEAST_HEAD[1]
        assert make_cutout(side=200).height == pytest.approx(200 * (FACE_BOX[3] - FACE_BOX[1]))


class TestPasting:
    def test_a_face_is_where_its_box_is_and_no_edge_is_hard(self):
        place = Place(make_cutout(), np.array([100.0, 80.0]), height=60, roll=20)
        photo, visible = paste_faces(np.zeros((160, 200, 3), np.uint8), [place])
        assert visible.tolist() == [1]
        assert photo[80, 100].tolist() == [250, 250, 250]
        left, top, right, bottom = place.bound(HEAD)
        rows, columns = np.nonzero(photo[..., 0])
        assert columns.min() >= left
        assert columns.max() <= right
        assert rows.min() >= top
        assert rows.max() <= bottom
        # From the middle to black over several pixels, in each direction.
        assert np.abs(np.diff(photo[..., 0].astype(int), axis=0)).max() < 50
        assert np.abs(np.diff(photo[..., 0].astype(int), axis=1)).max() < 50

    def test_light_and_shade(self):
        place = Place(
            make_cutout(value=100), np.array([50.0, 50.0]), 40, 0, 0.5, np.array([0.4, 0])
        )
        photo, _ = paste_faces(np.zeros((100, 100, 3), np.uint8), [place])
        assert photo[50, 50].tolist() == [50, 50, 50]
        assert photo[50, 60, 0] == 55  # a quarter of the height to the right: 0.5 * (1 + 0.1)
        assert photo[50, 40, 0] == 45

    def test_later_faces_hide_earlier_ones(self):
        behind, before = (
            Place(make_cutout(value=value), np.array([x, 60.0]), 60, 0)
            for value, x in ((250, 60.0), (100, 100.0))
        )
        photo, visible = paste_faces(np.zeros((120, 150, 3), np.uint8), [behind, before])
        assert visible[1] == 1
        # The nearer head is 33 pixels wide to each side. It hides what lies within 0.85 of that, 28
        # pixels: in the middle row from 72 on, of a face from 38 to 82; less above and below.
        assert 34 / 44 < visible[0] < 0.95
        assert photo[60, 100, 0] == 100
        _, alone = paste_faces(np.zeros((120, 150, 3), np.uint8), [before, behind])
        assert alone[0] == pytest.approx(visible[0], abs=0.03)

    def test_nothing_to_paste(self):
        behind = np.random.default_rng(0).integers(0, 255, (20, 30, 3), np.uint8)
        photo, visible = paste_faces(behind, [])
        np.testing.assert_array_equal(photo, behind)
        assert len(visible) == 0


class TestPlacing:
    @pytest.mark.parametrize("crowding", [0, 1])
    def test_faces_lie_within_the_photo_and_overlap_if_wanted(self, crowding):
        random = np.random.default_rng(0)
        places = place_faces([make_cutout()] * 8, (500, 700), crowding, random)
        boxes = np.array([place.box_xyxy for place in places])
        assert len(places) >= 6
        assert boxes.min() >= 0
        assert (boxes[:, 2:] <= (699, 499)).all()
        heights = [place.height for place in places]
        assert heights == sorted(heights)
        assert HEIGHTS[0] <= heights[0] <= heights[-1] <= HEIGHTS[1]
        corner = np.maximum(boxes[:, None, :2], boxes[:, :2])
        common = np.clip(np.minimum(boxes[:, None, 2:], boxes[:, 2:]) - corner, 0, None)
        np.fill_diagonal(areas := common.prod(axis=2), 0)
        assert (areas > 0).any() == bool(crowding)

    def test_small_sources_are_not_blown_up_and_no_place_is_no_face(self):
        random = np.random.default_rng(0)
        places = place_faces([make_cutout(side=20)] * 5, (400, 400), 0, random)
        assert max(place.height for place in places) <= 1.5 * 20 * 1.06 + 1e-6
        assert len(place_faces([make_cutout()] * 9, (60, 60), 0, random)) < 9
        assert place_faces([], (60, 60), 0, random) == []


class TestCrowds:
    def test_the_manifest_and_what_lies_in_the_folder(self, crowds, drawn):
        table, folder = crowds
        check_manifest(table[list(COLUMNS)])
        assert tuple(table.columns) == COLUMNS + DETAILS
        assert sorted(path.name for path in folder.iterdir()) == [
            "faces.csv", "faces.json", "images", PLACES_TABLE,
        ]  # fmt: skip
        assert table["path"].nunique() == 6
        assert table.groupby("path").size().between(1, 4).all()
        for path in table["path"].unique():
            assert read_image(path).shape == (300, 400, 3)
        # Each face keeps the labels of one that was drawn.
        labels = ["age", "gender", "ethnicity", "emotion", "subject"]
        known = set(map(tuple, drawn[labels].astype(str).to_numpy()))
        assert set(map(tuple, table[labels].astype(str).to_numpy())) <= known
        assert table["visible"].between(0, 1).all()
        assert (table["overlap"].eq(0) <= table["visible"].gt(0.5)).all()

    def test_all_readers_give_the_same_faces(self, crowds):
        table, folder = crowds
        own, dataturks = read_own_table(folder / "faces.csv"), read_dataturks(folder)
        for other in (own, dataturks):
            assert [Path(path).name for path in other["path"]] == [
                Path(path).name for path in table["path"]
            ]
            np.testing.assert_allclose(other[list(BOX)], table[list(BOX)], atol=0.01)
            for label in ("gender", "ethnicity", "emotion"):
                assert other[label].tolist() == table[label].tolist()
        assert own["age"].tolist() == table["age"].tolist()
        assert set(dataturks["age"]) <= {10, 25, 35, 45, 60}  # DataTurks has five classes

    def test_equal_seeds_give_equal_photos(self, crowds, drawn, tmp_path):
        table, _ = crowds
        options = {"faces": (1, 4), "size_hw": (300, 400)}
        again = compose_crowds(drawn, tmp_path / "again", 2, seed=1, **options)
        other = compose_crowds(drawn, tmp_path / "other", 2, seed=2, **options)
        first = table.head(len(again))  # a longer set begins with the shorter one
        pd.testing.assert_frame_equal(again.drop(columns="path"), first.drop(columns="path"))
        assert Path(again["path"][0]).read_bytes() == Path(table["path"][0]).read_bytes()
        assert Path(other["path"][0]).read_bytes() != Path(table["path"][0]).read_bytes()

    def test_most_faces_are_detected(self, crowds):
        table, _ = crowds
        faces = table.rename(columns={"path": "image"}).drop(columns="height")
        photos = faces["image"].unique()
        boxes = [tabulate_boxes(path, detect_faces(read_image(path))) for path in photos]
        faces, _ = match_faces(faces, pd.concat(boxes))
        assert faces["found"].mean() > 0.6

    def test_photos_of_the_user_lie_behind(self, drawn, save_noise, tmp_path):
        save_noise(tmp_path / "photos" / "a.png", 0)
        options = {"faces": (1, 1), "size_hw": (100, 140), "backgrounds": tmp_path / "photos"}
        table = compose_crowds(drawn, tmp_path / "crowds", 1, **options)
        assert table["background"].tolist() == ["a.png"]
        assert read_image(table["path"][0]).shape == (100, 140, 3)

    def test_faces_that_cannot_be_located_are_left_out(self, drawn, tmp_path):
        Image.new("RGB", (90, 90)).save(tmp_path / "black.png")
        black = make_manifest([{"path": str(tmp_path / "black.png"), "gender": "male"}], "mine")
        both = pd.concat([drawn.head(2), black], ignore_index=True)
        with pytest.warns(UserWarning, match="1 of 3 faces could not be located in their own pict"):
            table = compose_crowds(both, tmp_path / "crowds", 1, faces=(3, 3))
        assert set(table["source"]) == {"synthetic"}
        with pytest.raises(ValueError, match="a face that can be located; none of 1 was found"):
            compose_crowds(black, tmp_path / "none", 1)

    def test_boxes_of_a_source_are_kept_apart(self, portraits, tmp_path):
        Image.fromarray(portraits["astronaut.png"]).save(tmp_path / "a.png")
        face = {"path": str(tmp_path / "a.png"), "gender": "female"}
        face |= dict(zip(BOX, (182, 64, 265, 171), strict=True))
        manifest = make_manifest([face], "mine")
        table = compose_crowds(manifest, tmp_path / "crowds", 1, faces=(1, 1), seed=3)
        assert table[["gender", "source"]].values.tolist() == [["female", "mine"]]
        faces = detect_faces(read_image(table["path"][0]))
        matched, _ = match_faces(
            table.rename(columns={"path": "image"}), tabulate_boxes(table["path"][0], faces)
        )
        assert matched["found"].tolist() == [True]

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"count": 0}, r"`count` must be 1 or more; got 0\."),
            ({"faces": (0, 3)}, r"`faces` must be the least number, 1 or more, .* got \(0, 3\)\."),
            ({"faces": (4, 3)}, r"`faces` must be the least number, 1 or more, .* got \(4, 3\)\."),
            ({"crowding": 1.1}, r"`crowding` must be from 0 to 1; got 1\.1\."),
            ({"size_hw": (40, 600)}, r"`size_hw` must be 48 pixels or more; got \(40, 600\)\."),
        ],
    )
    def test_wrong_options(self, drawn, tmp_path, options, message):
        with pytest.raises(ValueError, match=message):
            compose_crowds(drawn, tmp_path / "new", **({"count": 1} | options))
        assert not (tmp_path / "new").exists()

    def test_files_of_the_user_are_kept(self, drawn, tmp_path):
        (tmp_path / "notes.txt").touch()
        with pytest.raises(FileExistsError, match="exists and holds other files"):
            compose_crowds(drawn, tmp_path, 1)
        with pytest.raises(FileNotFoundError, match=r"places\.csv: no such file"):
            read_crowds(tmp_path)
