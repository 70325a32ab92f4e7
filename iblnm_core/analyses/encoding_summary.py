"""Encoding models of recordings, taken together over the mice of each target. Tables only; the models are made per session."""

from collections.abc import Sequence

import numpy as np
import pandas as pd

from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table

_SELECTED = ["eid", "fiber_idx", "subject", "target_NM"]


def over_mice(rows: pd.DataFrame, keys: Sequence[str], value: str) -> pd.DataFrame:
    """Return the mean of a value over mice, each the mean of its recordings, and its standard error.

    Parameters
    ----------
    rows : DataFrame
        target_NM, subject, the keys and the value; rows without a value do not count.
    keys : sequence of str
    value : str

    Returns
    -------
    DataFrame
        target_NM, the keys, mean, sem (not a number for one mouse), n_subjects, n_recordings (int64).
    """
    known = rows[np.isfinite(rows[value])]
    of_mouse = known.groupby(["target_NM", *keys, "subject"], dropna=False)[value].agg(["mean", "size"]).reset_index()
    found: pd.DataFrame = of_mouse.groupby(["target_NM", *keys], dropna=False).agg(
        mean=("mean", "mean"), sem=("mean", "sem"), n_subjects=("subject", "size"), n_recordings=("size", "sum")
    )
    table: pd.DataFrame = found.reset_index().astype({"n_subjects": "int64", "n_recordings": "int64"})
    return table


def encoding_summary(
    fits: pd.DataFrame, kernels: pd.DataFrame, delta_r2: pd.DataFrame, recordings: pd.DataFrame
) -> dict[str, pd.DataFrame]:
    """Return what the encoding models of selected recordings say of each target.

    See `docs/methods/encoding_model.md`.

    Parameters
    ----------
    fits, kernels, delta_r2 : DataFrame
        The tables `encoding_fits`, `encoding_kernels` and `encoding_delta_r2`.
    recordings : DataFrame
        The `recordings` table: what is selected, by session and fibre.

    Returns
    -------
    dict of str to DataFrame
        Rows of the tables `encoding_delta_r2_by_target`, `encoding_fits_by_target`, `encoding_kernels_by_target` and
        `encoding_summary_outcomes`, one of the latter per target.
    """
    selected = recordings[_SELECTED]

    def of_selected(rows: pd.DataFrame) -> pd.DataFrame:
        return rows.drop(columns="target_NM").merge(selected, on=["eid", "fiber_idx"], how="inner")

    chosen = of_selected(fits)
    measures = chosen.melt(["target_NM", "subject"], ["r2_in", "r2_cv"], var_name="measure")
    measures["value"] = measures["value"].astype("float64")
    return {
        "encoding_delta_r2_by_target": over_mice(of_selected(delta_r2), ["block"], "delta_r2"),
        "encoding_fits_by_target": over_mice(measures, ["measure"], "value"),
        "encoding_kernels_by_target": over_mice(of_selected(kernels), ["term", "level", "modulator", "lag_s"], "coef"),
        "encoding_summary_outcomes": _outcomes(selected, chosen),
    }


def _outcomes(selected: pd.DataFrame, fits: pd.DataFrame) -> pd.DataFrame:
    """Return a row per target: how many of its recordings have a model."""
    outcomes = []
    for target, rows in selected.groupby("target_NM"):
        own = fits[fits["target_NM"] == target]
        modelled = own[own["r2_cv"].notna()]
        counts = own["status"].value_counts().to_dict()
        kinds = [f"{count} {status}" for status, count in sorted(counts.items())]
        without = len(rows) - len(own)
        detail = ", ".join([*kinds, *([f"{without} without model"] if without else [])])
        status = Status.OK if len(modelled) else Status.NO_DATA
        outcomes.append(
            Outcome(
                "encoding_summary", str(target), "", status, len(modelled), modelled["subject"].nunique(), detail=detail
            )
        )
    return outcome_table(outcomes)
