"""Who takes part: subjects, sessions, what is broken on purpose. Decides everything about a cohort but its randomness."""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from types import MappingProxyType
from typing import Literal, get_args

from iblnm_core.demo.effects import TARGET_EFFECTS
from iblnm_core.demo.identity import LAB, SessionKey
from iblnm_core.demo.plants import PLANTS, ExpectedError, Plant
from iblnm_core.errors import ConfigurationError
from iblnm_core.vocabulary import NEUROMODULATOR_OF_REGION, split_region

__all__ = [
    "CLINIC_PACE",
    "DEMO_PACE",
    "HOUR_PACE",
    "PLANTS",
    "SUBJECTS",
    "ExpectedError",
    "Pace",
    "Plant",
    "SessionPlan",
    "Subject",
    "demo_plans",
]

SessionType = Literal["habituation", "training", "biased", "ephys"]

_SHORTEST_TASK_S = 60.0


@dataclass(frozen=True)
class Pace:
    """How fast a session goes. Twelve minutes must hold enough trials of every kind, so its pace is above a mouse's.

    Attributes
    ----------
    first_block : int
        Trials at 50/50 before the first biased block.
    block_lengths : (float, float, float)
        Shortest, scale and longest of the truncated exponential of block lengths, trials.
    stimulus_delay_s : float
        Mean wait for the stimulus beyond the shortest one.
    timeout_s : float
    lead_s, tail_s : (float, float)
        Range of the recording time before the first and after the last trial.
    """

    first_block: int
    block_lengths: tuple[float, float, float]
    stimulus_delay_s: float = 0.80
    timeout_s: float = 10.0
    lead_s: tuple[float, float] = (15.0, 40.0)
    tail_s: tuple[float, float] = (10.0, 25.0)


DEMO_PACE = Pace(60, (20.0, 30.0, 50.0))
CLINIC_PACE = Pace(40, (20.0, 15.0, 35.0))
HOUR_PACE = Pace(90, (20.0, 60.0, 100.0), stimulus_delay_s=1.6, timeout_s=60.0, lead_s=(60, 120), tail_s=(20, 40))


@dataclass(frozen=True)
class Subject:
    """A synthetic mouse.

    Attributes
    ----------
    name : str
    regions : tuple of str
        Target of each fibre, by its ROI (`G0`, `G1`, ...), with hemisphere where there is one.
    strain, line, genotype, sex : str
    first_day : datetime.date
        Day of its first session.
    integer_choices : bool
        Whether its trial tables hold choice and feedback type as integers, as some real ones do.
    """

    name: str
    regions: tuple[str, ...]
    strain: str
    line: str
    first_day: dt.date
    sex: str = "F"
    genotype: tuple[str, ...] = ("Het",)
    integer_choices: bool = False

    def __post_init__(self) -> None:
        """Refuse regions in which nothing is planted."""
        unknown = [region for region in self.regions if split_region(region)[0] not in TARGET_EFFECTS]
        if unknown or not self.regions:
            raise ConfigurationError(
                f"subject {self.name}: regions {list(self.regions)}; expected at least one of {', '.join(TARGET_EFFECTS)}"
            )

    @property
    def birth_date(self) -> dt.date:
        """Sixteen weeks before the first session."""
        return self.first_day - dt.timedelta(weeks=16)

    @property
    def neuromodulator(self) -> str:
        """The neuromodulator of its targets."""
        return NEUROMODULATOR_OF_REGION[split_region(self.regions[0])[0]]


_FIRST_MONDAY = dt.date(2025, 1, 6)
_GENETICS = {
    "DA": ("B6.SJL-Slc6a3t", "Ai148xDat"),
    "5HT": ("B6.129(Cg)-Slc6a4", "Ai148xSert"),
    "NE": ("B6.Cg-Dbh", "Ai148xDbh"),
    "ACh": ("B6;129S6-Chat", "Ai148xChat"),
}
_FIBERS = {
    "DEMO-DA1": ("VTA-l", "SNc-r"),
    "DEMO-DA2": ("VTA-r", "SNc-l"),
    "DEMO-DA3": ("VTA-l", "SNc-l"),
    "DEMO-5HT1": ("DR",),
    "DEMO-5HT2": ("DR",),
    "DEMO-5HT3": ("DR", "MR"),
    "DEMO-NE1": ("LC-l",),
    "DEMO-NE2": ("LC-r",),
    "DEMO-NE3": ("LC-l", "LC-r"),
    "DEMO-ACh1": ("NBM-l",),
    "DEMO-ACh2": ("NBM-r",),
    "DEMO-ACh3": ("NBM-l", "SI-l"),
}


def _subject(place: int, name: str, regions: tuple[str, ...]) -> Subject:
    strain, line = _GENETICS[NEUROMODULATOR_OF_REGION[split_region(regions[0])[0]]]
    return Subject(
        name,
        regions,
        strain,
        line,
        _FIRST_MONDAY + dt.timedelta(days=7 * place),
        sex="FM"[place % 2],
        integer_choices=name == "DEMO-DA2",
    )


SUBJECTS: Mapping[str, Subject] = MappingProxyType(
    {name: _subject(place, name, regions) for place, (name, regions) in enumerate(_FIBERS.items())}
)
"""All subjects by name, each with its own first week; a cohort takes some of them."""


@dataclass(frozen=True)
class SessionPlan:
    """One session to be made.

    Attributes
    ----------
    subject : Subject
    date : datetime.date
    number : int
        Of the session on its day.
    session_type : str
    minutes : float
        Longest duration of the recording, save for the last trial.
    plant : str or None
        What is broken on purpose, a key of `PLANTS`; None for a sound session.
    pace : Pace
    novice : bool
        Early training: high contrasts only, many lapses.
    """

    subject: Subject
    date: dt.date
    number: int
    session_type: SessionType
    minutes: float
    plant: str | None = None
    pace: Pace = DEMO_PACE
    novice: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not be made."""
        if self.plant is not None and self.plant not in PLANTS:
            raise ConfigurationError(f"plant {self.plant!r} is unknown; known are {', '.join(PLANTS)}")
        if self.session_type not in get_args(SessionType):
            known = ", ".join(get_args(SessionType))
            raise ConfigurationError(f"session type {self.session_type!r} cannot be simulated; expected one of {known}")
        if not self.trials_until_s >= _SHORTEST_TASK_S:
            spent = 60 * self.minutes - self.trials_until_s
            raise ConfigurationError(
                f"session of {self.minutes} minutes; expected at least {_SHORTEST_TASK_S + spent:.0f} s at its pace"
            )

    @property
    def key(self) -> SessionKey:
        """What identifies the session."""
        return SessionKey(LAB, self.subject.name, self.date, self.number)

    @property
    def trials_until_s(self) -> float:
        """When the last trial starts at the latest, session clock: the recording goes on around the trials."""
        return 60 * self.minutes - self.pace.lead_s[1] - self.pace.tail_s[1]

    @property
    def protocol(self) -> str:
        """The task protocol, as the rig names it."""
        return f"_iblrig_tasks_{self.session_type}ChoiceWorld8.25.0"

    @property
    def expected(self) -> tuple[ExpectedError, ...]:
        """The errors that the session must end with."""
        return () if self.plant is None else PLANTS[self.plant].expected

    @property
    def absent(self) -> frozenset[str]:
        """The outputs that the session must not have."""
        return frozenset() if self.plant is None else PLANTS[self.plant].absent

    def eid(self, seed: int) -> str:
        """Return the id of the session in a cohort of this seed."""
        return self.key.eid(seed)


_DEMO_SUBJECTS = ("DEMO-DA1", "DEMO-DA3", "DEMO-5HT2", "DEMO-5HT3", "DEMO-NE3", "DEMO-ACh2")
_SCHEDULE: tuple[SessionType, ...] = ("training", "biased", "biased", "biased", "ephys")
_ROUNDS = 2
_DEMO_MINUTES, _CLINIC_MINUTES = 12.0, 8.0
_CLINIC_DAY, _CLINIC_DAYS = 70, 30
_CLINIC = (
    ("DEMO-DA1", "signal_nan"),
    ("DEMO-DA1", "trials_outside"),
    ("DEMO-DA1", "region_no_match"),
    ("DEMO-DA3", "truncated_trials"),
    ("DEMO-DA3", "incomplete_events"),
    ("DEMO-DA3", "raw_layout"),
    ("DEMO-5HT2", "led_gap"),
    ("DEMO-5HT3", "no_signal"),
    ("DEMO-NE3", "band_inversion"),
    ("DEMO-ACh2", "few_trials"),
)


def demo_plans(
    *, subjects: int | None = None, sessions: int | None = None, clinic: bool = True
) -> tuple[SessionPlan, ...]:
    """Return the sessions of the demo cohort: sound ones, then the clinic of sessions with one planted fault each.

    Parameters
    ----------
    subjects : int, optional
        Only the first so many subjects, at least one.
    sessions : int, optional
        So many sound sessions, spread over the subjects day by day; two per subject by default.
    clinic : bool
        Whether broken sessions are among them.

    Raises
    ------
    ConfigurationError
        When there would be no subject, or fewer than no sessions.
    """
    if subjects is not None and subjects < 1:
        raise ConfigurationError(f"a cohort of {subjects} subjects; expected at least one")
    if sessions is not None and sessions < 0:
        raise ConfigurationError(f"a cohort of {sessions} sessions; expected none or more")
    chosen = [SUBJECTS[name] for name in _DEMO_SUBJECTS[:subjects]]
    count = _ROUNDS * len(chosen) if sessions is None else sessions
    regular = tuple(itertools.islice(_regular(chosen), count))
    return regular + (_clinic(chosen) if clinic else ())


def _regular(subjects: Sequence[Subject]) -> Iterator[SessionPlan]:
    """Give sound sessions without end: each round is one session of every subject."""
    for place, kind in enumerate(itertools.cycle(_SCHEDULE)):
        for subject in subjects:
            yield SessionPlan(subject, subject.first_day + dt.timedelta(days=_day(place)), 1, kind, _DEMO_MINUTES)


def _day(place: int) -> int:
    """Return the day of a subject's n-th sound session; the days of the clinic are left free."""
    return place if place < _CLINIC_DAY else place + _CLINIC_DAYS


def _clinic(subjects: Sequence[Subject]) -> tuple[SessionPlan, ...]:
    plans = []
    for subject in subjects:
        plants = [plant for name, plant in _CLINIC if name == subject.name]
        first = SessionPlan(subject, subject.first_day, 1, "biased", _CLINIC_MINUTES, pace=CLINIC_PACE)
        for place, plant in enumerate(plants):
            plans.append(replace(first, plant=plant, date=subject.first_day + dt.timedelta(days=_CLINIC_DAY + place)))
    return tuple(plans)
