"""Groups of duplicates and subjects, their stable numbers, and splits that keep them whole."""

from pathlib import Path

import cv2
import numpy as np
import pytest

from facekit.datasets.fingerprints import THUMBNAIL_SIDE
from facekit.datasets.groups import (
    find_groups,
    group_duplicates,
    number_group,
    place_groups,
    split_by_group,
)
from facekit.datasets.manifest import make_manifest

SHARES = {"train": 0.85, "validation": 0.05, "test": 0.10}


class TestDuplicates:
    def test_a_path_may_come_often(self, save_noise, tmp_path):
        first, second, copy = (
            str(save_noise(tmp_path / f"{name}.png", seed))
            for name, seed in (("a", 1), ("b", 2), ("c", 1))
        )
        groups = group_duplicates([first, second, first, copy, second, first])
        assert groups.tolist() == [0, 1, 0, 0, 1, 0]

    def test_different_pictures_stand_alone(self, save_noise, tmp_path):
        paths = [str(save_noise(tmp_path / f"{seed}.jpg", seed)) for seed in range(30)]
        assert len(set(group_duplicates(paths))) == 30

    def test_copies_recompressed_relit_and_resized_are_found(self, save_noise, tmp_path):
        original = save_noise(tmp_path / "original.png", 1)
        smaller = tmp_path / "smaller.png"
        cv2.imwrite(
            str(smaller),
            cv2.resize(cv2.imread(str(original)), (32, 32), interpolation=cv2.INTER_AREA),
        )
        paths = [
            original,
            save_noise(tmp_path / "copy.png", 1),
            save_noise(tmp_path / "recompressed.jpg", 1, quality=40),
            save_noise(tmp_path / "brighter.jpg", 1, brighter=40),
            smaller,
            save_noise(tmp_path / "other.png", 2),
        ]
        groups = group_duplicates([str(path) for path in paths])
        assert len(set(groups[:5])) == 1
        assert groups[5] != groups[0]

    def test_joins_chain(self, tmp_path):
        # Three pictures in one plane, 16 degrees apart: neighbours correlate by 0.96, the ends by
        # 0.85.
        noise = np.random.default_rng(0).normal(size=(2, THUMBNAIL_SIDE**2))
        first, second = np.linalg.qr((noise - noise.mean(axis=1, keepdims=True)).T)[0].T
        paths = []
        for name, degrees in (("start", 0), ("end", 32), ("between", 16)):
            turned = np.cos(np.radians(degrees)) * first + np.sin(np.radians(degrees)) * second
            picture = np.round(128 + 30 * THUMBNAIL_SIDE * turned).reshape(
                THUMBNAIL_SIDE, THUMBNAIL_SIDE
            )
            paths.append(str(tmp_path / f"{name}.png"))
            cv2.imwrite(paths[-1], picture.astype(np.uint8))
        ends = group_duplicates(paths[:2])
        assert ends[0] != ends[1]
        assert len(set(group_duplicates(paths))) == 1

    def test_blank_pictures_are_alike_and_unreadable_ones_like_nothing(self, tmp_path):
        paths = [str(tmp_path / f"{index}.png") for index in range(5)]
        for path, grey in zip(paths, (90, 0), strict=False):
            cv2.imwrite(path, np.full((20, 20), grey, np.uint8))
        for path in paths[2:4]:
            Path(path).write_text("no picture")
        cv2.imwrite(paths[4], np.random.default_rng(0).integers(0, 256, (20, 20), np.uint8))
        groups = group_duplicates(paths)
        assert groups[0] == groups[1]
        assert len(set(groups)) == 4


class TestSplit:
    def test_groups_stay_whole_and_shares_are_met(self):
        groups = np.random.default_rng(0).integers(0, 1000, 5000)
        splits = split_by_group(groups, SHARES, seed=0)
        assert splits.shape == (5000,)
        assert all(len(set(splits[groups == group])) == 1 for group in np.unique(groups))
        for name, share in SHARES.items():
            assert np.mean(splits == name) == pytest.approx(share, abs=0.02)

    def test_sides_do_not_change_when_groups_are_added(self):
        groups = np.arange(400)
        some, more = split_by_group(groups[::2], SHARES, 5), split_by_group(groups, SHARES, 5)
        np.testing.assert_array_equal(some, more[::2])

    @pytest.mark.parametrize("count", [3, 4, 7, 12])
    def test_no_split_stays_empty(self, count):
        for seed in range(20):
            assert set(split_by_group(np.arange(count), SHARES, seed)) == set(SHARES)

    def test_too_few_groups_are_an_error(self):
        with pytest.raises(
            ValueError,
            match=r"A split into train, validation, test needs 3 groups or more.*got 2 groups",
        ):
            split_by_group(np.array([1, 1, 2]), SHARES, seed=0)

    def test_a_share_of_nothing_gets_nothing(self):
        splits = split_by_group(np.arange(50), {"train": 0.5, "validation": 0, "test": 0.5}, 0)
        assert set(splits) == {"train", "test"}

    def test_a_seed_repeats_itself(self):
        groups = np.arange(300) // 2
        first = split_by_group(groups, SHARES, seed=1)
        np.testing.assert_array_equal(first, split_by_group(groups, SHARES, seed=1))
        assert (first != split_by_group(groups, SHARES, seed=2)).any()

    def test_the_order_of_images_does_not_matter(self):
        groups = np.random.default_rng(0).integers(0, 50, 200)
        order = np.random.default_rng(1).permutation(200)
        np.testing.assert_array_equal(
            split_by_group(groups[order], SHARES, 0), split_by_group(groups, SHARES, 0)[order]
        )

    def test_no_images(self):
        assert split_by_group(np.zeros(0, int), SHARES, seed=0).shape == (0,)

    def test_shares_must_sum_to_1(self):
        with pytest.raises(
            ValueError, match=r"`fractions` must sum to 1; got \{'train': 0.5, 'test': 0.4\}"
        ):
            split_by_group(np.arange(10), {"train": 0.5, "test": 0.4}, seed=0)


class TestNumbers:
    def test_a_name_of_digits_is_its_number(self):
        assert number_group("42") == 42
        assert number_group("wedding") == number_group("wedding") != number_group("beach")
        assert 0 <= number_group("9" * 40) < 2**48

    def test_places_depend_on_the_group_and_the_seed_alone(self):
        places = place_groups(np.arange(1000), seed=1)
        np.testing.assert_array_equal(place_groups(np.arange(500, 600), seed=1), places[500:600])
        assert (place_groups(np.arange(1000), seed=2) != places).all()
        assert places.min() >= 0 and places.max() < 1
        assert places.mean() == pytest.approx(0.5, abs=0.05)

    def test_no_faces(self):
        assert group_duplicates([]).shape == (0,)
        assert place_groups(np.zeros(0, int), seed=0).shape == (0,)


class TestFindGroups:
    def test_missing_files_stand_alone(self):
        manifest = make_manifest([{"path": f"{index}.jpg"} for index in range(3)], "mine")
        assert len(set(find_groups(manifest))) == 3

    def test_a_group_keeps_its_number_when_the_files_move(self, save_noise, tmp_path):
        numbers = []
        for folder in ("here", "there"):
            rows = [{"path": str(save_noise(tmp_path / folder / f"{i}.jpg", i))} for i in range(4)]
            numbers.append(find_groups(make_manifest(rows, folder)).tolist())
        assert numbers[0] == numbers[1]

    def test_given_groups_keep_their_numbers_unless_subjects_join_them(self):
        rows = [
            {"path": f"{index}.jpg", "group": group, "subject": subject}
            for index, (group, subject) in enumerate(((7, "S1"), (7, "S1"), (8, "S2"), (9, "S2")))
        ]
        numbers = find_groups(make_manifest(rows, "mine"), join_subjects=True).tolist()
        assert numbers[:2] == [7, 7]
        assert numbers[2] == numbers[3] not in (7, 8, 9)

    def test_two_subjects_who_share_a_photo_are_joined(self, save_noise, tmp_path):
        rows = [
            {"path": str(save_noise(tmp_path / f"{name}.jpg", seed)), "subject": subject}
            for name, seed, subject in (
                ("a", 0, "S1"),
                ("b", 1, "S1"),
                ("c", 1, "S2"),
                ("d", 2, "S3"),
            )
        ]
        photos = find_groups(make_manifest(rows, "mine"))
        people = find_groups(make_manifest(rows, "mine"), join_subjects=True)
        assert len(set(photos)) == 3
        assert len(set(people)) == 2
        assert len(set(people[:3])) == 1
