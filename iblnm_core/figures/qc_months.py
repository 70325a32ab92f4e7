"""Figures of the quality of signals over time: how many fail, month by month, and how fast they bleach."""

from collections.abc import Iterator

import pandas as pd
from matplotlib.figure import Figure

from iblnm_core.figures.family import Drawn, nothing_drawn
from iblnm_core.figures.marks import date_axis, every_month
from iblnm_core.figures.theme import Theme

_FAILURES = (
    ("rate_fail_unique", "distinct samples", "#0072b2", "o", "-"),
    ("rate_fail_inversions", "inversions of bands", "#e69f00", "s", "--"),
    ("rate_fail_basic", "either", "#7f0000", "^", ":"),
)
_WIDTH_DAYS = 20


def draw_months(monthly: pd.DataFrame, reason: str, theme: Theme) -> Iterator[Drawn]:
    """Yield the figures of failures and of bleaching over time.

    Parameters
    ----------
    monthly : DataFrame
        The table `qc_monthly`.
    reason : str
        Why there are no signals, when there are none.
    theme : Theme
    """
    yield _failures(monthly, reason)
    yield _bleaching(monthly, reason, theme)


def _failures(monthly: pd.DataFrame, reason: str) -> Drawn:
    name, title = "failures_by_month", "Signals that fail the basic criteria, by month"
    if monthly.empty:
        return nothing_drawn(name, title, reason, monthly)
    months = every_month(monthly)
    figure = Figure(figsize=(7.5, 4.6), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(2, 1))
    for column, label, colour, marker, style in _FAILURES:
        above.plot(
            months.index, months[column], color=colour, marker=marker, linestyle=style, markersize=4, label=label
        )
    above.set(ylabel="signals that fail (%)", title=title)
    above.set_ylim(bottom=-2)
    above.margins(y=0.08)
    known = months["n_signals"] - months["n_unknown"]
    below.bar(
        months.index, known, _WIDTH_DAYS, color="#9a9a9a", edgecolor="black", linewidth=0.5, label="metrics known"
    )
    below.bar(
        months.index,
        months["n_unknown"],
        _WIDTH_DAYS,
        bottom=known,
        color="white",
        edgecolor="black",
        hatch="///",
        linewidth=0.5,
        label="unknown: fail",
    )
    below.set_ylabel("signals")
    below.set_xlabel("month of the recording")
    date_axis(below)
    for axes in (above, below):
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.0))
    n = int(monthly["n_signals"].sum())
    caption = (
        f"Share of {n} signals in {len(monthly)} months that fail for too few distinct samples, for inversions of bands, or for "
        f"either; {int(monthly['n_unknown'].sum())} fail because a metric is unknown. Each signal is one fibre of one session; "
        "months without any are gaps. No error bar, no test."
    )
    return Drawn(name, figure, monthly, caption, {"n_recordings": n})


def _bleaching(monthly: pd.DataFrame, reason: str, theme: Theme) -> Drawn:
    name, title = "bleaching_by_month", "Time constant of the bleaching, by month"
    if monthly.empty:
        return nothing_drawn(name, title, reason, monthly)
    if monthly["tau_mean"].isna().all():
        n_signals = int(monthly["n_signals"].sum())
        reason = f"none of {n_signals} signals passes the basic criteria and has a time constant"
        return nothing_drawn(name, title, reason, monthly)
    months = every_month(monthly)
    figure = Figure(figsize=(7.5, 3.0), layout="constrained")
    axes = figure.subplots()
    colour = theme.bands["GCaMP"]
    axes.plot(months.index, months["tau_mean"], color=colour, marker="o", markersize=4)
    several = months["tau_sd"].notna()
    axes.errorbar(
        months.index[several],
        months.loc[several, "tau_mean"],
        months.loc[several, "tau_sd"],
        color=colour,
        linestyle="none",
        capsize=3,
        linewidth=1.0,
    )
    for date, tau, n in zip(months.index, months["tau_mean"], months["tau_n"], strict=True):
        if n > 0:
            axes.annotate(f"{n:.0f}", (date, tau), (5, 3), textcoords="offset points", fontsize=7)
    axes.set(ylabel="time constant (s)", xlabel="month of the recording; numbers: signals", title=title)
    axes.set_ylim(bottom=min(0.0, axes.get_ylim()[0]))
    date_axis(axes)
    n = int(monthly["tau_n"].sum())
    caption = (
        f"Mean and standard deviation over {n} signals that pass the basic criteria, by month; no bar for a single signal, a gap "
        "for months without. Signals of one mouse are not independent, so the bars say how signals spread, not how sure the mean is."
    )
    return Drawn(name, figure, monthly, caption, {"n_recordings": n})
