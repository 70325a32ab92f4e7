"""Blocks of the task: their lengths and their plan."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from iblnm_core.session.blocks import block_lengths, planned_probabilities, shortest_block


def blocks(*lengths):
    return np.repeat(np.resize([0.5, 0.2, 0.8], len(lengths)), lengths)


def test_an_only_block_is_judged_itself():
    assert shortest_block(blocks(7)) == 7


@given(st.lists(st.integers(1, 60), min_size=1, max_size=12))
def test_lengths_come_back(lengths):
    assert block_lengths(blocks(*lengths)).tolist() == lengths
    assert block_lengths(np.empty(0)).tolist() == []


@pytest.mark.parametrize("first", [0.2, 0.8])
@pytest.mark.parametrize("seed", range(20))
def test_the_plan_is_read_from_the_order_even_where_a_short_block_misleads(first, seed):
    random = np.random.default_rng(seed)
    lengths = [90, *random.integers(20, 60, 9)]
    truth = np.repeat([0.5, *np.resize([first, 1 - first], 9)], lengths)
    positions = np.where(random.uniform(size=len(truth)) < truth, -35, 35)
    # the second block has as many stimuli on either side
    positions[90 : 90 + lengths[1]] = np.resize([-35, 35], lengths[1])
    found = planned_probabilities(lengths, positions.tolist(), (0.8, 0.2), len(truth) - 5)
    np.testing.assert_allclose(found, truth[:-5])
