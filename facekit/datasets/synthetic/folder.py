"""Draw faces into a folder, and read the folder as a dataset."""

from __future__ import annotations

import re
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image
from tqdm import tqdm

from facekit.datasets.csv_reading import read_strict_table
from facekit.datasets.own_tables import read_own_table
from facekit.datasets.synthetic.drawing import check_size, draw_face, place_landmarks
from facekit.datasets.synthetic.sampling import FAIR, GROUPS, Bias, sample_splits, tabulate_traits
from facekit.files import replace_file
from facekit.taxonomy import LANDMARKS

# The first has the form of `read_own_table`, the second everything that is known.
TABLE, TRAITS_TABLE = "faces.csv", "traits.csv"


def make_synthetic(
    folder: Path, count: int, size: int = 96, seed: int = 0, bias: Bias = FAIR
) -> pd.DataFrame:
    """Draw faces into a folder, with a table of labels and splits, and one of traits and landmarks.

    The splits share no person. Only the training faces are biased; those of the other splits are
    the same whatever `bias`. The pictures of an earlier call are replaced.

    Args:
        folder: New, empty, or filled by an earlier call.
        count: Number of faces.
        size: Side of the pictures in pixels, within `SIZES`.
        seed: Another seed gives other faces.
        bias: How unfair the training split is.

    Returns:
        The manifest, as `read_synthetic` returns it.

    Raises:
        FileExistsError: If the folder holds other files.
        ValueError: If `count` is not positive, or `size` out of bounds.

    Example:
        >>> import tempfile
        >>> manifest = make_synthetic(Path(tempfile.mkdtemp()), count=10, size=48)
        >>> manifest["split"].value_counts().to_dict()
        {'train': 7, 'test': 2, 'validation': 1}
    """
    if count < 1:
        raise ValueError(f"`count` must be 1 or more; got {count}.")
    check_size(size)
    folder = Path(folder)
    names = [f"{number:06d}.png" for number in range(count)]
    earlier = _list_earlier(folder, names)
    folder.mkdir(parents=True, exist_ok=True)
    for path in (folder / TABLE, *earlier):
        path.unlink(missing_ok=True)
    faces, splits = sample_splits(count, seed, bias)
    traits = pd.DataFrame([asdict(face) for face in faces])
    traits.insert(0, "path", names)
    places = np.array([place_landmarks(face, size).ravel() for face in faces])
    traits[[f"{landmark}_{axis}" for landmark in LANDMARKS for axis in "xy"]] = places
    # Written first: it marks the folder as ours, also if drawing is interrupted.
    _save_table(traits, folder / TRAITS_TABLE)
    drawing = tqdm(names, "drawing", unit="face", disable=None, leave=False)
    for name, face in zip(drawing, faces, strict=True):
        with replace_file(folder / name) as temporary:
            Image.fromarray(draw_face(face, size)).save(temporary, compress_level=1)
    labels = tabulate_traits(faces)[[*GROUPS, "subject", "group", "source"]]
    _save_table(labels.assign(path=names, split=splits), folder / TABLE)
    return read_synthetic(folder)


def read_synthetic(folder: Path) -> pd.DataFrame:
    """Read the manifest of a folder that `make_synthetic` filled; it is split, by persons.

    Raises:
        FileNotFoundError: If the folder holds none.

    Example:
        >>> import tempfile
        >>> folder = Path(tempfile.mkdtemp())
        >>> manifest = make_synthetic(folder, count=3, size=48)
        >>> len(read_synthetic(folder))
        3
    """
    table = Path(folder, TABLE)
    if not table.is_file():
        raise FileNotFoundError(
            f"{table}: no such file; draw the faces with `facekit data synthesize {folder}`."
        )
    return read_own_table(table)


def check_free(folder: Path) -> None:
    """Raise an error if a folder holds any file.

    Raises:
        FileExistsError: If it is not empty, or a file has its name.

    Example:
        >>> check_free(Path("no such folder"))
    """
    if folder.exists() and (not folder.is_dir() or any(folder.iterdir())):
        raise FileExistsError(
            f"{folder}: exists and holds other files, which are not replaced; choose a new or an"
            " empty folder."
        )


def _list_earlier(folder: Path, names: list[str]) -> list[Path]:
    """Return the pictures of an earlier call of `make_synthetic`.

    Args:
        folder: To draw into.
        names: Of the pictures to draw.

    Raises:
        FileExistsError: If the folder holds files but none of ours, or other files of these names.
    """
    try:
        traits = read_strict_table(folder / TRAITS_TABLE, ("path", "identity", "picture"))
    except (OSError, ValueError):
        check_free(folder)
        return []
    earlier = [name for name in traits["path"] if re.fullmatch(r"\d{6}\.png", name)]
    for name in set(names).difference(earlier):
        if (folder / name).exists():
            raise FileExistsError(
                f"{folder / name}: exists and is not of an earlier drawing; move it, or choose"
                " another folder."
            )
    return [folder / name for name in earlier]


def _save_table(table: pd.DataFrame, path: Path) -> None:
    with replace_file(path) as temporary:
        table.to_csv(temporary, index=False)
