import numpy as np
import pytest
import tensorflow as tf

from facekit.training.augmentation import Augmentation, augment, mix, preview_augmentation

NOTHING = Augmentation(**dict.fromkeys(vars(Augmentation()), 0))
SIDE = 16


def make_crops(count: int, channels: int = 1) -> tf.Tensor:
    return tf.constant(
        np.random.default_rng(0).uniform(-1, 1, (count, SIDE, SIDE, channels)), tf.float32
    )


def change(crops: tf.Tensor, seed: int = 0, **bounds: float) -> np.ndarray:
    """Augment by nothing but what is given."""
    return augment(
        crops, tf.constant([seed, 0], tf.int64), Augmentation(**vars(NOTHING) | bounds)
    ).numpy()


def measure_apart(changed: np.ndarray, crops: np.ndarray) -> np.ndarray:
    """How far each crop is from what it was, or from its mirror image, whichever is less."""
    return np.minimum(
        *(np.abs(changed - view).max(axis=(1, 2, 3)) for view in (crops, crops[:, :, ::-1]))
    )


def measure_roughness(crops: np.ndarray) -> np.ndarray:
    return np.square(np.diff(crops, axis=1)).mean(axis=(1, 2, 3))


@pytest.mark.parametrize("channels", [1, 3])
def test_a_seed_repeats_itself(channels):
    crops, seeds = (
        make_crops(8, channels),
        [tf.constant([number, 0], tf.int64) for number in (1, 1, 2)],
    )
    first, again, other = (augment(crops, seed, Augmentation()).numpy() for seed in seeds)
    np.testing.assert_array_equal(first, again)
    assert np.abs(first - other).max() > 0.1


@pytest.mark.parametrize("channels", [1, 3])
def test_shape_and_range(channels):
    crops, seed = make_crops(64, channels), tf.constant([0, 0], tf.int64)
    clean = augment(crops, seed, Augmentation(noise=0, jpeg=0)).numpy()
    assert clean.shape == crops.shape
    assert clean.dtype == np.float32
    assert np.abs(clean).max() <= 1.01
    changed = augment(crops, seed, Augmentation()).numpy()
    assert changed.shape == crops.shape
    assert np.isfinite(changed).all()
    assert 1 < np.abs(changed).max() < 3  # noise and compression go beyond the range


def test_shapes_are_known_to_the_graph():
    batches = tf.data.Dataset.from_tensors(make_crops(3, 3)).map(
        lambda crops: augment(crops, tf.constant([0, 0]), Augmentation())
    )
    assert batches.element_spec.shape[1:] == (SIDE, SIDE, 3)


def test_a_side_need_not_be_whole_blocks():
    crops = make_crops(8)[:, :13, :13]
    changed = change(crops, jpeg=1)
    assert changed.shape == crops.shape
    assert 0.1 < np.abs(measure_apart(changed, crops.numpy())).max() < 2


@pytest.mark.parametrize("channels", [1, 3])
def test_without_bounds_crops_are_at_most_mirrored(channels):
    crops = make_crops(32, channels)
    changed = change(crops)
    same = np.isclose(changed, crops, atol=0.01).all(
        axis=(1, 2, 3)
    )  # JPEG at its finest cannot be seen
    mirrored = np.isclose(changed, crops[:, :, ::-1], atol=0.01).all(axis=(1, 2, 3))
    assert (same ^ mirrored).all()
    assert 8 <= same.sum() <= 24  # about half


def test_each_crop_is_changed_in_its_own_way():
    crops = tf.repeat(make_crops(1), 6, axis=0)
    changed = change(crops, brightness=0.2)
    assert len({round(float(crop.mean()), 4) for crop in changed}) == 6


class TestLight:
    @pytest.mark.parametrize(
        ("name", "bound"), [("brightness", 0.2), ("contrast", 0.5), ("gamma", 1.0), ("tint", 0.1)]
    )
    def test_it_changes_but_nothing_moves(self, name, bound):
        crops = make_crops(16, 3) / 2
        changed = change(crops, **{name: bound})
        for before, after in zip(crops.numpy(), changed, strict=True):
            ranks = [
                np.corrcoef(side.ravel(), after.ravel())[0, 1] for side in (before, before[:, ::-1])
            ]
            assert max(ranks) > 0.95
        assert measure_apart(changed, crops.numpy()).max() > 0.05

    def test_brightness_stays_within_its_bound(self):
        changed = change(tf.zeros((200, SIDE, SIDE, 1)), brightness=0.2)
        means = changed.mean(axis=(1, 2, 3))  # 0.2 of the whole range, which is 2 here
        assert np.abs(means).max() <= 0.4 + 1e-3
        assert means.min() < -0.3
        assert means.max() > 0.3
        assert changed.std(axis=(1, 2, 3)).max() < 1e-3

    def test_gamma_keeps_black_and_white(self):
        for value in (-1.0, 1.0):
            np.testing.assert_allclose(
                change(tf.fill((8, SIDE, SIDE, 1), value), gamma=1), value, atol=1e-3
            )
        means = change(tf.zeros((200, SIDE, SIDE, 1)), gamma=1).mean(axis=(1, 2, 3))
        assert means.min() == pytest.approx(2 * 0.25 - 1, abs=0.05)  # the square of a half
        assert means.max() == pytest.approx(2 * 0.5**0.5 - 1, abs=0.05)

    def test_each_colour_is_tinted_within_its_bound(self):
        colours = change(tf.zeros((200, SIDE, SIDE, 3)), tint=0.2).mean(axis=(1, 2))
        assert np.abs(colours).max() <= 0.2 + 1e-3
        assert colours.min(axis=0).max() < -0.15
        assert colours.max(axis=0).min() > 0.15
        assert np.abs(np.corrcoef(colours.T) - np.eye(3)).max() < 0.3

    def test_tint_and_grey_are_for_colours(self):
        crops = make_crops(8)
        assert measure_apart(change(crops, tint=0.5, grey=1), crops.numpy()).max() < 0.01


class TestGrey:
    def is_grey(self, crops: np.ndarray) -> np.ndarray:
        return np.ptp(crops, axis=3).max(axis=(1, 2)) < 1e-5

    def test_all_lose_their_colours(self):
        crops = make_crops(8, 3)
        changed = change(crops, grey=1)
        assert self.is_grey(changed).all()
        luminance = (crops.numpy() @ (0.299, 0.587, 0.114))[..., None].repeat(3, axis=3)
        assert measure_apart(changed, luminance).max() < 0.01

    def test_a_share_loses_its_colours(self):
        assert 10 <= self.is_grey(change(make_crops(100, 3), grey=0.25)).sum() <= 40

    def test_grey_stays_grey_whatever_the_camera_does(self):
        assert self.is_grey(
            change(
                make_crops(8, 3), grey=1, noise=0.2, blur=1, jpeg=2, hidden=0.5, rotation_degrees=20
            )
        ).all()


class TestCamera:
    def test_blur_lowers_the_local_variance(self):
        crops = make_crops(100, 3)
        before = measure_roughness(crops.numpy())
        for bound, least in (
            (0.5, 0.3),
            (1.0, 0.1),
        ):  # what is left of the roughness at most blurred
            left = measure_roughness(change(crops, blur=bound)) / before
            assert left.max() < 1.01
            assert 30 <= (left > 0.99).sum() <= 70  # on half of the crops nothing is done
            assert left.min() < least

    def test_blur_keeps_flat_crops_and_means(self):
        np.testing.assert_allclose(
            change(tf.fill((20, SIDE, SIDE, 1), 0.3), blur=1), 0.3, atol=1e-3
        )
        crops = make_crops(20)
        np.testing.assert_allclose(
            change(crops, blur=1).mean(axis=(1, 2, 3)),
            crops.numpy().mean(axis=(1, 2, 3)),
            atol=0.05,
        )

    def test_blur_moves_nothing(self):
        """Also where the side is no multiple of the pooled cells."""
        crops = np.zeros((40, 14, 14, 1), np.float32)
        crops[:, 8:12] = 1  # rows, because crops are mirrored
        changed = change(tf.constant(crops), blur=1)[..., 0].mean(axis=2)
        centres = (changed * np.arange(14)).sum(axis=1) / changed.sum(axis=1)
        np.testing.assert_allclose(centres, 9.5, atol=0.3)
        assert changed.max(axis=1).min() < 0.9  # some were blurred

    def test_noise_stays_within_its_bound_and_is_the_same_in_all_colours(self):
        noise = change(tf.zeros((200, SIDE, SIDE, 3)), noise=0.3)
        spreads = noise.std(axis=(1, 2, 3))
        assert spreads.max() < 0.3 * 1.25
        assert spreads.max() > 0.25
        assert spreads.min() < 0.05
        assert np.ptp(noise, axis=3).max() < 1e-6

    @pytest.mark.parametrize("value", [-1.0, -0.31, 0.0, 0.77, 1.0])
    def test_jpeg_leaves_flat_crops_flat(self, value):
        changed = change(tf.fill((20, SIDE, SIDE, 3), value), jpeg=2)
        assert changed.std(axis=(1, 2)).max() < 1e-5
        np.testing.assert_allclose(
            changed, value, atol=2 * 16 / 127.5 / 8 / 2 + 1e-3
        )  # half a step of a block's mean

    def test_jpeg_loses_the_finest_first(self):
        stripes = np.indices((SIDE, SIDE))[1] % 2 * 0.06 - 0.03
        ramp = np.linspace(-1, 1, SIDE)[None].repeat(SIDE, axis=0)
        fine, coarse = (
            tf.constant(np.tile(image[None, ..., None], (100, 1, 1, 1)), tf.float32)
            for image in (stripes, ramp)
        )
        assert (
            10 <= (change(fine, jpeg=2).std(axis=(1, 2, 3)) < 0.015).sum() <= 50
        )  # of half of them nothing is lost
        assert measure_apart(change(coarse, jpeg=2), coarse.numpy()).max() < 0.2

    def test_jpeg_does_nothing_to_half_of_the_crops(self):
        crops = make_crops(100)
        apart = measure_apart(change(crops, jpeg=2), crops.numpy())
        assert 30 <= (apart < 0.01).sum() <= 70
        assert apart.max() > 0.2


def test_hidden_squares_are_grey_and_within_their_bound():
    changed = change(tf.ones((200, SIDE, SIDE, 3)), hidden=0.5)
    hidden = np.isclose(changed, 0, atol=1e-6)
    assert (hidden | np.isclose(changed, 1, atol=0.01)).all()
    assert (hidden.all(axis=3) == hidden.any(axis=3)).all()
    hidden = hidden[..., 0]
    assert hidden.any(axis=2).sum(axis=1).max() <= SIDE / 2 + 1
    assert hidden.any(axis=1).sum(axis=1).max() <= SIDE / 2 + 1
    assert (
        40 <= hidden.any(axis=(1, 2)).sum() <= 110
    )  # half of the crops, less the smallest squares


@pytest.mark.parametrize("channels", [1, 3])
def test_a_preview_shows_one_crop_time_and_again(channels):
    crop = np.random.default_rng(0).integers(0, 256, (SIDE, SIDE, channels), np.uint8)
    same = preview_augmentation(crop, NOTHING, 4)
    assert (same.shape, same.dtype) == ((4, SIDE, SIDE, channels), np.uint8)
    for each in same:
        assert min(np.abs(each.astype(int) - view).max() for view in (crop, crop[:, ::-1])) <= 1
    changed = preview_augmentation(crop, Augmentation(), 4, seed=1)
    assert (changed != preview_augmentation(crop, Augmentation(), 4, seed=2)).any()
    assert (changed[0] != changed[1]).any()
    assert preview_augmentation(crop, NOTHING, 0).shape == (0, SIDE, SIDE, channels)


def test_geometry_moves_what_is_seen():
    dot = np.full((100, SIDE, SIDE, 1), -1, np.float32)
    dot[:, 7:9, 7:9] = 1
    rows, columns = np.indices((SIDE, SIDE))
    for bounds, moves in (
        ({"shift": 0.25}, True),
        ({"rotation_degrees": 30}, False),
        ({"zoom": 0.3}, False),
    ):
        light = np.maximum(
            change(tf.constant(dot), **bounds)[..., 0] + 1 - 0.01, 0
        )  # less what JPEG at its finest leaves
        total = light.sum(axis=(1, 2))
        centres = np.stack(
            [(light * rows).sum(axis=(1, 2)) / total, (light * columns).sum(axis=(1, 2)) / total],
            axis=1,
        )
        furthest = np.abs(centres - 7.5).max()
        assert furthest <= 0.25 * SIDE + 0.1
        assert (furthest > 2) == moves  # turning and zooming keep the middle where it is


@pytest.mark.parametrize("channels", [1, 3])
def test_no_crops(channels):
    assert augment(
        make_crops(0, channels), tf.constant([0, 0], tf.int64), Augmentation()
    ).shape == (0, SIDE, SIDE, channels)


class TestMix:
    CROPS = tf.reshape(tf.range(4.0), (4, 1, 1, 1)) * tf.ones((4, 8, 8, 1))

    def mix(self, seed: int, targets=None):
        targets = {"emotion": tf.eye(4)} if targets is None else targets
        return mix((self.CROPS, targets, tf.ones(4)), tf.constant([seed, 1]), 0.4)

    def test_crops_and_targets_are_mixed_in_one_share(self):
        shares = []
        for seed in range(40):
            crops, targets, weights = self.mix(seed)
            share = float(targets["emotion"][0, 3])
            np.testing.assert_allclose(crops[0], 3 * share, atol=1e-6)
            np.testing.assert_allclose(tf.reduce_sum(targets["emotion"], axis=1), 1, atol=1e-6)
            np.testing.assert_allclose(weights, 1, atol=1e-6)
            shares.append(share)
        assert 8 <= sum(share == 0 for share in shares) <= 32
        assert 0.3 < max(shares) <= 0.4

    def test_a_seed_repeats_itself(self):
        np.testing.assert_array_equal(self.mix(5)[0], self.mix(5)[0])

    def test_a_missing_label_leaves_batches_alone_that_are_not_mixed(self):
        targets = {"emotion": tf.constant([[np.nan], [1.0], [1.0], [1.0]])}
        counts = {int(np.isnan(self.mix(seed, targets)[1]["emotion"]).sum()) for seed in range(40)}
        assert counts == {1, 2}  # with its partner only where it is mixed with it

    def test_a_missing_label_stays_missing(self):
        _, targets, _ = self.mix(1, {"emotion": tf.constant([[np.nan], [1], [1], [1]])})
        assert np.isnan(targets["emotion"][0, 0])


def test_tight_crops_repeat_their_new_edges():
    ramp = np.linspace(-1, 1, SIDE, dtype=np.float32)
    crops = tf.constant(np.tile(ramp[None, :, None, None], (40, 1, SIDE, 1)))
    changed = change(crops, tight=0.3)
    rows = changed[:, :, 0, 0]
    assert np.ptp(changed, axis=2).max() < 1e-5  # columns are alike still
    cut = np.abs(rows - ramp).max(axis=1) > 1e-5
    assert 0.5 < cut.mean() < 1  # at the upper or lower edge, three quarters
    for row in rows[cut]:
        kept = np.abs(row - ramp) < 1e-5
        first, last = np.flatnonzero(kept)[[0, -1]]
        assert kept[first : last + 1].all()
        np.testing.assert_allclose(row[:first], ramp[first], atol=1e-5)
        np.testing.assert_allclose(row[last + 1 :], ramp[last], atol=1e-5)
        assert max(first, SIDE - 1 - last) <= 0.3 * SIDE
