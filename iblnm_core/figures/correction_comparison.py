"""Mean responses of one fibre under every stored correction, and what its reference does at the same events."""

import textwrap
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np
import pandas as pd
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.typing import LineStyleType
from numpy.typing import NDArray

from iblnm_core.analyses.cca_permutation import stable_seed
from iblnm_core.errors import CorrectionUnavailable
from iblnm_core.figures.correction_looks import CORRECTIONS, UNKNOWN_LOOK, fired
from iblnm_core.figures.correction_view import PERCENT
from iblnm_core.figures.theme import event_label
from iblnm_core.parameters import Parameters
from iblnm_core.session.corrections_layout import correction_names, trace_of
from iblnm_core.session.magnitudes import own_responses
from iblnm_core.session.stages import make_responses
from iblnm_core.storage.session_file import Part

Array = NDArray[np.float64]

N_DRAWS = 500
"""Draws of trials behind a band."""

REFERENCE = "scaled reference"
"""What the curve of the reference itself is called."""

_INTERVAL = (0.025, 0.975)
_REFERENCE_LOOK: tuple[str, LineStyleType] = ("#808080", (0, (2, 1)))
_WIDTH_IN = 9.2
_ROW_IN = 2.2
_LINE = 150
"""Characters of a title's line."""


@dataclass(frozen=True, eq=False)
class Curve:
    """A mean response.

    Attributes
    ----------
    times : ndarray of float64, (w,)
        s, relative to the event.
    mean, lower, upper : ndarray of float64, (w,)
        Percent: mean over trials, and its 95 % interval; not a number where fewer than two trials are known.
    n_trials : int
        Trials with any known sample.
    """

    times: Array
    mean: Array
    lower: Array
    upper: Array
    n_trials: int


@dataclass(frozen=True, eq=False)
class Comparison:
    """The responses of one fibre under its corrections.

    Attributes
    ----------
    primary : str
    curves : mapping of str to mapping of str to Curve
        By event and correction; the reference itself comes last.
    unavailable : mapping of str to str
        Corrections that could not be computed, and why.
    checks : str
        Those that fired, in words.
    """

    primary: str
    curves: Mapping[str, Mapping[str, Curve]]
    unavailable: Mapping[str, str]
    checks: str


def compare(part: Part, trials: pd.DataFrame, identity: tuple[str, str], parameters: Parameters) -> Comparison:
    """Return the mean responses of one fibre under every stored correction.

    Responses are cut, masked from the next event of the trial on, and less their baseline, as those that are stored.

    Parameters
    ----------
    part : Part
        The fibre's corrections, see `session.corrections_layout`.
    trials : DataFrame
        All of them count.
    identity : tuple of str
        Session id and region: with the event they say which trials are drawn, the same for all corrections.
    parameters : Parameters
        The sections `responses`, `magnitudes` and `trials`.
    """
    traces: dict[str, tuple[Array, Array]] = {}
    unavailable: dict[str, str] = {}
    for name in correction_names(part):
        try:
            trace = trace_of(part, name)
        except CorrectionUnavailable as error:
            unavailable[name] = str(error)
        else:
            traces[name] = np.asarray(trace.index, np.float64), np.asarray(trace, np.float64)
    primary = str(part.attributes["primary"])
    if f"{primary}/fit/motion" in part.datasets:
        times, motion = (
            np.asarray(part.datasets[f"{primary}/fit/{key}"], np.float64) for key in ("motion_times", "motion")
        )
        traces[REFERENCE] = times, motion
    found: dict[str, dict[str, Curve]] = {}
    drawn: dict[str, Array] = {}
    for name, samples in traces.items():
        made = make_responses({0: samples}, trials, parameters)
        if not made:
            break
        own = own_responses(made[0], trials, parameters.responses.events, parameters.magnitudes)
        for place, event in enumerate(own.events):
            if event not in drawn:
                drawn[event] = drawn_trials(len(own.trials), stable_seed(0, (*identity, event)))
            found.setdefault(event, {})[name] = _curve(own.times, own.values[place], drawn[event])
    checks = fired(part)
    words = "none was judged" if checks is None else ", ".join(checks) or "none"
    return Comparison(primary, found, unavailable, words)


def drawn_trials(n: int, seed: int) -> Array:
    """Return how often each trial is drawn in each draw, with replacement.

    Parameters
    ----------
    n : int
        Trials.
    seed : int

    Returns
    -------
    ndarray of float64, (N_DRAWS, n)
    """
    drawn = np.random.default_rng(seed).integers(0, n, (N_DRAWS, n)) + n * np.arange(N_DRAWS)[:, None]
    return np.bincount(drawn.ravel(), minlength=n * N_DRAWS).reshape(N_DRAWS, n).astype(np.float64)


def _curve(times: Array, values: Array, drawn: Array) -> Curve:
    """Return the mean over trials with the interval of its bootstrap."""
    known = np.isfinite(values)
    rows = PERCENT * np.where(known, values, 0.0)
    n = known.sum(axis=0)
    mean, lower, upper = np.full((3, len(times)), np.nan)
    enough = n >= 2
    mean[enough] = rows[:, enough].sum(axis=0) / n[enough]
    totals, counts = drawn @ rows[:, enough], drawn @ known[:, enough].astype(np.float64)
    # a draw can lack all trials that are known at a time; it then says nothing about it
    means = np.divide(totals, counts, out=np.full(totals.shape, np.nan), where=counts > 0)
    whole = np.isfinite(means).all(axis=0)
    edges = np.empty((2, means.shape[1]))
    edges[:, whole] = np.quantile(means[:, whole], _INTERVAL, axis=0)
    edges[:, ~whole] = np.nanquantile(means[:, ~whole], _INTERVAL, axis=0)
    lower[enough], upper[enough] = edges
    return Curve(times, mean, lower, upper, int(known.any(axis=1).sum()))


def comparison_figure(of_regions: Mapping[str, Comparison]) -> Figure:
    """Draw the mean responses of fibres under every stored correction: a row per fibre, a panel per event.

    Parameters
    ----------
    of_regions : mapping of str to Comparison
        By what the fibre is called; at least one.
    """
    n_columns = max(len(comparison.curves) for comparison in of_regions.values()) or 1
    height = _ROW_IN * len(of_regions) + 0.8
    figure = Figure(figsize=(_WIDTH_IN, height))
    grid = figure.add_gridspec(
        len(of_regions),
        n_columns,
        left=0.075,
        right=0.985,
        top=1 - 0.62 / height,
        bottom=0.75 / height,
        hspace=0.6,
        wspace=0.2,
    )
    for row, (region, comparison) in enumerate(of_regions.items()):
        panels = [figure.add_subplot(grid[row, column]) for column in range(n_columns)]
        _title(panels[0], region, comparison)
        _panels(panels, comparison, last=row == len(of_regions) - 1)
    handles = {
        label: handle for axes in figure.axes for handle, label in zip(*axes.get_legend_handles_labels(), strict=True)
    }
    figure.legend(handles.values(), handles, loc="lower center", ncols=6, handlelength=2.8, borderaxespad=0.2)
    return figure


def _title(axes: Axes, region: str, comparison: Comparison) -> None:
    absent = f"; not computed: {', '.join(comparison.unavailable)}" if comparison.unavailable else ""
    words = f"{region}, primary correction {comparison.primary}{absent}; checks that fired: {comparison.checks}"
    axes.annotate(
        textwrap.fill(words, _LINE),
        (0, 1),
        (0, 20),
        xycoords="axes fraction",
        textcoords="offset points",
        fontsize=8,
    )


def _panels(panels: list[Axes], comparison: Comparison, *, last: bool) -> None:
    for axes, (event, curves) in zip(panels, comparison.curves.items(), strict=False):
        axes.axvline(0, color="#8c8c8c", linewidth=0.6)
        axes.axhline(0, color="#8c8c8c", linewidth=0.6)
        for name, curve in curves.items():
            _draw(axes, name, curve)
        n_trials = max(curve.n_trials for curve in curves.values())
        axes.set_title(f"{event_label(event)}, {n_trials} trials", fontsize=8)
        axes.tick_params(labelsize=7)
        axes.set_xlim(*(float(edge) for edge in next(iter(curves.values())).times[[0, -1]]))
        axes.locator_params(axis="x", nbins=5)
        if last:
            axes.set_xlabel("time from event (s)", fontsize=7.5)
    for axes in panels[len(comparison.curves) :]:
        axes.axis("off")
    if comparison.curves:
        panels[0].set_ylabel("dF/F (%)", fontsize=7.5)
        return
    reasons = list(comparison.unavailable.values()) or ["no event is known in enough trials"]
    words = "\n".join(textwrap.fill(reason, _LINE) for reason in reasons)
    # over the whole row, below the title
    panels[0].text(0, 1, words, va="top", fontsize=7.5, color="#404040", parse_math=False)


def _draw(axes: Axes, name: str, curve: Curve) -> None:
    colour, style = _REFERENCE_LOOK if name == REFERENCE else CORRECTIONS.get(name, UNKNOWN_LOOK)
    axes.fill_between(curve.times, curve.lower, curve.upper, color=colour, alpha=0.15, linewidth=0)
    axes.plot(curve.times, curve.mean, linestyle=style, color=colour, linewidth=1.2, label=name)
