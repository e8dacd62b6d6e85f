import numpy as np
import pytest

from facekit.images import decode_image, encode_jpeg
from facekit.pipeline import FaceAnalyzer
from facekit.widgets import pictures
from facekit.widgets.pictures import analyze_picture, draw_picture

ANALYZER = FaceAnalyzer(min_face_size=60)


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
        crop = decode_image(picture.crops[0], "crop")
        assert crop.shape == (pictures.CROP_SIDE, pictures.CROP_SIDE, 3)

    def test_no_faces(self, contents):
        picture = analyze_picture(contents["plain.png"], "plain.png", ANALYZER)
        assert (picture.error, len(picture.analysis), picture.crops) == ("", 0, ())
        assert decode_image(picture.preview, "preview").shape == (40, 60, 3)

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
        content = encode_jpeg(np.zeros((300, 3000, 3), np.uint8))
        picture = analyze_picture(content, "wide.jpg", ANALYZER)
        assert decode_image(picture.preview, "preview").shape == (128, pictures.VIEW_SIDE, 3)
        assert picture.size_hw == (300, 3000)


def test_drawing_has_the_pictures_own_size(contents):
    picture = analyze_picture(contents["portrait.jpg"], "portrait.jpg", ANALYZER)
    drawn = decode_image(draw_picture(contents["portrait.jpg"], picture.analysis), "drawn")
    assert drawn.shape == (640, 640, 3)  # small pictures come out enlarged
    assert (drawn != decode_image(contents["portrait.jpg"], "portrait")[0, 0]).any()
