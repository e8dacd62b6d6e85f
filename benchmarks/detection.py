"""Compare recall, precision and time with the `mtcnn` package on a sample of WIDER FACE.

Both detectors read the same photos in the same run, in turn, with the same options, which are the
defaults of both. Run it from the checkout:

    python benchmarks/detection.py --data data/raw

A face counts if its height reaches a limit. Smaller faces, and faces that WIDER FACE calls invalid,
are ignored: they do not count as missed, and a box on them does not count as false. Boxes match at
an IoU of 0.5. Average precision is the area under the precision-recall curve of all boxes of the
sample, sorted by score, with precision made monotonic (Pascal VOC, all points). MTCNN returns only
boxes above its last threshold, so average precision cannot exceed recall.

Reference: Yang et al.: WIDER FACE: A Face Detection Benchmark, 2016.
"""

import importlib.metadata
import os
import time
from dataclasses import dataclass
from pathlib import Path

# Set before TensorFlow is imported, so that only the table is printed.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import mtcnn
import numpy as np
from tqdm import tqdm

from facekit.datasets.annotations import read_ground_truth
from facekit.detection import detect_faces
from facekit.detection.boxes import compute_overlaps
from facekit.evaluation.markdown import make_markdown
from facekit.images import read_image

LEAST_HEIGHTS = (20, 40, 80)  # pixels
LEAST_OVERLAP = 0.5  # the one at which WIDER FACE is scored
OURS, THEIRS = "facekit", f"mtcnn {importlib.metadata.version('mtcnn')}"
GROUND_TRUTH = Path("wider_face_split", "wider_face_val_bbx_gt.txt")
PHOTOS = Path("WIDER_val", "images")


@dataclass(frozen=True, eq=False)
class Found:
    """What a detector found in one photo.

    Attributes:
        boxes_xyxy: (n, 4), in pixels, highest score first.
        scores: (n,).
        seconds: Time taken.
    """

    boxes_xyxy: np.ndarray
    scores: np.ndarray
    seconds: float


def judge(
    found: Found, truth_xyxy: np.ndarray, wanted: np.ndarray
) -> tuple[list[float], list[bool]]:
    """Return the scores of the boxes that count, and whether each matches a face of its own.

    Args:
        found: Boxes found in one photo.
        truth_xyxy: Ground truth, (faces, 4), in pixels.
        wanted: (faces,), False for faces that are ignored.
    """
    overlaps = compute_overlaps(found.boxes_xyxy, truth_xyxy)
    free = wanted.copy()
    scores, right = [], []
    for score, row in zip(found.scores, overlaps, strict=True):
        candidates = np.where(free, row, 0)
        hit = candidates.max(initial=0) >= LEAST_OVERLAP
        if hit:
            free[candidates.argmax()] = False
        elif row[~wanted].max(initial=0) >= LEAST_OVERLAP:
            continue
        scores.append(float(score))
        right.append(bool(hit))
    return scores, right


def measure_recall_and_precision(
    scores: list[float], right: list[bool], faces: int
) -> tuple[float, float]:
    """Return recall and average precision of the judged boxes of a sample with so many faces."""
    hits = np.cumsum(np.array(right)[np.argsort(-np.array(scores), kind="stable")])
    precision = hits / np.arange(1, len(hits) + 1)
    envelope = np.maximum.accumulate(precision[::-1])[::-1]
    steps = np.diff(hits, prepend=0)  # 1 where a box found a face
    return sum(right) / faces, float((envelope * steps).sum()) / faces


def find_ours(image: np.ndarray) -> Found:
    """Detect faces with facekit."""
    start = time.perf_counter()
    faces = detect_faces(image)
    return Found(faces.boxes_xyxy, faces.scores, time.perf_counter() - start)


def find_theirs(reference: mtcnn.MTCNN, image: np.ndarray) -> Found:
    """Detect faces with the `mtcnn` package."""
    start = time.perf_counter()
    # Columns: photo, box, score, landmarks.
    rows = reference.detect_faces(image, output_type="numpy", box_format="xyxy")
    seconds = time.perf_counter() - start
    rows = rows[np.argsort(-rows[:, 5], kind="stable")]
    return Found(rows[:, 1:5], rows[:, 5], seconds)


@click.command()
@click.option(
    "--data",
    "data_dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default="data/raw",
    show_default=True,
)
def main(data_dir: Path) -> None:
    """Compare facekit's MTCNN with the `mtcnn` package on the sample of WIDER FACE in DIR."""
    if not (data_dir / GROUND_TRUTH).is_file():
        raise click.ClickException(
            f"{data_dir / GROUND_TRUTH} is missing; data/README.md says how to get WIDER FACE."
        )
    reference = mtcnn.MTCNN()
    truths = [
        row
        for row in read_ground_truth(data_dir / GROUND_TRUTH)
        if (data_dir / PHOTOS / row[0]).is_file()
    ]
    warm_up = read_image(data_dir / PHOTOS / truths[0][0])
    find_ours(warm_up), find_theirs(reference, warm_up)
    found: dict[str, list[Found]] = {OURS: [], THEIRS: []}
    for name, _, _ in tqdm(truths, "photos", disable=None, leave=False):
        image = read_image(data_dir / PHOTOS / name)
        found[OURS].append(find_ours(image))
        found[THEIRS].append(find_theirs(reference, image))

    click.echo(
        f"{len(truths)} photos; recall / average precision at IoU {LEAST_OVERLAP}, and time as a "
        "share of mtcnn's (median)\n"
    )
    rows = []
    baseline = np.array([photo.seconds for photo in found[THEIRS]])
    for detector, photos in found.items():
        cells = []
        for height in LEAST_HEIGHTS:
            scores, right, faces = [], [], 0
            for photo, (_, boxes, valid) in zip(photos, truths, strict=True):
                wanted = valid & (boxes[:, 3] - boxes[:, 1] >= height)
                faces += int(wanted.sum())
                more_scores, more_right = judge(photo, boxes, wanted)
                scores += more_scores
                right += more_right
            recall, precision = measure_recall_and_precision(scores, right, faces)
            cells.append(f"{recall:.3f} / {precision:.3f} ({faces} faces)")
        ratio = np.median(np.array([photo.seconds for photo in photos]) / baseline)
        rows.append((detector, *cells, f"{ratio:.2f}"))
    header = ("detector", *(f"{height} px and more" for height in LEAST_HEIGHTS), "time")
    click.echo(make_markdown(rows, header))


if __name__ == "__main__":
    main()
