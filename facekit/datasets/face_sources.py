"""Gather faces to label from a folder of photos, a manifest, a csv, or analyses."""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from facekit.analysis import Analysis
from facekit.datasets.file_lists import list_pictures, warn_left_out, warn_unused
from facekit.datasets.manifest import BOX, load_manifest, make_manifest
from facekit.datasets.own_tables import read_own_table
from facekit.detection import MTCNN
from facekit.images import IMAGE_SUFFIXES, ImageError, read_image
from facekit.taxonomy import DEFAULT_ATTRIBUTES

MIN_FACE_SIZE = 40  # pixels; people cannot estimate the age of a smaller face either

Source = str | Path | pd.DataFrame | Analysis | Sequence[Analysis]


def read_faces(source: Source, attributes: Sequence[str] = DEFAULT_ATTRIBUTES) -> pd.DataFrame:
    """Gather faces to label, or to correct.

    Args:
        source: A folder of photos, in which faces are detected; a manifest, as a table or a
            `.parquet` file; a csv of your own; or one or more analyses of files.
        attributes: Attributes to label. What analyses predict for them is proposed.

    Returns:
        A manifest; its labels are the proposed ones.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        TypeError: If `source` is none of these.
        ValueError: If it holds no face.

    Example:
        >>> table = pd.DataFrame({"path": ["a.jpg"], "gender": ["female"]})
        >>> read_faces(table)[["path", "gender"]].to_numpy().tolist()
        [['a.jpg', 'female']]
    """
    if isinstance(source, pd.DataFrame):
        return make_manifest(source.to_dict("records"), "the table")
    if isinstance(source, str | Path):
        path = Path(source).resolve()  # so that the manifest holds in whatever folder it is used
        if path.suffix.lower() == ".parquet":
            return load_manifest(path)
        return read_own_table(path) if path.suffix.lower() == ".csv" else find_faces(path)
    analyses = [source] if isinstance(source, Analysis) else _list_items(source)
    if not all(isinstance(analysis, Analysis) for analysis in analyses):
        raise TypeError(
            "`source` must be a folder, a manifest, a csv, or analyses;"
            f" got {type(source).__name__}."
        )
    return tabulate_analyses(analyses, attributes)


def _list_items(source: object) -> list:
    """Return what an iterable holds, or anything else in a list of its own."""
    return list(source) if isinstance(source, Iterable) else [source]


def find_faces(folder: Path, min_face_size: float = MIN_FACE_SIZE) -> pd.DataFrame:
    """Detect the faces of all photos below a folder.

    Photos that cannot be read are named in warnings, those without a face are counted.

    Raises:
        FileNotFoundError: If there is no such folder, or no photo in it.
        ValueError: If no face is found in any.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> from facekit.demo import load_portraits
        >>> folder = Path(tempfile.mkdtemp())
        >>> Image.fromarray(load_portraits()["astronaut.png"]).save(folder / "astronaut.png")
        >>> len(find_faces(folder))
        1
    """
    try:
        photos, unread = list_pictures(folder, "*.jpg")
    except FileNotFoundError:
        raise FileNotFoundError(
            f"{folder}: no photos there; name a folder that holds {', '.join(IMAGE_SUFFIXES[:4])}"
            " or the like."
        ) from None
    warn_unused(folder, "files in formats that are not read", unread)
    detector, rows, empty = MTCNN(min_face_size), [], 0
    for path in tqdm(photos, "finding faces", unit="photo", leave=False):
        try:
            boxes = detector.detect(read_image(path)).boxes_xyxy
        except ImageError as error:
            warnings.warn(str(error), stacklevel=2)
            continue
        empty += not len(boxes)
        rows += [{"path": str(path)} | _round_box(box) for box in boxes]
    warn_left_out(folder, {"photos in which no face was found": empty})
    if not rows:
        raise ValueError(
            f"{folder}: no face of {min_face_size} pixels or more was found in its {len(photos)}"
            " photos; try larger ones."
        )
    return make_manifest(rows, Path(folder).name)


def tabulate_analyses(
    analyses: Iterable[Analysis], attributes: Sequence[str] = DEFAULT_ATTRIBUTES
) -> pd.DataFrame:
    """Turn analyses of files into a manifest with the predicted labels, ages in whole years.

    Raises:
        ValueError: If an analysis is not of a file, or none has a face.

    Example:
        >>> import tempfile
        >>> from facekit.faces import Faces, Profile
        >>> path = Path(tempfile.mkdtemp(), "a.jpg")
        >>> path.touch()
        >>> faces = Faces(np.array([[4, 4, 40, 40]]), np.array([0.9]), np.zeros((1, 5, 2)))
        >>> analysis = Analysis(str(path), faces, (Profile(gender="female", age_years=30.6),))
        >>> tabulate_analyses([analysis])[["age", "gender"]].to_numpy().tolist()
        [[31.0, 'female']]
    """
    rows = []
    for analysis in analyses:
        if not Path(analysis.image).is_file():
            raise ValueError(
                "`source` must be analyses of picture files; got one of"
                f" {analysis.image or 'an array'}. Analyze a path."
            )
        for box, profile in zip(analysis.faces.boxes_xyxy, analysis.profiles, strict=True):
            predicted = {name: getattr(profile, name) for name in attributes if name != "age"}
            if "age" in attributes and profile.age_years is not None:
                predicted["age"] = round(profile.age_years)
            rows.append({"path": str(Path(analysis.image).resolve())} | _round_box(box) | predicted)
    return make_manifest(rows, "analyses")


def _round_box(box_xyxy: np.ndarray) -> dict[str, float]:
    """Return a box by the names of its sides, to a tenth of a pixel."""
    return {side: round(float(value), 1) for side, value in zip(BOX, box_xyxy, strict=True)}
