"""How tests of single recordings came out: results of those that have one, and a row for each that says why not."""

from collections.abc import Mapping

import pandas as pd

from iblnm_core.analyses.outcomes import OUTCOME_COLUMNS, Status

_WITH_RESULT = (str(Status.OK), str(Status.BOUNDARY))


def baseline_results(tests: Mapping[str, pd.DataFrame]) -> dict[str, pd.DataFrame]:
    """Return the tests of what came before the stimulus as tables of results and of outcomes.

    Parameters
    ----------
    tests : mapping of str to DataFrame
        By model, a row per recording as `baseline_coding` returns it.

    Returns
    -------
    dict of str to DataFrame
        Rows of `baseline_MODEL` for each model, and of `baseline_coding_outcomes`.
    """
    results, outcomes = {}, []
    for model, rows in tests.items():
        came_out = rows["status"].isin(_WITH_RESULT)
        results[f"baseline_{model}"] = rows[came_out].drop(columns=["status", "error"])
        outcomes.append(
            rows.assign(
                analysis="baseline_coding",
                event="stimOn",
                variable=model,
                contrast=float("nan"),
                n_subjects=1,
                detail=rows["error"],
            )
        )
    keys = ["eid", "fiber_idx", "subject", "brain_region", *OUTCOME_COLUMNS]
    return {**results, "baseline_coding_outcomes": pd.concat(outcomes, ignore_index=True)[keys]}
