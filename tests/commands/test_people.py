import numpy as np
import pandas as pd
import pytest
from click.testing import CliRunner
from PIL import Image

from facekit.commands import main


@pytest.fixture
def photos(portraits, tmp_path):
    for name, pixels in {
        "a.png": portraits["astronaut.png"],
        "b.png": portraits["astronaut.png"][:, ::-1],
        "c.png": portraits["grace_hopper.jpg"],
        "wall.png": np.zeros((40, 40, 3), np.uint8),
    }.items():
        Image.fromarray(pixels).save(tmp_path / name)
    return tmp_path


def run(*arguments):
    return CliRunner().invoke(main, [str(each) for each in arguments])


class TestVerify:
    @pytest.mark.parametrize(
        ("other", "answer"), [("b.png", "same person"), ("c.png", "different people")]
    )
    def test_the_answer_and_what_it_rests_on(self, other, answer, photos):
        result = run("verify", photos / "a.png", photos / other)
        assert result.exit_code == 0
        lines = result.output.splitlines()
        assert lines[0] == answer
        assert lines[1].startswith("distance 0.")

    def test_another_model(self, photos):
        result = run("verify", photos / "a.png", photos / "b.png", "--model", "dlib")
        assert "(model dlib)" in result.output

    @pytest.mark.parametrize(
        ("name", "message"),
        [("wall.png", "wall.png: no face was found"), ("none.png", "none.png")],
    )
    def test_a_photo_that_cannot_be_compared(self, name, message, photos):
        result = run("verify", photos / "a.png", photos / name)
        assert result.exit_code == 1
        assert message in result.output
        assert "Traceback" not in result.output

    def test_usage(self, photos):
        assert run("verify", photos / "a.png").exit_code == 2


class TestEmbed:
    def test_a_folder(self, photos):
        output = photos / "faces.parquet"
        result = run("embed", photos, "--output", output)
        assert result.exit_code == 0
        assert "3 faces in 4 images" in result.output
        assert len(pd.read_parquet(output)) == 3

    def test_people(self, photos):
        pytest.importorskip("sklearn")
        output = photos / "faces.parquet"
        result = run("embed", photos, "--output", output, "--group")
        assert "3 faces of 2 people in 4 images" in result.output
        assert pd.read_parquet(output)["person"].tolist() == [0, 0, 1]

    def test_failures(self, photos):
        (photos / "broken.jpg").write_text("text")
        result = run("embed", photos, "--output", photos / "faces.parquet")
        assert result.exit_code == 1
        assert "broken.jpg" in result.output
        assert len(pd.read_parquet(photos / "faces.parquet")) == 3

    @pytest.mark.parametrize("arguments", [(), ("--output", "faces.csv"), ("--min-face", "3")])
    def test_wrong_usage(self, arguments, photos):
        assert run("embed", photos, *arguments).exit_code == 2

    def test_help_says_that_embeddings_are_biometric_data(self):
        for command in ("embed", "verify"):
            assert "biometric data" in " ".join(run(command, "--help").output.split())
