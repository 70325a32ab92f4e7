"""Whether the neural response to the stimulus tells how the mouse will move: mixed models of movements, at each contrast."""

from collections.abc import Sequence
from functools import partial

import numpy as np
import pandas as pd

from iblnm_core.analyses.model_families import Family, Model, ModelOptions, crossed, over_groups, without
from iblnm_core.analyses.movement import StandardErrors, last_coefficient
from iblnm_core.analyses.outcomes import false_discovery_rate
from iblnm_core.analyses.rows import Finding, status_of, table_of

DEPENDENT_VARIABLES = ("reaction_time", "movement_time", "peak_velocity")
"""Seconds, seconds, radians per second."""
_NUMBERS = (
    "delta_r2",
    "base_r2_marginal",
    "full_r2_marginal",
    "lrt_chi2",
    "lrt_pvalue",
    "lrt_qvalue",
    "nm_coefficient",
    "nm_pvalue",
    "nm_qvalue",
)


def wheel_lmm(
    frame: pd.DataFrame,
    *,
    event: str = "stimOn",
    dependent_variables: Sequence[str] = DEPENDENT_VARIABLES,
    minimum_subjects: int = 2,
    minimum_trials: int = 10,
    standard_errors: StandardErrors = "least_squares",
) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Test whether the response adds to sides and choices in predicting a movement, by maximum likelihood.

    See `docs/methods/movement_encoding.md`.

    Parameters
    ----------
    frame : DataFrame
        Trials with target_NM, event, subject, contrast (percent), side, choice, response and the dependent variables.
        Those without a choice or a side are left out.
    event : str
        Label of the event.
    dependent_variables : sequence of str
    minimum_subjects, minimum_trials : int
        With fewer there is no fit.
    standard_errors : {'least_squares', 'observed'}
        Of Wald's test: by generalised least squares; or from the curvature of the likelihood, as the reference pipeline has
        them, which may not be known.

    Returns
    -------
    table : DataFrame
        A row per target, contrast and dependent variable (dv): explained variance without and with the response, the
        likelihood ratio test between the two, the coefficient of the response (units of dv per z) with its Wald p-value,
        n_trials, n_subjects. The q-values are over all rows, for either test.
    outcomes : DataFrame

    Raises
    ------
    MissingPrerequisite
        When a column is not there.
    UnknownOption
        When there are no such standard errors.
    """
    full = (*crossed("side", "choice"), ("response",))
    members = {"full": full, "base": without(full, "response")}
    families = [Family("wheel", event, members, name, response=name) for name in dependent_variables]
    options = ModelOptions(minimum_subjects=minimum_subjects, minimum_trials=minimum_trials)
    # a trial without a choice is unknown in the choice
    chosen = frame.assign(choice=frame["choice"].where(frame["choice"] != 0)) if "choice" in frame else frame
    records, outcomes = over_groups(
        chosen, families, "lmm", options, minimum_subjects, partial(_compare, standard_errors), by_contrast=True
    )
    columns = {
        "target_NM": "object",
        "event": "object",
        "contrast": "float64",
        "dv": "object",
        **dict.fromkeys(_NUMBERS, "float64"),
        "n_trials": "int64",
        "n_subjects": "int64",
    }
    table = table_of(records, columns)
    for test in ("lrt", "nm"):
        table[f"{test}_qvalue"] = false_discovery_rate(table[f"{test}_pvalue"].to_numpy(np.float64))
    return table, outcomes


def _compare(standard_errors: StandardErrors, model: Model, family: Family) -> Finding:
    from scipy.special import chdtrc

    full, base = (model.fit(family.members[name], "ML") for name in ("full", "base"))
    ratio = max(2 * (full.log_likelihood - base.log_likelihood), 0.0)
    # the response is the last term
    coefficient, _, p_value = last_coefficient(full, standard_errors)
    row = {
        "dv": family.movement_var,
        "delta_r2": full.marginal - base.marginal,
        "base_r2_marginal": base.marginal,
        "full_r2_marginal": full.marginal,
        "lrt_chi2": ratio,
        "lrt_pvalue": float(chdtrc(1, ratio)),
        "nm_coefficient": coefficient,
        "nm_pvalue": p_value,
        "n_trials": full.n_rows,
        "n_subjects": full.n_subjects,
    }
    return status_of(full), [row], None
