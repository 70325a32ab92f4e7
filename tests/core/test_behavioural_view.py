"""Behaviour as seen from a fibre: sides, lapses, full keys; what is not known is left out and said."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from iblnm_core.analyses.behavioural_view import LATERALISED, PSYCHOMETRICS, behavioural_view
from iblnm_core.analyses.session_glm import RECORDING_LEVELS
from iblnm_core.demo.simulated_cohorts import simulated_recordings
from iblnm_core.errors import MissingPrerequisite


def _performance(eids, threshold=20.0, bias=5.0, left=0.02, right=0.07):
    values = dict(zip(PSYCHOMETRICS, (threshold, bias, left, right), strict=True))
    return pd.DataFrame({"eid": list(eids)}).assign(**values)


def test_two_fibres_of_a_session_see_it_from_their_own_side():
    recordings = (
        simulated_recordings(1)
        .loc[[0, 0]]
        .assign(fiber_idx=[0, 1], hemisphere=["r", "l"], target_NM=["SNc-DA", "VTA-DA"])
    )
    view, outcomes = behavioural_view(recordings, _performance(["e0000"]))
    assert view.index.names == list(RECORDING_LEVELS)
    assert tuple(view) == LATERALISED
    # contra of a fibre on the right is left; choices to the left when the strong stimulus is on the right are lapse_left
    assert view.loc[("e0000", "SNc-DA", 0, "m000")].tolist() == [20, -5, 0.02, 0.07]
    assert view.loc[("e0000", "VTA-DA", 1, "m000")].tolist() == [20, 5, 0.07, 0.02]
    assert outcomes["status"].tolist() == ["ok", "ok"]


@given(st.floats(-50, 50), st.floats(0, 0.2), st.floats(0, 0.2))
@settings(deadline=None, max_examples=30)
def test_mirrored_behaviour_seen_from_the_other_side_is_the_same(bias, left, right):
    recordings = simulated_recordings(2)
    performance = pd.concat(
        [
            _performance(["e0000"], bias=bias, left=left, right=right),
            _performance(["e0001"], bias=-bias, left=right, right=left),
        ]
    )
    view, _ = behavioural_view(recordings, performance)
    np.testing.assert_array_equal(view.iloc[0], view.iloc[1])


def test_what_is_not_known_is_left_out_and_said():
    recordings = simulated_recordings(5)
    recordings.loc[1, "hemisphere"] = ""
    recordings.loc[2, "hemisphere"] = None
    performance = _performance(recordings["eid"][:4])
    performance.loc[3, "psych_50_bias"] = np.nan
    view, outcomes = behavioural_view(recordings, performance)
    assert view.index.get_level_values("eid").tolist() == ["e0000"]
    found = outcomes.sort_values("eid")
    assert found["status"].tolist() == ["ok", *["missing_input"] * 4]
    assert found["detail"].tolist() == [
        None,
        "hemisphere unknown",
        "hemisphere unknown",
        "no psych_50_bias",
        "no behaviour of the session",
    ]


def test_the_order_of_rows_does_not_matter():
    recordings = simulated_recordings(9)
    performance = _performance(recordings["eid"], bias=np.arange(9.0))
    ordered = behavioural_view(recordings, performance)
    mixed = behavioural_view(recordings.sample(frac=1, random_state=0), performance.sample(frac=1, random_state=1))
    for one, other in zip(ordered, mixed, strict=True):
        pd.testing.assert_frame_equal(one, other)


def test_bad_input_is_refused():
    recordings, performance = simulated_recordings(2), _performance(["e0000", "e0001"])
    with pytest.raises(MissingPrerequisite, match="psych_50_bias"):
        behavioural_view(recordings, performance.drop(columns="psych_50_bias"))
    with pytest.raises(ValueError, match="eid"):
        behavioural_view(recordings, pd.concat([performance, performance]))
    with pytest.raises(ValueError, match="fiber_idx"):
        behavioural_view(pd.concat([recordings, recordings]), performance)


def test_nothing_is_an_empty_view():
    some, none = (behavioural_view(simulated_recordings(1)[:n], _performance(["e0000"])) for n in (1, 0))
    for one, other in zip(some, none, strict=True):
        assert other.empty
        assert list(one) == list(other)
