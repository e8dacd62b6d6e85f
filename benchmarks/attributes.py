"""Time the networks of all four attributes together, and dlib's embedding network beside them.

The network of age, gender and ethnicity was fine-tuned from that one. Both run on ONNX Runtime with
as many threads as there are cores, in turn, on the same crops. The best of several rounds counts:
the others were slowed down by other programs. The embedding network needs:
pip install 'facekit[train]'
"""

from __future__ import annotations

import tempfile
import time
from pathlib import Path

import numpy as np

from facekit.evaluation.markdown import make_markdown
from facekit.inference import load_session, open_session, run_session
from facekit.registry import find_model
from facekit.taxonomy import ATTRIBUTES

BATCHES = (1, 8, 64)
ROUNDS = 15
HEADER = (
    "faces per run",
    "four attributes, ms per face",
    "embedding network, ms per face",
    "ratio",
)


def export_embedding_network(folder: Path) -> Path:
    """Export dlib's embedding network at its own size."""
    from facekit.networks.embedding import (
        SIDE,
        build_embedding_network,
        load_dlib_weights,
    )

    network = load_dlib_weights(build_embedding_network())
    network(np.zeros((1, SIDE, SIDE, 3), np.float32))
    network.export(folder / "embedding.onnx", format="onnx", verbose=False)
    return folder / "embedding.onnx"


def time_best(sessions: list, inputs: list[np.ndarray]) -> float:
    """Return the shortest time of several rounds, in seconds; a round runs each session once."""
    times = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        for session, crops in zip(sessions, inputs, strict=True):
            run_session(session, crops)
        times.append(time.perf_counter() - start)
    return min(times)


def main() -> None:
    """Print a table."""
    generator = np.random.default_rng(0)
    # One model may serve several attributes.
    models = list({find_model(name)[0].name: find_model(name)[0] for name in ATTRIBUTES}.values())
    served = [open_session(next(iter(model.tasks)), model.name) for model in models]
    forms = [model.input for model in models]
    with tempfile.TemporaryDirectory() as folder:
        whole = load_session(export_embedding_network(Path(folder)))
        rows = []
        for batch in BATCHES:
            crops = [
                generator.uniform(
                    -1,
                    1,
                    # A mirror image is one more crop.
                    (
                        batch * (2 if form.get("mirror") else 1),
                        form["size"],
                        form["size"],
                        form["channels"],
                    ),
                ).astype(np.float32)
                for form in forms
            ]
            ours = time_best(served, crops) / batch * 1000
            theirs = (
                time_best(
                    [whole], [generator.uniform(-1, 1, (batch, 150, 150, 3)).astype(np.float32)]
                )
                / batch
                * 1000
            )
            rows.append((batch, f"{ours:.2f}", f"{theirs:.2f}", f"{ours / theirs:.2f}"))
    print(make_markdown(rows, HEADER))


if __name__ == "__main__":
    main()
