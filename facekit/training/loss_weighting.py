"""Combine the losses of several tasks into one: fixed weights, or weights from uncertainty.

A loss weighting is a class that is built with the model and its task names and whose `combine`
turns the tasks' losses into one number. It may keep variables that are learned with the network.
A new weighting is a new class here and an entry of `LOSS_WEIGHTINGS`; a `Course` names it.
"""

from __future__ import annotations

import math
from collections.abc import Sequence

import keras
from keras import ops

from facekit.taxonomy import LABELS

# Name of the variables that weightings learn; the optimizer must not decay them.
LEARNED_NAME = "log_variance"


class FixedWeighting:
    """Add the losses of all tasks with the same weight.

    Example:
        >>> weighting = FixedWeighting(keras.Sequential(), ("age", "gender"))
        >>> weighting.combine({"age": 1.5, "gender": 0.5})
        2.0
    """

    def __init__(self, model: keras.Model, names: Sequence[str]):
        self.names = tuple(names)

    def combine(self, losses: dict):
        """Return the sum of the losses, scalar.

        Args:
            losses: One scalar for each task.
        """
        return sum(losses[name] for name in self.names)


class UncertaintyWeighting:
    """Weight each loss by a learned uncertainty of its task.

    A loss L counts as L / exp(s) + s, and s is learned with the network. A task whose loss stays
    large gets a large s and a small weight. At first exp(s) is the cross-entropy of a guess: a
    hundred ages to choose from must not count more than two genders.

    Reference: Kendall, Gal, Cipolla, 2018, Multi-Task Learning Using Uncertainty to Weigh Losses
        for Scene Geometry and Semantics, CVPR, doi 10.1109/CVPR.2018.00781.

    Example:
        >>> weighting = UncertaintyWeighting(keras.Sequential(), ("age", "gender"))
        >>> guess = {name: math.log(len(LABELS[name])) for name in ("age", "gender")}
        >>> round(float(weighting.combine(guess)), 2)  # 1 + log(4.62) + 1 + log(0.69)
        3.16
    """

    def __init__(self, model: keras.Model, names: Sequence[str]):
        self.log_variances = {
            name: model.add_weight(
                shape=(),
                initializer=keras.initializers.Constant(math.log(math.log(len(LABELS[name])))),
                name=f"{name}_{LEARNED_NAME}",
                dtype="float32",
            )
            for name in names
        }

    def combine(self, losses: dict):
        """Return the weighted sum of the losses, scalar.

        Args:
            losses: One scalar for each task.
        """
        total = 0.0
        for name, log_variance in self.log_variances.items():
            total = total + losses[name] * ops.exp(-log_variance) + log_variance
        return total


Weighting = FixedWeighting | UncertaintyWeighting
LOSS_WEIGHTINGS: dict[str, type[Weighting]] = {
    "fixed": FixedWeighting,
    "uncertainty": UncertaintyWeighting,
}


class MultiTaskModel(keras.Model):
    """A network with several heads, trained with a masked loss for each.

    A row whose target for a task is NaN has no label for it: the row adds nothing to the loss of
    that task and teaches the other tasks as usual.

    Args:
        network: Model with a dict of outputs, one for each task.
        weighting: Key of `LOSS_WEIGHTINGS`.

    Example:
        >>> from facekit.networks.attributes import add_heads
        >>> inputs = keras.Input((4,))
        >>> network = keras.Model(inputs, add_heads(inputs, ("gender", "ethnicity")))
        >>> sorted(MultiTaskModel(network, "fixed").output)
        ['ethnicity', 'gender']
    """

    def __init__(self, network: keras.Model, weighting: str = "uncertainty"):
        super().__init__(network.input, network.output, name="multi_task")
        if weighting not in LOSS_WEIGHTINGS:
            raise ValueError(
                f"`weighting` must be one of {', '.join(LOSS_WEIGHTINGS)}; got {weighting!r}."
            )
        self.weighting: Weighting = LOSS_WEIGHTINGS[weighting](self, list(network.output))

    def compute_loss(self, x=None, y=None, y_pred=None, sample_weight=None, training=True):
        """Return the combined loss of a batch.

        Args:
            x: Not used.
            y: For each task targets, (batch, classes); NaN rows have no label.
            y_pred: For each task probabilities, (batch, classes).
            sample_weight: Weight of each row, (batch,), or a dict with such weights for each task.
            training: Not used.
        """
        losses = {}
        for name in y_pred:
            weights = sample_weight[name] if isinstance(sample_weight, dict) else sample_weight
            loss = measure_labelled(self.loss[name], y[name], y_pred[name])[0]
            losses[name] = ops.mean(loss if weights is None else loss * weights)
        return self.weighting.combine(losses)


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


class LabelledMean(keras.metrics.Mean):
    """Mean of a function of targets and predictions over the rows that have a label.

    Args:
        function: A loss or metric of a `Task`.
        name: Name in the training history.

    Example:
        >>> from facekit.training.tasks import accuracy
        >>> metric, missing = LabelledMean(accuracy, "accuracy"), float("nan")
        >>> targets = ops.array([[1.0, 0.0], [missing, missing]])
        >>> _ = metric.update_state(targets, ops.array([[0.9, 0.1], [0.2, 0.8]]))
        >>> float(metric.result())
        1.0
    """

    def __init__(self, function, name: str):
        super().__init__(name=name)
        self.function = function

    def update_state(self, y_true, y_pred, sample_weight=None):
        """Add a batch.

        Args:
            y_true: Targets, (batch, classes); NaN rows have no label.
            y_pred: Probabilities, (batch, classes).
            sample_weight: Not used: the metric counts each labelled row once.
        """
        values, labelled = measure_labelled(self.function, y_true, y_pred)
        return super().update_state(values, sample_weight=labelled)


def measure_labelled(function, targets, probabilities):
    """Return a function's value for each row with a label and 0 for the others, and the mask.

    The targets of the other rows are replaced before the function sees them, so that neither the
    values nor their gradients become NaN.

    Args:
        function: Takes targets and probabilities, (batch, classes), and returns (batch,).
        targets: NaN rows have no label.
        probabilities: Predictions.

    Returns:
        Values (batch,), and the mask (batch,) as 0 and 1, float32.

    Example:
        >>> from facekit.training.tasks import accuracy
        >>> missing = float("nan")
        >>> targets = ops.array([[1.0, 0.0], [missing, missing]])
        >>> values, mask = measure_labelled(accuracy, targets, ops.array([[0.9, 0.1], [0.2, 0.8]]))
        >>> ops.convert_to_numpy(values).tolist(), ops.convert_to_numpy(mask).tolist()
        ([1.0, 0.0], [1.0, 0.0])
    """
    labelled = ops.logical_not(ops.any(ops.isnan(targets), axis=-1))
    targets = ops.where(labelled[:, None], targets, ops.stop_gradient(probabilities))
    values = function(targets, probabilities)
    return ops.where(labelled, values, ops.zeros_like(values)), ops.cast(labelled, "float32")
