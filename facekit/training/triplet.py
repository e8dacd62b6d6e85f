"""Train an embedding with the triplet loss: photos of one person close together, others apart.

A triplet is an anchor, a positive (another photo of the same person) and a negative (a photo of
somebody else). The loss demands that the negative is farther from the anchor than the positive, by
a margin (Schroff et al., 2015). The network scales its embeddings to length 1; the loss takes them
as they are.

`loop.train_model` cannot run this training. A step needs several photos of each of its people, and
the loop shuffles single photos. The loop also keeps the epoch with the least validation loss; that
of triplets depends on who else is in the batch and says little about verification. So a training
here has a fixed number of steps, and its last weights are kept.

Reference: Schroff et al., 2015, FaceNet: A Unified Embedding for Face Recognition and Clustering,
doi 10.1109/CVPR.2015.7298682.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import keras
import numpy as np
import pandas as pd
import tensorflow as tf
from keras import layers, ops

from facekit.evaluation.verification import (
    average_folds,
    make_pairs,
    measure_folds,
    measure_pairs,
)
from facekit.files import replace_file, write_text
from facekit.images import normalise
from facekit.training.augmentation import Augmentation, augment
from facekit.training.embedding import COURSE

MARGIN = 0.2
BEYOND = 1e9  # farther than all embeddings are; finite, so that no gradient becomes NaN
EMBEDDED = 128  # faces embedded at once
VERIFICATION = "verification.csv"  # in a run's folder


def measure_triplets(people, embeddings, margin: float = MARGIN):
    """Return the loss of each pair of anchor and positive, with the negative chosen for it.

    The negative is semi-hard: the nearest one that is farther from the anchor than the positive. If
    all negatives are nearer than the positive, the farthest of them is taken, as in TensorFlow
    Addons' `triplet_semihard_loss`. The nearest one would be the hardest; at the start of a
    training, such negatives make a network return the same embedding for all faces (Schroff et al.,
    section 3.2).

    Args:
        people: A number for each person, (batch,) or (batch, 1).
        embeddings: (batch, dimensions).
        margin: How much farther the negative must be, in squared Euclidean distance.

    Returns:
        Losses (batch, batch), 0 where there is no triplet, and a mask (batch, batch) of the pairs
        that have one: two photos of one person, while somebody else is in the batch.

    Example:
        >>> losses, pairs = measure_triplets(np.array([0, 0, 1]), np.array([[0.0], [0.5], [0.6]]))
        >>> losses.numpy().round(2).tolist()
        [[0.0, 0.09, 0.0], [0.44, 0.0, 0.0], [0.0, 0.0, 0.0]]
    """
    people = ops.reshape(people, (-1,))
    # Differences rather than products: equal embeddings have a distance of exactly 0.
    distances = ops.sum(ops.square(embeddings[:, None] - embeddings[None]), axis=-1)
    same = people[:, None] == people[None]
    other = ops.logical_not(same)
    pairs = ops.logical_and(same, ops.logical_not(ops.eye(ops.shape(people)[0], dtype="bool")))
    pairs = ops.logical_and(pairs, ops.any(other, axis=1, keepdims=True))
    # (anchor, positive, negative)
    farther = ops.logical_and(other[:, None], distances[:, None] > distances[:, :, None])
    nearest = ops.min(ops.where(farther, distances[:, None], BEYOND), axis=2, initial=BEYOND)
    farthest = ops.max(ops.where(other, distances, 0.0), axis=1, keepdims=True, initial=0)
    negatives = ops.where(ops.any(farther, axis=2), nearest, farthest)
    losses = ops.relu(distances - negatives + margin)
    return ops.where(pairs, losses, 0.0), pairs


@keras.saving.register_keras_serializable("facekit")
class TripletLoss(keras.losses.Loss):
    """Triplet loss with semi-hard negatives of the same batch; `measure_triplets` chooses them.

    The loss of a batch is the mean over its pairs of anchor and positive. Pairs whose negative is
    far enough count as 0. A batch without any pair has loss 0. Photos have no weights of their own.

    Args:
        margin: How much farther the negative must be, in squared Euclidean distance.
        name: Of the loss.

    Raises:
        ValueError: If `margin` is not positive.

    Example:
        >>> loss = TripletLoss()
        >>> people, embeddings = np.array([0, 0, 1]), np.array([[0.0], [0.5], [0.6]])
        >>> round(float(loss(people, embeddings)), 3)
        0.265
    """

    def __init__(self, margin: float = MARGIN, name: str = "triplet_loss"):
        super().__init__(name=name)
        if not margin > 0:
            raise ValueError(f"`margin` must be more than 0; got {margin}.")
        self.margin = margin

    def call(self, y_true, y_pred):
        """Return the mean loss of the pairs, a scalar."""
        losses, pairs = measure_triplets(y_true, y_pred, self.margin)
        return ops.sum(losses) / ops.maximum(ops.sum(ops.cast(pairs, losses.dtype)), 1)

    def get_config(self) -> dict:
        """Return the arguments, plain values."""
        return {"margin": self.margin, "name": self.name}


def active_share(people, embeddings, margin: float = MARGIN):
    """Return the share of pairs of anchor and positive with a loss above 0, a scalar.

    Only these teach the network. 0 if there is no pair.

    Args:
        people: As for `measure_triplets`.
        embeddings: As for `measure_triplets`.
        margin: As for `measure_triplets`.

    Example:
        >>> people, embeddings = np.array([0, 0, 1]), np.array([[0.0], [0.1], [0.5]])
        >>> float(active_share(people, embeddings))
        0.5
    """
    losses, pairs = measure_triplets(people, embeddings, margin)
    active = ops.sum(ops.cast(losses > 0, "float32"))
    return active / ops.maximum(ops.sum(ops.cast(pairs, "float32")), 1)


def make_person_batches(
    people: Sequence, per_person: int, persons: int, seed: int = 0
) -> Iterator[np.ndarray]:
    """Yield batches of several people with several photos each, without end.

    A pass takes each person with two or more photos once, in a new order. Who is left at the end of
    a pass, too few for a batch, is left out of this pass. A person with fewer photos than
    `per_person` gives all of them, some more than once; augmentation changes them.

    Args:
        people: The person of each photo.
        per_person: Photos of each person in a batch, 2 or more.
        persons: People in a batch, 2 or more.
        seed: Seed of the order.

    Returns:
        An iterator over positions of photos, (persons * per_person,) int64; those of a person stand
        together.

    Raises:
        ValueError: If a number is less than 2, or there are fewer people with two photos.

    Example:
        >>> batches = make_person_batches(["a", "a", "b", "b", "c"], per_person=2, persons=2)
        >>> sorted(next(batches).tolist())
        [0, 1, 2, 3]
    """
    for name, value in (("per_person", per_person), ("persons", persons)):
        if value < 2:
            raise ValueError(f"`{name}` must be 2 or more; got {value}.")
    _, members, counts = np.unique(np.asarray(people), return_inverse=True, return_counts=True)
    photos = np.split(np.argsort(members, kind="stable"), np.cumsum(counts)[:-1])
    usable = [own for own in photos if len(own) > 1]
    if len(usable) < persons:
        raise ValueError(
            f"`people` must have {persons} people with two photos or more, for one batch; got "
            f"{len(usable)}. Give more people, or choose smaller batches by `persons`."
        )
    return _yield_batches(usable, per_person, persons, np.random.default_rng(seed))


def _yield_batches(
    photos: list[np.ndarray], per_person: int, persons: int, random: np.random.Generator
) -> Iterator[np.ndarray]:
    while True:
        order = random.permutation(len(photos))
        for start in range(0, len(order) - persons + 1, persons):
            yield np.concatenate(
                [
                    np.resize(random.permutation(photos[person]), per_person)
                    for person in order[start : start + persons]
                ]
            )


@dataclass(frozen=True)
class TripletConfig:
    """Settings of a training with triplets.

    Attributes:
        seed: Seed of the batches, of augmentation and of the pairs that measure the result.
        steps: Of the training; a multiple of `every`.
        every: Steps between two measurements.
        persons: People in a batch.
        per_person: Photos of each person in a batch.
        learning_rate: Of Adam at the start; it falls along half a cosine to 0.
        margin: Of the loss.

    Raises:
        ValueError: If `steps` is not a multiple of `every`.

    Example:
        >>> TripletConfig(steps=200).margin
        0.2
    """

    seed: int = 0
    steps: int = 2000
    every: int = 100
    persons: int = 24
    per_person: int = 3
    learning_rate: float = 5e-4
    margin: float = MARGIN

    def __post_init__(self) -> None:
        if self.every < 1 or self.steps < 1 or self.steps % self.every:
            raise ValueError(
                f"`steps` must be a multiple of `every`; got {self.steps} and {self.every}."
            )


def scale_embeddings(network: keras.Model) -> keras.Model:
    """Return a network with the same weights whose embeddings have length 1.

    Args:
        network: Model from crops to embeddings (batch, dimensions), or to a dict with these as
            `embedding`.

    Example:
        >>> inputs = keras.Input((2,))
        >>> network = scale_embeddings(keras.Model(inputs, {"embedding": inputs * 2.0}))
        >>> network(np.array([[3.0, 4.0]])).numpy().round(2)
        array([[0.6, 0.8]], dtype=float32)
    """
    output = network.output
    embedding = output["embedding"] if isinstance(output, dict) else output
    scaled = layers.UnitNormalization(dtype="float32", name="unit_length")(embedding)
    return keras.Model(network.input, scaled, name=f"{network.name}_triplets")


def measure_verification(
    network: keras.Model, crops: np.ndarray, pairs: pd.DataFrame
) -> tuple[float, float, float]:
    """Return the accuracy of verification over ten folds of people, and its 95% interval.

    Args:
        network: Model from crops to embeddings (batch, dimensions).
        crops: (faces, side, side, channels) uint8.
        pairs: Of `evaluation.verification.make_pairs`, of the people of `crops`.

    Example:
        >>> crops = np.repeat(255 * np.eye(40), 2, axis=0).reshape(80, 1, 1, 40)
        >>> pairs = make_pairs([f"p{index // 2}" for index in range(80)], count=2)
        >>> network = keras.Sequential([keras.Input((1, 1, 40)), layers.Flatten()])
        >>> measure_verification(network, crops, pairs)
        (1.0, 1.0, 1.0)
    """
    starts = range(0, len(crops), EMBEDDED)
    parts = [
        network.predict_on_batch(normalise(crops[start : start + EMBEDDED])) for start in starts
    ]
    distances = measure_pairs(np.concatenate(parts), pairs)
    return average_folds(measure_folds(distances, pairs)["accuracy"].tolist())


class VerificationFile(keras.callbacks.Callback):
    """Measure verification before the first step and after each epoch, and write the file anew.

    Args:
        path: A csv file with one row per measurement: `step`, `loss` and `active` (means since the
            last measurement, empty at step 0), `accuracy`, `low` and `high`.
        crops: Of people whom the training does not see, as for `measure_verification`.
        pairs: As for `measure_verification`.

    Example:
        >>> VerificationFile(Path("verification.csv"), np.zeros((0, 8, 8, 3)), pd.DataFrame()).rows
        []
    """

    def __init__(self, path: Path, crops: np.ndarray, pairs: pd.DataFrame):
        super().__init__()
        self.path, self.crops, self.pairs = path, crops, pairs
        self.rows: list[dict] = []

    def on_train_begin(self, logs: dict | None = None) -> None:
        """Measure the network before it learns."""
        self._add_row(0, {})

    def on_epoch_end(self, epoch: int, logs: dict | None = None) -> None:
        """Measure the network after another part of the training."""
        self._add_row((epoch + 1) * self.params["steps"], logs or {})

    def _add_row(self, step: int, logs: dict) -> None:
        accuracy, low, high = measure_verification(self.model, self.crops, self.pairs)
        self.rows.append(
            {
                "step": step, "loss": logs.get("loss"), "accuracy": accuracy, "low": low,
                "high": high, "active": logs.get("active"),
            }
        )  # fmt: skip
        with replace_file(self.path) as temporary:
            pd.DataFrame(self.rows).to_csv(temporary, index=False)


def train_triplets(
    network: keras.Model,
    crops: np.ndarray,
    people: Sequence,
    held_crops: np.ndarray,
    held_people: Sequence,
    run: Path,
    config: TripletConfig | None = None,
    augmentation: Augmentation = COURSE.augmentation,
    quiet: bool = False,
) -> keras.Model:
    """Train a network with the triplet loss, and measure verification on other people meanwhile.

    Args:
        network: As for `scale_embeddings`; its weights change.
        crops: (faces, side, side, channels) uint8 to learn from.
        people: The person of each of them.
        held_crops: Crops of other people, on whom verification is measured.
        held_people: The person of each of them.
        run: Folder of the run. It gets `config.json`, `verification.csv` (see `VerificationFile`)
            and `network.keras`.
        config: The settings.
        augmentation: How far crops are changed.
        quiet: Whether to print nothing.

    Returns:
        The network after the last step; its embeddings have length 1.

    Raises:
        ValueError: If a person is in both parts, or one part has too few people (see
            `make_person_batches` and `evaluation.verification.make_pairs`).
        OSError: If a file of the run cannot be written.

    Example:
        >>> train_triplets(...)  # see benchmarks/triplet.py  # doctest: +SKIP
    """
    config = config or TripletConfig()
    if both := sorted(set(map(str, people)) & set(map(str, held_people))):
        raise ValueError(
            f"`held_people` must not be in `people`; {len(both)} are, such as {both[0]!r}. Split "
            "the photos by person."
        )
    pairs = make_pairs(held_people, config.seed)
    batches = _make_batches(crops, people, config, augmentation)
    write_text(run / "config.json", json.dumps(asdict(config), indent=1) + "\n")
    model = scale_embeddings(network)
    model.compile(
        keras.optimizers.Adam(
            keras.optimizers.schedules.CosineDecay(config.learning_rate, config.steps),
            global_clipnorm=5.0,
        ),
        TripletLoss(config.margin),
        metrics=[
            keras.metrics.MeanMetricWrapper(active_share, name="active", margin=config.margin)
        ],
    )
    model.fit(
        batches,
        steps_per_epoch=config.every,
        epochs=config.steps // config.every,
        callbacks=[VerificationFile(run / VERIFICATION, held_crops, pairs)],
        shuffle=False,  # the batches are shuffled already
        verbose=0 if quiet else 2,
    )
    trained = scale_embeddings(network)  # the same weights; loss and metric are not saved
    with replace_file(run / "network.keras") as temporary:
        trained.save(temporary)
    return trained


def _make_batches(
    crops: np.ndarray, people: Sequence, config: TripletConfig, augmentation: Augmentation
) -> tf.data.Dataset:
    """Return batches of augmented crops and person numbers, without end."""
    _, numbers = np.unique(np.asarray(people), return_inverse=True)
    size = config.persons * config.per_person
    make_person_batches(people, config.per_person, config.persons)  # raises its errors here

    def yield_parts():
        rows = make_person_batches(people, config.per_person, config.persons, config.seed)
        for step, batch in enumerate(rows):
            yield normalise(crops[batch]), numbers[batch], (config.seed, step)

    form = (
        tf.TensorSpec((size, *crops.shape[1:]), tf.float32),
        tf.TensorSpec((size,), tf.int64),
        tf.TensorSpec((2,), tf.int64),
    )
    batches = tf.data.Dataset.from_generator(yield_parts, output_signature=form)
    return batches.map(
        lambda chosen, persons, seed: (augment(chosen, seed, augmentation), persons)
    ).prefetch(2)
