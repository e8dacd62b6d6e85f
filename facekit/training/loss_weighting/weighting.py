"""What all loss weightings have in common, and the shared part of a network that some of them read.

A weighting is asked in this order: `prepare` once before the training; in each step `combine`, then
`adapt`; `on_epoch_end` after each epoch. `measure` gives the validation loss. Everything that a
weighting changes is a variable of the model, so that it is saved with the weights and an
interrupted run goes on with the same state.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

# Part of the name of all variables of a weighting; the optimizer must not decay them.
LEARNED_NAME = "loss_weighting"

# Train briefly with some weights and files in a folder; return each task's loss on the validation
# split as a share of that of a constant guess.
TryWeights = Callable[[dict[str, float], Path], dict[str, float]]


class LossWeighting:
    """A way to combine the losses of several tasks; the weights of this one do not change.

    Args:
        model: The network; the variables of the weighting are added to it.
        names: The tasks.
        start: The weight of each task in the first step, all positive; 1 each by default.

    Attributes:
        names: The tasks, in order.
        start: The weight of each task in the first step.
        latest: The weights of the latest step as a variable, (tasks,) float32.
        forward: Model from the inputs to a pair, the answers and the features that the heads share;
            `None` if the weighting does not read the features.

    Raises:
        ValueError: If `start` names other tasks, or a weight is not a positive number.

    Example:
        >>> start = {"age": 1, "gender": 3}
        >>> weighting = LossWeighting(keras.Sequential(), ("age", "gender"), start)
        >>> weighting.weights
        {'age': 1.0, 'gender': 3.0}
        >>> weighting.combine({"age": 1.5, "gender": 0.5})
        3.0
    """

    forward: keras.Model | None = None

    def __init__(
        self, model: keras.Model, names: Sequence[str], start: Mapping[str, float] | None = None
    ):
        self.names = tuple(names)
        self.start = self._scale_start(check_weights(self.names, start))
        self._model = model
        self.latest = self._add_state("latest", list(self.start.values()))

    @property
    def weights(self) -> dict[str, float]:
        """The weight of each task in the latest step; those of the first step before it."""
        values = ops.convert_to_numpy(self.latest)
        return {name: float(value) for name, value in zip(self.names, values, strict=True)}

    def prepare(self, try_weights: TryWeights, run: Path, resumed: bool) -> dict[str, Any]:
        """Do what comes before the training.

        Args:
            try_weights: Trains the network briefly with some weights, and leaves it unchanged.
            run: Folder of the run.
            resumed: Whether the training resumes an interrupted run.

        Returns:
            Entries for `config.json`.
        """
        return {}

    def combine(self, losses: Mapping[str, Any], features=None):
        """Return the loss of a training step, scalar.

        Args:
            losses: One scalar for each task; 0 for a task without a label in the batch.
            features: What the heads read, (batch, features); only with `forward`.
        """
        return self.measure(losses)

    def measure(self, losses: Mapping[str, Any]):
        """Return the validation loss, scalar: it must mean the same in each epoch.

        Therefore it has the weights of the first step. With weights that change, the loss could
        fall while the network gets no better.

        Args:
            losses: One scalar for each task.
        """
        return sum(self.start[name] * losses[name] for name in self.names)

    def adapt(self, losses: Mapping[str, Any], tape) -> None:
        """Change the weights after a step.

        Args:
            losses: The scalars that `combine` got.
            tape: A persistent `tf.GradientTape` that recorded how they were computed.
        """

    def on_epoch_end(self) -> None:
        """Change the weights after an epoch."""

    def _scale_start(self, start: dict[str, float]) -> dict[str, float]:
        return start

    def _add_state(self, name: str, values, trainable: bool = False) -> keras.Variable:
        values = np.asarray(values, np.float32)
        return self._model.add_weight(
            shape=values.shape,
            initializer=lambda shape, dtype: ops.convert_to_tensor(values, dtype),
            name=f"{LEARNED_NAME}_{name}",
            dtype="float32",
            trainable=trainable,
            autocast=False,
        )

    def _stack(self, losses: Mapping[str, Any]):
        return ops.stack([ops.cast(losses[name], "float32") for name in self.names])


def check_weights(names: Sequence[str], weights: Mapping[str, float] | None) -> dict[str, float]:
    """Return the weight of each task in the order of the tasks; 1 each by default.

    Args:
        names: The tasks.
        weights: A positive number for each task.

    Raises:
        ValueError: If `weights` names other tasks, or one is not a positive number.

    Example:
        >>> check_weights(("age", "gender"), {"gender": 2, "age": 1})
        {'age': 1.0, 'gender': 2.0}
    """
    weights = dict.fromkeys(names, 1.0) if weights is None else weights
    if set(weights) != set(names):
        raise ValueError(
            f"`start` must have one weight for each task ({', '.join(names)}); "
            f"got {', '.join(weights) or 'none'}."
        )
    for name, weight in weights.items():
        if not (math.isfinite(weight) and weight > 0):
            raise ValueError(f"`start` must hold positive numbers; got {weight} for {name}.")
    return {name: float(weights[name]) for name in names}


def find_features(network: keras.Model):
    """Return the tensor that the layers of all outputs read, (batch, features).

    Args:
        network: A model with a dict of outputs; each comes from a layer of the same name, as
            `networks.attributes.add_heads` makes them.

    Raises:
        ValueError: If the outputs do not all read one such tensor.

    Example:
        >>> from facekit.networks.attributes import add_heads
        >>> hidden = keras.layers.Dense(8)(inputs := keras.Input((4,)))
        >>> find_features(keras.Model(inputs, add_heads(hidden, ("gender", "ethnicity")))).shape
        (None, 8)
    """
    read = [head.input for head in _list_heads(network)]
    shared = all(tensor is read[0] for tensor in read)
    if not shared or not keras.utils.is_keras_tensor(read[0]) or len(read[0].shape) != 2:
        raise ValueError(
            "`network` must have heads that all read the same features, (batch, features), which "
            "this loss weighting reads too; the heads of "
            f"{', '.join(network.output)} do not. Choose another loss weighting."
        )
    return read[0]


def find_shared_kernel(network: keras.Model) -> keras.Variable:
    """Return the weights of the last layer before the heads that has a matrix or filters to train.

    Args:
        network: As for `find_features`, but the heads may read different features.

    Raises:
        ValueError: If there is no such layer.

    Example:
        >>> from facekit.networks.attributes import add_heads
        >>> hidden = keras.layers.Dense(8)(inputs := keras.Input((4,)))
        >>> network = keras.Model(inputs, add_heads(hidden, ("gender", "ethnicity")))
        >>> tuple(find_shared_kernel(network).shape)
        (4, 8)
    """
    heads = _list_heads(network)
    for layer in reversed(network.layers):
        kernels = [weight for weight in layer.trainable_weights if len(weight.shape) > 1]
        if kernels and layer not in heads:
            return kernels[-1]
    raise ValueError(
        "`network` must have a layer with weights to train before its heads, because this loss "
        "weighting compares gradients there; got none. Choose another loss weighting."
    )


def _list_heads(network: keras.Model) -> list[keras.Layer]:
    names = [layer.name for layer in network.layers]
    if missing := sorted(set(network.output) - set(names)):
        raise ValueError(
            "`network` must have a layer of its own for each output, of the same name; "
            f"got none for {', '.join(missing)}."
        )
    return [network.get_layer(name) for name in network.output]
