"""Lights, camera, fibres and indicator of an NWB file: what is known of them, and nothing else."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from iblnm_core.export.nwb import mapping
from iblnm_core.export.nwb.content import ExportedFiber, RawBand, RawPhotometry, SessionContent
from iblnm_core.export.nwb.libraries import nwb_libraries
from iblnm_core.export.nwb.texts import Texts, object_name, unique_names
from iblnm_core.vocabulary import MIDLINE_REGIONS, TABLE_OF_FIBERS


@dataclass(frozen=True)
class Devices:
    """Objects of a file that rows of the table of fibres and lights refer to.

    Attributes
    ----------
    sources : sequence of ExcitationSource
        By band.
    fibers : sequence of OpticalFiber
        By fibre.
    detector : Photodetector
    indicator : Indicator
    """

    sources: Sequence[Any]
    fibers: Sequence[Any]
    detector: Any
    indicator: Any


def add_devices(file: Any, content: SessionContent, raw: RawPhotometry, texts: Texts) -> Devices:
    """Add the devices of a recording to a file.

    Parameters
    ----------
    file : pynwb.NWBFile
    content : SessionContent
    raw : RawPhotometry
    texts : Texts
        Cleans what comes from the source.

    Returns
    -------
    Devices
    """
    ophys = nwb_libraries().ophys
    known = _cleaned({"manufacturer": mapping.MANUFACTURER, "detector_type": "camera"}, content.rig.detector, texts)
    camera = ophys.PhotodetectorModel(
        name="neurophotometrics_camera", description="Camera of the photometry system.", **known
    )
    detector = ophys.Photodetector(
        name="photodetector",
        description="One camera sees all fibres under all lights; a fibre is a region of interest of its picture.",
        model=camera,
    )
    file.add_device_model(camera)
    file.add_device(detector)
    sources = [_source(file, band, content.rig.light(band.wavelength_nm), texts) for band in raw.bands]
    names = unique_names([f"optical_fiber_{fiber.roi}" for fiber in raw.fibers])
    model = _fiber_model(file, content.rig.fibre, texts)
    fibers = [_fiber(name, fiber, model, texts) for name, fiber in zip(names, raw.fibers, strict=True)]
    for fiber in fibers:
        file.add_device(fiber)
    return Devices(sources, fibers, detector, _indicator(content.row, texts))


def band_label(band: RawBand) -> str:
    """Return what a band is called in names: its wavelength, or its name in the data when the wavelength is unknown."""
    return f"{band.wavelength_nm:g}nm" if np.isfinite(band.wavelength_nm) else band.name


def _cleaned(defaults: Mapping[str, str], facts: Mapping[str, Any], texts: Texts) -> dict[str, Any]:
    """Return fields of a model of a device: texts of the rig file before what is known of every rig."""
    given = {name: texts.clean("rig file", value) for name, value in facts.items() if isinstance(value, str)}
    return {**defaults, **given}


def _fiber_model(file: Any, facts: Mapping[str, Any], texts: Texts) -> Any:
    """Return the model of the fibres; None when the rig file does not tell it."""
    if not facts:
        return None
    fields = _cleaned({}, facts, texts) | {"numerical_aperture": facts["numerical_aperture"]}
    if "core_diameter_um" in facts:
        fields["core_diameter_in_um"] = facts["core_diameter_um"]
    model = nwb_libraries().ophys.OpticalFiberModel(name="optical_fiber_model", **fields)
    file.add_device_model(model)
    return model


def _source(file: Any, band: RawBand, facts: Mapping[str, Any], texts: Texts) -> Any:
    ophys = nwb_libraries().ophys
    known, label = np.isfinite(band.wavelength_nm), object_name(band_label(band))
    model = ophys.ExcitationSourceModel(
        name=f"neurophotometrics_led_{label}",
        description="LED of the photometry system.",
        source_type="LED",
        excitation_mode="one-photon",
        **_cleaned({"manufacturer": mapping.MANUFACTURER}, facts, texts),
    )
    light = f"Light of {band.wavelength_nm:g} nm" if known else f"Light of band {texts.clean('band', band.name)}"
    source = ophys.ExcitationSource(
        name=f"excitation_source_{label}",
        description=f"{light}. The lights take turns, one camera frame each.",
        model=model,
        power_in_W=facts["power_mw"] / 1000 if "power_mw" in facts else None,
    )
    file.add_device_model(model)
    file.add_device(source)
    return source


def _fiber(name: str, fiber: ExportedFiber, model: Any, texts: Texts) -> Any:
    ophys = nwb_libraries().ophys
    description = (
        f"ROI {texts.clean('ROI', fiber.roi)}, aimed at {texts.clean('region', fiber.target)}, {_side(fiber)}."
    )
    return ophys.OpticalFiber(
        name=name,
        description=" ".join((description, *_words(fiber, texts))),
        fiber_insertion=ophys.FiberInsertion(**_insertion(fiber, texts)),
        model=model,
    )


def _side(fiber: ExportedFiber) -> str:
    if fiber.side in mapping.SIDES:
        return f"{mapping.SIDES[fiber.side]} hemisphere"
    return "on the midline" if fiber.target in MIDLINE_REGIONS else "side unknown"


def _insertion(fiber: ExportedFiber, texts: Texts) -> dict[str, Any]:
    """Return the fields of an insertion that are known; lateral coordinates are positive on the right, as in the catalogue."""
    fields: dict[str, Any] = {}
    if fiber.side in mapping.SIDES:
        fields["hemisphere"] = mapping.SIDES[fiber.side]
    if fiber.insertion is None:
        return fields
    row = fiber.insertion
    millimetres = {
        "insertion_position_ap_in_mm": row["entry_ap_um"] / 1000,
        "insertion_position_ml_in_mm": row["entry_ml_um"] / 1000,
        "insertion_position_dv_in_mm": row["entry_dv_um"] / 1000,
        "depth_in_mm": row["depth_um"] / 1000,
    }
    fields |= {name: float(value) for name, value in millimetres.items() if np.isfinite(value)}
    coordinates = "Bregma" if row["source"] == TABLE_OF_FIBERS else "Bregma, IBL-Allen coordinates"
    provenance = texts.optional("provenance of a fibre", row["provenance"])
    fields["position_reference"] = f"{coordinates}; provenance: {provenance}" if provenance else coordinates
    return fields


def _words(fiber: ExportedFiber, texts: Texts) -> list[str]:
    """Return what is known of a fibre and has no field of its own."""
    if fiber.insertion is None:
        return []
    row, words = fiber.insertion, []
    name = texts.optional("name of a fibre", row["fiber"])
    if name and row["source"] != TABLE_OF_FIBERS:
        words.append(f"Named {name}.")
    if np.isfinite(row["theta_deg"]) and np.isfinite(row["phi_deg"]):
        words.append(
            f"Polar angle from the vertical {row['theta_deg']:g} degrees, azimuth {row['phi_deg']:g} degrees in the frame of the source."
        )
    words += _conflict(fiber, row)
    return words


def _conflict(fiber: ExportedFiber, row: Mapping[str, Any]) -> list[str]:
    lateral = float(row["entry_ml_um"])
    by_sign = "r" if lateral > 0 else "l" if lateral < 0 else fiber.side
    if fiber.side not in mapping.SIDES or by_sign == fiber.side:
        return []
    return [
        f"Records disagree: the session says {mapping.SIDES[fiber.side]}, the coordinates lie on the {mapping.SIDES[by_sign]}."
    ]


def _indicator(row: Mapping[str, Any], texts: Texts) -> Any:
    """Return the indicator that the mouse's line expresses; its label is `unknown` for a line that names none, or several."""
    genetics = " ".join(str(row[name] or "") for name in ("line", "strain"))
    labels = {label for allele, label in mapping.INDICATORS.items() if allele in genetics}
    (label,) = labels if len(labels) == 1 else (mapping.UNKNOWN,)
    line = texts.optional("line", row["line"]) or texts.optional("strain", row["strain"])
    known = f"Expressed by the line {line}; transgenic, no virus."
    return nwb_libraries().ophys.Indicator(
        name=f"indicator_{label}",
        label=label,
        description=known if label != mapping.UNKNOWN else "The line of the mouse does not tell the indicator.",
    )
