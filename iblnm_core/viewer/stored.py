"""One stored session for the screen: parts of its file, read when they are asked for, and kept while the file stays the same."""

import contextlib
from collections import OrderedDict
from functools import cached_property
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.errors import CorruptArtifact
from iblnm_core.reports import judging
from iblnm_core.reports.model import Card
from iblnm_core.root import Root
from iblnm_core.session import layout, ledger
from iblnm_core.session.fingerprint import Provenance
from iblnm_core.session.responses import Responses
from iblnm_core.session.verdicts import Verdict
from iblnm_core.session.wheel import course_of_session
from iblnm_core.storage.session_file import Part, SessionFile
from iblnm_core.viewer.traces import Trace, with_gaps

_KEPT = 4


class SessionView:
    """What is stored of one session.

    Parameters
    ----------
    root : Root
    eid : str
    """

    def __init__(self, root: Root, eid: str) -> None:
        self.root = root
        self.eid = eid
        self._path = root.session_file(eid)
        self._parts: dict[str, Part | None] = {}
        self._traces: dict[tuple[str, str], Trace | None] = {}

    def _part(self, path: str) -> Part | None:
        if path not in self._parts:
            with SessionFile(self._path, self.eid) as file:
                self._parts[path] = file.read(path) if path in file else None
        return self._parts[path]

    @cached_property
    def metadata(self) -> dict[str, Any]:
        """The catalogue row that the session was processed with; empty when there is none."""
        with SessionFile(self._path, self.eid) as file:
            return layout.read_metadata(file) if "metadata" in file else {}

    @cached_property
    def provenance(self) -> dict[str, Provenance]:
        """What was made, by output."""
        with SessionFile(self._path, self.eid) as file:
            return dict(ledger.read_provenance(file))

    @cached_property
    def verdicts(self) -> dict[str, Verdict]:
        """What was judged, by rule."""
        with SessionFile(self._path, self.eid) as file:
            return dict(ledger.read_verdicts(file))

    @cached_property
    def cards(self) -> list[Card]:
        """What did not hold, in words; what blocks comes first."""
        return judging.cards(self.eid, self.verdicts, self.provenance)

    @cached_property
    def trials(self) -> pd.DataFrame:
        """The trials; without rows when there are none."""
        with SessionFile(self._path, self.eid) as file:
            return layout.read_trials(file) if "trials" in file else pd.DataFrame()

    @cached_property
    def recordings(self) -> dict[str, int]:
        """Index of the fibre by name of the recording, in the order of the fibres."""
        found: dict[str, int] = {}
        with SessionFile(self._path, self.eid) as file:
            for name in file.regions():
                group = file.handle[f"photometry/{name}"]
                numbered = [part.attrs["fiber_idx"] for part in group.values() if "fiber_idx" in part.attrs]
                # files of the reference pipeline number no fibre
                found[name] = int(numbered[0]) if numbered else len(found)
        return dict(sorted(found.items(), key=lambda item: item[1]))

    def target(self, recording: str) -> str:
        """Return the target label of a recording; empty when it has none."""
        labels, place = self.metadata.get("target_NM", []), self.recordings[recording]
        return str(labels[place] or "") if place < len(labels) else ""

    def trace(self, recording: str, name: str) -> Trace | None:
        """Return a band, or the corrected signal under the name `preprocessed`; None when it is not stored.

        Parameters
        ----------
        recording, name : str

        Raises
        ------
        CorruptArtifact
        """
        key = (recording, name)
        if key not in self._traces:
            self._traces[key] = self._read_trace(recording, name)
        return self._traces[key]

    def _read_trace(self, recording: str, name: str) -> Trace | None:
        corrected = name == "preprocessed"
        path = f"photometry/{recording}/{'preprocessed' if corrected else 'bands'}"
        part = self._part(path)
        prefix = "" if corrected else f"{name}/"
        if part is None or not len(part.datasets.get(f"{prefix}times", ())):
            return None
        times, values = (np.asarray(part.datasets[f"{prefix}{what}"], np.float64) for what in ("times", "signal"))
        return self._sound(path, times, values)

    def _sound(self, what: str, times: np.ndarray, values: np.ndarray) -> Trace:
        try:
            return with_gaps(Trace(times, values))
        except ValueError as error:
            raise CorruptArtifact(what, self.eid, str(self._path), str(error)) from error

    def band_names(self, recording: str) -> list[str]:
        """Return the names of the bands of a recording."""
        with SessionFile(self._path, self.eid) as file:
            return sorted(file.handle.get(f"photometry/{recording}/bands", ()))

    def band_traces(self, recording: str) -> dict[str, Trace]:
        """Return the bands of a recording by name.

        Raises
        ------
        CorruptArtifact
        """
        found = {name: self.trace(recording, name) for name in self.band_names(recording)}
        return {name: trace for name, trace in found.items() if trace is not None}

    @cached_property
    def wheel(self) -> Trace | None:
        """Velocity of the wheel (rad/s) from each stimulus to the end of its trial; None when it is not stored."""
        part = self._part("wheel/responses")
        if part is None or "stimOn_times" not in self.trials:
            return None
        velocities = np.asarray(part.datasets["velocity"])
        starts = self.trials["stimOn_times"].to_numpy(np.float64)
        course = course_of_session(starts, velocities, float(part.attributes["fs"]))
        return self._sound("wheel/responses", *course)

    def traces(self, recording: str) -> list[tuple[str, Trace]]:
        """Return every stored trace of a recording and its name.

        Raises
        ------
        CorruptArtifact
        """
        corrected = self.trace(recording, "preprocessed")
        return [*self.band_traces(recording).items(), *([] if corrected is None else [("preprocessed", corrected)])]

    def extent(self) -> tuple[float, float]:
        """Return from when to when there is something to see, s."""
        ends: list[float] = []
        for recording in self.recordings:
            # a broken one says so where it would be drawn
            with contextlib.suppress(CorruptArtifact):
                traces = self.band_traces(recording).values()
                ends = [float(trace.times[place]) for trace in traces for place in (0, -1)]
            if ends:
                break
        if not ends and "stimOn_times" in self.trials:
            ends = self.trials["stimOn_times"].dropna().astype(float).tolist()
        return (min(ends), max(ends)) if ends and min(ends) < max(ends) else (0.0, 1.0)

    def responses(self, recording: str) -> Responses | None:
        """Return the responses of a recording; None when there are none.

        Raises
        ------
        CorruptArtifact
        """
        part = self._part(f"photometry/{recording}/responses")
        found = None if part is None else layout.responses_of(part)
        return found if found is not None and len(found.trials) else None

    def why_missing(self, output: str) -> str:
        """Return why an output is not there, and what makes it."""
        return judging.why_missing(output, self.provenance, self.cards)


class Sessions:
    """The sessions that were looked at last, read anew when their file changed.

    Parameters
    ----------
    root : Root
    """

    def __init__(self, root: Root) -> None:
        self._root = root
        self._views: OrderedDict[str, tuple[tuple[int, int], SessionView]] = OrderedDict()

    def view(self, eid: str) -> SessionView | None:
        """Return a session; None when none is stored.

        Raises
        ------
        ConfigurationError
            When the id is none.
        """
        path = self._root.session_file(eid)
        try:
            status = path.stat()
        except FileNotFoundError:
            self._views.pop(eid, None)
            return None
        # a file is replaced as a whole, never changed in place
        stamp = (status.st_mtime_ns, status.st_ino)
        if eid not in self._views or self._views[eid][0] != stamp:
            self._views[eid] = (stamp, SessionView(self._root, eid))
        self._views.move_to_end(eid)
        while len(self._views) > _KEPT:
            self._views.popitem(last=False)
        return self._views[eid][1]
