"""The demo: analyse photos that come with dependencies, or the user's own, and lay them out on one page."""

from __future__ import annotations

import html
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import cv2
import numpy as np
from PIL import Image

from facekit.analysis import Analysis
from facekit.images import read_image
from facekit.pipeline import FaceAnalyzer
from facekit.tables import save_rows
from facekit.video import VideoWriter

if TYPE_CHECKING:
    import pandas as pd

# The film: an actor who is drawn, and a portrait that sways behind a post.
FILM_SIZE = (640, 360)  # pixels
FILM_POSES = ("neutral", "happiness", "neutral", "surprise")  # of the actor, in turn
POSE_SECONDS, TURN_SECONDS = 2.0, 0.3  # of each pose, and of the change to it
FILM_ACTOR = 125  # of `synthetic.sample_traits`; a face with a mobile mouth
ACTOR_SIDE = 200  # pixels, as large as faces are drawn
FILM_NOISE = 9.0  # grey values, standard deviation: a cheap camera in the evening
POST = (456, 492)  # pixels, left and right

MONTAGE_SIZE = (1200, 800)  # pixels
# Left, top and width of each portrait in the montage, and its turn in degrees: a group as a camera
# might see it.
MONTAGE_PLACES = (
    (40, 90, 330, 6),
    (430, 40, 250, 0),
    (760, 120, 380, -7),
    (330, 430, 300, -4),
    (720, 470, 240, 9),
    (90, 520, 180, 0),
)

PAGE = """<!doctype html>
<html lang="en"><meta charset="utf-8"><meta name="viewport" content="width=device-width">
<title>facekit demo</title>
<style>
body {{ font: 16px/1.5 system-ui, sans-serif; margin: 2rem auto; max-width: 76rem; padding: 0 1rem; color: #222; background: #fafafa }}
section {{ margin: 2.5rem 0 }} h2 {{ font-size: 1.1rem; margin-bottom: .5rem }}
.pair {{ display: grid; grid-template-columns: 1fr 1fr; gap: 1rem; align-items: start }}
img {{ width: 100%; border-radius: 6px }} table {{ border-collapse: collapse; margin-top: .75rem; width: 100% }}
th, td {{ text-align: left; padding: .25rem .75rem .25rem 0; border-bottom: 1px solid #ddd }} th {{ font-weight: 600 }}
@media (max-width: 45rem) {{ .pair {{ grid-template-columns: 1fr }} }}
</style>
<h1>facekit demo</h1>
<p>Pictures: {pictures}. Faces: {faces}. The whole table is in <a href="faces.csv">faces.csv</a>. Everything was computed on this
machine. Ages, genders and emotions are how a small network reads a face, not facts about a person.</p>
{sections}
</html>
"""

SECTION = """<section><h2>{name}</h2>
<div class="pair"><img src="{original}" alt="{name}, as given"><img src="{annotated}" alt="{name}, with {count} faces marked"></div>
<table><tr><th>face<th>age<th>range<th>gender<th>emotion<th>confidence</tr>
{rows}
</table></section>"""


def run_demo(photos: Sequence[Path], output: Path) -> tuple[Path, int]:
    """Analyse photos and write `faces.csv`, `index.html`, the originals and the annotated pictures.

    Args:
        photos: Files; without any, the dependencies' portraits and a montage of them.
        output: Folder to write to.

    Returns:
        The page and the number of faces.

    Raises:
        FileNotFoundError: If a photo is missing.
        ImageError: If a photo cannot be read.
    """
    pictures = [(path.name, read_image(path)) for path in photos] or [*load_portraits().items()]
    output.mkdir(parents=True, exist_ok=True)
    analyzer = FaceAnalyzer()
    sections, rows = [], []
    for index, (name, pixels) in enumerate(pictures):
        analysis = analyzer.analyze(pixels)
        stem = Path(name).stem
        if stem in (Path(other).stem for other, _ in pictures[:index]):
            stem = f"{stem}-{index}"
        Image.fromarray(pixels).save(output / f"{stem}.jpg", quality=90)
        Image.fromarray(analysis.draw()).save(output / f"{stem}-annotated.jpg", quality=90)
        sections.append(_write_section(name, stem, analysis))
        rows += [row | {"image": name} for row in analysis.to_dicts()]
    save_rows(rows, output / "faces.csv")
    page = output / "index.html"
    page.write_text(
        PAGE.format(faces=len(rows), pictures=len(pictures), sections="\n".join(sections)),
        encoding="utf-8",
    )
    return page, len(rows)


def load_portraits() -> dict[str, np.ndarray]:
    """Return scikit-image's astronaut, matplotlib's Grace Hopper, and a group montage made of them.

    Raises:
        ModuleNotFoundError: If scikit-image or matplotlib is not installed (`pip install
            "facekit[demo]"`).
    """
    from matplotlib import get_data_path
    from skimage import data

    astronaut = data.astronaut()  # Eileen Collins; NASA, public domain
    hopper = read_image(
        Path(get_data_path(), "sample_data", "grace_hopper.jpg")
    )  # US Navy, public domain
    return {
        "astronaut.png": astronaut,
        "grace_hopper.jpg": hopper,
        "group.jpg": make_montage([astronaut[:300, 60:390], hopper]),
    }


def make_montage(portraits: Sequence[np.ndarray]) -> np.ndarray:
    """Lay portraits out, in turn, at several sizes and tilts on a grey ground, HxWx3 uint8."""
    ground = Image.new("RGB", MONTAGE_SIZE, (120, 125, 130))
    for index, (left, top, width, turn) in enumerate(MONTAGE_PLACES):
        portrait = Image.fromarray(portraits[index % len(portraits)])
        portrait = portrait.resize(
            (width, round(width * portrait.height / portrait.width)), Image.Resampling.LANCZOS
        )
        turned = portrait.convert("RGBA").rotate(turn, Image.Resampling.BICUBIC, expand=True)
        ground.paste(turned, (left, top), turned)
    return np.array(ground)


def make_film(
    path: Path, seconds: float = 8.0, frames_per_second: float = 12.5, seed: int = 0
) -> pd.DataFrame:
    """Film a drawn actor, who poses emotions in turn, beside Grace Hopper, who walks to and fro
    behind a post.

    Args:
        path: Where to, `.mp4`.
        seconds: How long.
        frames_per_second: Its rate.
        seed: Of the camera's noise, and of how the actor sways.

    Returns:
        What is true: one row a frame with `seconds` and the actor's `emotion`.

    Raises:
        ModuleNotFoundError: As `load_portraits`.
        OSError: If the file cannot be written.
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
            fade = min(into / TURN_SECONDS, 1)  # an expression comes at once, and goes likewise
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
            frame = np.full((*FILM_SIZE[::-1], 3), (120, 125, 130), np.uint8)
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


def _write_section(name: str, stem: str, analysis: Analysis) -> str:
    rows = "\n".join(
        f"<tr><td>{index}<td>{profile.age_years:.0f} ({profile.age_low:.0f} to {profile.age_high:.0f})<td>{profile.age_range}"
        f"<td>{profile.gender} {profile.gender_probability:.0%}<td>{profile.emotion} {profile.emotion_probability:.0%}"
        f"<td>{profile.confidence_score:.2f}</tr>"
        for index, profile in enumerate(analysis.profiles)
    )
    name = html.escape(name)
    original, annotated = (html.escape(f"{stem}{end}.jpg") for end in ("", "-annotated"))
    return SECTION.format(
        name=name, original=original, annotated=annotated, count=len(analysis), rows=rows
    )
