import numpy as np
import pytest
import tensorflow as tf

from facekit.training.augmentation import Augmentation, augment

NOTHING = Augmentation(rotation_degrees=0, shift=0, zoom=0, brightness=0, contrast=0, gamma=0, noise=0, hidden=0)
SIDE = 16


def make_crops(count: int) -> tf.Tensor:
    return tf.constant(np.random.default_rng(0).uniform(-1, 1, (count, SIDE, SIDE, 1)), tf.float32)


def change(crops: tf.Tensor, seed: int = 0, **bounds: float) -> np.ndarray:
    """Augment by nothing but what is given."""
    return augment(crops, tf.constant([seed, 0], tf.int64), Augmentation(**vars(NOTHING) | bounds)).numpy()


def test_a_seed_repeats_itself():
    crops, seeds = make_crops(8), [tf.constant([number, 0], tf.int64) for number in (1, 1, 2)]
    first, again, other = (augment(crops, seed, Augmentation()).numpy() for seed in seeds)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


def test_shape_and_range():
    crops = make_crops(64)
    quiet = augment(crops, tf.constant([0, 0], tf.int64), Augmentation(noise=0)).numpy()
    assert quiet.shape == crops.shape
    assert quiet.dtype == np.float32
    assert np.abs(quiet).max() <= 1
    noisy = augment(crops, tf.constant([0, 0], tf.int64), Augmentation()).numpy()
    assert 1 < np.abs(noisy).max() < 1 + 6 * Augmentation().noise


def test_without_bounds_crops_are_at_most_mirrored():
    crops = make_crops(32)
    changed = change(crops)
    same = np.isclose(changed, crops, atol=1e-4).all(axis=(1, 2, 3))
    mirrored = np.isclose(changed, crops[:, :, ::-1], atol=1e-4).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 8 <= same.sum() <= 24  # about half


def test_each_crop_is_changed_in_its_own_way():
    crops = tf.repeat(make_crops(1), 6, axis=0)
    changed = change(crops, brightness=0.2)
    assert len({round(float(crop.mean()), 4) for crop in changed}) == 6


@pytest.mark.parametrize(("name", "bound"), [("brightness", 0.2), ("contrast", 0.5), ("gamma", 1.0)])
def test_light_changes_the_greys_but_moves_nothing(name, bound):
    crops = make_crops(16) / 2
    changed = change(crops, **{name: bound})
    for before, after in zip(crops.numpy(), changed, strict=True):
        ranks = [np.corrcoef(side.ravel(), after.ravel())[0, 1] for side in (before, before[:, ::-1])]
        assert max(ranks) > 0.95
    assert np.abs(np.sort(changed.reshape(16, -1)) - np.sort(crops.numpy().reshape(16, -1))).max() > 0.05


def test_brightness_stays_within_its_bound():
    changed = change(tf.zeros((200, SIDE, SIDE, 1)), brightness=0.2)
    means = changed.mean(axis=(1, 2, 3))  # 0.2 of the whole range, which is 2 here
    assert np.abs(means).max() <= 0.4 + 1e-5
    assert means.min() < -0.3
    assert means.max() > 0.3
    assert changed.std(axis=(1, 2, 3)).max() < 1e-5


def test_hidden_squares_are_grey_and_within_their_bound():
    changed = change(tf.ones((200, SIDE, SIDE, 1)), hidden=0.5)
    hidden = np.isclose(changed, 0, atol=1e-6)
    assert (hidden | np.isclose(changed, 1, atol=1e-4)).all()
    assert hidden.any(axis=2).sum(axis=1).max() <= SIDE / 2 + 1
    assert 40 <= hidden.any(axis=(1, 2, 3)).sum() <= 110  # half of the crops, less the smallest squares


def test_geometry_moves_what_is_seen():
    dot = np.full((100, SIDE, SIDE, 1), -1, np.float32)
    dot[:, 7:9, 7:9] = 1
    rows, columns = np.indices((SIDE, SIDE))
    for bounds, moves in (({"shift": 0.25}, True), ({"rotation_degrees": 30}, False), ({"zoom": 0.3}, False)):
        light = change(tf.constant(dot), **bounds)[..., 0] + 1
        total = light.sum(axis=(1, 2))
        centres = np.stack([(light * rows).sum(axis=(1, 2)) / total, (light * columns).sum(axis=(1, 2)) / total], axis=1)
        furthest = np.abs(centres - 7.5).max()
        assert furthest <= 0.25 * SIDE + 0.1
        assert (furthest > 2) == moves  # turning and zooming keep the middle where it is


def test_no_crops():
    assert augment(make_crops(0), tf.constant([0, 0], tf.int64), Augmentation()).shape == (0, SIDE, SIDE, 1)
