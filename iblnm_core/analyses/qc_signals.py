"""Every signal that was recorded, with the metrics of its quality and whether it passes; how many fail, month by month."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from iblnm_core.analyses.outcomes import Outcome, Status
from iblnm_core.cohort.selection import REFERENCE_DISQUALIFIERS, Selection, resolve_duplicates, select
from iblnm_core.vocabulary import TARGETS

BASIC_METRICS = ("n_unique_samples", "n_band_inversions")
"""Metrics by which a signal passes or fails."""

SLIDING_METRICS = ("median_absolute_deviance", "percentile_distance", "percentile_asymmetry", "ar_score")
"""Metrics of windows of the recording."""

SIGNAL_METRICS = (*SLIDING_METRICS, "bleaching_tau", "iso_correlation")
"""Metrics that describe a signal."""

FLAGS: Mapping[str, str] = {"unique": "passes_unique", "inversions": "passes_inversions", "basic": "passes_basic_qc"}
"""Columns that say whether a signal passes, by test."""

EVERY_RECORDING = Selection(
    session_types=(),
    excluded_eids=frozenset(),
    required_outputs=(),
    blockers=(),
    targets=TARGETS,
    minimum_performance={},
    required_contrasts=frozenset(),
    duplicates="kept",
)
"""All sessions of mice of the project, and their fibres with a target of the project; whatever became of them."""

_KEYS: Mapping[str, str] = {
    "eid": "object",
    "fiber_idx": "int64",
    "brain_region": "object",
    "band": "object",
    "target_NM": "object",
    "subject": "object",
    "session_type": "object",
    "date": "object",
}
_SIGNAL_COLUMNS: Mapping[str, str] = {
    **_KEYS,
    **dict.fromkeys((*BASIC_METRICS, *SIGNAL_METRICS), "float64"),
    **dict.fromkeys(FLAGS.values(), "bool"),
    "verdict": "object",
}
_MONTHLY_COLUMNS: Mapping[str, str] = {
    "month": "object",
    **dict.fromkeys(("n_signals", "n_unknown", *(f"n_fail_{name}" for name in FLAGS)), "int64"),
    **{f"rate_fail_{name}": "float64" for name in FLAGS},
    "tau_mean": "float64",
    "tau_sd": "float64",
    "tau_n": "int64",
}


def qc_signals(
    qc: pd.DataFrame,
    sessions: pd.DataFrame,
    errors: pd.DataFrame,
    *,
    band: str = "GCaMP",
    minimum_unique_samples: float = 0.1,
    maximum_band_inversions: int = 0,
) -> tuple[pd.DataFrame, Outcome]:
    """Return the metrics of every recorded signal of the project, and whether it passes the basic tests.

    See `docs/methods/qc_overview.md`.

    Parameters
    ----------
    qc : DataFrame
        The `qc_photometry` table; metrics that it lacks are unknown.
    sessions : DataFrame
        The `sessions` table.
    errors : DataFrame
        The `errors` table.
    band : str
        Whose rows of quality are taken.
    minimum_unique_samples : float
        Share (0-1) that `n_unique_samples` must exceed.
    maximum_band_inversions : int

    Returns
    -------
    signals : DataFrame
        One row per session and fibre, sorted by both: eid, fiber_idx, brain_region, band, target_NM, subject, session_type, date
        (ISO 8601), all metrics (infinite ones unknown), passes_unique, passes_inversions, passes_basic_qc (bool; what is unknown
        fails) and verdict.
    outcome : Outcome
        Counts signals; its detail says of how many.
    """
    chosen = select(sessions, errors, EVERY_RECORDING)
    families = zip(errors["eid"], errors["error_family"], strict=True)
    bad = {eid for eid, names in families if not set(REFERENCE_DISQUALIFIERS).isdisjoint(names.split())}
    used = ~chosen.recordings["eid"].isin(resolve_duplicates(chosen.sessions, bad).index)
    recordings = chosen.recordings.loc[used, ["eid", "fiber_idx", "target_NM", "subject", "session_type", "start_time"]]
    names = ["eid", "fiber_idx", "brain_region", "band", *BASIC_METRICS, *SIGNAL_METRICS, "verdict"]
    of_band = qc[qc["band"] == band].reindex(columns=names)
    signals = recordings.merge(of_band, on=["eid", "fiber_idx"], validate="one_to_one")
    signals = signals.assign(date=signals["start_time"].str.slice(stop=10), **dict.fromkeys(FLAGS.values(), False))
    signals = signals[list(_SIGNAL_COLUMNS)].astype(dict(_SIGNAL_COLUMNS))
    measured = [*BASIC_METRICS, *SIGNAL_METRICS]
    signals[measured] = signals[measured].replace([np.inf, -np.inf], np.nan)
    signals["passes_unique"] = signals["n_unique_samples"] > minimum_unique_samples
    signals["passes_inversions"] = signals["n_band_inversions"] <= maximum_band_inversions
    signals["passes_basic_qc"] = signals["passes_unique"] & signals["passes_inversions"]
    found = len(recordings) + len(of_band)
    status = Status.OK if len(signals) else Status.MISSING_INPUT if found else Status.NO_DATA
    detail = f"{len(signals)} signals of {len(recordings)} recordings of {len(sessions)} sessions, {len(of_band)} rows of quality"
    outcome = Outcome("qc_signals", "", "", status, len(signals), signals["subject"].nunique(), detail=detail)
    return signals.sort_values(["eid", "fiber_idx"], ignore_index=True), outcome


def qc_monthly(signals: pd.DataFrame) -> pd.DataFrame:
    """Return how many signals of each month fail, and how fast those that pass bleach.

    See `docs/methods/qc_overview.md`.

    Parameters
    ----------
    signals : DataFrame
        As `qc_signals` returns it.

    Returns
    -------
    DataFrame
        One row per calendar month with signals: month (its first day, ISO 8601), n_signals, n_unknown (of which a basic
        metric is not known; they fail), n_fail_unique, n_fail_inversions, n_fail_basic, rate_fail_unique, rate_fail_inversions,
        rate_fail_basic (% of the signals of the month), and over signals that pass tau_mean, tau_sd (s, divisor n - 1; not a
        number for one), tau_n.
    """
    month = signals["date"].astype(object).str.slice(stop=7) + "-01"
    grouped = signals.groupby(month.rename("month"))
    monthly = pd.DataFrame({"n_signals": grouped.size()})
    monthly["n_unknown"] = signals[list(BASIC_METRICS)].isna().any(axis=1).groupby(month).sum()
    for name, flag in FLAGS.items():
        monthly[f"n_fail_{name}"] = (~signals[flag]).groupby(month).sum()
        monthly[f"rate_fail_{name}"] = 100 * monthly[f"n_fail_{name}"] / monthly["n_signals"]
    tau = signals["bleaching_tau"].where(signals["passes_basic_qc"]).groupby(month)
    monthly["tau_mean"], monthly["tau_sd"], monthly["tau_n"] = tau.mean(), tau.std(ddof=1), tau.count()
    return monthly.rename_axis("month").reset_index()[list(_MONTHLY_COLUMNS)].astype(dict(_MONTHLY_COLUMNS))
