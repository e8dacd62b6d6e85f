"""Run models on ONNX Runtime.

Inputs are cut and normalised by `images`; outputs are interpreted by `detection` and `fusion`. The
files are found by `registry`.
"""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from facekit.registry import ModelError, find_model

BATCH = 64  # crops per run: keeps two cores busy, and a crowd still fits in memory


def open_session(name: str, model: str | None = None) -> onnxruntime.InferenceSession:
    """Open a model of the registry, once per process.

    Args:
        name: A task, or the name of a model.
        model: A model that serves the task `name`, in place of the default.

    Raises:
        ModelError: If the model is not listed, missing, damaged, or ONNX Runtime cannot run it.

    Example:
        >>> sorted(output.name for output in open_session("gender").get_outputs())
        ['age', 'ethnicity', 'gender']
    """
    entry, path = find_model(name, model=model)
    return _open_session(path, entry.sha256)


@functools.cache
def _open_session(path: Path, sha256: str) -> onnxruntime.InferenceSession:
    return load_session(path)


def load_session(path: str | Path) -> onnxruntime.InferenceSession:
    """Open an ONNX file that need not be in the registry.

    Args:
        path: The file.

    Raises:
        ModelError: If ONNX Runtime cannot run it.

    Example:
        >>> from facekit.registry import find_model
        >>> load_session(find_model("emotion")[1]).get_inputs()[0].shape[1:]
        [48, 48, 1]
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    # Waiting threads leave the processor to other programs.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # An arena would keep the memory that the largest image needed until the process ends.
    options.enable_cpu_mem_arena = False
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has its own class for each kind of failure
        raise ModelError(
            f"{path}: ONNX Runtime cannot run this model ({error}); reinstall facekit."
        ) from error


def run_session(
    session: onnxruntime.InferenceSession, inputs: np.ndarray, outputs: Sequence[str] | None = None
) -> list[np.ndarray]:
    """Run an open model over any number of inputs, `BATCH` at a time.

    Args:
        session: A model with one input.
        inputs: (batch, height, width, channels) float32.
        outputs: Names of the outputs to compute; all by default.

    Returns:
        The outputs, each with the batch as its first axis.

    Example:
        >>> crops = np.zeros((3, 134, 134, 3), np.float32)
        >>> [answer.shape for answer in run_session(open_session("age"), crops, ["age", "gender"])]
        [(3, 101), (3, 2)]
    """
    key = session.get_inputs()[0].name
    if not len(inputs):  # not every network takes an empty batch
        nothing = np.zeros((1, *inputs.shape[1:]), np.float32)
        return [answer[:0] for answer in session.run(outputs, {key: nothing})]
    starts = range(0, len(inputs), BATCH)
    parts = [session.run(outputs, {key: inputs[start : start + BATCH]}) for start in starts]
    return [np.concatenate(batches) for batches in zip(*parts, strict=True)]


def run_model(
    name: str,
    inputs: np.ndarray,
    outputs: Sequence[str] | None = None,
    model: str | None = None,
) -> list[np.ndarray]:
    """Run a model of the registry.

    Args:
        name: A task, or the name of a model.
        inputs: As for `run_session`.
        outputs: As for `run_session`.
        model: A model that serves the task `name`, in place of the default.

    Returns:
        As `run_session`.

    Raises:
        ModelError: As `open_session`.

    Example:
        >>> (emotions,) = run_model("emotion", np.zeros((1, 48, 48, 1), np.float32))
        >>> round(float(emotions.sum()), 3)
        1.0
    """
    return run_session(open_session(name, model), inputs, outputs)
