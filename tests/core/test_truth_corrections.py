"""What corrections recover of planted fibres, and that what is found wrong is missed."""

import numpy as np
import pytest
from tests_support.paths import REPOSITORY

from iblnm_core.demo.planted_fluorescence import SCENARIOS, plant
from iblnm_core.demo.recovery_corrections import (
    EXPECTED_CHECKS,
    correction_statistics,
    recover_corrections,
)
from iblnm_core.demo.recovery_page import page

NAMES = ("reference", "robust", "dff_exp", "control_fit")


@pytest.fixture(scope="module")
def recovered():
    """Three scenarios of two seeds."""
    return recover_corrections(("clean", "event_motion", "contaminated"), (0, 1), NAMES)


def by_name(recovered):
    return {statistic.name: statistic for statistic in correction_statistics(*recovered)}


def missed(measures, fired):
    return {name for name, statistic in by_name((measures, fired)).items() if not statistic.holds}


def test_what_was_planted_comes_out(recovered):
    assert {name: statistic.found for name, statistic in by_name(recovered).items() if not statistic.holds} == {}


def test_the_committed_page_has_every_statistic(recovered):
    text = (REPOSITORY / "docs" / "truth.md").read_text()
    assert "## Corrections" in text
    for name in by_name(recovered):
        assert f"| {name} | " in text
    for name in SCENARIOS:
        assert f"| correlation with the planted signal, {name} | " in text


def test_the_page_has_a_section_on_corrections_where_there_are_any(recovered):
    others = {name: [] for name in ("photometry", "curves", "blocks", "timings")}
    assert "## Corrections" not in page(others, 0)
    text = page(others | {"corrections": correction_statistics(*recovered)}, 240)
    assert text.count("| yes |") == len(by_name(recovered))


def worse(measures, measure, change, correction="robust"):
    mask = measures["correction"] == correction
    return measures.assign(**{measure: measures[measure].mask(mask, change(measures[measure]))})


def test_a_correction_that_is_wrong_is_missed(recovered):
    measures, fired = recovered
    size = "error of the mean response, relative, "
    found = {
        "correlation": missed(worse(measures, "correlation", lambda v: v - 0.2), fired),
        "bias": missed(worse(measures, "bias", lambda v: v - 0.2), fired),
        "invented": missed(worse(measures, "invented", lambda v: v - 0.2), fired),
        "null_rms": missed(worse(measures, "null_rms", lambda v: 2 * v), fired),
        "drift": missed(worse(measures, "drift", lambda v: v + 0.5), fired),
    }
    assert found == {
        "correlation": {f"correlation with the planted signal, {n}" for n in set(measures["scenario"])},
        "bias": {f"{size}clean", f"{size}event_motion"},
        "invented": {"response to an event that evokes none, % dF/F, event_motion"},
        "null_rms": {"RMS where nothing is planted, % dF/F, event_motion"},
        "drift": {"level of robust, last less first sixth, % dF/F"},
    }


def test_a_check_that_is_silent_or_fires_for_nothing_is_missed(recovered):
    measures, fired = recovered
    assert missed(measures, fired[fired["check"] != "ReferenceContaminated"]) == {"checks that fire, contaminated"}
    false = fired.assign(check=fired["check"].replace("LowReferenceCorrelation", "FlatSteps"))
    assert missed(measures, false) == {"checks that fire, clean"}


def test_expected_checks_belong_to_scenarios():
    assert set(EXPECTED_CHECKS) <= set(SCENARIOS)


@pytest.mark.parametrize("name", SCENARIOS)
def test_a_planted_recording_follows_from_its_seed(name):
    one, again, other = (plant(SCENARIOS[name], seed, 120) for seed in (3, 3, 4))
    np.testing.assert_array_equal(one.signal, again.signal)
    assert not np.array_equal(one.signal, other.signal)
    assert np.isfinite(one.reference).all()
    assert one.signal[:30].mean() == pytest.approx(1 + one.dark, abs=0.1)
    # noise apart, the scenarios of one seed share their events
    np.testing.assert_array_equal(one.events, plant(SCENARIOS["clean"], 3, 120).events)
