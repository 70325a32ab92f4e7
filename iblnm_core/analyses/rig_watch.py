"""Whether rigs are steady: metrics of the quality of signals week by week, their drift, and what it says of the weeks to come."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from iblnm_core.analyses.analysis import Judgement
from iblnm_core.analyses.rows import Record, table_of
from iblnm_core.cohort_parameters import RigWatchParameters

METRICS = (
    "bleaching_tau",
    "bleaching_amplitude",
    "median_absolute_deviance",
    "percentile_distance",
    "iso_correlation",
    "n_unique_samples",
)
"""Columns of `qc_photometry` that a drifting rig changes."""

SERIES = ("lab", "band", "metric")
"""What is followed over weeks."""

UNKNOWN_LAB = "unknown"
AGREEMENT = 0.5
"""Share of the slope between weeks that the slope within mice must have, or it is the mice that changed."""

_DAYS = 7
_WEEKLY_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys((*SERIES, "week"), "object"),
    **dict.fromkeys(("median", "lower_quartile", "upper_quartile"), "float64"),
    **dict.fromkeys(("n_recordings", "n_mice"), "int64"),
    "counted": "bool",
    "deviation": "float64",
    "flag": "object",
}
_DRIFT_COLUMNS: Mapping[str, str] = {
    **dict.fromkeys((*SERIES, "verdict", "why", "first_week", "last_week"), "object"),
    **dict.fromkeys(("n_weeks", "n_recordings", "n_mice"), "int64"),
    **dict.fromkeys(("slope", "slope_lower", "slope_upper", "mouse_slope"), "float64"),
    **dict.fromkeys(("reference", "reference_mad", "recent", "deviation", "threshold", "weeks_left"), "float64"),
}


def rig_watch(
    signals: pd.DataFrame,
    qc: pd.DataFrame,
    sessions: pd.DataFrame,
    options: RigWatchParameters,
    thresholds: Mapping[str, float],
) -> dict[str, pd.DataFrame]:
    """Return how the quality of signals went week by week in each laboratory, and whether it drifts.

    See `docs/methods/rig_watch.md`.

    Parameters
    ----------
    signals : DataFrame
        The `qc_signals` table: the recordings that count, with mouse and day.
    qc : DataFrame
        The `qc_photometry` table; of all bands.
    sessions : DataFrame
        The `sessions` table, for the laboratory.
    options : RigWatchParameters
    thresholds : mapping of str to float
        Smallest value with which a recording passes, by metric; of those that have one.

    Returns
    -------
    dict of str to DataFrame
        Rows of the tables `rig_drift` and `rig_weekly`.
    """
    values = _values(signals, qc, sessions)
    weeks = _weeks(values, options)
    of_series = dict(iter(weeks.groupby(list(SERIES), sort=True)))
    drifts = list[Record]()
    for key, rows in values.groupby(list(SERIES), sort=True):
        series = dict(zip(SERIES, map(str, key), strict=True))
        drifts.append({**series, **_drift(rows, of_series[key], options, thresholds.get(series["metric"]))})
    drift = table_of(drifts, _DRIFT_COLUMNS)
    return {"rig_drift": drift, "rig_weekly": _flagged(weeks, drift, options)}


def judge_rigs(drift: pd.DataFrame) -> Judgement:
    """Return whether all rigs are steady, and which are not.

    Parameters
    ----------
    drift : DataFrame
        The `rig_drift` table.
    """
    unsteady = drift[drift["verdict"].isin(["watch", "alarm"])].sort_values(["verdict", *SERIES])
    words = tuple(
        f"{row['verdict']}: {row['lab']}, {row['band']} {row['metric']}: {row['why']}"
        for row in unsteady.to_dict("records")
    )
    return Judgement(not words, bool((unsteady["verdict"] == "alarm").any()), words)


def _values(signals: pd.DataFrame, qc: pd.DataFrame, sessions: pd.DataFrame) -> pd.DataFrame:
    """Return all known values: a row per recording, band and metric, with `day` counted from 1970 and the Monday before it."""
    of_recording = signals[["eid", "fiber_idx", "subject", "date"]].merge(sessions[["eid", "lab"]], on="eid")
    rows = of_recording.merge(qc[["eid", "fiber_idx", "band", *METRICS]], on=["eid", "fiber_idx"])
    rows["lab"] = rows["lab"].astype(object).where(rows["lab"].notna() & (rows["lab"] != ""), UNKNOWN_LAB)
    dates = pd.to_datetime(rows["date"])
    rows["day"] = (dates - pd.Timestamp(0)).dt.days
    rows["week"] = (dates - pd.to_timedelta(dates.dt.weekday, unit="D")).dt.strftime("%Y-%m-%d")
    keys = ["eid", "fiber_idx", "subject", "lab", "band", "day", "week"]
    long = rows.melt(keys, list(METRICS), var_name="metric").astype({"value": "float64"})
    known: pd.DataFrame = long[np.isfinite(long["value"])]
    return known.sort_values(["subject", "fiber_idx", "eid"], ignore_index=True)


def _weeks(values: pd.DataFrame, options: RigWatchParameters) -> pd.DataFrame:
    """Return the weeks of all series, in order."""
    grouped = values.groupby([*SERIES, "week"], sort=True)
    shares = {"lower_quartile": 0.25, "median": 0.5, "upper_quartile": 0.75}
    weeks = pd.DataFrame({name: grouped["value"].quantile(share) for name, share in shares.items()})
    weeks = weeks.assign(n_recordings=grouped.size(), n_mice=grouped["subject"].nunique())
    weeks = weeks.assign(counted=weeks["n_recordings"] >= options.minimum_recordings).reset_index()
    return weeks.assign(number=(pd.to_datetime(weeks["week"]) - pd.Timestamp(0)).dt.days / _DAYS)


def _drift(
    rows: pd.DataFrame, weeks: pd.DataFrame, options: RigWatchParameters, threshold: float | None
) -> dict[str, object]:
    """Return the drift of one series over its last weeks."""
    from scipy.stats import theilslopes

    used = weeks[weeks["counted"] & (weeks["number"] > weeks["number"].max() - options.window_weeks)]
    inside = rows[rows["week"].isin(used["week"])]
    found: Record = {
        "first_week": (used if len(used) else weeks)["week"].min(),
        "last_week": (used if len(used) else weeks)["week"].max(),
        "n_weeks": len(used),
        "n_recordings": len(inside),
        "n_mice": inside["subject"].nunique(),
        "threshold": np.nan if threshold is None else threshold,
    }
    if len(used) < options.minimum_weeks:
        least = f"{options.minimum_recordings} recordings or more"
        why = f"{len(used)} of the last {options.window_weeks} weeks have {least}; needed are {options.minimum_weeks}"
        return {**found, "verdict": "too_few", "why": why}
    medians = used["median"].to_numpy(np.float64)
    slope, _, lower, upper = theilslopes(medians, used["number"].to_numpy(np.float64), alpha=0.95)
    before = inside.loc[inside["week"].isin(used["week"].iloc[: options.reference_weeks]), "value"].to_numpy(np.float64)
    middle, recent = float(np.median(before)), float(np.median(medians[-options.recent_weeks :]))
    spread = float(np.median(np.abs(before - middle)))
    found |= {"slope": slope, "slope_lower": lower, "slope_upper": upper, "mouse_slope": mouse_slope(inside)}
    found |= {"reference": middle, "reference_mad": spread, "recent": recent}
    found["deviation"] = (recent - middle) / spread if spread > 0 else np.nan
    found["weeks_left"] = _weeks_left(recent, slope, certain=lower * upper > 0, threshold=threshold)
    verdict, why = _verdict(found, options)
    return {**found, "verdict": verdict, "why": why}


def mouse_slope(rows: pd.DataFrame) -> float:
    """Return the median slope between any two recordings of one fibre that are a week or more apart.

    Parameters
    ----------
    rows : DataFrame
        subject, fiber_idx, day and value.

    Returns
    -------
    float
        Per week; not a number when there are no such two recordings.
    """
    day, value = rows["day"].to_numpy(np.float64), rows["value"].to_numpy(np.float64)
    fibres = rows.groupby(["subject", "fiber_idx"], sort=True).indices.values()
    pairs = [places[np.array(np.triu_indices(len(places), 1))] for places in fibres]
    first, second = np.concatenate(pairs, axis=1) if pairs else np.zeros((2, 0), dtype=np.intp)
    weeks = (day[second] - day[first]) / _DAYS
    far = np.abs(weeks) >= 1
    return float(np.median((value[second] - value[first])[far] / weeks[far])) if far.any() else np.nan


def _weeks_left(recent: float, slope: float, *, certain: bool, threshold: float | None) -> float:
    if threshold is None:
        return np.nan
    if recent < threshold:
        return 0.0
    return (recent - threshold) / -slope if certain and slope < 0 else np.nan


def _verdict(found: Record, options: RigWatchParameters) -> tuple[str, str]:
    """Return the verdict on a drift, and why."""
    slope, within, left = found["slope"], found["mouse_slope"], found["weeks_left"]
    per_week = f"{slope:.3g} per week (95 % interval {found['slope_lower']:.3g} to {found['slope_upper']:.3g})"
    words = [
        f"{found['recent']:.3g} in the last weeks, {found['reference']:.3g} in those of reference"
        + (f" ({found['deviation']:+.1f} MADs)" if np.isfinite(found["deviation"]) else "")
    ]
    if left == 0:
        return "alarm", f"{words[0]}: below the threshold {found['threshold']:.3g}"
    if found["slope_lower"] * found["slope_upper"] <= 0:
        return "ok", f"{words[0]}; no drift: {per_week}"
    words.append(f"drift: {per_week}")
    if left <= 2 * options.horizon_weeks:
        words.append(f"{left:.0f} weeks to the threshold {found['threshold']:.3g}")
    along = found["deviation"] * np.sign(slope)
    # a threshold that is near, or values that are far from what they were
    alarm = left <= options.horizon_weeks or along >= options.alarm_mads
    watch = alarm or left <= 2 * options.horizon_weeks or along >= options.watch_mads
    if not watch:
        return "ok", "; ".join([*words, "too little to matter"])
    if not np.isfinite(within):
        words.append("no fibre was recorded in two weeks, so mice may differ instead")
        return ("watch" if alarm else "ok"), "; ".join(words)
    if within / slope < AGREEMENT:
        return "ok", "; ".join([*words, f"within mice {within:.3g} per week: the mice changed, not the rig"])
    words.append(f"within mice {within:.3g} per week")
    return ("alarm" if alarm else "watch"), "; ".join(words)


def _flagged(weeks: pd.DataFrame, drift: pd.DataFrame, options: RigWatchParameters) -> pd.DataFrame:
    """Return weeks with how far they are from the reference, as the table `rig_weekly`."""
    of_series = [*SERIES, "first_week", "reference", "reference_mad"]
    both = weeks.merge(drift[of_series], on=list(SERIES), how="left")
    comparable = both["counted"].astype(bool) & (both["reference_mad"] > 0)
    deviation = ((both["median"] - both["reference"]) / both["reference_mad"]).where(comparable)
    earlier = both["week"] < both["first_week"]
    deviation = deviation.mask(earlier)
    size = deviation.abs()
    conditions = [earlier, size >= options.alarm_mads, size >= options.watch_mads, size >= 0]
    both = both.assign(deviation=deviation, flag=np.select(conditions, ["earlier", "alarm", "watch", "ok"], "none"))
    return both[list(_WEEKLY_COLUMNS)].astype(dict(_WEEKLY_COLUMNS))
