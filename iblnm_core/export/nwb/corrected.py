"""Corrected signals of an NWB file: the z-scored one that analyses read, and every stored correction as relative change."""

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np

from iblnm_core.corrections.recipes import recipe
from iblnm_core.export.nwb.arrays import stored_array
from iblnm_core.export.nwb.content import Array, RawPhotometry, SessionContent
from iblnm_core.export.nwb.libraries import nwb_libraries
from iblnm_core.export.nwb.texts import Texts
from iblnm_core.session.corrections_layout import correction_names
from iblnm_core.session.preprocessing import PreprocessedSignal
from iblnm_core.storage.session_file import Part

Region = Callable[[Sequence[int]], Any]
"""From places of fibres in the recording to the reference to their rows of the table of fibres and lights."""

CHANGE_UNIT = "a.u. (dF/F)"


def corrected_series(content: SessionContent, raw: RawPhotometry, region: Region, texts: Texts) -> list[Any]:
    """Return the series of the corrected signals.

    Parameters
    ----------
    content : SessionContent
    raw : RawPhotometry
    region : callable
        See `Region`; for the band of the signal.
    texts : Texts
        Cleans what comes from the source.

    Returns
    -------
    list of FiberPhotometryResponseSeries
        `ZScore` of the primary correction; `dff_NAME` of every correction that could be computed for a fibre.
    """
    place_of = {fiber.fiber_idx: place for place, fiber in enumerate(raw.fibers)}
    series = []
    if content.corrected:
        order = sorted(content.corrected)
        signals = [content.corrected[index] for index in order]
        # all fibres are seen by one camera, so that their grids are one
        assert all(np.array_equal(signal.times, signals[0].times) for signal in signals)
        series.append(
            _series(
                "ZScore",
                f"{_primary(content, signals)}; z-scored over the session.",
                signals[0].times,
                np.column_stack([signal.values for signal in signals]),
                unit="z-score",
                rate_hz=float(signals[0].sampling_rate_hz),
                region=region([place_of[index] for index in order]),
            )
        )
    order = sorted(content.corrections)
    parts = [content.corrections[index] for index in order]
    labels = [_label(raw, place_of[index], texts) for index in order]
    for name in dict.fromkeys(name for part in parts for name in correction_names(part)):
        computed = [part for part in parts if _status(part, name) == "ok"]
        if not computed:
            continue
        times = np.asarray(computed[0].datasets["times"])
        assert all(np.array_equal(np.asarray(part.datasets["times"]), times) for part in parts)
        unknown = np.full(len(times), np.nan, np.float32)
        series.append(
            _series(
                f"dff_{name}",
                _change(content, name, parts, labels, texts),
                times,
                np.column_stack([np.asarray(part.datasets.get(f"{name}/dff", unknown)) for part in parts]),
                unit=CHANGE_UNIT,
                rate_hz=float(computed[0].attributes["fs"]),
                region=region([place_of[index] for index in order]),
            )
        )
    return series


def _series(name: str, description: str, times: Array, values: Any, *, unit: str, rate_hz: float, region: Any) -> Any:
    return nwb_libraries().fiber.FiberPhotometryResponseSeries(
        name=name,
        description=description,
        data=stored_array(values),
        starting_time=float(times[0]),
        rate=rate_hz,
        unit=unit,
        fiber_photometry_table_region=region,
    )


def _primary(content: SessionContent, signals: Sequence[PreprocessedSignal]) -> str:
    """Return in words what was done to the signals of all fibres."""
    names = [signal.correction for signal in signals]
    used = "; ".join(
        f"{name} ({names.count(name)} of {len(names)} fibres): "
        f"{', then '.join(map(repr, recipe(name, content.parameters.preprocessing).steps))}"
        for name in dict.fromkeys(names)
    )
    return f"{content.parameters.photometry.signal_band} band under a named correction, {used}. {_grid(content)}"


def _grid(content: SessionContent) -> str:
    p = content.parameters.preprocessing
    gaps = "" if p.longest_bridged_gap_s is None else f" (NaN inside gaps of more than {p.longest_bridged_gap_s:g} s)"
    return f"Put on a grid of {p.sampling_rate_hz:g} Hz by monotone cubic interpolation{gaps}"


def _change(content: SessionContent, name: str, parts: Sequence[Part], labels: Sequence[str], texts: Texts) -> str:
    """Return in words what a correction did, and what it was fitted with in every column."""
    steps = next(json.loads(part.attributes[f"{name}/steps"]) for part in parts if _status(part, name) == "ok")
    done = ", then ".join(_step(step) for step in steps)
    columns = ". ".join(
        f"Column {place}, {label}: {_fit(part, name, texts)}"
        for place, (part, label) in enumerate(zip(parts, labels, strict=True))
    )
    band = content.parameters.photometry.signal_band
    return f"{band} band as relative change under the correction {name}: {done}. {_grid(content)}. {columns}."


def _step(step: Mapping[str, Any]) -> str:
    return f"{step['step']}({', '.join(f'{key}={value!r}' for key, value in step.items() if key != 'step')})"


def _fit(part: Part, name: str, texts: Texts) -> str:
    """Return in words how a correction of one fibre was fitted, or why there is none."""
    status = _status(part, name)
    if status is None:
        return "NaN: not stored for this fibre"
    known = {
        key: part.attributes[f"{name}/{key}"] for key in ("slope", "intercept", "slope_clipped", "reason", "message")
    }
    if status != "ok":
        return f"NaN: {status}, {known['reason']}: {texts.clean('corrections', known['message'])}"
    words = [
        f"{key} {known[key]:.6g}"
        for key in ("slope", "intercept")
        if known[key] is not None and np.isfinite(known[key])
    ]
    if known["slope_clipped"]:
        words.append("not subtracted, as the slope is negative")
    for band in ("signal", "reference"):
        baseline = np.asarray(part.datasets.get(f"{name}/fit/baseline_{band}", ()))
        if len(baseline):
            words.append(f"baseline of the {band} from {baseline[0]:.6g} to {baseline[-1]:.6g} above the dark offset")
    return ", ".join(words) or "nothing fitted"


def _status(part: Part, name: str) -> str | None:
    status = part.attributes.get(f"{name}/status")
    return None if status is None else str(status)


def _label(raw: RawPhotometry, place: int, texts: Texts) -> str:
    fiber = raw.fibers[place]
    return f"ROI {texts.clean('ROI', fiber.roi)} in {texts.clean('region', fiber.target)}"
