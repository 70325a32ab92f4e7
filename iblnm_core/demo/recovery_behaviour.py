"""Planted against recovered, without photometry: blocks, reaction times and the wheel; curves by `recovery_curves`."""

from collections.abc import Sequence
from dataclasses import dataclass, fields, replace

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.demo import files
from iblnm_core.demo.behaviour import (
    CONTRASTS,
    REACTION_RANK_SLOPE,
    THRESHOLD_TURN,
    Trials,
    simulate_behaviour,
)
from iblnm_core.demo.files import SessionContent
from iblnm_core.demo.plan import CLINIC_PACE, SessionPlan, SessionType
from iblnm_core.demo.recovery_curves import recover_curves
from iblnm_core.demo.session import SimulatedSession, make_session, session_content
from iblnm_core.demo.statistic import COVERAGE, Statistic, least_coverage
from iblnm_core.parameters import Parameters
from iblnm_core.session.blocks import judge_blocks
from iblnm_core.session.regressors import trial_regressors
from iblnm_core.session.stages import WHEEL_EVENTS
from iblnm_core.session.trials import trials_from_table, with_judged_blocks
from iblnm_core.session.wheel import peak_velocity, trial_velocities, wheel_velocity
from iblnm_core.sources.details import planned_blocks_of

Floats = NDArray[np.float64]

_FAULTS: dict[str, SessionType] = {
    "block_bug": "biased",
    "block_bug_no_plan": "biased",
    "block_bug_training": "training",
}
_FAULTY_MINUTES = 8.0


@dataclass(frozen=True)
class BehaviourRecovered:
    """What the pipeline finds of the behaviour that was planted.

    Attributes
    ----------
    curves : DataFrame
        One row per session, fitted block and parameter, see `recovery_curves.recover_curves`.
    fits : DataFrame
        One row per session and fitted block, see there.
    trials : DataFrame
        One row per trial: `planted_*` and `found_*` of `block` (probability of a left stimulus), `reaction` (s) and `peak`
        (rad/s; 0 without a turn, not a number when the turn began before the stimulus); `found_rank` of the contrast;
        `is_usual` unless slow, premature or without choice.
    regressors : DataFrame
        The `trial_regressors` table.
    faulty : DataFrame
        One row per trial of sessions with a fault in their blocks: `plant`, and `planted`, `recorded`, `found`.
    """

    curves: pd.DataFrame
    fits: pd.DataFrame
    trials: pd.DataFrame
    regressors: pd.DataFrame
    faulty: pd.DataFrame

    @classmethod
    def concatenated(cls, parts: Sequence["BehaviourRecovered"]) -> "BehaviourRecovered":
        """Return all parts as one."""
        return cls(*(pd.concat([getattr(p, f.name) for p in parts], ignore_index=True) for f in fields(cls)))


def recover_behaviour(session: SimulatedSession, seed: int, parameters: Parameters) -> BehaviourRecovered:
    """Take the behaviour of a simulated session through the functions of the pipeline.

    Parameters
    ----------
    session : SimulatedSession
        With blocks.
    seed : int
        Of the cohort.
    parameters : Parameters
    """
    plan, planted = session.plan, session.behaviour.trials
    trials, regressors = recover_trials(session, seed, parameters)
    curves, fits = recover_curves(session, trials, seed, parameters)
    by_trial = pd.DataFrame(
        {
            "planted_block": planted.probability_left,
            "found_block": trials["probabilityLeft"],
            "planted_reaction": _drawn_reaction(planted),
            "found_reaction": regressors["reaction_time"],
            "planted_peak": _planted_peak(planted),
            "found_peak": regressors["peak_velocity"],
            "found_rank": np.interp(regressors["contrast"], CONTRASTS, np.arange(len(CONTRASTS))),
            "is_usual": ~planted.is_slow & ~planted.is_premature & (planted.choice != 0),
        }
    )
    faulty = [_with_fault(plan, plant, seed, parameters) for plant in _FAULTS]
    tables = {
        "curves": curves,
        "fits": fits,
        "trials": by_trial,
        "regressors": regressors,
        "faulty": pd.concat(faulty, ignore_index=True),
    }
    return BehaviourRecovered(**{name: table.assign(session=str(plan.key)) for name, table in tables.items()})


def recover_trials(session: SimulatedSession, seed: int, parameters: Parameters) -> tuple[pd.DataFrame, pd.DataFrame]:
    """Return the trials of a simulated session as the pipeline has them.

    Parameters
    ----------
    session : SimulatedSession
        With blocks.
    seed : int
        Of the cohort.
    parameters : Parameters

    Returns
    -------
    trials : DataFrame
        As in the session file.
    regressors : DataFrame
        Its rows of the `trial_regressors` table.
    """
    trials = _judged_trials(session_content(session), session.plan, parameters)
    wheel = wheel_velocity(session.wheel.timestamps, session.wheel.position, parameters.wheel)
    starts, ends = (trials[event].to_numpy(np.float64) for event in WHEEL_EVENTS)
    regressors = trial_regressors(trials, peak_velocity(trial_velocities(wheel, starts, ends, parameters.wheel)))
    named = regressors.assign(eid=session.plan.eid(seed), trial=np.arange(len(regressors)))
    return trials, named[["eid", "trial", *regressors.columns]]


def _judged_trials(content: SessionContent, plan: SessionPlan, parameters: Parameters) -> pd.DataFrame:
    """Return the trials of a session file: as extracted, blocks judged and repaired."""
    trials = trials_from_table(content.table(files.TRIALS))
    planned = planned_blocks_of(content.details["json"])
    return with_judged_blocks(
        trials, judge_blocks(trials, plan.session_type, planned, str(plan.key), parameters.trials)
    )


def _with_fault(plan: SessionPlan, plant: str, seed: int, parameters: Parameters) -> pd.DataFrame:
    """Return the blocks of another session of the mouse, which has a fault in them and the pace that faults are made for."""
    faulty = replace(plan, plant=plant, session_type=_FAULTS[plant], pace=CLINIC_PACE, minutes=_FAULTY_MINUTES)
    trials = _judged_trials(make_session(faulty, seed), faulty, parameters)
    columns = {
        "planted": simulate_behaviour(faulty, seed).trials.probability_left,
        "recorded": trials["probabilityLeft_original"],
        "found": trials["probabilityLeft"],
    }
    return pd.DataFrame(columns).assign(plant=plant)


def _drawn_reaction(planted: Trials) -> Floats:
    """Return reaction times without the grid of the extraction (s): responses less the turns that made them."""
    return planted.response - planted.stimulus - planted.hesitation - THRESHOLD_TURN / planted.peak_speed


def _planted_peak(planted: Trials) -> Floats:
    began = planted.first_movement + planted.hesitation >= planted.stimulus
    return np.where(planted.choice == 0, 0.0, np.where(began, planted.peak_speed, np.nan))


def block_statistics(recovered: BehaviourRecovered) -> list[Statistic]:
    """Return what is said of blocks."""
    trials, faulty = recovered.trials, recovered.faulty
    right = int((trials["found_block"] == trials["planted_block"]).sum())
    rows = {plant: faulty[faulty["plant"] == plant] for plant in _FAULTS}
    unknown = int(rows["block_bug_no_plan"]["found"].isna().sum())
    n_unknown = len(rows["block_bug_no_plan"])
    return [
        Statistic(
            "blocks of sound sessions",
            "as recorded",
            f"{right:,} of {len(trials):,} trials as planted",
            "all",
            right == len(trials),
        ),
        _repaired("blocks where four trials have another block's", rows["block_bug"]),
        _repaired("blocks of training sessions where ten trials are biased", rows["block_bug_training"]),
        Statistic(
            "blocks where four trials have another block's, without plan",
            "cannot be known",
            f"{unknown:,} of {n_unknown:,} trials unknown",
            "all",
            unknown == n_unknown,
        ),
    ]


def _repaired(title: str, rows: pd.DataFrame) -> Statistic:
    wrong = int((rows["recorded"] != rows["planted"]).sum())
    right = int((rows["found"] == rows["planted"]).sum())
    return Statistic(
        title,
        f"{wrong:,} of {len(rows):,} trials recorded wrong",
        f"{right:,} of {len(rows):,} trials as planted",
        "all",
        # nothing is shown where nothing was broken
        wrong > 0 and right == len(rows),
    )


def timing_statistics(recovered: BehaviourRecovered) -> list[Statistic]:
    """Return what is said of reaction times and the wheel."""
    trials = recovered.trials
    return [_reaction(trials), _reaction_slope(trials), _peaks(trials), _stillness(trials)]


def _reaction(trials: pd.DataFrame) -> Statistic:
    known = trials[trials["planted_reaction"].notna()]
    error = 1e3 * (known["found_reaction"] - known["planted_reaction"])
    bias, largest = float(error.mean()), float(error.abs().max(skipna=False))
    deviation = float((error - error.median()).abs().median())
    return Statistic(
        "reaction time of a trial",
        "as drawn: the response less the turn",
        f"bias {bias:+.2f} ms, median absolute deviation {deviation:.2f} ms, largest error {largest:.1f} ms; "
        f"{len(known):,} trials",
        "every error at most 2 ms",
        largest <= 2,
    )


def _reaction_slope(trials: pd.DataFrame) -> Statistic:
    from scipy.stats import t

    slopes, errors, quantiles = [], [], []
    for _, rows in trials[trials["is_usual"]].groupby("session"):
        fit, covariance = np.polyfit(rows["found_rank"], np.log10(rows["found_reaction"]), 1, cov=True)
        slopes.append(fit[0])
        errors.append(np.sqrt(covariance[0, 0]))
        quantiles.append(t.ppf((1 + COVERAGE) / 2, len(rows) - 2))
    off = np.array(slopes) - REACTION_RANK_SLOPE
    error = float(off.std(ddof=1) / np.sqrt(len(off)))
    covered, least = float((np.abs(off) <= np.array(quantiles) * np.array(errors)).mean()), least_coverage(len(off))
    return Statistic(
        "slope of log10 reaction time over contrast rank",
        f"{REACTION_RANK_SLOPE}",
        f"mean {np.mean(slopes):.4f} (SE {error:.4f}), SD {off.std(ddof=1):.4f}; coverage {100 * covered:.0f} %",
        f"mean within 3 SE, coverage at least {100 * least:.0f} %",
        abs(float(off.mean())) <= 3 * error and covered >= least,
    )


def _peaks(trials: pd.DataFrame) -> Statistic:
    turned = trials[trials["planted_peak"] > 0]
    ratio = turned["found_peak"] / turned["planted_peak"]
    bias, near = float(ratio.mean() - 1), float(((ratio - 1).abs() <= 0.05).mean())
    r = float(turned["found_peak"].corr(turned["planted_peak"]))
    return Statistic(
        "peak velocity of a trial",
        f"{turned['planted_peak'].min():.1f} to {turned['planted_peak'].max():.1f} rad/s",
        f"bias {100 * bias:+.2f} %, SD {100 * ratio.std():.2f} %, r = {r:.4f}; "
        f"{100 * near:.2f} % of {len(turned):,} within 5 %",
        "bias at most 1 %, 99 % within 5 %, r at least 0.99",
        abs(bias) <= 0.01 and near >= 0.99 and r >= 0.99,
    )


def _stillness(trials: pd.DataFrame) -> Statistic:
    still = trials.loc[trials["planted_peak"] == 0, "found_peak"]
    largest = float(still.max(skipna=False))
    return Statistic(
        "peak velocity of a trial without a turn",
        "0",
        f"at most {largest:.4f} rad/s; {len(still)} trials",
        "0.05 rad/s",
        largest <= 0.05,
    )
