"""The advisory checks on diagnostics, as data: name, measure, threshold, when it fires. Nothing is measured here."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

from iblnm_core.corrections.diagnostics import Diagnostics, EventReference
from iblnm_core.errors import (
    BaselineRebound,
    DegenerateDenominator,
    EventLockedReference,
    FitMethodSensitive,
    FlatSteps,
    LowReferenceCorrelation,
    LowSignalToNoise,
    MaskedSamples,
    NegativeReferenceSlope,
    NoisyReference,
    ReferenceContaminated,
    ResidualBleaching,
    ResidualReference,
    SessionError,
    StrongBleaching,
)

Scope = Literal["fibre", "correction", "event"]
Values = Mapping[str, float]

_SHARED = 0.1
"""Least correlation of the bands, absolute, for a slope to mean anything."""


@dataclass(frozen=True)
class Check:
    """An advisory check.

    Attributes
    ----------
    error : type of SessionError
    measure : str
        The value that is reported.
    threshold : float
        What it is held against.
    scope : {'fibre', 'correction', 'event'}
        What it is asked of.
    fires : callable
        Whether it holds, of all values of that scope; values that are not numbers never fire.
    sentence : str
        What it means to a reader.
    """

    error: type[SessionError]
    measure: str
    threshold: float
    scope: Scope
    fires: Callable[[Values], bool]
    sentence: str

    @property
    def name(self) -> str:
        """Return the name of the error."""
        return self.error.__name__


@dataclass(frozen=True)
class Finding:
    """A check that fired.

    Attributes
    ----------
    check : Check
    value : float
    of : str or None
        The correction or the event, for checks that are asked of one.
    """

    check: Check
    value: float
    of: str | None


def _shared(values: Values) -> bool:
    return abs(values["reference_r"]) >= _SHARED


CHECKS: tuple[Check, ...] = (
    Check(
        LowReferenceCorrelation,
        "reference_r",
        _SHARED,
        "fibre",
        lambda v: abs(v["reference_r"]) < _SHARED,
        "nothing shared to remove: the correction is harmless and useless",
    ),
    Check(
        NegativeReferenceSlope,
        "slope",
        0.0,
        "fibre",
        lambda v: v["slope"] < 0 and _shared(v),
        "the reference moves against the signal and is not subtracted",
    ),
    Check(
        FitMethodSensitive,
        "slope_disagreement",
        0.25,
        "fibre",
        lambda v: v["slope_disagreement"] > 0.25 and _shared(v),
        "the slope rests on few samples or on neural events",
    ),
    Check(
        NoisyReference,
        "slope_attenuation",
        0.3,
        "fibre",
        lambda v: v["slope_attenuation"] < 0.3 and _shared(v),
        "the reference is mostly noise: subtract only what is below 1 Hz",
    ),
    Check(
        EventLockedReference,
        "t",
        5.0,
        "event",
        lambda v: abs(v["t"]) >= 5 and v["share"] >= 0.2,
        "the reference itself responds to the event: look at its response under other corrections too",
    ),
    Check(
        ReferenceContaminated,
        "bleed",
        0.15,
        "fibre",
        lambda v: (
            abs(v["bleed"]) >= 0.15 and abs(v["bleed_z"]) >= 5 and v["bleed_n"] >= 30 and v["slope_attenuation"] >= 0.4
        ),
        "calcium or its inverse is in the reference: amplitudes are off by about slope times bleed",
    ),
    Check(
        ResidualReference,
        "residual_r",
        0.15,
        "correction",
        lambda v: abs(v["residual_r"]) > 0.15,
        "this correction left reference in the trace, or put its inverse there",
    ),
    Check(
        ResidualBleaching,
        "trend_ratio",
        1.0,
        "fibre",
        lambda v: abs(v["trend_ratio"]) > 1,
        "the level is not comparable over the session, or it is genuinely tonic",
    ),
    Check(
        BaselineRebound,
        "rebound",
        0.5,
        "fibre",
        lambda v: v["rebound"] > 0.5,
        "fluorescence recovered: methods that only know decay would be wrong",
    ),
    Check(
        LowSignalToNoise,
        "snr",
        2.0,
        "fibre",
        lambda v: v["snr"] < 2,
        "no visible activity: transients and z-scored amplitudes are noise",
    ),
    Check(
        FlatSteps,
        "flat_share",
        0.01,
        "fibre",
        lambda v: v["flat_share"] > 0.01,
        "many samples equal the one before: coarse or repeated values",
    ),
    Check(
        MaskedSamples,
        "masked_share",
        0.05,
        "fibre",
        lambda v: v["masked_share"] > 0.05 or v["longest_gap_s"] > 10,
        "much of the recording, or a long stretch of it, is masked",
    ),
    Check(
        DegenerateDenominator,
        "denominator_ratio",
        0.2,
        "correction",
        lambda v: v["denominator_ratio"] <= 0.2,
        "what the signal is divided by comes close to zero",
    ),
    Check(
        StrongBleaching,
        "bleaching_share",
        0.6,
        "fibre",
        lambda v: v["bleaching_share"] > 0.6,
        "the signal-to-noise ratio falls over the session",
    ),
)
"""All checks that need diagnostics only; none of them blocks anything."""


def findings(diagnostics: Diagnostics) -> list[Finding]:
    """Return the checks that fire.

    Parameters
    ----------
    diagnostics : Diagnostics
    """
    return [finding for check in CHECKS for finding in _of_check(check, diagnostics)]


def _of_check(check: Check, diagnostics: Diagnostics) -> Iterator[Finding]:
    for name, values in _asked(check.scope, diagnostics):
        # a fibre without reference has no measures of it
        if check.measure in values and check.fires(values):
            yield Finding(check, values[check.measure], name)


def _asked(scope: Scope, diagnostics: Diagnostics) -> Iterator[tuple[str | None, Values]]:
    if scope == "fibre":
        yield None, diagnostics.measures
    elif scope == "correction":
        yield from diagnostics.of_corrections.items()
    else:
        yield from ((name, _values(found)) for name, found in diagnostics.events.items())


def _values(found: EventReference) -> Values:
    return {"t": found.t, "share": found.share}
