"""Find faces: the MTCNN cascade on ONNX Runtime and NumPy.

`viola_jones` is the classical baseline; it is imported from its module, because it needs SciPy and
scikit-image.
"""

from facekit.detection.mtcnn import MTCNN, detect_faces, locate_face

__all__ = ["MTCNN", "detect_faces", "locate_face"]
