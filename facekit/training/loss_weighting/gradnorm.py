"""Weights that balance the norms of the tasks' gradients: GradNorm."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf
from keras import ops

from facekit.training.loss_weighting.joint_dynamic import compare_to_first
from facekit.training.loss_weighting.weighting import LossWeighting, find_shared_kernel

ALPHA = 1.5  # of the paper, for tasks that differ: how much slow tasks are sped up
RATE = 0.025  # of the paper: learning rate of the weights
SMALLEST = 0.01  # the paper does not say what keeps weights positive


class GradNormWeighting(LossWeighting):
    """Weights with which each task's gradient is as large as its progress asks for.

    G_k is the norm of the gradient of w_k L_k with respect to the weights of the last shared layer,
    as in the paper (not of the shared features, which would be cheaper). Its target is the mean G
    times the relative inverse training rate of the task to the power of `ALPHA`. After each step
    the weights are moved against the gradient of the sum of abs(G_k - target_k), the targets held
    constant, and scaled to sum to the number of tasks. A task without a label in the batch keeps
    its weight, up to this scale.

    Args:
        model: A network with a layer to train before its heads.
        names: As for `LossWeighting`.
        start: As for `LossWeighting`, scaled to sum to the number of tasks.

    Raises:
        ValueError: As `find_shared_kernel`.

    Reference: Chen et al., 2018, GradNorm: Gradient Normalization for Adaptive Loss Balancing in
        Deep Multitask Networks, ICML, arXiv 1711.02257.

    Example:
        >>> from facekit.networks.attributes import add_heads
        >>> hidden = keras.layers.Dense(8)(inputs := keras.Input((4,)))
        >>> network = keras.Model(inputs, add_heads(hidden, ("gender", "ethnicity")))
        >>> weighting = GradNormWeighting(network, ("gender", "ethnicity"))
        >>> float(weighting.combine({"gender": 1.0, "ethnicity": 2.0}))
        3.0
    """

    def __init__(
        self, model: keras.Model, names: Sequence[str], start: Mapping[str, float] | None = None
    ):
        super().__init__(model, names, start)
        self.kernel = find_shared_kernel(model)
        self.first_losses = self._add_state("first_losses", np.zeros(len(self.names)))

    def combine(self, losses: Mapping[str, Any], features=None):
        """Return the weighted sum of the losses, scalar.

        Args:
            losses: One scalar for each task.
            features: Not used.
        """
        return ops.sum(ops.convert_to_tensor(self.latest) * self._stack(losses))

    def adapt(self, losses: Mapping[str, Any], tape) -> None:
        """Move the weights by one step.

        Args:
            losses: As for `LossWeighting.adapt`.
            tape: As for `LossWeighting.adapt`.
        """
        gradients = [
            tape.gradient(
                losses[name], self.kernel, unconnected_gradients=tf.UnconnectedGradients.ZERO
            )
            for name in self.names
        ]
        norms = ops.stack([ops.sqrt(ops.sum(ops.square(each))) for each in gradients])
        values = self._stack(losses)
        ratios = compare_to_first(self.first_losses, values)
        present = ops.cast(values > 0, "float32")
        self.latest.assign(balance_norms(self.latest, norms, ratios, present))

    def _scale_start(self, start: dict[str, float]) -> dict[str, float]:
        scale = len(start) / sum(start.values())
        return {name: weight * scale for name, weight in start.items()}


def balance_norms(weights, norms, ratios, present):
    """Return the weights after one step of GradNorm, (tasks,).

    Args:
        weights: Those of the step, (tasks,), which sum to the number of tasks.
        norms: Of the gradients of the losses without weights, (tasks,).
        ratios: The losses as shares of those of the first step, (tasks,).
        present: 1 for a task with a label in the batch, else 0, (tasks,).

    Example:
        >>> weights, norms, ratios = np.ones(2), np.array([1.0, 3.0]), np.ones(2)
        >>> balance_norms(weights, norms, ratios, np.ones(2)).numpy().round(3)  # mean norm: 2
        array([1.051, 0.949])
    """
    count = ops.maximum(ops.sum(present), 1)
    sizes = weights * norms
    mean_ratio = ops.sum(ratios * present) / count
    rates = ratios / ops.where(mean_ratio > 0, mean_ratio, ops.ones_like(mean_ratio))
    targets = ops.sum(sizes * present) / count * rates**ALPHA
    moved = ops.maximum(weights - RATE * ops.sign(sizes - targets) * norms * present, SMALLEST)
    return moved * moved.shape[0] / ops.sum(moved)
