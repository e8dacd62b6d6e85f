"""Load Keras and TensorFlow quietly, or say in one sentence that they are missing."""

from __future__ import annotations

import contextlib
import importlib
import importlib.util
import logging
import os
import warnings
from collections.abc import Iterator

# Warnings of Keras 3.15 about its own use of NumPy 2.
KERAS_WARNINGS = (
    ("In the future `np.object` will be defined", FutureWarning),
    ("__array__ implementation doesn't accept a copy keyword", DeprecationWarning),
)


class MissingPackageError(ImportError):
    """A package that is not installed. Notebooks show the sentence alone, without a traceback.

    Example:
        >>> raise MissingPackageError("This lesson trains a network, which needs TensorFlow.")
        Traceback (most recent call last):
        facekit.training.backend.MissingPackageError: This lesson trains a network, which needs ...
    """

    def _render_traceback_(self) -> list[str]:  # IPython calls it
        return [str(self)]


def require_training(what: str = "This lesson trains a network") -> None:
    """Import Keras quietly, or stop with the remedy if TensorFlow is not installed.

    Args:
        what: The purpose that needs TensorFlow. The error begins with it.

    Raises:
        MissingPackageError: If TensorFlow is not installed. The message names the remedy.

    Example:
        >>> require_training("This cell augments faces")  # doctest: +SKIP
    """
    if importlib.util.find_spec("tensorflow") is None:
        raise MissingPackageError(
            f"{what}, which needs TensorFlow: run `make lab` in a clone of facekit, or run "
            "`%pip install 'facekit[train]'` in a cell of its own and restart the kernel. "
            "All lessons but 10, 11 and 12 run without TensorFlow."
        )
    os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
    with _mute_errors():  # TensorFlow describes the machine before it reads that level
        importlib.import_module("keras")
    # TensorFlow warns that several small networks are traced anew, which lessons do on purpose.
    logging.getLogger("tensorflow").setLevel(logging.ERROR)
    for message, category in KERAS_WARNINGS:
        warnings.filterwarnings("ignore", message, category)


@contextlib.contextmanager
def _mute_errors() -> Iterator[None]:
    """Discard everything that C++ or Python writes to the error stream."""
    kept, nowhere = os.dup(2), os.open(os.devnull, os.O_WRONLY)
    try:
        os.dup2(nowhere, 2)
        yield
    finally:
        os.dup2(kept, 2)
        os.close(kept)
        os.close(nowhere)
