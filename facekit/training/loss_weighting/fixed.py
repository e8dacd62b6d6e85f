"""Weights that stay as they are: given ones, or those that a search found."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import keras  # noqa: F401  (for the examples)

from facekit.training.loss_weighting.search import run_search
from facekit.training.loss_weighting.weighting import LossWeighting, TryWeights


class FixedWeighting(LossWeighting):
    """Add the losses of all tasks with given weights, 1 each by default.

    Example:
        >>> weighting = FixedWeighting(keras.Sequential(), ("age", "gender"))
        >>> weighting.combine({"age": 1.5, "gender": 0.5})
        2.0
    """


class SearchedWeighting(LossWeighting):
    """Find the weights by brute force on the validation split, then keep them fixed.

    Before the training `prepare` tries a grid of weights. The table of all tries is `search.csv`
    in the folder of the run, and `config.json` names the weights that were found. Without
    `prepare` the weights are those of the start.

    Example:
        >>> import tempfile
        >>> weighting = SearchedWeighting(keras.Sequential(), ("age", "gender"))
        >>> def try_weights(weights, folder):  # a little more weight on age is best
        ...     return {"age": abs(weights["age"] - 0.6), "gender": 0.5}
        >>> weighting.prepare(try_weights, Path(tempfile.mkdtemp()), resumed=False)
        {'loss_weights': {'age': 0.6667, 'gender': 0.3333}}
    """

    def prepare(self, try_weights: TryWeights, run: Path, resumed: bool) -> dict[str, Any]:
        """Find the weights; a resumed run reads them from its `search.csv`.

        Args:
            try_weights: As for `LossWeighting.prepare`.
            run: Folder of the run.
            resumed: As for `LossWeighting.prepare`.
        """
        self.start = run_search(self.names, try_weights, run, resumed)
        self.latest.assign(list(self.start.values()))
        return {"loss_weights": self.start}
