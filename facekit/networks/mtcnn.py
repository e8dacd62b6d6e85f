"""MTCNN's three networks: P-Net proposes, R-Net refines, O-Net decides and places five landmarks.

Inputs are RGB, (value - 127.5) / 128, height x width x 3. Each returns face probabilities first,
then box offsets as fractions of the box's side in x1, y1, x2, y2, then (O-Net) landmarks as
fractions of the box, five x and five y. The cascade that runs them lives in `detection`.

Reference: Zhang, Zhang, Li, Qiao: Joint Face Detection and Alignment using Multi-task Cascaded
Convolutional Networks, 2016. The weights are those of the `mtcnn` package (MIT licence, Copyright
(c) 2019-2024 Iván de Paz Centeno).
"""

import importlib.resources

import keras
from keras import layers


def _convolve(x, filters: int, kernel: int, name: str):
    x = layers.Conv2D(filters, kernel, name=f"conv{name}")(x)
    return layers.PReLU(shared_axes=[1, 2], name=f"prelu{name}")(x)


def _flatten_as_caffe(x):
    # The weights come from Caffe, whose maps run column by column.
    return layers.Flatten()(layers.Permute((2, 1, 3))(x))


def build_pnet() -> keras.Model:
    """Build the proposal network.

    It is fully convolutional: one output cell per window of 12x12 pixels, 2 pixels apart.

    Example:
        >>> [output.shape[-1] for output in build_pnet().outputs]
        [2, 4]
    """
    inputs = keras.Input((None, None, 3), name="image")
    # === Stem ===
    x = _convolve(inputs, 10, 3, "1")
    x = layers.MaxPooling2D(2, 2, padding="same")(x)
    # === Blocks ===
    x = _convolve(x, 16, 3, "2")
    x = _convolve(x, 32, 3, "3")
    # === Head ===
    offsets = layers.Conv2D(4, 1, name="offsets")(x)
    probabilities = layers.Conv2D(2, 1, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, [probabilities, offsets], name="pnet")


def build_rnet() -> keras.Model:
    """Build the refinement network for candidates of 24x24 pixels.

    Example:
        >>> build_rnet().output_shape
        [(None, 2), (None, 4)]
    """
    inputs = keras.Input((24, 24, 3), name="candidates")
    # === Stem ===
    x = _convolve(inputs, 28, 3, "1")
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    # === Blocks ===
    x = _convolve(x, 48, 3, "2")
    x = layers.MaxPooling2D(3, 2)(x)
    x = _convolve(x, 64, 2, "3")
    # === Head ===
    x = layers.Dense(128, name="dense4")(_flatten_as_caffe(x))
    x = layers.PReLU(name="prelu4")(x)
    offsets = layers.Dense(4, name="offsets")(x)
    probabilities = layers.Dense(2, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, [probabilities, offsets], name="rnet")


def build_onet() -> keras.Model:
    """Build the output network for candidates of 48x48 pixels.

    Example:
        >>> build_onet().output_shape
        [(None, 2), (None, 4), (None, 10)]
    """
    inputs = keras.Input((48, 48, 3), name="candidates")
    # === Stem ===
    x = _convolve(inputs, 32, 3, "1")
    x = layers.MaxPooling2D(3, 2, padding="same")(x)
    # === Blocks ===
    x = _convolve(x, 64, 3, "2")
    x = layers.MaxPooling2D(3, 2)(x)
    x = _convolve(x, 64, 3, "3")
    x = layers.MaxPooling2D(2, 2, padding="same")(x)
    x = _convolve(x, 128, 2, "4")
    # === Head ===
    x = layers.Dense(256, name="dense5")(_flatten_as_caffe(x))
    x = layers.PReLU(name="prelu5")(x)
    offsets = layers.Dense(4, name="offsets")(x)
    landmarks = layers.Dense(10, name="landmarks")(x)
    probabilities = layers.Dense(2, activation="softmax", name="probabilities")(x)
    return keras.Model(inputs, [probabilities, offsets, landmarks], name="onet")


BUILDERS = {"pnet": build_pnet, "rnet": build_rnet, "onet": build_onet}


def load_published_weights(model: keras.Model) -> keras.Model:
    """Load the weights of the `mtcnn` package into one of the three networks, in place.

    Args:
        model: A network of this module; its name says which.

    Returns:
        The same model.

    Raises:
        ModuleNotFoundError: If the `mtcnn` package is not installed (`pip install
            "facekit[train]"`).

    Example:
        >>> load_published_weights(build_pnet()).name
        'pnet'
    """
    import joblib  # comes with `mtcnn`

    weights = joblib.load(
        importlib.resources.files("mtcnn") / "assets" / "weights" / f"{model.name}.lz4"
    )
    # The package lists layers in the order of its constructor: offsets, landmarks and probabilities
    # come last.
    heads = ("offsets", "landmarks", "probabilities")
    body = [layer for layer in model.layers if layer.weights and layer.name not in heads]
    ordered = body + [layer for name in heads for layer in model.layers if layer.name == name]
    for layer in ordered:
        count = len(layer.weights)
        layer.set_weights(weights[:count])
        weights = weights[count:]
    assert not weights, "the package's weights and our layers must match"
    return model
