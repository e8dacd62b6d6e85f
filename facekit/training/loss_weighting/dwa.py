"""Weights from the rate at which the losses fall: dynamic weight average."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
from keras import ops

from facekit.training.loss_weighting.weighting import LossWeighting

TEMPERATURE = 2.0  # of the paper; with a higher one the weights are more alike


class DynamicWeightAverage(LossWeighting):
    """Weights that grow for a task whose loss fell less than the others' in the last two epochs.

    With r_k = L_k(t - 1) / L_k(t - 2), the ratio of the mean losses of the last two epochs, the
    weights of epoch t are K softmax(r / T) for K tasks. In the first two epochs they are equal.
    Given start weights are multiplied by this.

    Args:
        model: As for `LossWeighting`.
        names: As for `LossWeighting`.
        start: As for `LossWeighting`.

    Reference: Liu, Johns, Davison, 2019, End-to-End Multi-Task Learning with Attention, CVPR,
        arXiv 1803.10704.

    Example:
        >>> weighting = DynamicWeightAverage(keras.Sequential(), ("age", "gender"))
        >>> for losses in ({"age": 4.0, "gender": 1.0}, {"age": 2.0, "gender": 1.0}):
        ...     _ = weighting.combine(losses)  # one step an epoch
        ...     weighting.on_epoch_end()
        >>> {name: round(weight, 3) for name, weight in weighting.weights.items()}
        {'age': 0.876, 'gender': 1.124}
    """

    def __init__(
        self, model: keras.Model, names: Sequence[str], start: Mapping[str, float] | None = None
    ):
        super().__init__(model, names, start)
        zeros = np.zeros(len(self.names))
        self.totals = self._add_state("totals", zeros)  # of the losses of this epoch
        self.steps = self._add_state("steps", 0.0)  # of this epoch
        self.mean_losses = self._add_state("mean_losses", zeros)  # of the epoch before; 0 if none

    def combine(self, losses: Mapping[str, Any], features=None):
        """Return the weighted sum of the losses, scalar.

        Args:
            losses: One scalar for each task.
            features: Not used.
        """
        values = self._stack(losses)
        self.totals.assign(self.totals + ops.stop_gradient(values))
        self.steps.assign(self.steps + 1)
        return ops.sum(ops.convert_to_tensor(self.latest) * values)

    def on_epoch_end(self) -> None:
        """Set the weights of the next epoch."""
        mean_losses = ops.convert_to_numpy(self.totals) / max(float(self.steps), 1)
        earlier = ops.convert_to_numpy(self.mean_losses)
        if earlier.any():
            start = np.array(list(self.start.values()))
            self.latest.assign(start * average_weights(mean_losses, earlier))
        self.mean_losses.assign(mean_losses)
        self.totals.assign(np.zeros_like(mean_losses))
        self.steps.assign(0.0)


def average_weights(losses: np.ndarray, earlier: np.ndarray) -> np.ndarray:
    """Return the weights of the next epoch, (tasks,), with a mean of 1.

    Args:
        losses: Mean losses of the last epoch, (tasks,).
        earlier: Those of the epoch before it; where one is 0, the task had no labels, and its loss
            counts as unchanged.

    Example:
        >>> average_weights(np.array([2.0, 1.0]), np.array([4.0, 1.0])).round(3)
        array([0.876, 1.124])
    """
    ratios = np.divide(losses, earlier, out=np.ones(len(losses)), where=earlier > 0)
    powers = np.exp(ratios / TEMPERATURE)
    return len(losses) * powers / powers.sum()
