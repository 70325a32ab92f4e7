"""A row of the catalogue as a session object takes it: whole, whoever wrote it."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import pandas as pd

from iblnm_core.errors import ConfigurationError
from iblnm_core.schemas import SESSIONS

REQUIRED = ("eid", "subject", "start_time")
_EMPTY_TEXTS = ("task_protocol", "session_type")


def catalogue_row(given: "pd.Series[Any] | Mapping[str, Any]") -> dict[str, Any]:
    """Return a row of the `sessions` table with every column, as lists, texts, numbers or None.

    Parameters
    ----------
    given : Series or mapping
        Of this pipeline's catalogue or the reference's, or written by hand.

    Raises
    ------
    ConfigurationError
        When id, subject or start are missing.
    """
    content: dict[str, Any] = {str(name): value for name, value in dict(given).items()}
    missing = [name for name in REQUIRED if _plain(content.get(name)) is None]
    if missing:
        raise ConfigurationError(f"a session needs {', '.join(REQUIRED)}; {', '.join(missing)} missing")
    row: dict[str, Any] = {}
    for column in SESSIONS.columns:
        value = _plain(content.get(column.name))
        if column.kind == "texts":
            row[column.name] = value if isinstance(value, list) else [] if value is None else [value]
        elif value is None and column.name in _EMPTY_TEXTS:
            row[column.name] = ""
        else:
            row[column.name] = value
    start = row["start_time"]
    row["start_time"] = start.isoformat() if hasattr(start, "isoformat") else str(start)
    if row["number"] is not None:
        row["number"] = int(row["number"])
    return row


def _plain(value: Any) -> Any:
    """Return a value as Python has it, None for what is missing."""
    if isinstance(value, np.ndarray | tuple):
        return [_plain(one) for one in value]
    if isinstance(value, np.generic):
        value = value.item()
    return None if not isinstance(value, list) and pd.isna(value) else value
