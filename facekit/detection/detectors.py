"""Choose a face detector by name. Each detector lives in a module of its own.

`mtcnn` is the default, and what the lessons explain. `yunet` is a modern detector that finds more
small faces in less time. `viola_jones` is the classical baseline, which places no landmarks. To add
a detector, write a class with the method `detect`, and add one entry to `DETECTORS`.
"""

from __future__ import annotations

import importlib.util
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from facekit.detection.mtcnn import MTCNN
from facekit.detection.pictures import check_image
from facekit.detection.yunet import YuNet
from facekit.faces import Faces

CLASSICAL_WINDOW = 24  # pixels; `viola_jones` finds no smaller face
CLASSICAL_PACKAGES = ("scipy", "skimage")


class DetectorError(ValueError):
    """A detector that is unknown, or cannot be used here.

    Example:
        >>> open_detector("retina")
        Traceback (most recent call last):
        facekit.detection.detectors.DetectorError: `detector` must be one of mtcnn, yunet,
        viola_jones; got 'retina'.
    """


class Detector(Protocol):
    """What finds faces.

    Example:
        >>> def count(detector: Detector) -> int:
        ...     return len(detector.detect(np.zeros((60, 80, 3), np.uint8)))
        >>> count(MTCNN()), count(YuNet())
        (0, 0)
    """

    def detect(self, image: np.ndarray) -> Faces:
        """Return the faces of HxWx3 RGB uint8, best first, with boxes clipped to the frame."""
        ...


@dataclass(frozen=True)
class ViolaJones:
    """The classical detector of `detection.viola_jones`, in the form of the others.

    Attributes:
        min_face_size: Side in pixels of the smallest face to find. Below `CLASSICAL_WINDOW` it
            counts as that.
        scale_factor, support: As for `viola_jones.detect_faces_classically`.

    Raises:
        DetectorError: If SciPy or scikit-image is not installed.
        ValueError: If `min_face_size` is not above 0.

    Example:
        >>> len(ViolaJones(min_face_size=40).detect(np.zeros((120, 160, 3), np.uint8)))
        0
    """

    min_face_size: float = CLASSICAL_WINDOW
    scale_factor: float = 0.9
    support: int = 3

    def __post_init__(self) -> None:
        if not self.min_face_size > 0:
            raise ValueError(f"`min_face_size` must be above 0 pixels; got {self.min_face_size}.")
        if any(importlib.util.find_spec(name) is None for name in CLASSICAL_PACKAGES):
            raise DetectorError(
                "`detector` viola_jones needs SciPy and scikit-image. "
                "Run: pip install 'facekit[demo]'"
            )

    def detect(self, image: np.ndarray) -> Faces:
        """Return the faces of HxWx3 RGB uint8, best first, without landmarks (NaN)."""
        from facekit.detection.viola_jones import detect_faces_classically  # needs scikit-image

        size = max(self.min_face_size, CLASSICAL_WINDOW)
        image = check_image(image)
        return detect_faces_classically(image, size, self.scale_factor, self.support)


DETECTORS: dict[str, type[Any]] = {"mtcnn": MTCNN, "yunet": YuNet, "viola_jones": ViolaJones}
DEFAULT_DETECTOR = "mtcnn"


def open_detector(name: str = DEFAULT_DETECTOR, **options: Any) -> Detector:
    """Return a detector by name.

    Args:
        name: A key of `DETECTORS`.
        **options: Attributes of its class. All detectors have `min_face_size`, the side in pixels
            of the smallest face to find.

    Raises:
        DetectorError: If the name is unknown, or the detector needs a package that is missing.
        ValueError: If an option is out of its range.

    Example:
        >>> open_detector("yunet", min_face_size=40)
        YuNet(min_face_size=40, threshold=0.6)
    """
    if name not in DETECTORS:
        raise DetectorError(f"`detector` must be one of {', '.join(DETECTORS)}; got {name!r}.")
    return DETECTORS[name](**options)


def detect_faces(image: np.ndarray, detector: str = DEFAULT_DETECTOR, **options: Any) -> Faces:
    """Find every face of an image.

    Args:
        image: HxWx3 RGB uint8, of any size.
        detector: A key of `DETECTORS`.
        **options: Those of the detector, such as `min_face_size`.

    Returns:
        The faces, best first, with boxes clipped to the frame.

    Raises:
        ModelError: If a model is missing or damaged.
        ValueError: If `image` is not HxWx3 uint8, has no pixels, the detector is unknown, or an
            option is out of its range.

    Example:
        >>> from facekit.demo import load_portraits
        >>> group = load_portraits()["group.jpg"]
        >>> len(detect_faces(group)), len(detect_faces(group, detector="yunet"))
        (6, 6)
    """
    return open_detector(detector, **options).detect(image)
