"""Cut the faces of a manifest just as analysis cuts them, once, and keep them beside the data."""

from __future__ import annotations

import functools
import multiprocessing
import warnings
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm import tqdm

from facekit.datasets.fingerprints import Fingerprint, read_with_fingerprint, remember_fingerprint
from facekit.datasets.manifest import BOX
from facekit.detection import locate_face
from facekit.faces import Faces
from facekit.files import replace_file
from facekit.images import ImageError, cut_crops, round_box

# In the folder of all data, because cutting takes minutes and is the same for every task.
CROPS_FOLDER = "prepared"
# Version of the code that makes crops: reading, detection, alignment and cutting. Add 1 when any of
# them gives other pixels, so that crops kept by an earlier version are cut again.
PREPROCESSING_VERSION = 2
CROP_SIDE = 64  # pixels; what small networks take, and enough to see whether a face is found
# Share of a box's sides that is searched around it: datasets draw boxes tighter or looser than
# MTCNN does.
MARGIN = 0.3
CHUNK = 64  # faces that a process cuts before it returns them; so few are cut without processes


def name_cache(data_dir: Path, name: str, side: int, channels: int, scale: float = 1.0) -> Path:
    """Return the file that keeps the crops of a dataset.

    Example:
        >>> name_cache(Path("data/raw"), "utkface", side=64, channels=3, scale=1.4).as_posix()
        'data/raw/prepared/utkface-64x3-1.4.npz'
    """
    wide = "" if scale == 1 else f"-{scale:g}"
    return Path(data_dir, CROPS_FOLDER, f"{Path(name).name}-{side}x{channels}{wide}.npz")


def prepare_crops(
    manifest: pd.DataFrame,
    cache: Path,
    side: int = CROP_SIDE,
    channels: int = 1,
    scale: float = 1.0,
) -> tuple[np.ndarray, np.ndarray]:
    """Cut the face of each row of a manifest.

    Args:
        manifest: From `manifest.make_manifest`; rows with the same image and box are cut once.
        cache: A `.npz` file that keeps the result. It is used if it holds crops of this form, by
            this version of the preprocessing, of the same faces in files of the same names, sizes
            and times of change. A damaged one is cut again, with a warning.
        side: Side of the crops, pixels.
        channels: 1 for grey, 3 for RGB.
        scale: How much the crops show, as for `images.cut_crops`.

    Returns:
        Crops (faces, side, side, channels) uint8, and detection scores (faces,) float32: 0 where no
        face was found and the dataset's own box or crop is used.

    Raises:
        FileNotFoundError: If an image is missing.
        ImageError: If an image cannot be read.
        OSError: If the cache cannot be written.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from facekit.datasets.manifest import make_manifest
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.new("RGB", (48, 48)).save(folder / "a.png")
        >>> manifest = make_manifest([{"path": str(folder / "a.png")}], "mine")
        >>> crops, scores = prepare_crops(manifest, folder / "crops.npz", side=32)
        >>> crops.shape, scores.tolist()  # the picture shows no face
        ((1, 32, 32, 1), [0.0])
    """
    crops, scores = _load_or_cut(manifest, cache, side, channels, scale)
    unreadable = manifest["path"][np.isnan(scores)].unique().tolist()
    if missing := [path for path in unreadable if not Path(path).exists()]:
        raise FileNotFoundError(f"{missing[0]}: no such file; {len(missing)} images are missing.")
    if unreadable:
        raise ImageError(
            f"{unreadable[0]}: the picture cannot be read, as {len(unreadable)} in all; copy or"
            " download them again, or leave them out."
        )
    return crops, scores


def score_faces(
    manifest: pd.DataFrame, cache: Path, side: int = CROP_SIDE, channels: int = 1
) -> np.ndarray:
    """Return the detection score of each row, also where some images cannot be read.

    Args:
        manifest: As for `prepare_crops`.
        cache: As for `prepare_crops`; crops are kept in it.
        side: Side of the crops, pixels.
        channels: 1 for grey, 3 for RGB.

    Returns:
        (faces,) float32: 0 where no face was found, NaN where the image cannot be read.

    Example:
        >>> import tempfile
        >>> from facekit.datasets.manifest import make_manifest
        >>> manifest = make_manifest([{"path": "no such file.jpg"}], "mine")
        >>> score_faces(manifest, Path(tempfile.mkdtemp(), "crops.npz")).tolist()
        [nan]
    """
    return _load_or_cut(manifest, cache, side, channels, 1.0)[1]


def _load_or_cut(
    manifest: pd.DataFrame, cache: Path, side: int, channels: int, scale: float
) -> tuple[np.ndarray, np.ndarray]:
    """Return crops and scores; where an image cannot be read, a black crop and NaN."""
    faces = manifest[["path", *BOX]]
    # Numbered in the order in which `drop_duplicates` keeps them.
    rows = faces.groupby(list(faces), sort=False, dropna=False).ngroup().to_numpy()
    faces = faces.drop_duplicates()
    paths, boxes = faces["path"].tolist(), faces[list(BOX)].to_numpy(np.float64)
    names = [_name_face(path, box) for path, box in zip(paths, boxes, strict=True)]
    form = f"version {PREPROCESSING_VERSION}, {side}x{side}x{channels}"
    form += "" if scale == 1 else f", scale {scale:g}"
    if kept := _load(cache, np.array([form, *names])):
        crops, scores = kept
    else:
        doing = f"cutting faces for {cache.name}"
        crops, scores = _cut_all(paths, boxes, (side, channels, scale), doing)
        with replace_file(cache) as temporary:
            np.savez(temporary, names=np.array([form, *names]), crops=crops, scores=scores)
    return crops[rows], scores[rows]


def _load(cache: Path, names: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
    """Return the crops and scores that a cache keeps, if it keeps those of these names."""
    if not cache.exists():
        return None
    try:
        with cache.open("rb") as file, np.load(file) as kept:
            if not np.array_equal(kept["names"], names):
                return None
            crops, scores = kept["crops"], kept["scores"]
        if len(crops) != len(names) - 1 or scores.shape != (len(crops),):
            raise ValueError("its parts differ in length")
    except Exception as error:  # a damaged zip file fails in many ways
        warnings.warn(
            f"{cache}: the kept faces are damaged ({error}) and are cut again.", stacklevel=4
        )
        return None
    return crops, scores


def _cut_all(
    paths: Sequence[str], boxes: np.ndarray, form: tuple[int, int, float], doing: str
) -> tuple[np.ndarray, np.ndarray]:
    cut = functools.partial(_cut_one, form=form)
    side, channels, _ = form
    bar = functools.partial(tqdm, desc=doing, total=len(paths), disable=None)
    if len(paths) <= CHUNK:
        _read.cache_clear()  # a file may have changed since
        found = list(bar(map(cut, paths, boxes)))
    else:  # Not forked: that may hang once TensorFlow has threads.
        context = multiprocessing.get_context("spawn")
        with ProcessPoolExecutor(mp_context=context) as workers:
            found = list(bar(workers.map(cut, paths, boxes, chunksize=CHUNK)))
    crops = np.zeros((len(paths), side, side, channels), np.uint8)
    scores = np.full(len(paths), np.nan, np.float32)
    for row, (path, (crop, score, fingerprint)) in enumerate(zip(paths, found, strict=True)):
        remember_fingerprint(path, fingerprint)
        if crop is not None:
            crops[row], scores[row] = crop, score
    return crops, scores


def _name_face(path: str, box_xyxy: np.ndarray) -> str:
    """Return a text that changes when the picture file or the box does."""
    name = "/".join(Path(path).parts[-2:])
    try:
        state = Path(path).stat()
    except OSError:
        return f"{name} missing"
    name = f"{name} {state.st_size} {state.st_mtime_ns}"
    return name if np.isnan(box_xyxy[0]) else f"{name} {' '.join(f'{side:g}' for side in box_xyxy)}"


@functools.lru_cache(maxsize=1)  # the faces of one image follow each other
def _read(path: str) -> tuple[np.ndarray | None, Fingerprint]:
    return read_with_fingerprint(path)


def _cut_one(
    path: str, box_xyxy: np.ndarray, form: tuple[int, int, float]
) -> tuple[np.ndarray | None, float, Fingerprint]:
    image, fingerprint = _read(path)
    if image is None:
        return None, np.nan, fingerprint
    whole = np.isnan(box_xyxy[0])
    face = locate_face(image) if whole else locate_within(image, box_xyxy.astype(np.float32))
    return cut_crops(image, face, *form)[0], float(face.scores[0]), fingerprint


def locate_within(image: np.ndarray, box_xyxy: np.ndarray) -> Faces:
    """Find the one face that a dataset's box marks.

    Args:
        image: HxWx3 RGB uint8.
        box_xyxy: (4,) pixels; may reach beyond the image.

    Returns:
        Exactly one face. If none is found near the box, it is the box itself, with score 0 and
        unknown (NaN) landmarks.

    Example:
        >>> box = np.array([4, 4, 40, 40], np.float32)
        >>> face = locate_within(np.zeros((48, 48, 3), np.uint8), box)  # shows no face
        >>> face.boxes_xyxy.tolist(), face.scores.tolist()
        ([[4.0, 4.0, 40.0, 40.0]], [0.0])
    """
    margin = MARGIN * np.tile(box_xyxy[2:] - box_xyxy[:2], 2) * (-1, -1, 1, 1)
    left, top, right, bottom = round_box(box_xyxy + margin, image.shape[:2])
    face = locate_face(image[top:bottom, left:right])
    if not face.scores[0]:
        return Faces(box_xyxy[None], face.scores, face.landmarks_xy)
    shift = np.array([left, top], np.float32)
    return Faces(face.boxes_xyxy + np.tile(shift, 2), face.scores, face.landmarks_xy + shift)
