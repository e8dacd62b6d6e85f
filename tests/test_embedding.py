import numpy as np
import pytest
from PIL import Image

from facekit import embed, verify
from facekit.embedding import (
    DIFFERENT,
    SAME,
    Embeddings,
    compute_distances,
    get_thresholds,
    group_vectors,
)
from facekit.faces import NOT_SURE, Faces
from facekit.images import ImageError
from facekit.inference import run_model
from facekit.registry import ModelError, load_index

EMBEDDERS = [name for name, each in load_index().models.items() if "embedding" in each.tasks]
BLACK = np.zeros((60, 80, 3), np.uint8)


@pytest.fixture(scope="module")
def group(portraits) -> Embeddings:
    return embed(portraits["group.jpg"])


class TestEmbed:
    def test_each_face_gets_a_vector(self, group):
        assert group.vectors.shape == (6, 128)
        assert group.vectors.dtype == np.float32
        assert len(group.faces) == len(group.images) == 6
        assert group.model == load_index().defaults["embedding"]

    def test_several_images_give_what_each_gives_alone(self, portraits, group):
        several = embed([BLACK, portraits["astronaut.png"], portraits["group.jpg"]])
        assert len(several) == 7
        assert several.images == ("1", *["2"] * 6)
        np.testing.assert_allclose(several.vectors[1:], group.vectors, atol=1e-5)

    def test_more_faces_than_are_embedded_at_once(self, portraits, monkeypatch):
        monkeypatch.setattr("facekit.embedding.FACES", 4)
        photo = portraits["astronaut.png"]
        found = embed([photo, portraits["group.jpg"], photo])
        assert len(found) == 8
        np.testing.assert_allclose(found.vectors[0], found.vectors[-1], atol=1e-5)

    @pytest.mark.parametrize("images", [BLACK, [], [BLACK, BLACK]])
    def test_no_face_gives_an_empty_record(self, images):
        found = embed(images)
        assert found.vectors.shape == (0, 128)
        assert list(found.to_frame()) == [
            "image",
            "face",
            "x1",
            "y1",
            "x2",
            "y2",
            "score",
            "embedding",
        ]

    def test_a_crop_gives_exactly_one_vector(self):
        assert embed([BLACK, BLACK], cropped=True).vectors.shape == (2, 128)

    def test_paths_arrays_and_pillow_images(self, portraits, tmp_path):
        photo = portraits["astronaut.png"]
        Image.fromarray(photo).save(tmp_path / "a.png")
        vectors = [
            embed(each).vectors for each in (photo, tmp_path / "a.png", Image.fromarray(photo))
        ]
        np.testing.assert_array_equal(vectors[0], vectors[1])
        np.testing.assert_array_equal(vectors[0], vectors[2])
        assert embed(tmp_path / "a.png").images == (str(tmp_path / "a.png"),)

    def test_the_mirror_image_has_nearly_the_same_vector(self, portraits):
        photo = portraits["astronaut.png"]
        straight, mirrored = embed(photo).vectors, embed(photo[:, ::-1]).vectors
        assert compute_distances(straight, mirrored)[0, 0] < 0.1

    def test_the_table_numbers_the_faces_of_each_image(self, portraits, group):
        table = group.to_frame()
        assert table["face"].tolist() == list(range(6))
        np.testing.assert_array_equal(np.stack(table["embedding"]), group.vectors)
        both = embed([portraits["astronaut.png"], portraits["group.jpg"]]).to_frame()
        assert both["face"].tolist() == [0, *range(6)]

    def test_wrong_input(self, tmp_path):
        with pytest.raises(ValueError, match=r"must be paths, .*; got float64 of shape \(3, 3\)\."):
            embed(np.zeros((3, 3)))
        with pytest.raises(FileNotFoundError):
            embed(tmp_path / "none.jpg")
        (tmp_path / "a.jpg").write_text("text")
        with pytest.raises(ImageError, match=r"a\.jpg"):
            embed(tmp_path / "a.jpg")
        with pytest.raises(ModelError, match="no model is listed for 'eyes'"):
            embed(BLACK, model="eyes")
        with pytest.raises(ModelError, match="'emotion' does not serve embedding"):
            embed(BLACK, model="emotion")

    def test_counts_must_agree(self):
        with pytest.raises(ValueError, match="one entry per face; got 1, 0, 0"):
            Embeddings(np.zeros((1, 2)), Faces.empty(), (), "mine")


class TestVerify:
    def test_one_person_and_two(self, portraits):
        photo = portraits["astronaut.png"]
        same = verify(photo, photo[:, ::-1])
        assert same.answer == SAME
        assert same.distance <= same.same_below
        other = verify(photo, portraits["grace_hopper.jpg"])
        assert other.answer == DIFFERENT
        assert other.distance > other.different_above

    @pytest.mark.parametrize(
        ("distance", "answer"), [(0.4, SAME), (0.5, SAME), (0.55, NOT_SURE), (0.61, DIFFERENT)]
    )
    def test_the_answer_follows_from_the_thresholds(self, distance, answer, portraits, monkeypatch):
        monkeypatch.setattr("facekit.embedding.get_thresholds", lambda model: (0.5, 0.6))
        vectors = iter([np.zeros((1, 2)), np.array([[distance, 0]])])
        face = Faces(np.array([[1, 2, 3, 4.0]]), np.ones(1), np.zeros((1, 5, 2)))
        monkeypatch.setattr(
            "facekit.embedding.embed",
            lambda image, **_: Embeddings(next(vectors), face, ("",), "mine"),
        )
        found = verify(BLACK, BLACK)
        assert (found.answer, found.model) == (answer, "mine")
        assert found.boxes_xyxy == ((1, 2, 3, 4), (1, 2, 3, 4))

    def test_the_largest_face_counts(self, portraits):
        photo = portraits["group.jpg"]
        boxes = embed(photo).faces.boxes_xyxy
        largest = (boxes[:, 2:] - boxes[:, :2]).prod(axis=1).argmax()
        found = verify(photo, photo)
        assert found.boxes_xyxy[0] == pytest.approx(boxes[largest], abs=0.06)
        assert found.distance == pytest.approx(0, abs=1e-4)

    def test_a_photo_without_a_face(self, portraits, tmp_path):
        Image.fromarray(BLACK).save(tmp_path / "wall.png")
        with pytest.raises(ValueError, match=r"wall\.png: no face was found.*--cropped"):
            verify(portraits["astronaut.png"], tmp_path / "wall.png")

    def test_a_model_without_thresholds(self, monkeypatch, tmp_path):
        entry = load_index().find("embedding")
        bare = type(entry)(
            "bare",
            entry.file,
            entry.sha256,
            entry.input,
            {"embedding": type(entry.tasks["embedding"])()},
        )
        monkeypatch.setattr("facekit.embedding.find_model", lambda *_, **__: (bare, tmp_path))
        with pytest.raises(ModelError, match="'bare' has no thresholds"):
            get_thresholds("bare")


class TestGroups:
    def test_people_are_numbered_as_they_appear(self):
        vectors = np.array([[5.0, 0], [0, 0], [5.1, 0], [0, 0.1], [9, 9]])
        assert group_vectors(vectors, 0.5).tolist() == [0, 1, 0, 1, 2]

    def test_average_linkage_joins_by_the_mean_distance(self):
        line = np.array([[0.0], [1.0], [2.2]])  # the mean distance of the third to both is 1.7
        assert group_vectors(line, 1.6).tolist() == [0, 0, 1]
        assert group_vectors(line, 1.8).tolist() == [0, 0, 0]

    def test_nobody_is_twice_in_an_image(self):
        vectors = np.array([[0.0], [0.1], [0.2]])
        assert group_vectors(vectors, 0.5).tolist() == [0, 0, 0]
        assert group_vectors(vectors, 0.5, ["a", "a", "b"]).tolist() == [0, 1, 1]

    @pytest.mark.parametrize("count", [0, 1])
    def test_too_few_to_compare(self, count):
        assert group_vectors(np.zeros((count, 3)), 0.5).tolist() == [0] * count


@pytest.mark.parametrize("name", EMBEDDERS)
def test_onnx_gives_what_keras_gives(name):
    pytest.importorskip("keras")
    from facekit.networks.embedding import build_embedding_network, build_student, load_dlib_weights
    from facekit.registry import find_model

    entry, path = find_model(name)
    if name == "dlib":
        network = load_dlib_weights(build_embedding_network())
        tolerance = 0.05  # the ONNX file has weights of 8 bits
    else:
        import keras

        network, tolerance = (
            keras.saving.load_model(path.with_suffix(".keras"), compile=False),
            1e-4,
        )
        assert [layer.name for layer in network.layers] == [
            layer.name for layer in build_student().layers
        ]
    side = entry.input["size"]
    crops = np.random.default_rng(0).uniform(-1, 1, (2, side, side, 3)).astype(np.float32)
    (served,) = run_model("embedding", crops, model=name)
    np.testing.assert_allclose(served, network.predict_on_batch(crops)["embedding"], atol=tolerance)
