"""From a picture to its Analysis: read, detect, cut, infer, fuse. Each step lives in a module of its own; here they are joined."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from facekit.analysis import Analysis
from facekit.detection import MTCNN, locate_face
from facekit.faces import Faces
from facekit.fusion import fuse_profiles, load_constants
from facekit.images import cut_crops, equalise_crops, normalise, read_image
from facekit.inference import run_model
from facekit.registry import find_model
from facekit.taxonomy import AGE_SCHEMES, ATTRIBUTES, DEFAULT_AGE_SCHEME, DEFAULT_ATTRIBUTES
from facekit.video import read_frames


@dataclass(frozen=True)
class FaceAnalyzer:
    """Analyse pictures with one set of options.

    Attributes:
        attributes: Out of `taxonomy.ATTRIBUTES`. Ethnicity is sensitive and told only where asked
            for.
        min_face_size: Side in pixels of the smallest face looked for.
        cropped: Whether each picture is one face already; then exactly one face comes out of each.
        age_scheme: Key of `taxonomy.AGE_SCHEMES`, for the age classes.

    Raises:
        ValueError: If an option is out of its range.
    """

    attributes: Sequence[str] = DEFAULT_ATTRIBUTES
    min_face_size: float = 20
    cropped: bool = False
    age_scheme: str = DEFAULT_AGE_SCHEME
    models: Mapping[str, str] | Sequence[str] = ()

    def __post_init__(self) -> None:
        unknown = [name for name in self.attributes if name not in ATTRIBUTES]
        if unknown or not self.attributes or isinstance(self.attributes, str):
            raise ValueError(
                f"`attributes` must be one or more of {', '.join(ATTRIBUTES)}; got {self.attributes!r}."
            )
        if self.age_scheme not in AGE_SCHEMES:
            raise ValueError(
                f"`age_scheme` must be one of {', '.join(AGE_SCHEMES)}; got {self.age_scheme!r}."
            )
        MTCNN(self.min_face_size)  # checks the size

    def detect(self, pixels: np.ndarray) -> Faces:
        """Find the faces of HxWx3 RGB uint8."""
        return locate_face(pixels) if self.cropped else MTCNN(self.min_face_size).detect(pixels)

    def infer(self, pixels: np.ndarray, faces: Faces) -> dict[str, np.ndarray]:
        """Return each attribute network's probabilities, (faces, classes)."""
        specs = {name: find_model(name)[0] for name in dict.fromkeys(self.attributes)}
        crops, answers = {}, {}
        for file in dict.fromkeys(
            spec.file for spec in specs.values()
        ):  # one network may tell several attributes
            names = [name for name, spec in specs.items() if spec.file == file]
            form = specs[names[0]].input
            shape = form["size"], form["channels"]
            if shape not in crops:
                crops[shape] = cut_crops(pixels, faces, *shape)
            inputs = normalise(equalise_crops(crops[shape]) if form["equalise"] else crops[shape])
            answers |= zip(names, run_model(names[0], inputs, names), strict=True)
        return answers

    def analyze(self, image: str | Path | np.ndarray) -> Analysis:
        """Find the faces of one picture and tell a profile for each.

        Args:
            image: A file, or HxWx3 RGB uint8.

        Returns:
            The analysis, with the picture in it; a picture without faces gives an empty one.

        Raises:
            FileNotFoundError: If there is no such file.
            ImageError: If the file cannot be read as a picture.
            ModelError: If a model is missing or damaged.
            ValueError: If an array is not HxWx3 uint8.
        """
        if isinstance(image, (str, Path)):
            return self._analyze_pixels(read_image(image), str(image))
        return self._analyze_pixels(_check_pixels(image))

    def analyze_images(self, images: Sequence[np.ndarray], names: Sequence[str]) -> list[Analysis]:
        """Analyse decoded pictures, HxWx3 RGB uint8 each."""
        return [
            self._analyze_pixels(pixels, name) for pixels, name in zip(images, names, strict=True)
        ]

    def analyze_video(self, path: str | Path) -> Iterator[Analysis]:
        """Analyse a video frame by frame, as it is read.

        Raises:
            FileNotFoundError: If there is no such file.
            VideoError: If it cannot be read, or ends before its end; the frames before that have
                been given by then.
        """
        for index, pixels in read_frames(path):
            yield self._analyze_pixels(pixels, str(path), index)

    def _analyze_pixels(
        self, pixels: np.ndarray, name: str = "", frame: int | None = None
    ) -> Analysis:
        faces = self.detect(pixels)
        profiles = (
            fuse_profiles(self.infer(pixels, faces), load_constants(), self.age_scheme)
            if len(faces)
            else ()
        )
        return Analysis(name, faces, profiles, frame, pixels)


def analyze(image: str | Path | np.ndarray, **options) -> Analysis:
    """Find every face of a picture and tell its age, gender and emotion.

    Args:
        image: A file, or HxWx3 RGB uint8.
        **options: Those of `FaceAnalyzer`.

    Returns:
        The analysis: `.to_frame()` is a table, `.draw()` a picture.

    Raises:
        As `FaceAnalyzer.analyze`.
    """
    return FaceAnalyzer(**options).analyze(image)


def _check_pixels(image) -> np.ndarray:
    pixels = np.asarray(image)
    if pixels.ndim != 3 or pixels.shape[2] != 3 or pixels.dtype != np.uint8 or 0 in pixels.shape:
        raise ValueError(
            f"`image` must be a path or HxWx3 RGB uint8; got {pixels.dtype} of shape {pixels.shape}."
        )
    return pixels
