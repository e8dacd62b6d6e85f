"""facekit: find every face in a picture and predict its age, gender and emotion.

    import facekit

    analysis = facekit.analyze("photo.jpg")
    analysis.to_frame()  # a table, one row per face
    analysis.draw()      # the picture with boxes and labels

Training lives in `facekit.training`, which needs Keras; everything that is imported here runs
without it.
"""

from typing import TYPE_CHECKING

from facekit.analysis import Analysis
from facekit.detection import MTCNN, detect_faces
from facekit.embedding import embed, verify
from facekit.faces import COLUMNS, Faces, Profile
from facekit.images import ImageError, read_image
from facekit.pipeline import FaceAnalyzer, analyze
from facekit.registry import ModelError
from facekit.taxonomy import ATTRIBUTES, EMOTIONS, ETHNICITIES, GENDERS
from facekit.video import VideoError

__all__ = [
    "ATTRIBUTES", "COLUMNS", "EMOTIONS", "ETHNICITIES", "GENDERS", "MTCNN",
    "Analysis", "FaceAnalyzer", "Faces", "ImageError", "ModelError", "Profile", "VideoError",
    "analyze", "analyze_folder", "detect_faces", "embed", "group_faces", "read_image", "verify",
]  # fmt: skip

__version__: str

# What `import facekit` leaves to its first use, so that the import stays quick.
if TYPE_CHECKING:
    from facekit.batch import analyze_folder
    from facekit.batch.people import group_faces
else:

    def __getattr__(name: str) -> object:
        """Return `analyze_folder`, `group_faces` or `__version__`."""
        if name == "analyze_folder":
            from facekit.batch import analyze_folder

            return analyze_folder
        if name == "group_faces":
            from facekit.batch.people import group_faces

            return group_faces
        if name == "__version__":
            from importlib.metadata import version

            return version("facekit")
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")

    def __dir__() -> list[str]:
        """Return the names that an editor completes."""
        return sorted({*globals(), *__all__})
