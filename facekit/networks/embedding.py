"""A face embedding: dlib's ResNet with 29 layers, and a shorter one that learns from it.

It returns 128 numbers, whose Euclidean distance is small for photos of one person. The second paper
fine-tunes FaceNet's Inception-ResNet instead (`networks.facenet`). dlib's network is smaller, and
its weights are in the public domain (CC0); they were trained on three million faces. The whole
network is a good teacher; the shortened one, the student, is what facekit serves.

References: Schroff et al., 2015, FaceNet; He et al., 2016; King, 2017, "High Quality Face
Recognition with Deep Metric Learning". weights/README.md says where the weights come from.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import keras
import numpy as np
from keras import layers, ops

from facekit.files import hash_file
from facekit.networks.attributes import add_heads

DIMENSIONS = 128
SCALE = 1.1  # of the crops of both networks, as for `images.cut_crops`
SIDE = 160  # of the crops that the whole network takes, pixels
# Rows and columns of such a crop that its first layer cuts off. The rest has 150 pixels a side, and
# shows the face where the published network was trained to see it.
SURPLUS = ((10, 0), (5, 5))
CHIP = SIDE - sum(SURPLUS[0])
STUDENT_SIDE = 128  # of the crops that the student takes, pixels
# Of each stage: filters, blocks, and whether its first block halves the maps.
STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 3, True), (256, 1, True))
# Half of the weights, and a third of the time.
SHORT_STAGES = ((32, 2, False), (64, 3, True), (128, 3, True), (256, 2, True))
# All stages but one block: four fifths of the weights, and two thirds of the time at 128 pixels.
STUDENT_STAGES = ((32, 3, False), (64, 4, True), (128, 3, True), (256, 2, True), (256, 1, True))
MEAN_RGB = (122.782, 117.001, 104.298)
WEIGHTS = Path(__file__).resolve().parents[2] / "weights" / "dlib.npz"  # not in the package
SOURCE = "https://github.com/facekit/facekit/blob/main/weights/dlib.npz"
CHECKSUM = "1548ebf31a6dc2640314d346c61f19d8ca3125bf180fd40426bbe8aab0c3b646"


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
        Untrained model from crops (batch, 160, 160, 3) of scale 1.1, normalised from -1 to 1, to
        embeddings (batch, 128).

    Example:
        >>> build_embedding_network().output_shape
        (None, 128)
    """
    inputs = keras.Input((SIDE, SIDE, 3), name="crops")
    chip = layers.Cropping2D(SURPLUS, name="chip")(inputs)
    features = _extract_features(chip, CHIP, STAGES)
    embedding = layers.Dense(DIMENSIONS, use_bias=False, dtype="float32", name="embedding")
    return keras.Model(inputs, {"embedding": embedding(features)}, name="dlib")


def build_student(
    side: int = STUDENT_SIDE, stages: tuple[tuple[int, int, bool], ...] = STUDENT_STAGES
) -> keras.Model:
    """Build the shortened network, which learns the embeddings of the whole one.

    Args:
        side: Side of the crops, pixels, 103 or more.
        stages: As for `build_pretrained_network`.

    Returns:
        Untrained model from crops (batch, side, side, 3) of scale 1.1, normalised from -1 to 1, to
        embeddings (batch, 128); `take_over_layers` copies trained weights into it.

    Example:
        >>> build_student(stages=((4, 1, False), (8, 1, True))).output_shape
        (None, 128)
    """
    inputs = keras.Input((side, side, 3), name="crops")
    features = _extract_features(inputs, side, stages)
    embedding = layers.Dense(DIMENSIONS, dtype="float32", name="embedding")
    return keras.Model(inputs, {"embedding": embedding(features)}, name="student")


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
    last = extract_maps(inputs, side, stages)[-1]
    return layers.GlobalAveragePooling2D(name="features")(last)


def extract_maps(inputs, side: int, stages: tuple[tuple[int, int, bool], ...]) -> list:
    """Add the layers of dlib's network up to its last map.

    Args:
        inputs: (batch, height, width, channels) crops, normalised from -1 to 1.
        side: Pixels per side that crops are resized to.
        stages: As for `build_pretrained_network`.

    Returns:
        The map at the end of each stage, (batch, rows, columns, filters).

    Example:
        >>> stages = ((4, 1, False), (8, 1, True))
        >>> [each.shape for each in extract_maps(keras.Input((112, 112, 3)), 112, stages)]
        [(None, 26, 26, 4), (None, 13, 13, 8)]
    """
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
    maps = []
    for stage, (filters, blocks, halves) in enumerate(stages, 1):
        for block in range(blocks):
            name, strides = f"stage{stage}_block{block + 1}", 2 if halves and block == 0 else 1
            shortcut = layers.AveragePooling2D(2, name=f"{name}_pool")(x) if strides == 2 else x
            x = _convolve(x, filters, 3, f"{name}_first", strides)
            x = _convolve(x, filters, 3, f"{name}_second", activate=False)
            x = layers.Activation("relu", name=f"{name}_relu")(_add_padded(x, shortcut))
        maps.append(x)
    return maps


def take_over_layers(network: keras.Model, trained: keras.Model) -> None:
    """Copy weights from a trained network into another, in place.

    Layers with the same name and the same shapes are copied; all others stay as they are. The
    trained network may itself be a layer of the other, as in an ensemble, or hold networks as
    layers.

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
    theirs = {
        layer.name: layer.get_weights()
        for layer in (*list_leaves(trained), trained, *trained.layers)
    }
    for layer in network.layers:
        weights = theirs.get(layer.name, [])
        if [weight.shape for weight in weights] == [weight.shape for weight in layer.get_weights()]:
            layer.set_weights(weights)


def list_leaves(network: keras.Model) -> Iterator[keras.Layer]:
    """Yield the layers of a network, and those of the networks in it, from the input up.

    Example:
        >>> inner = keras.Sequential([keras.Input((2,)), keras.layers.Dense(2, name="inner")])
        >>> network = keras.Sequential([keras.Input((2,)), inner, keras.layers.Dense(2, name="x")])
        >>> [layer.name for layer in list_leaves(network)]
        ['inner', 'x']
    """
    for layer in network.layers:
        if isinstance(layer, keras.Model):
            yield from list_leaves(layer)
        else:
            yield layer


def load_dlib_weights(network: keras.Model, path: Path | None = None) -> keras.Model:
    """Load dlib's weights into the embedding network, in place.

    Args:
        network: Of `build_embedding_network`.
        path: `dlib.npz`; by default that of the clone. An installed package does not hold it.

    Returns:
        The same network.

    Raises:
        FileNotFoundError: If there is no such file.
        ValueError: If the file holds other weights than dlib's.

    Example:
        >>> network = load_dlib_weights(build_embedding_network())
        >>> tuple(network.get_layer("embedding").kernel.shape)
        (256, 128)
    """
    path = path or WEIGHTS
    if not path.is_file():
        raise FileNotFoundError(f"{path}: no such file; download {SOURCE}.")
    if hash_file(path) != CHECKSUM:
        raise ValueError(
            f"{path}: does not hold the weights of dlib's face recognition network; download "
            f"{SOURCE}."
        )
    with np.load(path) as kept:
        for layer in network.layers:
            names = [f"{layer.name}/{weight.name}" for weight in layer.weights]
            layer.set_weights([kept[name].astype(np.float32) for name in names])
    return network
