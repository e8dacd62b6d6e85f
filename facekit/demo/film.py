"""Make a film with known emotions: a drawn actor, beside a portrait that moves behind a post."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np

from facekit.demo.portraits import load_portraits
from facekit.video import VideoWriter

if TYPE_CHECKING:
    import pandas as pd

FILM_SIZE = (640, 360)  # pixels, width and height
FILM_POSES = ("neutral", "happiness", "neutral", "surprise")  # of the actor, in turn
POSE_SECONDS, TURN_SECONDS = 2.0, 0.3  # duration of each pose, and of the change to it
FILM_ACTOR = 125  # index in `synthetic.sample_traits`; a face with a mobile mouth
ACTOR_SIDE = 200  # pixels, the largest face that is drawn
FILM_NOISE = 9.0  # grey values, standard deviation: a cheap camera in the evening
POST = (456, 492)  # pixels, left and right
GROUND = (120, 125, 130)  # RGB of the background


def make_film(
    path: Path, seconds: float = 8.0, frames_per_second: float = 12.5, seed: int = 0
) -> pd.DataFrame:
    """Film a drawn actor who shows emotions, beside Grace Hopper, who moves behind a post.

    Args:
        path: The file to write, `.mp4`.
        seconds: Duration.
        frames_per_second: Frame rate.
        seed: Seed of the camera's noise and of the actor's movements.

    Returns:
        The ground truth: one row per frame with `seconds` and the actor's `emotion`.

    Raises:
        ModuleNotFoundError: As `load_portraits`.
        OSError: If the file cannot be written.

    Example:
        >>> import tempfile
        >>> truth = make_film(Path(tempfile.mkdtemp(), "film.mp4"), seconds=0.2)
        >>> truth["emotion"].tolist()
        ['neutral', 'neutral', 'neutral']
    """
    import pandas as pd

    from facekit.datasets.synthetic import sample_traits
    from facekit.datasets.synthetic.drawing import draw_face

    random = np.random.default_rng(seed)
    actor = sample_traits(FILM_ACTOR + 1)[FILM_ACTOR]
    side = FILM_SIZE[1] * 3 // 4
    portrait = cv2.resize(
        load_portraits()["grace_hopper.jpg"][40:420, 80:460],
        (side, side),
        interpolation=cv2.INTER_AREA,
    )
    rows = []
    with VideoWriter(path, frames_per_second) as writer:
        for now in np.arange(0, seconds, 1 / frames_per_second):
            turn, into = int(now // POSE_SECONDS), now % POSE_SECONDS
            emotion = FILM_POSES[turn % len(FILM_POSES)]
            fade = min(into / TURN_SECONDS, 1)  # an expression appears at once, and disappears so
            posed = (
                emotion
                if emotion != "neutral" or fade == 1
                else FILM_POSES[turn % len(FILM_POSES) - 1]
            )
            sway = 5 * np.sin(2.1 * now) + random.normal(0, 0.5)
            face = replace(
                actor,
                emotion=posed,
                intensity=fade if posed == emotion else 1 - fade,
                yaw_degrees=sway,
                roll_degrees=sway / 2,
            )
            frame = np.full((*FILM_SIZE[::-1], 3), GROUND, np.uint8)
            frame[-ACTOR_SIDE:, 60 : 60 + ACTOR_SIDE] = draw_face(face, ACTOR_SIDE)
            left = round(340 + 60 * np.sin(0.9 * now - 0.6))
            place = slice(left, min(left + side, FILM_SIZE[0]))
            frame[-side:, place] = portrait[:, : place.stop - place.start]
            frame[:, slice(*POST)] = (70, 60, 50)
            light = 1 + 0.12 * np.sin(7.3 * now)
            writer.write(
                np.clip(frame * light + random.normal(0, FILM_NOISE, frame.shape), 0, 255).astype(
                    np.uint8
                )
            )
            rows.append({"seconds": now, "emotion": emotion})
    return pd.DataFrame(rows)
