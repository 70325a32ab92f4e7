"""Means over recordings and mice, and shares of recordings, of what other analyses found. No models and no tests here."""

from collections.abc import Mapping, Sequence

import pandas as pd

from iblnm_core.analyses.encoding_summary import over_mice

SIGNIFICANT = 0.05
"""A false discovery rate below this counts."""

_HELD_OUT = ["target_NM", "event", "timing_col", "subject", "n_trials"]


def loso_summary(scores: pd.DataFrame) -> pd.DataFrame:
    """Return the means over mice of how well contrast and timing predict those left out.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    scores : DataFrame
        The table `loso_cv_model_comparison`: a row per target, event, timing and mouse.

    Returns
    -------
    DataFrame
        A row per target, event, timing and measure (a column of the scores): mean, sem (not a number for one mouse), n_subjects.
    """
    long = scores.melt(_HELD_OUT, var_name="measure").astype({"value": "float64"})
    return over_mice(long, ["event", "timing_col", "measure"], "value").drop(columns="n_recordings")


def mouse_means(rows: pd.DataFrame, keys: Sequence[str], values: Sequence[str]) -> pd.DataFrame:
    """Return the means of values over the recordings of each mouse.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    rows : DataFrame
        target_NM, subject, the keys and the values, all known; a row per recording and combination of keys.
    keys : sequence of str
    values : sequence of str

    Returns
    -------
    DataFrame
        target_NM, the keys, subject, the values and n_recordings; a row per combination and mouse.
    """
    groups = rows.groupby(["target_NM", *keys, "subject"])
    means: pd.DataFrame = groups[list(values)].mean().assign(n_recordings=groups.size())
    return means.reset_index()


def baseline_means(tests: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return how behaviour goes with the baseline in each mouse.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    tests : mapping of str to DataFrame
        The tables `baseline_performance` and `baseline_reaction_time`, by what follows the first word.

    Returns
    -------
    DataFrame
        behaviour, target_NM, subject, observed_slope, observed_r2, n_recordings.
    """
    values = ["observed_slope", "observed_r2"]
    parts = [mouse_means(rows, [], values).assign(behaviour=name) for name, rows in tests.items()]
    return pd.concat(parts, ignore_index=True)


def baseline_shares(tests: Mapping[str, pd.DataFrame]) -> pd.DataFrame:
    """Return in how many recordings of each target behaviour goes with the baseline.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    tests : mapping of str to DataFrame
        As of `baseline_means`.

    Returns
    -------
    DataFrame
        behaviour, target_NM, n_recordings, n_tested (with a q_value), n_significant (with one below `SIGNIFICANT`), share of
        the tested (not a number without any).
    """
    parts = []
    for name, rows in tests.items():
        q_values = rows["q_value"].astype("float64")
        flags = rows[["target_NM"]].assign(n_tested=q_values.notna(), n_significant=q_values < SIGNIFICANT)
        groups = flags.groupby("target_NM")
        counts = groups.sum().astype("int64").assign(n_recordings=groups.size(), behaviour=name)
        parts.append(counts.assign(share=counts["n_significant"] / counts["n_tested"]).reset_index())
    return pd.concat(parts, ignore_index=True)
