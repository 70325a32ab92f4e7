"""The watch over the rigs: drifts are told before recordings fail, steady rigs and new mice raise no alarm, reasons are in words."""

import numpy as np
import pandas as pd
import pytest
from tests_support.rigs import GCAMP_ONLY, LEVEL, simulated_rigs

from iblnm_core.analyses.registry import ANALYSES
from iblnm_core.analyses.rig_watch import METRICS, UNKNOWN_LAB, judge_rigs, mouse_slope, rig_watch
from iblnm_core.analyses.running import results_of
from iblnm_core.cohort_parameters import RigWatchParameters
from iblnm_core.parameters import Parameters
from iblnm_core.schemas import TABLES
from iblnm_core.storage.tables import make_table

CUTOFF = 0.05
NOISE, SAMPLES = "median_absolute_deviance", "n_unique_samples"


def watched(tables, **options):
    return rig_watch(*tables, RigWatchParameters(**options), {SAMPLES: CUTOFF})


def up_to(tables, n_weeks):
    """What was known after so many weeks."""
    signals, qc, sessions = tables
    last = (pd.Timestamp("2025-01-06") + pd.Timedelta(weeks=n_weeks)).strftime("%Y-%m-%d")
    return signals[signals["date"] < last], qc, sessions


def row_of(drift, metric, lab="lab000", band="GCaMP"):
    [row] = drift[(drift["lab"] == lab) & (drift["metric"] == metric) & (drift["band"] == band)].to_dict("records")
    return row


def plain(values, *, subject="m", per_week=4, metric=NOISE, start="2025-01-06"):
    """Tables of one lab whose recordings have given values in their order; other metrics are not known."""
    n = len(values)
    day = pd.Timestamp(start) + pd.to_timedelta(7 * (np.arange(n) // per_week) + np.arange(n) % per_week, unit="D")
    subjects = [subject] * n if isinstance(subject, str) else subject
    eids = [f"e{number:04d}" for number in range(n)]
    signals = pd.DataFrame({"eid": eids, "fiber_idx": 0, "subject": subjects, "date": day.strftime("%Y-%m-%d")})
    qc = pd.DataFrame({"eid": eids, "fiber_idx": 0, "band": "GCaMP", **dict.fromkeys(METRICS, np.nan)})
    return signals, qc.assign(**{metric: values}), pd.DataFrame({"eid": eids, "lab": "here"})


def test_steady_rigs_stay_ok_in_all_metrics_of_both_bands():
    drift = watched(simulated_rigs(n_labs=200, seed=3))["rig_drift"]
    assert len(drift) == 200 * (2 * len(METRICS) - len(GCAMP_ONLY))
    verdicts = drift.groupby("lab")["verdict"]
    assert verdicts.agg(lambda of_lab: (of_lab == "ok").all()).mean() >= 0.95
    assert verdicts.agg(lambda of_lab: (of_lab == "alarm").any()).mean() <= 0.02


@pytest.mark.parametrize(("metric", "per_week", "cutoff"), [(NOISE, 0.25, 2.5), (SAMPLES, -0.25, None)])
def test_a_drift_is_watched_and_then_an_alarm_weeks_before_recordings_fail(metric, per_week, cutoff):
    level, spread = LEVEL[metric]
    tables = simulated_rigs(n_labs=2, n_weeks=44, seed=4, drifts={(0, metric): per_week * spread})
    # noise has no cutoff of its own: taken as the level at which it is two and a half times what it was
    limit = CUTOFF if cutoff is None else cutoff * level
    weekly = watched(tables)["rig_weekly"]
    of_rig = weekly[(weekly["lab"] == "lab000") & (weekly["metric"] == metric) & (weekly["band"] == "GCaMP")]
    beyond = of_rig["lower_quartile"] < limit if cutoff is None else of_rig["upper_quartile"] > limit
    first_failure = int(np.flatnonzero(beyond)[0])
    first = {}
    for n_weeks in range(12, first_failure + 1):
        verdict = row_of(watched(up_to(tables, n_weeks))["rig_drift"], metric)["verdict"]
        first.setdefault(verdict, n_weeks)
        if verdict == "alarm":
            break
    assert first["ok"] == 12
    assert first["ok"] < first["watch"] < first["alarm"] <= first_failure - 4
    assert row_of(watched(up_to(tables, first_failure))["rig_drift"], metric, "lab001")["verdict"] == "ok"


def test_new_mice_are_no_drift_of_the_rig():
    random = np.random.default_rng(5)
    number = np.arange(26 * 4)
    mouse = number // 8
    # each mouse has a higher level than the one before, and its own recordings do not change
    values = 1.0 + 0.2 * mouse + 0.05 * random.normal(size=len(number))
    found = row_of(watched(plain(values, subject=[f"m{name}" for name in mouse]))["rig_drift"], NOISE, "here")
    assert found["slope_lower"] > 0
    assert found["deviation"] > RigWatchParameters().alarm_mads
    assert found["verdict"] == "ok"
    assert "the mice changed" in found["why"]


def test_without_a_fibre_that_came_back_an_alarm_is_watched_only():
    values = np.linspace(1.0, 5.0, 26 * 4) + 0.05 * np.random.default_rng(6).normal(size=26 * 4)
    alone = [f"m{number}" for number in range(len(values))]
    for subject, verdict in (("m", "alarm"), (alone, "watch")):
        found = row_of(watched(plain(values, subject=subject))["rig_drift"], NOISE, "here")
        assert found["verdict"] == verdict
    assert np.isnan(found["mouse_slope"])
    assert "no fibre was recorded in two weeks" in found["why"]


def test_slopes_deviations_and_weeks_left_are_those_of_a_line():
    n_weeks = 20
    # median 1 at first, 0.02 less each week; recordings of a week lie 0.01 apart
    values = np.repeat(1.0 - 0.02 * np.arange(n_weeks), 3) + np.tile([-0.01, 0.0, 0.01], n_weeks)
    tables = plain(values, per_week=3, metric=SAMPLES)
    found = row_of(watched(tables)["rig_drift"], SAMPLES, "here")
    assert found["slope"] == pytest.approx(-0.02)
    assert found["recent"] == pytest.approx(1.0 - 0.02 * 17.5)
    before = values[: 8 * 3]
    spread = np.median(np.abs(before - np.median(before)))
    assert found["reference_mad"] == pytest.approx(spread)
    assert found["deviation"] == pytest.approx((found["recent"] - np.median(before)) / spread)
    assert found["weeks_left"] == pytest.approx((found["recent"] - CUTOFF) / 0.02)
    weekly = watched(tables)["rig_weekly"]
    assert weekly["median"].to_numpy() == pytest.approx(1.0 - 0.02 * np.arange(n_weeks))
    assert (
        weekly["week"].tolist() == pd.date_range("2025-01-06", periods=n_weeks, freq="7D").strftime("%Y-%m-%d").tolist()
    )


def test_a_rig_that_fails_already_is_an_alarm_without_any_slope():
    found = row_of(watched(plain(np.full(60, 0.04), metric=SAMPLES))["rig_drift"], SAMPLES, "here")
    assert (found["verdict"], found["weeks_left"]) == ("alarm", 0.0)
    assert "below the threshold 0.05" in found["why"]


def test_a_constant_metric_has_no_deviation_and_is_ok():
    tables = watched(plain(np.full(60, 0.3)))
    found = row_of(tables["rig_drift"], NOISE, "here")
    assert found["verdict"] == "ok"
    assert np.isnan(found["deviation"])
    assert set(tables["rig_weekly"]["flag"]) == {"none"}


def test_few_weeks_or_few_recordings_get_no_verdict():
    short = row_of(watched(plain(np.arange(44.0)))["rig_drift"], NOISE, "here")
    assert (short["verdict"], short["n_weeks"]) == ("too_few", 11)
    thin = watched(plain(np.arange(40.0), per_week=2))
    assert row_of(thin["rig_drift"], NOISE, "here")["n_weeks"] == 0
    assert not thin["rig_weekly"]["counted"].any()


def test_what_lies_before_the_window_has_no_part():
    values = np.concatenate([np.full(20 * 4, 9.0), 1 + 0.1 * np.random.default_rng(8).normal(size=26 * 4)])
    found = row_of(watched(plain(values))["rig_drift"], NOISE, "here")
    assert (found["verdict"], found["n_weeks"]) == ("ok", 26)
    assert found["reference"] == pytest.approx(1.0, abs=0.1)


def test_recordings_of_a_week_or_more_apart_make_the_slope_within_a_fibre():
    rows = pd.DataFrame({"subject": ["a", "a", "a", "b"], "fiber_idx": 0})
    rows = rows.assign(day=[0, 3, 14, 7], value=[1.0, 50.0, 5.0, 100.0])
    assert mouse_slope(rows) == pytest.approx(np.median([4.0 / 2, -45.0 / (11 / 7)]))
    assert np.isnan(mouse_slope(rows.iloc[[0, 1, 3]]))


def test_the_check_is_red_at_an_alarm_and_yellow_before():
    drift = watched(simulated_rigs(drifts={(0, NOISE): LEVEL[NOISE][1]}))["rig_drift"]
    red = judge_rigs(drift)
    assert (red.passed, red.severe) == (False, True)
    assert red.words[0].startswith("alarm: lab000, GCaMP median_absolute_deviance: ")
    yellow = judge_rigs(drift.replace({"verdict": {"alarm": "watch"}}))
    assert (yellow.passed, yellow.severe) == (False, False)
    assert judge_rigs(drift[drift["verdict"] == "ok"]).passed


def test_the_analysis_makes_its_tables_with_and_without_recordings():
    signals, qc, sessions = simulated_rigs(n_weeks=13)
    sessions.loc[sessions.index[:30], "lab"] = None
    analysis, tables = ANALYSES["rig_watch"], {"qc_signals": signals, "qc_photometry": qc, "sessions": sessions}
    empty = {name: rows.head(0) for name, rows in tables.items()}
    for given, n_series in ((tables, 18), (empty, 0)):
        results = results_of(analysis, given, Parameters())
        for schema in analysis.tables:
            make_table(TABLES[schema.name], results[schema.name])
        assert len(results["rig_drift"]) == n_series
        [check] = analysis.checks
        assert check.judge(results[check.table]).passed == (
            not results[check.table]["verdict"].isin(["watch", "alarm"]).any()
        )
    assert UNKNOWN_LAB in set(results_of(analysis, tables, Parameters())["rig_drift"]["lab"])


def test_the_order_of_the_rows_does_not_matter():
    tables = simulated_rigs(n_labs=2)
    shuffled = [rows.sample(frac=1, random_state=1) for rows in tables]
    for name, rows in watched(tables).items():
        pd.testing.assert_frame_equal(rows, watched(shuffled)[name])
