"""Figures of the diagnostics of corrections over all recordings: every measure by target, and how often each check fires."""

from collections.abc import Iterator, Mapping

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from iblnm_core.analyses.analysis import Tables
from iblnm_core.corrections.checks import CHECKS, Check, Values
from iblnm_core.corrections.diagnostics import MEASURES
from iblnm_core.errors import DarkOffsetImplausible, TransientsNotSeparable
from iblnm_core.figures.companion import Mark, marks_at
from iblnm_core.figures.family import Drawn, Family, counts_of, nothing_drawn
from iblnm_core.figures.marks import jitter, note
from iblnm_core.figures.theme import Theme, in_order
from iblnm_core.parameters import Parameters

SHOWN: Mapping[str, tuple[str, str]] = {
    "reference_r": ("signal and reference", "correlation"),
    "slope": ("robust slope", "ratio"),
    "slope_ols": ("least-squares slope", "ratio"),
    "slope_disagreement": ("difference of slopes", "share"),
    "slope_attenuation": ("attenuation of slope", "ratio"),
    "residual_r": ("left of the reference", "correlation"),
    "bleed": ("transients in reference", "share"),
    "bleed_z": ("transients in reference", "standard errors"),
    "bleed_n": ("transients outside events", "number"),
    "trend": ("trend of the level", "fraction"),
    "trend_ratio": ("trend of the level", "SD of signal"),
    "snr": ("signal to noise", "ratio"),
    "bleaching_share": ("bleaching, signal", "share"),
    "reference_bleaching_share": ("bleaching, reference", "share"),
    "bleaching_tau_s": ("bleaching, signal", "time constant, s"),
    "flat_share": ("equal to the one before", "share of samples"),
    "unique_share": ("distinct values", "share of samples"),
    "masked_share": ("masked", "share of samples"),
    "longest_gap_s": ("longest masked stretch", "s"),
    "n_spikes": ("spikes", "samples"),
}
"""Measures in the order of panels, what figures call them, and what their axes do."""

RESIDUAL = "residual_r"
"""Of the primary correction; the other measures are of the fibre."""

_BOTH_SIGNS = frozenset({"reference_r", "bleed", "trend_ratio", RESIDUAL})
"""Measures whose thresholds hold for their absolute value."""
_COLUMNS = 4
_SEED = 23
_EDGE = "#303030"
_KEY = ["eid", "fiber_idx"]
_NOT_INDEPENDENT = "Recordings of a mouse are not independent of each other."


def draw_diagnostics(tables: Tables, parameters: Parameters, theme: Theme) -> Iterator[Drawn]:
    """Yield the figures of the diagnostics of corrections.

    Parameters
    ----------
    tables : mapping of str to DataFrame
        Those that `DIAGNOSTIC_OVERVIEW` reads.
    parameters : Parameters
        The section `photometry` has the name of the signal band.
    theme : Theme
    """
    rows = recordings_measured(tables, parameters.photometry.signal_band)
    yield _measures(rows, theme)
    yield _shares(rows, tables, theme)


def recordings_measured(tables: Tables, signal_band: str) -> pd.DataFrame:
    """Return the measures of every recording that has any: one row of each, with its target and subject.

    Parameters
    ----------
    tables : mapping of str to DataFrame
    signal_band : str
    """
    quality = tables["qc_photometry"]
    known = quality[(quality["band"] == signal_band) & quality[list(MEASURES)].notna().any(axis=1)]
    corrections = tables["corrections"]
    primary = corrections.loc[corrections["is_primary"], [*_KEY, "correction", RESIDUAL]]
    whose = tables["qc_signals"][[*_KEY, "subject", "target_NM"]]
    return known[[*_KEY, *MEASURES]].merge(whose, on=_KEY).merge(primary, on=_KEY, how="left")


def fires(check: Check, rows: pd.DataFrame) -> "pd.Series[bool]":
    """Return for which rows a check fires; what is not known does not.

    Parameters
    ----------
    check : Check
    rows : DataFrame
        A column for every value that the check asks of.
    """
    numbers = rows.select_dtypes("number").astype("float64")
    values: list[Values] = [
        {str(name): float(value) for name, value in row.items()} for row in numbers.to_dict("records")
    ]
    return pd.Series([check.fires(row) for row in values], index=rows.index, dtype=bool)


def _measures(rows: pd.DataFrame, theme: Theme) -> Drawn:
    name, title = "diagnostic_measures", "Diagnostics of corrections"
    if rows.empty:
        return nothing_drawn(name, title, _nothing(), rows)
    targets = in_order(rows["target_NM"])
    n_lines = -(-len(SHOWN) // _COLUMNS)
    figure = Figure(figsize=(7.5, 1.3 + n_lines * (0.75 + 0.16 * len(targets))), layout="constrained")
    panels = list(figure.subplots(n_lines, _COLUMNS, sharey=True).flat)
    marks: list[Mark] = []
    for axes, measure in zip(panels, SHOWN, strict=True):
        marks += _strips(axes, measure, rows, targets, theme)
    for axes in panels[::_COLUMNS]:
        axes.set_yticks(range(len(targets)), targets, fontsize=7)
        axes.set_ylim(len(targets) - 0.5, -0.5)
    counts = counts_of(rows)
    looks = ((_EDGE, "its check fires"), ("white", "it does not, or there is none"))
    handles = [
        Line2D(
            [], [], linestyle="none", marker="o", markersize=5, markerfacecolor=fill, markeredgecolor=_EDGE, label=label
        )
        for fill, label in looks
    ]
    handles.append(Line2D([], [], color=_EDGE, linestyle="--", linewidth=1.0, label="threshold of the check"))
    figure.legend(handles=handles, loc="outside lower center", ncols=3)
    figure.suptitle(f"{title}: {counts['n_recordings']} recordings of {counts['n_subjects']} mice")
    caption = (
        f"Measures that say how far corrections can be believed, of {counts['n_recordings']} recordings (fibres) in {counts['n_sessions']} "
        f"sessions of {counts['n_subjects']} mice, whatever their primary correction; {RESIDUAL} (left of the reference) is that of the "
        f"primary correction ({_primaries(rows)}). Dots are recordings, dashes medians of targets. Dashed: thresholds; checks with more than one "
        f"condition fire only where all hold. Values beyond the axis stand at its end. No test. {_NOT_INDEPENDENT}"
    )
    return Drawn(name, figure, rows, caption, counts, marks=marks)


def _nothing() -> str:
    return "no recording has a correction that could be measured"


def _primaries(rows: pd.DataFrame) -> str:
    return ", ".join(f"{name} {n}" for name, n in rows["correction"].value_counts().items()) or "none"


def _strips(axes: Axes, measure: str, rows: pd.DataFrame, targets: list[str], theme: Theme) -> list[Mark]:
    """Draw one measure, and return those recordings of which its checks fire."""
    called, label = SHOWN[measure]
    axes.set_title(called, fontsize=7.5)
    axes.set_xlabel(label, fontsize=7)
    axes.tick_params(labelsize=7)
    known = rows[rows[measure].notna()]
    if known.empty:
        axes.set_xticks([])
        note(axes, "not known of any")
        return []
    checks = [check for check in CHECKS if check.measure == measure and check.scope != "event"]
    low, high = _limits(axes, known[measure].to_numpy(np.float64), checks, measure)
    hit = pd.Series(data=False, index=known.index)
    for check in checks:
        hit |= fires(check, known)
    marks: list[Mark] = []
    for height, target in enumerate(targets):
        own = known[known["target_NM"] == target]
        if own.empty:
            continue
        places = height + jitter(len(own), _SEED, 0.3)
        x = own[measure].clip(low, high).to_numpy(np.float64)
        fired = hit[own.index].to_numpy()
        colour = theme.target_colour(target)
        for chosen, fill in ((~fired, "none"), (fired, colour)):
            axes.scatter(
                x[chosen],
                places[chosen],
                s=9,
                marker=theme.target_marker(target),
                facecolor=fill,
                edgecolor=colour,
                linewidth=0.6,
                # thousands of dots would be most of a vector file
                rasterized=True,
            )
        median = float(np.clip(own[measure].median(), low, high))
        axes.plot([median, median], [height - 0.36, height + 0.36], color="black", linewidth=1.4)
        marks += _marks(axes, own[fired], x[fired], places[fired], measure)
    return marks


def _marks(axes: Axes, rows: pd.DataFrame, x: np.ndarray, y: np.ndarray, measure: str) -> list[Mark]:
    words = [
        f"{row['subject']}, {row['target_NM']}, fibre {row['fiber_idx']}\n{measure} {row[measure]:.3g}"
        for row in rows.to_dict("records")
    ]
    return marks_at(axes, x, y, rows["eid"], words)


def _limits(axes: Axes, values: np.ndarray, checks: list[Check], measure: str) -> tuple[float, float]:
    """Draw thresholds, and give an axis room for them and for all but extreme values."""
    quartiles = np.percentile(values, [25, 75])
    reach = 6 * float(quartiles[1] - quartiles[0]) or np.inf
    inner = values[(values >= quartiles[0] - reach) & (values <= quartiles[1] + reach)]
    edges = [float(inner.min()), float(inner.max())]
    for check in checks:
        for sign in (-1, 1) if measure in _BOTH_SIGNS else (1,):
            axes.axvline(sign * check.threshold, color=_EDGE, linestyle="--", linewidth=0.8, zorder=0)
            edges.append(sign * check.threshold)
    low, high = min(edges), max(edges)
    margin = 0.06 * (high - low) or 0.5
    axes.set_xlim(low - margin, high + margin)
    axes.locator_params(axis="x", nbins=4)
    axes.xaxis.set_major_formatter("{x:g}")
    return low, high


def check_shares(rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    """Return how often each check fires, of the recordings of which it can be asked: one row per check and target, and of all.

    Parameters
    ----------
    rows : DataFrame
        See `recordings_measured`.
    tables : mapping of str to DataFrame

    Returns
    -------
    DataFrame
        check, target_NM (null: all), n_fires, n_recordings, share.
    """
    found = [_asked(check.name, rows, _asked_of(check, rows, tables), check) for check in CHECKS]
    transients = tables["transient_summary"].dropna(subset=["separable"])
    crowded = transients.assign(fires=~transients["separable"].astype(bool))
    found.append(_counted(TransientsNotSeparable.__name__, rows, crowded))
    dark = tables["corrections"].assign(fires=lambda table: table["dark_source"] == "refused")
    found.append(_counted(DarkOffsetImplausible.__name__, rows, dark))
    return pd.concat(found, ignore_index=True)


def _asked_of(check: Check, rows: pd.DataFrame, tables: Tables) -> pd.DataFrame:
    if check.scope == "fibre":
        return rows
    return tables["corrections"] if check.scope == "correction" else tables["event_reference"]


def _asked(name: str, rows: pd.DataFrame, asked: pd.DataFrame, check: Check) -> pd.DataFrame:
    known = asked[asked[check.measure].notna()]
    return _counted(name, rows, known.assign(fires=fires(check, known)))


def _counted(name: str, rows: pd.DataFrame, judged: pd.DataFrame) -> pd.DataFrame:
    """Count recordings: a check that is asked of several corrections or events counts where it fires for any."""
    of_recording = judged.groupby(_KEY, as_index=False)["fires"].any()
    known = rows[[*_KEY, "target_NM"]].merge(of_recording, on=_KEY)
    groups = known.groupby("target_NM")["fires"].agg(["sum", "size"]).reset_index()
    everything = pd.DataFrame({"target_NM": [None], "sum": [known["fires"].sum()], "size": [len(known)]})
    table = pd.concat([everything, groups], ignore_index=True).rename(
        columns={"sum": "n_fires", "size": "n_recordings"}
    )
    return table.assign(check=name, share=table["n_fires"] / table["n_recordings"].where(table["n_recordings"] > 0))


def _shares(rows: pd.DataFrame, tables: Tables, theme: Theme) -> Drawn:
    name, title = "diagnostic_checks", "How often each check of corrections fires"
    if rows.empty:
        return nothing_drawn(name, title, _nothing(), rows)
    shares = check_shares(rows, tables)
    whole = shares[shares["target_NM"].isna()].reset_index(drop=True)
    targets = in_order(rows["target_NM"])
    figure = Figure(figsize=(7.5, 1.4 + 0.27 * len(whole)), layout="constrained")
    axes = figure.subplots()
    heights = np.arange(len(whole))
    axes.barh(heights, whole["share"].fillna(0), height=0.62, color="#d0d0d0", edgecolor=_EDGE, linewidth=0.6)
    height_of = dict(zip(whole["check"], heights, strict=True))
    for place, target in enumerate(targets):
        own = shares[(shares["target_NM"] == target) & shares["share"].notna()]
        offset = (place - (len(targets) - 1) / 2) * 0.6 / max(len(targets), 1)
        axes.plot(
            own["share"],
            own["check"].map(height_of) + offset,
            linestyle="none",
            marker=theme.target_marker(target),
            color=theme.target_colour(target),
            markersize=4.5,
            markeredgecolor=_EDGE,
            markeredgewidth=0.5,
            label=target,
            clip_on=False,
        )
    for height, row in zip(heights, whole.to_dict("records"), strict=True):
        words = f"{row['n_fires']} of {row['n_recordings']}"
        axes.text(1.02, float(height), words, transform=axes.get_yaxis_transform(), va="center", fontsize=7)
    axes.set_yticks(heights, whole["check"], fontsize=7.5)
    axes.set(xlim=(0, 1), ylim=(len(whole) - 0.4, -0.6), xlabel="share of recordings")
    figure.legend(loc="outside lower center", ncols=8, title="bars: all recordings; marks: by target")
    counts = counts_of(rows)
    figure.suptitle(f"{title}: {counts['n_recordings']} recordings of {counts['n_subjects']} mice")
    caption = (
        f"Share of the recordings (fibres) for which each advisory check of corrections fires, of those of which it can be asked (numbers "
        f"on the right); {counts['n_recordings']} recordings in {counts['n_sessions']} sessions of {counts['n_subjects']} mice. What is asked of "
        f"several corrections or events counts where it fires for any stored one; the others are of the fibre, whatever its primary correction "
        f"({_primaries(rows)}). Counts, no test. {_NOT_INDEPENDENT}"
    )
    return Drawn(name, figure, shares, caption, counts)


DIAGNOSTIC_OVERVIEW = Family(
    "diagnostic_overview",
    "Diagnostics of the corrections of all recordings by target, with the thresholds of their checks, and how often each check fires.",
    "qc_overview",
    {
        "qc_photometry": ("eid", "fiber_idx", "band", *MEASURES),
        "qc_signals": ("eid", "fiber_idx", "subject", "target_NM"),
        "corrections": (
            "eid",
            "fiber_idx",
            "correction",
            "is_primary",
            "dark_source",
            "residual_r",
            "denominator_ratio",
        ),
        "event_reference": ("eid", "fiber_idx", "event", "t", "share"),
        "transient_summary": ("eid", "fiber_idx", "correction", "separable"),
    },
    draw_diagnostics,
    ("photometry",),
)
"""The family of these figures."""
