"""What lies where in a session file of the named corrections: arrays, fits, attributes, diagnostics."""

import dataclasses
import json
from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.corrections.normalisation import UNITS, Unit
from iblnm_core.corrections.result import Corrected
from iblnm_core.errors import CorrectionUnavailable, UnknownCorrection, UnknownOption
from iblnm_core.session.correcting import FiberCorrections
from iblnm_core.storage.hdf5 import Values
from iblnm_core.storage.session_file import Part, SessionFile

Array = NDArray[np.float64]

_FIT_ATTRIBUTES = ("slope", "intercept", "slope_clipped", "slope_ols", "iterations", "rebound", "denominator_ratio")
_EVENT_REFERENCE = "event_reference/"
_NUMBERS = ("mean", "sd", "median", "mad_sd", "noise_sd")
_COUNTS = ("n_samples", "n_masked")
_CENTRES: Mapping[Unit, tuple[str, str]] = {
    "z": ("mean", "sd"),
    "z_mad": ("median", "mad_sd"),
    "noise": ("median", "noise_sd"),
}


def corrections_part(fiber_idx: int, found: FiberCorrections) -> Part:
    """Return the part of the corrections of one fibre.

    Parameters
    ----------
    fiber_idx : int
    found : FiberCorrections
    """
    datasets: dict[str, Values] = {"times": found.grid, "mask": found.mask}
    attributes: dict[str, Any] = {
        "fiber_idx": fiber_idx,
        "fs": round(found.sampling_rate_hz),
        "primary": found.primary,
        "names": list(found.results),
        "dark_signal": found.dark[0].value,
        "dark_reference": found.dark[1].value,
        "dark_source": found.dark[0].source,
        "dark_source_reference": found.dark[1].source,
    }
    axes: list[Array] = []
    for name, result in found.results.items():
        attributes |= {f"{name}/{key}": value for key, value in _attributes(result, found).items()}
        if result.status == "ok":
            datasets[f"{name}/dff"] = found.traces[name].astype(np.float32)
            datasets |= {f"{name}/fit/{key}": values for key, values in _fit(result, axes).items()}
    if found.diagnostics is not None:
        attributes |= {f"diagnostics/{name}": value for name, value in found.diagnostics.measures.items()}
        events = found.diagnostics.events
        datasets[f"{_EVENT_REFERENCE}event"] = list(events)
        for column, dtype in (("t", np.float64), ("share", np.float64), ("n", np.int64)):
            datasets[f"{_EVENT_REFERENCE}{column}"] = np.array([getattr(e, column) for e in events.values()], dtype)
    rows = tuple(name for name in datasets if name.startswith(_EVENT_REFERENCE))
    return Part(datasets, attributes, rows)


def _attributes(result: Corrected, found: FiberCorrections) -> dict[str, Any]:
    """Return what is to be known of one correction beside its arrays."""
    steps = [{"step": type(step).__name__, **dataclasses.asdict(step)} for step in result.correction.steps]
    measures = {} if found.diagnostics is None else found.diagnostics.of_corrections.get(result.name, {})
    return {
        "status": result.status,
        "reason": result.reason,
        "message": result.message,
        "steps": json.dumps(steps),
        **{name: getattr(result.fit, name) for name in _FIT_ATTRIBUTES},
        **{name: getattr(result, name) for name in (*_NUMBERS, *_COUNTS)},
        "residual_r": measures.get("residual_r", np.nan),
    }


def _fit(result: Corrected, axes: list[Array]) -> dict[str, Values]:
    """Return the arrays of a fit; times that several corrections share are one array, which is stored once."""
    fit = result.fit
    arrays: dict[str, Values] = {}
    for name, times in (("times", fit.baseline_times), ("motion_times", fit.motion_times)):
        if times is not None:
            known = next((axis for axis in axes if np.array_equal(axis, times)), None)
            if known is None:
                axes.append(known := times)
            arrays[name] = known
    for name in ("baseline_signal", "baseline_reference", "motion", "weight"):
        values = getattr(fit, name)
        if values is not None:
            arrays[name] = values.astype(np.float32)
    return arrays


def correction_names(part: Part) -> list[str]:
    """Return the corrections of a fibre's part, also of those that could not be computed."""
    return [str(name) for name in part.attributes["names"]]


def has_primary(part: Part) -> bool:
    """Whether the primary correction of a fibre's part could be computed."""
    return bool(part.attributes[f"{part.attributes['primary']}/status"] == "ok")


def trace_of(part: Part, correction: str | None = None, unit: Unit = "dff") -> "pd.Series[float]":
    """Return a stored correction over session time.

    Parameters
    ----------
    part : Part
        See `corrections_part`.
    correction : str, optional
        The primary one by default.
    unit : {'dff', 'z', 'z_mad', 'noise'}

    Returns
    -------
    Series of float64, (m,)
        Indexed by time, s, session clock. Not a number inside long gaps.

    Raises
    ------
    UnknownCorrection
        When it is not stored.
    CorrectionUnavailable
        When it could not be computed.
    UnknownOption
        When there is no such unit.
    """
    name = str(part.attributes["primary"]) if correction is None else correction
    if name not in correction_names(part):
        raise UnknownCorrection(f"correction {name!r} is not stored; stored are {', '.join(correction_names(part))}")
    if unit not in UNITS:
        raise UnknownOption(f"unit {unit!r} is unknown; known are {', '.join(UNITS)}")
    about = {key: part.attributes.get(f"{name}/{key}") for key in ("status", "reason", "message")}
    if about["status"] != "ok":
        raise CorrectionUnavailable(f"correction {name} {about['status']}: {about['reason']}: {about['message']}")
    values = np.asarray(part.datasets[f"{name}/dff"], np.float64)
    if unit != "dff":
        centre, scale = (float(part.attributes[f"{name}/{key}"]) for key in _CENTRES[unit])
        values = (values - centre) / scale
    return pd.Series(values, index=pd.Index(np.asarray(part.datasets["times"]), name="times"), name=f"{name}_{unit}")


def correction_parts(file: SessionFile) -> dict[str, Part]:
    """Return the corrections' parts of a session file by recording group, in the order of the fibres."""
    paths = {group: f"photometry/{group}/corrections" for group in file.regions()}
    found = {group: file.read(path) for group, path in paths.items() if path in file}
    return dict(sorted(found.items(), key=lambda item: int(item[1].attributes["fiber_idx"])))


def correction_rows(part: Part) -> list[dict[str, Any]]:
    """Return a row of the `corrections` table for each correction of a fibre, without session and region."""
    attributes = part.attributes
    names = ("fiber_idx", "dark_signal", "dark_reference", "dark_source", "dark_source_reference")
    shared = {name: attributes[name] for name in names}
    rows = []
    for name in correction_names(part):
        own = {key.partition("/")[2]: value for key, value in attributes.items() if key.startswith(f"{name}/")}
        own.pop("steps")
        rows.append({**shared, "correction": name, "is_primary": name == attributes["primary"], **own})
    return rows


def event_reference_columns(part: Part) -> dict[str, Values]:
    """Return how the reference of a fibre responds to events: columns of a row for each."""
    return {name: part.datasets.get(f"{_EVENT_REFERENCE}{name}", []) for name in ("event", "t", "share", "n")}
