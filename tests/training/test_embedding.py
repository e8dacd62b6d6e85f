import json
import shutil

import keras
import numpy as np
import pandas as pd
import pytest

from facekit.calibration import verification
from facekit.datasets.synthetic import make_synthetic
from facekit.networks.embedding import DIMENSIONS
from facekit.registry import get_models_dir, load_index
from facekit.training import embedding as module
from facekit.training.augmentation import Augmentation
from facekit.training.data import DataChoice
from facekit.training.embedding import (
    COURSE,
    begin_student,
    distance,
    embed_crops,
    make_lesson,
    shrink_crops,
    squared_distance,
    train_embedding,
)


def test_distances_of_rows():
    targets, vectors = np.zeros((2, 2), np.float32), np.array([[3, 4], [0, 1]], np.float32)
    assert np.asarray(squared_distance(targets, vectors)).tolist() == [25, 1]
    assert np.asarray(distance(targets, vectors)).tolist() == [5, 1]


def test_crops_are_averaged():
    crops = np.array([0, 100, 200, 100], np.uint8).reshape(1, 2, 2, 1).repeat(3, axis=3)
    assert shrink_crops(crops, 1).tolist() == [[[[100] * 3]]]


def test_teacher_and_student_see_the_same_changed_crop():
    inputs = keras.Input((8, 8, 3))
    mean = keras.layers.GlobalAveragePooling2D()(inputs)
    teacher = keras.Model(inputs, {"embedding": mean})
    crops = np.random.default_rng(0).uniform(-1, 1, (2, 8, 8, 3)).astype(np.float32)
    small, targets = make_lesson(teacher, side=4)(crops, {"embedding": np.full((2, 3), np.nan)})
    assert small.shape == (2, 4, 4, 3)
    np.testing.assert_allclose(targets["embedding"], crops.mean(axis=(1, 2)), atol=1e-6)
    np.testing.assert_allclose(np.mean(small, axis=(1, 2)), crops.mean(axis=(1, 2)), atol=0.1)


def test_embeddings_are_means_of_both_views():
    inputs = keras.Input((2, 2, 3))
    network = keras.Model(inputs, {"embedding": keras.layers.Flatten()(inputs[:, :, :1])})
    crops = np.array([0, 255, 255, 0], np.uint8).reshape(1, 2, 2, 1).repeat(3, axis=3)
    np.testing.assert_allclose(embed_crops(network, crops), 0, atol=1e-6)


def test_the_students_last_layer_is_the_least_squares_fit():
    generator = np.random.default_rng(0)
    crops = generator.integers(0, 256, (300, COURSE.side, COURSE.side, 3), np.uint8)
    targets = generator.normal(5, 1, (300, DIMENSIONS)).astype(np.float32)
    student = begin_student(COURSE, crops, targets)
    answers = student.predict(crops / np.float32(127.5) - 1, verbose=0)["embedding"]
    # Better than the mean embedding, the best answer that does not look at the face.
    errors = ((answers - targets) ** 2).sum(axis=1).mean()
    assert errors < ((targets - targets.mean(axis=0)) ** 2).sum(axis=1).mean()
    np.testing.assert_allclose(answers.mean(axis=0), targets.mean(axis=0), atol=0.01)


@pytest.mark.slow
def test_a_whole_training(tmp_path, monkeypatch):
    """With drawn faces in place of LFW, whose "people" are pairs of faces."""
    data = tmp_path / "data"
    faces = make_synthetic(data / "synthetic", count=60, size=96)
    people = faces.assign(subject=[f"p{row // 2}" for row in range(len(faces))])
    read = module.read_dataset
    for place in (module, verification):
        monkeypatch.setattr(
            place,
            "read_dataset",
            lambda name, *args: people if name == "lfw" else read(name, *args),
        )
    models = tmp_path / "models"
    shutil.copytree(get_models_dir(), models)
    monkeypatch.setenv("FACEKIT_MODELS", str(models))
    choice = DataChoice(data, sources=("synthetic",))
    train_embedding(choice, models, tmp_path / "run", epochs=1, learning_rate=1e-4)
    index = load_index(models)
    assert index.defaults["embedding"] == "embedding"
    for name in ("embedding", "dlib"):
        metrics = index.models[name].tasks["embedding"].metrics
        assert metrics["figures"][0]["people"] == 30
        assert metrics["thresholds"]["0.001"] <= metrics["thresholds"]["0.01"]
    table = pd.read_parquet(models / "embedding" / "pairs.parquet")
    assert {"fold", "same", "dlib", "embedding"} == set(table)
    served = keras.saving.load_model(models / "embedding" / "embedding.keras", compile=False)
    assert served.output_shape == (None, DIMENSIONS)
    config = json.loads((models / "embedding" / "config.json").read_text())
    assert config["command"].startswith("facekit train embedding --data")
    assert Augmentation(**config["course"]["augmentation"]) == COURSE.augmentation
