"""The mean of two networks that learned apart: dlib's, which sees the face, and MobileNet.

MobileNet sees the whole head. The two start from other people's faces and err on other faces, so
their mean is right more often than either (Hansen and Salamon, 1990, Neural Network Ensembles).
"""

from __future__ import annotations

from collections.abc import Sequence

import keras
from keras import layers, ops

from facekit.networks.embedding import build_pretrained_network
from facekit.networks.mobilenet import build_mobilenet

SCALE = 1.4  # of the crops, as for `images.cut_crops`
FACE_SIDE = 96  # pixels of the middle that dlib's network takes: a crop of scale 1
SIDE = 134  # FACE_SIDE times SCALE, and even, so that the middle is centred
HEAD_SIDE = 112  # pixels to which the whole crop is resized for MobileNet


def build_ensemble(tasks: Sequence[str], channels: int = 3) -> keras.Model:
    """Build the two networks and the mean of their answers.

    Args:
        tasks: Keys of `taxonomy.LABELS`.
        channels: Of the crops, 1 or 3.

    Returns:
        Untrained model from crops (batch, 134, 134, channels), normalised from -1 to 1, to a dict
        of class probabilities (batch, classes). Its layers `pretrained` and `mobilenet` are the
        two networks; `take_over_layers` copies a trained one into it.

    Raises:
        ValueError: As `add_heads`.

    Example:
        >>> [output.shape for output in build_ensemble(["gender"]).outputs]
        [(None, 2)]
    """
    inputs = keras.Input((SIDE, SIDE, channels), name="crops")
    # === Members ===
    face = layers.Cropping2D((SIDE - FACE_SIDE) // 2, name="face")(inputs)
    # Not a `Resizing` layer: it would switch the dropout of the members on.
    head = ops.image.resize(inputs, (HEAD_SIDE, HEAD_SIDE), interpolation="bilinear")
    answers = (
        build_pretrained_network(tasks, (FACE_SIDE, FACE_SIDE, channels), FACE_SIDE)(face),
        build_mobilenet(tasks, HEAD_SIDE, channels)(head),
    )
    # === Mean ===
    means = {task: layers.Average(name=task)([each[task] for each in answers]) for task in tasks}
    return keras.Model(inputs, means, name="ensemble")
