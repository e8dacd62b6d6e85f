"""Gather faces to label, and label them one by one, saved after each: how one makes a dataset of
one's own.

`read_faces` gathers, `Labelling` labels; `widgets.labeler` puts the latter into a notebook. The
file is a manifest of the faces that were
judged, and of no others: a skipped one has no label, one that is no face none either and is
    `excluded`. So the file alone tells where
one stopped.
"""

from __future__ import annotations

import warnings
from collections.abc import Iterable, Sequence
from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from facekit.analysis import Analysis
from facekit.datasets.annotations import read_own_table
from facekit.datasets.folders import warn_left_out
from facekit.datasets.manifest import (
    BOX,
    OLDEST_YEARS,
    group_duplicates,
    load_manifest,
    make_manifest,
    save_manifest,
)
from facekit.datasets.protocols import split_by_protocol
from facekit.detection import MTCNN
from facekit.images import IMAGE_SUFFIXES, ImageError, read_image
from facekit.taxonomy import ATTRIBUTES, DEFAULT_ATTRIBUTES, LABELS

MIN_FACE_SIZE = 40  # pixels; of a smaller face people cannot tell the age either
OPEN, LABELLED, SKIPPED, NOT_A_FACE = STATES = ("open", "labelled", "skipped", "not a face")

Source = str | Path | pd.DataFrame | Analysis | Sequence[Analysis]


def read_faces(source: Source, attributes: Sequence[str] = DEFAULT_ATTRIBUTES) -> pd.DataFrame:
    """Gather faces to label, or to correct.

    Args:
        source: A folder of photos, in which faces are looked for; a manifest, as a table or a
            `.parquet` file; a csv of one's own; or one or more analyses of files.
        attributes: To be labelled. What analyses tell of them is proposed.

    Returns:
        A manifest; its labels are what is proposed.

    Raises:
        FileNotFoundError: If there is no such file or folder.
        TypeError: If `source` is none of these.
        ValueError: If it holds no face.
    """
    if isinstance(source, pd.DataFrame):
        return make_manifest(source.to_dict("records"), "the table")
    if isinstance(source, str | Path):
        path = Path(source).resolve()  # so that the manifest holds, whatever folder it is used from
        if path.suffix.lower() == ".parquet":
            return load_manifest(path)
        return read_own_table(path) if path.suffix.lower() == ".csv" else find_faces(path)
    analyses = (
        [source]
        if isinstance(source, Analysis)
        else list(source)
        if isinstance(source, Iterable)
        else [source]
    )
    if not all(isinstance(analysis, Analysis) for analysis in analyses):
        raise TypeError(
            f"`source` must be a folder, a manifest, a csv, or analyses; got {type(source).__name__}."
        )
    return tabulate_analyses(analyses, attributes)


def find_faces(folder: Path, min_face_size: float = MIN_FACE_SIZE) -> pd.DataFrame:
    """Find the faces of all photos below a folder; those that cannot be read, and those without a
    face, are named in warnings.

    Raises:
        FileNotFoundError: If there is no such folder, or no photo in it.
        ValueError: If no face is found in any.
    """
    photos = sorted(
        path for path in Path(folder).rglob("*") if path.suffix.lower() in IMAGE_SUFFIXES
    )
    if not photos:
        raise FileNotFoundError(
            f"{folder}: no photos there; name a folder that holds {', '.join(IMAGE_SUFFIXES[:4])} or the like."
        )
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
            f"{folder}: no face of {min_face_size} pixels or more was found in its {len(photos)} photos; try larger ones."
        )
    return make_manifest(rows, Path(folder).name)


def tabulate_analyses(
    analyses: Iterable[Analysis], attributes: Sequence[str] = DEFAULT_ATTRIBUTES
) -> pd.DataFrame:
    """Turn analyses of files into a manifest with what they tell, ages in whole years.

    Raises:
        ValueError: If an analysis is not of a file, or none has a face.
    """
    rows = []
    for analysis in analyses:
        if not Path(analysis.image).is_file():
            raise ValueError(
                f"`source` must be analyses of picture files; got one of {analysis.image or 'an array'}. Analyse a path."
            )
        for box, profile in zip(analysis.faces.boxes_xyxy, analysis.profiles, strict=True):
            told = {name: getattr(profile, name) for name in attributes if name != "age"}
            if "age" in attributes and profile.age_years is not None:
                told["age"] = round(profile.age_years)
            rows.append({"path": str(Path(analysis.image).resolve())} | _round_box(box) | told)
    return make_manifest(rows, "analyses")


def _round_box(box_xyxy: np.ndarray) -> dict[str, float]:
    return {side: round(float(value), 1) for side, value in zip(BOX, box_xyxy, strict=True)}


class Labelling:
    """Faces, the labels given so far, and the way back.

    Every face has a state: `open`, until it is judged; then `labelled`, `skipped` or `not a face`.
        Whatever is changed is saved at once.

        labelling = Labelling("photos", "mine.parquet")
        labelling.label("gender", "female")
        labelling.accept()  # what else is proposed, and on to the next face

    Attributes:
        path: The file, `.parquet`. What it holds already is not asked for again, and stays in it.
        attributes: Out of `taxonomy.ATTRIBUTES`.
        seed: Of the split of labelled faces, which is made anew at each saving unless the source
            has one.
        rows: One dict a face, keys as in a manifest, left to right within a photo.
        states: Of `STATES`, one a face.
        position: Of the face to label, from 0; as many as there are faces when all are judged.

    Raises:
        ValueError: If an argument does not hold what it must, or the file is no manifest.
    """

    def __init__(
        self,
        source: Source,
        path: str | Path,
        attributes: Sequence[str] = DEFAULT_ATTRIBUTES,
        seed: int = 0,
    ) -> None:
        self.path, self.attributes, self.seed = Path(path), tuple(attributes), seed
        if self.path.suffix.lower() != ".parquet":
            raise ValueError(f"`path` must end in .parquet, as manifests do; got {path}.")
        if isinstance(source, str | Path) and Path(source).resolve() == self.path.resolve():
            raise ValueError(
                f"`path` must be another file than the manifest to correct; got {path} for both."
            )
        if not self.attributes or not set(self.attributes) <= set(ATTRIBUTES):
            raise ValueError(
                f"`attributes` must be one or more of {', '.join(ATTRIBUTES)}; got {attributes!r}."
            )
        given = _index_rows(read_faces(source, self.attributes))
        judged = _index_rows(load_manifest(self.path)) if self.path.exists() else {}
        for name in judged.keys() & given.keys():
            judged[name] |= {column: given[name][column] for column in ("group", "split")}
        faces = given | judged
        names = sorted(faces)
        self.rows = [faces[name] for name in names]
        self.states = [_tell_state(judged[name]) if name in judged else OPEN for name in names]
        self._has_split = all(row["split"] for row in given.values())
        if judged.keys() - given.keys() or any(row["group"] is None for row in self.rows):
            groups = group_duplicates([row["path"] for row in self.rows])
            self.rows = [
                row | {"group": int(group)} for row, group in zip(self.rows, groups, strict=True)
            ]
        self._past: list[tuple[int, dict, str]] = []
        self._go_on(0)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def is_done(self) -> bool:
        """Whether the position is behind the last face."""
        return self.position == len(self)

    @property
    def row(self) -> dict:
        """That of the face to label; what is unknown is `None`."""
        return self.rows[self.position]

    @property
    def state(self) -> str:
        """That of the face to label."""
        return self.states[self.position]

    def label(self, attribute: str, value: str | float | None, remember: bool = True) -> None:
        """Give the face a label, or take it away; what else is proposed for it is saved along.

        Args:
            attribute: One of `attributes`.
            value: A label of it, or years; `None` for none.
            remember: Whether `undo` comes back to what was before.

        Raises:
            ValueError: If there is no such label.
        """
        if attribute not in self.attributes:
            raise ValueError(
                f"`attribute` must be one of {', '.join(self.attributes)}; got {attribute!r}."
            )
        if attribute == "age" and value is not None and not 0 <= value <= OLDEST_YEARS:
            raise ValueError(f"`value` must be from 0 to {OLDEST_YEARS} years; got {value}.")
        if attribute != "age" and value is not None and value not in LABELS[attribute]:
            raise ValueError(
                f"`value` must be one of {', '.join(LABELS[attribute])}; got {value!r}."
            )
        self._judge({attribute: value}, remember=remember)

    def accept(self) -> None:
        """Take what is proposed for the face, and go on.

        Raises:
            ValueError: If it has no label.
        """
        if self.state == OPEN:
            if not self._has_label(self.row):
                raise ValueError("This face has no label yet: give it one, or skip it.")
            self._judge({})
        self._go_on(self.position + 1)

    def skip(self) -> None:
        """Leave the face without labels, and go on."""
        self._judge(dict.fromkeys(LABELS), SKIPPED)
        self._go_on(self.position + 1)

    def reject(self) -> None:
        """Say that it is no face, and go on."""
        self._judge(dict.fromkeys(LABELS), NOT_A_FACE)
        self._go_on(self.position + 1)

    def step(self, by: int) -> None:
        """Go so many faces on, or back, whatever their states; behind the last face only when all are judged."""
        self.position = min(max(self.position + by, 0), len(self) - (OPEN in self.states))

    def undo(self) -> None:
        """Take the last change back, and return to its face; without any nothing happens."""
        if self._past:
            self.position, self.rows[self.position], self.states[self.position] = self._past.pop()
            self.save()

    def save(self) -> None:
        """Write the manifest of the faces that were judged."""
        save_manifest(self.to_manifest(), self.path)

    def to_manifest(self) -> pd.DataFrame:
        """Return the manifest of the faces that were judged, with their groups and splits."""
        judged = [
            (row, state) for row, state in zip(self.rows, self.states, strict=True) if state != OPEN
        ]
        if not judged:
            return make_manifest(self.rows, "labels").iloc[:0]
        manifest, states = (
            make_manifest([row for row, _ in judged], "labels"),
            np.array([state for _, state in judged]),
        )
        labelled = states == LABELLED
        if not self._has_split and labelled.any():
            dealt = split_by_protocol(manifest[labelled], "group_disjoint", self.seed)["split"]
            manifest["split"] = dealt.reindex(manifest.index)
        manifest["split"] = (
            manifest["split"].mask(states == NOT_A_FACE, "excluded").mask(states == SKIPPED)
        )
        return manifest

    def _has_label(self, row: dict) -> bool:
        return any(row[name] is not None for name in self.attributes)

    def _judge(self, labels: dict, state: str = "", remember: bool = True) -> None:
        """Change the face's labels and its state, which by default follows from them, and save."""
        if remember:
            self._past.append((self.position, self.row, self.state))
        self.rows[self.position] = row = self.row | labels
        self.states[self.position] = state or (LABELLED if self._has_label(row) else OPEN)
        self.save()

    def _go_on(self, start: int) -> None:
        """Go to the first open face from a position on, then from the beginning; to the end where there is none."""
        order = [*range(start, len(self)), *range(start)]
        self.position = next((index for index in order if self.states[index] == OPEN), len(self))


def _index_rows(manifest: pd.DataFrame) -> dict[tuple, dict]:
    """Return a manifest's rows, each once, by image and box, with `None` for what is unknown."""
    rows = [
        {name: None if pd.isna(value) else value for name, value in row.items()}
        for row in manifest.to_dict("records")
    ]
    return {
        (row["path"], *(-1.0 if row[side] is None else round(row[side], 1) for side in BOX)): row
        for row in rows
    }


def _tell_state(row: dict) -> str:
    if any(row[name] is not None for name in LABELS):
        return LABELLED
    return NOT_A_FACE if row["split"] == "excluded" else SKIPPED
