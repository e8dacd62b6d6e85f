"""Attribute networks: small residual CNNs that learn from random weights.

Inputs are crops of `images.cut_crops`, normalised to -1 to 1. Outputs are class probabilities in
the order of `taxonomy.LABELS`. Age has one class per year: the mean of its distribution is the
predicted age, the spread its uncertainty.

References: He et al., 2016 (residual blocks); Chen et al., 2018, MobileFaceNets (a depthwise
convolution over the last map in place of global pooling, because the parts of an aligned face lie
in known places).
"""

from collections.abc import Sequence
from typing import Any

import keras
from keras import layers

from facekit.taxonomy import LABELS

INPUT_SIDE = 64  # pixels
WIDTHS = (32, 48, 80, 128)  # filters of stem and stages, at 32, 16, 8 and 4 cells per side
# `small` is what lessons train. `full` keeps the full resolution of FER2013's 48 pixels in its
# stem, and has stages of 24, 12, 6 and 3 cells per side.
PRESETS: dict[str, dict[str, Any]] = {
    "small": {"widths": WIDTHS, "side": INPUT_SIDE, "stem_strides": 2, "blocks": 2},
    "full": {"widths": (24, 40, 80, 160, 256), "side": 48, "stem_strides": 1, "blocks": 1},
}
DROPOUT = 0.3
# Of the batch statistics. A short training has few batches, so they must follow within about ten.
MOMENTUM = 0.9


def _convolve(x, filters: int, kernel: int, name: str, strides: int = 1, activate: bool = True):
    x = layers.Conv2D(
        filters, kernel, strides, padding="same", use_bias=False, name=f"{name}_conv"
    )(x)
    x = layers.BatchNormalization(momentum=MOMENTUM, name=f"{name}_norm")(x)
    return layers.Activation("relu", name=f"{name}_relu")(x) if activate else x


def _add_residual_block(x, filters: int, name: str, strides: int = 1):
    shortcut = x
    if strides > 1:
        shortcut = layers.AveragePooling2D(strides, padding="same", name=f"{name}_pool")(x)
        shortcut = _convolve(shortcut, filters, 1, f"{name}_shortcut", activate=False)
    x = _convolve(x, filters, 3, f"{name}_first", strides)
    x = _convolve(x, filters, 3, f"{name}_second", activate=False)
    x = layers.Add(name=f"{name}_add")([x, shortcut])
    return layers.Activation("relu", name=f"{name}_relu")(x)


def add_heads(features, tasks: Sequence[str]) -> dict:
    """Add one output layer of class probabilities per attribute.

    Args:
        features: (batch, features) tensor.
        tasks: Keys of `taxonomy.LABELS`; they determine the numbers of classes.

    Returns:
        Class probabilities (batch, classes) by attribute.

    Raises:
        ValueError: If there are no tasks, or one of them is unknown.

    Example:
        >>> {task: head.shape for task, head in add_heads(keras.Input((8,)), ["gender"]).items()}
        {'gender': (None, 2)}
    """
    check_tasks(tasks)
    features = layers.Dropout(DROPOUT, name="dropout")(features)
    return {
        task: layers.Dense(len(LABELS[task]), activation="softmax", dtype="float32", name=task)(
            features
        )
        for task in tasks
    }


def check_tasks(tasks: Sequence[str]) -> None:
    """Check that a network can be built for some tasks.

    Raises:
        ValueError: If there are no tasks, or one of them is unknown.

    Example:
        >>> check_tasks(["mood"])
        Traceback (most recent call last):
        ValueError: `tasks` must be one or more of age, gender, emotion, ethnicity; got ['mood'].
    """
    if not tasks or isinstance(tasks, str) or set(tasks) - set(LABELS):
        raise ValueError(f"`tasks` must be one or more of {', '.join(LABELS)}; got {tasks!r}.")


def build_attribute_cnn(
    tasks: Sequence[str],
    channels: int,
    widths: tuple[int, ...] = WIDTHS,
    side: int = INPUT_SIDE,
    stem_strides: int = 2,
    blocks: int = 2,
) -> keras.Model:
    """Build the network of one attribute, or of several that share all but the last layer.

    Args:
        tasks: Keys of `taxonomy.LABELS`.
        channels: 1 for grey crops, 3 for colour.
        widths: Filters of the stem and of each stage.
        side: Side of the crops, pixels.
        stem_strides: 1 keeps the resolution of the crops in the stem, 2 halves it.
        blocks: Residual blocks of each stage.

    Returns:
        Untrained model from (batch, side, side, channels) to a dict of class probabilities (batch,
        classes).

    Raises:
        ValueError: As `add_heads`.

    Example:
        >>> network = build_attribute_cnn(["gender"], channels=1, widths=(4, 4))
        >>> network.input_shape, [output.shape for output in network.outputs]
        ((None, 64, 64, 1), [(None, 2)])
    """
    inputs = keras.Input((side, side, channels), name="crops")
    # === Stem ===
    x = _convolve(inputs, widths[0], 3, "stem", strides=stem_strides)
    # === Blocks ===
    for stage, filters in enumerate(widths[1:], 1):
        for block in range(blocks):
            name = f"stage{stage}{chr(ord('a') + block)}"
            x = _add_residual_block(x, filters, name, strides=1 if block else 2)
    # === Head ===
    x = layers.DepthwiseConv2D(x.shape[1], use_bias=False, name="pool_conv")(x)
    x = layers.BatchNormalization(momentum=MOMENTUM, name="pool_norm")(x)
    return keras.Model(
        inputs, add_heads(layers.Flatten(name="features")(x), tasks), name="attribute_cnn"
    )
