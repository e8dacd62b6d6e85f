"""Label faces one by one, saved after each change: how to make a dataset of your own.

`face_sources` gathers the faces, `Labelling` keeps their labels, `widgets.labeler` shows both in a
notebook. The file is a manifest of the faces that were judged, and of no others. A skipped face has
no label; what is not a face has no label either and is `excluded`. So the file alone says where
labelling stopped.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pandas as pd

from facekit.datasets.face_sources import (
    MIN_FACE_SIZE,
    Source,
    find_faces,
    read_faces,
    tabulate_analyses,
)
from facekit.datasets.groups import find_groups
from facekit.datasets.manifest import (
    BOX,
    OLDEST_YEARS,
    load_manifest,
    make_manifest,
    save_manifest,
)
from facekit.datasets.protocols import SHARES, split_by_protocol
from facekit.taxonomy import ATTRIBUTES, DEFAULT_ATTRIBUTES, LABELS

__all__ = [
    "LABELLED", "MIN_FACE_SIZE", "NOT_A_FACE", "OPEN", "SKIPPED", "STATES", "Labelling", "Source",
    "find_faces", "read_faces", "tabulate_analyses",
]  # fmt: skip

OPEN, LABELLED, SKIPPED, NOT_A_FACE = STATES = ("open", "labelled", "skipped", "not a face")


class Labelling:
    """Faces, the labels given so far, and the position among them.

    Every face has a state: `open` until it is judged, then `labelled`, `skipped` or `not a face`.
    Every change is saved at once.

        labelling = Labelling("photos", "mine.parquet")
        labelling.label("gender", "female")
        labelling.accept()  # keeps the other proposed labels, and moves to the next face

    Attributes:
        path: The file, `.parquet`. Faces that it holds already are not shown again, and stay in it.
        attributes: Attributes to label, out of `taxonomy.ATTRIBUTES`.
        seed: Of the split of labelled faces, which is made at each saving unless the source has a
            split. It stays empty until there are enough photos to fill every split.
        rows: One dict per face, keys as in a manifest, left to right within a photo.
        states: One of `STATES` per face.
        position: Index of the face to label, from 0; the number of faces when all are judged.

    Raises:
        ValueError: If an argument is wrong, or the file is not a manifest.

    Example:
        >>> import tempfile
        >>> path = Path(tempfile.mkdtemp(), "mine.parquet")
        >>> faces = pd.DataFrame({"path": ["a.jpg", "b.jpg"], "group": [0, 1]})
        >>> labelling = Labelling(faces, path, attributes=("gender",))
        >>> labelling.label("gender", "female")
        >>> labelling.accept()
        >>> labelling.states, load_manifest(path)["gender"].tolist()
        (['labelled', 'open'], ['female'])
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
        self.states = [_find_state(judged[name]) if name in judged else OPEN for name in names]
        self._has_split = all(row["split"] for row in given.values())
        if judged.keys() - given.keys() or any(row["group"] is None for row in self.rows):
            groups = find_groups(pd.DataFrame(self.rows).assign(group=None)).tolist()
            for row, group in zip(self.rows, groups, strict=True):
                row["group"] = group
        self.position = 0
        self._past: list[tuple[int, dict, str]] = []
        self._move_to_open(0)

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def is_done(self) -> bool:
        """Whether all faces are passed."""
        return self.position == len(self)

    @property
    def row(self) -> dict:
        """Row of the face to label; unknown values are `None`."""
        return self.rows[self.position]

    @property
    def state(self) -> str:
        """State of the face to label."""
        return self.states[self.position]

    def label(self, attribute: str, value: str | float | None, remember: bool = True) -> None:
        """Give the face a label, or remove it; its other proposed labels are saved with it.

        Args:
            attribute: One of `attributes`.
            value: A label of the attribute, or years; `None` for no label.
            remember: Whether `undo` can take this change back.

        Raises:
            ValueError: If there is no such label.
        """
        if attribute not in self.attributes:
            raise ValueError(
                f"`attribute` must be one of {', '.join(self.attributes)}; got {attribute!r}."
            )
        if attribute == "age" and value is not None and not 0 <= float(value) <= OLDEST_YEARS:
            raise ValueError(f"`value` must be from 0 to {OLDEST_YEARS} years; got {value}.")
        if attribute != "age" and value is not None and value not in LABELS[attribute]:
            raise ValueError(
                f"`value` must be one of {', '.join(map(str, LABELS[attribute]))}; got {value!r}."
            )
        self._judge({attribute: value}, remember=remember)

    def accept(self) -> None:
        """Accept the labels proposed for the face, and move on.

        Raises:
            ValueError: If it has no label.
        """
        if self.state == OPEN:
            if not self._has_label(self.row):
                raise ValueError("This face has no label yet: give it one, or skip it.")
            self._judge({})
        self._move_to_open(self.position + 1)

    def skip(self) -> None:
        """Leave the face without labels, and move on."""
        self._judge(dict.fromkeys(LABELS), SKIPPED)
        self._move_to_open(self.position + 1)

    def reject(self) -> None:
        """Mark it as not a face, and move on."""
        self._judge(dict.fromkeys(LABELS), NOT_A_FACE)
        self._move_to_open(self.position + 1)

    def step(self, by: int) -> None:
        """Move by a number of faces, back if negative, whatever their states.

        The position passes the last face only when all are judged.
        """
        self.position = min(max(self.position + by, 0), len(self) - (OPEN in self.states))

    def undo(self) -> None:
        """Take the last change back, and return to its face; without a change nothing happens."""
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
        manifest = make_manifest([row for row, _ in judged], "labels")
        states = np.array([state for _, state in judged])
        labelled = states == LABELLED
        if not self._has_split:
            manifest["split"] = None
            if manifest["group"][labelled].nunique() >= len(SHARES):
                split = split_by_protocol(manifest[labelled], "group_disjoint", self.seed)
                manifest["split"] = split["split"].reindex(manifest.index)
                manifest.attrs = split.attrs
        manifest["split"] = (
            manifest["split"].mask(states == NOT_A_FACE, "excluded").mask(states == SKIPPED)
        )
        return manifest

    def _has_label(self, row: dict) -> bool:
        return any(row[name] is not None for name in self.attributes)

    def _judge(self, labels: dict, state: str = "", remember: bool = True) -> None:
        """Change the face's labels and its state, which follows from them by default, and save."""
        if remember:
            self._past.append((self.position, self.row, self.state))
        self.rows[self.position] = row = self.row | labels
        self.states[self.position] = state or (LABELLED if self._has_label(row) else OPEN)
        self.save()

    def _move_to_open(self, start: int) -> None:
        """Move to the next open face from a position on, then from the start; or to the end."""
        order = [*range(start, len(self)), *range(start)]
        self.position = next((index for index in order if self.states[index] == OPEN), len(self))


def _index_rows(manifest: pd.DataFrame) -> dict[tuple, dict]:
    """Return a manifest's rows by image and box, with `None` for unknown values."""
    indexed: dict[tuple, dict] = {}
    for row in manifest.to_dict("records"):
        box = (-1.0 if pd.isna(row[side]) else round(float(row[side]), 1) for side in BOX)
        known = {name: None if pd.isna(value) else value for name, value in row.items()}
        indexed[(row["path"], *box)] = known
    return indexed


def _find_state(row: dict) -> str:
    if any(row[name] is not None for name in LABELS):
        return LABELLED
    return NOT_A_FACE if row["split"] == "excluded" else SKIPPED
