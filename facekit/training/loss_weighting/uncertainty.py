"""Weights from the learned uncertainty of each task."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any

import keras
from keras import ops

from facekit.taxonomy import LABELS
from facekit.training.loss_weighting.weighting import LossWeighting


class UncertaintyWeighting(LossWeighting):
    """Weight each loss by a learned uncertainty of its task.

    A loss L counts as L / exp(s) + s, and s is learned with the network. A task whose loss stays
    large gets a large s and a small weight. At first exp(s) is the cross-entropy of a guess: a
    hundred ages to choose from must not count more than two genders. The validation loss has the
    same form: it is a likelihood, in which a smaller s has its price.

    Args:
        model: As for `LossWeighting`.
        names: As for `LossWeighting`.
        start: As for `LossWeighting`; by default 1 / the cross-entropy of a guess.

    Reference: Kendall, Gal, Cipolla, 2018, Multi-Task Learning Using Uncertainty to Weigh Losses
        for Scene Geometry and Semantics, CVPR, doi 10.1109/CVPR.2018.00781.

    Example:
        >>> weighting = UncertaintyWeighting(keras.Sequential(), ("age", "gender"))
        >>> guess = {name: math.log(len(LABELS[name])) for name in ("age", "gender")}
        >>> round(float(weighting.combine(guess)), 2)  # 1 + log(4.62) + 1 + log(0.69)
        3.16
    """

    def __init__(
        self, model: keras.Model, names: Sequence[str], start: Mapping[str, float] | None = None
    ):
        if start is None:
            start = {name: 1 / math.log(len(LABELS[name])) for name in names}
        super().__init__(model, names, start)
        self.log_variances = {
            name: self._add_state(f"{name}_log_variance", -math.log(weight), trainable=True)
            for name, weight in self.start.items()
        }

    def combine(self, losses: Mapping[str, Any], features=None):
        """Return the weighted sum of the losses and the log variances, scalar.

        Args:
            losses: One scalar for each task.
            features: Not used.
        """
        variances = [self.log_variances[name] + 0.0 for name in self.names]
        self.latest.assign(ops.exp(-ops.stack(variances)))
        return self.measure(losses)

    def measure(self, losses: Mapping[str, Any]):
        """Return the same for the validation split, scalar.

        Args:
            losses: One scalar for each task.
        """
        total = 0.0
        for name, log_variance in self.log_variances.items():
            total = total + losses[name] * ops.exp(-log_variance) + log_variance
        return total
