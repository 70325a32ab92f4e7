"""Many sessions in a notebook: which of the catalogue, one row per recording, each session opened when it is reached."""

from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal, get_args

import numpy as np
import pandas as pd

from iblnm_core.cohort.selection import Selected, Selection, select
from iblnm_core.errors import ConfigurationError
from iblnm_core.notebook.analyses import RecordingAnalyses
from iblnm_core.notebook.connection import default_connection
from iblnm_core.notebook.error_log import error_entry
from iblnm_core.notebook.session import PhotometrySession
from iblnm_core.root import SETTINGS, Root, open_root
from iblnm_core.schemas import CORRECTIONS, ERRORS, LABELS, PERFORMANCE, SESSION_STATUS
from iblnm_core.storage.tables import read_table
from iblnm_core.table_schema import TableSchema
from iblnm_core.workers import TaskOutcome, run_tasks

if TYPE_CHECKING:
    from one.api import One

_WhichCorrections = Literal["primary", "keep"]

_OFF: Mapping[str, Any] = {
    "session_types": (),
    "excluded_subjects": frozenset(),
    "excluded_eids": frozenset(),
    "lab": None,
    "first_session_from": None,
    "blockers": (),
    "targets": (),
    "minimum_performance": {},
    "required_contrasts": frozenset(),
    "required_outputs": (),
    "excluded_labels": (),
    "primary": None,
    "duplicates": "kept",
}


class PhotometrySessionGroup(RecordingAnalyses):
    """Sessions of a catalogue, filtered, and their recordings.

    Iterating and indexing give pairs of a recording's row and its `PhotometrySession`; both fibres of a session share one
    object. No session file is read before a session's own methods do. Analyses are those of `RecordingAnalyses`.

    Parameters
    ----------
    sessions : DataFrame
        The `sessions` table: one row per session, list columns intact.
    one : one.api.One, optional
        Handed to the sessions.
    root : Root or Path, optional
        Where session files and parameters are.
    errors, performance, statuses, labels, corrections : DataFrame, optional
        The tables of these names; a filter without its table is off.

    Attributes
    ----------
    catalogue : DataFrame
        All sessions, whatever the filters.
    sessions : DataFrame
        Those that pass the filters.
    recordings : DataFrame
        One row per recording of these sessions, with `fiber_idx`.
    account : DataFrame
        What each filter removed: alone, after those before it, and how many were left.
    errors : list of dict
        Rows of what went wrong in `process`.
    """

    def __init__(
        self,
        sessions: pd.DataFrame,
        one: "One | None" = None,
        *,
        root: Root | Path | None = None,
        errors: pd.DataFrame | None = None,
        performance: pd.DataFrame | None = None,
        statuses: pd.DataFrame | None = None,
        labels: pd.DataFrame | None = None,
        corrections: pd.DataFrame | None = None,
    ) -> None:
        self.catalogue = sessions.reset_index(drop=True)
        self.one = one
        self.root = root
        self.errors: list[dict[str, Any]] = []
        self._logged = pd.DataFrame(columns=ERRORS.column_names) if errors is None else errors
        self._performance = performance
        self._statuses = statuses
        self._labels = labels
        self._corrections = corrections
        self._opened: dict[str, PhotometrySession] = {}
        self._selection = replace(Selection(), **_OFF)
        self._choose(self._selection)

    @classmethod
    def from_catalog(cls, path: Path | str, one: "One | None" = None, **filters: Any) -> "PhotometrySessionGroup":
        """Read a catalogue, filter it, and list the recordings.

        Parameters
        ----------
        path : path
            `metadata/sessions.pqt` of a root; its other tables serve the filters.
        one : one.api.One, optional
        **filters
            As `filter_sessions`.

        Raises
        ------
        FileNotFoundError
        """
        file = Path(path).absolute()
        folder = file.parent.parent
        root = open_root(folder) if (folder / SETTINGS).is_file() else folder

        def table(schema: TableSchema) -> pd.DataFrame | None:
            return read_table(folder, schema) if (folder / schema.path).is_file() else None

        tables = {
            "errors": table(ERRORS),
            "performance": table(PERFORMANCE),
            "statuses": table(SESSION_STATUS),
            "labels": table(LABELS),
            "corrections": table(CORRECTIONS),
        }
        return cls(pd.read_parquet(file), one, root=root, **tables).filter_sessions(**filters)

    def filter_sessions(
        self,
        *,
        session_types: Collection[str] | bool | None = None,
        exclude_subjects: Collection[str] | bool | None = None,
        exclude_eids: Collection[str] | bool | None = None,
        lab: str | bool | None = None,
        first_session_from: str | bool | None = None,
        qc_blockers: Collection[str] | bool | None = None,
        targetnms: Collection[str] | bool | None = None,
        min_performance: Mapping[str, float] | bool | None = None,
        required_contrasts: Collection[float] | bool | None = None,
        required_outputs: Collection[str] | bool | None = None,
        excluded_labels: Collection[str] | bool | None = None,
        corrections: _WhichCorrections = "primary",
        duplicates: str | bool | None = None,
    ) -> "PhotometrySessionGroup":
        """Choose sessions of the whole catalogue anew; `account` says what each filter removed.

        Every filter that is not given is that of the root's parameters; False switches one off.

        Parameters
        ----------
        session_types : collection of str
        exclude_subjects, exclude_eids : collection of str
        lab : str
        first_session_from : str
            ISO date; subjects whose first session is earlier are left out.
        qc_blockers : collection of str
            Error classes; each stands for its special cases too.
        targetnms : collection of str
            Target labels, of which a session must have one and a recording must be one.
        min_performance : mapping of session type to fraction
        required_contrasts : collection of float
            Percent; a session must have used exactly these.
        required_outputs : collection of str
            Outputs that must be stored and current.
        excluded_labels : collection of {'keep', 'doubtful', 'reject'}
            Recordings are left out on which this was the last word of a person.
        corrections : {'primary', 'keep'}
            Whether recordings are left out that are not under the primary correction of the root, such as those without reference band.
        duplicates : {'resolved', 'kept', 'reference'}

        Returns
        -------
        PhotometrySessionGroup
            This one.

        Raises
        ------
        ConfigurationError
            When a blocker or another choice is unknown.
        """
        if corrections not in get_args(_WhichCorrections):
            raise ConfigurationError(f"corrections = {corrections!r}; expected primary or keep")
        given = {
            "session_types": _tuple(session_types),
            "excluded_subjects": _frozenset(exclude_subjects),
            "excluded_eids": _frozenset(exclude_eids),
            "lab": lab,
            "first_session_from": first_session_from,
            "blockers": _tuple(qc_blockers),
            "targets": _tuple(targetnms),
            "minimum_performance": min_performance,
            "required_contrasts": _frozenset(required_contrasts),
            "required_outputs": _tuple(required_outputs),
            "excluded_labels": _tuple(excluded_labels),
            "duplicates": duplicates,
        }
        start = Selection()
        if isinstance(self.root, Root):
            start = Selection.of(self.root.parameters)
        if corrections == "keep":
            start = replace(start, primary=None)
        changes = {name: _OFF[name] if value is False else value for name, value in given.items() if value is not None}
        self._choose(replace(start, **changes))
        return self

    def explode_recordings(self) -> pd.DataFrame:
        """Return one row per recording of the chosen sessions, and iterate over all of them from now on."""
        self.recordings = self._selected.recordings
        self._forget()
        return self.recordings

    def deduplicate(self) -> "PhotometrySessionGroup":
        """Keep one session per subject and day: the best."""
        self._choose(replace(self._selection, duplicates="resolved"))
        return self

    def filter(self, mask: "pd.Series[bool] | np.ndarray | Collection[bool]") -> "PhotometrySessionGroup":
        """Keep the recordings for which a mask over `recordings` is true, and return this group."""
        chosen = np.asarray(mask, dtype=bool)
        if chosen.shape != (len(self.recordings),):
            raise ValueError(f"the mask has shape {chosen.shape}; expected one value per recording ({len(self)})")
        self.recordings = self.recordings[chosen].reset_index(drop=True)
        self._forget()
        return self

    def __len__(self) -> int:
        """Count the recordings."""
        return len(self.recordings)

    def __getitem__(self, place: int) -> "tuple[pd.Series[Any], PhotometrySession]":
        """Return a recording's row and its session."""
        row = self.recordings.iloc[place]
        return row, self.session(row["eid"])

    def __iter__(self) -> "Iterator[tuple[pd.Series[Any], PhotometrySession]]":
        """Yield every recording's row with its session."""
        for place in range(len(self)):
            yield self[place]

    def __repr__(self) -> str:
        """Say how many there are."""
        subjects = self.recordings["subject"].nunique()
        return f"PhotometrySessionGroup({len(self)} recordings, {len(self._eids())} sessions, {subjects} subjects)"

    def session(self, eid: str) -> PhotometrySession:
        """Return the session of an id; the same object every time.

        Raises
        ------
        KeyError
            When the catalogue has none.
        """
        if eid not in self._opened:
            self._opened[eid] = PhotometrySession(self._row(eid), self.one, root=self.root)
        return self._opened[eid]

    def process(self, function: Callable[[PhotometrySession], Any], *, workers: int = 1) -> dict[str, Any]:
        """Apply a function to every session that has a recording here, each loaded from its session file first if it has one.

        Parameters
        ----------
        function : callable
            Takes a `PhotometrySession`. With several workers it must be importable by name: a notebook's own functions are not.
        workers : int
            Processes. Each connects to the source of the root by itself.

        Returns
        -------
        dict
            Result by session id, in the order of the recordings; None where the function failed. What went wrong is appended to
            `errors`.
        """
        from rich.progress import track

        tasks = [
            _Task(function, self._row(eid), self.root, self.one is not None and isinstance(self.root, Root))
            for eid in self._eids()
        ]
        outcomes = run_tasks(_apply, tasks, workers=workers) if workers > 1 else map(self._here, tasks)
        results: dict[str, Any] = dict.fromkeys(self._eids())
        for outcome in track(outcomes, "sessions", total=len(tasks), transient=True):
            eid = str(outcome.task.row["eid"])
            if outcome.error is None:
                results[eid] = outcome.result
            else:
                self.errors.append(error_entry(eid, outcome.error))
        return results

    def _here(self, task: "_Task") -> TaskOutcome["_Task", Any]:
        try:
            return TaskOutcome(task, task.function(_loaded(self.session(str(task.row["eid"])))))
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with one session must not cost the others
            return TaskOutcome(task, error=error)

    def _choose(self, selection: Selection) -> None:
        selected: Selected = select(
            self.catalogue, self._logged, selection, self._performance, self._statuses, self._labels, self._corrections
        )
        self._selection, self._selected = selection, selected
        self.sessions, self.recordings, self.account = selected.sessions, selected.recordings, selected.account
        self._forget()

    def _eids(self) -> list[str]:
        return list(dict.fromkeys(self.recordings["eid"]))

    def _row(self, eid: str) -> "pd.Series[Any]":
        found = self.catalogue[self.catalogue["eid"] == eid]
        if not len(found):
            raise KeyError(eid)
        return found.iloc[0]


class _Task:
    """What a worker needs to open one session and work on it."""

    def __init__(
        self,
        function: Callable[[PhotometrySession], Any],
        row: "pd.Series[Any]",
        root: Root | Path | None,
        connected: bool,
    ) -> None:
        self.function, self.row, self.root, self.connected = function, row, root, connected


def _apply(task: _Task) -> Any:
    """Work on one session in a worker, which opens a connection of its own."""
    one = default_connection(task.root) if task.connected else None
    return task.function(_loaded(PhotometrySession(task.row, one, root=task.root)))


def _loaded(session: PhotometrySession) -> PhotometrySession:
    if session.h5_path.is_file():
        session.load_h5()
    return session


def _tuple(given: Collection[Any] | bool | None) -> Any:
    return given if given is None or isinstance(given, bool) else tuple(given)


def _frozenset(given: Collection[Any] | bool | None) -> Any:
    return given if given is None or isinstance(given, bool) else frozenset(given)
