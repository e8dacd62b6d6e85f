"""Split a manifest by a named protocol: some do not leak; two of the papers' do, to show the gap.

A protocol takes a manifest and returns it with `group` and `split` filled in. What a group is, and
why its split does not change when images are added, is in `groups`. The leaking protocols put
images of one group into several splits.
"""

from __future__ import annotations

import os
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.groups import find_groups, number_group, place_groups, split_by_group
from facekit.datasets.manifest import BOX

SHARES = {"train": 0.75, "validation": 0.05, "calibration": 0.10, "test": 0.10}
FOLDS = 10
# Of each image in `augment_then_split`. With so many, about one of 2,000 test images has no copy
# in train.
COPIES = 5


def split_by_protocol(
    manifest: pd.DataFrame, name: str, seed: int = 0, fold: int | None = None
) -> pd.DataFrame:
    """Return a manifest with its groups and splits filled in.

    `attrs` of the result keep `protocol`, `seed`, and `fold` if it is given.

    Args:
        manifest: From a reader; it is not changed.
        name: Key of `PROTOCOLS`.
        seed: Another seed gives other splits.
        fold: Which fold is the test, 0 to 9, for a protocol of `FOLDED`. Without it there is one
            split by `SHARES`.

    Raises:
        ValueError: If the name is unknown, the fold is out of range or the protocol has none, the
            manifest lacks what the protocol needs, or there are too few groups to fill each split.

    Example:
        >>> from facekit.datasets.manifest import make_manifest
        >>> rows = [{"path": f"{i}.jpg", "subject": f"S{i}", "group": i} for i in range(20)]
        >>> manifest = split_by_protocol(make_manifest(rows, "mine"), "subject_disjoint", seed=1)
        >>> sorted(manifest["split"].unique()), manifest.attrs["protocol"]
        (['calibration', 'test', 'train', 'validation'], 'subject_disjoint')
    """
    if name not in PROTOCOLS:
        raise ValueError(
            f"`name` must be one of the protocols {', '.join(PROTOCOLS)}; got {name!r}."
        )
    attrs = {**manifest.attrs, "protocol": name, "seed": seed}
    if fold is None:
        split = PROTOCOLS[name](manifest, seed)
        attrs.pop("fold", None)
    elif name in FOLDED and 0 <= fold < FOLDS:
        split = FOLDED[name](manifest, seed, fold)
        attrs["fold"] = fold
    else:
        raise ValueError(
            f"`fold` must be from 0 to {FOLDS - 1}, and is for {' and '.join(FOLDED)};"
            f" got {fold} for {name}."
        )
    split.attrs = attrs
    return split


def _split_group_disjoint(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Keep every group of duplicate images in one split, by `SHARES`."""
    groups = find_groups(manifest)
    return manifest.assign(group=groups, split=split_by_group(groups, SHARES, seed))


def _split_subject_disjoint(
    manifest: pd.DataFrame, seed: int, fold: int | None = None
) -> pd.DataFrame:
    """Keep every subject in one split, and every photo: by `SHARES`, or in ten folds.

    Duplicate images that are filed under two subjects join these subjects. An image without a
    subject counts as a subject of its own, together with its duplicates.
    """
    if manifest["subject"].isna().all():
        raise ValueError(
            f"subject_disjoint needs subjects, which {_name_sources(manifest)} does not label;"
            " choose group_disjoint."
        )
    groups = find_groups(manifest, join_subjects=True)
    return manifest.assign(group=groups, split=_divide(groups, seed, fold))


def _split_officially(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Take the dataset's own split, without what leaks in it.

    The dataset's test is the test; where it has none, or keeps it secret, its validation is the
    test. Calibration, and validation where there is none left, are cut from the official training
    part by hash, with the shares of `SHARES`. An image is `excluded` if it shows a photo or a
    subject of the test, or if it is a training image that shows one of the validation or the
    calibration part.

    A part of a dataset without training images is a test alone.
    """
    given = manifest["split"]
    if given.isna().any():
        raise ValueError(
            f"official needs a split of the dataset's own, which {_name_sources(manifest)} does not"
            " have; choose group_disjoint."
        )
    has_test = given.eq("test").any()
    split = given if has_test else given.replace("validation", "test")
    if not split.eq("test").any():
        raise ValueError(
            f"official needs images of a test or a validation split; {_name_sources(manifest)} has"
            " none. Choose group_disjoint."
        )
    groups = find_groups(manifest, join_subjects=True)
    numbers = pd.Series(groups, manifest.index)
    for held_out in ("test", "validation", "calibration"):
        taken = numbers.isin(numbers[split == held_out])
        split = split.mask(taken & (split != held_out), "excluded")
    training = split == "train"
    missing = [name for name in ("validation", "calibration") if not (split == name).any()]
    if training.any() and missing:
        shares = {name: SHARES[name] for name in missing}
        shares = {"train": 1 - sum(shares.values()), **shares}
        split = split.copy()
        split[training] = split_by_group(groups[training], shares, seed)
    return manifest.assign(group=groups, split=split)


def _split_random_frames(
    manifest: pd.DataFrame, seed: int, fold: int | None = None
) -> pd.DataFrame:
    """Divide images at random, as papers do with CK+.

    It leaks: frames of one sequence, and of one person, stand in several splits.
    """
    known = bool(manifest["subject"].notna().all())
    groups = find_groups(manifest, join_subjects=known)
    return manifest.assign(group=groups, split=_divide(_number_rows(manifest), seed, fold))


def _augment_then_split(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Repeat each image, then divide at random, as papers do that augment first.

    It leaks: copies of one photo stand in several splits. The `COPIES` rows of an image are equal;
    training changes the crop of each.
    """
    grouped = manifest.assign(group=find_groups(manifest))
    copies = grouped.loc[np.repeat(grouped.index, COPIES)].reset_index(drop=True)
    numbers = np.tile(np.arange(COPIES), len(manifest))
    rows = np.repeat(_number_rows(manifest), COPIES) * COPIES + numbers
    return copies.assign(split=split_by_group(rows, SHARES, seed))


PROTOCOLS = {
    "group_disjoint": _split_group_disjoint,
    "subject_disjoint": _split_subject_disjoint,
    "official": _split_officially,
    "random_frames": _split_random_frames,
    "augment_then_split": _augment_then_split,
}
FOLDED = {"subject_disjoint": _split_subject_disjoint, "random_frames": _split_random_frames}
LEAKING = ("random_frames", "augment_then_split")


def find_copied(manifest: pd.DataFrame) -> np.ndarray:
    """Return which faces show a photo that their dataset's own training split holds, too.

    Args:
        manifest: With groups and splits. A copy in a dataset's own training split is `excluded`.

    Returns:
        (faces,) bool.

    Example:
        >>> splits = ["test", "excluded", "test"]
        >>> manifest = pd.DataFrame({"source": "mine", "group": [1, 1, 2], "split": splits})
        >>> find_copied(manifest)
        array([ True,  True, False])
    """
    # Two datasets may use the same number for different groups.
    photos = manifest["source"] + " " + manifest["group"].astype(str)
    return photos.isin(photos[manifest["split"] == "excluded"]).to_numpy()


def _divide(groups: np.ndarray, seed: int, fold: int | None) -> np.ndarray:
    """Return the split of each group: by `SHARES`, or one of `FOLDS` folds of equal size.

    Folds are equal so that each is a test of its own. Therefore a fold is a range of the groups in
    the order of their hashes: when groups are added, those near a border may change their fold.
    """
    if fold is None:
        return split_by_group(groups, SHARES, seed)
    numbers, members = np.unique(groups, return_inverse=True)
    if len(numbers) < FOLDS:
        raise ValueError(
            f"`fold` needs {FOLDS} groups or more, because images of one person or photo stay"
            f" together; got {len(numbers)}. Leave `fold` out."
        )
    ranks = np.argsort(np.argsort(place_groups(numbers, seed)))
    # Half folds, counted from the test fold on: one validates, two calibrate. With few groups half
    # a fold may be empty; then a fold validates and a fold calibrates.
    parts, bounds = (2 * FOLDS, [2, 3, 5]) if len(numbers) >= 2 * FOLDS else (FOLDS, [1, 2, 3])
    places = (ranks * parts // len(numbers) - parts // FOLDS * fold) % parts
    names = np.array(["test", "validation", "calibration", "train"])
    return names[np.searchsorted(bounds, places, side="right")][members]


def _number_rows(manifest: pd.DataFrame) -> np.ndarray:
    """Return a number for each face: of its path below the folder of all images, and its box."""
    boxes = manifest.reindex(columns=list(BOX))  # a table of drawn faces has none
    paths = [Path(path).absolute() for path in manifest["path"]]
    root = os.path.commonpath([path.parent for path in paths]) if paths else ""
    places = zip(paths, boxes.to_numpy().tolist(), strict=True)
    names = [f"{path.relative_to(root).as_posix()} {box}" for path, box in places]
    return np.array([number_group(name) for name in names], np.int64)


def _name_sources(manifest: pd.DataFrame) -> str:
    return ", ".join(manifest["source"].unique())
