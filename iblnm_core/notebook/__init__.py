"""What scientists use in notebooks: one session, many sessions, typed errors. Thin faces over what the graph calls.

Nothing is computed here that the pipeline would compute otherwise, and nothing of Dagster is needed.
"""

from typing import Any

from iblnm_core import errors
from iblnm_core.notebook.connection import default_connection
from iblnm_core.notebook.error_log import collect_session_errors, exception_logger
from iblnm_core.notebook.group import PhotometrySessionGroup
from iblnm_core.notebook.session import PhotometrySession
from iblnm_core.parameters import PRESETS
from iblnm_core.root import root_path, session_folder
from iblnm_core.schemas import SESSIONS

__all__ = [
    "RESPONSE_EVENTS",
    "PhotometrySession",
    "PhotometrySessionGroup",
    "collect_session_errors",
    "default_connection",
    "exception_logger",
]

RESPONSE_EVENTS = PRESETS["default"].responses.events
"""Events that responses are cut around."""


def __getattr__(name: str) -> Any:
    """Return a path of the root that is in use when it is asked for, or an error class."""
    if name == "SESSIONS_FPATH":
        return root_path() / SESSIONS.path
    if name == "SESSIONS_H5_DIR":
        return session_folder(root_path())
    found = getattr(errors, name, None)
    if isinstance(found, type) and issubclass(found, errors.SessionError | errors.IblnmError):
        return found
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
