"""Merge datasets of ages into one to pre-train on, as the first paper does with Combined_Faces.

This is a recipe, not that set ("Toward Affective Intelligence"): any datasets, copies of a photo
reduced to one, contradictions between labels settled, training images balanced. Faces are cut by
`crops`, those of repeated rows once.

Copies are pairs of images whose perceptual hashes are close, confirmed by the correlation of their
thumbnails. Both are taken from the face's box, or from the whole image where there is no box. Of
500 UTKFace images, all copies that were resized, recompressed or turned to grey were found, and 99%
of those made lighter or darker; of copies with a fiftieth trimmed off each side two of three, with
a twentieth none, and no mirror images. So sources that crop the same photos in different ways keep
copies here, which only an embedding of the aligned faces would find.
"""

from __future__ import annotations

from collections.abc import Sequence

import cv2
import numpy as np
import pandas as pd
from tqdm import tqdm

from facekit.components import join_pairs
from facekit.datasets.audit import AGE_TOLERANCE_YEARS
from facekit.datasets.fingerprints import THUMBNAIL_SIDE
from facekit.datasets.groups import DUPLICATE_CORRELATION
from facekit.datasets.manifest import BOX, COLUMNS, SPLITS
from facekit.images import convert_to_grey, read_image, round_box
from facekit.taxonomy import LABELS, find_age_range

# A group is put into the first of these splits that any of its images is in.
SIDES = ("test", "calibration", "validation", "train", "excluded")
UNKNOWN = "unknown"  # gender

WAVES = 8  # a side of the hash: the slowest waves of the face, each above or below their median
WAVES_FROM_SIDE = 32  # pixels
# Of 64 bits. Resized copies were up to 6 apart, relit ones up to 12; most chance pairs are further
# apart.
HASH_BITS_APART = 10
# Above it no pair of UTKFace was chance; from 0.957 on, two of three were. A split can bear that, a
# label cannot.
COPY_CORRELATION = 0.97
PAIRS_AT_ONCE = 2**24  # whatever the number of images: 0.3 GB


def combine_manifests(
    manifests: Sequence[pd.DataFrame], size: int, seed: int
) -> tuple[pd.DataFrame, dict[str, int]]:
    """Merge manifests into one with each photo once, and level age classes and genders.

    - Copies of a photo vote on its labels. Ages at most `audit.AGE_TOLERANCE_YEARS` apart give
      their median. For gender, ethnicity and emotion the majority counts, and a copy without a
      label takes the others'. A photo with ages further apart, or with votes that tie, is dropped.
    - Groups are those of the sources, joined where they share a photo. If a group has images in a
      test split, its other images are dropped. The same holds for calibration and
      validation, so that no training image shows what a source tests on. Read the sources with the
      seed that fine-tuning uses, or their test splits differ.
    - Of the remaining copies, the one in the first manifest is kept.
    - Age classes of the default scheme get equal shares of `size`, and within a class so do the
      genders; images of unknown gender keep their share. Faces of a cell that is not full are
      repeated, each as often as any other or once more. Each repeat is a row of its own, which
      training changes at random. Other splits are neither repeated nor balanced.

    Args:
        manifests: With groups and splits, the most trusted first. Images without an age are left
            out.
        size: Number of training rows.
        seed: Of the sampling.

    Returns:
        The combined manifest, and what was done: counts by their description.

    Raises:
        ImageError: If an image cannot be read.
        ValueError: If there is nothing to combine or to train on, `size` is not positive, or a row
            has no group or split.

    Example:
        >>> import tempfile
        >>> from pathlib import Path
        >>> from PIL import Image
        >>> from facekit.datasets.manifest import make_manifest
        >>> path = str(Path(tempfile.mkdtemp(), "a.png"))
        >>> Image.new("RGB", (48, 48)).save(path)
        >>> face = {"path": path, "age": 30, "gender": "female", "group": 0, "split": "train"}
        >>> combined, counts = combine_manifests([make_manifest([face], "mine")], size=3, seed=0)
        >>> len(combined), counts["training photos"]
        (3, 1)
    """
    if size < 1:
        raise ValueError(f"`size` must be 1 or more training images; got {size}.")
    faces = _merge(manifests)
    counts = {
        f"images of {source}": count
        for source, count in faces["source"].value_counts(sort=False).items()
    }
    faces = _mark_copies(faces)
    shared = faces.groupby("photo")["source"].nunique() > 1
    counts |= {"photos": len(shared), "photos in several sources": int(shared.sum())}
    # Decided before contradictory photos are dropped: a test photo among them is still a test photo
    # of its source.
    ranks = faces["split"].map(SIDES.index)
    right_side = (ranks == ranks.groupby(faces["group"]).transform("min")) & (
        ranks < SIDES.index("excluded")
    )
    faces, contradictory = _settle_labels(faces)
    counts |= {
        f"photos dropped, {label} contradictory": int(photos.sum())
        for label, photos in contradictory.items()
    }
    agreed = ~faces["photo"].map(contradictory.any(axis=1))
    counts["images dropped, group on another side or excluded"] = int((agreed & ~right_side).sum())
    faces = faces[agreed & right_side].drop_duplicates("photo")
    counts["photos dropped, no age"] = int(faces["age"].isna().sum())
    faces = faces[faces["age"].notna()]
    splits = {split: faces[faces["split"] == split] for split in SPLITS if split != "excluded"}
    counts["training photos"] = len(splits["train"])
    splits["train"] = _balance(splits["train"], size, seed)
    counts["training photos used"] = int(splits["train"]["photo"].nunique())
    counts |= {f"{split} rows": len(rows) for split, rows in splits.items()}
    combined = pd.concat(splits.values(), ignore_index=True)[list(COLUMNS)]
    combined.attrs = {"protocol": "combined", "seed": seed}
    return combined, counts


def _merge(manifests: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Put manifests one below the other, with group numbers that are each one manifest's own."""
    if not any(map(len, manifests)):
        raise ValueError("`manifests` must hold at least one image; got none.")
    for manifest in manifests:
        if manifest["group"].isna().any() or not manifest["split"].isin(SIDES).all():
            source = manifest["source"].iloc[0]
            raise ValueError(
                f"`manifests` must have a group and a split in each row; {source} does not:"
                " split it by a protocol first."
            )
    faces = pd.concat(manifests, keys=range(len(manifests)), names=["manifest"])
    faces["group"] = faces.groupby(["manifest", "group"]).ngroup()
    return faces.reset_index(drop=True)


# === Copies ===


def _mark_copies(faces: pd.DataFrame) -> pd.DataFrame:
    """Add the column `photo`, equal for copies, and join the groups of images that look alike."""
    reading = tqdm(faces["path"], "comparing faces", unit="face", disable=None, leave=False)
    prints = [
        _take_prints(*face) for face in zip(reading, faces[list(BOX)].to_numpy(), strict=True)
    ]
    hashes, thumbnails = (np.stack(parts) for parts in zip(*prints, strict=True))
    left, right, correlations = _find_alike(hashes, thumbnails)
    copies = correlations > COPY_CORRELATION
    rows = np.arange(len(faces))
    firsts = pd.Series(rows).groupby(faces["group"].to_numpy()).transform("first").to_numpy()
    photos = join_pairs(len(faces), left[copies], right[copies])
    groups = join_pairs(len(faces), np.append(left, rows), np.append(right, firsts))
    return faces.assign(photo=photos, group=groups)


def _take_prints(path: str, box_xyxy: np.ndarray) -> tuple[np.uint64, np.ndarray]:
    """Return a face's perceptual hash, and its standardized thumbnail (zeros if it is plain)."""
    grey = convert_to_grey(read_image(path))
    if not np.isnan(box_xyxy).any():
        left, top, right, bottom = round_box(box_xyxy, grey.shape)
        grey = grey[top:bottom, left:right]
    small, thumbnail = (
        cv2.resize(grey, (side, side), interpolation=cv2.INTER_AREA).astype(np.float32)
        for side in (WAVES_FROM_SIDE, THUMBNAIL_SIDE)
    )
    waves = cv2.dct(small)[:WAVES, :WAVES].ravel()
    thumbnail = thumbnail.ravel() - thumbnail.mean()
    return np.packbits(waves > np.median(waves)).view(np.uint64)[0], thumbnail / max(
        np.linalg.norm(thumbnail), 1e-6
    )


def _find_alike(
    hashes: np.ndarray, thumbnails: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return both ends of each pair of similar images, and the correlation of their thumbnails."""
    found = []
    block = max(1, PAIRS_AT_ONCE // len(hashes))
    for start in range(0, len(hashes), block):
        bits_apart = np.bitwise_count(hashes[start : start + block, None] ^ hashes[start:])
        correlations = thumbnails[start : start + block] @ thumbnails[start:].T
        left, right = np.nonzero(
            np.triu((bits_apart <= HASH_BITS_APART) & (correlations > DUPLICATE_CORRELATION), 1)
        )
        found.append((left + start, right + start, correlations[left, right]))
    lefts, rights, values = (np.concatenate(parts) for parts in zip(*found, strict=True))
    return lefts, rights, values


# === Labels ===


def _settle_labels(faces: pd.DataFrame) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Give all copies of a photo the same labels.

    Returns:
        The faces; and which labels (columns) of which photos (rows) contradict each other.
    """
    ages = faces.groupby("photo")["age"].agg(["min", "max", "median"])
    settled, contradictory = (
        {"age": ages["median"]},
        {"age": ages["max"] - ages["min"] > AGE_TOLERANCE_YEARS},
    )
    for label in ("gender", "ethnicity", "emotion"):
        votes = (
            pd.DataFrame({name: faces[label] == name for name in LABELS[label]})
            .groupby(faces["photo"])
            .sum()
        )
        most = votes.max(axis=1)
        settled[label] = votes.idxmax(axis=1).where(most > 0)
        contradictory[label] = (votes.eq(most, axis=0).sum(axis=1) > 1) & (most > 0)
    return faces.assign(
        **{label: faces["photo"].map(values) for label, values in settled.items()}
    ), pd.DataFrame(contradictory)


# === Balance ===


def _balance(training: pd.DataFrame, size: int, seed: int) -> pd.DataFrame:
    """Sample `size` rows, equally many per age class and per gender within each class."""
    if training.empty:
        raise ValueError(
            "`manifests` must leave at least one training image with an age; got none."
        )
    cells = training.groupby(
        [training["age"].map(find_age_range), training["gender"].fillna(UNKNOWN)]
    )
    counts = cells.size()
    shares = counts / counts.groupby(level=0).transform("sum")
    known = shares.index.get_level_values(1) != UNKNOWN
    shares = (
        shares.where(~known, shares.where(known).groupby(level=0).transform("mean"))
        / counts.index.get_level_values(0).nunique()
    )
    quotas = np.diff(np.round(shares.cumsum() * size), prepend=0).astype(int)
    generator = np.random.default_rng(seed)
    # `np.resize` goes round and round until the quota is met.
    drawn = [
        np.resize(generator.permutation(cell.index), quota)
        for quota, (_, cell) in zip(quotas, cells, strict=True)
    ]
    return training.loc[np.concatenate(drawn)]
