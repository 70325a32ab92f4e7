"""Signals for a screen: every spike is seen, gaps stay gaps, and few points are sent."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

from iblnm_core.figures.thinning import thinned
from iblnm_core.viewer.traces import Trace, between, with_gaps

VALUES = st.floats(-1e6, 1e6) | st.just(float("nan"))


def trace_of(values, step=0.033):
    return Trace(np.arange(len(values)) * step, np.asarray(values, np.float64))


@given(values=arrays(np.float64, st.integers(0, 3000), elements=VALUES), n_points=st.integers(4, 400))
def test_few_points_hold_the_extremes_in_the_order_of_time(values, n_points):
    whole = trace_of(values)
    few = Trace(*thinned(whole.times, whole.values, n_points))
    assert len(few.times) <= max(n_points, 4)
    assert (np.diff(few.times) > 0).all()
    # every point is a sample
    places = np.searchsorted(whole.times, few.times)
    np.testing.assert_array_equal(whole.values[places], few.values)
    if np.isfinite(values).any():
        assert np.nanmin(few.values) == np.nanmin(values)
        assert np.nanmax(few.values) == np.nanmax(values)
    if len(values) <= n_points:
        assert few.times is whole.times


@given(data=st.data(), n_points=st.integers(4, 100))
def test_no_line_is_drawn_across_a_gap(data, n_points):
    values = np.arange(data.draw(st.integers(500, 2000)), dtype=np.float64)
    start = data.draw(st.integers(1, len(values) - 2))
    values[start : start + data.draw(st.integers(1, 400))] = np.nan
    few = Trace(*thinned(np.arange(len(values)) * 0.033, values, n_points))
    known = np.isfinite(few.values)
    for left, right in zip(
        np.flatnonzero(known[:-1] & known[1:]), np.flatnonzero(known[:-1] & known[1:]) + 1, strict=True
    ):
        between_them = (np.arange(len(values)) * 0.033 > few.times[left]) & (
            np.arange(len(values)) * 0.033 < few.times[right]
        )
        assert np.isfinite(values[between_them]).all()


def test_a_step_that_is_too_long_becomes_a_gap():
    trace = with_gaps(Trace(np.array([0.0, 0.1, 5.0, 5.1]), np.array([1.0, 2.0, 3.0, 4.0])))
    np.testing.assert_array_equal(trace.values, [1, 2, np.nan, 3, 4])
    assert trace.times[2] == pytest.approx(2.55)
    whole = trace_of([1.0, 2.0])
    assert with_gaps(whole) is whole


def test_a_stretch_has_its_neighbours():
    trace = trace_of(np.arange(100.0), step=1.0)
    np.testing.assert_array_equal(between(trace, 10.0, 12.5).values, [9, 10, 11, 12, 13])
    np.testing.assert_array_equal(between(trace, -5.0, 0.5).values, [0, 1])
    assert len(between(trace, 300.0, 400.0).times) == 1
    assert len(between(trace_of([]), 0.0, 1.0).times) == 0


@pytest.mark.parametrize("times", [[0.0, 2.0, 1.0], [0.0, np.nan, 1.0]])
def test_times_that_do_not_ascend_are_refused(times):
    with pytest.raises(ValueError, match="ascend"):
        Trace(np.array(times), np.zeros(3))


def test_unequal_lengths_are_refused():
    with pytest.raises(ValueError, match="equally many"):
        Trace(np.zeros(3), np.zeros(2))
