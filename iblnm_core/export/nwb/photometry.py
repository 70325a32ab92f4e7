"""The extracted photometry signal as recorded: all its frames, and what is known of the fibres."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from iblnm_core.errors import AmbiguousRegionMapping, CorruptDataset
from iblnm_core.export.nwb.content import Array, ExportedFiber, RawBand, RawPhotometry
from iblnm_core.parameters import PhotometryParameters
from iblnm_core.session.datasets import DATASET_NAMES
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.photometry import match_regions, roi_columns
from iblnm_core.vocabulary import TABLE_OF_FIBERS, normalise_region, split_region

if TYPE_CHECKING:
    import pyarrow as pa


def read_photometry(
    inputs: SessionInputs,
    row: Mapping[str, Any],
    fiber_rows: Sequence[Mapping[str, Any]],
    parameters: PhotometryParameters,
) -> RawPhotometry:
    """Read the signal of a session, whatever its rules say.

    Parameters
    ----------
    inputs : SessionInputs
    row : mapping
        Catalogue row.
    fiber_rows : sequence of mapping
        Rows of the subject in the `fibers` table.
    parameters : PhotometryParameters
        Names of the bands.

    Returns
    -------
    RawPhotometry
        Fibres in the order of the catalogue row, or in that of the locations table when they do not match it.

    Raises
    ------
    CorruptDataset
        When the datasets lack what a signal needs.
    MissingRawData, MissingExtractedData
        When they are registered but not to be had.
    """
    names = inputs.columns("signal")
    columns = roi_columns(names)
    missing = [name for name in ("times", "name") if name not in names]
    if missing:
        raise CorruptDataset(
            f"{DATASET_NAMES['signal']}: column {', '.join(missing)} missing; found {', '.join(names)}"
        )
    wanted = ["times", "name", "wavelength", "valid", "include", *columns]
    signal = inputs.table("signal", wanted, dictionary=["name"])
    located = {roi: region for roi, region in _located(inputs.table("locations")).items() if roi in columns}
    if not located:
        raise CorruptDataset(f"{DATASET_NAMES['signal']}: no column has a brain region; found {', '.join(columns)}")
    fibers = _fibers(located, row, fiber_rows)
    bands, n_other = _bands(signal, [fiber.roi for fiber in fibers], parameters)
    if not bands:
        raise CorruptDataset(f"{DATASET_NAMES['signal']}: no frame of the bands {' and '.join(_names(parameters))}")
    unlocated = tuple(column for column in columns if column not in located)
    return RawPhotometry(fibers, bands, _unsynchronised(signal), n_other, unlocated)


def _names(parameters: PhotometryParameters) -> tuple[str, str]:
    return parameters.signal_band, parameters.reference_band


def _located(locations: "pa.Table") -> dict[str, str]:
    """Return the brain region of every region of interest that has one."""
    index = next((name for name in ("ROI", "__index_level_0__") if name in locations.column_names), None)
    if index is None or "brain_region" not in locations.column_names:
        found = ", ".join(locations.column_names) or "none"
        raise CorruptDataset(f"{DATASET_NAMES['locations']}: columns {found}; expected ROI and brain_region")
    pairs = zip(locations.column(index).to_pylist(), locations.column("brain_region").to_pylist(), strict=True)
    regions = {str(roi): normalise_region(str(region or "")) for roi, region in pairs}
    return {roi: region for roi, region in regions.items() if region}


def _fibers(
    located: Mapping[str, str], row: Mapping[str, Any], fiber_rows: Sequence[Mapping[str, Any]]
) -> tuple[ExportedFiber, ...]:
    rois, regions = list(located), list(located.values())
    try:
        places: list[int | None] = list(match_regions(regions, row["brain_region"]))
    except AmbiguousRegionMapping:
        return tuple(_fiber(roi, None, region, row, fiber_rows) for roi, region in located.items())
    named = row["brain_region"] or regions
    by_place = sorted((place, roi) for place, roi in zip(places, rois, strict=True) if place is not None)
    return tuple(_fiber(roi, place, str(named[place]), row, fiber_rows) for place, roi in by_place)


def _fiber(
    roi: str, place: int | None, region: str, row: Mapping[str, Any], fiber_rows: Sequence[Mapping[str, Any]]
) -> ExportedFiber:
    target, suffix = split_region(region)
    side = _at(row, "hemisphere", place) or suffix
    return ExportedFiber(roi, place, target, side, _at(row, "target_NM", place), insertion_of(target, side, fiber_rows))


def _at(row: Mapping[str, Any], column: str, place: int | None) -> Any:
    """Return what a list of the catalogue row says of a fibre; None when it says nothing."""
    values = row[column]
    return values[place] if place is not None and place < len(values) else None


def insertion_of(target: str, side: str, fiber_rows: Sequence[Mapping[str, Any]]) -> Mapping[str, Any] | None:
    """Return the row of an implanted fibre with coordinates that can only be this one; Alyx before the table of fibres.

    Parameters
    ----------
    target, side : str
        Region without side; `l`, `r` or empty.
    fiber_rows : sequence of mapping
        Rows of the subject in the `fibers` table.
    """
    for from_table in (False, True):
        here = [
            fiber
            for fiber in fiber_rows
            if (fiber["source"] == TABLE_OF_FIBERS) == from_table
            and fiber["brain_region"] == target
            and np.isfinite(fiber["entry_ml_um"])
        ]
        if len(here) > 1:
            here = [fiber for fiber in here if fiber["hemisphere"] == side]
        if len(here) == 1:
            return here[0]
    return None


def _bands(
    signal: "pa.Table", rois: Sequence[str], parameters: PhotometryParameters
) -> tuple[tuple[RawBand, ...], int]:
    """Return the configured bands and the number of other frames; the first frame, with all lights on, is none."""
    import pyarrow.compute as pc

    names = pc.fill_null(signal.column("name").cast("string"), "")
    times = _numbers(signal, "times")
    values = np.column_stack([_numbers(signal, roi) for roi in rois])
    wavelengths = _numbers(signal, "wavelength") if "wavelength" in signal.column_names else np.full(len(times), np.nan)
    bands, others = [], np.ones(len(times), bool)
    for name in _names(parameters):
        mask = pc.equal(names, name).to_numpy()[1:]
        others &= ~mask
        if mask.any():
            bands.append(RawBand(name, _only(wavelengths[mask]), times[mask], values[mask]))
    return tuple(bands), int(others.sum())


def _numbers(table: "pa.Table", name: str) -> Array:
    """Return a column but its first row as float64."""
    try:
        return np.asarray(table.column(name).to_numpy()[1:], np.float64)
    except (TypeError, ValueError) as error:
        raise CorruptDataset(
            f"{DATASET_NAMES['signal']}: column {name} is {table.column(name).type}; expected numbers"
        ) from error


def _only(values: Array) -> float:
    """Return the one value that all have; not a number when there are several."""
    found = np.unique(values)
    return float(found[0]) if len(found) == 1 else float("nan")


def _unsynchronised(signal: "pa.Table") -> Array:
    """Return first and last time of every run of frames that the extraction marks as outside the synchronised range."""
    column = next((name for name in ("valid", "include") if name in signal.column_names), None)
    if column is None:
        return np.empty((0, 2))
    times = _numbers(signal, "times")
    first, last = runs(signal.column(column).to_numpy()[1:] == 0)
    return np.column_stack([times[first], times[last]])


def runs(mask: NDArray[np.bool_]) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Return the first and last index of every run of true values.

    Parameters
    ----------
    mask : ndarray of bool, (n,)
    """
    edges = np.diff(np.concatenate([[False], mask, [False]]).astype(np.int8))
    return np.flatnonzero(edges == 1), np.flatnonzero(edges == -1) - 1
