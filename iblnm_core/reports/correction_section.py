"""The section of a session's page about its corrections: responses under each of them, and how they were fitted."""

from collections.abc import Mapping
from typing import Any

import numpy as np

from iblnm_core.figures.theme import event_label
from iblnm_core.parameters import Parameters
from iblnm_core.reports import judging
from iblnm_core.reports.model import Card, Section, TableView, table
from iblnm_core.reports.reading import StoredSession
from iblnm_core.reports.texts import clean, counted, number, percent
from iblnm_core.session.corrections_layout import correction_rows

_HEADING = ("corrections", "Corrections")
_HEADERS = (
    "Fibre and correction",
    "State",
    "Slope",
    "Least squares",
    "Residual r",
    "Least of denominator",
    "SD (%)",
    "Noise (%)",
    "Masked",
)


def correction_section(stored: StoredSession, parameters: Parameters, found: tuple[Card, ...] | list[Card]) -> Section:
    """Return the section about corrections.

    Parameters
    ----------
    stored : StoredSession
    parameters : Parameters
    found : sequence of Card
        Findings of the page, for why there is nothing.
    """
    if not stored.corrections:
        return Section(*_HEADING, (judging.why_missing("corrections", stored.provenance, found),))
    tables = (_fits(stored),)
    if not len(stored.trials):
        return Section(*_HEADING, ("No responses to compare: no trials are stored.",), tables=tables)
    from iblnm_core.figures.correction_comparison import N_DRAWS, Comparison, compare, comparison_figure
    from iblnm_core.reports.pictures import picture

    of_regions: Mapping[str, Comparison] = {
        region: compare(part, stored.trials, (stored.eid, region), parameters)
        for region, part in stored.corrections.items()
    }
    start, end = (number(1000 * edge) for edge in parameters.magnitudes.baseline_window_s)
    caption = (
        "Mean response under every stored correction, relative change (dF/F) in percent, and, in grey, what was subtracted for the 415 nm "
        f"band at the same events by the primary correction. Responses less the mean from {start} to {end} ms around the event, left out "
        f"from the next event of the trial on. Bands: 95 % interval over {N_DRAWS} draws of trials, at each time by itself. Where lines "
        "differ, the correction decides; where the grey line moves, the 415 nm band does: motion, or calcium that leaks into it."
    )
    shown = picture(comparison_figure(of_regions), _seen(of_regions), caption, "Responses under every correction")
    return Section(*_HEADING, pictures=(shown,), tables=tables)


def _seen(of_regions: Mapping[str, Any]) -> str:
    """Return in words, with numbers, how large the largest mean response after an event is under each correction."""
    words = []
    for region, comparison in of_regions.items():
        for event, curves in comparison.curves.items():
            peaks = ", ".join(f"{name} {number(_largest(curve))} %" for name, curve in curves.items())
            words.append(f"{clean(region)}, {clean(event_label(event))}: {peaks}")
        words.append(f"{clean(region)}, checks that fired: {comparison.checks}")
    return f"Largest mean after the event. {'; '.join(words)}."


def _largest(curve: Any) -> float:
    after = curve.mean[curve.times >= 0]
    known = after[np.isfinite(after)]
    return float(known[np.argmax(np.abs(known))]) if len(known) else np.nan


def _fits(stored: StoredSession) -> TableView:
    rows = []
    for region, part in stored.corrections.items():
        for row in correction_rows(part):
            name = f"{clean(region)}, {row['correction']}{' (primary)' if row['is_primary'] else ''}"
            rows.append([name, *_row(row)])
    dark = "; ".join(
        f"{clean(region)} {number(part.attributes['dark_signal'])} ({part.attributes['dark_source']})"
        for region, part in stored.corrections.items()
    )
    caption = (
        f"How {counted(len(stored.corrections), 'fibre was', 'fibres were')} corrected. Slope: of the signal on the 415 nm band. Residual r: correlation "
        f"with it below 1 Hz after correction. Dark offset, subtracted first (camera units): {dark}."
    )
    return table(caption, _HEADERS, rows)


def _row(row: Mapping[str, Any]) -> list[str]:
    if row["status"] != "ok":
        return [
            f"{row['status']}: {clean(row['reason'])}: {clean(row['message'])}",
            *[number(None)] * (len(_HEADERS) - 2),
        ]
    slope = number(row["slope"]) + (" (negative: not used)" if row["slope_clipped"] else "")
    values = [number(row[name]) for name in ("slope_ols", "residual_r", "denominator_ratio")]
    spreads = [number(100 * row[name]) for name in ("sd", "noise_sd")]
    return ["computed", slope, *values, *spreads, percent(row["n_masked"] / row["n_samples"])]
