"""Read WIDER FACE's boxes with their flags: whether a face is blurred, hidden or turned.

`annotations.read_wider_face` makes a manifest, which has boxes alone. Here the flags are kept, to
split an evaluation of detectors by them (`evaluation.crowds`).

Reference: Yang, Luo, Loy, Tang: WIDER FACE: A Face Detection Benchmark, CVPR 2016.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.manifest import BOX

# The numbers behind a box, in the order of the file; their meaning is in the readme beside it.
FLAGS = {
    "blur": ("clear", "normal", "heavy"),
    "expression": ("typical", "exaggerated"),
    "illumination": ("normal", "extreme"),
    "ignored": (False, True),  # boxes that are marked as invalid
    "occlusion": ("none", "partial", "heavy"),
    "pose": ("typical", "atypical"),
}
NUMBERS = 4 + len(FLAGS)  # in a row


def read_wider_flags(table: Path) -> tuple[list[str], pd.DataFrame]:
    r"""Return the photos of a ground truth, and their faces with flags.

    Args:
        table: `wider_face_split/wider_face_val_bbx_gt.txt` or that of another part.

    Returns:
        The photos' names, also of photos without faces; and one row per box with `image` (the
        name), the box in pixels, the flags in words, as categories in the order of `FLAGS`, and
        `ignored`, which is true for boxes that are invalid or have no area.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If it is damaged.

    Example:
        >>> import tempfile
        >>> table = Path(tempfile.mkdtemp(), "truth.txt")
        >>> _ = table.write_text("a.jpg\n1\n10 20 30 40 0 0 1 0 2 0\nb.jpg\n0\n" + "0 " * 10)
        >>> photos, faces = read_wider_flags(table)
        >>> photos, faces[["image", "y2", "illumination", "occlusion"]].to_numpy().tolist()
        (['a.jpg', 'b.jpg'], [['a.jpg', 60.0, 'extreme', 'heavy']])
    """
    photos: list[str] = []
    rows: list[list] = []
    lines = iter(Path(table).read_text(encoding="utf-8").splitlines())
    for name in lines:
        photos.append(name)
        try:
            count = int(next(lines))
            # A photo without faces has a row of zeros.
            numbers = [next(lines).split() for _ in range(max(count, 1))]
            found = np.array(numbers[:count], float).reshape(-1, NUMBERS)
            flags = [
                [words[int(number)] for words, number in zip(FLAGS.values(), row, strict=True)]
                for row in found[:, 4:]
            ]
        except (ValueError, IndexError, StopIteration):
            raise ValueError(
                f"{table}: the rows of {name} are damaged; download wider_face_split.zip again."
            ) from None
        corners = np.concatenate([found[:, :2], found[:, :2] + found[:, 2:4]], axis=1).tolist()
        rows += [[name, *box, *own] for box, own in zip(corners, flags, strict=True)]
    faces = pd.DataFrame(rows, columns=["image", *BOX, *FLAGS])
    flat = (faces["x2"] <= faces["x1"]) | (faces["y2"] <= faces["y1"])
    faces["ignored"] = faces["ignored"].astype(bool) | flat
    for flag in FLAGS.keys() - {"ignored"}:
        faces[flag] = pd.Categorical(faces[flag], FLAGS[flag])
    return photos, faces
