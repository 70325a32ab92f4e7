"""Texts and numbers as pages show them: cleaned of what others may have put into names, the same on every machine."""

import math
import re
from typing import Any

LONGEST_TEXT = 10_000
"""Longer texts are cut, characters."""

UNKNOWN = "\u2013"
"""What stands for a value that is not known."""

_UNFIT = re.compile("[\x00-\x09\x0b-\x1f\x7f-\x9f\ud800-\udfff\ufdd0-\ufdef\ufffe\uffff]")
_DIRECTION = re.compile("[\u061c\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_FOLDERS = re.compile(r"(?<![\w./:<-])(?:[A-Za-z]:)?[/\\](?:[^\s/\\\"'<>]+[/\\])+")


def clean(text: object) -> str:
    """Return a text as a page can show it: no control characters, and marks of writing direction as escapes.

    Parameters
    ----------
    text : object
        Null becomes the sign for what is not known.
    """
    if text is None or (isinstance(text, float) and math.isnan(text)):
        return UNKNOWN
    # a tab is white space, not a broken character
    shown = _UNFIT.sub("\ufffd", str(text)[:LONGEST_TEXT].replace("\t", " ").replace("\r\n", "\n"))
    return _DIRECTION.sub(lambda found: f"\\u{ord(found[0]):04x}", shown)


def without_folders(text: str) -> str:
    """Return a text in which absolute paths have lost their folders, which say nothing on another machine."""
    return _FOLDERS.sub("…/", text)


def number(value: Any, unit: str = "") -> str:
    """Return a number with at most three significant digits, whole ones with all; the same in every language.

    Parameters
    ----------
    value : number or None
    unit : str
        Put behind it, when the number is known.
    """
    if value is None or value != value:  # noqa: PLR0124 - not a number, of whatever type
        return UNKNOWN
    figure = float(value)
    if math.isinf(figure):
        shown = "infinite" if figure > 0 else "minus infinite"
    elif figure.is_integer() and abs(figure) < 1e15:
        shown = f"{int(figure):,}".replace(",", "\u202f")
    elif abs(figure) >= 1000:
        shown = f"{round(figure):,}".replace(",", "\u202f")
    else:
        shown = f"{figure:.3g}"
    return f"{shown} {unit}" if unit else shown


def percent(fraction: Any) -> str:
    """Return a fraction (0-1) as percent, with one digit behind the point."""
    return UNKNOWN if fraction is None or fraction != fraction else f"{100 * float(fraction):.1f} %"  # noqa: PLR0124


def probability(p: Any) -> str:
    """Return a p- or q-value with two significant digits; very small ones only as small."""
    if p is None or p != p:  # noqa: PLR0124 - not a number, of whatever type
        return UNKNOWN
    return "< 0.001" if float(p) < 0.001 else f"{float(p):.2g}"


def interval(low: Any, high: Any) -> str:
    """Return the bounds of an interval; unknown when one of them is."""
    shown = number(low), number(high)
    return UNKNOWN if UNKNOWN in shown else f"{shown[0]} to {shown[1]}"


def measured(text: object) -> str:
    """Return what a rule measured: its numbers short, everything else as it is."""
    shown = clean(text)
    try:
        return number(float(shown))
    except ValueError:
        return without_folders(shown)


def counted(n: int, singular: str, plural: str | None = None) -> str:
    """Return a count with its noun."""
    return f"{number(n)} {singular if n == 1 else plural or singular + 's'}"


def as_title(name: str) -> str:
    """Return the name of a figure as a heading: spaces for underscores, a capital letter at the front."""
    words = re.sub("_+", " ", name)
    return words[:1].upper() + words[1:]


def listed(titles: list[str], most: int = 3) -> str:
    """Return the first titles, and how many more there are."""
    unique = list(dict.fromkeys(titles))
    more = f" and {len(unique) - most} more" if len(unique) > most else ""
    return ", ".join(unique[:most]) + more
