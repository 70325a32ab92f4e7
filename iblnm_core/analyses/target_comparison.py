"""Whether mice with fibres in different targets behave differently: selected sessions, their means by mouse, and tests."""

from collections.abc import Mapping

import numpy as np
import pandas as pd

from iblnm_core.analyses.group_tests import TEST_COLUMNS, compare_groups
from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table

COMPARED_METRICS = (
    "fraction_correct",
    "psych_50_bias",
    "psych_50_threshold",
    "psych_50_lapse_left",
    "psych_50_lapse_right",
)
"""Columns of the table of performance that are compared."""

LEVELS = ("subject", "session")
"""What a value is in a test: the mean of a mouse, which is the test to report, or a session."""

_DECIMALS = 12
_SESSION_COLUMNS = ["eid", "subject", "target_NM", "metric", "value"]
_SUBJECT_COLUMNS: Mapping[str, str] = {
    "target_NM": "object",
    "subject": "object",
    "metric": "object",
    "mean": "float64",
    "sem": "float64",
    "n_sessions": "int64",
}
_TEST_COLUMNS = [
    "metric",
    "level",
    *("target_" + name[-1] if name.startswith("group_") else name for name in TEST_COLUMNS),
    "n_shared",
]


def target_comparison(recordings: pd.DataFrame, performance: pd.DataFrame) -> dict[str, pd.DataFrame]:
    """Compare performance and psychometric parameters of the unbiased block between targets.

    See `docs/methods/learning.md`.

    Parameters
    ----------
    recordings : DataFrame
        The `recordings` table: what is selected, by session and fibre.
    performance : DataFrame
        The `performance` table.

    Returns
    -------
    dict of str to DataFrame
        `target_comparison`: metric, level (one of `LEVELS`), test (kruskal or mannwhitney), target_a, target_b, n_a, n_b,
        statistic, p_value, p_holm, n_shared (Int64: mice that both targets have). `target_comparison_subjects`: target_NM,
        subject, metric, mean, sem (not a number for one session), n_sessions. `target_comparison_sessions`: eid, subject,
        target_NM, metric, value. `target_comparison_outcomes`: a row for every metric and level, `metric:level` as its
        variable, which counts values of sessions.
    """
    # two fibres in one target are one session of it
    members = recordings[["eid", "subject", "target_NM"]].drop_duplicates().dropna()
    measured = members.merge(performance[["eid", *COMPARED_METRICS]], on="eid", how="left", validate="many_to_one")
    values = measured.melt(["eid", "subject", "target_NM"], list(COMPARED_METRICS), var_name="metric")
    values = values.astype({"value": "float64"}).sort_values(["metric", "target_NM", "eid"])[_SESSION_COLUMNS]
    known = values[np.isfinite(values["value"])].reset_index(drop=True)
    by_mouse = known.groupby(["target_NM", "subject", "metric"])["value"]
    subjects = by_mouse.agg(mean="mean", sem="sem", n_sessions="size").reset_index()
    subjects = subjects[list(_SUBJECT_COLUMNS)].astype(dict(_SUBJECT_COLUMNS))
    tests, outcomes = [], list[Outcome]()
    for metric in COMPARED_METRICS:
        sessions = known[known["metric"] == metric]
        of_mice = subjects[subjects["metric"] == metric].rename(columns={"mean": "value"})
        for level, rows in zip(LEVELS, (of_mice, sessions), strict=True):
            status, found = _tests(rows)
            if status is Status.NO_DATA and len(members):
                status = Status.MISSING_INPUT
            tests.append(found.assign(metric=metric, level=level))
            n_mice = sessions["subject"].nunique()
            outcomes.append(
                Outcome("target_comparison", "", "", status, len(sessions), n_mice, variable=f"{metric}:{level}")
            )
    return {
        "target_comparison": pd.concat(tests, ignore_index=True)[_TEST_COLUMNS],
        "target_comparison_subjects": subjects,
        "target_comparison_sessions": known,
        "target_comparison_outcomes": outcome_table(outcomes),
    }


def _tests(rows: pd.DataFrame) -> tuple[Status, pd.DataFrame]:
    """Return whether targets can be compared, and how they differ; with the number of mice that two targets share."""
    mice = {str(target): set(names) for target, names in rows.groupby("target_NM")["subject"]}
    # means of equal values differ by rounding errors, which ranks would take for differences
    rounded = rows["value"].round(_DECIMALS).groupby(rows["target_NM"])
    samples = {str(target): values.to_numpy() for target, values in rounded}
    status, tests = compare_groups(samples)
    if status is Status.OK and len(set().union(*mice.values())) < 2:
        status, tests = Status.TOO_FEW_SUBJECTS, tests[:0]
    pairs = zip(tests["group_a"], tests["group_b"], strict=True)
    shared = [len(mice[first] & mice[second]) if first else None for first, second in pairs]
    named = tests.rename(columns={"group_a": "target_a", "group_b": "target_b"})
    return status, named.assign(n_shared=pd.array(shared, dtype="Int64"))
