"""Everything that a session's NWB file is made of: what the pipeline stored, and the inputs that it was made from, verified."""

import datetime as dt
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from iblnm_core.cohort.blocking import lost_outputs
from iblnm_core.errors import NwbMetadataIncomplete, OutdatedSession, SessionError
from iblnm_core.export.nwb.content import SessionContent, Trials, Wheel
from iblnm_core.export.nwb.photometry import read_photometry
from iblnm_core.export.nwb.rig import Rig, read_rig
from iblnm_core.parameters import Parameters
from iblnm_core.root import Root
from iblnm_core.schemas import FIBERS
from iblnm_core.session import layout, ledger
from iblnm_core.session.corrections_layout import correction_parts
from iblnm_core.session.datasets import DATASET_KINDS
from iblnm_core.session.fingerprint import BY_HAND, InputFile, Provenance, code_version, parameters_digest
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.pipeline import SessionTask
from iblnm_core.session.wheel import wheel_velocity
from iblnm_core.storage.session_file import SessionFile
from iblnm_core.storage.tables import read_table

OUTPUTS_USED = ("session_metadata", "trials", "photometry_qc", "corrections", "preprocessed_signal", "wheel_velocity")
"""Outputs of the session step that a file is made of."""

_READ_AGAIN: Mapping[str, str] = {
    "trials_table": "trials",
    "signal": "photometry_qc",
    "locations": "photometry_qc",
    "wheel_times": "wheel_velocity",
    "wheel_position": "wheel_velocity",
}
"""Kinds of inputs that are read again, and the output whose record says what they were."""


def read_session(root: Root, task: SessionTask) -> SessionContent:
    """Read what the file of a session is made of.

    Parameters
    ----------
    root : Root
    task : SessionTask
        Where the session's datasets are.

    Raises
    ------
    NwbMetadataIncomplete
        When the session was never processed, or has neither signal nor trials.
    OutdatedSession
        When it was processed with other parameters, code or inputs than there are now, or stored by hand.
    CorruptArtifact
        When the session file is broken.
    ConfigurationError
        When the rig file is not as it has to be.
    SourceUnavailable
        When inputs cannot be read for now.
    """
    inputs = task.inputs()
    try:
        with SessionFile(Path(task.file), task.eid) as file:
            return _content(root, task, inputs, file)
    except FileNotFoundError as error:
        raise NwbMetadataIncomplete(
            f"session {task.eid} was never processed, so there is nothing to export; run `iblnm run --eid {task.eid}`"
        ) from error


def _content(root: Root, task: SessionTask, inputs: SessionInputs, file: SessionFile) -> SessionContent:
    everything = ledger.read_provenance(file)
    provenance = {name: entry for name, entry in everything.items() if name in OUTPUTS_USED}
    _refuse_outdated(task.eid, provenance, root.parameters)
    files = _verified_inputs(task.eid, inputs, provenance)
    row = {**task.row, **layout.read_metadata(file)}
    notes: list[str] = []
    trials = _trials(inputs, file, provenance)
    raw = None
    if inputs.paths("signal") and inputs.paths("locations") and "photometry_qc" in provenance:
        try:
            raw = read_photometry(inputs, row, _fiber_rows(root.path, str(row["subject"])), root.parameters.photometry)
        except SessionError as error:
            notes.append(f"The photometry signal could not be read and is not in this file: {error.message}.")
    if raw is None and trials is None:
        reasons = "; ".join(notes) or "neither a signal nor trials could be read from the source"
        raise NwbMetadataIncomplete(f"session {task.eid}: {reasons}; a file needs one of them")
    wheel = None
    if inputs.paths("wheel_position") and inputs.paths("wheel_times") and "wheel_velocity" in provenance:
        try:
            wheel = _wheel(inputs, root.parameters)
        except SessionError as error:
            notes.append(f"The wheel could not be read and is not in this file: {error.message}.")
    return SessionContent(
        row=row,
        raw=raw,
        corrected=dict(layout.read_preprocessed(file).values()),
        quality=layout.read_qc(file),
        trials=trials,
        wheel=wheel,
        verdicts=ledger.read_verdicts(file),
        provenance=provenance,
        inputs=files,
        parameters=root.parameters,
        preset=root.preset,
        notes=notes,
        lost=lost_outputs(everything),
        rig=_rig(root, row),
        corrections={int(part.attributes["fiber_idx"]): part for part in correction_parts(file).values()},
    )


def _rig(root: Root, row: Mapping[str, Any]) -> Rig:
    """Return what the rig file says; nothing for a session without start, which has no file anyway."""
    try:
        day = dt.datetime.fromisoformat(str(row["start_time"])).date()
    except ValueError:
        return Rig()
    return read_rig(root.path, row["lab"], day)


def _refuse_outdated(eid: str, provenance: Mapping[str, Provenance], parameters: Parameters) -> None:
    for name, entry in provenance.items():
        if entry.code == BY_HAND:
            reason = "stored from a notebook, so that what it was made from is not known"
        elif entry.parameters != parameters_digest(name, parameters):
            reason = "made with other parameters than those of the root now"
        elif entry.code != code_version(name):
            reason = f"made by another version of the code ({entry.code}, now {code_version(name)})"
        else:
            continue
        raise OutdatedSession(
            f"session {eid}: {name} was {reason}. A file must not mix two versions of a session; run `iblnm run --eid {eid}` "
            "and export again"
        )


def _verified_inputs(eid: str, inputs: SessionInputs, provenance: Mapping[str, Provenance]) -> tuple[InputFile, ...]:
    """Return the inputs that are read again, or refuse when they are not those that the session was processed with."""
    kinds = {kind: output for kind, output in _READ_AGAIN.items() if output in provenance}
    now = {file.path: file for file in inputs.files(kinds)}
    recorded = {
        file.path: file.digest
        for kind, output in kinds.items()
        for file in provenance[output].inputs
        if re.fullmatch(DATASET_KINDS[kind], file.path)
    }
    for path in sorted(now.keys() | recorded.keys()):
        found = now[path].digest if path in now else "no such dataset"
        expected = recorded.get(path, "no such dataset")
        if found != expected:
            raise OutdatedSession(
                f"session {eid}: {path} has the hash {found}; the stored results were made from {expected}. "
                f"A file must not mix two versions of a session; run `iblnm run --eid {eid} --reprocess` and export again"
            )
    return tuple(now.values())


def _trials(inputs: SessionInputs, file: SessionFile, provenance: Mapping[str, Provenance]) -> Trials | None:
    if "trials" not in provenance or provenance["trials"].state != "stored":
        return None
    alf, stored = inputs.table("trials_table").to_pandas(), layout.read_trials(file)
    has_blocks = "probabilityLeft" in stored
    return Trials(alf, stored["probabilityLeft"].to_numpy(np.float64) if has_blocks else None)


def _wheel(inputs: SessionInputs, parameters: Parameters) -> Wheel:
    times, position = inputs.array("wheel_times"), inputs.array("wheel_position")
    return Wheel(times, position, wheel_velocity(times, position, parameters.wheel))


def _fiber_rows(root: Path, subject: str) -> list[Mapping[str, Any]]:
    """Return the rows of a subject in the table of implanted fibres; none when there is no such table."""
    try:
        table = read_table(root, FIBERS)
    except FileNotFoundError:
        return []
    return [
        {str(name): value for name, value in row.items()}
        for row in table[table["subject"] == subject].to_dict("records")
    ]
