"""FaceNet's Inception-ResNet-v1: the network of the second paper.

It turns a face into an embedding: numbers that lie close together for pictures of one person. The
second paper puts one softmax layer per attribute on an embedding of 128 numbers. Layers have the
names of the original definition in TensorFlow-Slim (David Sandberg's `facenet`), which its ports to
Keras keep. Published weights are loaded by `facenet_weights`.

All networks here take crops that are normalised from -1 to 1. The published networks take two other
forms, so the first layer, `standardise`, converts the crops. Networks of 128 numbers (published in
2017) see each crop with mean 0 and standard deviation 1. Networks of 512 numbers (published in
2018) see (grey level - 127.5) / 128.

References: Schroff et al., 2015, FaceNet, doi 10.1109/CVPR.2015.7298682; Szegedy et al., 2017,
Inception-v4, Inception-ResNet and the Impact of Residual Connections on Learning, arXiv 1602.07261.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers, ops

from facekit.networks.attributes import MOMENTUM, add_heads

SIDE = 160  # pixels; the published weights were trained on this size
SMALLEST_SIDE = 75  # pixels; below it, the last maps are empty
DIMENSIONS = 128
DROPOUT = 0.2
BLOCKS = (5, 10, 5)  # residual blocks of each kind; one more Block8 follows
# `small` is what lessons train: it has 4% of the weights, and a training step takes 5% of the time.
PRESETS: dict[str, dict[str, Any]] = {
    "full": {"side": SIDE, "blocks": BLOCKS, "width": 1.0},
    "small": {"side": 96, "blocks": (2, 4, 2), "width": 0.25},
}
# Of each branch: its convolutions by name, with their filters. A name says the place of the
# convolution in its branch and the height and width of its kernel; `1a` halves the map.
Branches = tuple[tuple[tuple[str, int], ...], ...]
BLOCK35: Branches = (
    (("1x1", 32),),
    (("0a_1x1", 32), ("0b_3x3", 32)),
    (("0a_1x1", 32), ("0b_3x3", 32), ("0c_3x3", 32)),
)
BLOCK17: Branches = (
    (("1x1", 128),),
    (("0a_1x1", 128), ("0b_1x7", 128), ("0c_7x1", 128)),
)
BLOCK8: Branches = (
    (("1x1", 192),),
    (("0a_1x1", 192), ("0b_1x3", 192), ("0c_3x1", 192)),
)
MIXED_6A: Branches = (
    (("1a_3x3", 384),),
    (("0a_1x1", 192), ("0b_3x3", 192), ("1a_3x3", 256)),
)
MIXED_7A: Branches = (
    (("0a_1x1", 256), ("1a_3x3", 384)),
    (("0a_1x1", 256), ("1a_3x3", 256)),
    (("0a_1x1", 256), ("0b_3x3", 256), ("1a_3x3", 256)),
)
EPSILON = 0.001  # added to the variances of batch normalization, as published
# Added to the variance of a crop, so that a crop of one colour becomes 0. It is the square of 0.04
# grey levels, much less than the variance of any photo.
SMALLEST_VARIANCE = 1e-7


def _normalise(x, name: str):
    return layers.BatchNormalization(
        momentum=MOMENTUM, epsilon=EPSILON, scale=False, name=f"{name}_BatchNorm"
    )(x)


def _convolve(x, filters: int, name: str, strides: int = 1, padding: str = "same"):
    """Add a convolution whose name ends with the height and width of its kernel."""
    kernel = tuple(int(size) for size in name.rsplit("_", 1)[1].split("x"))
    x = layers.Conv2D(filters, kernel, strides, padding, use_bias=False, name=name)(x)
    return layers.Activation("relu", name=f"{name}_Activation")(_normalise(x, name))


def _add_branches(x, branches: Branches, width: float, name: str) -> list:
    ends = []
    for number, branch in enumerate(branches):
        end = x
        for step, filters in branch:
            strides, padding = (2, "valid") if step.startswith("1a") else (1, "same")
            step_name = f"{name}_Branch_{number}_Conv2d_{step}"
            end = _convolve(end, round(width * filters), step_name, strides, padding)
        ends.append(end)
    return ends


def _add_residual_block(
    x, branches: Branches, width: float, scale: float, name: str, activate: bool = True
):
    """Add to the maps what the branches find in them, scaled so that the training is stable."""
    found = layers.Concatenate(name=f"{name}_Concatenate")(_add_branches(x, branches, width, name))
    found = layers.Conv2D(x.shape[-1], 1, name=f"{name}_Conv2d_1x1")(found)
    found = layers.Rescaling(scale, name=f"{name}_Scale")(found)
    x = layers.Add(name=f"{name}_Add")([x, found])
    return layers.Activation("relu", name=f"{name}_Activation")(x) if activate else x


def _add_reduction(x, branches: Branches, width: float, name: str):
    """Halve the maps: by the branches, and by pooling."""
    pool = layers.MaxPooling2D(3, 2, name=f"{name}_Branch_{len(branches)}_MaxPool_1a_3x3")(x)
    return layers.Concatenate(name=name)([*_add_branches(x, branches, width, name), pool])


def _standardise(x, dimensions: int):
    if dimensions == 128:
        return layers.LayerNormalization(
            [1, 2, 3], SMALLEST_VARIANCE, center=False, scale=False, name="standardise"
        )(x)
    return layers.Rescaling(127.5 / 128, name="standardise")(x)


def build_facenet(
    dimensions: int = DIMENSIONS,
    dropout: float = DROPOUT,
    side: int = SIDE,
    channels: int = 3,
    blocks: tuple[int, int, int] = BLOCKS,
    width: float = 1.0,
) -> keras.Model:
    """Build Inception-ResNet-v1 for embeddings.

    Args:
        dimensions: Numbers in an embedding. 128 also means that each crop is standardised by its
            own mean and standard deviation, as in the published networks.
        dropout: Part of the features that a training step leaves out before the last dense layer.
        side: Side of the crops, pixels, 75 or more.
        channels: Of the crops. A grey crop's channel is used as red, green and blue.
        blocks: Residual blocks on the largest, the middle and the smallest maps.
        width: Factor on the filters of all convolutions.

    Returns:
        Untrained model from crops (batch, side, side, channels), normalised from -1 to 1, to
        embeddings (batch, dimensions) of length 1. The layer before the last,
        `Bottleneck_BatchNorm`, returns them before they are scaled to that length.

    Raises:
        ValueError: If the crops are too small.

    Example:
        >>> build_facenet(**PRESETS["small"]).output_shape
        (None, 128)
    """
    if side < SMALLEST_SIDE:
        raise ValueError(f"`side` must be {SMALLEST_SIDE} or more; got {side}.")
    inputs = keras.Input((side, side, channels), name="crops")
    # === Stem ===
    x = inputs if channels == 3 else ops.repeat(inputs, 3, axis=-1)
    x = _standardise(x, dimensions)
    x = _convolve(x, round(width * 32), "Conv2d_1a_3x3", 2, "valid")
    x = _convolve(x, round(width * 32), "Conv2d_2a_3x3", padding="valid")
    x = _convolve(x, round(width * 64), "Conv2d_2b_3x3")
    x = layers.MaxPooling2D(3, 2, name="MaxPool_3a_3x3")(x)
    x = _convolve(x, round(width * 80), "Conv2d_3b_1x1", padding="valid")
    x = _convolve(x, round(width * 192), "Conv2d_4a_3x3", padding="valid")
    x = _convolve(x, round(width * 256), "Conv2d_4b_3x3", 2, "valid")
    # === Blocks ===
    for number in range(1, blocks[0] + 1):
        x = _add_residual_block(x, BLOCK35, width, 0.17, f"Block35_{number}")
    x = _add_reduction(x, MIXED_6A, width, "Mixed_6a")
    for number in range(1, blocks[1] + 1):
        x = _add_residual_block(x, BLOCK17, width, 0.1, f"Block17_{number}")
    x = _add_reduction(x, MIXED_7A, width, "Mixed_7a")
    for number in range(1, blocks[2] + 1):
        x = _add_residual_block(x, BLOCK8, width, 0.2, f"Block8_{number}")
    x = _add_residual_block(x, BLOCK8, width, 1.0, f"Block8_{blocks[2] + 1}", activate=False)
    # === Embedding ===
    x = layers.GlobalAveragePooling2D(name="AvgPool")(x)
    x = layers.Dropout(dropout, name="Dropout")(x)
    x = layers.Dense(dimensions, use_bias=False, name="Bottleneck")(x)
    x = _normalise(x, "Bottleneck")
    x = layers.UnitNormalization(dtype="float32", name="embedding")(x)
    return keras.Model(inputs, x, name="facenet")


def build_facenet_tasks(
    tasks: Sequence[str], dimensions: int = DIMENSIONS, **options: Any
) -> keras.Model:
    """Build the second paper's network: one softmax layer per attribute on the embedding.

    Args:
        tasks: Keys of `taxonomy.LABELS`.
        dimensions: Numbers in an embedding.
        **options: Further arguments of `build_facenet`, such as one of `PRESETS`.

    Returns:
        Untrained model from crops (batch, side, side, channels), normalised from -1 to 1, to a dict
        of class probabilities (batch, classes). A training step leaves out a part of the embedding
        too. The layer `embedding` returns the embedding.

    Raises:
        ValueError: As `build_facenet` and `add_heads`.

    Example:
        >>> network = build_facenet_tasks(["gender", "ethnicity"], **PRESETS["small"])
        >>> {task: output.shape for task, output in network.output.items()}
        {'gender': (None, 2), 'ethnicity': (None, 5)}
    """
    trunk = build_facenet(dimensions, **options)
    return keras.Model(trunk.input, add_heads(trunk.output, tasks), name="facenet_tasks")
