"""Measure what a second look at a face gains: its mirror image, three scales, the median age.

Then whether a face gets the same answers at several sizes. All faces are of test splits. Run it
from the checkout, with the datasets in data/raw:

    python benchmarks/test_time.py

A mirror image is served for emotion only, and the mean age: see the table in models/README.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import click
import cv2
import numpy as np

from facekit.detection import locate_face
from facekit.evaluation.manifests import choose_split, read_labelled_faces
from facekit.evaluation.markdown import make_markdown
from facekit.evaluation.metrics import compute_wilson_interval
from facekit.faces import Faces
from facekit.images import cut_crops, normalise, read_image
from facekit.inference import run_model
from facekit.registry import find_model
from facekit.taxonomy import AGES_YEARS, LABELS

DATA = {
    "gender": ("utkface", "all_age_faces", "lfw"),
    "age": ("utkface", "all_age_faces"),
    "emotion": ("ferplus",),
}
SCALES = (0.9, 1.0, 1.1)  # of the crop that is served
SIZES = (40, 80, 110)  # height of a face, pixels
CLOSE_YEARS = 4


def answer(task: str, picture: np.ndarray, face: Faces, scale: float = 1.0) -> np.ndarray:
    """Return the probabilities for a crop and for its mirror image, (2, classes)."""
    entry, _ = find_model(task)
    form = entry.input
    shown = form.get("scale", 1.0) * scale
    crop = normalise(cut_crops(picture, face, form["size"], form["channels"], shown))
    views = np.concatenate([crop, crop[:, :, ::-1]])
    return run_model(task, views, [task])[0]


def find_median(probabilities: np.ndarray) -> np.ndarray:
    """Return the median age of each distribution, (faces,) years."""
    return (np.cumsum(probabilities, axis=1) < 0.5).sum(axis=1)


def measure(task: str, labels: np.ndarray, probabilities: np.ndarray) -> str:
    """Return the accuracy with its interval, or the mean absolute errors of mean and median age."""
    if task == "age":
        centres = probabilities @ np.array(AGES_YEARS), find_median(probabilities)
        errors = [np.abs(centre - labels).mean() for centre in centres]
        return "{:.2f} y, median {:.2f} y".format(*errors)
    names = np.array([str(label) for label in LABELS[task]])
    right = int((names[probabilities.argmax(axis=1)] == labels).sum())
    low, high = compute_wilson_interval(right, len(labels))
    return f"{right / len(labels):.1%} ({low:.1%} to {high:.1%})"


def compare_views(task: str, source: str, data_dir: Path, count: int) -> list[str]:
    """Return a row of the table of views."""
    faces = read_labelled_faces(source, data_dir)
    faces = faces[choose_split(faces) & faces[task].notna()]
    faces = faces.sample(min(count, len(faces)), random_state=0)
    views = []
    for path in faces["path"]:
        picture = read_image(path)
        face = locate_face(picture)
        views.append([answer(task, picture, face, scale) for scale in SCALES])
    seen = np.array(views)  # (faces, scales, 2, classes)
    labels = faces[task].to_numpy()
    chosen = (seen[:, 1, 0], seen[:, 1].mean(axis=1), seen[:, :, 0].mean(axis=1))
    return [f"{task}, {source}, {len(faces)}", *(measure(task, labels, each) for each in chosen)]


def compare_sizes(data_dir: Path, count: int) -> tuple[float, float, int]:
    """Return the shares of faces with one gender, and with ages close together, at all sizes."""
    faces = read_labelled_faces("utkface", data_dir)
    paths: Sequence[str] = faces["path"][choose_split(faces)].sample(count, random_state=0)
    genders, ages = [], []
    for path in paths:
        picture = read_image(path)
        _, top, _, bottom = locate_face(picture).boxes_xyxy[0]
        seen = []
        for size in SIZES:
            ratio = size / (bottom - top)
            method = cv2.INTER_AREA if ratio < 1 else cv2.INTER_LINEAR
            other = cv2.resize(picture, None, fx=ratio, fy=ratio, interpolation=method)
            face = locate_face(other)
            gender, age = (answer(task, other, face)[0] for task in ("gender", "age"))
            seen.append((gender.argmax(), age @ np.array(AGES_YEARS)))
        of_gender, of_age = np.array(seen).T
        genders.append(np.ptp(of_gender) == 0)
        ages.append(np.ptp(of_age) <= CLOSE_YEARS)
    return float(np.mean(genders)), float(np.mean(ages)), count


@click.command()
@click.option("--data", "data_dir", type=click.Path(path_type=Path), default=Path("data/raw"))
@click.option("--count", default=1000, help="Faces of each dataset, at most.")
def main(data_dir: Path, count: int) -> None:
    """Print a table of the views, and a line about sizes."""
    rows = [
        compare_views(task, source, data_dir, count)
        for task, sources in DATA.items()
        for source in sources
    ]
    print(make_markdown(rows, ("faces", "one crop", "and its mirror image", "three scales")))
    gender, age, faces = compare_sizes(data_dir, min(count, 300))
    print(
        f"\nThe same face at {', '.join(map(str, SIZES))} pixels, {faces} faces: one gender "
        f"{gender:.1%}, ages within {CLOSE_YEARS} years {age:.1%}."
    )


if __name__ == "__main__":
    main()
