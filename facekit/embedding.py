"""Embed faces, verify whether two photos show one person, and group the faces of one person.

An embedding is a vector whose Euclidean distance is small for two photos of one person (Schroff et
al., 2015). Faces are found and aligned as everywhere in facekit; the landmarks are placed more
precisely first. Thresholds of the distance come with the model, from people whom it did not learn.

Embeddings are biometric data: whoever has one can recognise the person in other photos. Nothing is
stored here, and nothing is compared except what you name. To find out who a stranger is, is outside
the purpose of facekit.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from PIL import Image

from facekit.detection import MTCNN, locate_face
from facekit.detection.landmarks import refine_landmarks
from facekit.faces import NOT_SURE, Faces
from facekit.images import convert_image, cut_crops, normalise, read_image
from facekit.inference import run_model
from facekit.registry import ModelEntry, ModelError, find_model

if TYPE_CHECKING:
    import pandas as pd

TASK = "embedding"
SAME, DIFFERENT = "same person", "different people"
BOX_COLUMNS = ("x1", "y1", "x2", "y2")
FACES = 256  # embedded at once, so that memory does not grow with the number of faces

Picture = str | Path | np.ndarray | Image.Image


@dataclass(frozen=True, eq=False)
class Embeddings:
    """The embeddings of all faces of some images.

    Attributes:
        vectors: (faces, dimensions) float32. The Euclidean distance compares them.
        faces: Where the faces are, each in its own image.
        images: The name of each face's image, (faces,): its path, or its position in the sequence.
        model: Name of the model. Vectors of different models cannot be compared.

    Raises:
        ValueError: If the numbers of faces differ.

    Example:
        >>> Embeddings(np.zeros((0, 128), np.float32), Faces.empty(), (), "embedding").to_frame()
        Empty DataFrame...
    """

    vectors: np.ndarray
    faces: Faces
    images: tuple[str, ...]
    model: str

    def __post_init__(self) -> None:
        counts = len(self.vectors), len(self.faces), len(self.images)
        if len(set(counts)) > 1:
            raise ValueError(
                "`vectors`, `faces` and `images` must hold one entry per face; "
                f"got {', '.join(map(str, counts))}."
            )

    def __len__(self) -> int:
        return len(self.vectors)

    def compute_distances(self) -> np.ndarray:
        """Return the Euclidean distance of each face to each other, (faces, faces) float32."""
        return compute_distances(self.vectors, self.vectors)

    def to_frame(self) -> pd.DataFrame:
        """Return one row per face: image, number of the face, box, score, embedding as a list."""
        import pandas as pd  # slow to import

        columns = {
            "image": list(self.images),
            "face": 0,
            **dict(zip(BOX_COLUMNS, self.faces.boxes_xyxy.T, strict=True)),
            "score": self.faces.scores,
            "embedding": list(self.vectors),
        }
        table = pd.DataFrame(columns)
        return table.assign(face=table.groupby("image", sort=False).cumcount())


@dataclass(frozen=True)
class Verification:
    """Whether two photos show one person.

    Attributes:
        answer: "same person", "different people" or "not sure".
        distance: Euclidean distance of the two embeddings.
        same_below: Up to this distance the answer is "same person". Of pairs of different people,
            1 in 1,000 has so small a distance.
        different_above: Above this distance the answer is "different people". Of pairs of different
            people, 1 in 100 has a smaller distance.
        boxes_xyxy: The compared face of each photo, pixels.
        model: Name of the model.

    Example:
        >>> Verification("same person", 0.3, 0.5, 0.6, ((0, 0, 9, 9), (0, 0, 9, 9)), "embedding")
        Verification(answer='same person', distance=0.3, ...
    """

    answer: str
    distance: float
    same_below: float
    different_above: float
    boxes_xyxy: tuple[tuple[float, ...], tuple[float, ...]]
    model: str


def embed(
    images: Picture | Sequence[Picture],
    *,
    model: str | None = None,
    cropped: bool = False,
    min_face_size: float = 20,
) -> Embeddings:
    """Detect the faces of images and return an embedding for each.

    Args:
        images: One image or several: files, HxWx3 RGB uint8 arrays, or Pillow images.
        model: Name of a model with the task `embedding`; the default one if omitted.
        cropped: Whether each image is one face already; then each gives exactly one embedding.
        min_face_size: Side in pixels of the smallest face to detect, 12 or more.

    Returns:
        The embeddings, image by image. An image without faces adds none.

    Raises:
        FileNotFoundError: If there is no such file.
        ImageError: If a file cannot be read as an image.
        ModelError: If the model is not listed, missing or damaged.
        ValueError: If an array is not HxWx3 uint8.

    Example:
        >>> from facekit.demo import load_portraits
        >>> embed(load_portraits()["group.jpg"]).vectors.shape
        (6, 128)
    """
    several = [images] if isinstance(images, Picture) else images
    entry, _ = find_model(TASK, model=model)
    parts, names, vectors = [Faces.empty()], list[str](), list[np.ndarray]()
    waiting: list[np.ndarray] = []
    for position, image in enumerate(several):
        pixels = _open(image)
        faces = locate_face(pixels) if cropped else MTCNN(min_face_size).detect(pixels)
        faces = refine_landmarks(pixels, faces)
        parts.append(faces)
        name = image if isinstance(image, str | Path) else position
        names += [str(name)] * len(faces)
        waiting.append(_cut(pixels, faces, entry.input))
        if sum(map(len, waiting)) >= FACES:
            vectors.append(_embed_crops(np.concatenate(waiting), entry))
            waiting = []
    waiting.append(_cut(np.zeros((1, 1, 3), np.uint8), Faces.empty(), entry.input))
    vectors.append(_embed_crops(np.concatenate(waiting), entry))
    joined = Faces(
        np.concatenate([each.boxes_xyxy for each in parts]),
        np.concatenate([each.scores for each in parts]),
        np.concatenate([each.landmarks_xy for each in parts]),
    )
    return Embeddings(np.concatenate(vectors), joined, tuple(names), entry.name)


def verify(
    a: Picture, b: Picture, *, model: str | None = None, cropped: bool = False
) -> Verification:
    """Say whether two photos show one person. In a photo of several faces the largest counts.

    Args:
        a: A file, HxWx3 RGB uint8, or a Pillow image.
        b: Another one.
        model: As for `embed`.
        cropped: As for `embed`.

    Returns:
        The answer with the distance that it rests on. Between the two thresholds it is "not sure".

    Raises:
        FileNotFoundError: If there is no such file.
        ImageError: If a file cannot be read as an image.
        ModelError: As `embed`, or if the model has no thresholds.
        ValueError: If no face is found in a photo.

    Example:
        >>> from facekit.demo import load_portraits
        >>> photo = load_portraits()["astronaut.png"]
        >>> verify(photo, photo[:, ::-1]).answer
        'same person'
    """
    same_below, different_above = get_thresholds(model)
    chosen = []
    for image in (a, b):
        found = embed(image, model=model, cropped=cropped)
        if not len(found):
            name = str(image) if isinstance(image, (str, Path)) else "the array"
            raise ValueError(
                f"{name}: no face was found, so there is nothing to compare. Choose a larger or "
                "sharper photo; if it shows a face and nothing else, say that it is cropped "
                "(`cropped=True`, --cropped)."
            )
        sizes = found.faces.boxes_xyxy[:, 2:] - found.faces.boxes_xyxy[:, :2]
        largest = int(sizes.prod(axis=1).argmax())
        box = found.faces.boxes_xyxy[largest].round(1).tolist()
        chosen.append((found.vectors[largest], tuple(box), found.model))
    (one, box, name), (other, other_box, _) = chosen
    distance = float(np.linalg.norm(one - other))
    answer = NOT_SURE
    if distance <= same_below:
        answer = SAME
    elif distance > different_above:
        answer = DIFFERENT
    return Verification(answer, distance, same_below, different_above, (box, other_box), name)


def group_vectors(
    vectors: np.ndarray, threshold: float, images: Sequence[str] | None = None
) -> np.ndarray:
    """Give faces whose embeddings lie close together the same number.

    Average linkage: two groups are joined while the mean distance of their faces is below the
    threshold. Two faces of one image are never joined, because nobody is twice in a photo.

    Args:
        vectors: (faces, dimensions).
        threshold: Euclidean distance.
        images: The name of each face's image; all are different if omitted.

    Returns:
        (faces,) int, from 0 up, in the order in which people first appear.

    Example:
        >>> group_vectors(np.array([[0.0, 0], [1, 1], [0.1, 0]]), threshold=0.5)
        array([0, 1, 0])
    """
    if len(vectors) < 2:
        return np.zeros(len(vectors), int)
    from sklearn.cluster import AgglomerativeClustering

    distances = compute_distances(vectors, vectors)
    if images is not None:
        _, number = np.unique(np.asarray(images), return_inverse=True)
        # So far that the mean with any other face is above the threshold, too.
        distances[number[:, None] == number] = (len(vectors) ** 2 + 1) * threshold
    np.fill_diagonal(distances, 0)
    clustering = AgglomerativeClustering(
        n_clusters=None, distance_threshold=threshold, metric="precomputed", linkage="average"
    )
    labels = clustering.fit_predict(distances)
    _, first, people = np.unique(labels, return_index=True, return_inverse=True)
    return np.argsort(np.argsort(first))[people]


def compute_distances(one: np.ndarray, other: np.ndarray) -> np.ndarray:
    """Return the Euclidean distance of each row of one array to each row of another.

    Example:
        >>> compute_distances(np.array([[0.0, 0.0]]), np.array([[3.0, 4.0], [0.0, 0.0]]))
        array([[5., 0.]])
    """
    squares = (one**2).sum(axis=1)[:, None] + (other**2).sum(axis=1) - 2 * one @ other.T
    return np.sqrt(np.maximum(squares, 0))


def get_thresholds(model: str | None = None) -> tuple[float, float]:
    """Return the distances below which two faces are one person's, and above which they are not.

    Args:
        model: As for `embed`.

    Raises:
        ModelError: If the model is not listed, or has no thresholds.

    Example:
        >>> same_below, different_above = get_thresholds()
        >>> same_below < different_above
        True
    """
    entry, path = find_model(TASK, model=model)
    thresholds = entry.tasks[TASK].metrics.get("thresholds", {})
    if not {"0.001", "0.01"} <= thresholds.keys():
        raise ModelError(
            f"{path}: the model {entry.name!r} has no thresholds for verification; measure it on "
            "pairs first, or choose another model."
        )
    return thresholds["0.001"], thresholds["0.01"]


def _open(image: Picture) -> np.ndarray:
    if isinstance(image, (str, Path)):
        return read_image(image)
    if isinstance(image, Image.Image):
        return convert_image(image)
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(
            "`images` must be paths, Pillow images or HxWx3 RGB uint8; "
            f"got {pixels.dtype} of shape {pixels.shape}."
        )
    return pixels


def _cut(pixels: np.ndarray, faces: Faces, form: dict) -> np.ndarray:
    return cut_crops(pixels, faces, form["size"], form["channels"], form.get("scale", 1.0))


def _embed_crops(crops: np.ndarray, entry: ModelEntry) -> np.ndarray:
    """Return the embedding of each crop, or its mean with that of the mirror image."""
    inputs = normalise(crops)
    views = [inputs, inputs[:, :, ::-1]] if entry.input.get("mirror") else [inputs]
    return np.mean([run_model(TASK, view, [TASK], entry.name)[0] for view in views], axis=0)
