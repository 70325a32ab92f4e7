"""Trials that follow a model exactly, drawn without signals behind them: small cohorts, and recordings that drift."""

from typing import NamedTuple

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter
from scipy.special import expit

from iblnm_core.analyses.baseline_coding import BaselineRecording, PreparedTrials
from iblnm_core.analyses.coding import CONTRA, IPSI, code_contrast
from iblnm_core.analyses.mixed_model import SubjectSums, fit_random_intercept
from iblnm_core.analyses.task_design import TERMS, task_columns
from iblnm_core.demo.behaviour import CONTRASTS, REACTION_RANK_SLOPE

Floats = NDArray[np.float64]
Booleans = NDArray[np.bool_]

COEFFICIENTS = np.array([0.5, 0.2, 0.3, 0.05, 0.4, 0.1, 0.0, 0.0])
"""Effects of the terms of the task in simulated cohorts, z."""
SUBJECT_SD, RESIDUAL_SD = 0.35, 1.0
TRIALS_PER_SUBJECT = (100, 1000)

_TRIAL_TO_TRIAL = 0.97
"""Correlation of what drifts between one trial and the next."""
_DRIFT_SHARE = 0.6
"""Standard deviation of the drift in quantities of standard deviation 1; the rest differs from trial to trial."""
_SHORTEST = 0.9
"""Share of the trials of the longest recordings that the shortest have."""
_USUAL_LOG10_REACTION, _SPREAD_LOG10_REACTION = -0.7, 0.14
_USUAL_SPEED, _SPREAD_SPEED = 3.0, 0.7
_USUAL_LOGIT, _LOGIT_DRIFT = 1.2, 0.6


class Coverage(NamedTuple):
    """How often intervals hold the truth.

    Attributes
    ----------
    plain, suited : ndarray of float64, (8,)
        Share of cohorts by coefficient, for plain intervals and for those that suit few subjects.
    at_boundary : float
        Share of cohorts in which the variance of subjects is estimated as 0.
    """

    plain: Floats
    suited: Floats
    at_boundary: float


def cohort_sums(rng: np.random.Generator, n_subjects: int, subject_sd: float = SUBJECT_SD) -> SubjectSums:
    """Return the sums of a cohort with random intercepts: 100 to 1000 trials per subject, more rewards at higher contrasts.

    Parameters
    ----------
    rng : numpy.random.Generator
    n_subjects : int
    subject_sd : float
        Standard deviation of the intercepts of subjects; that of the residuals is 1.
    """
    n_rows = rng.integers(*TRIALS_PER_SUBJECT, n_subjects)
    subjects = np.repeat(np.arange(n_subjects), n_rows)
    total = len(subjects)
    rank = rng.integers(0, len(CONTRASTS), total)
    contrast = code_contrast(CONTRASTS, "log", CONTRASTS.tolist())[rank]
    reward = np.where(rng.random(total) < 0.6 + 0.08 * rank, 0.5, -0.5)
    side = np.where(rng.random(total) < 0.5, 0.5, -0.5)
    design = task_columns(contrast - contrast.mean(), side, reward)
    response = design @ COEFFICIENTS + RESIDUAL_SD * rng.normal(size=total)
    response += subject_sd * rng.normal(size=n_subjects)[subjects]
    return SubjectSums.of(design, response, subjects)


def coverage(n_subjects: int, n_cohorts: int, seed: int, subject_sd: float = SUBJECT_SD) -> Coverage:
    """Return how often intervals of the mixed model hold the truth.

    Parameters
    ----------
    n_subjects, n_cohorts : int
    seed : int
    subject_sd : float
        See `cohort_sums`.
    """
    rng = np.random.default_rng(seed)
    plain, suited, boundary = np.zeros(len(TERMS)), np.zeros(len(TERMS)), 0
    for _ in range(n_cohorts):
        fit = fit_random_intercept(cohort_sums(rng, n_subjects, subject_sd))
        found = fit.estimates(np.eye(len(TERMS)))
        plain += _holds(*found.normal_interval)
        suited += _holds(*found.t_interval)
        boundary += fit.at_boundary
    return Coverage(plain / n_cohorts, suited / n_cohorts, boundary / n_cohorts)


def _holds(lower: Floats, upper: Floats) -> Booleans:
    return (lower <= COEFFICIENTS) & (upper >= COEFFICIENTS)


class CohortShape(NamedTuple):
    """The size of a cohort of drifting recordings.

    Attributes
    ----------
    groups : int
        Targets, which have nothing to do with each other.
    subjects, sessions, trials : int
        Of each group, subject and session; recordings have nine tenths of the trials at least.
    """

    groups: int
    subjects: int
    sessions: int
    trials: int

    @property
    def recordings(self) -> int:
        """Number of recordings of all groups."""
        return self.groups * self.subjects * self.sessions


def drifting(rng: np.random.Generator, shape: tuple[int, int]) -> Floats:
    """Return numbers of mean 0 and standard deviation 1 that change partly from trial to trial and partly slowly.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : (int, int)
        Recordings and trials; recordings are independent.
    """
    kept = np.sqrt(1 - _TRIAL_TO_TRIAL**2)
    steps = rng.normal(size=shape)
    # the first trial is as variable as all others
    steps[:, 0] /= kept
    slow: Floats = kept * lfilter([1.0], [1.0, -_TRIAL_TO_TRIAL], steps, axis=1)
    fast: Floats = np.sqrt(1 - _DRIFT_SHARE**2) * rng.normal(size=shape)
    fast += _DRIFT_SHARE * slow
    return fast


def drifting_recordings(rng: np.random.Generator, shape: CohortShape, reward: float = 0.0) -> pd.DataFrame:
    """Return trials of recordings whose responses and movements drift without having to do with each other.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : CohortShape
    reward : float
        Response after a reward less that after an error, in standard deviations of the response without it.

    Returns
    -------
    DataFrame
        What models of single recordings take, see `iblnm_core.analyses.drop_one.code_recordings`.
    """
    size = (shape.recordings, shape.trials)
    rank = rng.integers(0, len(CONTRASTS), size)
    on_contra = rng.random(size) < 0.5
    correct = rng.random(size) < 0.65 + 0.05 * rank
    reaction = _USUAL_LOG10_REACTION + REACTION_RANK_SLOPE * rank + _SPREAD_LOG10_REACTION * drifting(rng, size)
    speed = _USUAL_SPEED + _SPREAD_SPEED * drifting(rng, size)
    response = drifting(rng, size) + reward * (correct - 0.5)
    recording = np.repeat(np.arange(shape.recordings), shape.trials)
    frame = pd.DataFrame(
        {
            **_names(recording, shape),
            "event": "feedback",
            "trial": np.tile(np.arange(shape.trials), shape.recordings),
            "contrast": CONTRASTS[rank].ravel(),
            "side": np.where(on_contra, CONTRA, IPSI).ravel(),
            "feedbackType": np.where(correct, 1, -1).ravel(),
            # correct choices are of the side of the stimulus
            "choice_side": np.where(on_contra == correct, CONTRA, IPSI).ravel(),
            "log_reaction_time": reaction.ravel(),
            "peak_velocity": speed.ravel(),
            "response": response.ravel(),
        }
    )
    return frame[(np.arange(shape.trials) < _lengths(rng, shape)[:, None]).ravel()]


def _names(recording: NDArray[np.intp], shape: CohortShape) -> dict[str, object]:
    subject = recording // shape.sessions
    return {
        "eid": np.char.add("session ", recording.astype(str)),
        "fiber_idx": 0,
        "subject": np.char.add("subject ", subject.astype(str)),
        "target_NM": np.char.add("target ", (subject // shape.subjects).astype(str)),
        "brain_region": "",
    }


def _lengths(rng: np.random.Generator, shape: CohortShape) -> NDArray[np.int64]:
    return rng.integers(int(_SHORTEST * shape.trials), shape.trials + 1, shape.recordings)


def drifting_baselines(rng: np.random.Generator, shape: CohortShape, effect: float = 0.0) -> list[BaselineRecording]:
    """Return recordings whose activity before the stimulus drifts, and so does their behaviour.

    Parameters
    ----------
    rng : numpy.random.Generator
    shape : CohortShape
    effect : float
        Correlation of the baseline with how quick the mouse is; twice as much per standard deviation of the baseline is added
        to the logit of a correct choice.
    """
    size = (shape.recordings, shape.trials)
    baseline = drifting(rng, size)
    slowness = -effect * baseline + np.sqrt(1 - effect**2) * drifting(rng, size)
    logit = _USUAL_LOGIT + _LOGIT_DRIFT * drifting(rng, size) + 2 * effect * baseline
    correct = (rng.random(size) < expit(logit)).astype(np.float64)
    found = []
    for row, length in enumerate(_lengths(rng, shape).tolist()):
        subject = row // shape.sessions
        trials = PreparedTrials(correct[row, :length], slowness[row, :length], baseline[row, :length])
        target = f"target {subject // shape.subjects}"
        found.append(BaselineRecording(f"session {row}", 0, f"subject {subject}", target, "", trials))
    return found
