"""Named corrections of one fibre as a session has them: all that are stored, on one regular grid, and the one that all else is made from."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from iblnm_core.correction_parameters import CorrectionParameters
from iblnm_core.corrections.checks import Check, findings
from iblnm_core.corrections.compute import correct
from iblnm_core.corrections.dark import DarkOffset, dark_offset
from iblnm_core.corrections.diagnostics import Diagnostics, diagnose
from iblnm_core.corrections.recipes import recipe
from iblnm_core.corrections.result import Corrected
from iblnm_core.corrections.traces import Traces, bits_at, prepare
from iblnm_core.errors import CorrectionError, DarkOffsetImplausible, DegenerateSignal, MissingReference, SessionError
from iblnm_core.parameters import Parameters, PreprocessingParameters
from iblnm_core.session.exclusions import Exclusions
from iblnm_core.session.preprocessing import PreprocessedSignal, check_processable, on_grid, regular_grid

Array = NDArray[np.float64]
BandSamples = tuple[Array, Array]
"""Times (n,), s, session clock, and values (n,), camera units, of one band of one fibre."""

WITHOUT_REFERENCE = "no_reference"
"""What stands in for a primary correction that needs a reference band, where there is none."""

_DIAGNOSED = "robust"
_ERRORS = {kind.__name__: kind for kind in CorrectionError.__subclasses__()}


@dataclass(frozen=True)
class FiberCorrections:
    """The corrections of one fibre.

    Attributes
    ----------
    primary : str
        The correction that everything else is made from.
    results : mapping of str to Corrected
        By correction, also of those that could not be computed; the one that the parameters call primary first.
    grid : ndarray of float64, (m,)
        s, session clock, regular; one axis for all.
    traces : mapping of str to ndarray of float64, (m,)
        Relative change on the grid, of the corrections that could be computed; not a number inside long gaps.
    mask : ndarray of uint8, (m,)
        Sums of `masks.Bit`: of all samples next to a point of the grid.
    dark : tuple of DarkOffset
        Of signal and reference.
    diagnostics : Diagnostics or None
        None where there is nothing to diagnose.
    iso_correlation : float
        Share of the signal's variance that a line on the isosbestic band explains, all frequencies.
    sampling_rate_hz : float
    """

    primary: str
    results: Mapping[str, Corrected]
    grid: Array
    traces: Mapping[str, Array]
    mask: NDArray[np.uint8]
    dark: tuple[DarkOffset, DarkOffset]
    diagnostics: Diagnostics | None
    iso_correlation: float
    sampling_rate_hz: float

    @property
    def signal(self) -> PreprocessedSignal | None:
        """Return the primary one, z-scored; None where it could not be computed."""
        result = self.results[self.primary]
        if result.status != "ok":
            return None
        trace = self.traces[self.primary]
        return _z_scored(self.grid, trace, result, self.sampling_rate_hz, self.iso_correlation)


def correct_fiber(
    signal: BandSamples,
    reference: BandSamples | None,
    parameters: Parameters,
    dark_frames: Array | None = None,
    events: Mapping[str, Array] | None = None,
    exclusions: Exclusions | None = None,
) -> FiberCorrections:
    """Compute the corrections of one fibre.

    See `docs/methods/corrections.md`.

    Parameters
    ----------
    signal, reference : tuple of ndarray
        Times and values of the bands; the reference may be missing.
    parameters : Parameters
        The sections `corrections`, `preprocessing` and `photometry`.
    dark_frames : ndarray of float64, (d,), optional
        What the fibre shows while no LED is on, camera units.
    events : mapping of str to ndarray of float64, optional
        Times of the events that are analysed, s, session clock.
    exclusions : Exclusions, optional
        What a person marked. The correction `reference` knows nothing of it: it is of all samples, as it is published.

    Returns
    -------
    FiberCorrections
    """
    marked = exclusions or Exclusions()
    preprocessing, by_position = parameters.preprocessing, parameters.photometry.band_pairing == "position"
    dark = tuple(_dark(band, parameters.corrections, dark_frames) for band in (signal, reference))
    plain = _unmasked(signal, reference, dark[0].value, dark[1].value, by_position=by_position)
    paired = None if reference is None else (signal[0] if by_position else reference[0], reference[1])
    masked = prepare(
        *signal,
        *(paired or (None, None)),
        dark=(dark[0], dark[1]),
        manual=marked.intervals_s,
        steps_s=marked.steps_s,
    )

    def computed(name: str) -> Corrected:
        # `reference` is of all samples, whatever they are, as it is published
        return correct(plain if name == "reference" else masked, recipe(name, preprocessing))

    names = parameters.corrections.names
    results = {name: computed(name) for name in names}
    primary = names[0]
    if results[primary].reason == MissingReference.__name__:
        primary = WITHOUT_REFERENCE
        results.setdefault(primary, computed(primary))
    diagnosed = _DIAGNOSED if masked.reference is not None else WITHOUT_REFERENCE
    base = results[diagnosed] if diagnosed in results else computed(diagnosed)
    usual = results["reference"] if "reference" in results else computed("reference")
    grid = regular_grid(signal[0], preprocessing.sampling_rate_hz)
    return FiberCorrections(
        primary,
        results,
        grid,
        {name: _gridded(grid, result, preprocessing) for name, result in results.items() if result.status == "ok"},
        bits_at(grid, masked.times, masked.output_mask),
        (dark[0], dark[1]),
        diagnose(masked, base, results, events or {}) if base.status == "ok" else None,
        _explained(usual),
        preprocessing.sampling_rate_hz,
    )


def correction_errors(found: Mapping[str, FiberCorrections]) -> list[SessionError]:
    """Return what is to be said about the corrections of a session: one error per check, whatever it is asked of.

    Parameters
    ----------
    found : mapping of str to FiberCorrections
        By name of the fibre.
    """
    errors: list[SessionError] = []
    fired: dict[Check, list[tuple[str, float]]] = {}
    for name, fiber in found.items():
        errors += _failures(fiber, name)
        for finding in findings(fiber.diagnostics) if fiber.diagnostics is not None else ():
            about = name if finding.of is None else f"{name} {finding.of}"
            fired.setdefault(finding.check, []).append((about, finding.value))
    for check, places in fired.items():
        values = ", ".join(f"{about} {value:.3g}" for about, value in places)
        errors.append(
            check.error(
                f"{check.measure}: {values}; {check.sentence}",
                measured=max((value for _, value in places), key=abs),
                threshold=check.threshold,
            )
        )
    return errors


def _failures(fiber: FiberCorrections, name: str) -> Iterator[SessionError]:
    """Yield what could not be computed of one fibre."""
    wanted = next(iter(fiber.results))
    for result in fiber.results.values():
        if result.reason is not None:
            replaced = result.name == wanted != fiber.primary and fiber.results[fiber.primary].status == "ok"
            instead = f"; {fiber.primary} is used instead" if replaced else ""
            yield _ERRORS[result.reason](f"{name}: {result.name} {result.status}: {result.message}{instead}")
    if any(offset.source == "refused" for offset in fiber.dark):
        yield DarkOffsetImplausible(
            f"{name}: the dark offset would leave less than a fifth of the signal; none is used"
        )


def preprocess(
    signal_times: Array,
    signal: Array,
    reference_times: Array,
    reference: Array,
    parameters: PreprocessingParameters,
    band_pairing: Literal["time", "position"],
    names: tuple[str, str] = ("signal", "reference"),
) -> PreprocessedSignal:
    """Correct a signal as the correction `reference` does: for bleaching and for what it shares with the reference band.

    See `docs/methods/preprocessing.md`.

    Parameters
    ----------
    signal_times, signal : ndarray of float64, (n,)
        s, session clock; camera units.
    reference_times, reference : ndarray of float64, (r,)
        Likewise for the reference band; paired by position it must have n samples too.
    parameters : PreprocessingParameters
    band_pairing : {'time', 'position'}
        Whether the reference is interpolated at the signal's times or taken sample by sample.
    names : tuple of str
        What the two bands are called in messages.

    Raises
    ------
    DegenerateSignal
        When either band is too short or constant, its times do not increase, its slow course is not positive, or
        nothing that varies is left after correction.
    """
    check_processable(names[0], signal_times, signal, parameters)
    check_processable(names[1], reference_times, reference, parameters)
    bands = (signal_times, signal), (reference_times, reference)
    result = correct(_unmasked(*bands, by_position=band_pairing == "position"), recipe("reference", parameters))
    if result.status != "ok":
        raise DegenerateSignal(f"{names[0]} band: {result.message}", measured=result.reason)
    grid = regular_grid(signal_times, parameters.sampling_rate_hz)
    trace = _gridded(grid, result, parameters)
    return _z_scored(grid, trace, result, parameters.sampling_rate_hz, _explained(result))


def _z_scored(
    grid: Array, trace: Array, result: Corrected, sampling_rate_hz: float, iso_correlation: float
) -> PreprocessedSignal:
    slope, intercept = (np.nan if value is None else value for value in (result.fit.slope, result.fit.intercept))
    values = (trace - result.mean) / result.sd
    return PreprocessedSignal(
        grid, values, sampling_rate_hz, slope, intercept, iso_correlation, result.mean, result.sd, result.name
    )


def _explained(usual: Corrected) -> float:
    """Return the share of the signal's variance that `reference` explains by the isosbestic band."""
    return np.nan if usual.fit.reference_r is None else usual.fit.reference_r**2


def _dark(band: BandSamples | None, parameters: CorrectionParameters, frames: Array | None) -> DarkOffset:
    if band is None or parameters.dark == "none":
        return DarkOffset(0.0, "none")
    return dark_offset(band[1], frames if parameters.dark == "measured" else None)


def _unmasked(
    signal: BandSamples,
    reference: BandSamples | None,
    dark: float = 0.0,
    reference_dark: float = 0.0,
    *,
    by_position: bool,
) -> Traces:
    times, values = signal[0], signal[1] - dark
    mask = np.zeros(len(times), np.uint8)
    if reference is None:
        return Traces(times, values, None, mask)
    own = reference[0], reference[1] - reference_dark
    paired_at = own[0] if by_position else times
    return Traces(times, values, np.interp(paired_at, *own), mask, own_reference=own, paired_at=paired_at)


def _gridded(grid: Array, result: Corrected, parameters: PreprocessingParameters) -> Array:
    known = np.isfinite(result.dff)
    return on_grid(grid, result.times[known], result.dff[known], parameters.longest_bridged_gap_s)
