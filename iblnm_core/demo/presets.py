"""Who takes part in a cohort: subjects, sessions, and which of them are broken on purpose."""

import datetime as dt
import itertools
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from types import MappingProxyType

from iblnm_core.demo.plan import CLINIC_PACE, DEMO_PACE, HOUR_PACE, Deviation, Pace, SessionPlan, SessionType, Subject
from iblnm_core.errors import ConfigurationError
from iblnm_core.vocabulary import NEUROMODULATOR_OF_REGION, split_region

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
# habituation, early training, training, biased, ephys: one session a day
_KINDS: Mapping[str, SessionType] = {
    "H": "habituation",
    "t": "training",
    "T": "training",
    "B": "biased",
    "E": "ephys",
}
_SCHEDULES = {
    "DEMO-DA1": "TBBBE",
    "DEMO-DA2": "TBBBE",
    "DEMO-DA3": "TBBBE",
    "DEMO-5HT1": "HTB",
    "DEMO-5HT2": "TBE",
    "DEMO-5HT3": "TBE",
    "DEMO-NE1": "HTB",
    "DEMO-NE2": "TBE",
    "DEMO-NE3": "TBE",
    "DEMO-ACh1": "tB",
    "DEMO-ACh2": "TB",
    "DEMO-ACh3": "TBE",
}
_LONGER = "TBBBE"
_LAYOUTS = {("DEMO-NE1", 1): "timestamp", ("DEMO-ACh1", 1): "flags", ("DEMO-NE2", 1): "dead_rois"}
"""Sessions whose files are arranged otherwise, by subject and place in its schedule."""
_DEVIATIONS: Mapping[tuple[str, int], Deviation] = {
    ("DEMO-DA3", 2): "one_band_motion",
    ("DEMO-5HT2", 1): "rebound",
    ("DEMO-ACh3", 1): "drifting_reactions",
}
"""Sessions that do what no model of the pipeline assumes."""
_FILMED = frozenset({"DEMO-DA2", "DEMO-5HT3", "DEMO-ACh3"})
"""Mice whose sound sessions have pose and motion energy of the left camera."""


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
"""The mice of the default cohort by name, each with its own first week."""

_STRANGERS = (
    replace(_subject(12, "photometry_test_subject_A", ("VTA-l",)), line=_GENETICS["5HT"][1], in_fibers=False),
    replace(_subject(13, "DEMO-X1", ("VTA-l",)), strain="unheard-of", line="unheard-of", in_fibers=False),
    replace(_subject(14, "DEMO-X2", ("VTA-l",)), in_subjects=False, in_fibers=False),
)
"""Mice that only the clinic has: an excluded one, one of unknown genetics, one that no table knows."""

_DEMO_MINUTES, _CLINIC_MINUTES = 12.0, 8.0
_CLINIC_DAY, _CLINIC_DAYS = 70, 30
_CLINIC = (
    ("DEMO-DA1", "no_trials_no_raw", "B"),
    ("DEMO-DA2", "no_trials", "B"),
    ("DEMO-DA3", "truncated_trials", "B"),
    ("DEMO-5HT1", "two_collections", "B"),
    ("DEMO-DA2", "few_trials", "B"),
    ("DEMO-DA3", "incomplete_events", "B"),
    ("DEMO-ACh2", "nan_interval", "B"),
    ("DEMO-ACh1", "block_bug", "B"),
    ("DEMO-ACh1", "block_bug_no_plan", "B"),
    ("DEMO-ACh2", "block_bug_training", "T"),
    ("DEMO-NE1", "no_wheel_no_raw", "B"),
    ("DEMO-NE2", "no_wheel", "B"),
    ("DEMO-5HT2", "no_signal_no_raw", "B"),
    ("DEMO-5HT3", "no_signal", "B"),
    ("DEMO-NE1", "no_locations", "B"),
    ("DEMO-NE3", "truncated_signal", "B"),
    ("DEMO-DA1", "signal_nan", "B"),
    ("DEMO-DA2", "signal_float32", "B"),
    ("DEMO-DA3", "raw_layout", "B"),
    ("DEMO-5HT1", "raw_missing", "B"),
    ("DEMO-5HT2", "led_gap", "B"),
    ("DEMO-5HT3", "led_gaps", "B"),
    ("DEMO-NE1", "stray_multi", "B"),
    ("DEMO-NE2", "band_inversion", "B"),
    ("DEMO-ACh1", "early_sample", "B"),
    ("DEMO-ACh2", "few_unique", "B"),
    ("DEMO-5HT1", "dead_channel", "B"),
    ("DEMO-DA1", "trials_outside", "B"),
    ("DEMO-DA1", "region_no_match", "B"),
    ("DEMO-NE3", "region_ambiguous", "B"),
    ("DEMO-ACh3", "duplicate_region", "B"),
    ("DEMO-NE2", "no_regions", "B"),
    ("DEMO-5HT3", "blank_region", "B"),
    ("DEMO-ACh1", "hemisphere", "B"),
    ("DEMO-NE1", "suffix", "B"),
    ("DEMO-ACh2", "protocol", "B"),
    ("DEMO-ACh3", "midnight", "B"),
    ("DEMO-5HT2", "not_ascii", "B"),
    ("DEMO-NE2", "not_listed", "B"),
    ("DEMO-ACh2", "video", "B"),
    ("DEMO-DA1", "same_day", "E"),
    ("photometry_test_subject_A", "excluded", "T"),
    ("DEMO-X1", "genetics", "B"),
    ("DEMO-X2", "unknown_subject", "B"),
)
"""Subject, plant and kind of every session of the clinic."""

_SAME_DAY = 3
"""Place in the schedule of the session that has a second one on its day."""


def demo_plans(
    *, subjects: int | None = None, sessions: int | None = None, clinic: bool = True
) -> tuple[SessionPlan, ...]:
    """Return the sessions of the demo cohort: sound ones, then the clinic of sessions with one planted fault each.

    Parameters
    ----------
    subjects : int, optional
        Only the first so many subjects, at least one.
    sessions : int, optional
        So many sound sessions, spread over the subjects day by day; by default those of the subjects' schedules.
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
    chosen = list(SUBJECTS.values())[:subjects]
    scheduled = sum(len(_SCHEDULES[subject.name]) for subject in chosen)
    regular = tuple(itertools.islice(_regular(chosen), scheduled if sessions is None else sessions))
    patients = chosen if subjects is not None else [*chosen, *_STRANGERS]
    if not clinic:
        return regular
    # a second session of a day needs a first one
    days = {(plan.subject.name, plan.date) for plan in regular}
    return regular + tuple(p for p in _clinic(patients) if p.plant != "same_day" or (p.subject.name, p.date) in days)


def _regular(subjects: Sequence[Subject]) -> Iterator[SessionPlan]:
    """Give sound sessions without end: first all that are scheduled, day by day, then more of every subject."""
    longest = max(len(_SCHEDULES[subject.name]) for subject in subjects)
    for place in range(longest):
        for subject in subjects:
            if place < len(_SCHEDULES[subject.name]):
                yield _sound(subject, place, _SCHEDULES[subject.name][place])
    for extra in itertools.count():
        for subject in subjects:
            yield _sound(subject, len(_SCHEDULES[subject.name]) + extra, _LONGER[extra % len(_LONGER)])


def _sound(subject: Subject, place: int, kind: str) -> SessionPlan:
    # the days of the clinic are left free
    day = place if place < _CLINIC_DAY else place + _CLINIC_DAYS
    return SessionPlan(
        subject,
        subject.first_day + dt.timedelta(days=day),
        1,
        _KINDS[kind],
        _DEMO_MINUTES,
        novice=kind == "t",
        layout=_LAYOUTS.get((subject.name, place), "standard"),
        deviation=_DEVIATIONS.get((subject.name, place)),
        pose=subject.name in _FILMED,
    )


def _clinic(subjects: Sequence[Subject]) -> tuple[SessionPlan, ...]:
    plans = []
    for subject in subjects:
        day = itertools.count(_CLINIC_DAY)
        for name, plant, kind in _CLINIC:
            if name == subject.name:
                same_day = plant == "same_day"
                date = subject.first_day + dt.timedelta(days=_SAME_DAY if same_day else next(day))
                plans.append(
                    SessionPlan(
                        subject, date, 1 + same_day, _KINDS[kind], _CLINIC_MINUTES, plant=plant, pace=CLINIC_PACE
                    )
                )
    return tuple(plans)


def tiny_plans() -> tuple[SessionPlan, ...]:
    """Return three sessions of eight minutes of three subjects: the smallest cohort that has a bit of everything."""
    chosen = [SUBJECTS[name] for name in ("DEMO-DA1", "DEMO-5HT1", "DEMO-NE3")]
    return tuple(_biased(subject, 0, 8.0, CLINIC_PACE) for subject in chosen)


def hour_plans() -> tuple[SessionPlan, ...]:
    """Return one session of real length with two fibres."""
    return (_biased(SUBJECTS["DEMO-DA1"], 0, 60.0, HOUR_PACE),)


def parity_plans() -> tuple[SessionPlan, ...]:
    """Return six sessions for comparison with the reference pipeline: every type, two fibres, blocks to be repaired."""
    wanted: tuple[tuple[str, SessionType, str | None], ...] = (
        ("DEMO-5HT1", "habituation", None),
        ("DEMO-ACh2", "training", None),
        ("DEMO-5HT1", "biased", None),
        ("DEMO-NE2", "ephys", None),
        ("DEMO-DA2", "biased", None),
        ("DEMO-ACh1", "biased", "block_bug"),
    )
    plans = {(plan.subject.name, plan.session_type, plan.plant): plan for plan in reversed(demo_plans())}
    return tuple(plans[key] for key in wanted)


def _biased(subject: Subject, day: int, minutes: float, pace: Pace) -> SessionPlan:
    return SessionPlan(subject, subject.first_day + dt.timedelta(days=day), 1, "biased", minutes, pace=pace)


_RULER_TARGETS = ("VTA", "SNc", "DR", "LC", "NBM")
_RULER_SUBJECTS, _RULER_SESSIONS = 6, 8
_WEAKEST = "LC"
"""Target with the smallest responses relative to its noise."""
RULER_SEED = 7
"""The usual seed of the cohort that truth is measured on."""


def ruler_plans() -> tuple[SessionPlan, ...]:
    """Return the cohort that truth is measured on: 5 targets, 6 mice each, 8 biased sessions each, one fibre.

    Hemispheres alternate from mouse to mouse; nothing is broken.
    """
    plans = []
    for place, (target, number) in enumerate(itertools.product(_RULER_TARGETS, range(_RULER_SUBJECTS))):
        region = target if target == "DR" else f"{target}-{'lr'[number % 2]}"
        subject = _subject(place, f"RULER-{target}{number + 1}", (region,))
        plans += [_biased(subject, day, _DEMO_MINUTES, DEMO_PACE) for day in range(_RULER_SESSIONS)]
    return tuple(plans)


def ruler_hour_plans() -> tuple[SessionPlan, ...]:
    """Return further sessions of the ruler cohort, of real length: one of each mouse, two where responses are weak."""
    mice = dict.fromkeys(plan.subject for plan in ruler_plans())
    return tuple(
        _biased(mouse, _RULER_SESSIONS + day, 60.0, HOUR_PACE)
        for mouse in mice
        for day in range(1 + (split_region(mouse.regions[0])[0] == _WEAKEST))
    )
