import functools
from dataclasses import replace

import keras
import numpy as np
import onnx
import pytest

from facekit.inference import load_session, run_session
from facekit.networks.ensemble import FACE_SIDE, HEAD_SIDE, SCALE, SIDE, build_ensemble
from facekit.training.course import COURSES, begin_network, build_network, choose_network
from facekit.training.export import export_network

MEMBERS = ("pretrained", "mobilenet")
COURSE = replace(COURSES["gender"], name="faces")


@pytest.fixture(scope="module")
def files(tmp_path_factory):
    """A file with random weights for each network of the ensemble."""
    folder = tmp_path_factory.mktemp("members")
    keras.utils.set_random_seed(0)
    for name in MEMBERS:
        build_network(choose_network(COURSE, name)).save(folder / f"{name}.keras")
    return [folder / f"{name}.keras" for name in MEMBERS]


@pytest.fixture(scope="module")
def ensemble(files) -> keras.Model:
    return begin_network(choose_network(COURSE, "ensemble"), files)


@pytest.fixture(scope="module")
def crops() -> np.ndarray:
    return np.random.default_rng(0).uniform(-1, 1, (3, SIDE, SIDE, 3)).astype(np.float32)


def test_the_middle_is_a_crop_of_scale_1():
    assert pytest.approx(SIDE / SCALE, rel=0.01) == FACE_SIDE
    assert (SIDE - FACE_SIDE) % 2 == 0


def test_the_answer_is_the_mean(files, ensemble, crops):
    members = [keras.saving.load_model(path, compile=False) for path in files]
    margin = (SIDE - FACE_SIDE) // 2
    head = keras.ops.image.resize(crops, (HEAD_SIDE, HEAD_SIDE))
    views = crops[:, margin:-margin, margin:-margin], head
    answers = [
        np.asarray(member(view)["gender"]) for member, view in zip(members, views, strict=True)
    ]
    assert np.abs(answers[0] - answers[1]).max() > 0.01
    np.testing.assert_allclose(
        np.asarray(ensemble(crops)["gender"]), (answers[0] + answers[1]) / 2, atol=1e-5
    )


def test_dropout_is_off_unless_it_trains(ensemble, crops):
    first, second = (np.asarray(ensemble(crops)["gender"]) for _ in range(2))
    np.testing.assert_array_equal(first, second)


def test_onnx_answers_as_keras_does_from_small_files(ensemble, crops, tmp_path):
    build = functools.partial(build_ensemble, ("gender",))
    path = export_network(ensemble, build, tmp_path / "faces")
    served = keras.saving.load_model(tmp_path / "faces" / "faces.keras", compile=False)
    (answers,) = run_session(load_session(path), crops)
    np.testing.assert_allclose(answers, np.asarray(served(crops)["gender"]), atol=1e-4)
    np.testing.assert_allclose(answers, np.asarray(ensemble(crops)["gender"]), atol=0.05)
    kernels = [
        weights for weights in onnx.load(path).graph.initializer
        if weights.data_type == onnx.TensorProto.INT8
    ]  # fmt: skip
    assert sum(np.prod(each.dims) for each in kernels) > 0.9 * ensemble.count_params()


def test_it_starts_from_an_earlier_ensemble(ensemble, crops, tmp_path):
    ensemble.save(tmp_path / "earlier.keras")
    again = begin_network(choose_network(COURSE, "ensemble"), [tmp_path / "earlier.keras"])
    np.testing.assert_array_equal(
        np.asarray(again(crops)["gender"]), np.asarray(ensemble(crops)["gender"])
    )


@pytest.mark.parametrize(
    ("given", "missing"), [((), "mobilenet and pretrained"), ((0,), "mobilenet")]
)
def test_it_needs_both_networks(given, missing, files):
    with pytest.raises(
        ValueError, match=f"must hold trained networks for ensemble: {missing}. Train"
    ):
        begin_network(choose_network(COURSE, "ensemble"), [files[index] for index in given])


def test_grey_crops(crops):
    (output,) = build_ensemble(("emotion",), channels=1).outputs
    assert output.shape == (None, 7)
