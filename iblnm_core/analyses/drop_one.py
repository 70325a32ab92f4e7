"""What each regressor adds to a linear model of the responses of one recording: the model with it and without it.

Recordings with their trials coded for such models are made here, too, as other analyses permute them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import combinations
from typing import Literal, NamedTuple, get_args

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.analyses.coding import ContrastCoding, code_contrast, deviation_reward, deviation_side
from iblnm_core.analyses.least_squares import LinearFits, fit_with_and_without
from iblnm_core.analyses.outcomes import Outcome, Status, recording_outcome_table
from iblnm_core.errors import UnknownOption

Array = NDArray[np.float64]
Centring = Literal["complete_cases", "all_trials"]

INTERCEPT = "Intercept"
PREDICTORS = ("contrast", "side", "reward", "choice_side", "log_reaction_time", "peak_velocity")
_NOT_CROSSED = ({"side", "reward"}, {"side", "choice_side"}, {"reward", "choice_side"})
"""Any of the three is nearly the product of the other two."""
_PAIRS = tuple(
    (a, b) for a, b in combinations(range(len(PREDICTORS)), 2) if {PREDICTORS[a], PREDICTORS[b]} not in _NOT_CROSSED
)
TERMS = (INTERCEPT, *PREDICTORS, *(f"{PREDICTORS[a]}:{PREDICTORS[b]}" for a, b in _PAIRS))
"""Columns of the full model, in their order."""
_SOURCES = ("contrast", "side", "feedbackType", "choice_side", "log_reaction_time", "peak_velocity", "response")
_TWO_LEVELS = (1, 2, 3)


class RecordingKey(NamedTuple):
    """What recording and event it is.

    Attributes
    ----------
    eid : str
    fiber_idx : int
        Place of the fibre in its session.
    subject, target_NM, brain_region, event : str
    """

    eid: str
    fiber_idx: int
    subject: str
    target_NM: str  # noqa: N815 - as the field writes it
    brain_region: str
    event: str


RECORDING_COLUMNS = RecordingKey._fields


@dataclass(frozen=True)
class CodedRecording:
    """Trials of a recording and an event as they enter models.

    Attributes
    ----------
    key : RecordingKey
    predictors : ndarray of float64, (n, 6)
        Coded `PREDICTORS` of the complete trials, in the order of the trials.
    response : ndarray of float64, (n,)
        Magnitudes, z.
    missing : tuple of str
        Columns without any value.
    """

    key: RecordingKey
    predictors: Array
    response: Array
    missing: tuple[str, ...] = ()


@dataclass(frozen=True)
class DropOne:
    """What the regressors add in every recording.

    Attributes
    ----------
    delta_r2 : DataFrame
        `RECORDING_COLUMNS`, predictor, r2 (of the full model), delta_r2, n_trials.
    coefficients : DataFrame
        `RECORDING_COLUMNS`, regressor, coef, coef_se, n_trials.
    outcomes : DataFrame
        A row for every recording and event: columns of an outcome table, and eid, fiber_idx, subject and brain_region.
    """

    delta_r2: pd.DataFrame
    coefficients: pd.DataFrame
    outcomes: pd.DataFrame


def design_matrix(predictors: Array) -> Array:
    """Return the columns of the full model.

    Parameters
    ----------
    predictors : ndarray of float64, (n, 6)
        Coded `PREDICTORS`.

    Returns
    -------
    ndarray of float64, (n, 19)
        In the order of `TERMS`.
    """
    first, second = np.array(_PAIRS).T
    return np.column_stack([np.ones(len(predictors)), predictors, predictors[:, first] * predictors[:, second]])


def terms_with(predictor: str) -> list[int]:
    """Return the places in `TERMS` of a predictor and its interactions.

    Parameters
    ----------
    predictor : str
        One of `PREDICTORS`.
    """
    return [place for place, term in enumerate(TERMS) if predictor in term.split(":")]


def code_recordings(
    frame: pd.DataFrame,
    coding: ContrastCoding,
    levels: Sequence[float],
    centre_over: Centring = "complete_cases",
) -> list[CodedRecording]:
    """Code the trials of every recording and event, by recording; trials that lack a value are left out.

    See `docs/methods/session_models.md`. Recordings are sorted by target, event, subject, session and fibre, their trials by number.

    Parameters
    ----------
    frame : DataFrame
        `RECORDING_COLUMNS`, trial, contrast (percent), side and choice_side (contra or ipsi), feedbackType,
        log_reaction_time (log10 s), peak_velocity (rad/s), response (z); one row per recording, event and trial.
    coding : {'log', 'linear', 'rank', 'log2'}
    levels : sequence of float
        Contrasts of the task, percent.
    centre_over : {'complete_cases', 'all_trials'}
        Trials of the recording over which a coded contrast has mean 0.

    Raises
    ------
    UnknownOption
        When there is no such coding or centring.
    """
    if centre_over not in get_args(Centring):
        raise UnknownOption(f"centring over {centre_over!r}; expected one of {', '.join(get_args(Centring))}")
    # millions of rows are put in order by numbers, column by column, and not copied as a whole
    codes = [
        pd.factorize(frame[name], sort=True, use_na_sentinel=False)[0]
        for name in ("target_NM", "event", "subject", "eid", "fiber_idx", "trial")
    ]
    order = np.lexsort(codes[::-1])
    values = np.empty((len(frame), len(_SOURCES)))
    for place, column in enumerate(_coded_columns(frame, coding, levels)):
        values[:, place] = column[order]
    begins = np.ones(len(frame), dtype=bool)
    begins[1:] = np.any([np.diff(code[order]) != 0 for code in codes[:-1]], axis=0)
    starts = np.flatnonzero(begins).tolist()
    keys = frame[list(RECORDING_COLUMNS)].iloc[order[starts]].itertuples(index=False, name=None)
    recordings = []
    for key, first, last in zip(keys, starts, [*starts, len(frame)][1:], strict=True):
        of_recording = values[first:last]
        known = np.isfinite(of_recording)
        own = of_recording[known.all(axis=1)]
        centring = own if centre_over == "complete_cases" else of_recording
        if len(own):
            own[:, 0] -= centring[:, 0].mean()
        missing = tuple(name for name, of_source in zip(_SOURCES, known.T, strict=True) if not of_source.any())
        recordings.append(CodedRecording(RecordingKey(*key), own[:, :-1], own[:, -1], missing))
    return recordings


def _coded_columns(frame: pd.DataFrame, coding: ContrastCoding, levels: Sequence[float]) -> Iterator[Array]:
    """Yield the columns of a model of single trials, in the order of their sources."""
    yield code_contrast(frame["contrast"], coding, levels)
    yield deviation_side(frame["side"])
    yield deviation_reward(frame["feedbackType"])
    yield deviation_side(frame["choice_side"])
    for name in _SOURCES[4:]:
        yield frame[name].to_numpy(np.float64)


def fit_recordings(
    recordings: Sequence[CodedRecording], minimum_trials: int = 50
) -> tuple[LinearFits, list[tuple[Status, str | None]]]:
    """Fit the full model and the reduced ones to every recording.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    recordings : sequence of CodedRecording
    minimum_trials : int
        Complete trials that a recording needs.

    Returns
    -------
    LinearFits
        Of all recordings, a row each; not a number where there is no fit. Reduced models in the order of `PREDICTORS`.
    list of tuple of Status and str or None
        How each ended, and what a reader should know beside.
    """
    # an error needs more trials than columns
    needed = max(minimum_trials, len(TERMS) + 1)
    states = [_standing(recording, needed) for recording in recordings]
    able = [place for place, (status, _) in enumerate(states) if status is Status.OK]
    n_terms = len(TERMS)
    r2, delta_r2 = np.full(len(recordings), np.nan), np.full((len(recordings), len(PREDICTORS)), np.nan)
    coefficients, errors = (np.full((len(recordings), n_terms), np.nan) for _ in range(2))
    if able:
        fits = fit_with_and_without(
            (design_matrix(recordings[place].predictors) for place in able),
            [recordings[place].response for place in able],
            [terms_with(predictor) for predictor in PREDICTORS],
        )
        r2[able], delta_r2[able] = fits.r2, fits.delta_r2
        coefficients[able], errors[able] = fits.coefficients, fits.standard_errors
    for place in able:
        if np.isnan(r2[place]):
            states[place] = Status.SINGULAR_DESIGN, "the columns of the full model depend on each other"
    return LinearFits(r2, delta_r2, coefficients, errors), states


def _standing(recording: CodedRecording, needed: int) -> tuple[Status, str | None]:
    """Return whether a recording can be fitted, as far as its columns tell."""
    if recording.missing:
        return Status.MISSING_INPUT, f"no trial has a value of {', '.join(recording.missing)}"
    n_trials = len(recording.response)
    if n_trials < needed:
        return Status.TOO_FEW_TRIALS, f"{n_trials} complete trials; expected at least {needed}"
    single = [PREDICTORS[place] for place in _TWO_LEVELS if np.ptp(recording.predictors[:, place]) == 0]
    if single:
        return Status.SINGLE_LEVEL, f"only one level of {', '.join(single)}"
    if np.ptp(recording.response) == 0:
        return Status.CONSTANT_RESPONSE, None
    return Status.OK, None


def drop_one(
    recordings: Sequence[CodedRecording], minimum_trials: int = 50, regressors: Sequence[str] = PREDICTORS
) -> DropOne:
    """Return what each regressor adds to the fit of each recording, with its interactions.

    See `docs/methods/session_models.md`.

    Parameters
    ----------
    recordings : sequence of CodedRecording
    minimum_trials : int
        Complete trials that a recording needs.
    regressors : sequence of str
        Those of `TERMS` whose coefficients are wanted.
    """
    fits, states = fit_recordings(recordings, minimum_trials)
    rows = np.array([place for place, (status, _) in enumerate(states) if status is Status.OK], dtype=np.intp)
    columns = np.array([TERMS.index(name) for name in regressors], dtype=np.intp)
    n_trials = np.array([len(recording.response) for recording in recordings], dtype=np.int64)
    by_predictor = _long_table(
        recordings,
        rows,
        "predictor",
        PREDICTORS,
        {"r2": np.repeat(fits.r2[rows], len(PREDICTORS)), "delta_r2": fits.delta_r2[rows].ravel()},
    )
    by_regressor = _long_table(
        recordings,
        rows,
        "regressor",
        regressors,
        {
            "coef": fits.coefficients[np.ix_(rows, columns)].ravel(),
            "coef_se": fits.standard_errors[np.ix_(rows, columns)].ravel(),
        },
    )
    by_predictor["n_trials"] = np.repeat(n_trials[rows], len(PREDICTORS))
    by_regressor["n_trials"] = np.repeat(n_trials[rows], len(regressors))
    return DropOne(by_predictor, by_regressor, recording_outcomes("drop_one", recordings, states))


def _long_table(
    recordings: Sequence[CodedRecording],
    rows: NDArray[np.intp],
    name: str,
    names: Sequence[str],
    values: dict[str, Array],
) -> pd.DataFrame:
    """Return a row for each of some recordings and each name."""
    keys = key_table([recordings[row] for row in rows])
    table = keys.loc[keys.index.repeat(len(names))].reset_index(drop=True)
    table[name] = np.tile(np.array(names, dtype=object), len(rows))
    return table.assign(**values)


def key_table(recordings: Sequence[CodedRecording]) -> pd.DataFrame:
    """Return `RECORDING_COLUMNS` of recordings, a row each.

    Parameters
    ----------
    recordings : sequence of CodedRecording
    """
    keys = pd.DataFrame([recording.key for recording in recordings], columns=list(RECORDING_COLUMNS))
    return keys.astype({name: "int64" if name == "fiber_idx" else object for name in RECORDING_COLUMNS})


def recording_outcomes(
    analysis: str, recordings: Sequence[CodedRecording], states: Sequence[tuple[Status, str | None]]
) -> pd.DataFrame:
    """Return outcome rows that say which recording they are about.

    Parameters
    ----------
    analysis : str
    recordings : sequence of CodedRecording
    states : sequence of tuple of Status and str or None
        How each ended, and the detail.
    """
    outcomes = [
        Outcome(analysis, r.key.target_NM, r.key.event, status, len(r.response), 1, detail=detail)
        for r, (status, detail) in zip(recordings, states, strict=True)
    ]
    return recording_outcome_table(key_table(recordings), outcomes)
