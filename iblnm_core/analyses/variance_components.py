"""How much a coefficient varies between mice and between the sessions of a mouse, beyond its error of measurement.

The posterior is evaluated on a grid, without sampling. Coefficients come from the models of single recordings.
"""

from dataclasses import dataclass
from typing import Any, Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from iblnm_core.analyses.outcomes import Outcome, Status, outcome_table
from iblnm_core.errors import UnknownOption

Array = NDArray[np.float64]
Prior = Literal["half-normal", "half-Cauchy", "uniform"]
PRIORS: tuple[Prior, ...] = get_args(Prior)

COMPONENTS = ("V_mouse", "V_session")
_SUMMARY_TYPES = {
    **dict.fromkeys(("target_NM", "event", "regressor", "component"), "object"),
    **dict.fromkeys(("mean", "hdi_low", "hdi_high"), "float64"),
    **dict.fromkeys(("n_mice", "n_sessions", "n_recordings"), "int64"),
}
_DENSITY_TYPES = {
    **dict.fromkeys(("target_NM", "event", "regressor", "component"), "object"),
    **dict.fromkeys(("x", "density"), "float64"),
}
_N_LOWER_ENDS = 2001
"""Places at which the interval of highest density is tried."""


@dataclass(frozen=True)
class Component:
    """The posterior of one variance.

    Attributes
    ----------
    mean : float
    hdi_low, hdi_high : float
        Shortest interval with the mass asked for.
    x : ndarray of float64, (g,)
        log10 of the variance.
    density : ndarray of float64, (g,)
        Per unit of x.
    """

    mean: float
    hdi_low: float
    hdi_high: float
    x: Array
    density: Array


@dataclass(frozen=True)
class VarianceComponents:
    """Variances between mice and sessions of all coefficients.

    Attributes
    ----------
    summary : DataFrame
        target_NM, event, regressor, component, mean, hdi_low, hdi_high, n_mice, n_sessions, n_recordings.
    densities : DataFrame
        target_NM, event, regressor, component, x (log10 of the variance), density (per unit of x).
    outcomes : DataFrame
        A row for every target, event and regressor.
    """

    summary: pd.DataFrame
    densities: pd.DataFrame
    outcomes: pd.DataFrame


def standardise(estimates: ArrayLike, errors: ArrayLike) -> tuple[Array, Array]:
    """Return estimates with mean 0 and SD 1 (over n), and their errors on the same scale.

    Parameters
    ----------
    estimates, errors : array_like of float, (n,)

    Raises
    ------
    ValueError
        When the estimates do not vary.
    """
    values = np.asarray(estimates, dtype=np.float64)
    if np.ptp(values) == 0:
        raise ValueError(f"all {len(values)} estimates are {values[0]:g}; expected some that differ")
    spread = values.std()
    return (values - values.mean()) / spread, np.asarray(errors, dtype=np.float64) / spread


def log_likelihood(
    values: Array, errors: Array, mice: NDArray[np.intp], sd_mouse: ArrayLike, sd_session: ArrayLike
) -> Array:
    """Return the log-likelihood of estimates, the overall mean and the deviations of mice and sessions integrated out.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    values, errors : ndarray of float64, (n,)
        Standardised estimates and their standard errors.
    mice : ndarray of int, (n,)
        Number of the mouse of each, from 0 without gaps.
    sd_mouse : array_like of float, (a,)
        SD between mice.
    sd_session : array_like of float, (b,)
        SD between the sessions of a mouse.

    Returns
    -------
    ndarray of float64, (a, b)
        Natural logarithm.
    """
    variance_mouse = np.atleast_1d(np.asarray(sd_mouse, dtype=np.float64))[:, None, None] ** 2
    variance_session = np.atleast_1d(np.asarray(sd_session, dtype=np.float64))[:, None] ** 2
    of_mouse = np.eye(mice.max() + 1)[mice]
    own = variance_session + errors**2
    weights = (1 / own) @ of_mouse
    weighted = (values / own) @ of_mouse
    # a mouse's own deviation shrinks what it says about the overall mean
    shrinkage = 1 + variance_mouse * weights
    squares = (values**2 / own).sum(axis=1) - (variance_mouse * weighted**2 / shrinkage).sum(axis=2)
    precision = 1 + (weights / shrinkage).sum(axis=2)
    pull = (weighted / shrinkage).sum(axis=2)
    logs = np.log(own).sum(axis=1) + np.log(shrinkage).sum(axis=2) + np.log(precision)
    likelihood: Array = -(len(values) * np.log(2 * np.pi) + logs + squares - pull**2 / precision) / 2
    return likelihood


def log_prior(sd: Array, prior: Prior, scale: float) -> Array:
    """Return the log density of a prior of an SD, but for a constant.

    Parameters
    ----------
    sd : ndarray of float64, (g,)
    prior : {'half-normal', 'half-Cauchy', 'uniform'}
    scale : float
        SD of the normal, half width of the Cauchy at half its height, or end of the uniform distribution.

    Raises
    ------
    UnknownOption
        When there is no such prior.
    """
    if prior == "half-normal":
        return -((sd / scale) ** 2) / 2
    if prior == "half-Cauchy":
        return -np.log1p((sd / scale) ** 2)
    if prior == "uniform":
        return np.where(sd <= scale, 0.0, -np.inf)
    raise UnknownOption(f"prior {prior!r}; expected one of {', '.join(PRIORS)}")


def variance_posteriors(
    values: Array,
    errors: Array,
    mice: NDArray[np.intp],
    prior: Prior = "half-normal",
    prior_scale: float = 1.0,
    largest_sd: float = 8.0,
    n_grid: int = 200,
    mass: float = 0.94,
) -> tuple[Component, Component]:
    """Return the posteriors of the variances between mice and between the sessions of a mouse.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    values, errors : ndarray of float64, (n,)
        Standardised estimates and their standard errors.
    mice : ndarray of int, (n,)
        Number of the mouse of each, from 0 without gaps.
    prior : {'half-normal', 'half-Cauchy', 'uniform'}
        Of both SDs.
    prior_scale : float
    largest_sd : float
        End of the grid; a uniform prior may end before.
    n_grid : int
        Points of the grid per SD, each in the middle of its cell.
    mass : float
        Of the intervals, 0-1.

    Raises
    ------
    UnknownOption
        When there is no such prior.
    """
    end = min(largest_sd, prior_scale) if prior == "uniform" else largest_sd
    edges = np.linspace(0, end, n_grid + 1)
    sd = (np.arange(n_grid) + 0.5) * end / n_grid
    weights = log_prior(sd, prior, prior_scale)
    logs = log_likelihood(values, errors, mice, sd, sd) + weights[:, None] + weights
    joint = np.exp(logs - logs.max())
    joint /= joint.sum()
    of_mouse, of_session = (_component(joint.sum(axis=axis), sd, edges, mass) for axis in (1, 0))
    return of_mouse, of_session


def _component(weights: Array, sd: Array, edges: Array, mass: float) -> Component:
    """Return what the weights of the cells of an SD say about its square."""
    cumulative = np.concatenate([[0.0], np.cumsum(weights)])
    lower = np.linspace(0, 1 - mass, _N_LOWER_ENDS)
    low, high = (np.interp(share, cumulative, edges) ** 2 for share in (lower, lower + mass))
    shortest = int((high - low).argmin())
    # log10 of the variance is twice the logarithm of the SD
    density = weights / np.diff(edges) * sd * np.log(10) / 2
    return Component(float(weights @ sd**2), float(low[shortest]), float(high[shortest]), 2 * np.log10(sd), density)


def variance_components(
    coefficients: pd.DataFrame,
    minimum_sessions: int = 5,
    minimum_mice: int = 4,
    prior: Prior = "half-normal",
    prior_scale: float = 1.0,
    largest_sd: float = 8.0,
    n_grid: int = 200,
    mass: float = 0.94,
) -> VarianceComponents:
    """Return how much every coefficient of every target and event varies between mice and between sessions.

    See `docs/methods/session_models.md`. Variances are in units of the variance of the estimates.

    Parameters
    ----------
    coefficients : DataFrame
        eid, fiber_idx, subject, target_NM, event, regressor, coef, coef_se; one row per recording, event and regressor.
    minimum_sessions : int
        Sessions that a mouse needs to be used.
    minimum_mice : int
        Such mice that a target needs.
    prior : {'half-normal', 'half-Cauchy', 'uniform'}
        Of both SDs.
    prior_scale : float
    largest_sd : float
        End of the grid; a uniform prior may end before.
    n_grid : int
        Points of the grid per SD.
    mass : float
        Of the intervals, 0-1.

    Raises
    ------
    UnknownOption
        When there is no such prior.
    """
    log_prior(np.ones(1), prior, prior_scale)
    summaries: list[dict[str, Any]] = []
    densities, outcomes = [pd.DataFrame(columns=list(_DENSITY_TYPES)).astype(_DENSITY_TYPES)], []
    ordered = coefficients.sort_values(["target_NM", "event", "subject", "eid", "fiber_idx"], kind="stable")
    for names, cell in ordered.groupby(["target_NM", "event", "regressor"], sort=True):
        target, event, regressor = map(str, names)
        used, status, detail = _usable(cell, minimum_sessions, minimum_mice)
        n_mice = used["subject"].nunique()
        outcomes.append(
            Outcome("variance_components", target, event, status, 0, n_mice, variable=regressor, detail=detail)
        )
        if status is not Status.OK:
            continue
        values, errors = standardise(used["coef"], used["coef_se"])
        mice = pd.factorize(used["subject"])[0]
        counts = {"n_mice": n_mice, "n_sessions": used["eid"].nunique(), "n_recordings": len(used)}
        posteriors = variance_posteriors(values, errors, mice, prior, prior_scale, largest_sd, n_grid, mass)
        for name, posterior in zip(COMPONENTS, posteriors, strict=True):
            key = {"target_NM": target, "event": event, "regressor": regressor, "component": name}
            numbers = {"mean": posterior.mean, "hdi_low": posterior.hdi_low, "hdi_high": posterior.hdi_high}
            summaries.append({**key, **numbers, **counts})
            densities.append(pd.DataFrame({**key, "x": posterior.x, "density": posterior.density}))
    return VarianceComponents(
        pd.DataFrame(summaries, columns=list(_SUMMARY_TYPES)).astype(_SUMMARY_TYPES),
        pd.concat(densities, ignore_index=True),
        outcome_table(outcomes),
    )


def _usable(cell: pd.DataFrame, minimum_sessions: int, minimum_mice: int) -> tuple[pd.DataFrame, Status, str | None]:
    """Return the estimates of mice with enough sessions, and whether these are enough."""
    known = cell[np.isfinite(cell["coef"]) & np.isfinite(cell["coef_se"])]
    if known.empty:
        return known, Status.NO_DATA, "no coefficient with an error"
    sessions = known.groupby("subject")["eid"].transform("nunique")
    used = known[sessions >= minimum_sessions]
    n_mice = used["subject"].nunique()
    if n_mice < max(minimum_mice, 1):
        detail = f"{n_mice} mice with at least {minimum_sessions} sessions; expected at least {minimum_mice}"
        return used, Status.TOO_FEW_SUBJECTS, detail
    if np.ptp(used["coef"]) == 0:
        return used, Status.CONSTANT_RESPONSE, "the coefficient is the same in all recordings"
    return used, Status.OK, None
