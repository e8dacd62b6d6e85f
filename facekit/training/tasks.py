"""The attributes that a network can learn: how labels become targets, the loss, the metric.

Everything that differs between attributes is here or in a `course`; the `loop` knows no attribute.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

import keras
import numpy as np
import pandas as pd
from keras import ops

from facekit.datasets.manifest import VOTES
from facekit.networks.attributes import WIDTHS
from facekit.taxonomy import AGES_YEARS, LABELS
from facekit.training.augmentation import Augmentation

# Standard deviation of the target distribution at birth: a label of 0 is right to about a year.
AGE_SPREAD_YEARS = 1.0
AGE_SPREAD_GROWTH = 0.04  # its growth per year of age: a label of 60 is a guess, too
LABEL_SMOOTHING = 0.1
MEAN_WEIGHT = 0.1  # weight of the error of the mean age beside the cross-entropy


@dataclass(frozen=True)
class Task:
    """An attribute to learn.

    Name, loss and metric belong to the attribute itself. The other fields are the defaults of a
    course that learns this task alone; `course.make_course` reads them, and the training of a
    course reads the course only.

    Attributes:
        name: A key of `taxonomy.LABELS`, and a column of the manifest.
        sources: Names of the datasets that label it.
        loss: Function of targets and probabilities, both (batch, classes), to (batch,) losses.
        metric: The same for a figure that people read.
        channels: Channels of the crops: 3 for colour, 1 for grey.
        equalise: Whether the histograms of crops are equalised.
        widths: Filters of the small network.
        augmentation: How far training crops are changed.

    Example:
        >>> TASKS["gender"].metric.__name__
        'accuracy'
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
        """Return the target distribution of each row of a manifest.

        A class label becomes a high probability for its class and a small one for all others
        (label smoothing, Szegedy et al., 2016). Votes on an emotion become their shares (Barsoum
        et al., 2016). An age becomes a normal distribution around it (label distribution learning,
        Geng, 2016). Ages above the last class count as the last.

        Args:
            manifest: A table with a column named after the task; for emotion maybe with `VOTES`.

        Returns:
            (rows, classes) float32. Each row sums to 1; the row of a missing label is NaN.

        Raises:
            ValueError: If a label is not one of the attribute's classes.

        Example:
            >>> TASKS["gender"].encode(pd.DataFrame({"gender": ["male", None]})).round(2)
            array([[0.05, 0.95],
                   [ nan,  nan]], dtype=float32)
        """
        labels = manifest[self.name]
        if self.name == "age":
            ages = labels.astype(np.float64).clip(upper=AGES_YEARS[-1]).to_numpy()[:, None]
            spread = AGE_SPREAD_YEARS + AGE_SPREAD_GROWTH * ages
            targets = np.exp(-0.5 * ((np.array(AGES_YEARS) - ages) / spread) ** 2)
            return (targets / targets.sum(axis=1, keepdims=True)).astype(np.float32)
        names = [str(label) for label in LABELS[self.name]]
        index = labels.map({name: index for index, name in enumerate(names)}).to_numpy(np.float64)
        missing = np.isnan(index)
        if unknown := sorted(set(labels[missing].dropna())):
            raise ValueError(
                f"`{self.name}` must be one of {', '.join(names)}; got {', '.join(unknown)}."
            )
        targets = np.eye(len(names))[np.where(missing, 0, index).astype(int)]
        targets = targets * (1 - LABEL_SMOOTHING) + LABEL_SMOOTHING / len(names)
        targets[missing] = np.nan
        if self.name == "emotion" and set(VOTES) <= set(manifest):
            votes = manifest[list(VOTES)].to_numpy(np.float64)
            shares = votes / votes.sum(axis=1, keepdims=True)
            targets = np.where(np.isnan(shares), targets, shares)
        return targets.astype(np.float32)

    def weigh(self, targets: np.ndarray, balance: float) -> np.ndarray:
        """Return how much each row counts in the loss of this task.

        The weights have a mean of 1 over all rows, so that the mean weighted loss of all rows is
        the mean loss of the rows with a label.

        Args:
            targets: Result of `encode`, (rows, classes).
            balance: Power of the rarity of a class: with 0 all rows count the same, with 1 all
                classes count the same.

        Returns:
            (rows,) float32; 0 for a row without a label.

        Example:
            >>> targets = np.array([[0.9, 0.1], [0.9, 0.1], [0.1, 0.9], [np.nan, np.nan]])
            >>> TASKS["gender"].weigh(targets, balance=1)
            array([1., 1., 2., 0.], dtype=float32)
        """
        labelled = find_labelled(targets)
        labels = np.where(labelled[:, None], targets, 0).argmax(axis=1)
        counts = np.bincount(labels[labelled], minlength=targets.shape[1])
        weights = labelled * ((1 / np.maximum(counts, 1)) ** balance)[labels]
        return (weights / weights.mean() if labelled.any() else weights).astype(np.float32)


def find_labelled(targets: np.ndarray) -> np.ndarray:
    """Return which rows of encoded targets have a label, (rows,) bool.

    Example:
        >>> find_labelled(np.array([[0.05, 0.95], [np.nan, np.nan]]))
        array([ True, False])
    """
    return ~np.isnan(targets).any(axis=1)


def cross_entropy(targets, probabilities):
    """Return the cross-entropy of each row, (batch,).

    Args:
        targets: (batch, classes) distributions.
        probabilities: (batch, classes) predictions.

    Example:
        >>> round(float(cross_entropy(np.array([[1.0, 0.0]]), np.array([[0.5, 0.5]]))[0]), 3)
        0.693
    """
    return keras.losses.categorical_crossentropy(targets, probabilities)


def age_distribution_loss(targets, probabilities):
    """Return the cross-entropy plus a share of the error of the mean age, (batch,).

    The cross-entropy teaches the shape of the distribution, the second term its mean.

    Args:
        targets: (batch, years) distributions over `taxonomy.AGES_YEARS`.
        probabilities: (batch, years) predictions.

    Reference: Gao et al., 2018, Age Estimation Using Expectation of Label Distribution Learning
        (DLDL-v2), IJCAI, doi 10.24963/ijcai.2018/99.

    Example:
        >>> at_30, at_40 = np.eye(101, dtype=np.float32)[[[30], [40]]]
        >>> bool(age_distribution_loss(at_30, at_40) > age_distribution_loss(at_30, at_30))
        True
    """
    return cross_entropy(targets, probabilities) + MEAN_WEIGHT * years_off(targets, probabilities)


def years_off(targets, probabilities):
    """Return the difference of the two mean ages of each row, (batch,) years, never negative.

    Example:
        >>> at_30, at_40 = np.eye(101, dtype=np.float32)[[[30], [40]]]
        >>> float(years_off(at_30, at_40)[0])
        10.0
    """
    years = ops.cast(ops.arange(len(AGES_YEARS)), "float32")
    return ops.abs(ops.matmul(probabilities - targets, years))


def accuracy(targets, probabilities):
    """Return 1 for each row where both have the same most probable class, else 0, (batch,).

    Example:
        >>> targets, probabilities = np.eye(2), np.array([[0.9, 0.1], [0.8, 0.2]])
        >>> ops.convert_to_numpy(accuracy(targets, probabilities)).tolist()
        [1.0, 0.0]
    """
    return ops.cast(ops.argmax(targets, axis=-1) == ops.argmax(probabilities, axis=-1), "float32")


# Skin tone must stay visible, so light and colours change less for ethnicity.
TASKS = {
    "age": Task("age", ("utkface", "all_age_faces"), age_distribution_loss, years_off),
    "gender": Task("gender", ("utkface", "all_age_faces", "lfw"), cross_entropy, accuracy),
    "ethnicity": Task(
        "ethnicity",
        ("utkface",),
        cross_entropy,
        accuracy,
        augmentation=Augmentation(brightness=0.1, contrast=0.15, gamma=0.4, tint=0.05, grey=0.1),
    ),
    # The images of FER2013 are grey, and so small that they are blurred less.
    "emotion": Task(
        "emotion",
        ("ferplus", "ck_plus"),
        cross_entropy,
        accuracy,
        augmentation=Augmentation(rotation_degrees=12, noise=0.04, blur=0.3, jpeg=1, mixed=0.4),
    ),
}
