"""Compose photos of many faces with known boxes and labels, from faces of any dataset.

Each face is turned, resized and lit at random, and pasted through a soft ellipse around the head
(`pasting`). The folder has DataTurks' form (`datasets.dataturks`), with tables beside it: one in
the form of a user's own files (`datasets.own_tables`), and one of all else that is known.

Composed photos are not photos: light, sharpness and pose of a face do not fit the others, and
bodies are missing. They show how size, roll, light and overlap change a result. They do not show
how often a detector or a network is right on real photos, nor which of two detectors is better:
YuNet finds more faces than MTCNN in the photos of WIDER FACE, and fewer in composed ones.
"""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from facekit.datasets.dataturks import write_dataturks
from facekit.datasets.file_lists import list_pictures
from facekit.datasets.manifest import BOX, COLUMNS, make_manifest
from facekit.datasets.synthetic.backgrounds import draw_background
from facekit.datasets.synthetic.folder import TABLE, check_free
from facekit.datasets.synthetic.pasting import HEIGHTS, Cutout, paste_faces, place_faces
from facekit.datasets.synthetic.traits import BACKGROUNDS
from facekit.detection import locate_face
from facekit.files import replace_file
from facekit.images import read_image, round_box

PLACES_TABLE = "places.csv"
# Height of the upright face in pixels, roll in degrees clockwise, brightness (1 as in the source),
# the largest share of its box that another box covers, the share of the face that no other face
# hides, and the picture behind it.
DETAILS = ("height", "roll", "light", "overlap", "visible", "background")
KEPT = tuple(column for column in COLUMNS if column != "group")  # groups are of the source
MARGIN = 0.6  # around a box of the source, in sides of the box: hair and some background
QUALITY = 95  # of the JPEG files


def compose_crowds(
    manifest: pd.DataFrame,
    folder: Path,
    count: int,
    seed: int = 0,
    backgrounds: Path | None = None,
    faces: tuple[int, int] = (2, 12),
    size_hw: tuple[int, int] = (600, 800),
    crowding: float = 0.4,
) -> pd.DataFrame:
    """Compose photos of many faces into a folder.

    Args:
        manifest: The faces, such as drawn ones or a test split. Each is used once before any is
            used again.
        folder: New or empty. It gets DataTurks' form (`faces.json`, `images/`), `faces.csv` in the
            form of `read_own_table`, and `PLACES_TABLE`.
        count: Number of photos.
        seed: Another seed gives other photos; equal seeds give equal photos.
        backgrounds: A folder of photos without any face; by default backgrounds are drawn.
        faces: Least and most faces in a photo. A face that finds no place is left out.
        size_hw: Height and width of the photos.
        crowding: Share of the faces that overlap with another one, 0 to 1, if there is a place.

    Returns:
        As `read_crowds`.

    Raises:
        FileExistsError: If the folder holds files.
        FileNotFoundError: If `backgrounds` holds no picture.
        ValueError: If a number is out of bounds, or no face can be used.

    Example:
        >>> from facekit.datasets.synthetic import make_synthetic
        >>> folder = Path(tempfile.mkdtemp())
        >>> drawn = make_synthetic(folder / "faces", count=4)
        >>> crowds = compose_crowds(drawn, folder / "crowds", count=2, faces=(2, 2))
        >>> crowds["path"].map(lambda path: Path(path).name).tolist()
        ['000000.jpg', '000000.jpg', '000001.jpg', '000001.jpg']
    """
    if count < 1:
        raise ValueError(f"`count` must be 1 or more; got {count}.")
    if not 1 <= faces[0] <= faces[1]:
        raise ValueError(f"`faces` must be the least number, 1 or more, and the most; got {faces}.")
    if not 0 <= crowding <= 1:
        raise ValueError(f"`crowding` must be from 0 to 1; got {crowding}.")
    if min(size_hw) < 2 * HEIGHTS[0]:
        raise ValueError(f"`size_hw` must be {2 * HEIGHTS[0]} pixels or more; got {size_hw}.")
    folder, manifest = Path(folder), manifest.reset_index(drop=True)
    check_free(folder)
    photos = list_pictures(backgrounds, "*.jpg")[0] if backgrounds else []
    left_out: set[int] = set()
    stream = _cut_faces(manifest, seed, left_out)
    rows = []
    with tempfile.TemporaryDirectory() as place:
        for number in tqdm(range(count), "composing", unit="photo", disable=None, leave=False):
            random = np.random.default_rng((seed, number))
            wanted = int(random.integers(faces[0], faces[1], endpoint=True))
            behind, name = _make_background(photos, size_hw, random)
            places = place_faces([next(stream) for _ in range(wanted)], size_hw, crowding, random)
            photo, visible = paste_faces(behind, places)
            path = Path(place, f"{number:06d}.jpg")
            Image.fromarray(photo).save(path, quality=QUALITY)
            boxes = np.array([each.box_xyxy for each in places]).round(2)
            covered = _measure_cover(boxes)
            for each, box, cover, shown in zip(places, boxes, covered, visible, strict=True):
                numbers = np.round([each.height, each.roll, each.light, cover, shown], 3)
                rows.append(
                    manifest.loc[each.cutout.row, list(KEPT)].to_dict()
                    | {"path": str(path)}
                    | dict(zip(BOX, box.tolist(), strict=True))
                    | dict(zip(DETAILS, (*numbers.tolist(), name), strict=True))
                )
        write_dataturks(make_manifest(rows, "crowds"), folder)
    if left_out:
        warnings.warn(
            f"{len(left_out)} of {len(manifest)} faces could not be located in their own pictures "
            "and are left out.",
            stacklevel=2,
        )
    table = pd.DataFrame(rows)
    table["path"] = [f"images/{Path(path).name}" for path in table["path"]]
    for name, columns in ((TABLE, KEPT), (PLACES_TABLE, (*KEPT, *DETAILS))):
        with replace_file(folder / name) as temporary:
            table[list(columns)].to_csv(temporary, index=False)
    return read_crowds(folder)


def read_crowds(folder: Path) -> pd.DataFrame:
    """Read what is known of the faces of composed photos.

    Args:
        folder: Filled by `compose_crowds`.

    Returns:
        A manifest with more columns, `DETAILS`. Faces of one photo follow each other, the farthest
        first.

    Raises:
        FileNotFoundError: If the folder holds no such table.

    Example:
        >>> read_crowds(Path("no such folder"))
        Traceback (most recent call last):
        FileNotFoundError: no such folder/places.csv: no such file; `compose_crowds` makes it.
    """
    path = Path(folder, PLACES_TABLE)
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; `compose_crowds` makes it.")
    table = pd.read_csv(path, dtype={"subject": str})
    table["path"] = [str(Path(folder, name)) for name in table["path"]]
    manifest = make_manifest(table[list(KEPT)].to_dict("records"), "crowds")
    return manifest.join(table[list(DETAILS)])


def _cut_faces(manifest: pd.DataFrame, seed: int, left_out: set[int]) -> Iterator[Cutout]:
    """Yield the faces of a manifest over and over, in another order each time.

    A face that MTCNN does not find in its own picture, even with low thresholds, cannot be placed;
    its row is added to `left_out`.
    """
    random = np.random.default_rng(seed)
    while len(left_out) < len(manifest):
        for row in random.permutation(len(manifest)).tolist():
            cutout = None if row in left_out else _cut_face(manifest.iloc[row], row)
            if cutout is None:
                left_out.add(row)
            else:
                yield cutout
    raise ValueError(
        f"`manifest` must hold a face that can be located; none of {len(manifest)} was found."
    )


def _cut_face(face: pd.Series, row: int) -> Cutout | None:
    pixels = read_image(face["path"])
    if pd.notna(face["x1"]):
        box = face[list(BOX)].to_numpy(float)
        around = np.tile(box[2:] - box[:2], 2) * MARGIN * (-1, -1, 1, 1)
        left, top, right, bottom = round_box(box + around, pixels.shape[:2])
        pixels = pixels[top:bottom, left:right]
    landmarks = locate_face(pixels).landmarks_xy[0]
    return None if np.isnan(landmarks).any() else Cutout(row, pixels, landmarks)


def _make_background(
    photos: Sequence[Path], size_hw: tuple[int, int], random: np.random.Generator
) -> tuple[np.ndarray, str]:
    """Return a picture of the size, from a photo or drawn, and its name."""
    height, width = size_hw
    if not photos:
        name = str(random.choice(BACKGROUNDS))
        drawn = draw_background(name, max(size_hw), random)[:height, :width]
        return drawn.clip(0, 255).astype(np.uint8), name
    path = photos[int(random.integers(len(photos)))]
    photo = read_image(path)
    scale = max(height / photo.shape[0], width / photo.shape[1])
    sides = [
        max(round(side * scale), least) for side, least in zip(photo.shape, size_hw, strict=False)
    ]
    photo = cv2.resize(photo, sides[::-1], interpolation=cv2.INTER_AREA)
    top, left = (
        int(random.integers(side - least + 1)) for side, least in zip(sides, size_hw, strict=True)
    )
    return photo[top : top + height, left : left + width], path.name


def _measure_cover(boxes_xyxy: np.ndarray) -> np.ndarray:
    """Return the largest share of each box that one other box covers, (boxes,)."""
    corner = np.maximum(boxes_xyxy[:, None, :2], boxes_xyxy[None, :, :2])
    opposite = np.minimum(boxes_xyxy[:, None, 2:], boxes_xyxy[None, :, 2:])
    common = np.clip(opposite - corner, 0, None).prod(axis=2)
    np.fill_diagonal(common, 0)
    return (common / (boxes_xyxy[:, 2:] - boxes_xyxy[:, :2]).prod(axis=1)[:, None]).max(axis=1)
