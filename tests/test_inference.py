import numpy as np
import pytest

from facekit.inference import BATCH, load_session, open_session, run_model, run_session
from facekit.registry import (
    MODELS_VARIABLE,
    ModelEntry,
    ModelError,
    TaskEntry,
    find_model,
    hash_file,
    save_entry,
)
from facekit.taxonomy import ATTRIBUTES, LABELS


def make_inputs(count) -> np.ndarray:
    """What R-Net takes."""
    return np.random.default_rng(0).uniform(-1, 1, (count, 24, 24, 3)).astype(np.float32)


@pytest.mark.parametrize("count", [0, 1, BATCH, BATCH + 1])
def test_batches_of_any_length_run(count):
    probabilities, offsets = run_model("rnet", make_inputs(count))
    assert probabilities.shape == (count, 2)
    assert offsets.shape == (count, 4)
    assert probabilities.dtype == np.float32


@pytest.mark.parametrize("task", ATTRIBUTES)
def test_no_faces_have_no_answers(task):
    form = find_model(task)[0].input
    nothing = np.zeros((0, form["size"], form["size"], form["channels"]), np.float32)
    assert run_model(task, nothing, [task])[0].shape == (0, len(LABELS[task]))


def test_the_order_is_kept_over_batches():
    inputs = make_inputs(BATCH + 1)
    whole = run_model("rnet", inputs)[0]
    for index in (0, BATCH - 1, BATCH):
        np.testing.assert_allclose(
            whole[index], run_model("rnet", inputs[[index]])[0][0], atol=1e-5
        )


def test_a_session_is_opened_once():
    session = open_session("rnet")
    assert open_session("rnet") is session
    np.testing.assert_array_equal(
        run_session(session, make_inputs(2))[0], run_model("rnet", make_inputs(2))[0]
    )


def test_a_model_can_be_named_for_a_task():
    assert open_session("age", "faces") is open_session("faces") is open_session("gender")
    with pytest.raises(ModelError, match=r"model 'emotion' does not serve age; it serves emotion"):
        open_session("age", "emotion")


def test_unlisted_model_is_an_error():
    with pytest.raises(
        ModelError, match=r"no model is listed for 'snet'; known tasks: age, .*rnet"
    ):
        run_model("snet", make_inputs(1))


def test_a_listed_file_that_is_no_model_is_an_error(tmp_path, monkeypatch):
    (tmp_path / "rnet.onnx").write_text("Dear diary, today")
    sha256 = hash_file(tmp_path / "rnet.onnx")
    entry = ModelEntry("rnet", "rnet.onnx", sha256, {"size": 24}, {"detection": TaskEntry()})
    save_entry(entry, tmp_path)
    monkeypatch.setenv(MODELS_VARIABLE, str(tmp_path))
    with pytest.raises(
        ModelError,
        match=r"rnet\.onnx: ONNX Runtime cannot run this model \(.+\); reinstall facekit\.",
    ):
        open_session("rnet")


def test_missing_file_of_ones_own_is_an_error(tmp_path):
    with pytest.raises(ModelError, match=r"gone\.onnx: ONNX Runtime cannot run this model"):
        load_session(tmp_path / "gone.onnx")
