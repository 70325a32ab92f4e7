"""The extracted photometry signal: splitting it into bands, matching fibres to regions, cutting it to the session."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.errors import (
    AmbiguousRegionMapping,
    CorruptDataset,
    DegenerateSignal,
    SignalNotFinite,
    SignalWrongType,
    TrialsNotInPhotometryTime,
)
from iblnm_core.parameters import PhotometryParameters
from iblnm_core.vocabulary import normalise_region, split_region

if TYPE_CHECKING:
    import pyarrow as pa

SIGNAL_NAME = "photometry.signal.pqt"
LOCATIONS_NAME = "photometryROI.locations.pqt"

SIGNAL_COLUMNS: tuple[str, ...] = ("times", "name", "valid", "include")
"""Columns of the signal table that are read beside the ROIs."""

_LARGEST_SAMPLE = 1e12
"""No camera counts that far; squares of what is beyond leave the numbers that a computer has."""

_DARK = {None, "", "None"}


@dataclass(frozen=True)
class Band:
    """One LED's frames: times (n,) float64 in s (session clock), values (n, k) float64, one column per ROI."""

    times: NDArray[np.float64]
    values: NDArray[np.float64]


@dataclass(frozen=True)
class Recording:
    """A photometry recording split into its bands.

    Attributes
    ----------
    rois : tuple of str, k
        Columns of the signal table, in the order of the locations table.
    regions : tuple of str, k
        Their brain regions, in the project's spelling.
    bands : mapping of str to Band
        Signal and reference band; the signal band alone where the other was not recorded.
    n_stray_frames : int
        Frames under some other combination of LEDs.
    n_invalid_samples : int
        Frames that the extraction marks as outside the synchronised range, used or not.
    dark : ndarray of float64, (d, k)
        What the ROIs show while no LED is on.
    """

    rois: tuple[str, ...]
    regions: tuple[str, ...]
    bands: Mapping[str, Band]
    n_stray_frames: int
    n_invalid_samples: int
    dark: NDArray[np.float64] = field(default_factory=lambda: np.empty((0, 0)))
    missing_reference: str | None = None
    """Why there is no reference band."""


def roi_columns(names: Sequence[str]) -> tuple[str, ...]:
    """Return the columns that hold ROIs: all that start with `Region`, otherwise all that start with `R` or `G`."""
    regions = tuple(name for name in names if name.startswith("Region"))
    return regions or tuple(name for name in names if name.startswith(("R", "G")))


def recording_from_tables(
    signal: "pa.Table", locations: "pa.Table", parameters: PhotometryParameters, *, reference_required: bool = True
) -> Recording:
    """Split the signal table into the configured bands.

    Parameters
    ----------
    signal : pyarrow.Table
        One row per frame; the first, with all LEDs on, is left out.
    locations : pyarrow.Table
        One row per ROI: its name (`ROI`) and `brain_region`.
    parameters : PhotometryParameters
    reference_required : bool
        Whether a recording without frame of the reference band is none.

    Raises
    ------
    CorruptDataset
        When columns or rows are missing.
    SignalWrongType
        When a signal column is not float64.
    SignalNotFinite
        When a signal column holds values that are not numbers.
    DegenerateSignal
        When a band that is required has no frame that can be used, or the times of a band do not increase.
    """
    rois, regions = _located_rois(locations)
    _check_signal_columns(signal, rois)
    times = signal.column("times").to_numpy()[1:]
    values = np.column_stack([_roi_values(signal, roi) for roi in rois])[1:]
    codes, names = _band_codes(signal)
    valid = _valid_frames(signal)
    usable = valid if parameters.invalid_frames == "missing" else np.ones(len(times), bool)
    bands, in_bands, missing_reference = {}, np.zeros(len(times), bool), None
    for name in (parameters.signal_band, parameters.reference_band):
        mask = codes == names.index(name) if name in names else np.zeros(len(times), bool)
        if not (mask & usable).any():
            error = _no_frame_of(name, names, int(mask.sum()))
            if reference_required or name == parameters.signal_band:
                raise error
            missing_reference = error.message
            continue
        mask &= usable
        bands[name] = _band(name, times[mask], values[mask])
        in_bands |= mask
    _check_finite(times, values, in_bands, rois, regions)
    dark = np.isin(codes, [index for index, name in enumerate(names) if name in _DARK])
    stray = ~in_bands & ~dark & usable
    counts = int(stray.sum()), int((~valid).sum())
    return Recording(rois, regions, bands, *counts, values[dark & usable], missing_reference)


def _located_rois(locations: "pa.Table") -> tuple[tuple[str, ...], tuple[str, ...]]:
    index = next((name for name in ("ROI", "__index_level_0__") if name in locations.column_names), None)
    if index is None or "brain_region" not in locations.column_names:
        found = ", ".join(locations.column_names) or "none"
        raise CorruptDataset(f"{LOCATIONS_NAME}: columns {found}; expected ROI and brain_region")
    rois = tuple(str(roi) for roi in locations.column(index).to_pylist())
    regions = tuple(normalise_region(str(region or "")) for region in locations.column("brain_region").to_pylist())
    for roi, region in zip(rois, regions, strict=True):
        if not region:
            raise CorruptDataset(f"{LOCATIONS_NAME}: ROI {roi} has no brain region; expected its name")
        if rois.count(roi) > 1:
            raise CorruptDataset(f"{LOCATIONS_NAME}: ROI {roi} is listed {rois.count(roi)} times; expected once")
    if not rois:
        raise CorruptDataset(f"{LOCATIONS_NAME}: 0 rows; expected one per fibre", measured=0, threshold=1)
    return rois, regions


def _check_signal_columns(signal: "pa.Table", rois: Sequence[str]) -> None:
    import pyarrow as pa

    missing = [name for name in ("times", "name", *rois) if name not in signal.column_names]
    if missing:
        found = ", ".join(signal.column_names) or "none"
        raise CorruptDataset(f"{SIGNAL_NAME}: column {', '.join(missing)} missing; found {found}")
    if signal.num_rows < 2:
        raise CorruptDataset(f"{SIGNAL_NAME}: {signal.num_rows} rows; expected one per frame", measured=signal.num_rows)
    for name in ("times", *rois):
        kind = signal.schema.field(name).type
        if kind != pa.float64():
            raise SignalWrongType(
                f"{SIGNAL_NAME}: column {name} is {kind}; expected float64 (double)",
                measured=str(kind),
                threshold="double",
            )


def _roi_values(signal: "pa.Table", roi: str) -> NDArray[np.float64]:
    values: NDArray[np.float64] = signal.column(roi).to_numpy()
    return values


def _band_codes(signal: "pa.Table") -> tuple[NDArray[np.int64], list[str | None]]:
    """Return the band of each frame but the first as a code, and the names of the codes."""
    import pyarrow as pa

    column = signal.column("name").combine_chunks()
    if not pa.types.is_dictionary(column.type):
        column = column.dictionary_encode()
    names: list[str | None] = [*column.dictionary.to_pylist(), None]
    codes = column.indices.fill_null(len(names) - 1).to_numpy().astype(np.int64)
    return codes[1:], names


def _no_frame_of(band: str, names: Sequence[str | None], n_invalid: int) -> DegenerateSignal:
    found = ", ".join(str(name) for name in names if name not in _DARK) or "none"
    if n_invalid:
        return DegenerateSignal(
            f"{SIGNAL_NAME}: all {n_invalid} frames of band {band} are marked as outside the synchronised range",
            measured=n_invalid,
            threshold=0,
        )
    return DegenerateSignal(f"{SIGNAL_NAME}: no frame of band {band}; found {found}", measured=found, threshold=band)


def _band(name: str, times: NDArray[np.float64], values: NDArray[np.float64]) -> Band:
    backwards = np.flatnonzero(~(np.diff(times) > 0))
    if backwards.size:
        at = times[backwards[0]]
        raise DegenerateSignal(
            f"{SIGNAL_NAME}: times of band {name} do not increase after {at:.3f} s ({backwards.size} times in all)",
            measured=int(backwards.size),
            threshold=0,
        )
    return Band(times, values)


def _check_finite(
    times: NDArray[np.float64],
    values: NDArray[np.float64],
    in_bands: NDArray[np.bool_],
    rois: Sequence[str],
    regions: Sequence[str],
) -> None:
    bad = ~(np.abs(values) <= _LARGEST_SAMPLE) & in_bands[:, None]
    problems = []
    for column in np.flatnonzero(bad.any(axis=0)).tolist():
        at = times[bad[:, column]]
        finite = np.isfinite(values[bad[:, column], column]).any()
        what = f"not finite or beyond {_LARGEST_SAMPLE:g}" if finite else "not finite"
        problems.append(
            f"ROI {rois[column]} ({regions[column]}): {len(at)} samples {what} between {at[0]:.3f} s and {at[-1]:.3f} s"
        )
    if problems:
        raise SignalNotFinite(
            f"{SIGNAL_NAME}: {'; '.join(problems)}; expected numbers", measured=int(bad.sum()), threshold=0
        )


def _valid_frames(signal: "pa.Table") -> NDArray[np.bool_]:
    """Return which frames but the first lie in the synchronised range; older extractions name the column otherwise."""
    column = next((name for name in ("valid", "include") if name in signal.column_names), None)
    if column is None:
        return np.ones(signal.num_rows - 1, bool)
    valid: NDArray[np.bool_] = signal.column(column).to_numpy()[1:] != 0
    return valid


def match_regions(columns: Sequence[str], regions: Sequence[str]) -> tuple[int, ...]:
    """Return, for each signal column, the position of its brain region in the session's list.

    A column matches regions of the same name, or else those of the only name that adds a hemisphere to it. Fibres in
    regions of one name are taken in their order. See `docs/methods/raw_quality.md`.

    Parameters
    ----------
    columns : sequence of str
        Regions of the signal columns.
    regions : sequence of str
        Regions of the catalogue row; when empty, the columns stand for themselves.

    Returns
    -------
    tuple of int
        As long as `columns`, each position at most once.

    Raises
    ------
    AmbiguousRegionMapping
        When a column matches no name or several, or more columns match a name than the session has fibres there.
    """
    if not regions:
        return tuple(range(len(columns)))
    names = [normalise_region(region) for region in regions]
    matched: list[int] = []
    for column in columns:
        name = _only_match(normalise_region(column), column, names)
        free = [index for index, other in enumerate(names) if other == name and index not in matched]
        if not free:
            raise AmbiguousRegionMapping(
                f"Photometry column '{column}' has no match in brain_region {names} that other columns have not taken",
                measured=0,
                threshold=1,
            )
        matched.append(free[0])
    return tuple(matched)


def _only_match(region: str, column: str, names: Sequence[str]) -> str:
    """Return the one name that a column's region stands for."""
    if region in names:
        return region
    with_side = [name for name in dict.fromkeys(names) if split_region(name)[0] == region]
    if len(with_side) != 1:
        problem = (
            f"matches multiple entries in brain_region {list(names)}: {with_side}"
            if with_side
            else f"has no match in brain_region {list(names)}"
        )
        raise AmbiguousRegionMapping(f"Photometry column '{column}' {problem}", measured=len(with_side), threshold=1)
    return with_side[0]


def restrict_to_session(recording: Recording, trials: pd.DataFrame, parameters: PhotometryParameters) -> Recording:
    """Cut both bands to the session with a margin on either side, bounds excluded.

    See `docs/methods/raw_quality.md`. Bands may come out empty: `check_trials_inside` judges what is left.

    Parameters
    ----------
    recording : Recording
    trials : DataFrame
        Columns `intervals_0` and `intervals_1`: start and end of each trial, s, session clock.
    parameters : PhotometryParameters

    Returns
    -------
    Recording

    Raises
    ------
    TrialsNotInPhotometryTime
        When start or end of the session is unknown.
    """
    if parameters.session_bounds == "finite_extremes":
        first, last = trials["intervals_0"].min(), trials["intervals_1"].max()
    else:
        first, last = trials["intervals_0"].iloc[0], trials["intervals_1"].iloc[-1]
    if not (np.isfinite(first) and np.isfinite(last)):
        raise _outside(first, last, recording.bands[parameters.signal_band].times)
    low, high = first - parameters.seconds_before_first_trial, last + parameters.seconds_after_last_trial
    bands = {}
    for name, band in recording.bands.items():
        inside = slice(np.searchsorted(band.times, low, "right"), np.searchsorted(band.times, high, "left"))
        bands[name] = Band(band.times[inside], band.values[inside])
    if parameters.band_pairing == "position":
        n = min(len(band.times) for band in bands.values())
        bands = {name: Band(band.times[:n], band.values[:n]) for name, band in bands.items()}
    return replace(recording, bands=bands)


def check_trials_inside(recording: Recording, trials: pd.DataFrame, parameters: PhotometryParameters) -> None:
    """Require that the signal covers all trials, from the first stimulus to the last feedback.

    Raises
    ------
    TrialsNotInPhotometryTime
    """
    times = recording.bands[parameters.signal_band].times
    first, last = trials["stimOn_times"].min(), trials["feedback_times"].max()
    # a comparison with not-a-number is false: unknown times are not inside
    if not (len(times) and first >= times[0] and last <= times[-1]):
        raise _outside(first, last, times)


def _outside(first: float, last: float, times: NDArray[np.float64]) -> TrialsNotInPhotometryTime:
    start, end = (times[0], times[-1]) if len(times) else (np.nan, np.nan)
    return TrialsNotInPhotometryTime(
        f"Trials [{first:.1f}, {last:.1f}] outside photometry [{start:.1f}, {end:.1f}]",
        measured=f"{first:.1f}, {last:.1f}",
        threshold=f"{start:.1f}, {end:.1f}",
    )
