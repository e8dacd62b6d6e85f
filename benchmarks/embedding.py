"""Compare the embedding models: size, time per face, and accuracy on the pairs of LFW.

Times are the medians of alternating runs on the same crops, with the mirror image where a model
uses it, without detection and alignment; these take the same time for each model and are shown
below. Accuracies are the stored ones (`facekit train embedding` measures them).
"""

import argparse
import statistics
import time

import numpy as np

from facekit.calibration.verification import tabulate_verification
from facekit.demo import load_portraits
from facekit.detection import detect_faces
from facekit.detection.landmarks import refine_landmarks
from facekit.embedding import TASK
from facekit.inference import run_model
from facekit.registry import find_model, get_models_dir, load_index

FACES = (1, 8)  # in a batch


def time_model(name: str, form: dict, count: int) -> float:
    """Return the seconds that a model takes for each face of a batch."""
    crops = np.zeros((count, form["size"], form["size"], form["channels"]), np.float32)
    start = time.perf_counter()
    for _ in range(2 if form.get("mirror") else 1):
        run_model(TASK, crops, [TASK], name)
    return (time.perf_counter() - start) / count


def time_landmarks() -> float:
    """Return the seconds that it takes to place the landmarks of a face."""
    photo = load_portraits()["group.jpg"]
    faces = detect_faces(photo)
    start = time.perf_counter()
    refine_landmarks(photo, faces)
    return (time.perf_counter() - start) / len(faces)


def main() -> None:
    """Print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=30)
    runs = parser.parse_args().runs
    models = {each.name: each for each in load_index().models.values() if TASK in each.tasks}
    figures = tabulate_verification(get_models_dir()).set_index("model")
    seconds: dict[tuple[str, int], list[float]] = {}
    for _ in range(runs):
        for count in FACES:
            for name, entry in models.items():
                key = name, count
                seconds.setdefault(key, []).append(time_model(name, entry.input, count))
    least = min(statistics.median(seconds[name, FACES[-1]]) for name in models)
    print("| model | MB | ms per face, 1 / 8 faces | ratio | LFW accuracy (95% interval) |")
    print("|---|---|---|---|---|")
    for name in models:
        megabytes = find_model(TASK, model=name)[1].stat().st_size / 1e6
        one, several = (1000 * statistics.median(seconds[name, count]) for count in FACES)
        row = figures.loc[name]
        print(
            f"| {name} | {megabytes:.1f} | {one:.1f} / {several:.1f} | "
            f"{several / 1000 / least:.2f} | {row['accuracy']:.1%} ({row['low']:.1%} to "
            f"{row['high']:.1%}) |"
        )
    landmarks = statistics.median(time_landmarks() for _ in range(runs))
    print(f"\nLandmarks: {1000 * landmarks:.1f} ms per face, with every model.")


if __name__ == "__main__":
    main()
