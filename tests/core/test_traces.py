"""Mean traces: against a plain loop over conditions."""

import numpy as np
import pandas as pd
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core.analyses.traces import condition_traces, mean_traces
from iblnm_core.session.responses import Responses

EVENTS = ("stimOn_times", "feedback_times")
SELECTED = ["eid", "fiber_idx", "subject", "target_NM", "brain_region"]


def _random_recording(random, n):
    trials = pd.DataFrame(
        {
            "contrast": random.choice([0, 6.25, 100, np.nan], n, p=[0.3, 0.3, 0.3, 0.1]),
            "feedbackType": random.choice([1, -1], n),
        },
        index=random.permutation(n),
    )
    values = np.where(random.random((2, n, 4)) < 0.3, np.nan, random.normal(size=(2, n, 4)))
    return Responses(EVENTS, np.arange(-2, 2) / 30, np.arange(n), values, 30, (-2 / 30, 2 / 30)), trials


def _long(responses, trials, used):
    traces = condition_traces(responses, trials, used)
    stored = traces.assign(eid="a", fiber_idx=0, start_s=responses.times[0], sampling_rate_hz=30.0)
    selected = pd.DataFrame([["a", 0, "mouse", "VTA-DA", "VTA"]], columns=SELECTED)
    table = mean_traces(stored, selected)
    assert set(table["subject"]) <= {"mouse"}
    return table[["event", "contrast", "feedbackType", "time", "response", "n_trials"]]


@given(st.integers(0, 2**20), st.integers(0, 30))
@settings(deadline=None, max_examples=60)
def test_traces_are_those_of_a_loop(seed, n):
    random = np.random.default_rng(seed)
    responses, trials = _random_recording(random, n)
    used = random.random(n) < 0.8
    found = _long(responses, trials, used)
    rows = []
    kept = trials[used].dropna()
    for place, event in enumerate(EVENTS):
        for (contrast, feedback), group in kept.groupby(["contrast", "feedbackType"]):
            values = responses.values[place, group.index]
            n_trials = int((~np.isnan(values[:, 0])).sum())
            for time, column in zip(responses.times, values.T, strict=True):
                known = column[~np.isnan(column)]
                rows.append(
                    (
                        event.removesuffix("_times"),
                        contrast,
                        feedback,
                        time,
                        known.mean() if len(known) else np.nan,
                        n_trials,
                    )
                )
    expected = pd.DataFrame(rows, columns=["event", "contrast", "feedbackType", "time", "response", "n_trials"])
    kinds = {"contrast": float, "feedbackType": "int64", "time": float, "response": float, "n_trials": "int64"}
    pd.testing.assert_frame_equal(found, expected.astype(kinds), rtol=1e-12)


def test_no_trials_give_an_empty_table_of_the_same_kinds():
    responses, trials = _random_recording(np.random.default_rng(0), 5)
    none, some = (_long(responses, trials, np.full(5, use)) for use in (False, True))
    assert len(none) == 0
    assert none.dtypes.equals(some.dtypes)
