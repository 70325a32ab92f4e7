"""What is called what in an NWB file: columns, devices, species. Tables only; nothing here reads or computes."""

from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType

EXPORT_VERSION = "3"
"""Raised whenever equal input gives another file."""


@dataclass(frozen=True)
class TimeColumn:
    """A column of the trials that is a column of the extracted trial table as it is.

    Attributes
    ----------
    name : str
        In the file.
    source : str
        In the extracted trial table.
    description : str
    """

    name: str
    source: str
    description: str


TRIAL_COLUMNS: tuple[TimeColumn, ...] = (
    TimeColumn("start_time", "intervals_0", "start of the trial, s"),
    TimeColumn("stop_time", "intervals_1", "end of the trial, s"),
    TimeColumn("quiescence_period", "quiescencePeriod", "time the wheel had to be still before the stimulus, s"),
    TimeColumn("gabor_stimulus_onset_time", "stimOn_times", "onset of the visual stimulus, s"),
    TimeColumn("auditory_cue_time", "goCue_times", "onset of the go cue, s"),
    TimeColumn(
        "wheel_movement_onset_time",
        "firstMovement_times",
        "onset of the first movement of the wheel, s; NaN when none was detected",
    ),
    TimeColumn(
        "choice_registration_time",
        "response_times",
        "time at which the wheel reached a threshold or the time was over, s",
    ),
    TimeColumn("feedback_time", "feedback_times", "time of the reward or of the error noise, s"),
    TimeColumn("gabor_stimulus_offset_time", "stimOff_times", "offset of the visual stimulus, s"),
    TimeColumn("reward_volume_uL", "rewardVolume", "volume of the reward, uL; 0 without one"),
)
"""Columns that are copied. The names are those of the published NWB files of the International Brain Laboratory."""

WHEEL_CHOICES: Mapping[int, str] = MappingProxyType({-1: "counter_clockwise", 0: "none", 1: "clockwise"})
"""Words for the choices as in the published files."""

CHOICE_SIDES: Mapping[int, str] = MappingProxyType({-1: "right", 0: "none", 1: "left"})
"""The side that a choice reports."""

UNKNOWN = "unknown"


@dataclass(frozen=True)
class EventKind:
    """A stream of events made of a column of the trials."""

    name: str
    column: str
    description: str


EVENTS: tuple[EventKind, ...] = (
    EventKind("stimulus_onset", "gabor_stimulus_onset_time", "Onsets of the visual stimulus."),
    EventKind("first_movement", "wheel_movement_onset_time", "Onsets of the first movement of the wheel in a trial."),
    EventKind("feedback", "feedback_time", "Rewards and error noises."),
)

SPECIES: Mapping[str, str] = MappingProxyType({"Laboratory mouse": "Mus musculus", "Mus musculus": "Mus musculus"})
"""Species as Alyx spells them, and their Latin names; others are left out."""

SEXES: Mapping[str, str] = MappingProxyType({"M": "M", "F": "F", "U": "U"})

INDICATORS: Mapping[str, str] = MappingProxyType({"Ai148": "GCaMP6f", "Ai95": "GCaMP6f"})
"""Reporter alleles of the project's lines, and the indicator that each expresses."""

LIGHT_OF_WAVELENGTH: Mapping[float, str] = MappingProxyType(
    {470.0: "calcium-dependent", 415.0: "isosbestic control", 560.0: "red indicator"}
)
"""What the signal under a light is."""

WAVELENGTH_ORDER = (470.0, 415.0, 560.0)
"""Rows of a fibre come in this order; other wavelengths after them."""

MANUFACTURER = "Neurophotometrics"

SIDES: Mapping[str, str] = MappingProxyType({"l": "left", "r": "right"})

UNITS_BY_SUFFIX: Mapping[str, str] = MappingProxyType({"_s": "s", "_hz": "Hz", "_um": "um", "_nm": "nm", "_mw": "mW"})
"""Units of parameters by the end of their names."""

CLOCK_SENTENCE = (
    "Zero of all times is the start of the task clock; the session start time agrees with it to seconds only. Recordings that "
    "began before the task have negative times."
)
UNKNOWN_ZONE_SENTENCE = "The time zone of the lab is unknown; local time is written as UTC."
