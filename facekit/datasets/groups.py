"""Find what must stay on one side of a split, give it a stable number, and divide it into splits.

A group is the images of one photo (copies, also resized, recompressed or relit), or of one person,
or both joined. Its number follows from its content and not from the dataset around it: from the
names of its subjects or, without subjects, from the hashes of its files. The split of a group
follows from a hash of its number and the seed. So a group keeps its split when images are added,
removed, moved or renamed. It changes only if a new image joins two groups, or comes first in the
order of a group's hashes; then the group as a whole may move.
"""

from __future__ import annotations

import hashlib
from collections.abc import Sequence

import numpy as np
import pandas as pd

from facekit.components import join_pairs
from facekit.datasets.fingerprints import take_fingerprint, take_fingerprints

# Above this correlation thumbnails were seen to show one photo. From 0.95 to 0.96 about half of the
# pairs are different photos, above 0.97 none.
DUPLICATE_CORRELATION = 0.95
BLOCK = 2048  # thumbnails compared with all others at once
COMPARED = 2**26  # pairs compared at once, whatever the number of images: 256 MB
NUMBER_BITS = 48  # of a group's number: exact in a float, too large for two groups to share one
MOST_DIGITS = 16  # of a number that is kept: it fits into 64 bits
SHARE_BITS = 53  # of the hash that decides a split: as exact as a float can be


def group_duplicates(paths: Sequence[str]) -> np.ndarray:
    """Find the groups of images that show the same photo.

    Copies are found whether they are equal byte for byte, resized, recompressed or relit. Every
    pair of standardized thumbnails is correlated; pairs above `DUPLICATE_CORRELATION` are joined,
    and joins chain.

    Args:
        paths: The images. A path may stand several times, if an image shows several faces.

    Returns:
        (paths,) int: equal numbers for duplicates, from 0 in the order of the paths.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> image = Image.linear_gradient("L")
        >>> image.save(folder / "a.png")
        >>> image.resize((99, 99)).save(folder / "copy.jpg")
        >>> image.rotate(90).save(folder / "other.png")
        >>> group_duplicates([str(folder / name) for name in ("a.png", "copy.jpg", "other.png")])
        array([0, 0, 1])
    """
    images, distinct = pd.factorize(np.array(paths, object))
    if not len(distinct):
        return images
    fingerprints = take_fingerprints(distinct, "comparing images")
    thumbnails = np.stack([each.thumbnail for each in fingerprints])  # (images, side * side)
    block = max(1, min(BLOCK, COMPARED // len(distinct)))
    pairs = []
    for start in range(0, len(distinct), block):
        alike = thumbnails[start : start + block] @ thumbnails.T > DUPLICATE_CORRELATION
        rows, columns = np.nonzero(alike)
        pairs.append(np.stack([rows + start, columns]))
    left, right = np.concatenate(pairs, axis=1)
    return join_pairs(len(distinct), left, right)[images]


def find_groups(manifest: pd.DataFrame, join_subjects: bool = False) -> np.ndarray:
    """Return the number of each face's group.

    Args:
        manifest: A manifest. Where its column `group` is complete, it is used in place of comparing
            images.
        join_subjects: Whether all images of a subject belong together, and so do two subjects who
            share a photo.

    Returns:
        (faces,) int64, stable numbers.

    Example:
        >>> table = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "subject": None, "group": [7, 9]})
        >>> find_groups(table)
        array([7, 9])
        >>> len(set(find_groups(table.assign(subject="Ann"), join_subjects=True)))
        1
    """
    given = bool(manifest["group"].notna().all())
    join_subjects = join_subjects and bool(manifest["subject"].notna().any())
    if given and not join_subjects:
        return manifest["group"].to_numpy(np.int64)
    if given:
        photos, names = pd.factorize(manifest["group"])[0], manifest["group"].map(_name_number)
    else:
        photos, names = group_duplicates(manifest["path"].tolist()), _name_photos(manifest["path"])
    if join_subjects:
        photos = _join_subjects(photos, manifest["subject"])
        subjects = manifest["subject"].map(lambda subject: f"subject {subject}", "ignore")
        firsts = subjects.groupby(photos).transform("min")  # missing ones are passed over
        # A given group that subjects do not join with another keeps its number.
        kept = given & names.groupby(photos).transform("nunique").eq(1)
        names = names.where(firsts.isna() | kept, firsts)
    # Of several names the first in order stands for the whole group.
    return names.groupby(photos).transform("min").map(number_group).to_numpy(np.int64)


def number_group(name: str) -> int:
    """Return the number of a group by its name: a short number as it is, other text by its hash.

    Example:
        >>> number_group("17"), number_group("wedding") < 2**48
        (17, True)
    """
    if name.isascii() and name.isdecimal() and len(name) <= MOST_DIGITS:
        return int(name)
    return _hash(name) >> (256 - NUMBER_BITS)


def place_groups(groups: np.ndarray, seed: int) -> np.ndarray:
    """Return a number from 0 to 1 for each group that follows from its number and the seed alone.

    Args:
        groups: (groups,) numbers or names.
        seed: Another seed gives other numbers.

    Returns:
        (groups,) float64.

    Example:
        >>> place_groups(np.array([7, 9]), seed=0).round(2)
        array([0.38, 0.73])
    """
    shift = 256 - SHARE_BITS
    hashes = [_hash(f"{seed} {group}") >> shift for group in groups.tolist()]
    return np.array(hashes, np.float64) / 2**SHARE_BITS


def split_by_group(groups: np.ndarray, fractions: dict[str, float], seed: int) -> np.ndarray:
    """Divide whole groups among splits.

    The split of a group follows from a hash of the group and the seed, so it does not change when
    other groups are added; the shares are met on average. Only where a split would stay empty does
    it take the group whose hash is nearest.

    Args:
        groups: (images,) number or name of each image's group.
        fractions: Share of the groups for each split. They sum to 1.
        seed: Another seed gives other splits.

    Returns:
        (images,) names of splits. Each split has at least one group, unless there are no images.

    Raises:
        ValueError: If the shares do not sum to 1, or there are fewer groups than splits.

    Example:
        >>> split_by_group(np.array([1, 1, 2]), {"train": 0.5, "test": 0.5}, seed=0).tolist()
        ['test', 'test', 'train']
    """
    if abs(sum(fractions.values()) - 1) > 1e-9:
        raise ValueError(f"`fractions` must sum to 1; got {fractions}.")
    if not len(groups):
        return np.zeros(0, "U1")
    names, members = np.unique(groups, return_inverse=True)
    splits = [split for split, share in fractions.items() if share > 0]
    if len(names) < len(splits):
        raise ValueError(
            f"A split into {', '.join(splits)} needs {len(splits)} groups or more, because images"
            f" of one photo or person stay together; got {len(names)} groups. Add other images."
        )
    places = place_groups(names, seed)
    bounds = np.cumsum([0, *(fractions[split] for split in splits)])
    sides = np.searchsorted(bounds[1:-1], places, side="right")
    for side in range(len(splits)):
        if not (sides == side).any():
            distances = np.maximum(bounds[side] - places, places - bounds[side + 1])
            distances[np.bincount(sides, minlength=len(splits))[sides] == 1] = np.inf
            sides[np.argmin(distances)] = side
    return np.array(splits)[sides][members]


def _join_subjects(photos: np.ndarray, subjects: pd.Series) -> np.ndarray:
    """Join the groups of photos that show one subject."""
    people = pd.factorize(subjects)[0]  # -1 if unknown
    known = people >= 0
    count = photos.max(initial=-1) + 1
    return join_pairs(count + people.max(initial=-1) + 1, photos[known], people[known] + count)[
        photos
    ]


def _name_photos(paths: pd.Series) -> pd.Series:
    """Return a name for each image that does not depend on where it lies: the hash of its bytes."""
    hashes = {path: take_fingerprint(path).sha256 for path in paths.unique()}
    return paths.map(lambda path: f"photo {hashes[path] or path}")


def _name_number(group: float) -> str:
    return f"{int(group)}"


def _hash(text: str) -> int:
    return int.from_bytes(hashlib.sha256(text.encode("utf-8", "surrogateescape")).digest())
