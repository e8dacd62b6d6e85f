import io

import numpy as np
import pytest
from PIL import Image

from facekit.pipeline import FaceAnalyzer
from facekit.widgets import pictures
from facekit.widgets.pictures import analyze_picture, draw_picture

ANALYZER = FaceAnalyzer(min_face_size=60)


def encode(pixels: np.ndarray, form: str = "JPEG") -> bytes:
    file = io.BytesIO()
    Image.fromarray(pixels).save(file, form)
    return file.getvalue()


def decode(content: bytes) -> np.ndarray:
    return np.array(Image.open(io.BytesIO(content)))


@pytest.fixture(scope="module")
def contents(portraits) -> dict[str, bytes]:
    portrait = encode(portraits["astronaut.png"])
    return {
        "portrait.jpg": portrait, "plain.png": encode(np.full((40, 60, 3), 90, np.uint8), "PNG"),
        "cut.jpg": portrait[:9000], "empty.png": b"", "notes.txt": b"no picture",
    }  # fmt: skip


class TestAnalyzePicture:
    def test_faces(self, contents):
        picture = analyze_picture(contents["portrait.jpg"], "portrait.jpg", ANALYZER)
        assert (picture.error, picture.size_hw, len(picture.analysis), len(picture.crops)) == (
            "",
            (512, 512),
            1,
            1,
        )
        assert picture.analysis.image == "portrait.jpg"
        assert picture.analysis.pixels is None
        assert decode(picture.crops[0]).shape == (pictures.CROP_SIDE, pictures.CROP_SIDE, 3)

    def test_no_faces(self, contents):
        picture = analyze_picture(contents["plain.png"], "plain.png", ANALYZER)
        assert (picture.error, len(picture.analysis), picture.crops) == ("", 0, ())
        assert decode(picture.preview).shape == (40, 60, 3)

    @pytest.mark.parametrize(
        ("name", "message"),
        [
            ("cut.jpg", "damaged"),
            ("empty.png", "empty"),
            ("notes.txt", "not a picture that can be read"),
        ],
    )
    def test_broken(self, contents, name, message):
        picture = analyze_picture(contents[name], name, ANALYZER)
        assert picture.analysis is None
        assert picture.error.startswith(f"{name}: ")
        assert message in picture.error

    def test_large_pictures_are_shown_small(self):
        picture = analyze_picture(encode(np.zeros((300, 3000, 3), np.uint8)), "wide.jpg", ANALYZER)
        assert decode(picture.preview).shape == (128, pictures.VIEW_SIDE, 3)
        assert picture.size_hw == (300, 3000)


def test_drawing_has_the_pictures_own_size(contents):
    picture = analyze_picture(contents["portrait.jpg"], "portrait.jpg", ANALYZER)
    drawn = decode(draw_picture(contents["portrait.jpg"], picture.analysis))
    assert drawn.shape == (640, 640, 3)  # small pictures come out enlarged
    assert (drawn != decode(contents["portrait.jpg"])[0, 0]).any()
