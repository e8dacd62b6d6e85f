"""Weigh the losses of several tasks against each other while they are learned."""

from __future__ import annotations

import keras
from keras import ops


class BalancedModel(keras.Model):
    """A network of several heads whose losses are weighed by how uncertain each task turns out to
    be.

    Each loss L counts as L / exp(s) + s, with s learned beside the weights: a task whose loss stays
    large is trusted less.

    Reference: Kendall, Gal, Cipolla, 2018, Multi-Task Learning Using Uncertainty to Weigh Losses.
    """

    def __init__(self, network: keras.Model):
        super().__init__(network.input, network.output, name="balanced")
        self.log_variances = {
            name: self.add_weight(
                shape=(), initializer="zeros", name=f"{name}_log_variance", dtype="float32"
            )
            for name in network.output
        }

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the weighed sum of the heads' losses."""
        total = 0.0
        for name, log_variance in self.log_variances.items():
            loss = self.loss[name](y[name], y_pred[name])
            loss = ops.mean(loss if sample_weight is None else loss * sample_weight)
            total = total + loss * ops.exp(-log_variance) + log_variance
        return total
