"""Find faces: the MTCNN cascade on ONNX Runtime and NumPy."""

from facekit.detection.mtcnn import MTCNN, detect_faces, locate_face

__all__ = ["MTCNN", "detect_faces", "locate_face"]
