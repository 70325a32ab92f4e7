"""A session in a notebook as far as loading and storing go. What is done with it is `session`'s business."""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd
import xarray as xr
from brainbox.io.one import SessionLoader
from iblphotometry.fpio import PhotometrySessionLoader

from iblnm_core.cohort.status import Catalogue
from iblnm_core.errors import ConfigurationError, MissingRawData, NotLoaded, SessionError
from iblnm_core.identifiers import checked_eid
from iblnm_core.notebook import stored
from iblnm_core.notebook.error_log import exception_logger
from iblnm_core.notebook.row import catalogue_row
from iblnm_core.parameters import PRESETS, Parameters
from iblnm_core.root import SETTINGS, Root, open_root, root_path, session_folder
from iblnm_core.schemas import SESSION_INDEX
from iblnm_core.session import layout, photometry_stage, stages
from iblnm_core.session.datasets import DATASET_KINDS, DATASET_NAMES
from iblnm_core.session.fiber_signals import matched_fibers
from iblnm_core.session.inputs import SessionInputs
from iblnm_core.session.photometry import Band, Recording
from iblnm_core.session.photometry import restrict_to_session as cut_to_session
from iblnm_core.session.photometry_stage import Photometry
from iblnm_core.session.pipeline import SessionTask
from iblnm_core.session.raw_frames import RawCounts
from iblnm_core.session.verdicts import Judge, Verdict, error_rows
from iblnm_core.vocabulary import split_region

if TYPE_CHECKING:
    from one.api import One


class ByRegion(dict[str, Any]):
    """Values by brain region; a region without its side stands for the only one that has it."""

    def __missing__(self, region: str) -> Any:
        """Return the value of the only fibre in a region."""
        return self[self.name_of(region)]

    def name_of(self, region: str) -> str:
        """Return the whole name of a region that may lack its side.

        Raises
        ------
        KeyError
            When there is none, or several.
        """
        found = [region] if region in self else [name for name in self if split_region(name)[0] == region]
        if len(found) == 1:
            return found[0]
        raise KeyError(f"{region}: {'several' if found else 'none'} among {', '.join(self) or 'no regions'}")


class _Raising(Judge):
    """A judge that raises the errors of some rules instead of only noting them."""

    def __init__(self, rules: Sequence[str]) -> None:
        super().__init__()
        self._rules = rules

    def record(self, name: str, errors: Sequence[SessionError]) -> None:
        """Add what a rule found."""
        super().record(name, errors)
        if errors and name in self._rules:
            raise errors[0]


class LoadedSession(PhotometrySessionLoader):  # type: ignore[misc]
    """One session with its data, empty until they are loaded.

    Every column of its catalogue row is an attribute. Data attributes start empty and are filled by methods. Methods raise
    typed errors (`iblnm_core.errors`), or append them to a list given as `exlog`.

    Parameters
    ----------
    session : Series or mapping
        A row of the `sessions` table; `eid`, `subject` and `start_time` at least.
    one : one.api.One, optional
        The connection that datasets come from when the root does not know the session.
    root : path or Root, optional
        The root of the session file and of the parameters; otherwise that of the environment variable `IBLNM_ROOT`, else
        `iblnm_data`. It need not exist.
    parameters : Parameters, optional
        Otherwise those of the root, or the preset `default` where there is none.

    Attributes
    ----------
    trials : DataFrame
        One row per trial.
    photometry : dict of str to DataFrame
        By band (`GCaMP`, `Isosbestic`, and `GCaMP_preprocessed`): time (s, session clock) x brain region.
    exclusions : dict of str to Exclusions
        What a person marked, by brain region; see `exclude`.
    corrections : dict of str to Part
        By brain region: every stored correction; `trace` reads them.
    responses : dict of str to DataArray
        By brain region: event x trial x time (s from the event), z.
    qc : DataFrame
        One row per fibre and band.
    wheel_velocity : DataArray
        Trial x time (s from the stimulus), rad/s.
    """

    def __init__(
        self,
        session: "pd.Series[Any] | Mapping[str, Any]",
        one: "One | None" = None,
        *,
        root: Path | str | Root | None = None,
        parameters: Parameters | None = None,
    ) -> None:
        # the loader's own constructor asks a server where the session lies, which can wait until something is loaded
        for field in dataclasses.fields(PhotometrySessionLoader):
            if field.default_factory is not dataclasses.MISSING:
                setattr(self, field.name, field.default_factory())
        loaded = [f.name for f in dataclasses.fields(SessionLoader) if hasattr(SessionLoader, f"load_{f.name}")]
        self.data_info = pd.DataFrame({"name": loaded, "is_loaded": False})
        self.one: Any = one
        self.revision = ""
        self.row = catalogue_row(session)
        self.update_row(self.row)
        self.root_path = root.path if isinstance(root, Root) else root_path(root)
        self.parameters = parameters or _parameters_of(root, self.root_path)
        self.trials = pd.DataFrame()
        self.photometry: dict[str, pd.DataFrame] = {}
        self.corrections: ByRegion = ByRegion()
        self.exclusions: ByRegion = ByRegion()
        self.responses: ByRegion = ByRegion()
        self.qc = pd.DataFrame()
        self.wheel_velocity = xr.DataArray(np.empty((0, 0), np.float32), dims=("trial", "time"), name="velocity")
        self.stage = Photometry()
        self._loaded: Recording | None = None
        self._raw_counts: RawCounts | None = None
        self.verdicts: dict[str, Verdict] = {}

    def __repr__(self) -> str:
        """Say which session it is."""
        return f"PhotometrySession({self.row['subject']} {self.row['start_time'][:10]}, {self.row['eid']})"

    def update_row(self, content: Mapping[str, Any]) -> None:
        """Take over columns of the catalogue row, and show the row's columns as attributes."""
        self.row |= {name: value for name, value in content.items() if name in self.row}
        for name, value in self.row.items():
            setattr(self, name, value)

    @property
    def h5_path(self) -> Path:
        """The session file of the root; ConfigurationError for what is no session id, such as a path."""
        return session_folder(self.root_path) / f"{checked_eid(self.row['eid'])}.h5"

    @property
    def errors(self) -> list[dict[str, Any]]:
        """Typed errors of what was judged or loaded so far, as rows of the `errors` table."""
        return error_rows(self.row["eid"], self.verdicts.values())

    @exception_logger
    def load_trials(self) -> None:
        """Load the trials, and repair their blocks as the pipeline does; the recorded ones stand beside.

        Raises
        ------
        MissingRawData, MissingExtractedData, CorruptDataset, MultipleCollections
        """
        inputs = self._inputs("trials_table", "raw_task")
        with self._judging("trials_available") as judge:
            trials = stages.load_trials(inputs, self.row, self.parameters, judge)
        self.trials = pd.DataFrame() if trials is None else trials

    @exception_logger
    def load_photometry(self, restrict_to_session: bool = True) -> None:
        """Load the recorded bands, cut to the session with a margin unless told otherwise.

        Raises
        ------
        MissingRawData, MissingExtractedData, CorruptDataset, DegenerateSignal, SignalNotFinite, SignalWrongType, AmbiguousRegionMapping
        """
        if restrict_to_session and not len(self.trials):
            self.load_trials()
        inputs = self._inputs("raw_frames", "signal", "locations")
        with self._judging("photometry_available", "region_mapping") as judge:
            recording = photometry_stage.load_recording(inputs, self.parameters, judge)
            if recording is None:
                raise MissingRawData(DATASET_NAMES["raw_frames"])
            with judge.rule("region_mapping"):
                fibers = matched_fibers(recording, self.row["brain_region"])
        if restrict_to_session:
            recording = cut_to_session(recording, self.trials, self.parameters.photometry)
        self.stage, self._loaded = Photometry(fibers), recording
        names = self._columns()
        self.photometry = {
            name: pd.DataFrame(band.values, pd.Index(band.times, name="times"), names)
            for name, band in recording.bands.items()
        }

    @exception_logger
    def load_wheel(self) -> None:
        """Load the wheel, and cut its velocity into trials, from stimulus to feedback.

        Raises
        ------
        MissingRawData, MissingExtractedData, CorruptDataset, MultipleCollections
        """
        if not len(self.trials):
            self.load_trials()
        inputs = self._inputs("wheel_times", "wheel_position", "raw_encoder")
        with self._judging("wheel_available") as judge:
            wheel = stages.load_wheel(inputs, self.parameters, judge)
        if wheel is not None:
            velocities = stages.cut_wheel(wheel, self.trials, self.parameters)
            self.wheel_velocity = layout.wheel_array(velocities, self.parameters.wheel.sampling_rate_hz)

    @exception_logger
    def load_h5(self, path: Path | str | None = None, groups: Sequence[str] | None = None) -> None:
        """Load what the pipeline stored; the recorded bands are left to `load_photometry`.

        Parameters
        ----------
        path : path, optional
            A session file; otherwise that of the root.
        groups : sequence of str, optional
            Of `metadata`, `errors`, `photometry`, `trials`, `wheel`; otherwise all that are there.

        Raises
        ------
        FileNotFoundError
        ValueError
            When a group is unknown, or the file is that of another session.
        CorruptArtifact
        """
        stored.load(self, Path(path or self.h5_path), stored.checked_groups(groups))

    @exception_logger
    def save_h5(self, path: Path | str | None = None, groups: Sequence[str] | None = None) -> None:
        """Store what there is, marked as made by hand; everything else in the file stays.

        In a root, the next run of the pipeline makes it anew, and analyses leave the session out until then.

        Parameters
        ----------
        path, groups
            As `load_h5`.

        Raises
        ------
        ValueError
            When a group is unknown.
        StorageFull
            When there is no room; the stored file is untouched.
        """
        stored.save(self, Path(path or self.h5_path), stored.checked_groups(groups))

    @property
    def preprocessed_band(self) -> str:
        """Name of the corrected signal in `photometry`."""
        return f"{self.parameters.photometry.signal_band}_preprocessed"

    @contextmanager
    def _judging(self, *raised: str) -> Iterator[Judge]:
        """Give a judge who raises the errors of some rules; what it says is kept."""
        judge = _Raising(raised)
        try:
            yield judge
        finally:
            self.verdicts |= judge.verdicts

    @property
    def session_path(self) -> Path | None:
        """The session folder; None when neither root nor connection know the session."""
        task = self._task()
        if task is not None:
            return Path(task.folder)
        return None if self.one is None else self.one.eid2path(self.row["eid"])

    def _task(self) -> SessionTask | None:
        """Return where the pipeline finds the session's datasets; None when the root does not list it."""
        eid = self.row["eid"]
        index = self.root_path / SESSION_INDEX.path
        catalogue = _catalogue(self.root_path, index.stat().st_mtime_ns) if index.is_file() else None
        return catalogue.tasks([eid])[0] if catalogue is not None and eid in catalogue.sessions else None

    def _inputs(self, *kinds: str) -> SessionInputs:
        """Return the session's datasets as the pipeline sees them, or else as the connection has them."""
        task = self._task()
        if task is not None:
            return task.inputs()
        folder = self.session_path
        if folder is None:
            why = "no connection: PhotometrySession(row, one=one)" if self.one is None else "ONE does not know it"
            raise ConfigurationError(
                f"no datasets of session {self.row['eid']}: it is not in the index of {self.root_path}, and {why}"
            )
        for path in self.row["datasets"]:
            wanted = any(re.fullmatch(DATASET_KINDS[kind], path) for kind in kinds)
            if wanted and not self.one.offline and not (folder / path).exists():
                collection, _, name = path.rpartition("/")
                self.one.load_dataset(self.row["eid"], name, collection=collection, download_only=True)
        return SessionInputs(folder, self.row["datasets"])

    def _trials(self) -> pd.DataFrame:
        self._need(bool(len(self.trials)), "load_trials")
        return self.trials

    def _recording(self) -> Recording:
        """Return the recording with the bands as they are in `photometry` now."""
        self._need(self._loaded is not None, "load_photometry")
        assert self._loaded is not None
        names = self._columns()
        bands = {
            name: Band(self.photometry[name].index.to_numpy(), self.photometry[name][names].to_numpy())
            for name in self._loaded.bands
        }
        return replace(self._loaded, bands=bands)

    def groups(self) -> dict[int, str]:
        """Return the name of every fibre in `photometry` and in the session file, by fibre index."""
        return layout.fiber_groups({fiber.fiber_idx: fiber.region for fiber in self.stage.fibers})

    def _columns(self) -> list[str]:
        """Return the names of the fibres in the order of the signal's columns."""
        groups = self.groups()
        return [groups[fiber.fiber_idx] for fiber in self.stage.fibers]

    def _need(self, there: bool, method: str) -> None:
        if not there:
            raise NotLoaded(f"session {self.row['eid']}: call {method}() first")


@lru_cache(maxsize=4)
def _catalogue(root: Path, _modified_ns: int) -> Catalogue | None:
    """Return the catalogue of a root; read anew when the index is newer."""
    try:
        return Catalogue.load(open_root(root))
    except ConfigurationError:
        return None


def _parameters_of(root: Path | str | Root | None, folder: Path) -> Parameters:
    if isinstance(root, Root):
        return root.parameters
    # session files can lie in a folder without settings; settings that are there must be good
    return open_root(folder).parameters if (folder / SETTINGS).is_file() else PRESETS["default"]
