"""Errors as rows: collecting them while many sessions are worked on, and putting them beside a catalogue."""

import functools
import traceback
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any, TypeVar

import pandas as pd

from iblnm_core.session.verdicts import ERROR_COLUMNS

Function = TypeVar("Function", bound=Callable[..., Any])

LOG_COLUMNS = ERROR_COLUMNS[:4]
"""Columns of an error log: session, class, message, traceback."""

UNKNOWN = "unknown"


def error_entry(eid: str, error: BaseException) -> dict[str, Any]:
    """Return an error as a row of an error log."""
    text = "".join(traceback.format_exception(error))
    return dict(zip(LOG_COLUMNS, (eid, type(error).__name__, str(error), text), strict=True))


def exception_logger(function: Function) -> Function:
    """Give a function of a session the argument `exlog`: a list that collects its errors.

    Parameters
    ----------
    function : callable
        Its first argument is a row of the catalogue, a frame of such rows, or an object with an `eid`.

    Returns
    -------
    callable
        Without `exlog` errors are raised. With it they are appended as rows (`eid`, `error_type`, `error_message`, `traceback`)
        and the first argument is returned as it is then; works with `DataFrame.apply(..., axis="columns", exlog=log)`.
    """

    @functools.wraps(function)
    def logged(session: Any, *arguments: Any, exlog: list[dict[str, Any]] | None = None, **keywords: Any) -> Any:
        if exlog is None:
            return function(session, *arguments, **keywords)
        try:
            return function(session, *arguments, **keywords)
        except Exception as error:  # noqa: BLE001 - whatever goes wrong with one session is a row of the log
            exlog.append(error_entry(_eid_of(session), error))
            return session

    return logged  # type: ignore[return-value]


def _eid_of(session: Any) -> str:
    """Return the id of a row, of the first row of a frame, or of an object."""
    if isinstance(session, pd.DataFrame):
        return str(session["eid"].iloc[0]) if len(session) and "eid" in session else UNKNOWN
    if isinstance(session, pd.Series):
        return str(session.get("eid", UNKNOWN))
    return str(getattr(session, "eid", UNKNOWN))


def collect_session_errors(
    sessions: pd.DataFrame, logs: Iterable[Path | str | pd.DataFrame | Sequence[dict[str, Any]]]
) -> pd.DataFrame:
    """Put the errors of sessions beside their rows.

    Parameters
    ----------
    sessions : DataFrame
        One row per session, column `eid`.
    logs : iterable
        Error logs: files, frames, or lists that `exlog` filled. A file that does not exist and an empty log count for nothing.

    Returns
    -------
    DataFrame
        The sessions with a column `logged_errors`: a list of error classes by session, empty where there are none. Rows with
        equal session, class and message count once.
    """
    frames = [frame for frame in map(_frame_of, logs) if len(frame)]
    found: dict[str, list[str]] = {}
    if frames:
        rows = pd.concat([frame[list(LOG_COLUMNS)] for frame in frames], ignore_index=True)
        for eid, error_type in rows.drop_duplicates(list(LOG_COLUMNS[:3]))[["eid", "error_type"]].itertuples(
            index=False
        ):
            found.setdefault(str(eid), []).append(str(error_type))
    logged = pd.Series([found.get(str(eid), []) for eid in sessions["eid"]], sessions.index, dtype=object)
    return sessions.assign(logged_errors=logged)


def _frame_of(log: Path | str | pd.DataFrame | Sequence[dict[str, Any]]) -> pd.DataFrame:
    if isinstance(log, pd.DataFrame):
        return log
    if isinstance(log, Path | str):
        return pd.read_parquet(log) if Path(log).is_file() else pd.DataFrame()
    return pd.DataFrame(list(log))
