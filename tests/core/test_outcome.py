"""The comparison of plan and outcome of the demo: it must be able to say no."""

import datetime as dt

import pytest

from iblnm_core.demo.expectations import NO_RESPONSES
from iblnm_core.demo.outcome import surprises
from iblnm_core.demo.plan import SessionPlan
from iblnm_core.demo.presets import SUBJECTS
from iblnm_core.errors import InsufficientTrials, LedStateGap
from iblnm_core.session.fingerprint import Provenance
from iblnm_core.session.outputs import ORDINARY
from iblnm_core.session.verdicts import Judge

EID = "0a1b2c3d-0000-4000-8000-000000000001"


def plan(plant):
    return SessionPlan(SUBJECTS["DEMO-DA1"], dt.date(2025, 3, 3), 1, "biased", 8.0, plant)


def stored(*absent):
    def entry(name):
        state = "stopped" if name in absent else "stored"
        return Provenance(state, None, "", "", "", "", (), {}, {})

    return {name: entry(name) for name in ORDINARY}


def verdicts(rule=None, error=None):
    judge = Judge()
    judge.record("trials_available", [])
    if rule:
        judge.record(rule, [error])
    return judge.verdicts


FEW = ("enough_trials", InsufficientTrials("n_trials=60 < MIN_NTRIALS=90"))


def test_as_planned_there_is_no_surprise():
    assert surprises(plan(None), EID, stored(), verdicts()) == []
    assert surprises(plan("few_trials"), EID, stored("task_performance", *NO_RESPONSES), verdicts(*FEW)) == []


@pytest.mark.parametrize(
    ("plant", "absent", "found", "text"),
    [
        ("few_trials", ("responses",), (), "InsufficientTrials of trials"),
        (None, (), FEW, "trials has fatal InsufficientTrials"),
        ("few_trials", (), FEW, "responses should not exist and does"),
        (None, ("trials",), (), "trials should exist and does not"),
        ("few_trials", ("responses",), ("led_states", LedStateGap("1 gap")), "photometry_qc has advisory LedStateGap"),
        (
            "few_trials",
            ("responses",),
            ("enough_trials", InsufficientTrials("another message")),
            "was planted and not found",
        ),
    ],
)
def test_every_difference_is_a_surprise(plant, absent, found, text):
    texts = [surprise.text for surprise in surprises(plan(plant), EID, stored(*absent), verdicts(*found))]
    assert any(text in line for line in texts)
