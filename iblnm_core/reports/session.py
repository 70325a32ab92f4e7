"""The report of one session as records: verdict, facts, and the sections with pictures."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from iblnm_core import __version__
from iblnm_core.figures.theme import THEMES, Theme, event_label
from iblnm_core.reports import judging
from iblnm_core.reports.correction_section import correction_section
from iblnm_core.reports.model import Card, Fact, Picture, Section, SessionPage, TableView
from iblnm_core.reports.reading import StoredSession
from iblnm_core.reports.session_tables import (
    behaviour_table,
    data_section,
    data_version,
    parameters_version,
    quality_section,
    subject_section,
)
from iblnm_core.reports.texts import clean, counted, number, percent
from iblnm_core.reports.why_sections import session_section
from iblnm_core.root import Root

if TYPE_CHECKING:
    from matplotlib.figure import Figure

LARGEST_PICTURES = 2_900_000
"""All picture addresses of a page together, characters; a page is at most 3 MB."""


@dataclass(frozen=True, eq=False)
class SessionReport:
    """A report before it is written.

    Attributes
    ----------
    page : SessionPage
    preview : bytes
        Small PNG of the signals; empty when there are none.
    """

    page: SessionPage
    preview: bytes


def session_report(root: Root, stored: StoredSession) -> SessionReport:
    """Return the report of a session from what is stored of it.

    Parameters
    ----------
    root : Root
    stored : StoredSession
    """
    import matplotlib as mpl

    from iblnm_core.reports.pictures import undisturbed

    theme = THEMES[root.parameters.figures.theme]
    found = judging.cards(stored.eid, stored.verdicts, stored.provenance)
    found = [*(judging.damaged_card(problem) for problem in stored.damaged[:1]), *found]
    with mpl.rc_context(theme.rc), undisturbed():
        signals, shown = _signals(stored, root, theme, found)
        sections: tuple[Section, ...] = (
            signals,
            correction_section(stored, root.parameters, found),
            quality_section(stored, found),
            _responses(stored, root, theme, found),
            _behaviour(stored, theme, found),
            _wheel(stored, theme, found),
            subject_section(stored),
            session_section(root, stored.eid),
            data_section(root, stored),
        )
        sections = within_limit(sections)
        preview = _preview(shown)
    failed = {card.rule for card in found}
    judged = len(stored.verdicts)
    line = (
        f"{len(failed)} of {counted(max(judged, len(failed)), 'check')} did not hold."
        if stored.verdicts or failed
        else "No check was judged yet."
    )
    row = stored.row
    page = SessionPage(
        eid=stored.eid,
        title=f"Session report: {clean(row.get('subject'))}, {_date(row)}, {_number(row)}",
        banner=judging.banner(
            found,
            stored.verdicts,
            usable=judging.is_usable(stored.eid, stored.errors, stored.provenance),
            unavailable=stored.unavailable,
            missing=judging.missing_outputs(stored.provenance),
        ),
        facts=_facts(root, stored),
        checks_line=line,
        cards=found,
        held=judging.held_checks(stored.verdicts),
        sections=sections,
        foot=(
            f"iblnm {__version__} · preset {root.preset} · data {data_version(stored)} · "
            f"parameters {parameters_version(root)}"
        ),
        n_failed_checks=len(failed),
    )
    return SessionReport(page, preview)


def within_limit(sections: tuple[Section, ...], limit: int = LARGEST_PICTURES) -> tuple[Section, ...]:
    """Return sections whose pictures are not too large together: without the close look, then the second event, then the comparison of corrections.

    Parameters
    ----------
    sections : tuple of Section
    limit : int
        All picture addresses together, characters.
    """
    for anchor, place in (("signals", 1), ("responses", 1), ("corrections", 0)):
        if sum(len(shown.source) for section in sections for shown in section.pictures) <= limit:
            break
        sections = tuple(_without(section, place) if section.anchor == anchor else section for section in sections)
    return sections


def _without(section: Section, place: int) -> Section:
    if len(section.pictures) <= place:
        return section
    kept = list(section.pictures)
    note = f"The picture “{kept.pop(place).title}” is left out, as the page would be too large with it."
    return replace(section, notices=(*section.notices, note), pictures=tuple(kept))


def _preview(figure: "Figure | None") -> bytes:
    from iblnm_core.reports.pictures import preview

    return b"" if figure is None else preview(figure)


def _date(row: Mapping[str, Any]) -> str:
    return clean((row.get("start_time") or "")[:10] or None)


def _number(row: Mapping[str, Any]) -> str:
    value = row.get("number")
    return "number unknown" if value is None else f"{int(value):03d}"


def _facts(root: Root, stored: StoredSession) -> tuple[Fact, ...]:
    row, performance = stored.row, stored.performance
    fraction = performance.get("fraction_correct")
    return (
        Fact("Subject", clean(row.get("subject"))),
        Fact("Date and number", f"{_date(row)}, {_number(row)}"),
        Fact("Laboratory", clean(row.get("lab"))),
        Fact("Session type", clean(row.get("session_type"))),
        Fact("Targets and side", _targets(row)),
        Fact("Trials", number(len(stored.trials)) if len(stored.trials) else "no trials stored"),
        Fact("Correct choices", percent(fraction)),
        Fact("Recording", _recording(stored)),
        Fact("Preset", root.preset),
        Fact("Session id", stored.eid),
    )


def _targets(row: Mapping[str, Any]) -> str:
    sides = {"l": "left", "r": "right", None: "side unknown", "": "side unknown"}
    targets, regions = row.get("target_NM") or (), row.get("brain_region") or ()
    hemispheres = row.get("hemisphere") or ()
    named = [
        f"{clean(targets[place] if place < len(targets) and targets[place] else region)}, "
        f"{sides.get(hemispheres[place] if place < len(hemispheres) else None, 'midline')}"
        for place, region in enumerate(regions)
    ]
    return "; ".join(named) or "none known"


def _recording(stored: StoredSession) -> str:
    if not stored.signals:
        return "no signal stored"
    signal = next(iter(stored.signals.values()))
    minutes = (signal.times[-1] - signal.times[0]) / 60
    return f"{number(round(float(minutes), 1))} min at {number(signal.sampling_rate_hz)} Hz"


def _missing(section: tuple[str, str], output: str, stored: StoredSession, found: Sequence[Card]) -> Section:
    anchor, title = section
    if stored.damaged and (output not in stored.provenance or stored.provenance[output].state == "stored"):
        return Section(anchor, title, ("The stored results are damaged; see the first card under Checks.",))
    return Section(anchor, title, (judging.why_missing(output, stored.provenance, found),))


def _signals(stored: StoredSession, root: Root, theme: Theme, found: Sequence[Card]) -> tuple[Section, "Figure | None"]:
    heading = ("signals", "Signals")
    if not stored.signals:
        return _missing(heading, "preprocessed_signal", stored, found), None
    from iblnm_core.reports.pictures import picture
    from iblnm_core.reports.signal_pictures import ZOOM_S, close_look, whole_recording

    whole = whole_recording(stored, theme)
    zoom, window = close_look(stored, root.parameters.responses.events, theme)
    groups = ", ".join(clean(group) for group in stored.signals)
    spread = "; ".join(
        f"{clean(group)} from {number(float(np.nanmin(s.values)))} to {number(float(np.nanmax(s.values)))} z"
        for group, s in stored.signals.items()
    )
    pictures = (
        picture(
            whole,
            f"Signals over the whole recording for {groups}. Corrected signal: {spread}.",
            "Whole recording. For each region above: both recorded bands as percent of their median inside the "
            "synchronised range; below: the signal corrected for bleaching and for what it shares with the 415 nm band "
            "(isosbestic: light that does not depend on calcium), in standard deviations (z). Smallest and largest value "
            "of each of 700 stretches. Axes hold 99.8 % of the samples. Ticks at the bottom: feedback. Grey: times that "
            "the corrected signal does not cover.",
            "The whole recording",
        ),
        picture(
            zoom,
            f"Corrected signal for {groups} from {number(window[0])} to {number(window[1])} s of the session, with "
            "stimulus, first movement and feedback as vertical lines.",
            f"{number(ZOOM_S)} s around the median stimulus of the session, at full sampling rate. Vertical lines: events.",
            "A close look",
        ),
    )
    return Section(*heading, pictures=pictures), whole


def _responses(stored: StoredSession, root: Root, theme: Theme, found: Sequence[Card]) -> Section:
    heading = ("responses", "Responses")
    if not stored.responses or not len(stored.trials):
        return _missing(heading, "responses", stored, found)
    from iblnm_core.reports.pictures import picture
    from iblnm_core.reports.response_pictures import OUTCOMES, by_event, peak, responses_figure

    parameters = root.parameters
    events = parameters.responses.events
    start, end = (number(1000 * edge) for edge in parameters.magnitudes.baseline_window_s)
    caption = (
        f"Responses less the mean from {start} to {end} ms around the event (baseline), and left out from the next event of "
        "the trial on. Above: every trial, sorted by outcome, then time; grey: left out or unknown; colours end at ±3 z. "
        "Below: means over trials, where two or more are known; bands: standard error of the mean over trials."
    )
    pictures, absent = [], [event for event in events if all(event not in r.events for r in stored.responses.values())]
    for event, of_groups in by_event(stored, events, parameters.magnitudes).items():
        seen = "; ".join(
            f"{clean(group)}, {word}: {counted(len(responses.by_outcome[kind]), 'trial')}, largest mean "
            f"{number(peak(responses, kind), 'z')}"
            for group, responses in of_groups.items()
            for kind, word in OUTCOMES.items()
        )
        name = clean(event_label(event))
        pictures.append(
            picture(
                responses_figure(event, of_groups, theme), f"Responses to {name}. {seen}.", caption, name.capitalize()
            )
        )
    notices = [
        f"No responses to {event_label(event)}: the event is unknown in too many trials, or missing."
        for event in absent
    ]
    return Section(*heading, notices=tuple(notices), pictures=tuple(pictures))


def _behaviour(stored: StoredSession, theme: Theme, found: Sequence[Card]) -> Section:
    heading = ("behaviour", "Behaviour")
    if not len(stored.trials):
        return _missing(heading, "trials", stored, found)
    from iblnm_core.reports.behaviour_pictures import RUNNING_TRIALS, behaviour_figure, blocks_of

    counts = ", ".join(
        f"{prefix.removeprefix('psych_')} % left: {mask.sum()}" for prefix, mask in blocks_of(stored.trials).items()
    )
    performance = stored.performance
    shown = _picture(
        behaviour_figure(stored, theme),
        f"Choices by contrast, running fraction correct and reaction times of {counted(len(stored.trials), 'trial')}. "
        f"Choices by block: {counts or 'none'}. Correct overall: {percent(performance.get('fraction_correct'))}.",
        "Left: fraction of rightward choices with 95 % Wilson intervals, by block; the fitted psychometric function only "
        "where no parameter ended on a bound. Middle: fraction correct among choices of the last "
        f"{RUNNING_TRIALS} trials, from {RUNNING_TRIALS // 2} on; shading: blocks. Right: time from stimulus to first "
        "movement where it is positive, logarithmic.",
    )
    tables: tuple[TableView, ...] = ()
    notices: tuple[str, ...] = ()
    if performance:
        tables = (behaviour_table(stored),)
    else:
        notices = (judging.why_missing("task_performance", stored.provenance, found),)
    return Section(*heading, notices=notices, pictures=(shown,), tables=tables)


def _wheel(stored: StoredSession, theme: Theme, found: Sequence[Card]) -> Section:
    heading = ("wheel", "Wheel")
    if stored.wheel is None:
        return _missing(heading, "wheel_velocity", stored, found)
    from iblnm_core.reports.behaviour_pictures import wheel_figure

    notices: tuple[str, ...] = ()
    peaks = stored.regressors.get("peak_velocity")
    if peaks is None:
        notices = (judging.why_missing("trial_regressors", stored.provenance, found),)
        seen = "Peak speeds are not stored."
    else:
        seen = (
            f"Median peak speed {number(float(np.nanmedian(np.abs(peaks))) if peaks.notna().any() else None, 'rad/s')}."
        )
    shown = _picture(
        wheel_figure(stored, theme),
        f"Wheel speed by outcome over {counted(len(stored.wheel), 'trial')}. {seen}",
        "Left: mean speed after the stimulus, up to the feedback of each trial; bands: standard error of the mean over "
        "trials. Right: the largest speed between stimulus and feedback of each trial.",
    )
    return Section(*heading, notices=notices, pictures=(shown,))


def _picture(figure: "Figure", alt: str, caption: str) -> Picture:
    from iblnm_core.reports.pictures import picture

    return picture(figure, alt, caption)
