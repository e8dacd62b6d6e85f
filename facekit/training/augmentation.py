"""Change training crops as life changes pictures: turned, shifted, nearer, darker, blurred, noisy, partly hidden.

Runs inside `tf.data` on whole batches, after the split and on the training split only. Each batch draws from a seed of its own, so
that a run repeats itself however many threads prepare it.
"""

from __future__ import annotations

from dataclasses import dataclass

import tensorflow as tf
from keras import ops


@dataclass(frozen=True)
class Augmentation:
    """How far crops are changed; each change is drawn evenly up to its bound, for each crop anew.

    Attributes:
        rotation_degrees: To either side.
        shift: Share of the side, each way.
        zoom: Share of the size, in or out.
        brightness: Share of the whole range from black to white.
        contrast: Share of the contrast, more or less.
        gamma: Powers of two of the exponent: 1 ranges from half, which is light, to double, which is dark.
        noise: Greatest standard deviation, on the scale from -1 to 1.
        hidden: Greatest side of a hidden square, share of the side.
    """

    rotation_degrees: float = 15
    shift: float = 0.06
    zoom: float = 0.15
    brightness: float = 0.15
    contrast: float = 0.3
    gamma: float = 0.8
    noise: float = 0.06
    hidden: float = 0.4


def augment(crops: tf.Tensor, seed: tf.Tensor, bounds: Augmentation) -> tf.Tensor:
    """Change a batch of crops.

    Args:
        crops: (batch, side, side, 1) float32 from -1 to 1.
        seed: (2,) integers.
        bounds: How far.

    Returns:
        As `crops`.
    """
    batch, side = tf.shape(crops)[0], crops.shape[1]
    seeds = iter(tf.unstack(tf.random.split(seed, 12), 12))

    def draw(bound, shape=(), low=None):
        shape = (batch, *shape) if shape else (batch, 1, 1, 1)
        return tf.random.stateless_uniform(shape, next(seeds), -bound if low is None else low, bound)

    crops = _warp(crops, draw, bounds)
    # Light: a curve, then contrast and brightness. Values beyond the range are cut, as a camera cuts them.
    light = (tf.clip_by_value(crops, -1, 1) + 1) / 2
    light = light ** (2 ** draw(bounds.gamma))
    mean = tf.reduce_mean(light, axis=(1, 2), keepdims=True)
    light = (light - mean) * (1 + draw(bounds.contrast)) + mean + draw(bounds.brightness)
    crops = tf.clip_by_value(light, 0, 1) * 2 - 1
    crops += draw(bounds.noise, low=0.0) * tf.random.stateless_normal(tf.shape(crops), next(seeds))
    # A grey square somewhere, on half of the crops.
    size = draw(bounds.hidden) * side
    centre_x, centre_y = draw(1.0, low=0.0) * side, draw(1.0, low=0.0) * side
    steps = tf.range(side, dtype=tf.float32)
    hidden = (tf.abs(steps[None, :, None, None] - centre_y) < size / 2) & (tf.abs(steps[None, None, :, None] - centre_x) < size / 2)
    return tf.where(hidden, 0.0, crops)


def _warp(crops: tf.Tensor, draw, bounds: Augmentation) -> tf.Tensor:
    """Turn, zoom, shift and mirror in one resampling."""
    side = crops.shape[1]
    angle = tf.squeeze(draw(bounds.rotation_degrees), (2, 3)) * (3.14159265 / 180)  # (batch, 1)
    zoom = 1 + tf.squeeze(draw(bounds.zoom), (2, 3))
    mirror = tf.sign(tf.squeeze(draw(1.0), (2, 3)))
    shift = draw(bounds.shift, (2,)) * side
    cos, sin = tf.cos(angle) * zoom, tf.sin(angle) * zoom
    centre = (side - 1) / 2
    rows = [
        cos * mirror, -sin, centre - centre * (cos * mirror - sin) + shift[:, :1],
        sin * mirror, cos, centre - centre * (sin * mirror + cos) + shift[:, 1:],
        tf.zeros_like(cos), tf.zeros_like(cos),
    ]  # fmt: skip
    return ops.image.affine_transform(crops, tf.concat(rows, axis=1), interpolation="bilinear", fill_mode="nearest")
