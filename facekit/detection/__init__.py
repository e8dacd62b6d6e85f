"""Find faces: the MTCNN cascade on ONNX Runtime and NumPy, and other detectors by name.

`detectors` lists them. `viola_jones` is the classical baseline; it is imported from its module,
because it needs SciPy and scikit-image.
"""

from facekit.detection.detectors import (
    DEFAULT_DETECTOR,
    DETECTORS,
    Detector,
    DetectorError,
    detect_faces,
    open_detector,
)
from facekit.detection.mtcnn import MTCNN, locate_face
from facekit.detection.yunet import YuNet

__all__ = [
    "DEFAULT_DETECTOR",
    "DETECTORS",
    "MTCNN",
    "Detector",
    "DetectorError",
    "YuNet",
    "detect_faces",
    "locate_face",
    "open_detector",
]
