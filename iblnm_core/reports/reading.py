"""What is stored of one session, read part by part: what is missing or damaged leaves the rest readable."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from iblnm_core.cohort.unavailable import unavailable_sessions
from iblnm_core.errors import ConfigurationError, CorruptArtifact
from iblnm_core.root import Root
from iblnm_core.schemas import SESSIONS
from iblnm_core.session import layout, ledger
from iblnm_core.session.corrections_layout import correction_parts
from iblnm_core.session.fingerprint import Provenance
from iblnm_core.session.preprocessing import PreprocessedSignal
from iblnm_core.session.responses import Responses
from iblnm_core.session.verdicts import Verdict, error_rows
from iblnm_core.storage.session_file import Part, SessionFile
from iblnm_core.storage.tables import read_table

Array = NDArray[np.float64]
T = TypeVar("T")

WHEEL_WINDOW_S = 1.0
"""How much of the wheel's velocity after the stimulus is read, s."""


@dataclass(frozen=True)
class Band:
    """One recorded band of one fibre.

    Attributes
    ----------
    times : ndarray of float64, (n,)
        s, session clock.
    values : ndarray of float32, (n,)
        Camera units.
    """

    times: Array
    values: NDArray[np.float32]


@dataclass
class StoredSession:
    """What is stored of one session; what is not there is empty or None.

    Attributes
    ----------
    eid : str
    row : mapping
        Its catalogue row.
    provenance, verdicts : mapping
        By output, and by rule.
    trials, regressors, quality : DataFrame
    performance : mapping
    signals : mapping of str to PreprocessedSignal
        By region group, as all that follows, in the order of the fibres.
    bands : mapping of str to mapping of str to Band
    responses : mapping of str to Responses
    corrections : mapping of str to Part
        See `session.corrections_layout`.
    wheel : ndarray of float64, (trial, time), or None
        Velocity from the stimulus on, the first second, rad/s.
    wheel_rate_hz : float
    unavailable : str or None
        Why the source could not give the session at the last attempt.
    damaged : list of str
        What could not be read.
    """

    eid: str
    row: Mapping[str, Any] = field(default_factory=dict)
    provenance: Mapping[str, Provenance] = field(default_factory=dict)
    verdicts: Mapping[str, Verdict] = field(default_factory=dict)
    trials: pd.DataFrame = field(default_factory=pd.DataFrame)
    regressors: pd.DataFrame = field(default_factory=pd.DataFrame)
    quality: pd.DataFrame = field(default_factory=pd.DataFrame)
    performance: Mapping[str, Any] = field(default_factory=dict)
    signals: Mapping[str, PreprocessedSignal] = field(default_factory=dict)
    bands: Mapping[str, Mapping[str, Band]] = field(default_factory=dict)
    responses: Mapping[str, Responses] = field(default_factory=dict)
    corrections: Mapping[str, Part] = field(default_factory=dict)
    wheel: Array | None = None
    wheel_rate_hz: float = 0.0
    unavailable: str | None = None
    damaged: list[str] = field(default_factory=list)

    @property
    def errors(self) -> list[dict[str, Any]]:
        """The error rows."""
        return error_rows(self.eid, self.verdicts.values())


def read_session(root: Root, eid: str) -> StoredSession:
    """Read all that a report shows of a session.

    Parameters
    ----------
    root : Root
    eid : str

    Raises
    ------
    ConfigurationError
        When the session is neither in the catalogue nor stored.
    """
    stored = StoredSession(eid, row=_catalogue_row(root, eid), unavailable=unavailable_sessions(root).get(eid))
    path = root.session_file(eid)
    if not path.is_file():
        if not stored.row:
            raise ConfigurationError(f"session {eid} is neither in the catalogue of {root.path} nor stored there")
        return stored
    try:
        with SessionFile(path, eid) as file:
            _fill(stored, file)
    except CorruptArtifact as error:
        stored.damaged.append(f"the session file: {error.problem}")
    return stored


def _catalogue_row(root: Root, eid: str) -> Mapping[str, Any]:
    try:
        rows = read_table(root.path, SESSIONS)
    except FileNotFoundError:
        return {}
    of_session = rows[rows["eid"] == eid].to_dict("records")
    return {str(name): _known(value) for name, value in of_session[0].items()} if of_session else {}


def _known(value: Any) -> Any:
    if isinstance(value, np.ndarray | list):
        return list(value)
    return None if pd.isna(value) else value


def _fill(stored: StoredSession, file: SessionFile) -> None:
    def part(read: Callable[[], T], otherwise: T) -> T:
        try:
            return read()
        except KeyError:
            return otherwise
        except CorruptArtifact as error:
            stored.damaged.append(f"{error.asset}: {error.problem}")
            return otherwise

    stored.row = {**stored.row, **part(lambda: layout.read_metadata(file), {})}
    stored.provenance = part(lambda: ledger.read_provenance(file), {})
    stored.verdicts = part(lambda: ledger.read_verdicts(file), {})
    stored.trials = part(lambda: layout.read_trials(file), stored.trials)
    stored.regressors = part(lambda: layout.read_regressors(file), stored.regressors)
    stored.quality = part(lambda: layout.read_qc(file), stored.quality)
    stored.performance = part(lambda: layout.read_performance(file), {})
    no_signals: dict[str, tuple[int, PreprocessedSignal]] = {}
    signals = part(lambda: layout.read_preprocessed(file), no_signals)
    stored.signals = {group: signal for group, (_, signal) in signals.items()}
    no_bands: dict[str, Band] = {}
    stored.bands = {group: part(partial(_bands, file, group), no_bands) for group in signals}
    no_responses: dict[str, Responses] = {}
    responses = part(lambda: layout.read_responses(file), no_responses)
    stored.responses = {group: responses[group] for group in [*signals, *responses] if group in responses}
    no_corrections: dict[str, Part] = {}
    stored.corrections = part(lambda: correction_parts(file), no_corrections)
    no_wheel: tuple[Array | None, float] = (None, 0.0)
    stored.wheel, stored.wheel_rate_hz = part(lambda: _wheel(file), no_wheel)


def _wheel(file: SessionFile) -> tuple[Array | None, float]:
    """Return the wheel's velocity in the first second after the stimulus, and its rate (Hz)."""
    part = file.read("wheel/responses")
    rate = float(part.attributes["fs"])
    velocity = np.asarray(part.datasets["velocity"])[:, : round(WHEEL_WINDOW_S * rate) + 1]
    # a copy, as the rest of long trials would be most of the memory
    return velocity.astype(np.float64), rate


def _bands(file: SessionFile, group: str) -> dict[str, Band]:
    datasets = file.read(f"photometry/{group}/bands").datasets
    names = sorted({name.partition("/")[0] for name in datasets})
    return {name: Band(np.asarray(datasets[f"{name}/times"]), np.asarray(datasets[f"{name}/signal"])) for name in names}
