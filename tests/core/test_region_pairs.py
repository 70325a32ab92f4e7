"""Pairs of regions: planted lags, gaps, common drive by events, movement that both references see."""

import time
from dataclasses import replace
from itertools import combinations

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from tests_support.sessions import OneSession

from iblnm_core.cohort.collect import collected_rows
from iblnm_core.correction_parameters import RegionPairParameters
from iblnm_core.corrections.region_pairs import FiberTrace, pair_measures, region_pairs
from iblnm_core.overrides import parameters_from
from iblnm_core.root import create_root
from iblnm_core.schemas.region_pairs import REGION_PAIRS
from iblnm_core.session.corrections_layout import correction_parts
from iblnm_core.session.layout import read_trials, region_of
from iblnm_core.session.shape_stage import pair_rows
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import make_table

RATE_HZ = 30


def axis(duration_s, start_s=12.3):
    return start_s + np.arange(round(duration_s * RATE_HZ)) / RATE_HZ


def lagged(n, samples, seed=0, noise=1.0):
    """Two traces that share slow noise, the second some samples later."""
    random = np.random.default_rng(seed)
    shared = np.convolve(random.standard_normal(n + 60), np.ones(4) / 2, "same")
    first = shared[30 : n + 30] + noise * random.standard_normal(n)
    second = shared[30 - samples : n + 30 - samples] + noise * random.standard_normal(n)
    return first, second


@given(st.integers(-25, 25))
@settings(deadline=None, max_examples=10)
def test_a_planted_lag_is_found_and_turns_round_with_the_pair(samples):
    times = axis(700)
    first, second = lagged(len(times), samples)
    there = pair_measures(times, first, second, [], 1)
    back = pair_measures(times, second, first, [], 1)
    assert there.lag_ms == pytest.approx(1000 * samples / RATE_HZ, abs=10)
    assert there.r_peak > 0.4 > 4 * there.r_null_97
    assert back.lag_ms == pytest.approx(-there.lag_ms, abs=1e-6)
    for name in ("common_s", "r0", "r_peak", "coherence_slow", "coherence_fast"):
        assert getattr(back, name) == pytest.approx(getattr(there, name), abs=1e-12)


def test_every_lag_is_the_correlation_of_the_pairs_that_are_known():
    from iblnm_core.corrections.region_pairs import _cross_correlation, _smoothed

    random = np.random.default_rng(3)
    first, second = random.standard_normal((2, 500))
    first[100:140], second[[7, 300]] = np.nan, np.nan
    a, b = (_smoothed(values, RATE_HZ, RegionPairParameters()) for values in (first, second))
    r, pairs = _cross_correlation(a, b, 60)
    for lag in range(-60, 61):
        left, right = slice(max(-lag, 0), 500 - max(lag, 0)), slice(max(lag, 0), 500 - max(-lag, 0))
        both = a.known[left] & b.known[right]
        assert pairs[lag] == both.sum()
        assert r[lag] == pytest.approx(np.corrcoef(a.values[left][both], b.values[right][both])[0, 1], abs=1e-9)


def test_no_measure_sees_what_is_behind_a_mask():
    times = axis(700)
    first, second = lagged(len(times), 3)
    masked = np.zeros(len(times), bool)
    masked[5000:5200] = masked[12000] = True
    plain = pair_measures(times, np.where(masked, np.nan, first), second, [times[::400]], 1)
    # the other trace runs wild where the first is masked, but for the memory of its filter
    wild = second.copy()
    wild[5050:5150] += 1000
    measured = pair_measures(times, np.where(masked, np.nan, first), wild, [times[::400]], 1)
    assert measured.r0 == pytest.approx(plain.r0, abs=1e-6)
    assert plain.common_s == pytest.approx(700 - masked.sum() / RATE_HZ)
    whole = pair_measures(times, first, second, [], 1)
    # stretches of 600 samples start every 300: three of them touch each gap
    assert plain.n_segments == whole.n_segments - 6


def test_what_is_shared_through_events_only_is_gone_without_them():
    times = axis(900)
    random = np.random.default_rng(5)
    cues = np.arange(20, 880, 6.0) + random.uniform(0, 2, 144)
    outcomes = cues + random.uniform(0.3, 1.2, 144)
    traces = random.standard_normal((2, len(times)))
    own = random.standard_normal(len(times))
    for event, size in ((cues, 3.0), (outcomes, -4.0)):
        since = times[None] - event[:, None]
        traces += size * np.where(since >= 0, np.exp(-np.maximum(since, 0) / 0.3), 0).sum(axis=0)
    events = [np.append(cues, np.nan), outcomes]
    driven = pair_measures(times, *traces, events, 1)
    assert driven.r0 > 0.3
    assert abs(driven.r_events_removed) < 0.05
    # what is shared besides stays
    more = pair_measures(times, *(traces + 2 * own), events, 1)
    assert more.r_events_removed == pytest.approx(0.8, abs=0.03)


def test_traces_without_anything_in_common_stay_within_the_null():
    times = axis(1200)
    random = np.random.default_rng(11)
    found = pair_measures(times, *random.standard_normal((2, len(times))), [], 1)
    assert abs(found.r0) < 2 * found.r_null_97 < 0.05
    # by chance, one over the number of stretches
    assert found.coherence_slow == pytest.approx(1 / found.n_segments, rel=0.6)
    same = pair_measures(times, *lagged(len(times), 0, noise=0.0), [], 1)
    assert same.r0 == same.r_peak == pytest.approx(1)
    assert same.coherence_slow == same.coherence_fast == pytest.approx(1)


def test_references_that_move_together_make_a_pair_suspect():
    times = axis(700)
    first, second = lagged(len(times), 0)
    random = np.random.default_rng(2)
    apart = pair_measures(times, first, second, [], 1, tuple(random.standard_normal((2, len(times)))))
    together = pair_measures(times, first, second, [], 1, lagged(len(times), 0, seed=9))
    none = pair_measures(times, first, second, [], 1)
    assert (apart.suspect, together.suspect, none.suspect) == (False, True, None)
    assert np.isnan(none.r_reference)
    assert np.isnan(none.r_events_removed)


@pytest.mark.parametrize(
    ("duration_s", "change", "status"),
    [
        (599, lambda a: a, "too_short"),
        (700, np.zeros_like, "constant"),
        (700, lambda a: np.full(len(a), np.nan), "too_short"),
        (0, lambda a: a, "too_short"),
    ],
    ids=["short", "constant", "unknown", "empty"],
)
def test_pairs_that_cannot_be_measured_say_why(duration_s, change, status):
    times = axis(duration_s)
    first = np.random.default_rng(0).standard_normal(len(times))
    found = pair_measures(times, first, change(first), [], 1)
    assert found.status == status
    assert np.isnan([found.r0, found.r_peak, found.lag_ms, found.r_null_97]).all()


def test_traces_on_different_axes_are_refused():
    times = axis(700)
    with pytest.raises(ValueError, match="one regular axis"):
        pair_measures(times, np.ones(len(times)), np.ones(len(times) - 1), [], 1)


def test_a_session_has_a_row_for_every_pair_whatever_the_order_of_its_fibres():
    times = axis(650)
    first, second = lagged(len(times), 3)
    third, reference = np.random.default_rng(4).standard_normal((2, len(times)))
    fibers = [
        FiberTrace(2, "LC", third),
        FiberTrace(0, "VTA", first, reference),
        FiberTrace(1, "SNc", second, reference),
    ]
    events = {"stimOn": times[100::400]}
    rows = region_pairs(times, fibers, events, "session")
    pd.testing.assert_frame_equal(rows, region_pairs(times, fibers[::-1], events, "session"))
    assert rows[["fiber_1", "fiber_2"]].to_numpy().tolist() == [[0, 1], [0, 2], [1, 2]]
    assert rows["lag_ms"][0] == pytest.approx(100, abs=10)
    assert rows["suspect"].tolist() == [True, None, None]
    other = region_pairs(times, fibers, events, "another session")
    assert other["r0"].equals(rows["r0"])
    assert not other["r_null_97"].equals(rows["r_null_97"])
    stored = rows.assign(eid="session", correction="robust")[REGION_PAIRS.column_names]
    make_table(REGION_PAIRS, stored, {})
    none = region_pairs(times, fibers[:1], events, "session")
    assert len(none) == 0
    assert list(none) == list(rows)


def test_an_hour_takes_a_fraction_of_a_second():
    times = axis(3600)
    first, second = lagged(len(times), 2)
    first[1000:1100] = np.nan
    cues = np.linspace(20, 3500, 700)
    events = [cues, cues + 0.3, cues + 0.5]
    taken = []
    for _ in range(3):
        start = time.process_time()
        pair_measures(times, first, second, events, 1, (first, second))
        taken.append(time.process_time() - start)
    # 0.06 s alone on a machine; other threads count as well
    assert min(taken) < 0.6


def test_a_session_that_is_asked_for_its_pairs_has_them_in_the_cohort_table(tmp_path, copies):
    made = copies(tmp_path / "cache", 1)
    (eid,) = made.eids
    # the session is shorter than what pairs need by default
    parameters = parameters_from("default", {"region_pairs": {"least_common_s": 200.0}})
    root = replace(create_root(tmp_path / "root", cache=made.cache), parameters=parameters)
    session = OneSession(root, made.folders[eid], eid)
    assert "region_pairs" not in session.run().provenance
    report = session.run(selected=frozenset({"region_pairs"}))
    assert report.computed == {"region_pairs"}
    rows = collected_rows(root, "region_pairs")
    with SessionFile(root.session_file(eid), eid) as file:
        corrections, trials = correction_parts(file), read_trials(file)
    regions = [region_of(group) for group in corrections]
    assert rows[["region_1", "region_2"]].to_numpy().tolist() == [list(pair) for pair in combinations(regions, 2)]
    assert len(rows) >= 1
    assert (rows["status"] == "ok").all()
    assert (rows["r_peak"].abs() >= rows["r0"].abs() - 1e-9).all()
    assert rows["r_reference"].notna().all()
    assert set(rows["correction"]) == {"robust"}
    # a fibre with a stand-in makes the pair one of two corrections
    last = list(corrections)[-1]
    corrections[last] = replace(corrections[last], attributes={**corrections[last].attributes, "primary": "reference"})
    (mixed,) = pair_rows(corrections, trials, eid, parameters)["correction"]
    assert mixed == "robust and reference"
