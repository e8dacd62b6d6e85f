"""Groups that pairs form."""

import numpy as np

from facekit.components import join_pairs

NONE = np.zeros(0, int)


def test_joins_chain_and_singles_stand_alone():
    groups = join_pairs(7, np.array([5, 1, 3]), np.array([3, 6, 1]))
    assert groups.tolist() == [0, 1, 2, 1, 3, 1, 1]


def test_a_long_chain_in_any_order():
    order = np.random.default_rng(0).permutation(500)
    assert not join_pairs(500, order[:-1], order[1:]).any()


def test_no_pairs_and_nothing_at_all():
    assert join_pairs(3, NONE, NONE).tolist() == [0, 1, 2]
    assert join_pairs(0, NONE, NONE).shape == (0,)


def test_pairs_may_repeat_and_join_a_thing_with_itself():
    assert join_pairs(3, np.array([0, 2, 2, 1]), np.array([2, 0, 2, 1])).tolist() == [0, 1, 0]
