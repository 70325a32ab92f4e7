"""A session object to and from its session file, and arrays to and from the labelled ones that notebooks use."""

import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pandas as pd
import xarray as xr

from iblnm_core.session import corrections_layout, exclusions, layout, ledger
from iblnm_core.session.fiber_signals import Fiber
from iblnm_core.session.fingerprint import BY_HAND, Provenance, library_versions
from iblnm_core.session.outputs import owner_of_part
from iblnm_core.session.photometry_stage import Photometry
from iblnm_core.session.preprocessing import PreprocessedSignal
from iblnm_core.session.responses import Responses
from iblnm_core.storage.session_file import Part, SessionFile, update_session_file

if TYPE_CHECKING:
    from iblnm_core.notebook.loading import LoadedSession

GROUPS = ("metadata", "errors", "photometry", "trials", "wheel")
"""Groups of a session file that users ask for by name."""


def checked_groups(groups: Iterable[str] | None) -> frozenset[str]:
    """Return the groups asked for, all when None.

    Raises
    ------
    ValueError
        When one is unknown.
    """
    wanted = frozenset(GROUPS if groups is None else groups)
    if wanted - set(GROUPS):
        raise ValueError(f"groups {sorted(wanted - set(GROUPS))} are unknown; known are {', '.join(GROUPS)}")
    return wanted


def load(session: "LoadedSession", path: Path, groups: frozenset[str]) -> None:
    """Fill a session object from a session file, as far as the groups are there.

    Raises
    ------
    FileNotFoundError
    ValueError
        When the file is that of another session.
    CorruptArtifact
    """
    eid = session.row["eid"]
    with SessionFile(path, eid) as file:
        stored = layout.read_metadata(file) if "metadata" in file else {}
        if stored.get("eid", eid) != eid:
            raise ValueError(f"{path} is the file of session {stored['eid']}; expected {eid}")
        if "metadata" in groups:
            session.update_row(stored)
        if "errors" in groups and "errors" in file:
            session.verdicts |= ledger.read_ledger(file)[1]
        if "trials" in groups and "trials" in file:
            session.trials = layout.read_trials(file)
        if "photometry" in groups:
            _load_photometry(session, file)
        if "wheel" in groups and "wheel/responses" in file:
            session.wheel_velocity = layout.read_wheel(file)


def _load_photometry(session: "LoadedSession", file: SessionFile) -> None:
    signals = layout.read_preprocessed(file)
    if signals:
        session.photometry[session.preprocessed_band] = signal_frame({name: s for name, (_, s) in signals.items()})
        fibers = tuple(
            Fiber(place, index, layout.region_of(name)) for place, (name, (index, _)) in enumerate(signals.items())
        )
        session.stage = Photometry(fibers, signals=dict(signals.values()))
    for name, part in corrections_layout.correction_parts(file).items():
        session.corrections[name] = part
    session.exclusions.update(exclusions.stored_exclusions(file))
    order = session.parameters.responses.events
    for name, responses in layout.read_responses(file).items():
        known = [event for event in order if event in responses.events]
        others = [event for event in responses.events if event not in order]
        session.responses[name] = responses.to_xarray().sel(event=[*known, *others])
    quality = layout.read_qc(file)
    if len(quality):
        session.qc = quality


def save(session: "LoadedSession", path: Path, groups: frozenset[str]) -> None:
    """Store what a session object has of some groups, marked as made by hand; all else in the file stays.

    Raises
    ------
    StorageFull
    """
    parts = {path: part for group in groups & set(_PARTS) for path, part in _PARTS[group](session).items()}
    outputs = {owner for part in parts if (owner := owner_of_part(part)) is not None}
    # fibres that are no more go with what is replaced
    kinds = {part.rpartition("/")[2] for part in parts if part.startswith("photometry/")}
    replaced = re.compile(rf"photometry/[^/]+/({'|'.join(kinds)})") if kinds else None

    def change(file: SessionFile | None) -> tuple[Mapping[str, Part], Callable[[str], bool]]:
        provenance, verdicts = ledger.read_ledger(file)
        known = {**provenance, **dict.fromkeys(outputs, _by_hand())}
        judged = {**verdicts, **(session.verdicts if "errors" in groups else {})}
        writes = {**parts, **ledger.ledger_parts(session.row["eid"], judged.values(), known)}
        return writes, lambda part: replaced is not None and bool(replaced.fullmatch(part))

    update_session_file(path, session.row["eid"], change)


def _by_hand() -> Provenance:
    return Provenance("stored", None, BY_HAND, BY_HAND, BY_HAND, BY_HAND, (), {}, library_versions())


def _metadata_parts(session: "LoadedSession") -> dict[str, Part]:
    return {"metadata": layout.metadata_part(session.row)}


def _photometry_parts(session: "LoadedSession") -> dict[str, Part]:
    parts: dict[str, Part] = {}
    state, groups = session.stage, session.groups()
    index_of = {group: index for index, group in groups.items()}
    corrected = session.photometry.get(session.preprocessed_band)
    for index, signal in state.signals.items():
        if corrected is not None and groups[index] in corrected:
            values = corrected[groups[index]]
            now = replace(signal, times=values.index.to_numpy(), values=values.to_numpy())
            parts[f"photometry/{groups[index]}/preprocessed"] = layout.preprocessed_part(index, now)
    for group, part in session.corrections.items():
        parts[f"photometry/{group}/corrections"] = part
    for group, marked in session.exclusions.items():
        parts[f"photometry/{group}/{exclusions.NAME}"] = exclusions.exclusions_part(marked)
    for group, responses in session.responses.items():
        index = index_of.get(group, len(index_of))
        parts[f"photometry/{group}/responses"] = layout.responses_part(index, responses_of(responses))
    if len(session.qc):
        parts |= layout.qc_parts(session.qc, groups)
    return parts


def _trials_parts(session: "LoadedSession") -> dict[str, Part]:
    return {"trials": layout.trials_part(session.trials)} if len(session.trials) else {}


def _wheel_parts(session: "LoadedSession") -> dict[str, Part]:
    velocity = session.wheel_velocity
    if not velocity.size:
        return {}
    return {"wheel/responses": layout.wheel_part(velocity.to_numpy(), session.parameters.wheel.sampling_rate_hz)}


_PARTS: Mapping[str, Callable[["LoadedSession"], dict[str, Part]]] = {
    "metadata": _metadata_parts,
    "photometry": _photometry_parts,
    "trials": _trials_parts,
    "wheel": _wheel_parts,
}


def signal_frame(signals: Mapping[str, PreprocessedSignal]) -> pd.DataFrame:
    """Return corrected signals, which share their times, as one frame: time (s) x brain region."""
    times = next((signal.times for signal in signals.values()), np.empty(0))
    return pd.DataFrame({name: s.values for name, s in signals.items()}, pd.Index(times, name="times"))


def responses_of(responses: xr.DataArray) -> Responses:
    """Return the responses that a labelled array (event, trial, time) holds."""
    ordered = responses.transpose("event", "trial", "time")
    times = ordered["time"].to_numpy()
    rate = round(1 / float(np.median(np.diff(times))))
    window = (float(times[0]), round(float(times[-1]) + 1 / rate, 9))
    events = tuple(str(event) for event in ordered["event"].to_numpy())
    return Responses(events, times, ordered["trial"].to_numpy().astype(np.int64), ordered.to_numpy(), rate, window)
