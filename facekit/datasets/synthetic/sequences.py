"""Draw people who pose emotions, each in several films, in the form of CK+48.

CK+48 keeps the last frames of each film as images of their own. Three frames of a film show nearly
the same picture, and everybody poses several emotions, so a split by images tests on the faces it
trained on. These faces are for showing how much a protocol changes a result. They are read by
`folders.read_ck_plus`; a single face is drawn by `drawing`.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import numpy as np
import pandas as pd
from PIL import Image

from facekit.datasets.folders import read_ck_plus
from facekit.datasets.synthetic.drawing import draw_face
from facekit.datasets.synthetic.folder import check_free
from facekit.datasets.synthetic.sampling import PICTURES, sample_traits
from facekit.datasets.synthetic.traits import FaceTraits
from facekit.files import replace_file
from facekit.images import convert_to_grey
from facekit.taxonomy import CK_PLUS_EMOTIONS

SIDE = 48  # pixels
POSED_EMOTIONS = tuple(
    emotion for emotion in CK_PLUS_EMOTIONS.values() if emotion != "neutral"
)  # CK+48 keeps no neutral frames
INTENSITIES = (0.85, 0.92, 1.0)  # of the frames that are kept: an expression nearing its peak
ANGLES = ("yaw_degrees", "pitch_degrees", "roll_degrees")
SWAY_DEGREES = 0.6  # standard deviation of the head's turn from frame to frame


def sample_sequences(
    people: int, posed: int, seed: int = 0
) -> Iterator[tuple[int, int, list[FaceTraits]]]:
    """Yield each film's person, its number, and the traits of its frames.

    A person keeps light, background and clothes from film to film, as in a laboratory, and sits a
    little differently in each.

    Args:
        people: Number of people.
        posed: Number of emotions that each poses, out of `POSED_EMOTIONS`, none twice.
        seed: Another seed gives other people.

    Raises:
        ValueError: If `people` is not positive, or `posed` not from 1 to 6.

    Example:
        >>> [len(frames) for person, number, frames in sample_sequences(people=1, posed=2)]
        [3, 3]
    """
    if people < 1:
        raise ValueError(f"`people` must be 1 or more; got {people}.")
    if not 1 <= posed <= len(POSED_EMOTIONS):
        raise ValueError(f"`posed` must be from 1 to {len(POSED_EMOTIONS)} emotions; got {posed}.")
    for person, face in enumerate(sample_traits(PICTURES * people, seed)[::PICTURES]):
        random = np.random.default_rng((seed, person))
        for number, emotion in enumerate(random.permutation(POSED_EMOTIONS)[:posed]):
            turn = random.normal(0, (6, 3, 3))
            frames = []
            for intensity in INTENSITIES:
                sway = turn + random.normal(0, SWAY_DEGREES, 3)
                pose = dict(zip(ANGLES, sway, strict=True))
                frames.append(replace(face, emotion=str(emotion), intensity=intensity, **pose))
            yield person, number, frames


def make_sequences(folder: Path, people: int, posed: int = 3, seed: int = 0) -> pd.DataFrame:
    """Draw people posing emotions into `LABEL/SUBJECT_SEQUENCE_FRAME.png`, as CK+48 has them.

    Args:
        folder: New or empty.
        people: Number of people.
        posed: Number of emotions that each poses.
        seed: Another seed gives other people.

    Returns:
        The manifest, not split, as `folders.read_ck_plus` returns it.

    Raises:
        FileExistsError: If the folder holds files.
        ValueError: If `people` or `posed` are out of bounds.

    Example:
        >>> import tempfile
        >>> len(make_sequences(Path(tempfile.mkdtemp()), people=1, posed=2))
        6
    """
    check_free(Path(folder))
    labels = {emotion: label for label, emotion in CK_PLUS_EMOTIONS.items()}
    for person, number, frames in sample_sequences(people, posed, seed):
        for count, face in enumerate(frames, 1):
            path = Path(
                folder, labels[face.emotion], f"S{person:03d}_{number + 1:03d}_{count:08d}.png"
            )
            with replace_file(path) as temporary:
                Image.fromarray(convert_to_grey(draw_face(face, SIDE))).save(temporary)
    return read_ck_plus(folder)
