"""Cut the faces of a manifest just as analysis cuts them, once, and keep them beside the data."""

from __future__ import annotations

import functools
import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from facekit.datasets.manifest import BOX
from facekit.detection import locate_face
from facekit.faces import Faces
from facekit.images import cut_crops, read_image

CROPS_FOLDER = (
    "prepared"  # in the data's folder: cutting takes minutes and is the same for every task
)
CROP_SIDE = 64  # pixels; what small networks take, and enough to tell whether a face is found
# of a box's sides, looked at around it: datasets draw boxes tighter or looser than MTCNN does
MARGIN = 0.3

_read_image = functools.lru_cache(maxsize=1)(read_image)  # the faces of one image follow each other


def name_cache(data_dir: Path, name: str, side: int, channels: int) -> Path:
    """Return where the crops of a dataset are kept."""
    return Path(data_dir, CROPS_FOLDER, f"{Path(name).name}-{side}x{channels}.npz")


def prepare_crops(
    manifest: pd.DataFrame, cache: Path, side: int = CROP_SIDE, channels: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the face of each row of a manifest.

    Args:
        manifest: Of `manifest.make_manifest`; rows that are alike are cut once.
        cache: A `.npz` file that keeps the result; taken as it is where it holds crops of this form
            of images of the same names and sizes in bytes, with the same boxes.
        side: Of the crops, pixels.
        channels: 1 for grey, 3 for RGB.

    Returns:
        Crops (faces, side, side, channels) uint8, and detection scores (faces,) float32: 0 where no
        face was found and the dataset's own box or crop is used.

    Raises:
        ImageError: If an image cannot be read.
    """
    faces = manifest[["path", *BOX]]
    rows = (
        faces.groupby(list(faces), sort=False, dropna=False).ngroup().to_numpy()
    )  # numbered as `drop_duplicates` keeps them
    faces = faces.drop_duplicates()
    paths, boxes = faces["path"].tolist(), faces[list(BOX)].to_numpy()
    names = np.array([_name_face(path, box) for path, box in zip(paths, boxes, strict=True)])
    if cache.exists():
        with np.load(cache) as kept:
            if np.array_equal(kept["names"], names) and (crops := kept["crops"]).shape[1:] == (
                side,
                side,
                channels,
            ):
                return crops[rows], kept["scores"][rows]
    # Not forked: that may hang once TensorFlow has threads.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as workers:
        cut = functools.partial(_cut_one, side=side, channels=channels)
        found = tqdm(
            workers.map(cut, paths, boxes, chunksize=64),
            f"cutting faces for {cache.name}",
            len(paths),
            disable=None,
        )
        crops, scores = zip(*found, strict=True)
    crops, scores = np.stack(crops), np.array(scores, np.float32)
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, names=names, crops=crops, scores=scores)
    return crops[rows], scores[rows]


def _name_face(path: str, box_xyxy: np.ndarray) -> str:
    name = f"{Path(path).name} {Path(path).stat().st_size}"
    return name if np.isnan(box_xyxy[0]) else f"{name} {' '.join(f'{side:g}' for side in box_xyxy)}"


def _cut_one(path: str, box_xyxy: np.ndarray, side: int, channels: int) -> tuple[np.ndarray, float]:
    image = _read_image(path)
    face = (
        locate_face(image)
        if np.isnan(box_xyxy[0])
        else locate_within(image, box_xyxy.astype(np.float32))
    )
    return cut_crops(image, face, side, channels)[0], float(face.scores[0])


def locate_within(image: np.ndarray, box_xyxy: np.ndarray) -> Faces:
    """Find the one face that a dataset's box marks.

    Args:
        image: HxWx3 RGB uint8.
        box_xyxy: (4,) pixels; may reach beyond the image.

    Returns:
        Exactly one face; the box itself, with score 0 and unknown (NaN) landmarks, where none was
        found about it.
    """
    height, width = image.shape[:2]
    margin = MARGIN * np.tile(box_xyxy[2:] - box_xyxy[:2], 2) * (-1, -1, 1, 1)
    left, top = np.clip(np.floor(box_xyxy + margin)[:2], 0, (width - 1, height - 1)).astype(int)
    right, bottom = np.clip(
        np.ceil(box_xyxy + margin)[2:], (left + 1, top + 1), (width, height)
    ).astype(int)
    face = locate_face(image[top:bottom, left:right])
    if not face.scores[0]:
        return Faces(box_xyxy[None], face.scores, face.landmarks_xy)
    shift = np.array([left, top], np.float32)
    return Faces(face.boxes_xyxy + np.tile(shift, 2), face.scores, face.landmarks_xy + shift)
