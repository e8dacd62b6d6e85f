"""Augment training crops: geometry, light, colour, blur, noise, compression, occlusion.

Runs inside `tf.data` on whole batches, after the split and on the training split only. Each batch
has its own seed, so a run repeats itself with any number of threads.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import tensorflow as tf

from facekit.images import normalise

# Weights of red, green and blue in grey (ITU-R BT.601).
LUMA = np.array((0.299, 0.587, 0.114), np.float32)
BLOCK = 8  # side of a block of JPEG, pixels
# JPEG's luminance table at quality 50, on the scale from 0 to 255 (ITU-T T.81, annex K).
JPEG_STEPS = np.array(
    [
        [16, 11, 10, 16, 24, 40, 51, 61],
        [12, 12, 14, 19, 26, 58, 60, 55],
        [14, 13, 16, 24, 40, 57, 69, 56],
        [14, 17, 22, 29, 51, 87, 80, 62],
        [18, 22, 37, 56, 68, 109, 103, 77],
        [24, 35, 55, 64, 81, 104, 113, 92],
        [49, 64, 78, 87, 103, 121, 120, 101],
        [72, 92, 95, 98, 112, 100, 103, 99],
    ],
    np.float32,
)


@dataclass(frozen=True)
class Augmentation:
    """How far crops are changed. Each change is drawn uniformly up to its bound, for each crop.

    Attributes:
        rotation_degrees: Rotation to either side.
        shift: Shift in each direction, share of the side.
        zoom: Zoom in or out, share of the size.
        brightness: Change of brightness, share of the range from black to white.
        contrast: Change of contrast, share of the contrast.
        gamma: Exponent of the brightness curve as a power of two: with 1 it ranges from 1/2
            (lighter) to 2 (darker).
        tint: Change of each colour channel, share of its value.
        grey: Probability that a colour crop loses its colours.
        blur: Loss of resolution on half of the crops: 0.5 ranges up to half of the resolution, 1
            up to a quarter.
        noise: Greatest standard deviation of the noise, on the scale from -1 to 1.
        jpeg: Compression of half of the crops, as a multiple of JPEG's table at quality 50; 2 is
            about quality 25.
        hidden: Greatest side of a hidden square, share of the side.
        mixed: Greatest share of another image of the batch, in half of the batches (see `mix`).
        tight: Greatest share of the side that is cut off, at half of the edges. The new edges are
            repeated, as in the crop of a photo that ends close to the face.

    Example:
        >>> Augmentation(rotation_degrees=0).shift
        0.06
    """

    rotation_degrees: float = 15
    shift: float = 0.06
    zoom: float = 0.15
    brightness: float = 0.15
    contrast: float = 0.3
    gamma: float = 0.8
    tint: float = 0.1
    grey: float = 0.2
    blur: float = 0.7
    noise: float = 0.06
    jpeg: float = 2
    hidden: float = 0.4
    mixed: float = 0.0
    tight: float = 0.0


def augment(crops: tf.Tensor, seed: tf.Tensor, bounds: Augmentation) -> tf.Tensor:
    """Return a batch of crops with random changes.

    Args:
        crops: (batch, side, side, channels) float32 from -1 to 1.
        seed: (2,) integers.
        bounds: How far crops are changed.

    Returns:
        The same shape; noise and compression may exceed the range a little.

    Example:
        >>> crops = tf.zeros((2, 16, 16, 1))
        >>> augment(crops, tf.constant([0, 1]), Augmentation()).shape
        TensorShape([2, 16, 16, 1])
    """
    batch, side, channels = tf.shape(crops)[0], crops.shape[1], crops.shape[3]
    seeds = iter(tf.unstack(tf.random.split(seed, 16), 16))

    def draw(bound, shape=(1, 1, 1), low=None):
        return tf.random.stateless_uniform(
            (batch, *shape), next(seeds), -bound if low is None else low, bound
        )

    if bounds.tight:
        own_seed = tf.random.fold_in(seed, 16)
        shares = tf.random.stateless_uniform((batch, 4), own_seed, -bounds.tight, bounds.tight)
        crops = _tighten(crops, tf.nn.relu(shares))
    crops = _warp(crops, draw, bounds)
    # Light: a curve, then contrast and brightness. Values outside the range are clipped, as in a
    # camera.
    light = (tf.clip_by_value(crops, -1, 1) + 1) / 2
    light = tf.exp(tf.math.log(light + 1e-6) * 2 ** draw(bounds.gamma))  # faster than a power
    mean = tf.reduce_mean(light, axis=(1, 2, 3), keepdims=True)
    light = (light - mean) * (1 + draw(bounds.contrast)) + mean + draw(bounds.brightness)
    if channels == 3:
        light *= 1 + draw(bounds.tint, (1, 1, 3))
        light = tf.where(
            draw(1.0, low=0.0) < bounds.grey,
            tf.reduce_sum(light * LUMA, axis=3, keepdims=True),
            light,
        )
    crops = tf.clip_by_value(light, 0, 1) * 2 - 1
    # The camera: its resolution, its noise, its compression.
    crops = _blur(crops, tf.nn.relu(draw(bounds.blur)))
    crops += draw(bounds.noise, low=0.0) * tf.random.stateless_normal(
        (batch, side, side, 1), next(seeds)
    )
    steps = tf.nn.relu(draw(bounds.jpeg))
    if bounds.jpeg:  # takes most of the time
        crops = _compress(crops, steps)
    # A grey square somewhere.
    size = draw(bounds.hidden) * side
    centre_x, centre_y = draw(1.0, low=0.0) * side, draw(1.0, low=0.0) * side
    steps = tf.range(side, dtype=tf.float32)
    hidden = (tf.abs(steps[None, :, None, None] - centre_y) < size / 2) & (
        tf.abs(steps[None, None, :, None] - centre_x) < size / 2
    )
    return tf.where(hidden, 0.0, crops)


def mix(batch: tuple, seed: tf.Tensor, most: float) -> tuple:
    """Blend each image and its target with another one of the batch.

    Args:
        batch: Crops, targets and weights, tensors or dicts of tensors, with the batch as their
            first axis. In a batch that is mixed, a target of NaN stays NaN, and makes its
            partner's NaN.
        seed: (2,) integers.
        most: Greatest share of the other image, up to 0.5. Half of the batches stay as they are.

    Returns:
        As `batch`.

    Reference: Zhang et al., 2018, mixup: Beyond Empirical Risk Minimization, arXiv 1710.09412.

    Example:
        >>> crops, targets, weights = tf.zeros((2, 8, 8, 1)), tf.eye(2), tf.ones(2)
        >>> _, mixed, _ = mix((crops, targets, weights), tf.constant([0, 1]), 0.5)
        >>> tf.reduce_sum(mixed, axis=1).numpy().tolist()
        [1.0, 1.0]
    """
    share = tf.nn.relu(tf.random.stateless_uniform((), seed, -most, most))
    # Not only by the share: 0 times NaN is NaN, and would erase labels where nothing is mixed.
    return tf.nest.map_structure(
        lambda values: tf.where(
            share > 0, values * (1 - share) + tf.reverse(values, [0]) * share, values
        ),
        batch,
    )


def preview_augmentation(
    crop: np.ndarray, bounds: Augmentation, count: int, seed: int = 0
) -> np.ndarray:
    """Return random changes of one crop, as training would see it.

    Args:
        crop: (side, side, channels) uint8.
        bounds: How far it is changed.
        count: Number of changed crops.
        seed: Seed of the changes.

    Returns:
        (count, side, side, channels) uint8.

    Example:
        >>> preview_augmentation(np.zeros((16, 16, 3), np.uint8), Augmentation(), 2).shape
        (2, 16, 16, 3)
    """
    batch = tf.constant(np.repeat(normalise(crop[None]), count, axis=0))
    changed = augment(batch, tf.constant((seed, 0)), bounds).numpy()
    return np.clip(np.round((changed + 1) * 127.5), 0, 255).astype(np.uint8)


def _tighten(crops: tf.Tensor, shares: tf.Tensor) -> tf.Tensor:
    """Cut shares of the side, (batch, 4), off the four edges, and repeat the new edges."""
    side = crops.shape[1]
    cut = tf.cast(shares * side, tf.int32)[..., None]  # (batch, 4, 1)
    rows, columns = (
        tf.minimum(tf.maximum(tf.range(side), cut[:, first]), side - 1 - cut[:, first + 1])
        for first in (0, 2)
    )
    crops = tf.gather(crops, rows, axis=1, batch_dims=1)
    return tf.gather(crops, columns, axis=2, batch_dims=1)


def _warp(crops: tf.Tensor, draw, bounds: Augmentation) -> tf.Tensor:
    """Rotate, zoom, shift and mirror in one resampling."""
    side = crops.shape[1]
    angle = draw(bounds.rotation_degrees, (1,)) * (3.14159265 / 180)  # (batch, 1)
    zoom = 1 + draw(bounds.zoom, (1,))
    mirror = tf.sign(draw(1.0, (1,)))
    shift = draw(bounds.shift, (2,)) * side
    cos, sin = tf.cos(angle) * zoom, tf.sin(angle) * zoom
    centre = (side - 1) / 2
    rows = [
        cos * mirror, -sin, centre - centre * (cos * mirror - sin) + shift[:, :1],
        sin * mirror, cos, centre - centre * (sin * mirror + cos) + shift[:, 1:],
        tf.zeros_like(cos), tf.zeros_like(cos),
    ]  # fmt: skip
    return tf.raw_ops.ImageProjectiveTransformV3(
        images=crops,
        transforms=tf.concat(rows, axis=1),
        output_shape=(side, side),
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="NEAREST",
    )


def _blur(crops: tf.Tensor, amount: tf.Tensor) -> tf.Tensor:
    """Reduce the resolution: not at 0, by half at 0.5, by three quarters at 1."""
    side = crops.shape[1]
    crops = _pad(crops, 4)
    half, quarter = (
        tf.image.resize(tf.nn.avg_pool2d(crops, factor, factor, "VALID"), crops.shape[1:3])
        for factor in (2, 4)
    )
    little, much = tf.minimum(amount * 2, 1.0), tf.maximum(amount * 2 - 1, 0.0)
    return (crops + little * (half - crops) + much * (quarter - half))[:, :side, :side]


def _pad(crops: tf.Tensor, multiple: int) -> tf.Tensor:
    """Mirror pixels at the right and lower edge, up to the next multiple of a number."""
    missing = -crops.shape[1] % multiple
    return tf.pad(crops, ((0, 0), (0, missing), (0, missing), (0, 0)), "SYMMETRIC")


def _compress(crops: tf.Tensor, steps: tf.Tensor) -> tf.Tensor:
    """Round the cosine transform of each 8x8 block, as JPEG does, for each colour alone."""
    side, channels = crops.shape[1], crops.shape[3]
    crops = _pad(crops, BLOCK)  # JPEG fills the last block, too
    count = crops.shape[1] // BLOCK
    frequencies, places = np.arange(BLOCK)[:, None], np.arange(BLOCK)
    cosine = np.sqrt(2 / BLOCK) * np.cos(np.pi * frequencies * (2 * places + 1) / (2 * BLOCK))
    cosine[0] /= np.sqrt(2)
    # From the 64 pixels of a block to its 64 frequencies.
    transform = np.kron(cosine, cosine).T.astype(np.float32)
    blocks = tf.transpose(
        tf.reshape(crops, (-1, count, BLOCK, count, BLOCK, channels)), (0, 1, 3, 5, 2, 4)
    )
    found = tf.reshape(
        tf.reshape(blocks, (-1, BLOCK**2)) @ transform, (-1, count**2 * channels, BLOCK**2)
    )
    size = tf.maximum(steps[:, 0], 1e-3) * JPEG_STEPS.ravel() / 127.5  # (batch, 1, 64)
    blocks = tf.reshape(tf.round(found / size) * size, (-1, BLOCK**2)) @ transform.T
    whole = tf.reshape(
        tf.transpose(
            tf.reshape(blocks, (-1, count, count, channels, BLOCK, BLOCK)), (0, 1, 4, 2, 5, 3)
        ),
        (-1, *crops.shape[1:]),
    )
    return whole[:, :side, :side]
