"""One session to be made: its mouse, its pace, what is broken on purpose. Decides everything but randomness."""

import datetime as dt
from dataclasses import dataclass
from typing import Literal, get_args

from iblnm_core.demo.effects import TARGET_EFFECTS
from iblnm_core.demo.expectations import HABITUATION_ERRORS, ExpectedError
from iblnm_core.demo.identity import LAB, SessionKey
from iblnm_core.demo.layouts import LAYOUTS
from iblnm_core.demo.plants import PLANTS
from iblnm_core.errors import ConfigurationError
from iblnm_core.session.outputs import COMPUTED
from iblnm_core.vocabulary import NEUROMODULATOR_OF_REGION, split_region

SessionType = Literal["habituation", "training", "biased", "ephys"]
Deviation = Literal["rebound", "one_band_motion", "drifting_reactions"]
"""What a sound session may do that the pipeline's models do not assume: responses that swing below the baseline before they
end; movement that shows in the signal band only; a mouse that gets slower all the time."""

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
    in_subjects, in_fibers : bool
        Whether the tables of subjects and of fibres know it.
    """

    name: str
    regions: tuple[str, ...]
    strain: str
    line: str
    first_day: dt.date
    sex: str = "F"
    genotype: tuple[str, ...] = ("Het",)
    integer_choices: bool = False
    in_subjects: bool = True
    in_fibers: bool = True

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
    layout : str
        How the files are arranged, a key of `LAYOUTS`.
    deviation : str or None
        What the session does that no model of the pipeline assumes.
    pose : bool
        Whether there are pose and motion energy of the left camera.
    """

    subject: Subject
    date: dt.date
    number: int
    session_type: SessionType
    minutes: float
    plant: str | None = None
    pace: Pace = DEMO_PACE
    novice: bool = False
    layout: str = "standard"
    deviation: Deviation | None = None
    pose: bool = False

    def __post_init__(self) -> None:
        """Refuse what could not be made."""
        if self.plant is not None and self.plant not in PLANTS:
            raise ConfigurationError(f"plant {self.plant!r} is unknown; known are {', '.join(PLANTS)}")
        if self.layout not in LAYOUTS:
            raise ConfigurationError(f"layout {self.layout!r} is unknown; known are {', '.join(LAYOUTS)}")
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
        """The errors that the session must end with, of those that the pipeline judges."""
        planted = () if self.plant is None else PLANTS[self.plant].expected
        of_type = HABITUATION_ERRORS if self.session_type == "habituation" else ()
        return tuple(error for error in (*planted, *of_type) if error.is_judged)

    @property
    def absent(self) -> frozenset[str]:
        """The outputs that the session must not have."""
        return frozenset() if self.plant is None else PLANTS[self.plant].absent & frozenset(COMPUTED)

    def eid(self, seed: int) -> str:
        """Return the id of the session in a cohort of this seed."""
        return self.key.eid(seed)
