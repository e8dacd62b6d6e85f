"""Find out which detector scores are those of faces, on photos with labelled boxes (WIDER FACE)."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pandas as pd
from tqdm.auto import tqdm

from facekit.datasets.annotations import read_ground_truth
from facekit.detection import MTCNN
from facekit.detection.boxes import compute_overlaps
from facekit.images import read_image

# Overlap (IoU) from which a detection is a labelled face. MTCNN's boxes are cut less tightly than
# WIDER FACE's, so that 0.5 would miss small faces.
MIN_OVERLAP = 0.4


def read_detections(data_dir: Path) -> pd.DataFrame:
    r"""Detect the faces of WIDER FACE's photos, and compare them with the labelled boxes.

    Args:
        data_dir: Holds `WIDER_val/images/` and `wider_face_split/`. Photos that are missing are
            left out, and so are detections of boxes that are marked as invalid.

    Returns:
        One row per detection: `image`, `score`, and `is_face`, whether it is a labelled face.

    Raises:
        FileNotFoundError: If there is no ground truth, or none of its photos.
        ImageError: If a photo cannot be read.
        ValueError: If the ground truth is damaged.

    Example:
        >>> import tempfile
        >>> from PIL import Image
        >>> folder = Path(tempfile.mkdtemp())
        >>> for part in ("WIDER_val/images", "wider_face_split"):
        ...     (folder / part).mkdir(parents=True)
        >>> Image.new("RGB", (60, 80)).save(folder / "WIDER_val/images/a.png")
        >>> truth = folder / "wider_face_split" / "wider_face_val_bbx_gt.txt"
        >>> _ = truth.write_text("a.png\n1\n10 20 30 40 0 0 0 0 0 0\n")
        >>> list(read_detections(folder)), len(read_detections(folder))
        (['image', 'score', 'is_face'], 0)
    """
    photos = data_dir / "WIDER_val" / "images"
    truth = data_dir / "wider_face_split" / "wider_face_val_bbx_gt.txt"
    labelled = [each for each in read_ground_truth(truth) if (photos / each[0]).is_file()]
    if not labelled:
        raise FileNotFoundError(f"{photos}: holds no photo of {truth}; unpack the photos there.")
    rows: list[tuple[str, float, bool]] = []
    detector = MTCNN()
    for name, boxes, valid in tqdm(labelled, "detecting faces", unit="photo", leave=False):
        faces = detector.detect(read_image(photos / name))
        overlaps = compute_overlaps(faces.boxes_xyxy, boxes)  # (faces, boxes)
        for score, row in zip(faces.scores, overlaps, strict=True):
            is_match = row >= MIN_OVERLAP
            if valid[is_match].any() or not is_match.any():
                rows.append((name, float(score), bool(is_match.any())))
    return pd.DataFrame(rows, columns=["image", "score", "is_face"]).astype(
        {"score": np.float64, "is_face": bool}
    )
