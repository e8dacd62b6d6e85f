import importlib.util
import sys

import pytest

from facekit.training import backend
from facekit.training.backend import MissingPackageError, require_training


def test_a_missing_package_gives_one_sentence(monkeypatch):
    monkeypatch.setattr(backend.importlib.util, "find_spec", lambda name: None)
    with pytest.raises(MissingPackageError, match=r"needs TensorFlow: run `make lab`") as caught:
        require_training()
    with pytest.raises(MissingPackageError, match=r"^A preview of it, which needs TensorFlow"):
        require_training("A preview of it")
    assert caught.value._render_traceback_() == [str(caught.value)]  # the sentence alone


@pytest.mark.skipif(
    importlib.util.find_spec("tensorflow") is None, reason="TensorFlow is not installed"
)
def test_keras_is_imported():
    require_training()
    assert "keras" in sys.modules
