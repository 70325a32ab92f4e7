"""Single values of records as databases have them: text, lists of text, JSON, and what stands for *unknown*."""

import json
from typing import Any


def json_or_none(value: Any) -> str | None:
    """Return a decoded JSON value as text again, always the same for the same content; None for null and empty."""
    return json.dumps(value, sort_keys=True) if value or value == 0 else None


def text_or_none(value: Any) -> str | None:
    """Return a non-empty text, None for everything that says *unknown*."""
    return value if isinstance(value, str) and value else None


def texts_of(value: Any) -> list[str]:
    """Return a list as texts; nothing for what is no list."""
    return [str(entry) for entry in value] if isinstance(value, list) else []
