"""Run the shipped models on ONNX Runtime. What goes in is cut by `images`; what comes out is read by `detection` and `fusion`."""

from __future__ import annotations

import functools
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import onnxruntime

from facekit.registry import ModelError, find_model

BATCH = 64  # crops a run: enough to keep two cores busy, little enough that a crowd fits in memory


def open_session(name: str) -> onnxruntime.InferenceSession:
    """Open a shipped model, once a process.

    Raises:
        ModelError: If the model is unlisted, missing, damaged, or not one that ONNX Runtime can
            run.
    """
    entry, path = find_model(name)
    return _open_session(path, entry.sha256)


@functools.cache
def _open_session(path: Path, sha256: str) -> onnxruntime.InferenceSession:
    return load_session(path)


def load_session(path: Path) -> onnxruntime.InferenceSession:
    """Open an ONNX file of one's own.

    Raises:
        ModelError: If ONNX Runtime cannot run it.
    """
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3  # errors only
    options.add_session_config_entry(
        "session.intra_op.allow_spinning", "0"
    )  # threads that wait leave the processor to others
    options.enable_cpu_mem_arena = False  # an arena keeps the largest picture's memory for ever
    try:
        return onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    except Exception as error:  # ONNX Runtime has a class of its own for every way to fail
        raise ModelError(
            f"{path}: ONNX Runtime cannot run this model ({error}); reinstall facekit."
        ) from error


def run_session(
    session: onnxruntime.InferenceSession, inputs: np.ndarray, outputs: Sequence[str] | None = None
) -> list[np.ndarray]:
    """Run an open model over a batch of any length, `BATCH` at a time.

    Args:
        session: With one input.
        inputs: (batch, height, width, channels) float32.
        outputs: Names of those wanted, all by default; nothing is computed for the others.

    Returns:
        The outputs, each with the batch as its first axis.
    """
    key = session.get_inputs()[0].name
    starts = range(0, max(len(inputs), 1), BATCH)
    parts = [session.run(outputs, {key: inputs[start : start + BATCH]}) for start in starts]
    return [np.concatenate(batches) for batches in zip(*parts, strict=True)]


def run_model(
    name: str, inputs: np.ndarray, outputs: Sequence[str] | None = None
) -> list[np.ndarray]:
    """Run a shipped model, as `run_session` does."""
    return run_session(open_session(name), inputs, outputs)
