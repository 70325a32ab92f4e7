"""Parameters of what is made of many sessions: selection, models, figures. The whole set and the presets stand in `parameters`."""

from dataclasses import dataclass
from typing import Literal

from iblnm_core.vocabulary import ANALYSED_SESSION_TYPES


@dataclass(frozen=True)
class SelectionParameters:
    """Which sessions and recordings cohort analyses use."""

    session_types: tuple[str, ...] = ANALYSED_SESSION_TYPES
    targets: tuple[str, ...] = ("VTA-DA", "SNc-DA", "DR-5HT", "LC-NE", "NBM-ACh")
    """A session must have one of these targets, and a recording must be one."""
    minimum_training_performance: float = 0.70
    """Smallest fraction of correct trials (0-1) of a training session; other types need none."""
    minimum_session_length_s: float = 0.0
    """Shorter sessions are left out; 0 keeps also those of unknown length."""
    duplicates: Literal["resolved", "kept", "reference"] = "resolved"
    """One session per subject and day: the best, all, or by the rule of the reference pipeline."""
    artefact_sessions: Literal["left_out", "used"] = "left_out"
    """Sessions whose signal is known to be ruined."""
    excluded_labels: tuple[Literal["keep", "doubtful", "reject"], ...] = ("reject",)
    """Recordings on which this was the last word of a person are left out."""


@dataclass(frozen=True)
class ModellingParameters:
    """Which trials cohort analyses of responses use, and from where their sides are seen."""

    blocks: Literal["unbiased", "all"] = "unbiased"
    """Trials of the unbiased block only, or of all blocks."""
    minimum_response_time_s: float = 0.05
    """Trials that were over sooner, or just then, are left out."""
    unknown_hemisphere: Literal["left_out", "left"] = "left_out"
    """A fibre of unknown side has no contra and ipsi, or counts as one on the left."""


@dataclass(frozen=True)
class AnalysisParameters:
    """Models and tests of cohort analyses."""

    contrast_coding: Literal["log", "linear", "rank", "log2"] = "rank"
    contrasts: tuple[float, ...] = (0.0, 6.25, 12.5, 25.0, 100.0)
    """Contrasts of the task, percent; ranks count among these."""
    random_effects: tuple[Literal["1", "contrast"], ...] = ("1",)
    """What differs between mice in the model of the task, from complex to simple: the first that every group can be fitted with."""
    minimum_trace_trials: int = 5
    """A mouse with fewer trials of a contrast and outcome has no part in their mean course."""
    minimum_cell_trials: int = 11
    """A mouse with fewer trials of a contrast, side and outcome has no part in their mean size."""
    minimum_recording_trials: int = 50
    """A recording with fewer complete trials has no model of its own."""
    donors_of_same_mouse: Literal["left_out", "used"] = "left_out"
    """Whether other sessions of a mouse stand in for its own in permutation tests."""
    minimum_reaction_time_s: float = 0.05
    """Faster trials are no reaction to the stimulus, and have no part in tests of what came before it."""
    n_draws: int = 1000
    """Donors drawn for each recording in tests of what came before the stimulus."""
    seed: int = 42
    """Of these draws."""
    decoder_tuning_score: Literal["accuracy", "balanced_accuracy"] = "accuracy"
    """What the penalty of the decoder is chosen by."""


@dataclass(frozen=True)
class TaskEncodingParameters:
    """How the task is encoded in the responses of recordings, and what of it goes with behaviour."""

    minimum_trials: int = 20
    """A recording with fewer trials has no coefficients."""
    coefficients: Literal["coef", "t"] = "coef"
    """What components and correlations take: estimates, or estimates over their standard error."""
    n_components: int = 3
    variants: tuple[Literal["linear", "ridge"], ...] = ("linear",)
    """Canonical correlations that are computed; the penalised one takes a hundred times as long."""
    n_permutations: int = 1000
    seed: int = 42
    """Of the permutations, with the names of event and target."""


@dataclass(frozen=True)
class RigWatchParameters:
    """When the quality of signals of a laboratory counts as drifting."""

    window_weeks: int = 26
    """Weeks that are looked at, up to the last with recordings."""
    reference_weeks: int = 8
    """The first of them, with which the last are compared."""
    recent_weeks: int = 4
    minimum_weeks: int = 12
    """With fewer weeks of enough recordings there is no verdict."""
    minimum_recordings: int = 3
    """A week with fewer recordings has no part in the drift."""
    watch_mads: float = 2.0
    """Distance of the last weeks from those of reference, in median absolute deviations of the recordings of these, at which a drift is watched."""
    alarm_mads: float = 3.0
    """The same for an alarm."""
    horizon_weeks: int = 8
    """An alarm when recordings will fail within so many weeks at this slope; watched within twice as many."""


@dataclass(frozen=True)
class FigureParameters:
    """How figures look; no number depends on it."""

    theme: Literal["default", "reference"] = "default"
    """Colours told apart by all readers, or those of the reference pipeline."""
    vector_format: Literal["svg", "pdf"] = "svg"
    """Of the file for print beside each picture."""
    example_eids: tuple[str, ...] = ()
    """Sessions that are shown as examples of their targets; a target without one gets the best biased or ephys session."""
    example_window_s: float = 30.0
    """How much of an example session is shown."""
