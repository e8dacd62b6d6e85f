"""Losses and metrics over the rows of a batch that have a label."""

from __future__ import annotations

import keras
from keras import ops


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
