"""What each attribute learns from and how it is scored: all that the loop does not know by itself."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import pandas as pd
from keras import ops

from facekit.networks.attributes import WIDTHS
from facekit.taxonomy import AGES_YEARS, LABELS
from facekit.training.augmentation import Augmentation

AGE_SPREAD_YEARS = (
    1.0  # standard deviation of the target at birth: a label of "0" is right to about a year
)
AGE_SPREAD_GROWTH = 0.04  # and how it grows a year, for a label of "60" is a guess, too
LABEL_SMOOTHING = 0.1
MEAN_WEIGHT = 0.1  # of the error of the mean beside the cross-entropy


@dataclass(frozen=True)
class Task:
    """An attribute to learn.

    Attributes:
        name: A key of `taxonomy.LABELS`, and the manifest's column.
        sources: Names of the datasets it learns from.
        loss: Of targets and probabilities, both (batch, classes).
        metric: Likewise; what a human reads.
        channels: Of the crops: 3 for colour, 1 for grey.
        equalise: Whether crops are equalised.
        widths: Of the small network.
        augmentation: How far training crops are changed.
    """

    name: str
    sources: tuple[str, ...]
    loss: Callable
    metric: Callable
    channels: int = 1
    equalise: bool = False
    widths: tuple[int, ...] = WIDTHS
    augmentation: Augmentation = field(default_factory=Augmentation)

    def encode(self, manifest: pd.DataFrame) -> np.ndarray:
        """Return what the network is to answer to each image of a manifest, (images, classes)
        float32 that sum to 1.

        A label becomes most of the weight on its class and a little on all others (label smoothing,
        Szegedy et al., 2016); an age becomes a bell around it (label distribution learning, Geng,
        2016). Ages above the last class count as it.
        """
        if self.name == "age":
            ages = manifest["age"].clip(upper=AGES_YEARS[-1]).to_numpy(np.float64)[:, None]
            spread = AGE_SPREAD_YEARS + AGE_SPREAD_GROWTH * ages
            targets = np.exp(-0.5 * ((np.array(AGES_YEARS) - ages) / spread) ** 2)
            return (targets / targets.sum(axis=1, keepdims=True)).astype(np.float32)
        classes = len(LABELS[self.name])
        index = (
            manifest[self.name]
            .map({label: index for index, label in enumerate(LABELS[self.name])})
            .to_numpy(int)
        )
        return (np.eye(classes)[index] * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / classes).astype(
            np.float32
        )

    def weigh(self, targets: np.ndarray, balance: float) -> np.ndarray:
        """Return how much each image counts, (images,) float32 of mean 1: its class's rarity to a power."""
        labels = targets.argmax(axis=1)
        rarity = (1 / np.maximum(np.bincount(labels, minlength=targets.shape[1]), 1)) ** balance
        weights = rarity[labels]
        return (weights / weights.mean() if len(weights) else weights).astype(np.float32)


def cross_entropy(targets, probabilities):
    """How badly the probabilities foretell the targets."""
    return keras.losses.categorical_crossentropy(targets, probabilities)


def age_distribution_loss(targets, probabilities):
    """Cross-entropy, and the error of the distribution's mean.

    Reference: Pan et al., 2018, Mean-Variance Loss.
    """
    return cross_entropy(targets, probabilities) + MEAN_WEIGHT * years_off(targets, probabilities)


def years_off(targets, probabilities):
    """How far the two distributions' means are apart, years."""
    years = ops.cast(ops.arange(len(AGES_YEARS)), "float32")
    return ops.abs(ops.matmul(probabilities - targets, years))


def accuracy(targets, probabilities):
    """Whether both have the same likeliest class."""
    return ops.cast(ops.argmax(targets, axis=-1) == ops.argmax(probabilities, axis=-1), "float32")


# Skin tone must stay readable, so light and colours change less for ethnicity.
TASKS = {
    "age": Task("age", ("utkface",), age_distribution_loss, years_off),
    "gender": Task("gender", ("utkface",), cross_entropy, accuracy),
    "ethnicity": Task(
        "ethnicity", ("utkface",), cross_entropy, accuracy,
        augmentation=Augmentation(brightness=0.1, contrast=0.15, gamma=0.4, tint=0.05, grey=0.1),
    ),
    # FER2013 comes in grey and equalised. It is small already, so it is blurred less.
    "emotion": Task(
        "emotion", ("fer2013", "ck_plus"), cross_entropy, accuracy, equalise=True,
        augmentation=Augmentation(brightness=0.1, contrast=0.2, gamma=0.4, noise=0.04, blur=0.3, jpeg=1),
    ),
}  # fmt: skip
