"""Place the landmarks of found faces more precisely, by asking O-Net several times.

MTCNN asks O-Net once per face, and the landmarks move with the box that it is given. Their mean
over several boxes, and over the mirror images of these, moves less.
"""

from __future__ import annotations

import numpy as np

from facekit.detection.boxes import sample_crops
from facekit.faces import Faces
from facekit.inference import run_model

ONET_SIDE = 48  # pixels
# Shift to the right, shift downwards and size of each box, as shares of the face's longer side.
AROUND_FACE = np.array([(0, 0, 1), (-0.05, -0.05, 1.05), (0.05, 0.05, 0.95), (0.05, -0.05, 1.1)])
# The same for a face that fills the picture, in which the cascade finds nothing.
AROUND_PICTURE = np.array(
    [
        (right, down, size)
        for size in (0.9, 1, 1.15, 1.3)
        for right in (-0.1, 0, 0.1)
        for down in (-0.1, 0, 0.1)
    ]
)
BEST = 6  # of these, the boxes that look most like a face
MIRRORED = (1, 0, 2, 4, 3)  # the landmarks' order in a mirror image


def refine_landmarks(image: np.ndarray, faces: Faces) -> Faces:
    """Return faces with landmarks that are means over several boxes.

    A face whose landmarks are unknown gets some as well: its box may be that of a picture that the
    face fills. Its score becomes the highest that O-Net gives to one of the boxes.

    Args:
        image: HxWx3 RGB uint8.
        faces: Faces of this image.

    Returns:
        The same boxes, with landmarks for all.

    Example:
        >>> len(refine_landmarks(np.zeros((48, 48, 3), np.uint8), Faces.empty()))
        0
    """
    landmarks, scores = faces.landmarks_xy.copy(), faces.scores.copy()
    for index, box in enumerate(faces.boxes_xyxy):
        is_unknown = np.isnan(landmarks[index]).any()
        points, likely = _ask_onet(
            image, _move_box(box, AROUND_PICTURE if is_unknown else AROUND_FACE)
        )
        best = np.argsort(-likely)[:BEST]
        landmarks[index] = np.average(points[best], axis=0, weights=likely[best] + 1e-6)
        if is_unknown:
            scores[index] = likely.max()
    return Faces(faces.boxes_xyxy, scores, landmarks)


def _move_box(box_xyxy: np.ndarray, places: np.ndarray) -> np.ndarray:
    """Return squares around a box, (places, 4)."""
    side = (box_xyxy[2:] - box_xyxy[:2]).max()
    centres = (box_xyxy[:2] + box_xyxy[2:]) / 2 + places[:, :2] * side
    half = places[:, 2:] * side / 2
    return np.concatenate([centres - half, centres + half], axis=1).astype(np.float32)


def _ask_onet(image: np.ndarray, boxes_xyxy: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return landmarks (boxes, 5, 2), and scores (boxes,), of boxes and their mirror images."""
    crops = sample_crops(image, boxes_xyxy, ONET_SIDE)
    probabilities, _, fractions = run_model("onet", np.concatenate([crops, crops[:, :, ::-1]]))
    straight, mirrored = fractions.reshape(2, -1, 2, 5).transpose(0, 1, 3, 2)  # all x came first
    mirrored = mirrored[:, MIRRORED] * (-1, 1) + (1, 0)
    sizes = boxes_xyxy[:, None, 2:] - boxes_xyxy[:, None, :2] + 1
    points = (straight + mirrored) / 2 * sizes + boxes_xyxy[:, None, :2] - 1
    return points, probabilities[:, 1].reshape(2, -1).mean(axis=0)
