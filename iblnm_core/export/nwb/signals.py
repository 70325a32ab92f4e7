"""Photometry of an NWB file: devices, fibres, the table of fibres and lights, and the series that refer to it."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np

from iblnm_core.export.nwb import mapping
from iblnm_core.export.nwb.arrays import column, stored_array
from iblnm_core.export.nwb.content import Array, RawBand, RawPhotometry, SessionContent
from iblnm_core.export.nwb.corrected import corrected_series
from iblnm_core.export.nwb.devices import Devices, add_devices, band_label
from iblnm_core.export.nwb.libraries import nwb_libraries
from iblnm_core.export.nwb.texts import Texts, object_name
from iblnm_core.schemas import QC_PHOTOMETRY


@dataclass(frozen=True)
class TableRow:
    """One row of the table of fibres and lights: places of the fibre and of the band in the recording."""

    fiber: int
    band: int


def add_signals(file: Any, content: SessionContent, texts: Texts) -> None:
    """Add the photometry as far as the session has it.

    Parameters
    ----------
    file : pynwb.NWBFile
    content : SessionContent
    texts : Texts
        Cleans what comes from the source.
    """
    if content.raw is not None:
        devices = add_devices(file, content, content.raw, texts)
        rows = table_rows(content.raw)
        table = _add_table(file, content, content.raw, rows, devices, texts)
        for place, band in enumerate(content.raw.bands):
            file.add_acquisition(_raw_series(content.raw, band, _region(table, rows, place), texts))
        _add_invalid_times(file, content.raw.unsynchronised)
        names = [band.name for band in content.raw.bands]
        signal_band = content.parameters.photometry.signal_band
        if signal_band in names:
            region = partial(_region, table, rows, names.index(signal_band))
            for series in corrected_series(content, content.raw, region, texts):
                _ophys(file).add(series)
    if len(content.quality):
        _ophys(file).add(_quality_table(content, texts))


def table_rows(raw: RawPhotometry) -> list[TableRow]:
    """Return the rows of the table: one per fibre and light, fibre by fibre, lights in their fixed order.

    Parameters
    ----------
    raw : RawPhotometry
    """
    known = {wavelength: place for place, wavelength in enumerate(mapping.WAVELENGTH_ORDER)}
    lights = sorted(range(len(raw.bands)), key=lambda band: known.get(raw.bands[band].wavelength_nm, len(known)))
    return [TableRow(fiber, band) for fiber in range(len(raw.fibers)) for band in lights]


def _region(table: Any, rows: Sequence[TableRow], band: int, fibers: Sequence[int] | None = None) -> Any:
    """Return the rows of a band's columns: those of some fibres, or of all, in this order."""
    chosen = range(max(row.fiber for row in rows) + 1) if fibers is None else fibers
    return table.create_fiber_photometry_table_region(
        region=[rows.index(TableRow(fiber, band)) for fiber in chosen],
        description="fibre and light of each column, in the order of the columns",
    )


def _add_table(
    file: Any, content: SessionContent, raw: RawPhotometry, rows: Sequence[TableRow], devices: Devices, texts: Texts
) -> Any:
    libraries = nwb_libraries()
    fibers, bands = [raw.fibers[row.fiber] for row in rows], [raw.bands[row.band] for row in rows]
    notes = [
        "; ".join(
            (
                ", ".join(filter(None, (texts.clean("target", fiber.label), mapping.SIDES.get(fiber.side, ""))))
                or "target unknown",
                mapping.LIGHT_OF_WAVELENGTH.get(band.wavelength_nm, f"band {texts.clean('band', band.name)}"),
                f"ROI {texts.clean('ROI', fiber.roi)}",
            )
        )
        for fiber, band in zip(fibers, bands, strict=True)
    ]
    table = libraries.fiber.FiberPhotometryTable(
        name="fiber_photometry_table",
        description="One row per fibre and light. Series name their columns by rows of this table.",
        columns=[
            column(
                "location",
                "brain region that the fibre was aimed at",
                [texts.clean("region", f.target) for f in fibers],
            ),
            column(
                "excitation_wavelength_in_nm",
                "wavelength of the light, nm, as the data say",
                np.array([band.wavelength_nm for band in bands]),
            ),
            _emission(content, bands),
            column("indicator", "fluorescent indicator", [devices.indicator] * len(rows)),
            column("optical_fiber", "the fibre", [devices.fibers[row.fiber] for row in rows]),
            column("excitation_source", "the light", [devices.sources[row.band] for row in rows]),
            column("photodetector", "the camera", [devices.detector] * len(rows)),
            column("notes", "target and side; what the light is for; region of interest in the picture", notes),
        ],
    )
    file.add_lab_meta_data(
        libraries.fiber.FiberPhotometry(
            name="fiber_photometry",
            fiber_photometry_table=table,
            fiber_photometry_indicators=libraries.fiber.FiberPhotometryIndicators(indicators=[devices.indicator]),
        )
    )
    return table


def _emission(content: SessionContent, bands: Sequence[RawBand]) -> Any:
    """Return the column that the schema demands; only a rig file can know it."""
    values = np.array([content.rig.light(band.wavelength_nm).get("emission_nm", np.nan) for band in bands], np.float64)
    words = "not recorded" if np.isnan(values).all() else "wavelength of the fluorescence, nm, as the rig file says"
    return column("emission_wavelength_in_nm", words, values)


def _raw_series(raw: RawPhotometry, band: RawBand, region: Any, texts: Texts) -> Any:
    columns = "; ".join(
        f"column {i}: ROI {texts.clean('ROI', fiber.roi)} in {texts.clean('region', fiber.target)}"
        for i, fiber in enumerate(raw.fibers)
    )
    comments = (
        f"All frames of band {texts.clean('band', band.name)}, also those outside the trials. Not exported: the first frame of the "
        f"recording, and {raw.n_other_frames} frames under other lights or several at once."
    )
    if raw.unlocated:
        comments += f" Not exported: {len(raw.unlocated)} regions of interest without brain region."
    return nwb_libraries().fiber.FiberPhotometryResponseSeries(
        name=f"FiberPhotometryResponseSeries{object_name(band_label(band))}",
        description=f"Fluorescence as recorded, mean of a region of interest in the camera's picture. {columns}.",
        comments=comments,
        data=stored_array(band.values),
        timestamps=stored_array(band.times),
        unit="a.u.",
        fiber_photometry_table_region=region,
    )


def _add_invalid_times(file: Any, intervals: Array) -> None:
    """Mark the times outside the synchronised range; none give no table."""
    for start, stop in intervals.tolist():
        file.add_invalid_time_interval(start_time=start, stop_time=stop, tags=["unsynchronised"])


def _ophys(file: Any) -> Any:
    if "ophys" not in file.processing:
        file.create_processing_module("ophys", "Corrected photometry signals and the quality of the recording.")
    return file.processing["ophys"]


def _quality_table(content: SessionContent, texts: Texts) -> Any:
    columns = []
    for known in QC_PHOTOMETRY.columns:
        if known.name == "eid" or known.name not in content.quality:
            continue
        values = content.quality[known.name]
        if not values.notna().any():
            # what was measured for no row is absent, as everywhere in the file
            continue
        description = f"{known.description} [{known.unit}]" if known.unit else known.description
        if known.kind == "text":
            columns.append(column(known.name, description, [texts.clean(known.name, value) for value in values]))
        else:
            columns.append(column(known.name, description, values.to_numpy()))
    return nwb_libraries().table.DynamicTable(
        name="photometry_qc",
        description="Quality of the recording: one row per fibre and band. NaN or an empty text: not measured.",
        columns=columns,
    )
