"""What each attribute learns from and how it is scored: all that the loop does not know by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import pandas as pd
from keras import ops

from facekit.taxonomy import AGES_YEARS, LABELS
from facekit.training.augmentation import Augmentation

AGE_SPREAD_YEARS = 1.0  # standard deviation of the target at birth: a label of "0" is right to about a year
AGE_SPREAD_GROWTH = 0.04  # and how it grows a year, for a label of "60" is a guess, too
MEAN_WEIGHT = 0.1  # of the error of the mean beside the cross-entropy


@dataclass(frozen=True)
class Task:
    """An attribute to learn.

    Attributes:
        name: A key of `taxonomy.LABELS`, and the manifest's column.
        sources: Names of the datasets it learns from.
        loss: Of (batch,) labels and (batch, classes) probabilities.
        metric: Likewise; what a human reads.
        equalise: Whether crops are equalised.
        augmentation: How far training crops are changed.
    """

    name: str
    sources: tuple[str, ...]
    loss: Callable
    metric: Callable
    equalise: bool = False
    augmentation: Augmentation = field(default_factory=Augmentation)

    def encode(self, manifest: pd.DataFrame) -> np.ndarray:
        """Return the labels of a manifest as class indices, (images,) float32; ages above the last class count as it."""
        if self.name == "age":
            return manifest["age"].clip(upper=AGES_YEARS[-1]).to_numpy(np.float32)
        return manifest[self.name].map({label: index for index, label in enumerate(LABELS[self.name])}).to_numpy(np.float32)


def make_smoothed_cross_entropy(smoothing: float, classes: int) -> Callable:
    """Return the cross-entropy with a share `smoothing` of each label spread over all classes."""

    def smoothed_cross_entropy(labels, probabilities):
        targets = ops.one_hot(ops.cast(ops.reshape(labels, (-1,)), "int32"), classes)
        targets = targets * (1 - smoothing) + smoothing / classes
        return keras.losses.categorical_crossentropy(targets, probabilities)

    return smoothed_cross_entropy


def age_distribution_loss(ages_years, probabilities):
    """Cross-entropy with a bell around the labelled age, and the error of the distribution's mean.

    References: Geng, 2016, Label Distribution Learning; Pan et al., 2018, Mean-Variance Loss.
    """
    ages = ops.reshape(ops.cast(ages_years, "float32"), (-1, 1))
    years = ops.cast(ops.arange(len(AGES_YEARS)), "float32")[None]
    spread = AGE_SPREAD_YEARS + AGE_SPREAD_GROWTH * ages
    targets = ops.softmax(-0.5 * ((years - ages) / spread) ** 2, axis=-1)
    divergence = keras.losses.categorical_crossentropy(targets, probabilities)
    return divergence + MEAN_WEIGHT * years_off(ages, probabilities)


def years_off(ages_years, probabilities):
    """Absolute error of the distribution's mean, years."""
    years = ops.cast(ops.arange(len(AGES_YEARS)), "float32")
    return ops.abs(ops.matmul(probabilities, years) - ops.reshape(ops.cast(ages_years, "float32"), (-1,)))


def accuracy(labels, probabilities):
    """Whether the likeliest class is the label's."""
    return keras.metrics.sparse_categorical_accuracy(ops.reshape(labels, (-1,)), probabilities)


# Age takes the strongest changes. With them gender was still learning after 14 epochs; emotion has the weaker by a guess.
TASKS = {
    "age": Task("age", ("utkface",), age_distribution_loss, years_off),
    "gender": Task(
        "gender", ("utkface",), make_smoothed_cross_entropy(0.1, 2), accuracy,
        augmentation=Augmentation(brightness=0.1, contrast=0.2, gamma=0.5, noise=0.03, hidden=0.3),
    ),
    # Skin tone must stay readable, so light changes less.
    "ethnicity": Task(
        "ethnicity", ("utkface",), make_smoothed_cross_entropy(0.1, 5), accuracy,
        augmentation=Augmentation(brightness=0.08, contrast=0.15, gamma=0.3),
    ),
    # Equalised crops change less with the light as well, so there is less to imitate.
    "emotion": Task(
        "emotion", ("fer2013", "ck_plus"), make_smoothed_cross_entropy(0.1, 7), accuracy,
        equalise=True, augmentation=Augmentation(brightness=0.1, contrast=0.15, gamma=0.3, noise=0.03, hidden=0.3),
    ),
}  # fmt: skip
