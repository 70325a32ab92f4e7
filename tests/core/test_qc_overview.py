"""Quality of all signals: which count, what passes, distributions, correlations, components and months."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.stats import norm, spearmanr

from iblnm_core.analyses.outcomes import Status
from iblnm_core.analyses.principal_axes import principal_axes
from iblnm_core.analyses.qc_distributions import normal_scores, qc_distributions, qc_scores
from iblnm_core.analyses.qc_overview import qc_correlations, qc_overview, qc_pca
from iblnm_core.analyses.qc_signals import BASIC_METRICS, SIGNAL_METRICS, SLIDING_METRICS, qc_monthly, qc_signals
from iblnm_core.schemas import ERRORS, QC_PHOTOMETRY, SESSIONS
from iblnm_core.vocabulary import EXCLUDED_SUBJECTS

NO_ERRORS = ERRORS.arrow().empty_table().to_pandas()
NO_SESSIONS = SESSIONS.arrow().empty_table().to_pandas()
NO_QUALITY = QC_PHOTOMETRY.arrow().empty_table().to_pandas()


def session(eid, subject="m1", targets=("VTA-DA",), day=1, **values):
    regions = [(target or "VP").split("-")[0] for target in targets]
    lists = {"brain_region": regions, "hemisphere": ["l"] * len(targets), "target_NM": targets}
    row = {name: np.array(elements, dtype=object) for name, elements in lists.items()}
    row |= {"eid": eid, "subject": subject, "session_type": "biased", "day_n": day, "session_length": 3600.0}
    return row | {"start_time": f"2025-01-{day:02d}T10:00:00"} | values


def quality(eid, fiber_idx=0, band="GCaMP", **values):
    row = dict.fromkeys(SIGNAL_METRICS, 1.0) | {"n_unique_samples": 0.5, "n_band_inversions": 0}
    return row | {"eid": eid, "fiber_idx": fiber_idx, "band": band, "brain_region": "VTA-l", "verdict": "ok"} | values


def failed(eid, error="MissingRawData"):
    return dict.fromkeys(ERRORS.column_names, "") | {"eid": eid, "error_type": error, "error_family": error}


def signals_of(sessions, rows, errors=(), **thresholds):
    logged = pd.DataFrame(list(errors)) if errors else NO_ERRORS
    return qc_signals(pd.DataFrame(rows), pd.DataFrame(sessions), logged, **thresholds)


def many(n, seed=0, **values):
    """Signals of as many sessions, of three mice with a target each; metrics are random but for those given."""
    random = np.random.default_rng(seed)
    targets = ["VTA-DA", "LC-NE", "DR-5HT"]
    sessions = [session(f"e{place:03d}", f"m{place % 3}", (targets[place % 3],), 1 + place % 28) for place in range(n)]
    drawn = {name: random.gamma(2.0, size=n) for name in SIGNAL_METRICS} | values
    rows = [
        quality(row["eid"], **{name: of[place] for name, of in drawn.items()}) for place, row in enumerate(sessions)
    ]
    # without a day there are no duplicates
    return [row | {"day_n": pd.NA} for row in sessions], rows


def test_which_signals_count():
    sessions = [
        session("two fibres", targets=("SNc-DA", "VTA-DA")),
        session("one unknown", "m2", targets=(None, "SI-ACh"), session_type="habituation"),
        session("test", min(EXCLUDED_SUBJECTS)),
        session("without quality", "m3"),
    ]
    rows = [
        *(quality("two fibres", fiber, band, ar_score=fiber) for fiber in (1, 0) for band in ("Isosbestic", "GCaMP")),
        *(quality("one unknown", fiber) for fiber in (0, 1)),
        quality("test"),
        quality("of no session"),
    ]
    signals, outcome = signals_of(sessions, rows)
    keys = signals[["eid", "fiber_idx", "target_NM", "ar_score"]].to_numpy().tolist()
    assert keys == [["one unknown", 1, "SI-ACh", 1], ["two fibres", 0, "SNc-DA", 0], ["two fibres", 1, "VTA-DA", 1]]
    assert signals["date"].tolist() == ["2025-01-01"] * 3
    assert signals["session_type"].tolist() == ["habituation", "biased", "biased"]
    assert (outcome.status, outcome.n_trials, outcome.n_subjects) == (Status.OK, 3, 2)
    assert outcome.detail == "3 signals of 4 recordings of 4 sessions, 6 rows of quality"


def test_one_session_of_a_day_counts_and_a_sound_one_before_others():
    sessions = [session("a", session_length=7200.0), session("b"), session("c", "m2"), session("d", "m2")]
    rows = [quality(eid) for eid in "abcd"]
    signals, _ = signals_of(sessions, rows, [failed("a"), failed("d", "BandInversion QCValidationError")])
    # b is shorter but sound; a band inversion is what this overview is about
    assert signals["eid"].tolist() == ["b", "c"]
    alone, _ = signals_of(sessions[:1], rows[:1], [failed("a")])
    assert alone["eid"].tolist() == ["a"]


@pytest.mark.parametrize(
    ("unique", "inversions", "passes"),
    [
        (0.1, 0, (False, True)),
        (0.1000001, 0, (True, True)),
        (np.nan, 0, (False, True)),
        (0.5, 1, (True, False)),
        (0.5, np.nan, (True, False)),
        (np.inf, 0, (False, True)),
    ],
)
def test_what_passes(unique, inversions, passes):
    signals, _ = signals_of([session("a")], [quality("a", n_unique_samples=unique, n_band_inversions=inversions)])
    flags = signals[["passes_unique", "passes_inversions", "passes_basic_qc"]].iloc[0].tolist()
    assert flags == [*passes, all(passes)]


def test_the_thresholds_can_be_others():
    rows = [quality("a", n_unique_samples=0.2, n_band_inversions=2)]
    found, _ = signals_of([session("a")], rows, minimum_unique_samples=0.3, maximum_band_inversions=2)
    assert found[["passes_unique", "passes_inversions"]].iloc[0].tolist() == [False, True]


def test_normal_scores_of_eleven_values():
    scores = normal_scores(np.array([[*range(1, 11), 100]], dtype=float).T)[:, 0]
    expected = [-5.199338, -1.281552, -0.841621, -0.524401, -0.253347, 0]
    np.testing.assert_allclose(scores[:6], expected, atol=1e-6)
    np.testing.assert_allclose(scores[5:], -scores[5::-1], atol=1e-9)


@given(st.integers(0, 1000), st.integers(3, 40))
@settings(deadline=None)
def test_normal_scores_are_normal_quantiles_of_the_ranks(seed, n):
    values = np.random.default_rng(seed).permutation(np.arange(n) ** 2.0)
    scores = normal_scores(values[:, None])[:, 0]
    ranks = np.argsort(np.argsort(values))
    inner = (ranks > 0) & (ranks < n - 1)
    np.testing.assert_allclose(scores[inner], norm.ppf(ranks[inner] / (n - 1)), atol=1e-6)


def test_components_of_the_recipe():
    k = np.arange(20)
    columns = [
        np.sin(k),
        np.cos(1.3 * k) + np.sin(k),
        (k**2 % 7) + 0.01 * k,
        np.exp(-k / 5),
        (3 * k % 11) + 0.02 * k,
    ]
    values = normal_scores(np.column_stack(columns))
    centred = values - values.mean(axis=0)
    axes, lengths = principal_axes(centred)
    loadings, ratios = axes[:2], (lengths**2 / (lengths**2).sum())[:2]
    scores = centred @ loadings.T
    np.testing.assert_allclose(ratios, [0.443310, 0.334486], atol=1e-6)
    np.testing.assert_allclose(np.abs(loadings[0]), [0.206370, 0.274242, 0.599709, 0.603229, 0.398331], atol=1e-6)
    assert (loadings.max(axis=1) == np.abs(loadings).max(axis=1)).all()
    np.testing.assert_allclose(scores, (values - values.mean(axis=0)) @ loadings.T)
    np.testing.assert_allclose(scores.var(axis=0), ratios * values.var(axis=0).sum())


def test_two_columns_that_load_equally_keep_their_sign_in_any_order():
    random = np.random.default_rng(1)
    values = random.normal(size=(30, 1)) * [[1.0, -1.0]]
    for _ in range(10):
        axes, _ = principal_axes(random.permutation(values - values.mean(axis=0)))
        np.testing.assert_allclose(axes[:1], [[0.5**0.5, -(0.5**0.5)]])


def test_correlations_are_those_of_complete_signals_that_pass():
    tau = np.arange(12.0)
    sessions, rows = many(12, bleaching_tau=tau, iso_correlation=np.r_[tau[:-1] ** 3, np.nan], ar_score=-tau)
    rows[0]["n_unique_samples"] = 0.0
    correlations, outcome = qc_correlations(signals_of(sessions, rows)[0])
    assert (len(correlations), outcome.n_trials) == (15, 10)
    assert outcome.detail.startswith("10 of 11 signals")
    found = correlations.set_index(["metric_a", "metric_b"])
    assert found.loc[("bleaching_tau", "iso_correlation"), "rho"] == pytest.approx(1)
    assert found.loc[("ar_score", "bleaching_tau"), "rho"] == pytest.approx(-1)
    assert (found["n"] == 10).all()
    frame = pd.DataFrame(rows)[1:-1]
    expected = spearmanr(frame["percentile_distance"], frame["bleaching_tau"])
    row = found.loc[("percentile_distance", "bleaching_tau")]
    assert (row["rho"], row["p_value"]) == (pytest.approx(expected.statistic), pytest.approx(expected.pvalue))
    assert (correlations["q_value"] >= correlations["p_value"]).all()


def test_a_metric_that_no_row_has_is_absent():
    sessions, rows = many(12)
    qc = pd.DataFrame(rows).drop(columns="iso_correlation").assign(ar_score=np.inf)
    found = qc_overview(qc, pd.DataFrame(sessions), NO_ERRORS)
    assert {"iso_correlation", "ar_score"} <= set(found["qc_signals"])
    assert set(found["qc_distributions"]["metric"]) == set(SIGNAL_METRICS) - {"iso_correlation", "ar_score"}
    assert len(found["qc_correlations"]) == 6
    assert set(found["qc_pca_loadings"]["metric"]) == set(SLIDING_METRICS) - {"ar_score"}
    outcomes = found["qc_overview_outcomes"].set_index(["analysis", "variable"])["status"]
    assert outcomes["qc_distributions", "iso_correlation"] == "missing_input"
    assert outcomes["qc_distributions", "bleaching_tau"] == "ok"


def test_a_metric_that_does_not_vary_correlates_with_nothing():
    sessions, rows = many(12, ar_score=np.ones(12))
    signals, _ = signals_of(sessions, rows)
    correlations, _ = qc_correlations(signals)
    constant = (correlations[["metric_a", "metric_b"]] == "ar_score").any(axis=1)
    assert constant.sum() == 5
    assert correlations["rho"].isna().tolist() == constant.tolist()
    _, loadings, outcome = qc_pca(signals)
    assert outcome.status is Status.OK
    assert (loadings.set_index("metric")["loading"]["ar_score"].abs() < 1e-12).all()


@pytest.mark.parametrize(
    ("n", "values", "status"),
    [
        (9, {}, Status.TOO_FEW_TRIALS),
        (10, {}, Status.OK),
        (10, {name: np.ones(10) for name in SLIDING_METRICS}, Status.CONSTANT_RESPONSE),
        (10, {name: np.full(10, np.nan) for name in SIGNAL_METRICS}, Status.MISSING_INPUT),
        (10, {"n_unique_samples": np.zeros(10)}, Status.MISSING_INPUT),
    ],
)
def test_components_take_ten_signals_that_differ(n, values, status):
    signals, _ = signals_of(*many(n, **values))
    components, loadings, outcome = qc_pca(signals)
    assert outcome.status is status
    assert len(components) == (n if status is Status.OK else 0)
    assert len(loadings) == (8 if status is Status.OK else 0)


def test_distributions_by_hand():
    values = np.r_[np.arange(1.0, 10), 100.0]
    sessions, rows = many(10, bleaching_tau=values)
    signals, _ = signals_of([row | {"target_NM": np.array(["LC-NE"])} for row in sessions], rows)
    # few values are shown as they are
    scores, _ = qc_scores(signals)
    assert (scores["scale"] == "raw").all()
    assert scores["joint_score"].isna().all()
    [row] = qc_distributions(scores).query("metric == 'bleaching_tau'").to_dict("records")
    assert (row["n"], row["n_subjects"], row["minimum"], row["maximum"]) == (10, 3, 1, 100)
    assert (row["q25"], row["median"], row["q75"]) == (3.25, 5.5, 7.75)
    assert (row["lower_fence"], row["upper_fence"]) == (3.25 - 6.75, 7.75 + 6.75)
    assert (row["n_outliers"], row["inner_median"], row["violin"]) == (1, 5, True)
    assert row["sd"] == pytest.approx(values.std(ddof=1))
    of_tau = scores[scores["metric"] == "bleaching_tau"]
    assert of_tau["outlier"].tolist() == [False] * 9 + [True]


def test_eleven_values_of_all_targets_are_ranked_together():
    scores, outcomes = qc_scores(signals_of(*many(11, bleaching_tau=np.r_[np.arange(1.0, 11), 100]))[0])
    of_tau = scores[scores["metric"] == "bleaching_tau"]
    assert (of_tau["scale"] == "normal").all()
    assert of_tau["score"].tolist()[:2] == pytest.approx([-5.199338, -1.281552], abs=1e-6)
    np.testing.assert_allclose(of_tau["joint_score"], of_tau["score"])
    distributions = qc_distributions(scores)
    assert not distributions["violin"].any()
    assert distributions.query("metric == 'bleaching_tau'")["n"].tolist() == [3, 4, 4]
    assert [outcome.n_trials for outcome in outcomes] == [11] * len(SIGNAL_METRICS)


def test_months_by_hand():
    days = ["2025-01-31", "2025-01-01", "2025-03-01", "2025-03-15"]
    sessions = [session(f"e{n}", f"m{n}", start_time=f"{day}T23:55:00") for n, day in enumerate(days)]
    rows = [
        quality("e0", bleaching_tau=100.0),
        quality("e1", bleaching_tau=300.0),
        quality("e2", n_unique_samples=0.05, bleaching_tau=1.0),
        quality("e3", n_unique_samples=np.nan, n_band_inversions=3),
    ]
    monthly = qc_monthly(signals_of(sessions, rows)[0])
    assert monthly["month"].tolist() == ["2025-01-01", "2025-03-01"]
    counts = ["n_signals", "n_unknown", "n_fail_unique", "n_fail_inversions", "n_fail_basic", "tau_n"]
    assert monthly[counts].to_numpy().tolist() == [[2, 0, 0, 0, 0, 2], [2, 1, 2, 1, 2, 0]]
    rates = monthly[["rate_fail_unique", "rate_fail_inversions", "rate_fail_basic"]]
    assert rates.to_numpy().tolist() == [[0, 0, 0], [100, 50, 100]]
    np.testing.assert_allclose(monthly[["tau_mean", "tau_sd"]], [[200, 20000**0.5], [np.nan, np.nan]])


@given(st.integers(0, 1000), st.integers(1, 30))
@settings(deadline=None, max_examples=10)
def test_the_order_of_rows_does_not_matter(seed, n):
    random = np.random.default_rng(seed)
    sparse = {name: np.where(random.random(n) < 0.1, np.nan, random.gamma(2.0, size=n)) for name in SIGNAL_METRICS}
    sessions, rows = (pd.DataFrame(table) for table in many(n, **sparse, n_band_inversions=random.integers(0, 2, n)))
    errors = pd.DataFrame([failed("e000")])
    found = qc_overview(rows, sessions, errors)
    shuffled = qc_overview(rows.sample(frac=1, random_state=seed), sessions.sample(frac=1, random_state=seed), errors)
    for name, table in found.items():
        pd.testing.assert_frame_equal(table, shuffled[name], obj=name)


@pytest.mark.parametrize("kind", ["nothing", "no quality", "no session", "nothing known", "one signal"])
def test_odd_cohorts_have_labels_and_all_columns(kind):
    sessions, rows = (pd.DataFrame(table) for table in many(1 if kind == "one signal" else 5))
    if kind == "nothing known":
        rows[[*SIGNAL_METRICS, *BASIC_METRICS]] = np.nan
    if kind in {"nothing", "no quality"}:
        rows = NO_QUALITY
    if kind in {"nothing", "no session"}:
        sessions = NO_SESSIONS
    found = qc_overview(rows, sessions, NO_ERRORS)
    full = qc_overview(*(pd.DataFrame(table) for table in reversed(many(12))), NO_ERRORS)
    for name, table in found.items():
        pd.testing.assert_series_equal(table.dtypes, full[name].dtypes, obj=name)
    status = found["qc_overview_outcomes"].set_index("analysis")["status"]
    expected = {"nothing": "no_data", "no quality": "missing_input", "no session": "missing_input"}
    assert status["qc_signals"] == expected.get(kind, "ok")
    of_pca = {"nothing known": "missing_input", "one signal": "too_few_trials"}
    assert status["qc_pca"] == of_pca.get(kind, "no_data")
    assert len(found["qc_monthly"]) == (kind in {"nothing known", "one signal"})
