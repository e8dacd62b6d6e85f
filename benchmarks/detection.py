"""Compare detectors on a sample of WIDER FACE: the `mtcnn` package and all that facekit has.

All detectors read the same photos in the same run, in turn, with their default options. Run it from
the checkout:

    python benchmarks/detection.py --data data/raw

In the first table a face counts if its height reaches a limit. Smaller faces, and faces that WIDER
FACE calls invalid, are ignored: they do not count as missed, and a box on them does not count as
false. Boxes match at an IoU of 0.5. Average precision is the area under the precision-recall curve
of all boxes of the sample, sorted by score, with precision made monotonic (Pascal VOC, all points).
A detector returns only boxes above its threshold, so average precision cannot exceed recall. The
other tables count faces of 20 pixels and more; intervals are of a bootstrap over photos.

Reference: Yang et al.: WIDER FACE: A Face Detection Benchmark, 2016.
"""

import importlib.metadata
import os
import time
from collections.abc import Callable
from pathlib import Path

# Set before TensorFlow is imported, so that only the tables are printed.
os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")

import click
import mtcnn
import numpy as np
import pandas as pd
from tqdm import tqdm

from facekit.datasets.wider_flags import read_wider_flags
from facekit.detection import DETECTORS, open_detector
from facekit.evaluation.crowds import (
    CROWDS,
    HEIGHTS,
    LEAST_OVERLAP,
    match_faces,
    tabulate_boxes,
    tabulate_counts,
    tabulate_precision,
    tabulate_recall,
)
from facekit.evaluation.markdown import make_markdown
from facekit.faces import Faces
from facekit.images import read_image

LEAST_HEIGHTS = (20, 40, 80)  # pixels
PACKAGE = f"mtcnn {importlib.metadata.version('mtcnn')}"
GROUND_TRUTH = Path("wider_face_split", "wider_face_val_bbx_gt.txt")
PHOTOS = Path("WIDER_val", "images")
GROUPS = {
    "height": HEIGHTS[1:],
    "pose": (),
    "illumination": (),
    "occlusion": (),
    "blur": (),
    "crowd": CROWDS,
}


def open_package() -> Callable[[np.ndarray], Faces]:
    """Return the detector of the `mtcnn` package, in the form of ours."""
    reference = mtcnn.MTCNN()

    def detect(image: np.ndarray) -> Faces:
        # Columns: photo, box, score, landmarks.
        rows = reference.detect_faces(image, output_type="numpy", box_format="xyxy")
        rows = rows[np.argsort(-rows[:, 5], kind="stable")].astype(np.float32)
        unknown = np.full((len(rows), 5, 2), np.nan, np.float32)  # they are not compared
        return Faces(rows[:, 1:5], rows[:, 5], unknown)

    return detect


def detect_all(
    detectors: dict[str, Callable[[np.ndarray], Faces]], folder: Path, photos: list[str]
) -> tuple[dict[str, pd.DataFrame], dict[str, np.ndarray]]:
    """Return the boxes of each detector, and the seconds that each photo took."""
    boxes: dict[str, list[pd.DataFrame]] = {name: [] for name in detectors}
    seconds: dict[str, list[float]] = {name: [] for name in detectors}
    for detect in detectors.values():  # the first call opens the networks
        detect(read_image(folder / photos[0]))
    for photo in tqdm(photos, "photos", disable=None, leave=False):
        image = read_image(folder / photo)
        for name, detect in detectors.items():
            start = time.perf_counter()
            faces = detect(image)
            seconds[name].append(time.perf_counter() - start)
            boxes[name].append(tabulate_boxes(photo, faces))
    return (
        {name: pd.concat(tables) for name, tables in boxes.items()},
        {name: np.array(times) for name, times in seconds.items()},
    )


def match_from(
    faces: pd.DataFrame, boxes: pd.DataFrame, height: float
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Match boxes to the faces of a height and more; smaller faces are ignored."""
    small = faces["y2"] - faces["y1"] < height
    return match_faces(faces.assign(ignored=faces["ignored"] | small), boxes)


def format_rows(tables: dict[str, pd.DataFrame], figure: str) -> list[tuple[str, ...]]:
    """Return one row per group: its name, its count, and the figure of each detector."""
    first = next(iter(tables.values()))
    rows = []
    for group in first.index:
        cells = [
            f"{own[figure]:.2f} ({own['low']:.2f} to {own['high']:.2f})"
            for own in (table.loc[group] for table in tables.values())
        ]
        rows.append((str(group), str(first.loc[group, "count"]), *cells))
    return rows


@click.command()
@click.option(
    "--data",
    "data_dir",
    metavar="DIR",
    type=click.Path(path_type=Path),
    default="data/raw",
    show_default=True,
)
@click.option(
    "--detector",
    "names",
    multiple=True,
    type=click.Choice(list(DETECTORS)),
    default=list(DETECTORS),
    help="Compare these only; can be repeated.",
)
def main(data_dir: Path, names: tuple[str, ...]) -> None:
    """Compare detectors on the sample of WIDER FACE in DIR."""
    if not (data_dir / GROUND_TRUTH).is_file():
        raise click.ClickException(
            f"{data_dir / GROUND_TRUTH} is missing; data/README.md says how to get WIDER FACE."
        )
    listed, faces = read_wider_flags(data_dir / GROUND_TRUTH)
    photos = [name for name in listed if (data_dir / PHOTOS / name).is_file()]
    faces = faces[faces["image"].isin(photos)]
    detectors = {PACKAGE: open_package()}
    detectors |= {f"facekit {name}": open_detector(name).detect for name in names}
    boxes, seconds = detect_all(detectors, data_dir / PHOTOS, photos)

    click.echo(
        f"{len(photos)} photos; recall / average precision at IoU {LEAST_OVERLAP}, and time as a "
        "share of the package's (median)\n"
    )
    rows = []
    for name in detectors:
        cells = []
        for height in LEAST_HEIGHTS:
            whole = tabulate_precision(*match_from(faces, boxes[name], height), HEIGHTS).loc["all"]
            cells.append(
                f"{whole['recall']:.3f} / {whole['average_precision']:.3f} "
                f"({whole['faces']:.0f} faces)"
            )
        ratio = np.median(seconds[name] / seconds[PACKAGE])
        rows.append((name, *cells, f"{ratio:.2f}"))
    header = ("detector", *(f"{height} px and more" for height in LEAST_HEIGHTS), "time")
    click.echo(make_markdown(rows, header))

    matched = {name: match_from(faces, boxes[name], LEAST_HEIGHTS[0]) for name in detectors}
    for column, edges in GROUPS.items():
        tables = {name: tabulate_recall(own, column, edges) for name, (own, _) in matched.items()}
        click.echo(f"\nRecall by {column}\n")
        click.echo(make_markdown(format_rows(tables, "recall"), (column, "faces", *detectors)))
    tables = {
        name: tabulate_precision(*own, HEIGHTS[1:]).rename(columns={"faces": "count"})
        for name, own in matched.items()
    }
    click.echo("\nAverage precision by height\n")
    click.echo(
        make_markdown(format_rows(tables, "average_precision"), ("height", "faces", *detectors))
    )
    tables = {name: tabulate_counts(*own, photos) for name, own in matched.items()}
    click.echo("\nNumber of faces in a photo\n")
    click.echo(make_markdown(format_rows(tables, "value"), ("error", "photos", *detectors)))


if __name__ == "__main__":
    main()
