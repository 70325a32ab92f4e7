"""Intervals and p-values, planted against recovered: simulated cohorts with and without effects, and recordings of the ruler cohort."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.baseline_coding import MODELS, baseline_coding
from iblnm_core.analyses.drop_one import PREDICTORS, code_recordings
from iblnm_core.analyses.swap_null import mouse_p_values, recording_p_values, swap_nulls
from iblnm_core.analyses.task_design import TERMS
from iblnm_core.demo.identity import random_stream
from iblnm_core.demo.recovery_models import CODING, LEVELS
from iblnm_core.demo.simulated_trials import CohortShape, coverage, drifting_baselines, drifting_recordings
from iblnm_core.demo.statistic import LEAST_P, Statistic, largest_share

Floats = NDArray[np.float64]

_SMALL_COHORTS = (4, 6)
_N_COHORTS = 2000
_AIM = (0.94, 0.96)

_OF_RECORDING, _OF_MOUSE = "recording", "mouse"
_SWAPPED = CohortShape(20, 11, 2, 120)
_SWAPPED_WITH_EFFECT = _SWAPPED._replace(groups=5)
_REWARD = 1.2
_BASELINES = CohortShape(20, 21, 1, 120)
_BASELINES_WITH_EFFECT = _BASELINES._replace(groups=5)
_BASELINE = 0.6
_BEHAVIOUR = {"performance": "correct choices", "reaction_time": "response times"}
_LEAST_POWER = 0.9
_CALLED = 0.05


@dataclass(frozen=True)
class InferenceRecovered:
    """Intervals and p-values whose truth is known.

    Attributes
    ----------
    intervals : DataFrame
        One row per number of mice and term: `plain` and `suited`, shares of simulated cohorts whose interval holds the truth.
    swaps : DataFrame
        One row per `level` (recording or mouse), predictor, and simulated recording or mouse: `p_value`, `n_donors`, and
        `is_planted`, whether rewards had an effect.
    baselines : DataFrame
        One row per model and simulated recording: `p_value_donors`, `p_value` (of draws), `p_independent` (of least squares, with
        trials as independent draws), `n_donors`, `is_planted`.
    ruler : DataFrame
        p-values of the swap null in the recordings of the ruler cohort, and of their mice: `level`, target_NM, event, predictor.
    """

    intervals: pd.DataFrame
    swaps: pd.DataFrame
    baselines: pd.DataFrame
    ruler: pd.DataFrame


def recover_inference(frame: pd.DataFrame, seed: int) -> InferenceRecovered:
    """Measure how often intervals hold the truth, and how p-values are distributed.

    Parameters
    ----------
    frame : DataFrame
        Trials of all blocks of the ruler cohort, see `recovery_models.cohort_frame`.
    seed : int
        Of everything that is simulated.
    """
    return InferenceRecovered(
        intervals=pd.concat([_coverage(n_mice) for n_mice in _SMALL_COHORTS], ignore_index=True),
        swaps=pd.concat(
            [
                simulated_swaps(random_stream(seed, "swaps"), _SWAPPED, 0.0),
                simulated_swaps(random_stream(seed, "swaps, planted"), _SWAPPED_WITH_EFFECT, _REWARD),
            ]
        ),
        baselines=pd.concat(
            [
                simulated_baselines(random_stream(seed, "baselines"), _BASELINES, 0.0),
                simulated_baselines(random_stream(seed, "baselines, planted"), _BASELINES_WITH_EFFECT, _BASELINE),
            ]
        ),
        ruler=swap_p_values(frame),
    )


def _coverage(n_mice: int) -> pd.DataFrame:
    found = coverage(n_mice, _N_COHORTS, seed=n_mice)
    return pd.DataFrame({"n_mice": n_mice, "term": TERMS, "plain": found.plain, "suited": found.suited})


def swap_p_values(frame: pd.DataFrame) -> pd.DataFrame:
    """Return the p-values of the swap null, of recordings and of mice.

    Parameters
    ----------
    frame : DataFrame
        See `iblnm_core.analyses.drop_one.code_recordings`.
    """
    nulls, _ = swap_nulls(code_recordings(frame, CODING, LEVELS))
    of_recordings = recording_p_values(nulls).assign(level=_OF_RECORDING)
    return pd.concat([of_recordings, mouse_p_values(nulls).assign(level=_OF_MOUSE)], ignore_index=True)


def simulated_swaps(rng: np.random.Generator, shape: CohortShape, reward: float) -> pd.DataFrame:
    """Return the p-values of the swap null in simulated recordings.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : CohortShape
    reward : float
        See `simulated_trials.drifting_recordings`.
    """
    return swap_p_values(drifting_recordings(rng, shape, reward)).assign(is_planted=reward != 0)


def simulated_baselines(rng: np.random.Generator, shape: CohortShape, effect: float) -> pd.DataFrame:
    """Return the p-values of baselines in simulated recordings.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : CohortShape
    effect : float
        See `simulated_trials.drifting_baselines`.
    """
    from scipy.stats import beta

    recordings = drifting_baselines(rng, shape, effect)
    tables = []
    for model in MODELS:
        table = baseline_coding(recordings, model)
        # R squared of a line through independent draws has a beta distribution
        independent = beta.sf(table["observed_r2"], 0.5, (table["n_trials"] - 2) / 2)
        tables.append(table.assign(model=model, p_independent=independent, is_planted=effect != 0))
    return pd.concat(tables, ignore_index=True)


def inference_statistics(recovered: InferenceRecovered) -> list[Statistic]:
    """Return what is said of intervals and p-values.

    Parameters
    ----------
    recovered : InferenceRecovered
    """
    return [
        *(s for n_mice in _SMALL_COHORTS for s in _intervals(recovered.intervals, n_mice)),
        *(_uniform_swaps(recovered.swaps, level) for level in (_OF_RECORDING, _OF_MOUSE)),
        _power_of_swaps(recovered.swaps),
        *(s for model in MODELS for s in _baselines(recovered.baselines, model)),
        *_independent(recovered.baselines),
        *_ruler(recovered.ruler),
    ]


def _intervals(intervals: pd.DataFrame, n_mice: int) -> list[Statistic]:
    rows = intervals[intervals["n_mice"] == n_mice]
    is_intercept = rows["term"] == "Intercept"
    parts = (
        (f"intercept, {n_mice} mice", rows[is_intercept]),
        (f"effects within mice, {n_mice} mice", rows[~is_intercept]),
    )
    return [_coverage_of(title, part) for title, part in parts]


def _coverage_of(title: str, rows: pd.DataFrame) -> Statistic:
    suited, plain = float(rows["suited"].mean()), float(rows["plain"].mean())
    extent = f" ({100 * rows['suited'].min():.1f} to {100 * rows['suited'].max():.1f} %)" if len(rows) > 1 else ""
    return Statistic(
        f"coverage of intervals, {title}",
        "95 %",
        f"for few mice {100 * suited:.1f} %{extent}, plain {100 * plain:.1f} %; {_N_COHORTS:,} cohorts",
        f"for few mice {100 * _AIM[0]:.0f} to {100 * _AIM[1]:.0f} % on average"
        if extent
        else f"for few mice {100 * _AIM[0]:.0f} to {100 * _AIM[1]:.0f} %",
        _AIM[0] <= suited <= _AIM[1],
    )


def uniformity(p_values: Sequence[float] | Floats, n_donors: int) -> float:
    """Return the probability of p-values as unevenly spread over the values that they can have, by chi-square.

    Parameters
    ----------
    p_values : sequence of float, (n,)
    n_donors : int
        p-values can be the multiples of one over it plus one.

    Returns
    -------
    float
        0 when one of them cannot be.
    """
    from scipy.stats import chisquare

    places = np.asarray(p_values, dtype=np.float64) * (n_donors + 1)
    nearest = np.rint(places).astype(np.int64)
    if not (np.abs(places - nearest) < 1e-9).all() or nearest.min() < 1 or nearest.max() > n_donors + 1:
        return 0.0
    return float(chisquare(np.bincount(nearest, minlength=n_donors + 2)[1:]).pvalue)


def _uniform_swaps(swaps: pd.DataFrame, level: str) -> Statistic:
    rows = swaps[(swaps["level"] == level) & ~swaps["is_planted"]]
    most = int(rows["n_donors"].max())
    # a donor with whom a design is degenerate leaves a coarser grid
    full = rows[rows["n_donors"] == most]
    by_predictor = [uniformity(full.loc[full["predictor"] == name, "p_value"].to_numpy(), most) for name in PREDICTORS]
    return Statistic(
        f"p-values of the swap null without effects, by {level}",
        _grid(most),
        f"{_share_called(full['p_value'])}; chi-square p = {min(by_predictor):.3f} to {max(by_predictor):.3f} over "
        f"{len(PREDICTORS)} regressors; {len(full):,} p-values, {len(rows) - len(full)} left out",
        f"each chi-square p at least {LEAST_P}",
        min(by_predictor) >= LEAST_P,
    )


def _grid(n_donors: int) -> str:
    return f"uniform on 1/{n_donors + 1}, 2/{n_donors + 1}, ..., 1"


def _share_called(p_values: "pd.Series[float]") -> str:
    return f"{100 * float((p_values <= _CALLED).mean()):.1f} % at most {_CALLED}"


def _power_of_swaps(swaps: pd.DataFrame) -> Statistic:
    rows = swaps[swaps["is_planted"] & (swaps["predictor"] == "reward")]
    shares = {level: float((of["p_value"] <= _CALLED).mean()) for level, of in rows.groupby("level")}
    return Statistic(
        "p-values of the swap null, effect of reward",
        f"{_REWARD} SD",
        f"at most {_CALLED} in {100 * shares[_OF_RECORDING]:.0f} % of recordings, {100 * shares[_OF_MOUSE]:.0f} % of mice",
        f"{100 * _LEAST_POWER:.0f} % of mice",
        shares[_OF_MOUSE] >= _LEAST_POWER,
    )


def _baselines(baselines: pd.DataFrame, model: str) -> list[Statistic]:
    rows = baselines[baselines["model"] == model]
    idle, planted = rows[~rows["is_planted"]], rows[rows["is_planted"]]
    n_donors, share = int(idle["n_donors"].max()), float((planted["p_value_donors"] <= _CALLED).mean())
    p_value = uniformity(idle["p_value_donors"].to_numpy(), n_donors)
    title = f"baselines against {_BEHAVIOUR[model]}"
    return [
        Statistic(
            f"p-values of {title} without effects",
            _grid(n_donors),
            f"{_share_called(idle['p_value_donors'])}; chi-square p = {p_value:.3f}; {len(idle)} recordings",
            f"chi-square p at least {LEAST_P}",
            p_value >= LEAST_P,
        ),
        Statistic(
            f"p-values of {title}, effect",
            f"correlation {_BASELINE}" if model == "reaction_time" else f"logit {2 * _BASELINE} per SD",
            f"at most {_CALLED} in {100 * share:.0f} % of {len(planted)} recordings",
            f"{100 * _LEAST_POWER:.0f} %",
            share >= _LEAST_POWER,
        ),
    ]


def _independent(baselines: pd.DataFrame) -> list[Statistic]:
    """Show what other tests would say of the same recordings."""
    rows = baselines[(baselines["model"] == "reaction_time") & ~baselines["is_planted"]]
    smallest = float((rows["p_value"] <= 0.01).mean())
    return [
        Statistic(
            "p-values of baselines against response times without effects, as if trials were independent",
            "5 % at most 0.05",
            _share_called(rows["p_independent"]),
            "reported: sessions drift",
            holds=True,
        ),
        Statistic(
            "p-values of baselines against response times without effects, donors drawn with replacement",
            "1 % at most 0.01",
            f"{100 * smallest:.1f} % at most 0.01",
            "reported: few donors",
            holds=True,
        ),
    ]


def _ruler(ruler: pd.DataFrame) -> list[Statistic]:
    mice = ruler[(ruler["level"] == _OF_MOUSE) & (ruler["event"] == "feedback") & (ruler["predictor"] == "reward")]
    called = int((mice["p_value"] <= _CALLED).sum())
    recordings = ruler[ruler["level"] == _OF_RECORDING]
    idle = recordings[(recordings["event"] == "stimOn") & recordings["predictor"].isin(["reward", "peak_velocity"])]
    share, most = float((idle["p_value"] <= _CALLED).mean()), largest_share(_CALLED, len(idle))
    speed = recordings[(recordings["event"] == "feedback") & (recordings["predictor"] == "peak_velocity")]
    return [
        Statistic(
            "swap null of the ruler cohort, reward at feedback",
            "in all mice",
            f"p at most {_CALLED} in {called} of {len(mice)} mice",
            f"{100 * _LEAST_POWER:.0f} %",
            called >= _LEAST_POWER * len(mice),
        ),
        Statistic(
            "swap null of the ruler cohort, reward and peak velocity at the stimulus",
            "no effect",
            f"{100 * share:.1f} % of {len(idle)} p-values at most {_CALLED}",
            f"at most {100 * most:.1f} %",
            share <= most,
        ),
        Statistic(
            "swap null of the ruler cohort, peak velocity at feedback",
            "no effect on gains",
            f"{_share_called(speed['p_value'])}; {len(speed)} recordings",
            "reported: responses overlap",
            holds=True,
        ),
    ]
