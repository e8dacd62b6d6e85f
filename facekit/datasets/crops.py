"""Cut the faces of a manifest just as analysis cuts them, once, and keep them beside the data."""

from __future__ import annotations

import multiprocessing
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from facekit.detection import locate_face
from facekit.images import cut_crops, read_image

CROP_SIDE = 64  # pixels; what every shipped attribute network takes


def prepare_crops(manifest: pd.DataFrame, cache: Path) -> tuple[np.ndarray, np.ndarray]:
    """Cut one face out of each image of a manifest.

    Args:
        manifest: Of `manifest.make_manifest`.
        cache: A `.npz` file that keeps the result; taken as it is where it lists images of the same names and sizes in bytes.

    Returns:
        Crops (images, `CROP_SIDE`, `CROP_SIDE`) uint8, and detection scores (images,) float32: 0 where no face was found and the
        dataset's own crop is used.

    Raises:
        ImageError: If an image cannot be read.
    """
    paths = manifest["path"].to_numpy(str)
    names = np.array([f"{Path(path).name} {Path(path).stat().st_size}" for path in paths])
    if cache.exists():
        with np.load(cache) as kept:
            if np.array_equal(kept["names"], names):
                return kept["crops"], kept["scores"]
    # Not forked: that may hang once TensorFlow has threads.
    with ProcessPoolExecutor(mp_context=multiprocessing.get_context("spawn")) as workers:
        found = tqdm(workers.map(_cut_one, paths, chunksize=64), f"cutting faces for {cache.name}", len(paths))
        crops, scores = zip(*found, strict=True)
    crops, scores = np.stack(crops), np.array(scores, np.float32)
    cache.parent.mkdir(parents=True, exist_ok=True)
    np.savez(cache, names=names, crops=crops, scores=scores)
    return crops, scores


def _cut_one(path: str) -> tuple[np.ndarray, float]:
    image = read_image(path)
    face = locate_face(image)
    return cut_crops(image, face, CROP_SIDE)[0], float(face.scores[0])
