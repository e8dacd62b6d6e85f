from collections.abc import Callable
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from facekit.commands.data import data
from facekit.datasets.adapters import read_dataset
from facekit.datasets.combined import combine_manifests
from facekit.datasets.manifest import (
    COLUMNS,
    check_manifest,
    load_manifest,
    make_manifest,
    save_manifest,
)
from facekit.taxonomy import find_age_range, name_age_ranges

AGES = (1, 5, 15, 25, 35, 55, 70)  # one a class


@pytest.fixture
def make_source(save_noise, tmp_path) -> Callable[..., pd.DataFrame]:
    """Make a manifest of noise pictures, one per dict; equal seeds give copies."""

    def make(name: str, faces: list[dict], **form) -> pd.DataFrame:
        rows = []
        for number, face in enumerate(faces):
            path = save_noise(tmp_path / name / f"{number:03d}.jpg", face["seed"], **form)
            labels = {column: value for column, value in face.items() if column != "seed"}
            rows.append(
                {
                    "path": str(path),
                    "age": 30,
                    "gender": "female",
                    "split": "train",
                    "group": number,
                }
                | labels
            )
        return make_manifest(rows, name)

    return make


def list_rows(manifest: pd.DataFrame, *columns: str) -> list[tuple]:
    names = manifest["source"] + manifest["path"].map(lambda path: Path(path).stem)
    return sorted({(name, *manifest.loc[row, list(columns)]) for row, name in names.items()})


class TestCopies:
    def test_resized_and_recompressed_copies_are_one_photo(self, make_source):
        first = make_source("a", [{"seed": 1}, {"seed": 2}])
        second = make_source("b", [{"seed": 3}, {"seed": 2}, {"seed": 1}], quality=85)
        for path in second["path"]:
            Image.open(path).resize((96, 96)).save(path, quality=85)
        combined, counts = combine_manifests([first, second], size=30, seed=0)
        assert list_rows(combined) == [("a000",), ("a001",), ("b000",)]
        assert combined["group"].nunique() == 3
        assert (counts["images of a"], counts["images of b"]) == (2, 3)
        assert (
            counts["photos"],
            counts["photos in several sources"],
            counts["training photos"],
        ) == (3, 2, 3)

    def test_copies_within_a_source_are_one_photo_too(self, make_source):
        combined, counts = combine_manifests(
            [make_source("a", [{"seed": 1}, {"seed": 1}, {"seed": 2}])], size=8, seed=0
        )
        assert list_rows(combined) == [("a000",), ("a002",)]
        assert counts["photos in several sources"] == 0

    def test_faces_are_compared_by_their_boxes(self, make_source, tmp_path):
        parts = make_source("b", [{"seed": 1, "age": 20}])
        pixels = [
            np.random.default_rng(seed).integers(30, 200, (48, 48, 3), dtype=np.uint8)
            for seed in (1, 2)
        ]
        Image.fromarray(np.hstack(pixels)).save(tmp_path / "both.png")
        shared = {
            "path": str(tmp_path / "both.png"),
            "age": 24,
            "gender": "female",
            "group": 0,
            "split": "train",
            "y1": -2.0,
            "y2": 48.0,
        }
        whole = make_manifest([shared | {"x1": 0, "x2": 48}, shared | {"x1": 48, "x2": 99.5}], "a")
        combined, counts = combine_manifests([whole, parts], size=2, seed=0)
        assert counts["photos"] == 2
        assert sorted(zip(combined["x1"], combined["age"], strict=True)) == [(0, 22), (48, 24)]

    def test_plain_pictures_are_like_nothing(self, make_source):
        source = make_source("a", [{"seed": seed} for seed in range(3)])
        for path in source["path"]:
            Image.new("RGB", (20, 20), (90, 90, 90)).save(path)
        assert combine_manifests([source], size=3, seed=0)[1]["photos"] == 3


class TestLabels:
    @pytest.mark.parametrize(
        ("column", "labels", "settled"),
        [
            ("age", (20, 25), 22.5),
            ("age", (20, 21, 25), 21),
            ("age", (20, 26), None),
            ("age", (20, 23, 26), None),
            ("age", (None, 26), 26),
            ("gender", ("male", "female"), None),
            ("gender", ("male", "female", "male"), "male"),
            ("gender", (None, "male"), "male"),
            ("ethnicity", ("asian", "white", "white", "asian", "indian"), None),
            ("ethnicity", (None, "asian", "white", "white"), "white"),
            ("emotion", ("fear", "anger"), None),
        ],
    )
    def test_copies_vote(self, make_source, column, labels, settled):
        others = make_source("other", [{"seed": 0, "age": 50}])
        copies = [
            make_source(f"s{number}", [{"seed": 1, column: label}])
            for number, label in enumerate(labels)
        ]
        combined, counts = combine_manifests([*copies, others], size=20, seed=0)
        assert counts[f"photos dropped, {column} contradictory"] == (settled is None)
        assert sum(count for name, count in counts.items() if name.endswith("contradictory")) == (
            settled is None
        )
        expected = [] if settled is None else [("s0000", settled)]
        assert list_rows(combined[combined["source"] != "other"], column) == expected

    def test_labels_nobody_gives_stay_unknown(self, make_source):
        combined, _ = combine_manifests(
            [make_source("a", [{"seed": 1, "gender": None}])], size=1, seed=0
        )
        assert combined[["gender", "ethnicity", "emotion"]].isna().all(axis=None)

    def test_a_subject_may_have_many_ages(self, make_source):
        source = make_source(
            "a", [{"seed": seed, "age": 10 * seed, "group": 7} for seed in range(5)]
        )
        combined, _ = combine_manifests([source], size=10, seed=0)
        assert combined["path"].nunique() == 5
        assert combined["group"].nunique() == 1

    def test_images_without_an_age_are_left_out(self, make_source):
        combined, counts = combine_manifests(
            [make_source("a", [{"seed": 1, "age": None}, {"seed": 2}])], size=3, seed=0
        )
        assert list_rows(combined) == [("a001",)]
        assert counts["photos dropped, no age"] == 1


class TestSides:
    @pytest.mark.parametrize(
        ("splits", "kept"),
        [
            (("train", "test"), ("b000", "test")),
            (("test", "train"), ("a000", "test")),
            (("train", "validation"), ("b000", "validation")),
            (("validation", "test"), ("b000", "test")),
            (("excluded", "train"), ("b000", "train")),
            (("excluded", "excluded"), None),
        ],
    )
    def test_a_photo_is_never_trained_on_where_another_source_tests_on_it(
        self, make_source, splits, kept
    ):
        first, second = (
            make_source(name, [{"seed": 1, "split": split}])
            for name, split in zip("ab", splits, strict=True)
        )
        others = make_source("z", [{"seed": 2}])
        combined, counts = combine_manifests([first, second, others], size=5, seed=0)
        assert list_rows(combined[combined["source"] != "z"], "split") == ([kept] if kept else [])
        assert counts["images dropped, group on another side or excluded"] == (1 if kept else 2)

    def test_groups_are_joined_by_the_photos_they_share(self, make_source):
        first = make_source(
            "a", [{"seed": 1, "group": 0}, {"seed": 2, "group": 0}, {"seed": 3, "group": 1}]
        )
        second = make_source(
            "b",
            [
                {"seed": 2, "group": 1},
                {"seed": 4, "group": 1, "split": "test"},
                {"seed": 5, "group": 0},
            ],
        )
        combined, _ = combine_manifests([first, second], size=4, seed=0)
        assert list_rows(combined, "split") == [
            ("a002", "train"),
            ("b001", "test"),
            ("b002", "train"),
        ]
        assert combined["group"].nunique() == 3

    def test_a_test_photo_whose_labels_contradict_still_keeps_its_group_from_training(
        self, make_source
    ):
        first = make_source(
            "a", [{"seed": 1, "split": "test", "group": 0}, {"seed": 2, "group": 0}, {"seed": 3}]
        )
        second = make_source("b", [{"seed": 1, "gender": "male"}])
        combined, _ = combine_manifests([first, second], size=4, seed=0)
        assert list_rows(combined, "split") == [("a002", "train")]


class TestBalance:
    @pytest.fixture
    def source(self, make_source) -> pd.DataFrame:
        """One woman and three men of each class; three more to validate and to test on."""
        faces = [
            {"age": age, "gender": gender}
            for age in AGES
            for gender in ("female", "male", "male", "male")
        ]
        faces += [{"age": 35, "split": split} for split in ("validation", "test", "test")]
        return make_source("a", [{"seed": seed} | face for seed, face in enumerate(faces)])

    def test_cells_are_level(self, source):
        combined, counts = combine_manifests([source], size=140, seed=0)
        assert tuple(combined.columns) == COLUMNS
        check_manifest(combined)
        train = combined[combined["split"] == "train"]
        cells = train.groupby([train["age"].map(find_age_range), "gender"]).size()
        assert cells.to_dict() == {
            (name, gender): 10 for name in name_age_ranges() for gender in ("female", "male")
        }
        repeats = train.groupby("gender")["path"].agg(
            lambda paths: sorted(paths.value_counts().unique())
        )
        assert repeats.to_dict() == {"female": [10], "male": [3, 4]}
        assert (
            counts["training photos"],
            counts["training photos used"],
            counts["train rows"],
        ) == (28, 28, 140)
        assert combined.loc[combined["split"] != "train", "path"].is_unique
        assert combined["split"].value_counts().to_dict() == {
            "train": 140,
            "test": 2,
            "validation": 1,
        }

    @pytest.mark.parametrize("size", [1, 13, 15, 28, 1001])
    def test_the_size_is_met_exactly(self, source, size):
        combined, _ = combine_manifests([source], size=size, seed=0)
        train = combined[combined["split"] == "train"]
        assert len(train) == size
        cells = train.groupby(["age", "gender"]).size()
        assert cells.max() - (cells.min() if len(cells) == 14 else 0) <= 1

    def test_unknown_genders_keep_their_share(self, make_source):
        genders = ["female", "male", "male", None]
        source = make_source(
            "a", [{"seed": seed, "gender": gender} for seed, gender in enumerate(genders)]
        )
        combined, _ = combine_manifests([source], size=80, seed=0)
        assert combined["gender"].value_counts(dropna=False).to_list() == [30, 30, 20]
        assert combined["gender"].isna().sum() == 20

    def test_a_seed_repeats_itself(self, source):
        first, _ = combine_manifests([source], size=20, seed=1)
        pd.testing.assert_frame_equal(first, combine_manifests([source], size=20, seed=1)[0])
        assert set(first["path"]) != set(combine_manifests([source], size=20, seed=2)[0]["path"])

    @pytest.mark.parametrize(
        ("changes", "message"),
        [({"split": "test"}, "one training image"), ({"age": np.nan}, "with an age")],
    )
    def test_nothing_to_train_on_is_an_error(self, source, changes, message):
        with pytest.raises(ValueError, match=f"`manifests` must leave at least .*{message}"):
            combine_manifests([source.assign(**changes)], size=10, seed=0)

    def test_no_rows_wanted_is_an_error(self, source):
        with pytest.raises(ValueError, match="`size` must be 1 or more training images; got 0"):
            combine_manifests([source], size=0, seed=0)

    @pytest.mark.parametrize("column", ["group", "split"])
    def test_sources_must_be_split(self, source, column):
        with pytest.raises(
            ValueError, match="`manifests` must have a group and a split in each row; a does not"
        ):
            combine_manifests([source.assign(**{column: None})], size=10, seed=0)


@pytest.mark.parametrize("manifests", [[], [pd.DataFrame(columns=list(COLUMNS))]])
def test_no_images_are_an_error(manifests):
    with pytest.raises(ValueError, match="`manifests` must hold at least one image; got none"):
        combine_manifests(manifests, size=10, seed=0)


def test_the_command_writes_a_manifest_and_tells_the_counts(save_noise, tmp_path):
    for index, age in enumerate(AGES):
        for gender in (0, 1):
            save_noise(
                tmp_path / "UTKFace" / f"{age}_{gender}_0_2017{index}.jpg.chip.jpg",
                2 * index + gender,
            )
    own = make_manifest(
        [
            {
                "path": str(save_noise(tmp_path / "mine.png", 99)),
                "age": 8,
                "group": 0,
                "split": "train",
            }
        ],
        "mine",
    )
    save_manifest(own, tmp_path / "mine.parquet")
    output = tmp_path / "new" / "combined.parquet"
    arguments = [
        "combine",
        "utkface",
        str(tmp_path / "mine.parquet"),
        "--data",
        str(tmp_path),
        "--size",
        "40",
        "--output",
        str(output),
    ]
    result = CliRunner().invoke(data, arguments)
    assert result.exit_code == 0, result.output
    combined = load_manifest(output)
    assert (combined["split"] == "train").sum() == 40
    assert set(combined["source"]) == {"utkface", "mine"}
    for line in (
        "14  images of utkface",
        "1  images of mine",
        "15  photos",
        "40  train rows",
        str(output),
    ):
        assert line in result.output
    pd.testing.assert_frame_equal(
        combined, combine_manifests([read_dataset("utkface", tmp_path), own], size=40, seed=0)[0]
    )


def test_the_command_names_what_is_missing(tmp_path):
    result = CliRunner().invoke(
        data,
        [
            "combine",
            "utkface",
            "--data",
            str(tmp_path),
            "--size",
            "9",
            "--output",
            str(tmp_path / "a.parquet"),
        ],
    )
    assert result.exit_code == 1
    assert "utkface is not there" in result.output


@pytest.mark.data
def test_utkface_against_itself_split_otherwise(data_dir, tmp_path):
    (tmp_path / "UTKFace").mkdir()
    well_formed = [
        path for path in sorted((data_dir / "UTKFace").iterdir()) if path.name.count("_") == 3
    ]
    for path in well_formed[::12]:
        (tmp_path / "UTKFace" / path.name).symlink_to(path.resolve())
    sources = [
        read_dataset("utkface", tmp_path, seed).assign(source=f"seed {seed}") for seed in (0, 1)
    ]
    older = np.arange(len(sources[1])) % 10 == 0
    sources[1]["age"] += 6 * older
    combined, counts = combine_manifests(sources, size=5000, seed=0)
    assert counts["photos in several sources"] == counts["photos"] > 1500
    assert counts["photos dropped, age contradictory"] == pytest.approx(older.sum(), abs=10)
    train = combined["split"] == "train"
    assert train.sum() == 5000
    held_out = set.union(
        *(set(source.loc[source["split"] != "train", "path"]) for source in sources)
    )
    assert len(held_out) > 0.25 * len(sources[0])
    assert not set(combined.loc[train, "path"]) & held_out
    assert not set(combined.loc[train, "group"]) & set(combined.loc[~train, "group"])
