"""A network with several heads that is trained with a masked, weighted loss."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import keras
import tensorflow as tf
from keras import ops

from facekit.training.loss_weighting.dwa import DynamicWeightAverage
from facekit.training.loss_weighting.fixed import FixedWeighting, SearchedWeighting
from facekit.training.loss_weighting.gradnorm import GradNormWeighting
from facekit.training.loss_weighting.joint_dynamic import (
    JointDynamicFixedWeighting,
    JointDynamicWeighting,
)
from facekit.training.loss_weighting.labelled import measure_labelled
from facekit.training.loss_weighting.uncertainty import UncertaintyWeighting
from facekit.training.loss_weighting.weighting import LossWeighting

LOSS_WEIGHTINGS: dict[str, type[LossWeighting]] = {
    "fixed": FixedWeighting,
    "uncertainty": UncertaintyWeighting,
    "search": SearchedWeighting,
    "joint_dynamic": JointDynamicWeighting,
    "joint_dynamic_fixed": JointDynamicFixedWeighting,
    "gradnorm": GradNormWeighting,
    "dwa": DynamicWeightAverage,
}
WEIGHT = "weight_"  # prefix of the history's columns with the mean weight of each task


class MultiTaskModel(keras.Model):
    """A network with several heads, trained with a masked loss for each.

    A row whose target for a task is NaN has no label for it: the row adds nothing to the loss of
    that task and teaches the other tasks as usual. The history of a training has the mean weight
    of each task in each epoch as `weight_TASK`.

    Args:
        network: Model with a dict of outputs, one for each task.
        weighting: Key of `LOSS_WEIGHTINGS`.
        start: The weight of each task in the first step; the weighting's own by default.

    Raises:
        ValueError: If there is no such weighting, if `start` breaks a rule of `LossWeighting`, or
            if the network lacks the shared layer that the weighting reads.

    Example:
        >>> from facekit.networks.attributes import add_heads
        >>> inputs = keras.Input((4,))
        >>> network = keras.Model(inputs, add_heads(inputs, ("gender", "ethnicity")))
        >>> sorted(MultiTaskModel(network, "fixed").output)
        ['ethnicity', 'gender']
    """

    def __init__(
        self,
        network: keras.Model,
        weighting: str = "uncertainty",
        start: Mapping[str, float] | None = None,
    ):
        super().__init__(network.input, network.output, name="multi_task")
        if weighting not in LOSS_WEIGHTINGS:
            raise ValueError(
                f"`weighting` must be one of {', '.join(LOSS_WEIGHTINGS)}; got {weighting!r}."
            )
        self.weighting = LOSS_WEIGHTINGS[weighting](self, list(network.output), start)
        self.mean_weights = [keras.metrics.Mean(f"{WEIGHT}{name}") for name in network.output]

    def train_step(self, data) -> dict:
        """Do one step of training, and return the metrics so far.

        Args:
            data: Crops, targets and weights, as `compute_loss` takes them.
        """
        x, y, sample_weight = keras.utils.unpack_x_y_sample_weight(data)
        with tf.GradientTape(persistent=True) as tape:  # a weighting may need further gradients
            answers, features = self._answer(x, training=True)
            losses = self.measure_losses(y, answers, sample_weight)
            loss = self.weighting.combine(losses, features)
            scaled = self.optimizer.scale_loss(loss)
        gradients = tape.gradient(scaled, self.trainable_weights)
        for metric, weight in zip(
            self.mean_weights, ops.unstack(self.weighting.latest), strict=True
        ):
            metric.update_state(weight)
        self.weighting.adapt(losses, tape)
        self.optimizer.apply_gradients(zip(gradients, self.trainable_weights, strict=True))
        self._loss_tracker.update_state(loss, sample_weight=ops.shape(x)[0])
        return self.compute_metrics(x, y, answers, sample_weight)

    def test_step(self, data) -> dict:
        """Measure a batch, and return the metrics so far.

        Args:
            data: As for `train_step`.
        """
        logs = super().test_step(data)
        return {name: value for name, value in logs.items() if not name.startswith(WEIGHT)}

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the combined loss of a batch.

        Args:
            x: The crops; only a weighting with a branch reads them.
            y: For each task targets, (batch, classes); NaN rows have no label.
            y_pred: For each task probabilities, (batch, classes).
            sample_weight: Weight of each row, (batch,), or a dict with such weights for each task.
            training: Whether to return the loss of a training step, not the validation loss.
        """
        losses = self.measure_losses(y, y_pred, sample_weight)
        if not training:
            return self.weighting.measure(losses)
        return self.weighting.combine(losses, self._answer(x, training=False)[1])

    def measure_losses(self, y, y_pred, sample_weight=None) -> dict[str, Any]:
        """Return the loss of each task, scalars; 0 for a task without a label in the batch.

        Args:
            y: As for `compute_loss`.
            y_pred: As for `compute_loss`.
            sample_weight: As for `compute_loss`.
        """
        losses = {}
        for name in y_pred:
            weights = sample_weight[name] if isinstance(sample_weight, dict) else sample_weight
            loss = measure_labelled(self.loss[name], y[name], y_pred[name])[0]
            losses[name] = ops.mean(loss if weights is None else loss * weights)
        return losses

    def _answer(self, x, training: bool) -> tuple[dict, Any]:
        """Return the answers, and the shared features if the weighting reads them."""
        if self.weighting.forward is not None:
            return self.weighting.forward(x, training=training)
        return self(x, training=training), None


class BalancedModel(MultiTaskModel):
    """A multi-task model weighted by uncertainty; the earlier name of that choice.

    Example:
        >>> from facekit.networks.attributes import add_heads
        >>> inputs = keras.Input((4,))
        >>> model = BalancedModel(keras.Model(inputs, add_heads(inputs, ("gender", "ethnicity"))))
        >>> sorted(model.log_variances)
        ['ethnicity', 'gender']
    """

    def __init__(self, network: keras.Model):
        super().__init__(network, "uncertainty")

    @property
    def log_variances(self) -> dict:
        """The learned log variance of each task."""
        assert isinstance(self.weighting, UncertaintyWeighting)
        return self.weighting.log_variances
