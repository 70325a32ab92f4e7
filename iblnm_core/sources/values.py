"""Single values of records as databases have them: text, lists of text, JSON, and what stands for *unknown*."""

import json
import re
from datetime import datetime
from typing import Any

_DAY = re.compile(r"(19|20|21)\d\d-\d\d-\d\d")


def json_or_none(value: Any) -> str | None:
    """Return a decoded JSON value as text again, always the same for the same content; None for null and empty."""
    return json.dumps(value, sort_keys=True) if value or value == 0 else None


def text_or_none(value: Any) -> str | None:
    """Return a non-empty text, None for everything that says *unknown*."""
    return value if isinstance(value, str) and value else None


def texts_of(value: Any) -> list[str]:
    """Return a list as texts; nothing for what is no list."""
    return [str(entry) for entry in value] if isinstance(value, list) else []


def is_start_time(value: Any) -> bool:
    """Whether a value is a time in ISO 8601 that starts with a day of the last or the next centuries."""
    if not isinstance(value, str) or not _DAY.match(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True
