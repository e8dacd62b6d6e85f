"""Split a manifest by a protocol, by name: those that do not leak, and two of the papers' that do,
to show the gap.

Each takes a manifest as a reader of `folders` or `annotations` gives it, and returns it with
`group` and `split` filled in. A group, be it of duplicates or of a subject's images, is what should
stand on one side; the leaking protocols tear groups apart.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from facekit.datasets.manifest import group_duplicates, split_by_group

HELD_OUT = {"train": 0.85, "validation": 0.05, "test": 0.10}
FOLDS = 10
# of each image in `augment_then_split`; so many that of 2,000 test images about one has no copy in
# train
COPIES = 5


def split_by_protocol(
    manifest: pd.DataFrame, name: str, seed: int = 0, fold: int | None = None
) -> pd.DataFrame:
    """Return a manifest with its groups and splits filled in.

    Args:
        manifest: Of a reader; not changed.
        name: Key of `PROTOCOLS`.
        seed: Of the shuffle.
        fold: Which fold of a protocol of `FOLDED` is the test, 0 to 9; one split of 85 / 5 / 10%
            where it is `None`.

    Raises:
        ValueError: If the name is unknown, the fold is out of its range or given where there are
            none, or the manifest lacks what the protocol needs.
    """
    if name not in PROTOCOLS:
        raise ValueError(
            f"`name` must be one of the protocols {', '.join(PROTOCOLS)}; got {name!r}."
        )
    if fold is None:
        return PROTOCOLS[name](manifest, seed)
    if name not in FOLDED or not 0 <= fold < FOLDS:
        raise ValueError(
            f"`fold` must be from 0 to {FOLDS - 1}, and is for {' and '.join(FOLDED)}; got {fold} for {name}."
        )
    return PROTOCOLS[name](manifest, seed, fold)


def split_group_disjoint(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Keep every group of duplicate images on one side: 85% train, 5% validation, 10% test."""
    groups = _find_groups(manifest)
    return manifest.assign(group=groups, split=split_by_group(groups, HELD_OUT, seed))


def split_subject_disjoint(
    manifest: pd.DataFrame, seed: int, fold: int | None = None
) -> pd.DataFrame:
    """Keep every subject on one side: 85 / 5 / 10%, or ten folds.

    An image without a subject counts as one of its own.
    """
    if manifest["subject"].isna().all():
        raise ValueError(
            f"subject_disjoint needs subjects, which {_name_sources(manifest)} does not tell; choose group_disjoint."
        )
    groups = manifest["subject"].fillna(manifest["path"]).factorize()[0]
    return manifest.assign(group=groups, split=_deal(groups, seed, fold))


def _deal(groups: np.ndarray, seed: int, fold: int | None) -> np.ndarray:
    """Return the split of each group: a tenth is the test of a fold, and half the next tenth validates."""
    if fold is None:
        return split_by_group(groups, HELD_OUT, seed)
    halves = split_by_group(
        groups, {str(half): 0.5 / FOLDS for half in range(2 * FOLDS)}, seed
    ).astype(int)
    return np.where(
        halves // 2 == fold,
        "test",
        np.where(halves == (2 * fold + 2) % (2 * FOLDS), "validation", "train"),
    )


def split_officially(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Take the dataset's own split, without what leaks in it.

    Where the dataset keeps no test, or keeps it to itself, its validation is the test, and a
    twentieth of the other groups validates. An image that shows the same photo as one of the test,
    or a training image that shows the same photo as one of the validation, is `excluded`.
    """
    if manifest["split"].isna().any():
        raise ValueError(
            f"official needs a split of the dataset's own, which {_name_sources(manifest)} has not; choose group_disjoint."
        )
    groups, given = pd.Series(_find_groups(manifest), manifest.index), manifest["split"]
    tested = given == ("test" if given.eq("test").any() else "validation")
    shares = pd.Series(
        split_by_group(groups.to_numpy(), {"train": 0.95, "validation": 0.05}, seed), manifest.index
    )
    validated = given.eq("validation") & ~tested
    if validated.any():
        shares = given.mask(given.eq("train") & groups.isin(groups[validated]), "excluded")
    return manifest.assign(
        group=groups,
        split=shares.mask(groups.isin(groups[tested]), "excluded").mask(tested, "test"),
    )


def split_random_frames(manifest: pd.DataFrame, seed: int, fold: int | None = None) -> pd.DataFrame:
    """Shuffle images, as papers do with CK+. It leaks: frames of one sequence, and of one person, stand on both sides."""
    known = manifest["subject"].notna().all()
    groups = manifest["subject"].factorize()[0] if known else _find_groups(manifest)
    return manifest.assign(group=groups, split=_deal(np.arange(len(manifest)), seed, fold))


def augment_then_split(manifest: pd.DataFrame, seed: int) -> pd.DataFrame:
    """Repeat each image, then shuffle, as papers do that augment first. It leaks: copies of one
    photo stand on both sides.

    The `COPIES` rows of an image are alike; whoever trains changes each copy's crop.
    """
    grouped = manifest.assign(group=_find_groups(manifest))
    copies = grouped.loc[np.repeat(grouped.index, COPIES)].reset_index(drop=True)
    return copies.assign(split=split_by_group(np.arange(len(copies)), HELD_OUT, seed))


PROTOCOLS = {
    "group_disjoint": split_group_disjoint,
    "subject_disjoint": split_subject_disjoint,
    "official": split_officially,
    "random_frames": split_random_frames,
    "augment_then_split": augment_then_split,
}
FOLDED = ("subject_disjoint", "random_frames")
LEAKING = ("random_frames", "augment_then_split")


def _find_groups(manifest: pd.DataFrame) -> np.ndarray:
    """Return the groups that the manifest tells, or those of duplicate images."""
    if manifest["group"].notna().all():
        return manifest["group"].to_numpy()
    return group_duplicates(manifest["path"].tolist())


def _name_sources(manifest: pd.DataFrame) -> str:
    return ", ".join(manifest["source"].unique())
