import numpy as np
import pandas as pd
import pytest
from PIL import Image
from pyarrow import parquet

from facekit import embed, group_faces
from facekit.batch.outputs import OptionError
from facekit.batch.people import embed_folder, is_embeddings_table
from facekit.registry import ModelError

COLUMNS = ["image", "face", "x1", "y1", "x2", "y2", "score", "embedding"]


@pytest.fixture
def folder(portraits, tmp_path):
    """Two photos of one woman, one of another, and what cannot be embedded."""
    photos = tmp_path / "photos"
    photos.mkdir()
    astronaut = portraits["astronaut.png"]
    Image.fromarray(astronaut).save(photos / "a.png")
    Image.fromarray(portraits["grace_hopper.jpg"]).save(photos / "b.png")
    Image.fromarray(astronaut[:, ::-1]).save(photos / "c.png")
    return photos


class TestEmbedFolder:
    def test_a_folder_becomes_a_table(self, folder, tmp_path):
        Image.fromarray(np.zeros((40, 40, 3), np.uint8)).save(folder / "wall.png")
        output = tmp_path / "faces.parquet"
        result = embed_folder(folder, output)
        assert (result.files, len(result.table), result.failures) == (4, 3, ())
        stored = pd.read_parquet(output)
        assert list(stored) == COLUMNS
        assert stored["image"].tolist() == [str(folder / f"{name}.png") for name in "abc"]
        np.testing.assert_allclose(
            np.stack(stored["embedding"]),
            embed(sorted(folder.glob("[abc].png"))).vectors,
            atol=1e-5,
        )
        assert parquet.read_schema(output).metadata[b"model"] == result.model.encode()

    def test_without_an_output_nothing_is_stored(self, folder, tmp_path):
        before = sorted(tmp_path.rglob("*"))
        assert len(embed_folder(folder).table) == 3
        assert sorted(tmp_path.rglob("*")) == before

    def test_people_get_numbers(self, folder, tmp_path):
        pytest.importorskip("sklearn")
        output = tmp_path / "faces.parquet"
        embed_folder(folder, output, group=True)
        stored = pd.read_parquet(output)
        assert list(stored) == [*COLUMNS[:-1], "person", "embedding"]
        assert stored["person"].tolist() == [0, 1, 0]

    def test_what_fails_is_named_and_the_rest_is_complete(self, folder, tmp_path):
        (folder / "broken.jpg").write_text("text")
        sentences = []
        result = embed_folder(
            [folder, tmp_path / "none.jpg", tmp_path / "film.mp4"],
            tmp_path / "faces.parquet",
            tmp_path / "errors.csv",
            say=sentences.append,
        )
        assert len(result.table) == 3
        errors = pd.read_csv(tmp_path / "errors.csv")
        assert [name.split("/")[-1] for name in errors["image"]] == [
            "broken.jpg", "none.jpg", "film.mp4"
        ]  # fmt: skip
        assert "films are not embedded" in errors["error"][2]
        assert sentences == errors["error"].tolist()

    def test_no_files_give_an_empty_table(self, tmp_path):
        (tmp_path / "empty").mkdir()
        output = tmp_path / "faces.parquet"
        result = embed_folder(tmp_path / "empty", output)
        assert len(result.failures) == 1
        assert list(pd.read_parquet(output)) == COLUMNS

    def test_an_output_may_replace_an_earlier_one_and_nothing_else(self, folder, tmp_path):
        output = tmp_path / "faces.parquet"
        pd.DataFrame({"mine": [1]}).to_parquet(output)
        with pytest.raises(OptionError, match="not a table that facekit wrote"):
            embed_folder(folder, output)
        assert list(pd.read_parquet(output)) == ["mine"]
        output.unlink()
        embed_folder(folder / "a.png", output)
        assert is_embeddings_table(output)
        embed_folder(folder, output)
        assert len(pd.read_parquet(output)) == 3

    @pytest.mark.parametrize("name", ["faces.csv", "photos/a.png"])
    def test_an_output_of_another_form(self, name, folder, tmp_path):
        with pytest.raises(OptionError, match=r"must end in \.parquet"):
            embed_folder(folder, tmp_path / name)

    def test_an_unknown_model_is_found_before_the_work(self, folder, tmp_path):
        with pytest.raises(ModelError, match="no model is listed for 'eyes'"):
            embed_folder(folder, tmp_path / "faces.parquet", model="eyes")
        assert not (tmp_path / "faces.parquet").exists()

    @pytest.mark.parametrize("earlier", [False, True])
    def test_stopped_early(self, earlier, folder, tmp_path, monkeypatch):
        output, sentences = tmp_path / "faces.parquet", []
        if earlier:
            embed_folder(folder, output)
        calls = iter(range(9))

        def stop(*args, **options):
            if next(calls) == 1:
                raise KeyboardInterrupt
            return embed(*args, **options)

        monkeypatch.setattr("facekit.batch.people.embed", stop)
        with pytest.raises(KeyboardInterrupt):
            embed_folder(folder, output, say=sentences.append)
        assert len(pd.read_parquet(output)) == (3 if earlier else 1)
        assert ("earlier run" if earlier else "faces of 1 images") in sentences[-1]


class TestGroupFaces:
    @pytest.fixture(autouse=True)
    def _needs_scikit_learn(self):
        pytest.importorskip("sklearn")

    def test_a_folder(self, folder):
        table = group_faces(folder)
        assert table["person"].tolist() == [0, 1, 0]
        assert list(table) == [*COLUMNS[:-1], "person"]

    def test_images_and_embeddings(self, portraits):
        photos = [portraits["astronaut.png"], portraits["astronaut.png"][:, ::-1]]
        assert group_faces(photos)["person"].tolist() == [0, 0]
        assert group_faces(embed(photos))["person"].tolist() == [0, 0]
        assert group_faces(embed(photos), threshold=1e-6)["person"].tolist() == [0, 1]

    def test_no_faces(self):
        assert group_faces(np.zeros((40, 40, 3), np.uint8)).empty

    def test_a_folder_without_pictures(self, tmp_path):
        with pytest.raises(ValueError, match="holds no pictures"):
            group_faces(tmp_path)
