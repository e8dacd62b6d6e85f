"""Weights from a small branch of the network: the joint dynamic weights of the second paper.

The branch is one dense layer on the features that all heads read. Its softmax gives the weight of
each task for each sample; the weights of a step are their mean over the mini-batch. They are
positive and sum to 1. The bias starts as the logarithm of the start weights and the kernel at zero,
so that the first step has exactly the start weights: given ones, or those that a search by brute
force finds on the validation split, as in the paper.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import keras
import numpy as np
from keras import ops

from facekit.training.loss_weighting.search import run_search
from facekit.training.loss_weighting.weighting import LossWeighting, TryWeights, find_features

# How strongly the branch of `joint_dynamic_fixed` is held to the start weights. Losses seldom grow
# beyond those of the first step, so no weight gains more than a factor of e^(1 / 0.5) = 7 on
# another one.
TEMPERATURE = 0.5


class JointDynamicWeighting(LossWeighting):
    """Weights from a branch that minimises the weighted loss, as in the paper.

    The loss is the sum of w_k L_k, and its gradient flows into the branch. This has a flaw: the
    branch lowers the loss by moving weight to the task with the smallest loss, without any task
    being learned better. In the end the weight of the easiest task tends to 1, and the others are
    no longer learned (Ming et al., 2019). `JointDynamicFixedWeighting` avoids it.

    Args:
        model: A network whose heads all read the same features.
        names: As for `LossWeighting`.
        start: As for `LossWeighting`, scaled to sum to 1. Without it `prepare` searches for them.

    Raises:
        ValueError: As `find_features`.

    References: Yin and Liu, 2018, Multi-Task Convolutional Neural Network for Pose-Invariant Face
        Recognition, IEEE TIP 27(2), doi 10.1109/TIP.2017.2765830 (the branch); Ming et al., 2019,
        Dynamic Multi-Task Learning for Face Recognition with Facial Expression, arXiv 1911.03281
        (its flaw).

    Example:
        >>> from facekit.networks.attributes import add_heads
        >>> inputs = keras.Input((4,))
        >>> network = keras.Model(inputs, add_heads(inputs, ("gender", "ethnicity")))
        >>> start = {"gender": 1, "ethnicity": 3}
        >>> weighting = JointDynamicWeighting(network, ("gender", "ethnicity"), start)
        >>> losses = {"gender": 1.0, "ethnicity": 2.0}
        >>> float(weighting.combine(losses, features=np.ones((2, 4))))  # 0.25 * 1 + 0.75 * 2
        1.75
    """

    def __init__(
        self, model: keras.Model, names: Sequence[str], start: Mapping[str, float] | None = None
    ):
        super().__init__(model, names, start)
        self.searches = start is None
        features = find_features(model)
        self.forward = keras.Model(model.input, (model.output, features))
        shares = list(self.start.values())
        shape = (features.shape[-1], len(shares))
        self.kernel = self._add_state("branch_kernel", np.zeros(shape), trainable=True)
        self.bias = self._add_state("branch_bias", np.log(shares), trainable=True)

    def prepare(self, try_weights: TryWeights, run: Path, resumed: bool) -> dict[str, Any]:
        """Find the start weights by brute force, unless they were given.

        Args:
            try_weights: As for `LossWeighting.prepare`.
            run: Folder of the run; the table of the search is its `search.csv`.
            resumed: As for `LossWeighting.prepare`.
        """
        if not self.searches:
            return {}
        self.start = self._scale_start(run_search(self.names, try_weights, run, resumed))
        shares = list(self.start.values())
        self.latest.assign(shares)
        self.bias.assign(np.log(shares))
        return {"loss_weights": self.start}

    def combine(self, losses: Mapping[str, Any], features=None):
        """Return the sum of the losses weighted by the mean answer of the branch, scalar.

        Args:
            losses: One scalar for each task.
            features: What the heads read, (batch, features).
        """
        weights = ops.mean(self.weigh(features), axis=0)
        self.latest.assign(weights)
        return ops.sum(weights * self._stack(losses))

    def weigh(self, features):
        """Return the softmax of the branch, (batch, tasks).

        Args:
            features: (batch, features).
        """
        logits = ops.matmul(ops.cast(features, "float32"), self.kernel) + self.bias
        return ops.softmax(logits, axis=-1)

    def _scale_start(self, start: dict[str, float]) -> dict[str, float]:
        return {name: weight / sum(start.values()) for name, weight in start.items()}


class JointDynamicFixedWeighting(JointDynamicWeighting):
    """The same branch, trained to give more weight to the tasks that have learned least.

    The network minimises the sum of w_k L_k with the weights held constant. The branch minimises
    KL(w || w(0)) - sum of w_k r_k / T, where r_k = L_k / L_k(0) is the share of its first loss that
    a task still has. No gradient of it reaches the network.

    Why: a branch that minimises the weighted loss and a branch that maximises it both end in a
    corner, one task with all the weight; the second only in a harder one. The term KL prevents
    that. The best weights then are w_k(0) exp(r_k / T), scaled to sum to 1: a task that has learned
    less than the others gains weight, and no weight can vanish. The ratio makes losses of different
    sizes comparable, as in GradNorm and DWA.

    Args:
        model: As for `JointDynamicWeighting`.
        names: As for `LossWeighting`.
        start: As for `JointDynamicWeighting`.

    Raises:
        ValueError: As `find_features`.

    Reference: Sagawa et al., 2020, Distributionally Robust Neural Networks, ICLR, arXiv 1911.08731
        (weights that grow exponentially with the loss, there of groups).

    Example:
        >>> from facekit.networks.attributes import add_heads
        >>> inputs = keras.Input((4,))
        >>> network = keras.Model(inputs, add_heads(inputs, ("gender", "ethnicity")))
        >>> weighting = JointDynamicFixedWeighting(network, ("gender", "ethnicity"))
        >>> losses = {"gender": 1.0, "ethnicity": 2.0}
        >>> float(weighting.combine(losses, features=np.ones((2, 4))))  # 0.5 * 1 + 0.5 * 2
        1.5
    """

    def __init__(
        self, model: keras.Model, names: Sequence[str], start: Mapping[str, float] | None = None
    ):
        super().__init__(model, names, start)
        self.first_losses = self._add_state("first_losses", np.zeros(len(self.names)))

    def combine(self, losses: Mapping[str, Any], features=None):
        """Return the weighted sum of the losses, scalar; its gradient also trains the branch.

        Args:
            losses: One scalar for each task.
            features: What the heads read, (batch, features).
        """
        values = self._stack(losses)
        ratios = compare_to_first(self.first_losses, ops.stop_gradient(values))
        shares = self.weigh(ops.stop_gradient(features))
        weights = ops.mean(shares, axis=0)
        self.latest.assign(weights)
        start = ops.convert_to_tensor(list(self.start.values()), "float32")
        divergence = ops.mean(ops.sum(shares * ops.log(shares / start), axis=-1))
        objective = divergence - ops.sum(weights * ratios) / TEMPERATURE
        # The objective of the branch has a gradient but is no part of the loss that is reported.
        objective = objective - ops.stop_gradient(objective)
        return ops.sum(ops.stop_gradient(weights) * values) + objective


def compare_to_first(first_losses: keras.Variable, values):
    """Return the losses as shares of those of the first step, (tasks,), which are kept.

    Args:
        first_losses: (tasks,); 0 for a task that had no label yet. It is filled in here.
        values: The losses of a step, (tasks,); 0 for a task without a label in the batch.

    Example:
        >>> first = keras.Variable([0.0, 4.0])
        >>> compare_to_first(first, ops.array([3.0, 2.0])).numpy().tolist()
        [1.0, 0.5]
        >>> first.numpy().tolist()
        [3.0, 4.0]
    """
    first = ops.where(first_losses > 0, first_losses, values)
    first_losses.assign(first)
    return values / ops.where(first > 0, first, ops.ones_like(first))
